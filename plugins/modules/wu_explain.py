# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: wu_explain
short_description: Explain saved evidence, log files or error codes of Windows Update without a host
version_added: 1.0.0
description:
  - Reads files on the controller and gives the same findings as M(winfleet.wu_repair.win_wu_info) would for a host.
  - Takes a saved evidence document, or log files as they are. C(CBS.log), C(ReportingEvents.log), exported event XML, C(setuperr.log), C(WindowsUpdate.log) and
    C(dism.log) are recognised by their content, in UTF-8, UTF-16 or an old code page, whole or cut anywhere.
  - Nothing is connected to and nothing is written.
options:
  path:
    description:
      - Files on the controller. A directory means the files directly in it.
    type: list
    elements: path
    aliases: [paths]
  code:
    description:
      - Error codes to explain, in any form (V(0x80070002), V(-2147024894), V(2147942402), V(80070002), V(ERROR_FILE_NOT_FOUND)).
    type: list
    elements: str
    aliases: [codes]
  max_skew:
    description: As in M(winfleet.wu_repair.win_wu_info), for a saved evidence document.
    type: int
    default: 300
  stale_after:
    description: As in M(winfleet.wu_repair.win_wu_info), for a saved evidence document.
    type: int
    default: 14
  behind_after:
    description: As in M(winfleet.wu_repair.win_wu_info), for a saved evidence document.
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

- name: Explain a code
  winfleet.wu_repair.wu_explain:
    code: -2147024894
"""

RETURN = r"""
verdict:
  description: >-
    For files, their verdict as in M(winfleet.wu_repair.win_wu_info). What logs alone cannot tell is C(unknown). Null where only O(code) is given.
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
findings:
  description: What was found, in the form of M(winfleet.wu_repair.win_wu_info), over all files.
  returned: when files were given
  type: list
  elements: dict
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
  description: What each file was taken for (null for one that is not known), and how many records were read in it.
  returned: when files were given
  type: list
  elements: dict
  sample: [{path: CBS.log, kind: servicing, bytes: 1404, records: 2}]
codes:
  description: The codes that were asked for, each with what helps by the place where it is seen.
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
          next_step: Let win_wu_reset set the download cache aside
"""
