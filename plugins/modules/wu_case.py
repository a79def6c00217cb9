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
      - The RV(winfleet.wu_repair.win_wu_info#module:case) that the last task for this host returned. Required but with O(event=begin).
    type: dict
  event:
    description:
      - What happened. V(end) ends the case, and drops the evidence that was kept for it. V(restarted) tells that the host was restarted.
      - V(begin) checks, before any host is looked at, that O(report) and O(evidence_dir) can be written, and the variables of every host.
      - V(one_server) leaves the host to whoever runs the server that it fails at. Nothing is sent to it.
      - V(fail) fails a host whose verdict O(fail_on) names, with one short line that is the same for all hosts. Its sentence is told elsewhere, by O(say)
        or by the summary of the playbooks.
    type: str
    choices: [begin, end, fail, one_server, restarted]
    default: end
  result:
    description:
      - With O(event=restarted), the registered result of M(ansible.windows.win_reboot).
    type: dict
  fail_on:
    description:
      - With O(event=end) and O(event=fail), the verdicts that fail the host. V(not_this_host), the name of V(needs_action) in earlier releases, is
        understood for one more.
    type: list
    elements: str
    default: []
  say:
    description:
      - With O(event=end), print one line for a host that is neither healthy nor repaired.
    type: bool
    default: false
    version_added: 1.1.0
  rollout:
    description:
      - With O(event=fail), a host that still waits for a repair was not tried, since the rollout was stopped. It fails as well.
    type: bool
    default: false
    version_added: 1.1.0
  report:
    description: With O(event=begin), the file on the controller that the report of the run is written to.
    type: path
    version_added: 1.1.0
  evidence_dir:
    description: With O(event=begin), the directory on the controller that evidence is written to.
    type: path
    version_added: 1.1.0
  serial:
    description: With O(event=begin), the batches of a repair, a number of hosts, a share such as V(25%), or a list of them.
    type: raw
    default: 1
    version_added: 1.1.0
  max_failed:
    description: With O(event=begin), how many failed repairs end a rollout, or which share of the hosts. V(0) means no limit.
    type: raw
    default: 0
    version_added: 1.1.0
  shared_server:
    description: With O(event=begin), how many hosts that fail alike at one server are left to it. V(0) means never.
    type: raw
    default: 5
    version_added: 1.1.0
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
  returned: with O(event=end) and O(event=restarted)
  type: str
  sample: end
case:
  description: The case with the event in it.
  returned: with O(event=end) and O(event=restarted)
  type: dict
  sample: {schema: 1, verdict: restart_required, next: search}
not_tried:
  description: That the host waits for a repair which was not tried, since the rollout was stopped.
  returned: with O(event=fail) and O(rollout), where it is so
  type: bool
  sample: true
  version_added: 1.1.0
run:
  description: What was checked, C(report), C(fail_on) and C(shared_server).
  returned: with O(event=begin)
  type: dict
  sample: {report: /var/lib/wu_repair/report.json, fail_on: [failed, unreachable], shared_server: 5}
  version_added: 1.1.0
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
until:
  description: For a failure that may pass by itself, when it has not, Unix seconds; else null.
  returned: with O(event=end)
  type: int
  sample: null
  version_added: 1.1.0
fails_at:
  description: For what a repair would answer, the one server that may be behind all of it (C(wsus:NAME), C(proxy:NAME), C(time:NAME)); else empty.
  returned: with O(event=end)
  type: str
  sample: ""
  version_added: 1.1.0
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
