# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: win_timesync
short_description: Set the clock of a Windows host right, from its own time source
version_added: 1.0.0
description:
  - Makes the Windows Time service use the right source, and resynchronises a clock that is wrong.
  - Only the measured offset to the host's own configured source says that a clock is wrong, unless O(reference=controller).
  - A domain member stays in the domain hierarchy. It is never turned to NTP unless O(source=ntp) says so.
  - A setting that a group policy owns is reported and never overwritten.
options:
  source:
    description:
      - Where time comes from. V(auto) is the domain hierarchy for a domain member and NTP for a host in a workgroup, and changes neither a source that
        is already configured so, nor its servers unless O(servers) is given.
      - V(domain) is the domain hierarchy, V(ntp) are O(servers).
    type: str
    choices: [auto, domain, ntp]
    default: auto
  servers:
    description:
      - Names or addresses of NTP servers. A flag may follow after a comma (V(time.windows.com,0x9)), else C(0x8) is added.
    type: list
    elements: str
  resync:
    description:
      - Whether to resynchronise. V(if_needed) does when the offset is beyond O(max_skew).
    type: str
    choices: [if_needed, always, never]
    default: if_needed
  beyond_limit:
    description:
      - What to do with an offset beyond the phase-correction limit of the Windows Time service, which refuses it.
      - V(lift) raises the limit for the one resync and restores it. V(refuse) leaves the clock and says so.
    type: str
    choices: [lift, refuse]
    default: lift
  time_zone:
    description:
      - Time zone id, such as V(W. Europe Standard Time). It does not change UTC, so it cannot cure TLS or Kerberos.
    type: str
extends_documentation_fragment:
  - winfleet.wu_repair.look
  - winfleet.wu_repair.change
author:
  - winfleet contributors (@winfleet)
seealso:
  - module: winfleet.wu_repair.win_wu_info
  - module: ansible.windows.win_timezone
"""

EXAMPLES = r"""
- name: Set the clock right if it is wrong
  winfleet.wu_repair.win_timesync:

- name: Use two servers of our own on hosts in a workgroup
  winfleet.wu_repair.win_timesync:
    source: ntp
    servers: [ntp1.example.com, ntp2.example.com]
    max_skew: 5
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
  sample: "Done: clock set. Proved by the offset to time.windows.com, now 12 ms."
run_id:
  description: The run that this step belongs to.
  returned: when the host was looked at
  type: str
  sample: 20261124T101530Z-1a2b3c
offset_ms:
  description: Own source minus host, in milliseconds, before and after. Null when the source did not answer.
  returned: always
  type: dict
  sample: {before: -25200000, after: 12}
would:
  description: What would be done, in words.
  returned: in check mode
  type: list
  elements: str
  sample: [resynchronise with time.windows.com]
did:
  description: What was done, in words.
  returned: when something was tried
  type: list
  elements: str
  sample: [resynchronised with time.windows.com]
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
  sample: {status: proved, by: offset to its own source, reason: null}
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
