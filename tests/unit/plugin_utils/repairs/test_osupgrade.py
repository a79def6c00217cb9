# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OS upgrade: one value, client editions only, and never more than an attempt."""

from __future__ import annotations

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import repairs
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import osupgrade
from unit.plugin_utils.documents import look
from unit.plugin_utils.repairs.asked import failure, make, prove

KEY = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\OSUpgrade"
ALLOWED = {"upgrade.osupgrade": {"AllowOSUpgrade": 1}}
ROLLED_BACK = failure("upgrade", 0xC1900101, subject="upgrade:24H2", answer={"owner": "hardware"}, attempt="osupgrade")


def test_the_value_is_set_and_taken_back() -> None:
    (step,) = make("osupgrade", look(), state="present").steps
    assert (step.kind, step.args) == ("set_value", {"key": KEY, "name": "AllowOSUpgrade", "kind": "DWord", "value": 1})
    (step,) = make("osupgrade", look(ALLOWED), state="absent").steps
    assert (step.kind, step.args) == ("remove_value", {"key": KEY, "name": "AllowOSUpgrade"})


def test_what_is_so_already_is_left() -> None:
    assert make("osupgrade", look(ALLOWED), state="present").steps == ()
    assert make("osupgrade", look({"upgrade.osupgrade": {"allowosupgrade": 1}}), state="present").steps == ()
    assert make("osupgrade", look(), state="absent").steps == ()


@pytest.mark.parametrize("value", [0, "1"])
def test_another_value_is_corrected_and_expected(value: int | str) -> None:
    made = make("osupgrade", look({"upgrade.osupgrade": {"AllowOSUpgrade": value}}), state="present")
    wanted = {"what": "value", "name": f"{KEY}\\AllowOSUpgrade", "field": "value", "is": value}
    assert wanted in made.request(None)["expect"]
    assert made.diff == ({"AllowOSUpgrade": value}, {"AllowOSUpgrade": 1})


@pytest.mark.parametrize("kind", ["server", "domain_controller", None])
def test_only_a_client_is_changed(kind: str | None) -> None:
    made = make("osupgrade", look({"host.product_type": kind}), state="present")
    assert made.refused is not None
    assert made.refused.verdict == "unsupported"
    assert made.steps == ()


def test_policies_that_decide_anyway_are_named() -> None:
    over = {"policy.wu": {"DisableOSUpgrade": 1, "TargetReleaseVersion": 0, "TargetReleaseVersionInfo": "22H2"}}
    assert osupgrade.overridden_by(look(over)) == ["DisableOSUpgrade = 1", "TargetReleaseVersionInfo = 22H2"]
    assert make("osupgrade", look(over)).notes == ("overridden by DisableOSUpgrade = 1, TargetReleaseVersionInfo = 22H2",)
    assert osupgrade.overridden_by(look()) == []


def test_it_is_an_attempt_and_no_repair() -> None:
    assert repairs.asked_for([ROLLED_BACK]) == ()
    assert repairs.attempted([ROLLED_BACK]) == ("osupgrade",)
    assert repairs.asked_for([failure("upgrade", 0xC1900101, "osupgrade")]) == ()
    assert make("osupgrade", look(), ROLLED_BACK).reasons == (ROLLED_BACK.id,)
    assert [repair.name for repair in repairs.BY_NAME.values() if repair.attempt] == ["osupgrade"]


def test_a_value_that_is_set_proves_no_upgrade() -> None:
    made = make("osupgrade", look(), ROLLED_BACK)
    assert prove(made, look(ALLOWED), (ROLLED_BACK,)).status == "unproven"
    assert prove(made, look(), (ROLLED_BACK,)).status == "refuted"
    assert prove(make("osupgrade", look()), look(ALLOWED), ()).status == "proved"
    unread = prove(make("osupgrade", look()), look(status={"upgrade": "timeout"}), ())
    assert (unread.status, "timeout" in str(unread.reason)) == ("unproven", True)
    gone = make("osupgrade", look(ALLOWED), state="absent")
    assert (prove(gone, look(), ()).status, prove(gone, look(ALLOWED), ()).status) == ("proved", "refuted")
