# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: wu_case
short_description: Say what came of a host, and fail it where its verdict asks for that
version_added: 1.0.0
description:
  - Used by the role C(wu_repair). Reads the case that the modules of this collection pass on, and gives the row of the report.
  - Runs on the controller. Nothing is connected to.
options:
  case:
    description:
      - The RV(winfleet.wu_repair.win_wu_info#module:case) that the last task for this host returned.
    type: dict
    required: true
  event:
    description:
      - What happened. V(end) ends the case, and drops the evidence that was kept for it. V(restarted) tells that the host was restarted.
    type: str
    choices: [end, restarted]
    default: end
  result:
    description:
      - With O(event=restarted), the registered result of M(ansible.windows.win_reboot).
    type: dict
  fail_on:
    description:
      - With O(event=end), the verdicts that fail the host. V(not_this_host), the name of V(needs_action) in earlier releases, is understood for one more.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Runs on the controller, whatever the target is.
    platforms: all
    support: full
author:
  - winfleet contributors (@winfleet)
seealso:
  - module: winfleet.wu_repair.win_wu_info
"""

EXAMPLES = r"""
- name: Look at the host
  winfleet.wu_repair.win_wu_info:
    case:
      mode: look
  register: wu

- name: Fail a host that nobody could look at
  winfleet.wu_repair.wu_case:
    case: "{{ wu.case }}"
    fail_on: [failed, unreachable, unsupported, unknown]
"""

RETURN = r"""
verdict:
  description: What the host came to, as in M(winfleet.wu_repair.win_wu_info).
  returned: always
  type: str
  sample: repaired
msg:
  description: The verdict in one printable line of at most 300 characters.
  returned: always
  type: str
  sample: "Done: cache reset. Proved by a live search that found 2 updates."
next:
  description: What to do next.
  returned: always
  type: str
  sample: end
case:
  description: The case with the event in it.
  returned: always
  type: dict
  sample: {schema: 1, verdict: restart_required, next: search}
host:
  description: The host's name in the inventory.
  returned: with O(event=end)
  type: str
  sample: web01
was:
  description: The verdict of the first look.
  returned: with O(event=end)
  type: str
  sample: sick
why:
  description: The code or condition that decided then.
  returned: with O(event=end)
  type: str
  sample: "0x80070002"
did:
  description: What was sent to the host, in order; C(timesync), C(osupgrade), C(reset), C(restart).
  returned: with O(event=end)
  type: list
  elements: str
  sample: [reset]
deeds:
  description: What was done and stayed, in words.
  returned: with O(event=end)
  type: list
  elements: str
  sample: [cache reset]
now:
  description: The same as RV(verdict).
  returned: with O(event=end)
  type: str
  sample: repaired
next_step:
  description: What a person does next; empty where there is nothing to do.
  returned: with O(event=end)
  type: str
  sample: ""
owner:
  description: Who must act, where somebody must.
  returned: with O(event=end)
  type: str
  sample: null
changed:
  description: Whether the host was changed in this case, or would be in check mode.
  returned: always
  type: bool
  sample: true
proved_by:
  description: What proved the repair, or null.
  returned: with O(event=end)
  type: str
  sample: a live search that found 2 updates
proof:
  description: The weakest proof of all repairs of this case, or null.
  returned: with O(event=end)
  type: dict
  sample: {status: proved, by: a live search that found 2 updates, reason: null}
run_id:
  description: The run, which the names of backups end in.
  returned: with O(event=end)
  type: str
  sample: 20261124T101530Z-1a2b3c
backups:
  description: Where folders went.
  returned: with O(event=end)
  type: list
  elements: str
  sample: ["C:\\Windows\\SoftwareDistribution.wu-tp04hub0"]
would:
  description: In check mode, what the first repair would do.
  returned: with O(event=end)
  type: list
  elements: str
  sample: []
if_not_cured:
  description: In check mode, the repairs that would follow if that does not cure it.
  returned: with O(event=end)
  type: list
  elements: str
  sample: []
began:
  description: When the case was opened, in Unix seconds.
  returned: with O(event=end)
  type: int
  sample: 1763986400
"""
