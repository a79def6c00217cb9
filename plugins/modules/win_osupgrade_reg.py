# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: win_osupgrade_reg
short_description: Set or remove AllowOSUpgrade for a feature upgrade that fails
version_added: 1.0.0
description:
  - Sets the DWORD C(AllowOSUpgrade) to 1 at C(HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\OSUpgrade), or removes it.
  - The value comes from the Windows 10 offer of 2015. Nothing published shows that Windows 10 or 11 reads it, so expect little of it.
  - It does no harm, and it is removed again with O(state=absent).
  - Client editions only. A server is refused.
  - Says which policy overrides it, such as C(DisableOSUpgrade) or a target release.
options:
  state:
    description:
      - Whether the value shall be there.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - winfleet.wu_repair.look
  - winfleet.wu_repair.change
author:
  - winfleet contributors (@winfleet)
seealso:
  - module: winfleet.wu_repair.win_wu_info
  - module: ansible.windows.win_regedit
"""

EXAMPLES = r"""
- name: Allow the feature upgrade
  winfleet.wu_repair.win_osupgrade_reg:

- name: Take it back
  winfleet.wu_repair.win_osupgrade_reg:
    state: absent
"""

RETURN = r"""
verdict:
  description: >-
    What the step came to, as in M(winfleet.wu_repair.win_wu_info), and C(repaired), C(unproven), C(unresolved) or C(failed) after a change. None is better
    than what the look after the change says by itself.
  returned: always
  type: str
  sample: needs_action
msg:
  description: The verdict in one printable line of at most 300 characters.
  returned: always
  type: str
  sample: "0xC1900101 in feature upgrades: a driver rolled the upgrade back."
run_id:
  description: The run that this step belongs to.
  returned: when the host was looked at
  type: str
  sample: 20261124T101530Z-1a2b3c
previous:
  description: The value before, or null when it was not there.
  returned: always
  type: int
  sample: null
overridden_by:
  description: Policies that decide about upgrades whatever this value says.
  returned: always
  type: list
  elements: str
  sample: ["DisableOSUpgrade = 1"]
would:
  description: What would be done, in words.
  returned: in check mode
  type: list
  elements: str
  sample: [set AllowOSUpgrade to 1]
did:
  description: What was done, in words.
  returned: when something was tried
  type: list
  elements: str
  sample: [set AllowOSUpgrade to 1]
differs:
  description: What the host held otherwise than the evidence said. Nothing was changed then.
  returned: when the host changed since the look
  type: list
  elements: dict
  sample: []
proof:
  description: How the repair was proved, or why it could not be.
  returned: when something was changed
  type: dict
  sample: {status: unproven, by: null, reason: only the next upgrade can tell}
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
