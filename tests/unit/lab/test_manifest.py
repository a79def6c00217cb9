# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests of ansible-core's PowerShell execution: read, swapped, passed through."""

from __future__ import annotations

import base64
import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.manifest import MARK, NotManifest, Rewriter, parse, rewrite

UTIL = "ansible_collections.winfleet.wu_repair.plugins.module_utils._PlatformRead.psm1"
MODULE = "ansible_collections.winfleet.wu_repair.plugins.modules.wu_observe.ps1"


def make(data: bytes = b"", **changes: Any) -> bytes:
    scripts = {
        "module_wrapper.ps1": b"wrapper", MODULE: b"'module'", UTIL: "function A { '\u00e9' }\r\n".encode(),
    }
    document = {
        "scripts": {
            name: {"path": f"/c/{name}", "script": base64.b64encode(text).decode()} for name, text in scripts.items()
        },
        "actions": [{
            "name": "module_wrapper.ps1",
            "params": {
                "Script": MODULE, "Environment": {"A": "b"}, "ForModule": True,
                "Variables": [{"Name": "complex_args", "Value": {"request": {"op": "observe"}}, "Scope": "Global"}],
            },
            "secure_params": {},
        }],
        "signed_hashlist": [],
        **changes,
    }
    head = json.dumps({"name": "exec_wrapper", "script": "begin {}\n", "params": {"TempPath": None}}).encode()
    return head + b"\n" + MARK + b"\n" + json.dumps(document).encode() + data


def swap(name: str, source: bytes) -> bytes:
    return b"swapped" if name == UTIL else source


def test_parse() -> None:
    manifest = parse(make())
    assert manifest.module == "winfleet.wu_repair.wu_observe"
    assert manifest.args == {"request": {"op": "observe"}}
    assert manifest.scripts[MODULE] == b"'module'"
    assert [action.name for action in manifest.actions] == ["module_wrapper.ps1"]
    assert manifest.environment == {"A": "b"}
    assert manifest.data == b""


def test_what_follows_the_manifest_is_kept() -> None:
    stdin = make(b"\n" + MARK + b"\naGVsbG8=\r\n")
    assert parse(stdin).data == b"\n" + MARK + b"\naGVsbG8=\r\n"
    assert rewrite(stdin, swap).endswith(b"}\n" + MARK + b"\naGVsbG8=\r\n")


def test_rewrite_touches_one_script_alone() -> None:
    before, after = parse(make()), parse(rewrite(make(), swap))
    assert after.scripts == {**before.scripts, UTIL: b"swapped"}
    assert (after.args, after.actions, after.module) == (before.args, before.actions, before.module)


def test_coverage_of_a_swapped_script_is_not_booked_on_the_original() -> None:
    document = json.loads(rewrite(make(), swap).rpartition(MARK + b"\n")[2])
    assert document["scripts"][UTIL]["path"] == f"swapped:/c/{UTIL}"
    assert document["scripts"][MODULE]["path"] == f"/c/{MODULE}"


@pytest.mark.parametrize("stdin", [
    b"", b"{", b"plain text\n" + MARK + b"\nmore", make()[:-5], make(scripts=[]), make(actions={}),
    make(scripts={"a": {}}), make(scripts={"a": {"script": "no base64!"}}), b"\xff\xfe\x00",
])
def test_anything_else_passes_through(stdin: bytes) -> None:
    with pytest.raises(NotManifest):
        parse(stdin)
    assert rewrite(stdin, swap) == stdin


def test_nothing_swapped_is_byte_for_byte_the_same() -> None:
    assert rewrite(make(), lambda _name, source: source) == make()


@given(st.sets(st.integers(0, len(make(b"\n" + MARK + b"\nrest\n")))), st.booleans())
def test_pieces_give_the_same_as_the_whole(cuts: set[int], with_data: bool) -> None:
    stdin = make(b"\n" + MARK + b"\nrest\n" if with_data else b"")
    rewriter = Rewriter(swap)
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stdin)), len(stdin)]
    out = b"".join(rewriter.feed(stdin[start:end]) for start, end in zip(edges, edges[1:], strict=False))
    assert out + rewriter.finish() == rewrite(stdin, swap)


def test_other_input_is_not_held_back() -> None:
    rewriter = Rewriter(swap)
    assert rewriter.feed(b"dir\r\n") == b"dir\r\n"
    assert rewriter.feed(b"{") == b"{"


def test_the_manifest_goes_on_before_the_data_ends() -> None:
    rewriter = Rewriter(swap)
    assert rewriter.feed(make(b"\n")) == rewrite(make(b"\n"), swap)
    assert rewriter.feed(b"chunk\n") == b"chunk\n"
    assert rewriter.finish() == b""


def test_input_that_the_installed_ansible_makes() -> None:
    module_manifest = pytest.importorskip("ansible.executor.powershell.module_manifest")
    parameters = inspect.signature(module_manifest._create_powershell_wrapper).parameters
    source = b"#!powershell\n#AnsibleRequires -CSharpUtil Ansible.Basic\n'x'\n"
    known = {
        "name": "some.collection.thing", "module_data": source, "module_path": "/x/thing.ps1",
        "module_args": {"a": ["\u00fc", 1, None], "_ansible_tmpdir": None}, "environment": {}, "async_timeout": 0,
        "become_plugin": None, "substyle": "powershell", "task_vars": {}, "profile": "legacy", "pwsh_interpreter": None,
    }
    stdin = module_manifest._create_powershell_wrapper(**{name: known[name] for name in parameters})
    manifest = parse(stdin)
    assert manifest.module == "some.collection.thing"
    assert manifest.args["a"] == ["\u00fc", 1, None]
    assert manifest.scripts["some.collection.thing.ps1"] == source
    assert "Ansible.Basic.cs" in manifest.scripts
    swapped = rewrite(stdin, lambda name, old: b"new" if name.endswith(".thing.ps1") else old)
    assert parse(swapped).scripts == {**manifest.scripts, "some.collection.thing.ps1": b"new"}
