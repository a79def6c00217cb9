# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ansible-core 2.19 and later send to a PowerShell on its standard input: read it, and swap scripts in it.

The input is one line of JSON (the execution wrapper), a line of four NUL characters, then one line of JSON with all
scripts (base64) and the actions. A second line of four NULs may follow, and after it the data of the action.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MARK = b"\0\0\0\0"


@dataclass(frozen=True)
class Action:
    """One script of the chain that the execution wrapper calls, with its parameters."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What was sent.

    Attributes:
        module: fully qualified name of the module, or None when the input runs no module (a file transfer).
        args: the module's arguments, Ansible's own ``_ansible_*`` keys included.
        scripts: source of every script by its name.
        actions: the chain of scripts, in order.
        environment: variables that the task sets.
        data: what follows the manifest for the action to read.
    """

    module: str | None
    args: dict[str, Any]
    scripts: dict[str, bytes]
    actions: list[Action]
    environment: dict[str, str]
    data: bytes


class NotManifest(ValueError):
    """The input is no manifest."""


def parse(stdin: bytes) -> Manifest:
    """Read the standard input of a task.

    Raises:
        NotManifest: it is something else.
    """
    _head, body, data = _split(stdin)
    document = _document(body)
    scripts = {name: _source(info) for name, info in document["scripts"].items()}
    actions = [Action(item["name"], item.get("params") or {}) for item in document["actions"]]
    module: str | None = None
    args: dict[str, Any] = {}
    environment: dict[str, str] = {}
    for action in actions:
        if action.name == "module_wrapper.ps1":
            module = _short(str(action.params.get("Script", "")).removesuffix(".ps1"))
            environment = action.params.get("Environment") or {}
            for variable in action.params.get("Variables") or []:
                if variable.get("Name") == "complex_args":
                    args = variable.get("Value") or {}
    return Manifest(module, args, scripts, actions, environment, data)


def rewrite(stdin: bytes, replace: Callable[[str, bytes], bytes]) -> bytes:
    """Swap the source of scripts where they stand.

    Args:
        stdin: the whole standard input.
        replace: called with name and source of every script; returns the source to send on.

    Returns:
        The new input; byte for byte the old one when nothing was swapped or it is no manifest.
    """
    try:
        head, body, data = _split(stdin)
        document = _document(body)
        changed = False
        for name, info in document["scripts"].items():
            old = _source(info)
            new = replace(name, old)
            if new != old:
                info["script"] = base64.b64encode(new).decode()
                # Coverage is booked on the path: lines of the stand-in must not count for the file it replaces.
                info["path"] = f"swapped:{info.get('path', name)}"
                changed = True
        changed = _in_one_runspace(document) or changed
    except NotManifest:
        return stdin
    if not changed:
        return stdin
    return head + json.dumps(document).encode() + data


class Rewriter:
    """rewrite() for input that comes in pieces: holds back only a manifest that is not complete yet."""

    def __init__(self, replace: Callable[[str, bytes], bytes]) -> None:
        self._replace = replace
        self._held: bytearray | None = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what may go on to the program."""
        if self._held is None:
            return data
        self._held += data
        if waits(self._held):
            return b""
        return self.finish()

    def finish(self) -> bytes:
        """No more input comes: return what was held back."""
        held, self._held = self._held, None
        return rewrite(bytes(held), self._replace) if held else b""


def waits(held: bytes | bytearray) -> bool:
    """Whether what came so far may be the begin of a manifest that is not complete yet."""
    if held.lstrip(b"\xef\xbb\xbf \r\n")[:1] not in (b"{", b""):
        return False
    mark = held.find(b"\n" + MARK + b"\n")
    return mark < 0 or held.find(b"\n", mark + len(MARK) + 2) < 0


def _split(stdin: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut into (wrapper and mark, manifest, what follows from its line end on)."""
    wrapper, mark, rest = stdin.partition(b"\n" + MARK + b"\n")
    if not mark:
        raise NotManifest("no line of four NULs")
    body, newline, data = rest.partition(b"\n")
    return wrapper + mark, body, newline + data


def _in_one_runspace(document: dict[str, Any]) -> bool:
    """Let looks run in one runspace where WULAB_LANES asks for it: ansible-core's line coverage counts in the first one only."""
    changed = False
    for action in document["actions"] if os.environ.get("WULAB_LANES") == "1" else ():
        for variable in (action.get("params") or {}).get("Variables") or []:
            request = (variable.get("Value") or {}).get("request") if variable.get("Name") == "complex_args" else None
            for look in (request, request.get("observe")) if isinstance(request, dict) else ():
                if isinstance(look, dict) and look.get("op") == "observe":
                    look["lanes"] = 1
                    changed = True
    return changed


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as exc:
        raise NotManifest("the manifest is no JSON") from exc
    if not isinstance(document, dict) or not isinstance(document.get("scripts"), dict):
        raise NotManifest("the manifest has no scripts")
    if not isinstance(document.get("actions"), list):
        raise NotManifest("the manifest has no actions")
    return document


def _short(name: str) -> str:
    """ansible_collections.NAMESPACE.COLLECTION.plugins.modules.NAME is known as NAMESPACE.COLLECTION.NAME."""
    parts = name.split(".")
    if len(parts) > 5 and parts[0] == "ansible_collections" and parts[3:5] == ["plugins", "modules"]:
        return ".".join([parts[1], parts[2], *parts[5:]])
    return name


def _source(info: Any) -> bytes:
    try:
        return base64.b64decode(info["script"], validate=True)
    except (KeyError, TypeError, binascii.Error) as exc:
        raise NotManifest("a script is not base64") from exc
