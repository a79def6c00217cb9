# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. The two programs on the host: what they are asked, and why there is no reply."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .case import line

# In the agent's order. The first row is gathered whatever is asked for.
ALWAYS = ("host", "services", "servicing", "reboot")
SECTIONS = (
    "host",
    "clock",
    "services",
    "history",
    "events",
    "reporting",
    "cbs",
    "servicing",
    "reboot",
    "policy",
    "sources",
    "cache",
    "disk",
    "upgrade",
)
SCAN = "scan"
# A byte budget a log: a CBS.log of 2 GB costs no more than one of this size.
LOG_BYTES = 4 * 1024 * 1024
# The second time that a section is asked for, it gets so many times the budget.
PATIENCE = 3

# Identifiers of PowerShell and of ansible-core's own wrappers. Windows translates messages, never these.
_NO_POWERSHELL = ("The host has no PowerShell", "Install Windows PowerShell 5.1 on the host, then run again.")
_PING = "Try ansible.windows.win_ping on the host: its answer shows what else is written there, such as by a profile script."
_UNSUPPORTED: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        # The language mode, and part of each error id that it makes (MethodInvocationNotSupportedInConstrainedLanguage, ...).
        re.compile(r"ConstrainedLanguage"),
        "PowerShell runs in ConstrainedLanguage on the host: an application control policy wants signed modules",
        "Sign the collection's modules, or allow them in the application control policy.",
    ),
    (
        # What ansible-core's exec_wrapper throws where a policy trusts no unsigned module; its text is its error id.
        re.compile(r"module util '[^']*' is not trusted and cannot be loaded"),
        "A policy of the host runs signed PowerShell scripts alone",
        "Sign the collection's modules, or allow them in that policy.",
    ),
    (
        # ansible-core's bootstrap compares PSVersion; the other is the error id of #Requires.
        re.compile(r"PowerShell v5\.1|\bScriptRequiresUnmatchedPSVersion\b"),
        "The host has no Windows PowerShell 5.1 or newer",
        "Install Windows Management Framework 5.1 on the host, then run again.",
    ),
    (
        # As PowerShell categorises it, where the shell of an SSH server is one.
        re.compile(r"\((powershell|pwsh)(\.exe)?:String\).{0,200}\bCommandNotFoundException\b", re.DOTALL | re.IGNORECASE),
        *_NO_POWERSHELL,
    ),
)
# What cmd.exe returns for a program that is not there; over WinRM it is 1.
_NO_PROGRAM = (1, 9009)
_QUOTED_POWERSHELL = re.compile(r"""["'\u00ab\u201e\u201c]\s?(powershell|pwsh)(\.exe)?\s?["'\u00bb\u201c\u201d]""", re.IGNORECASE)


class AgentError(Exception):
    """The program gave no reply; one line says why.

    Args:
        why: the line.
        name: the verdict that this makes.
        next_step: what to do, where more is known than that the message names it.
    """

    def __init__(self, why: str, name: str = "failed", next_step: str = "") -> None:
        super().__init__(why)
        self.verdict = name
        self.next_step = next_step


class LostError(Exception):
    """The connection failed. What of the request reached the host, nobody knows.

    Args:
        why: one line.
        name: the verdict where it fails again.
        expired: the time of the whole task is over.
    """

    def __init__(self, why: str, name: str = "unreachable", *, expired: bool = False) -> None:
        super().__init__(why)
        self.verdict = name
        self.expired = expired


def observe_request(options: Mapping[str, Any], sections: Sequence[str], times: int = 1) -> dict[str, Any]:
    """The request for a look, with so many times the usual budget."""
    return {
        "schema": 1,
        "op": "observe",
        "sections": list(sections),
        # How long a host may go without an update is only seen as far back as it is looked.
        "lookback_s": max(options["lookback"], options["behind_after"]) * 86400,
        "budget_ms": options["time_limit"] * 1000 * times,
        "scan_ms": options["scan_timeout"] * 1000,
        "sntp_ms": 1000 * times,
        "connect_ms": 1500 * times,
        "log_bytes": LOG_BYTES,
        "servers": [],
    }


def why_no_reply(answer: Mapping[str, Any]) -> AgentError:
    """Turn ansible-core's account of a program that gave no reply into one line and a verdict."""
    said = " ".join(str(answer.get(key) or "") for key in ("msg", "module_stdout", "module_stderr", "exception"))
    for sign, why, step in _UNSUPPORTED:
        if sign.search(said):
            return AgentError(why, "unsupported", step)
    if _is_no_powershell(answer):
        return AgentError(_NO_POWERSHELL[0], "unsupported", _NO_POWERSHELL[1])
    out = line(answer.get("module_stdout") or "", 120)
    if out:
        return AgentError(f"The host answered something that is no reply of this collection's program ({out!r})", next_step=_PING)
    if not answer.get("failed"):
        return AgentError("The host answered nothing that is a reply of this collection's program", next_step=_PING)
    return AgentError(f"This collection's program did not run on the host: {line(answer.get('msg') or '', 200)}", next_step=_PING)


def _is_no_powershell(answer: Mapping[str, Any]) -> bool:
    """Whether a shell could not find the program: its exit code, no output, and the program's name in quotes in whatever language."""
    if answer.get("module_stdout") or answer.get("rc") not in _NO_PROGRAM:
        return False
    return answer.get("rc") == 9009 or _QUOTED_POWERSHELL.search(str(answer.get("module_stderr") or "")) is not None
