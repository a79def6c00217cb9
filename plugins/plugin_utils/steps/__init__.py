# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of steps that the agent knows, each in words and as data. A file here is found by itself: its `KINDS` are added."""

from __future__ import annotations

import importlib
from pathlib import Path

from ._common import Diff, Expect, Kind, Step

__all__ = ["KINDS", "Diff", "Expect", "Kind", "Step", "kind_of"]


def _find() -> dict[str, Kind]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    families = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {kind.name: kind for family in families for kind in family.KINDS}


KINDS: dict[str, Kind] = _find()


def kind_of(step: Step) -> Kind:
    """What a step can say of itself."""
    return KINDS[step.kind]
