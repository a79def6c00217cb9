# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that looks at a host."""

    DOCUMENTATION = r"""
options:
  lookback:
    description:
      - How many days of events, history and log lines are read, counted back from the host's own clock. Raised to O(behind_after) where it
        is less.
    type: int
    default: 30
    aliases: [lookback_days]
  max_skew:
    description:
      - A clock that differs from its own time source by more than this many seconds is wrong.
      - Five minutes is where Kerberos breaks, and close to where TLS to an update server does.
    type: int
    default: 300
    aliases: [max_skew_seconds]
  stale_after:
    description:
      - A host with no successful search for updates in so many days is C(stale), even when it shows no error.
    type: int
    default: 14
    aliases: [stale_after_days]
  behind_after:
    description:
      - A host whose last quality update is so many days old is C(behind), even when it searches well. Deferrals and pauses are added.
    type: int
    default: 45
    aliases: [behind_after_days]
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
      - What is not read by then is reported as C(timeout), section by section. What is needed for a verdict is asked once more, with three
        times the limit.
    type: int
    default: 60
    aliases: [time_limit_seconds]
  scan_timeout:
    description:
      - Seconds that a live search by the update agent of the host may take.
    type: int
    default: 300
    aliases: [scan_timeout_seconds]
  evidence_dir:
    description:
      - A directory on the controller where the evidence of each host is written as C(HOST.json), and that of a look after a change as
        C(HOST.after.json). What is known of a host that could not be looked at is C(HOST.failed.json).
      - Written in check mode too, since the host is not touched. Only its owner may read it.
      - M(winfleet.wu_repair.wu_explain) reads such a file.
    type: path
  case:
    description:
      - The RV(winfleet.wu_repair.win_wu_info#module:case) that an earlier task of this run returned for this host, or a dictionary of what
        may be done for
        it, which opens one. The role C(wu_repair) does both. The keys are C(mode) (V(routed), V(all) or V(look)), C(repairs), C(skip),
        C(restart) and
        C(search).
      - With it the task never fails and is never unreachable. What happened is an event of the case, and
        RV(winfleet.wu_repair.win_wu_info#module:next)
        says what to do next.
      - The evidence goes from task to task by a file on the controller and is never part of the result.
    type: dict
attributes:
  platform:
    description: Target hosts that this module works on.
    platforms: windows
    support: full
"""
