# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the playbooks, over plugin_utils/rollout.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import rollout

# The registered variable that holds the newest case of a host.
VARIABLE = "wu_repair_result"


def is_over(hosts: Sequence[str], hostvars: Mapping[str, Any], canaries: Sequence[str], limit: object) -> bool:
    """Whether no more of these hosts may be repaired."""
    return rollout.is_over(rollout.known_rows(hosts, hostvars, VARIABLE), canaries, limit)


def batches(hosts: Sequence[str], hostvars: Mapping[str, Any], part: str) -> list[int | str]:
    """The sizes of batches of these hosts: a play has no host yet, so that the first says how it is wanted."""
    wanted = hostvars[hosts[0]].get("wu_repair_serial", rollout.SERIAL) if hosts else rollout.SERIAL
    return rollout.batches(wanted, part)


def has_canary(hosts: Sequence[str], hostvars: Mapping[str, Any]) -> bool:
    """Whether one of these hosts was sent a change."""
    return rollout.has_canary(rollout.known_rows(hosts, hostvars, VARIABLE))


def at_one_server(hosts: Sequence[str], hostvars: Mapping[str, Any], repairable: Sequence[str]) -> list[str]:
    """Those of the hosts to be repaired that fail alike at one server; as a play takes hosts, a pattern of nobody where there are none."""
    if not repairable:
        return [rollout.NOBODY]
    # A play has no host yet whose variables it could ask for.
    least = hostvars[repairable[0]].get("wu_repair_shared_server", rollout.SHARED_SERVER)
    return rollout.at_one_server(rollout.asking_rows(hosts, hostvars, VARIABLE), least) or [rollout.NOBODY]


class FilterModule:
    """Gives ansible-core the filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Called by ansible-core."""
        ours = {"at_one_server": at_one_server, "has_canary": has_canary, "is_over": is_over}
        return {**ours, "batches": batches, "hosts": rollout.hosts_of, "pattern": rollout.pattern}
