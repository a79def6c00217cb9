# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: win_wu_info
short_description: Find out why Windows Update fails on a host
version_added: 1.0.0
description:
  - Looks at a Windows host in one PowerShell process and says whether Windows Update works, and if not, why.
  - Never changes anything.
  - Reads the update history, the event log, the tails of C(ReportingEvents.log) and C(CBS.log), services, policies, the clock against its own
    source, pending restarts, the download cache and free space. Each part stands alone, so that one which cannot be read does not hide the others.
options:
  gather_subset:
    description:
      - What to look at. V(all) is everything but C(scan); V(min) is what every look holds. C(!NAME) leaves a part out.
      - Parts are C(host), C(clock), C(services), C(history), C(events), C(reporting), C(cbs), C(servicing), C(reboot), C(policy), C(sources), C(cache),
        C(disk), C(upgrade), C(runs) and C(scan), a live search by the host's update agent.
      - C(host), C(services), C(servicing), C(reboot) and C(runs) are always gathered.
    type: list
    elements: str
    default: [all]
  reported:
    description:
      - What somebody else reported, as a hint where to look harder. The result of a failed M(ansible.windows.win_updates) task, or a code in any
        form (V(0x80070002), V(-2147024894), V(80070002)), or a list of them.
      - A hint adds a live search to the look. It is not evidence by itself.
    type: raw
  return_evidence:
    description:
      - When to return the whole evidence document, up to 48 KB a host. V(unhealthy) returns it for every verdict but C(healthy).
    type: str
    choices: [always, unhealthy, never]
    default: always
  evidence_dir:
    description:
      - A directory on the controller where the evidence of each host is written as C(HOST.json). Written in check mode too, since the host is not touched.
      - M(winfleet.wu_repair.wu_explain) reads such a file.
    type: path
extends_documentation_fragment:
  - winfleet.wu_repair.look
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
author:
  - winfleet contributors (@winfleet)
seealso:
  - module: winfleet.wu_repair.wu_explain
  - module: winfleet.wu_repair.win_wu_reset
  - module: ansible.windows.win_updates
"""

EXAMPLES = r"""
- name: Say what is wrong with Windows Update on each host
  winfleet.wu_repair.win_wu_info:
  register: wu

- name: Ask the host's update agent for a live search as well
  winfleet.wu_repair.win_wu_info:
    gather_subset: [all, scan]
    scan_timeout: 600
  register: wu

- name: Look harder after a failed update run, and keep the evidence
  winfleet.wu_repair.win_wu_info:
    reported: "{{ updates }}"
    evidence_dir: /var/lib/wu_repair/evidence
    return_evidence: unhealthy
  register: wu
"""

RETURN = r"""
verdict:
  description: >-
    What the look came to. One of C(healthy), C(sick) (a rung can repair it), C(stale) (no failure, but no successful search either), C(restart_required),
    C(busy), C(not_this_host), C(unsupported) or C(failed).
  returned: always
  type: str
  sample: sick
msg:
  description: The verdict in one sentence.
  returned: always
  type: str
  sample: "0x80070002 (ERROR_FILE_NOT_FOUND) in searches for updates, 3 times, last 2 hours ago: the rung reset can repair it."
asks:
  description: The rungs that the findings ask for, in the order in which they would be climbed.
  returned: always
  type: list
  elements: str
  sample: [reset]
findings:
  description: What was found, most important first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the finding.
      type: str
      sample: 0x80070002@scan
    code:
      description: The HRESULT as hex, or null for a condition without a code.
      type: str
      sample: "0x80070002"
    condition:
      description: The condition, or null for a finding with a code.
      type: str
      sample: service_disabled
    symbol:
      description: The name of the code in the Windows headers.
      type: str
      sample: ERROR_FILE_NOT_FOUND
    area:
      description: What part of Windows Update it is about.
      type: str
      sample: cache
    meaning:
      description: What it means, for a person.
      type: str
      sample: A file that the update agent needs is missing from its data store or download cache
    source:
      description: Where it was seen.
      type: str
      sample: event:Microsoft-Windows-WindowsUpdateClient/25
    first_seen:
      description: When it was first seen, in Unix seconds, or null.
      type: int
      sample: 1763900000
    last_seen:
      description: When it was last seen, in Unix seconds, or null.
      type: int
      sample: 1763986400
    count:
      description: How often it was seen.
      type: int
      sample: 3
    overtaken_by:
      description: What made it history, or null while it counts.
      type: str
      sample: a successful search 2 hours later
    beside:
      description:
        - Codes in the same log that mean nothing alone, such as lookups that found nothing.
        - Given for a damaged component store, to search for what others did about it.
      type: list
      elements: str
      sample: ["0x80070490"]
    answer:
      description: Exactly one of C(rung), C(wait) or C(owner), with its value.
      type: dict
      sample:
        rung: reset
summary:
  description: The host in a few values, at most 1.5 KB.
  returned: when the host could be looked at
  type: dict
  sample:
    build: 20348
    clock_offset_ms: 12
    edition: ServerStandard
    free_bytes: 53687091200
    last_search: 1763986400
    sections: {cbs: ok, clock: ok, events: ok}
evidence:
  description: The evidence document, as O(return_evidence) says.
  returned: when asked for
  type: dict
  sample: {schema: 1, taken: {asked_ms: 1763986400123, answered_ms: 1763986401456}, sections: {}}
evidence_path:
  description: The file on the controller that holds the evidence.
  returned: when O(evidence_dir) is given
  type: str
  sample: /var/lib/wu_repair/evidence/web01.json
"""
