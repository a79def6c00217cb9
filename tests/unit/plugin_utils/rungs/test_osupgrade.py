# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OS upgrade: one value, client editions only."""

from __future__ import annotations

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import plan
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.evidence import Evidence
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.rungs import osupgrade
from unit.plugin_utils.documents import RUN, SETTINGS, find, look

KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade"
ALLOWED = {"upgrade.osupgrade": {"AllowOSUpgrade": 1}}


def make(evidence: Evidence, state: str) -> plan.Plan:
    return plan.build("osupgrade", evidence, find(evidence), {"state": state}, RUN, SETTINGS)


def test_the_value_is_set_and_taken_back() -> None:
    (step,) = make(look(), "present").steps
    assert (step.kind, step.args) == ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1})
    (step,) = make(look(ALLOWED), "absent").steps
    assert (step.kind, step.args) == ("remove_value", {"key": KEY, "name": "AllowOSUpgrade"})


def test_what_is_so_already_is_left() -> None:
    assert make(look(ALLOWED), "present").steps == ()
    assert make(look(), "absent").steps == ()


def test_another_value_is_corrected_and_expected() -> None:
    made = make(look({"upgrade.osupgrade": {"AllowOSUpgrade": 0}}), "present")
    assert {"what": "value", "name": f"{KEY}\\AllowOSUpgrade", "field": "value", "is": 0} in made.request(None)[
        "expect"
    ]
    assert made.diff == ({"AllowOSUpgrade": 0}, {"AllowOSUpgrade": 1})


@pytest.mark.parametrize("kind", ["server", "domain_controller", None])
def test_only_a_client_is_changed(kind: str | None) -> None:
    made = make(look({"host.product_type": kind}), "present")
    assert made.refused is not None
    assert made.refused.verdict == "unsupported"
    assert made.steps == ()


def test_policies_that_decide_anyway_are_named() -> None:
    over = {"policy.wu": {"DisableOSUpgrade": 1, "TargetReleaseVersion": 0, "TargetReleaseVersionInfo": "22H2"}}
    assert osupgrade.overridden_by(look(over)) == ["DisableOSUpgrade = 1", "TargetReleaseVersionInfo = 22H2"]
    assert make(look(over), "present").notes == ("overridden by DisableOSUpgrade = 1, TargetReleaseVersionInfo = 22H2",)
    assert osupgrade.overridden_by(look()) == []
