# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of every module that changes a host."""

    DOCUMENTATION = r"""
options:
  evidence:
    description:
      - The RV(winfleet.wu_repair.win_wu_info#module:evidence) of an earlier look at this host, or that look's whole result, so that it is
        not looked at
        twice.
      - Without it the module looks itself, in a PowerShell process of its own.
      - The host is checked against it before the first change. A host that has changed since is left alone, and the difference is named.
    type: dict
  run_id:
    description:
      - Name of the repair run that this step belongs to, such as C(20261124T101530Z-1a2b3c).
      - It is part of the name of every backup. One is made when none is given.
    type: str
  return_evidence:
    description:
      - When to return the whole evidence document. V(unhealthy) returns it for every verdict but C(healthy) and those that fail the task.
      - The default was V(unhealthy) before 1.1.0.
    type: str
    choices: [always, unhealthy, never]
    default: never
  scan:
    description:
      - Prove the repair by a live search of the host's own update agent, right after the change.
      - Where Windows lets no remote logon search, the verdict is C(unproven), and the next step says how to search as SYSTEM.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
"""
