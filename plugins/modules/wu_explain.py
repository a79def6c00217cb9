# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: wu_explain
short_description: Explain saved evidence, log files or error codes of Windows Update without a host
version_added: 1.0.0
description:
  - Reads files on the controller and gives the same findings as M(winfleet.wu_repair.win_wu_info) would for a host.
  - Takes logs as they are, saved evidence documents, and both together. Logs of the update agent, of the servicing stack, of DISM and of set-ups, exported
    events, logs of Configuration Manager, output of the console and what is copied from the windows of Windows Update are recognised by their content, in
    any language, in UTF-8, UTF-16 or an old code page, whole or cut anywhere.
  - Gives one explanation a host. A file of evidence names its host by its own name (C(web01.json), C(web01.after.json)); of several looks at one host the
    newest counts. Logs belong to the evidence beside them, or in the nearest folder above; without any, all logs are of one host, unless a log that a
    host has once (C(CBS.log)) is there in two folders.
  - A code that somebody wrote of, in a ticket or around what he pasted, and that no log beside it shows, is a finding whose C(state) is
    C(closed). It is told, with the update that is named beside it, and decides nothing.
  - A file that holds nothing about updates is told for what it seems to be; it never makes a host C(healthy). Only the last 20 MB of a
    file are read; of several large ones less, at least the last 4 MB of each, which is said.
  - The report of the playbooks (C(.json)) and the JSON lines that they write beside it (C(.jsonl)) give the summary of that run, also where it was
    interrupted or the controller was lost; a directory of evidence gives that of its hosts.
  - Nothing is connected to and nothing is written.
options:
  path:
    description:
      - Files and directories on the controller. A directory means the files in it and in its directories, four levels deep and 500 files at most,
        without hidden ones.
      - C(.zip) and C(.gz) are unpacked in memory, 200 files and 256 MB at most; a member is shown as C(FILE.zip!MEMBER). For C(.cab), C(.etl) and, without
        a package that reads it, C(.evtx) the result says what to do.
    type: list
    elements: path
    aliases: [paths]
  redact:
    description:
      - Put pseudonyms (C(host-1), C(user-1), C(ip-1)) in the place of names of hosts, users and domains, of addresses, SIDs, e-mail addresses, serial numbers,
        product keys and the identity of the update agent, everywhere in the result, so that it can be shown to anybody. The same name has the same
        pseudonym within one result.
      - Files are named only where every file of their kind has that name. What Microsoft publishes stays, as KBs, codes and GUIDs of updates.
      - Read the result before you publish it. A name that stands in a sentence like any other word cannot be known for one.
    type: bool
    default: false
    version_added: 1.1.0
  code:
    description:
      - Error codes to explain, in any form (V(0x80070002), V(-2147024894), V(2147942402), V(80070002), V(ERROR_FILE_NOT_FOUND)).
    type: list
    elements: str
    aliases: [codes]
  max_skew:
    description: Seconds of clock skew that are still right; for a saved evidence document.
    type: int
    default: 300
  stale_after:
    description: Days without a successful search after which a host is stale; for a saved evidence document.
    type: int
    default: 14
  behind_after:
    description: Days without a quality update after which a host is behind, deferrals and pauses added; for a saved evidence document.
    type: int
    default: 45
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
- name: Explain a log that somebody sent
  winfleet.wu_repair.wu_explain:
    path: CBS.log
  delegate_to: localhost

- name: Explain the evidence that a look left behind
  winfleet.wu_repair.wu_explain:
    path: /var/lib/wu_repair/evidence/web01.json

- name: Explain what a support case holds, evidence and logs of several hosts, fit to be shown to others
  winfleet.wu_repair.wu_explain:
    path: /var/lib/cases/4711
    redact: true

- name: Say what came of a run that was interrupted
  winfleet.wu_repair.wu_explain:
    path: /var/lib/wu_repair/report.jsonl

- name: Explain a code
  winfleet.wu_repair.wu_explain:
    code: -2147024894
"""

RETURN = r"""
verdict:
  description: >-
    For files, their verdict as in M(winfleet.wu_repair.win_wu_info). What logs alone cannot tell is C(unknown); they are C(healthy) only where a search
    or an update of Windows went well. Null where only O(code) is given.
  returned: always
  type: str
  sample: needs_action
