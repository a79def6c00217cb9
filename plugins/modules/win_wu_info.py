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
        C(disk), C(upgrade) and C(scan), a live search by the host's update agent.
      - C(host), C(services), C(servicing) and C(reboot) are always gathered.
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
      - When to return the whole evidence document, up to 48 KB a host. V(unhealthy) returns it for every verdict but C(healthy) and those that fail the task.
      - The default was V(always) before 1.1.0. What a later task is to act on as its C(evidence) must be asked for.
    type: str
    choices: [always, unhealthy, never]
    default: never
  seen:
    description:
      - The registered result of an earlier task of this run with a O(case). It is taken over where it is younger than ten minutes; else the host is looked at.
    type: dict
  group:
    description:
      - With O(case), put a host that is not healthy in a group of this run by what comes next, C(wu_repair_repairable) (a change),
        C(wu_repair_searchable) (a look or a live search) or C(wu_repair_left_alone), and in C(wu_repair_unhealthy), for later plays.
    type: bool
    default: false
    version_added: 1.1.0
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
    What the look came to. One of C(healthy), C(sick) (a repair of this release fits), C(needs_action) (somebody else must act, who is in RV(owner)),
    C(restart_required), C(busy), C(stale) (no failure, but no successful search either), C(behind) (searches well, but installs nothing), C(unproven)
    (repaired or restarted, not tried since), C(unknown) (not enough could be seen), C(unsupported), C(unreachable) or C(failed).
  returned: always
  type: str
  sample: sick
msg:
  description: The verdict in one printable line of at most 300 characters.
  returned: always
  type: str
  sample: "0x80070002 (ERROR_FILE_NOT_FOUND) in searches for updates, 3 times, last 2026-11-24 08:15 UTC."
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
  sample: {schema: 1, verdict: sick, next: reset}
next:
  description: What to do next; C(look), C(search), a repair by its name, C(restart) or C(end).
  returned: with O(case)
  type: str
  sample: reset
seen:
  description: What was found, a sentence each, in the place of RV(findings) where a person calls C(ansible HOST -m ...) without C(-v).
  returned: ad hoc, without C(-v)
  type: list
  elements: str
  sample: ["0x80070002: A file or key the update needs is missing"]
  version_added: 1.1.0
findings:
  description:
    - What was found, most important first.
    - With O(case) only what counts, each with its newest line, without what is empty and without C(subject), C(source), C(seen_in),
      C(first_seen_text) and C(last_seen_text).
  returned: when the host could be looked at; not ad hoc without C(-v)
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the finding.
      type: str
      sample: 0x80070002@search:microsoft
    subject:
      description: What it is about.
      type: str
      sample: search:microsoft
    state:
      description: C(failing), C(unknown) (no success can be ordered against it), C(untested) (repaired or restarted since, not tried) or C(closed).
      type: str
      sample: failing
    codes:
      description: All codes that were seen for the subject.
      type: list
      elements: str
      sample: ["0x80070002"]
    name:
      description: The component, package, file, service, policy or server it is about, or null. Several damaged files are named up to the third.
      type: str
      sample: example.dll of Example-Component
    file:
      description: The file that it is about, or null.
      type: str
      sample: example.dll
    service:
      description: Key name of the Windows service that it is about, or null.
      type: str
      sample: null
    kb:
      description: The KB of the update, or null.
      type: str
      sample: KB5034441
    title:
      description: The title of the update, or null.
      type: str
      sample: null
    lines:
      description: Up to three lines of the logs, each cut to 200 characters, the newest last.
      type: list
      elements: str
      sample: []
    seen_in:
      description: Up to three logs that it was seen in, by their names.
      type: list
      elements: str
      sample: [CBS.log]
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
    first_seen_text:
      description: The same as text.
      type: str
      sample: "2025-11-23T12:13:20Z"
    last_seen:
      description: When it was last seen, in Unix seconds, or null.
      type: int
      sample: 1763986400
    last_seen_text:
      description: The same as text.
      type: str
      sample: "2025-11-24T12:13:20Z"
    count:
      description: How many things it is about. Damaged files where they have names, else how often something was tried.
      type: int
      sample: 3
    superseded_by:
      description: What made it history, or null while it counts.
      type: str
      sample: a successful search 2 hours later
    notice:
      description: Whether it is true and worth saying, but nothing on the host is wrong for it.
      type: bool
      sample: false
    related_codes:
      description:
        - Codes in the same log that mean nothing alone, such as lookups that found nothing.
        - Given for a damaged component store, to search for what others did about it.
      type: list
      elements: str
      sample: ["0x80070490"]
    answer:
      description: Exactly one of C(repair), C(wait) or C(owner), with its value.
      type: dict
      sample:
        repair: reset
    next_step:
      description: What to do, naming the thing.
      type: str
      sample: Let win_wu_reset set the download cache aside
about:
  description:
    - What the report says of the host beside its verdict, at most 300 bytes. What is not known is left out.
    - C(last_search) and C(last_install) are in Unix seconds, C(free_bytes) in bytes, C(source_offset_ms) is the time source minus the host and
      C(controller_offset_ms) the host minus the controller, in milliseconds; C(client_id) is as which a WSUS knows the host.
  returned: with O(case), when the host could be looked at
  type: dict
  sample: {build: "20348.2966", edition: ServerDatacenter, last_search: 1763986400, free_bytes: 53687091200, source_offset_ms: 12}
  version_added: 1.1.0
summary:
  description:
    - The host in a few values, at most 1.5 KB.
    - C(clock_offset_ms) is its own time source minus the host, C(controller_offset_ms) the host minus the controller, both in milliseconds;
      C(last_search) is in Unix seconds, C(free_bytes) in bytes. Ad hoc without C(-v) these two are a date and a size in words.
  returned: when the host could be looked at, without O(case)
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
  returned: when asked for, never with O(case)
  type: dict
  sample: {schema: 1, taken: {asked_ms: 1763986400123, answered_ms: 1763986401456}, sections: {}}
evidence_path:
  description: The file on the controller that holds the evidence.
  returned: when O(evidence_dir) is given
  type: str
  sample: /var/lib/wu_repair/evidence/web01.json
"""
