# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that looks at a host."""

    DOCUMENTATION = r"""
options:
  lookback:
    description:
      - How many days of events, history and log lines are read, counted back from the host's own clock.
    type: int
    default: 30
  max_skew:
    description:
      - A clock that differs from its own time source by more than this many seconds is wrong.
      - Five minutes is where Kerberos breaks, and close to where TLS to an update server does.
    type: int
    default: 300
  stale_after:
    description:
      - A host with no successful search for updates in so many days is C(stale), even when it shows no error.
    type: int
    default: 14
  reference:
    description:
      - Whose time is believed. With V(source) only the host's own configured time source says that its clock is wrong.
      - V(controller) believes the clock of the Ansible controller instead. Choose it only where that clock is known to be right.
    type: str
    choices: [source, controller]
    default: source
  time_limit:
    description:
      - Seconds the agent may spend on one look, apart from a live search.
      - What is not read by then is reported as C(timeout), section by section.
    type: int
    default: 60
  scan_timeout:
    description:
      - Seconds that a live search by the update agent of the host may take.
    type: int
    default: 300
attributes:
  platform:
    description: Target hosts that this module works on.
    platforms: windows
    support: full
"""
