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
  description: What the step came to, as in M(winfleet.wu_repair.win_wu_info), and C(repaired), C(unproven) or C(unresolved) after a change.
  returned: always
  type: str
  sample: unproven
msg:
  description: The verdict in one sentence.
  returned: always
  type: str
  sample: "AllowOSUpgrade is set; only the next upgrade can tell whether it helped."
run_id:
  description: The run that this step belongs to.
  returned: always
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