msg:
  description: The verdict in one printable line of at most 300 characters.
  returned: always
  type: str
  sample: "0x800F081F (CBS_E_SOURCE_MISSING) in the component store, once."
next_step:
  description: What a person does next; empty where there is nothing to do.
  returned: when files were given
  type: str
  sample: Run DISM /Online /Cleanup-Image /RestoreHealth, then sfc /scannow, then this again
owner:
  description: Who must act, where somebody must.
  returned: when files were given
  type: str
  sample: admin
host:
  description: The host that the files are of, as their evidence or folder names it; null where neither does.
  returned: when files were given
  type: str
  sample: web01
hosts:
  description: >-
    One row a host, the worst first, where the files are of several. A row holds RV(host), RV(verdict), RV(msg), RV(next_step), RV(owner), RV(findings),
    RV(repairs), RV(attempts) and RV(plan) of that host; beside RV(hosts) these are of the worst, and RV(msg) counts the verdicts.
  returned: when the files are of several hosts
  type: list
  elements: dict
  sample: [{host: web01, verdict: needs_action, msg: "0x8024402C in searches for updates, 3 times.", owner: wsus}, {host: web02, verdict: healthy}]
summary:
  description: The lines of the summary as the playbooks print it.
  returned: for the JSON lines of a run, and when the files are of several hosts
  type: list
  elements: str
  sample: ["2 hosts: 1 healthy, 1 needs somebody."]
  version_added: 1.1.0
totals:
  description: How many hosts there are, and how many of each verdict.
  returned: for the JSON lines of a run
  type: dict
  sample: {hosts: 2, healthy: 1, needs_action: 1}
  version_added: 1.1.0
findings:
  description: What was found, in the form of M(winfleet.wu_repair.win_wu_info), over all files of the host.
  returned: when files were given
  type: list
  elements: dict
  contains:
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
      description: The update's KB, or null.
      type: str
      sample: null
    title:
      description: The update's title, or null.
      type: str
      sample: null
    seen_in:
      description: Up to three logs that it was seen in, by the names of their files.
      type: list
      elements: str
      sample: [CBS.log]
    lines:
      description: Up to three lines of the logs, each cut to 200 characters, the newest last.
      type: list
      elements: str
      sample: ["000001e4 [SR] Cannot repair member file [l:11]'example.dll' of Example-Component"]
    count:
      description: How many things it is about. Damaged files where they have names, else how often something was tried.
      type: int
      sample: 1
    last_seen_text:
      description:
        - When it was last seen, or null.
        - Of a log that writes local time, and is not beside evidence of its host, it is that time, taken for UTC.
      type: str
      sample: "2026-11-18T11:06:40Z"
  sample: []
repairs:
  description: The repairs that the findings ask for, in the order in which they would be made.
  returned: when files were given
  type: list
  elements: str
  sample: []
attempts:
  description: Changes that may be tried once although they are not known to cure.
  returned: when files were given
  type: list
  elements: str
  sample: []
plan:
  description: >-
    For a saved evidence document, what these repairs and attempts would do. An item is C(repair), C(would) (sentences) and C(refused), the reason or null.
  returned: when files were given
  type: list
  elements: dict
  sample: [{repair: reset, would: [set aside C:\Windows\SoftwareDistribution], refused: null}]
files:
  description: >-
    What each file is. C(kind) is what it was taken for, null for one without anything about updates; C(seems), what it seems to be by its structure, or
    null; C(bytes), its size; C(read_bytes), how much of its end was read; C(records), how many things were seen in it.
  returned: when files were given
  type: list
  elements: dict
  sample: [{path: CBS.log, kind: servicing, seems: a log of the servicing stack (CBS), bytes: 1404, read_bytes: 1404, records: 2}]
codes:
  description: >-
    The codes that were asked for, each with what helps by the place where it is seen; C(phase) where the number of a set-up's phase was given with it.
  returned: when O(code) is given
  type: list
  elements: dict
  sample:
    - code: "0x80070002"
      symbol: ERROR_FILE_NOT_FOUND
      area: store
      meaning: A file or key the update needs is missing
      places:
        - place: in a search
          answer: a reset of the update cache
          next_step: Run the role on this host
"""
