# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fleets for tests that go through ansible-core, the winrm connection and the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab.fleet import Fleet, missing
from lab.hosts import HostSpec

MakeFleet = Callable[..., Fleet]


# In these files the engine does nothing of its own, or nothing that fix_wu.yml does not play on it: a look after a restart, a reset after
# an update run, each module once more, logs that tests/unit/agent reads by the same PowerShell without the wire.
BY_THE_WAY = ("test_restart.py", "test_rescue.py", "test_modules.py", "test_logs_on_hosts.py")
# In these files the model does nothing that the engine, or the real PowerShell of tests/unit/agent, does not do in make test, too.
BY_POWERSHELL = ("test_steps.py", "test_logs_on_hosts.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to make test-long what make test plays by another way."""
    has_engine = not missing("engine")
    for item in items:
        by_the_way = item.path.name in BY_THE_WAY and "[engine" in item.name
        by_powershell = has_engine and item.path.name in BY_POWERSHELL and "[model" in item.name
        if by_the_way or by_powershell:
            item.add_marker(pytest.mark.slow)


def backend_params() -> list[object]:
    """The backends that a test of behaviour runs on, each skipped with its reason where it cannot be had."""
    params: list[object] = [pytest.param("model", id="model")]
    reason = missing("engine")
    params.append(pytest.param("engine", id="engine", marks=[pytest.mark.engine, pytest.mark.skipif(bool(reason), reason=str(reason))]))
    return params


@pytest.fixture(scope="module", params=backend_params())
def backend(request: pytest.FixtureRequest) -> str:
    """One backend after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
def make_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeFleet]:
    """Start fleets of named scenarios; all end with the module."""
    with ExitStack() as stack:

        def make(backend: str, *scenarios: str, personality: str = "5.1") -> Fleet:
            folder: Path = tmp_path_factory.mktemp("fleet")
            specs = [HostSpec(name.partition("=")[2] or Path(name).stem, name.partition("=")[0]) for name in scenarios]
            return stack.enter_context(Fleet(specs, backend, folder, personality=personality))

        yield make
