# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an observation is about. One failure is about one subject, whichever logs tell it.

When in doubt two things stay two subjects: joining them clears a real failure, splitting them only keeps one.
"""

from __future__ import annotations

import re

from . import hresult, routing, updates
from .observation import Observation
from .situation import MICROSOFT, WSUS, Situation

# Update services by GUID (windows-facts: serviceGuid). Windows Update and Microsoft Update are one server.
SERVICE_CLASSES = {
    "9482f4b4-e343-43b6-b170-9a65bc822c77": MICROSOFT,
    "7971f918-a847-4430-9279-4a52d1efe18d": MICROSOFT,
    "3da21691-e39d-4da6-8a4b-b43877bcb1b7": WSUS,
    "855e8a7c-ecb4-4ca3-b045-1dfa50104289": "store",
    # Named after preview builds, but cumulative and feature updates of Windows come from it, too (serviceGuid of events 19).
    "8b24b027-1dee-babb-9a95-3517dfb9c552": "flighting",
}
# Who searches for all updates of the host; anybody else (CompatTelRunner, an on-demand feature, Defender) searches for his own.
GENERAL_CALLERS = frozenset(
    name.lower() for name in ("UpdateOrchestrator", "MoUpdateOrchestrator", "AutomaticUpdates", "AutomaticUpdatesWuApp", "CcmExec")
)

UNKNOWN_SEARCH, OTHER_SEARCH, FLIGHTING_SEARCH = "search:unknown", "search:other", "search:flighting"
OS, DOTNET, SSU = "update:os", "update:dotnet", "update:ssu"

_RELEASE = re.compile(r"\bversion[\s,]{1,3}(\d\dH\d)\b|\b(\d\dH\d)\b", re.I)
_BUILD = re.compile(r"\((\d{5})\.(\d{1,5})\)\s*$")
_DRIVER_TITLE = re.compile(r"\S.* - \S.* - \S")
_STORE_TITLE = re.compile(r"9[A-Z0-9]{11}-")


def of(observation: Observation, situation: Situation) -> str | None:
    """The subject of an observation, None for what is about nothing that updates need."""
    layer = observation.layer
    if layer == "scan":
        return _search(observation, situation)
    if layer in ("download", "install"):
        return _update(observation)
    if layer == "upgrade":
        return f"upgrade:{release(observation.title) or ''}"
    if layer == "store":
        return "store:files" if (observation.marker or "").startswith("sr_") else "store:packages"
    if layer == "service":
        return _service(observation, situation)
    if layer == "drivers" and situation.host:
        # Who adds drivers to a host by hand, or to images on it, is told by his tool.
        return None
    return layer


def _search(observation: Observation, situation: Situation) -> str:
    if observation.service is not None:
        return f"search:{SERVICE_CLASSES.get(observation.service, 'offline')}"
    if observation.source in ("scan", "agent"):
        return f"search:{situation.required_class}"
    if observation.caller is not None and not is_general(observation):
        return OTHER_SEARCH
    return UNKNOWN_SEARCH


def is_general(observation: Observation) -> bool:
    """Whether a search was for all updates of the host: our own, or one whose caller is known to make such."""
    return observation.source == "scan" or str(observation.caller or "").lower() in GENERAL_CALLERS


def _service(observation: Observation, situation: Situation) -> str | None:
    name = observation.name or ""
    if name in routing.SERVICES or name == "W32Time":
        return f"service:{name}"
    # A log that somebody asks about is explained whole; on a host only the services that updates need count.
    return None if situation.host else f"service:{name}"


def _update(observation: Observation) -> str | None:
    """The key of an update: the first rule that holds."""
    if observation.marker in ("agent_date", "uninstall_failed"):
        return None
    title, package = observation.title or "", observation.name or ""
    if SERVICE_CLASSES.get(observation.service or "") == "store" or _STORE_TITLE.match(title):
        return f"app:{title[:80]}"
    kinds = {updates.classification(guid) for guid in observation.classes}
    if "Upgrades" in kinds or routing.is_upgrade_code(observation.code):
        return f"upgrade:{release(title) or ''}"
    line = _line(title, package, observation.kb)
    if line is not None:
        return line
    if "Drivers" in kinds or (not observation.kb and _DRIVER_TITLE.search(title)):
        return f"driver:{observation.update or title[:80]}"
    if release(title) and not observation.kb:
        # Titles of other updates name a release too, but they end in a KB.
        return f"upgrade:{release(title)}"
    name = observation.kb or observation.update or title[:80]
    if name:
        return f"update:{name}"
    if observation.source == "dism" and package:
        return f"feature:{package}"
    if observation.source not in ("cbs", "dism"):
        return "update:"
    code = observation.code
    return f"servicing:{package or (hresult.hex_of(code) if code else observation.marker)}"


def _line(title: str, package: str, kb: str | None) -> str | None:
    """The line of updates that supersede each other, None for an update of its own."""
    if updates.is_winre(kb, title):
        # Its title ends in a build, too: that of the recovery environment.
        return None
    if package.startswith("Package_for_RollupFix") or build_of(title) or updates.is_cumulative_os(title):
        return OS
    if package.startswith("Package_for_DotNetRollup") or updates.is_dotnet(title):
        return DOTNET
    if updates.rolling_kb(kb):
        return f"update:{kb}"
    if package.startswith("Package_for_ServicingStack") or updates.is_servicing_stack(title):
        return SSU
    return None


def release(title: str | None) -> str | None:
    """The release that a feature upgrade brings (`24H2`), from its title."""
    found = _RELEASE.search(title or "")
    return (found.group(1) or found.group(2)).upper() if found else None


def build_of(title: str | None) -> tuple[int, int] | None:
    """Build and revision that a cumulative update brings, where its title ends in `(26100.6899)`."""
    found = _BUILD.search(title or "")
    return (int(found.group(1)), int(found.group(2))) if found else None


def is_rolling(subject: str) -> bool:
    """Whether many of its kind come and go: drivers, and articles under which a new version appears every few days."""
    return subject.startswith("driver:") or updates.rolling_kb(subject.removeprefix("update:"))


def is_quality(subject: str) -> bool:
    """Whether a success of it is a quality update of Windows: no driver, app, definition or .NET Framework."""
    if subject.startswith("upgrade:") or subject in (OS, SSU):
        return True
    return subject.startswith("update:") and subject != DOTNET and not is_rolling(subject)
