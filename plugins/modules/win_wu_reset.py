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
      - Write the default security descriptors of the services BITS and wuauserv. A last resort.
    type: bool
    default: false
  stop_timeout:
    description:
      - Seconds to wait for each service to stop.
    type: int
    default: 60
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
    evidence: "{{ wu.evidence }}"
  when: "'reset' in wu.asks"

- name: Reset in any case, and say in check mode how much would be set aside
  winfleet.wu_repair.win_wu_reset:
    force: true
  check_mode: true
"""

RETURN = r"""
verdict:
  description: What the step came to, as in M(winfleet.wu_repair.win_wu_info), and C(repaired), C(unproven) or C(unresolved) after a change.
  returned: always
  type: str
  sample: repaired
msg:
  description: The verdict in one sentence.
  returned: always
  type: str
  sample: Repaired by reset, proved by a live search that found 2 updates.
run_id:
  description: The run that the backups are named after.
  returned: always
  type: str
  sample: 20261124T101530Z-1a2b3c
would:
  description: What would be done, in words.
  returned: in check mode
  type: list
  elements: str
  sample: ["set aside C:\\Windows\\SoftwareDistribution (812 files, 1.9 GB)"]
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
  sample: ["C:\\Windows\\SoftwareDistribution.wu_repair-20261124T101530Z-1a2b3c"]
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
asks:
  description: The rungs that what remains asks for.
  returned: always
  type: list
  elements: str
  sample: []
findings:
  description: What remains, in the form of M(winfleet.wu_repair.win_wu_info).
  returned: always
  type: list
  elements: dict
  sample: []
evidence:
  description: The after-look, or the look when nothing was changed.
  returned: unless the host is healthy or the task failed
  type: dict
  sample: {schema: 1, taken: {asked_ms: 1763986400123, answered_ms: 1763986401456}, sections: {}}
"""
