# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE. Files on the controller: JSON that is written whole or not at all, and the evidence that one task hands to the next."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Of the hand-over file, not of the evidence in it.
VERSION = 1
# File systems take 255 bytes; what follows it and what a file is called while it is written take some.
_MOST_NAME = 200


class FileError(Exception):
    """A file that cannot be written; one line says which and why."""


def name_of_host(host: str) -> str:
    """A name of a file for a host, of which no two hosts have the same: names may be of any script, or addresses.

    `explain` takes the host out of it again.
    """
    name = "".join(letter if letter.isalnum() or letter in "_.-" else quote(letter, "", errors="replace") for letter in host)
    if len(name.encode()) <= _MOST_NAME:
        return name
    known = hashlib.sha256(host.encode()).hexdigest()[:12]
    return f"{name.encode()[: _MOST_NAME - 13].decode(errors='ignore')}-{known}"


def check_folder(folder: Path, what: str) -> None:
    """Make a folder that files are to be written to, and see that they can be.

    Raises:
        FileError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".wu_repair.", dir=folder)
        os.close(descriptor)
        Path(part).unlink()
    except OSError as error:
        raise FileError(f"{what}: cannot write to {folder} on the controller: {error.strerror}") from error


def check_file(path: Path, what: str) -> None:
    """See that a file can be written, before anything is done that only it would keep.

    Raises:
        FileError: it cannot.
    """
    check_folder(path.parent, what)
    if path.is_dir():
        raise FileError(f"{what}: {path} on the controller is a folder; name a file in it, such as {path.joinpath('wu.json')}")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone.

    Raises:
        FileError: it cannot be written.
    """
    part = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes a file of mode 0600 that nobody else can have put there.
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(part).replace(path)
    except OSError as error:
        if part:
            Path(part).unlink(missing_ok=True)
        raise FileError(f"cannot write {path} on the controller: {error.strerror}") from error


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Add lines to a file, all in one write, so that a controller that is lost leaves whole ones.

    Raises:
        FileError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise FileError(f"cannot write {path} on the controller: {error.strerror}") from error


def write_json(path: Path, document: object, *, indent: int | None = 1) -> None:
    """Write a file whole or not at all, for its owner alone: evidence holds policies, proxies and what was installed.

    Raises:
        FileError: it cannot be written.
    """
    write_text(path, json.dumps(document, indent=indent, sort_keys=True))


@dataclass(frozen=True)
class HandOver:
    """The evidence of a case, from task to task of one run of ansible.

    All forks of a run share the folder, which ansible deletes when it ends. The content says whose it is; the name of the file does not.

    Args:
        folder: what ansible-core calls DEFAULT_LOCAL_TMP.
        host: the host's name in the inventory.
        run: the run of its case.
    """

    folder: Path
    host: str
    run: str

    @property
    def path(self) -> Path:
        """Where it is."""
        name = hashlib.sha256(f"{self.host}\0{self.run}".encode()).hexdigest()[:24]
        return self.folder / f"wu_repair-{name}.json"

    def write(self, content: Mapping[str, Any]) -> None:
        """Keep it for the next task.

        Raises:
            FileError: it cannot be written.
        """
        document = {"version": VERSION, "host": self.host, "run": self.run, "written": int(time.time()), **content}
        write_json(self.path, document, indent=None)

    def read(self) -> dict[str, Any] | None:
        """What an earlier task kept; None where nothing is there that is of this host, run and version."""
        try:
            content = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        wanted = {"version": VERSION, "host": self.host, "run": self.run}
        if not isinstance(content, dict) or any(content.get(name) != value for name, value in wanted.items()):
            return None
        return content

    def delete(self) -> None:
        """The case has ended."""
        self.path.unlink(missing_ok=True)
