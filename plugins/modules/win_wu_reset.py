# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: win_wu_reset
short_description: Reset the download cache of Windows Update where the evidence asks for it
version_added: 1.0.0
description:
  - Sets C(SoftwareDistribution) and C(catroot2) aside by a rename, with the services that use them stopped in order and restored exactly as they were found.
  - Repairs the start type of update services that were disabled. Any other start type is left as it is.
  - Does so only when the evidence asks for it, or with O(force=true). A healthy host, and a host whose fault a reset cannot cure, is left alone.
  - Refuses while servicing is at work or a restart is pending, and says so.
  - A step that fails puts back what was done and starts every service that ran.
options:
  force:
    description:
      - Reset although no evidence asks for it. Refusals for servicing and pending restarts stay.
    type: bool
    default: false
  folders:
    description:
      - Which folders are set aside. V(auto) takes what the evidence points at.
    type: list
    elements: str
    choices: [auto, SoftwareDistribution, catroot2]
    default: [auto]
  keep_backups:
    description:
      - How many backups of each folder stay on the host, this run's included. Older ones of this collection are deleted after all else succeeded.
      - V(0) keeps all.
    type: int
    default: 2
  bits_queue:
    description:
      - Set the queue of BITS aside too. This loses the transfers of other products, such as Configuration Manager, Intune and Defender.
    type: bool
    default: false
  service_security:
    description:
      - Write the default security descriptors of the services BITS and wuauserv, before they are stopped. A last resort, for a host whose
        administrators may not stop them.
    type: bool
    default: false
  stop_timeout:
    description:
      - Seconds to wait for each service to stop.
    type: int
    default: 60
    aliases: [stop_timeout_seconds]
extends_documentation_fragment:
  - winfleet.wu_repair.look
  - winfleet.wu_repair.change
author:
  - winfleet contributors (@winfleet)
seealso:
  - module: winfleet.wu_repair.win_wu_info
  - module: winfleet.wu_repair.win_timesync
"""

EXAMPLES = r"""
- name: Reset the download cache where the evidence asks for it
  winfleet.wu_repair.win_wu_reset:

- name: The same, on the evidence of an earlier look
  winfleet.wu_repair.win_wu_reset:
    evidence: "{{ wu }}"
  when: "'reset' in wu.repairs"

- name: Reset in any case, and say in check mode how much would be set aside
  winfleet.wu_repair.win_wu_reset:
    force: true
  check_mode: true
"""

RETURN = r"""
verdict:
  description: >-
    What the step came to, as in M(winfleet.wu_repair.win_wu_info), and C(repaired), C(unproven), C(unresolved) or C(failed) after a change. None is better
    than what the look after the change says by itself.
  returned: always
  type: str
  sample: repaired
msg:
  description: The verdict in one printable line of at most 300 characters.
  returned: always
  type: str
  sample: "Done: cache reset. Proved by a live search that found 2 updates."
run_id:
  description: The run that the backups are named after.
  returned: when the host was looked at
  type: str
  sample: 20261124T101530Z-1a2b3c
would:
  description: What would be done, in words.
  returned: in check mode
  type: list
  elements: str
  sample: ["set aside C:\\Windows\\SoftwareDistribution"]
did:
  description: What was done, in words.
  returned: when something was tried
  type: list
  elements: str
  sample: ["set aside C:\\Windows\\SoftwareDistribution"]
backups:
  description: Where the folders went.
  returned: when something was set aside
  type: list
  elements: str
  sample: ["C:\\Windows\\SoftwareDistribution.wu-tp04hub0"]
differs:
  description: What the host held otherwise than the evidence said. Nothing was changed then.
  returned: when the host changed since the look
  type: list
  elements: dict
  sample: [{what: service, name: wuauserv, field: start, expected: 3, found: 4}]
proof:
  description: How the repair was proved, or why it could not be.
  returned: when something was changed
  type: dict
  sample: {status: proved, by: live search, reason: null}
next_step:
  description: What a person does next; empty where there is nothing to do.
  returned: without O(case)
  type: str
  sample: ""
owner:
  description: Who must act, where somebody must (C(wsus), C(proxy), C(policy), C(management), C(hardware), C(admin)).
  returned: without O(case)
  type: str
  sample: null
repairs:
  description: The repairs that what remains asks for, in the order in which they would be made.
  returned: without O(case)
  type: list
  elements: str
  sample: []
attempts:
  description: Changes that may be tried once although they are not known to cure.
  returned: without O(case)
  type: list
  elements: str
  sample: []
case:
  description:
    - The record of the host, for the O(case) of the next task.
    - Beside it stands the row of the host, RV(winfleet.wu_repair.wu_case#module:was) to RV(winfleet.wu_repair.wu_case#module:began).
  returned: with O(case)
  type: dict
  sample: {schema: 1, verdict: repaired, next: end}
next:
  description: What to do next; C(look), C(search), a repair by its name, C(restart) or C(end).
  returned: with O(case)
  type: str
  sample: end
findings:
  description: What remains, in the form of M(winfleet.wu_repair.win_wu_info). With O(case) only what counts.
  returned: when the host was looked at
  type: list
  elements: dict
  sample: []
evidence:
  description: The look after the change, or the look when nothing was changed.
  returned: as O(return_evidence) says, never with O(case)
  type: dict
  sample: {schema: 1, taken: {asked_ms: 1763986400123, answered_ms: 1763986401456}, sections: {}}
"""
