# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps on folders: what is set aside, and the oldest of what was set aside before."""

from __future__ import annotations

from .. import situation
from ..evidence import Evidence
from ..sections import CacheFolder
from ._common import Diff, Expect, Kind, Step

# So many names of backups the evidence holds at most.
MOST_BACKUPS = 300


def path_of(evidence: Evidence, name: str) -> str:
    """Where a cache folder is; its name where that was not seen."""
    folder = evidence.cache.by_name(name)
    return name if folder is None or folder.path is None else folder.path


def backup_of(path: str, run_id: str) -> str:
    """Where a run sets a folder aside."""
    return f"{path}{situation.backup_ending(run_id)}"


class SetAside(Kind):
    """Rename a cache folder, so that Windows makes it anew."""

    name = "set_aside"
    required = frozenset({"folder"})
    deed = "cache reset"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        name = str(step.args["folder"])
        folder = evidence.cache.by_name(name)
        what = "the file " if folder is not None and folder.file else ""
        return f"set aside {what}{path_of(evidence, name)}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"set aside {path_of(evidence, str(step.args['folder']))}"

    def expect(self, step: Step, evidence: Evidence) -> tuple[Expect, ...]:
        """See Kind."""
        name = str(step.args["folder"])
        no_link = Expect("folder", name, "reparse", False)
        folder = evidence.cache.by_name(name)
        # A folder that could not be looked at may be missing, which the agent skips.
        if folder is None:
            return (no_link,)
        if folder.file:
            return (Expect("folder", name, "file", True),)
        return Expect("folder", name, "exists", True), no_link, *self._same(folder)

    @staticmethod
    def _same(folder: CacheFolder) -> tuple[Expect, ...]:
        """That it was not renewed since the look. One made anew within seconds gets the old time from NTFS: then its backups tell."""
        created = [] if folder.created is None else [Expect("folder", folder.name, "created", folder.created)]
        # A list that was cut would never be the same.
        known = len(folder.backups) < MOST_BACKUPS
        return (*created, Expect("folder", folder.name, "backups", folder.backups)) if known else tuple(created)

    def diff(self, step: Step, evidence: Evidence, run_id: str) -> Diff:
        """See Kind."""
        path = path_of(evidence, str(step.args["folder"]))
        return {path: "there"}, {path: f"set aside as {backup_of(path, run_id)}"}


class PruneBackups(Kind):
    """Delete our own oldest backups. It has no undo, so it runs when all else has succeeded."""

    name = "prune_backups"
    required = frozenset({"folder", "keep"})

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"delete backups of {step.args['folder']} but the newest {step.args['keep']}"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return f"deleted backups of {step.args['folder']} but the newest {step.args['keep']}"


class SetAsideBitsQueue(Kind):
    """Rename the files that hold the jobs of BITS, those of other products too."""

    name = "set_aside_bits_queue"
    deed = "queue of BITS reset"

    def would(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return "set aside the queue of BITS"

    def done(self, step: Step, evidence: Evidence) -> str:
        """See Kind."""
        return "set aside the queue of BITS"


KINDS: tuple[Kind, ...] = (SetAside(), PruneBackups(), SetAsideBitsQueue())
