# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The case of a host: what comes next, what came of it, and what holds whatever happens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case as cases
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils import case_document
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.case import (
    Applied,
    Case,
    Declined,
    Look,
    Looked,
    Lost,
    Options,
    Restarted,
    Searched,
    TimedOut,
    Would,
)
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.repairs import Proof
from ansible_collections.winfleet.wu_repair.plugins.plugin_utils.verdict import Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RUN = "20261124T101530Z-1a2b3c"
REPAIRS = ("timesync", "reset", "osupgrade")
FIX = Options(mode="routed", repairs=REPAIRS, restart=False, search=True)
PROVED = Proof("proved", "a live search", None)
SICK = Look(Verdict(name="sick", msg="0x80070002 in searches.", repairs=("reset",), why="0x80070002"))
TWO = Look(Verdict(name="sick", msg="The clock is 2 h behind.", repairs=("timesync", "reset"), why="0x80072F8F"))
HEALTHY = Look(Verdict(name="healthy", msg="Windows Update works."))
NEEDS = Look(Verdict(name="needs_action", msg="The component store is damaged.", next_step="Run DISM", owner="admin", why="0x80073712"))
UPGRADE = Look(replace(NEEDS.verdict, attempts=("osupgrade",), why="0xC1900101"))
WAITS = Look(Verdict(name="restart_required", msg="Windows waits for a restart.", why="restart_pending"), waits=True)
STALE = Look(Verdict(name="stale", msg="No search for 20 days.", search=True, why="stale"))
UNKNOWN = Look(Verdict(name="unknown", msg="Searches are not known."), timed_out=("events", "reporting"))
PASSING = Look(Verdict(name="busy", msg="0x80072EE2 in searches.", why="0x80072EE2", until=1795515300))
BEHIND = Look(Verdict(name="behind", msg="The last update is 80 days old."))


def opened(look: Look | None = None, options: Options = FIX) -> Case:
    """A case, with its first look."""
    begun = cases.start("web01", RUN, options, now=1_764_000_000)
    return begun if look is None else cases.advance(begun, Looked(look))


def after(case: Case, *events: cases.Event) -> Case:
    """The case after all these events."""
    for event in events:
        case = cases.advance(case, event)
    return case


def said(case: Case) -> str:
    """The name of the verdict."""
    return cases.verdict_of(case).name


def reset(look: Look | None = HEALTHY, *, changed: bool = True, failed: str = "", proof: Proof = PROVED, unknown: str = "") -> Applied:
    """A reset and what came of it."""
    backups = (rf"C:\Windows\SoftwareDistribution.wu_repair-{RUN}",)
    return Applied("reset", changed, failed, unknown, backups, look, {"reset": proof}, ("cache reset",))


# --- what comes next ---


@pytest.mark.parametrize(
    ("look", "options", "expected"),
    [
        (HEALTHY, FIX, "end"),
        (SICK, FIX, "reset"),
        (TWO, FIX, "timesync"),
        (SICK, Options(), "end"),
        (SICK, replace(FIX, repairs=("timesync",)), "end"),
        (SICK, replace(FIX, mode="all"), "timesync"),
        (NEEDS, FIX, "end"),
        (NEEDS, replace(FIX, mode="all"), "end"),
        (UPGRADE, FIX, "osupgrade"),
        (UPGRADE, replace(FIX, repairs=("reset",)), "end"),
        (WAITS, FIX, "end"),
        (WAITS, replace(FIX, restart=True), "restart"),
        (replace(SICK, waits=True), FIX, "end"),
        (STALE, FIX, "search"),
        (STALE, replace(FIX, search=False), "end"),
        (UNKNOWN, FIX, "look"),
        (replace(UNKNOWN, timed_out=()), FIX, "end"),
    ],
)
def test_what_a_look_is_followed_by(look: Look, options: Options, expected: str) -> None:
    assert opened(look, options).next == expected


def test_a_case_begins_with_a_look() -> None:
    assert opened().next == "look"


def test_a_lost_look_is_repeated_once() -> None:
    once = after(opened(), Lost("timed out"))
    assert once.next == "look"
    assert said(after(once, Looked(HEALTHY))) == "healthy"
    twice = after(once, Lost("timed out"))
    assert (twice.next, said(twice), twice.changed) == ("end", "unreachable", False)
    assert "timed out" in cases.verdict_of(twice).msg


def test_what_timed_out_is_asked_once_more() -> None:
    again = after(opened(), TimedOut(UNKNOWN))
    assert (again.next, again.was) == ("look", "")
    still = after(again, TimedOut(UNKNOWN))
    assert (still.next, still.was, said(still)) == ("end", "unknown", "unknown")
    better = after(again, Looked(SICK))
    assert (better.next, better.was, better.why) == ("reset", "sick", "0x80070002")


def test_a_silent_host_is_searched_once() -> None:
    found = after(opened(STALE), Searched(STALE))
    assert (found.next, found.was, said(found)) == ("end", "stale", "stale")


def test_repairs_follow_each_other_while_something_asks() -> None:
    one = after(opened(TWO), Applied("timesync", True, look=SICK, proofs={"timesync": PROVED}))
    assert one.next == "reset"
    two = after(one, reset())
    assert (two.next, two.did, said(two)) == ("end", ("timesync", "reset"), "repaired")
    assert after(opened(TWO), Applied("timesync", True, look=HEALTHY, proofs={"timesync": PROVED})).next == "end"


def test_no_repair_is_made_twice() -> None:
    assert after(opened(SICK), reset(SICK)).next == "end"
    assert after(opened(SICK), Declined("reset", "needs_action", "It is a link.")).next == "end"


def test_all_repairs_a_sick_host_until_it_is_cured() -> None:
    every = replace(FIX, mode="all")
    one = after(opened(SICK, every), Applied("timesync", True, look=SICK, proofs={"timesync": PROVED}))
    assert one.next == "reset"
    assert after(one, reset(SICK)).next == "osupgrade"
    assert after(one, reset(HEALTHY)).next == "end"


def test_a_restart_is_followed_by_a_search_and_made_once() -> None:
    options = replace(FIX, restart=True)
    restarted = after(opened(WAITS, options), Restarted())
    assert (restarted.next, restarted.changed, restarted.did) == ("search", True, ("restart",))
    assert after(opened(WAITS, replace(options, search=False)), Restarted()).next == "look"
    done = after(restarted, Searched(HEALTHY))
    assert (done.next, said(done)) == ("end", "healthy")
    assert after(restarted, Searched(WAITS)).next == "end"


def test_a_host_that_does_not_come_back_has_failed() -> None:
    restarted = after(opened(WAITS, replace(FIX, restart=True)), Restarted())
    assert said(after(restarted, Lost("no route"), Lost("no route"))) == "failed"
    gone = after(opened(WAITS, replace(FIX, restart=True)), Restarted("timed out after 600 s"))
    assert (gone.next, said(gone), gone.changed) == ("end", "failed", True)


# --- what came of it ---


def test_a_proved_reset_is_a_repair() -> None:
    done = after(opened(SICK), reset())
    assert (said(done), done.changed) == ("repaired", True)
    assert cases.row(done)["proved_by"] == "a live search"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (reset(SICK), "unresolved"),
        (reset(NEEDS), "unresolved"),
        (reset(WAITS), "restart_required"),
        (reset(STALE), "unproven"),
        (reset(HEALTHY, proof=Proof("unproven", None, "no search")), "unproven"),
        (reset(BEHIND), "repaired"),
        (reset(None), "unproven"),
        (reset(Look(Verdict(name="failed", msg="no reply"))), "unproven"),
        (reset(HEALTHY, failed="wuauserv did not stop", changed=False), "failed"),
        (reset(None, changed=False, unknown="found is a list"), "failed"),
        (Lost("read timed out", "reset"), "failed"),
        (Declined("reset"), "unresolved"),
        (Declined("reset", "needs_action", "SoftwareDistribution is a link."), "needs_action"),
        (Declined("reset", "busy", "Windows is installing updates now."), "busy"),
        (Declined("reset", "failed", "The host changed since the look."), "failed"),
        (Would("reset", ("set aside SoftwareDistribution",)), "sick"),
    ],
)
def test_verdict_after_one_reset(event: cases.Event, expected: str) -> None:
    assert said(after(opened(SICK), event)) == expected


def test_a_weak_proof_of_one_repair_spoils_the_other() -> None:
    weak = {"timesync": Proof("unproven", None, "its source is silent")}
    one = after(opened(TWO), Applied("timesync", True, look=SICK, proofs=weak))
    assert said(after(one, reset())) == "unproven"
    proved = after(one, replace(reset(), proofs={"reset": PROVED, "timesync": Proof("proved", "the offset", None)}))
    assert said(proved) == "repaired"
    assert cases.row(proved)["proved_by"] == "the offset and a live search"


def test_an_outcome_that_is_lost_is_looked_at_once_and_stays_unknown() -> None:
    lost = after(opened(SICK), Lost("read timed out", "reset"))
    assert (lost.next, lost.changed, lost.did) == ("look", True, ("reset",))
    done = after(lost, Looked(HEALTHY))
    assert (done.next, said(done), done.changed) == ("end", "failed", True)
    assert RUN in cases.verdict_of(done).msg
    assert "healthy" in cases.verdict_of(done).msg
    silent = after(lost, Lost("gone"), Lost("gone"))
    assert (silent.next, said(silent)) == ("end", "failed")


def test_an_account_that_cannot_be_read_is_a_change() -> None:
    odd = after(opened(SICK), reset(None, changed=False, unknown="found is a list"))
    assert (odd.changed, odd.next) == (True, "look")


def test_what_was_changed_stays_changed() -> None:
    done = after(opened(TWO), Applied("timesync", True, look=SICK), reset(SICK, changed=False, failed="it did not stop"))
    assert (done.changed, said(done)) == (True, "failed")


def test_an_attempt_keeps_the_verdict_of_the_look() -> None:
    tried = after(opened(UPGRADE), Applied("osupgrade", True, look=UPGRADE))
    assert (tried.next, said(tried), tried.changed, tried.did) == ("end", "needs_action", True, ("osupgrade",))


def test_a_repair_that_may_not_be_made_leaves_the_host_unresolved() -> None:
    skipped = opened(SICK, replace(FIX, repairs=("timesync",)))
    assert (said(skipped), skipped.did, skipped.changed) == ("unresolved", (), False)
    assert said(opened(SICK, Options())) == "sick"


def test_check_mode_says_what_it_would_do_and_what_might_follow() -> None:
    would = after(opened(SICK, replace(FIX, mode="all")), Would("timesync", ("resynchronise the clock",)))
    row = cases.row(would)
    assert (would.next, row["would"], row["if_not_cured"]) == ("end", ["resynchronise the clock"], ["reset", "osupgrade"])
    assert (row["did"], row["now"], row["changed"], would.changed) == ([], "sick", True, False)


def test_row_keeps_what_a_person_needs() -> None:
    row = cases.row(after(opened(SICK), reset(NEEDS)))
    assert (row["was"], row["why"], row["did"], row["now"]) == ("sick", "0x80070002", ["reset"], "unresolved")
    assert (row["run_id"], row["deeds"]) == (RUN, ["cache reset"])
    assert "cache reset" in row["msg"]
    assert row["backups"] == [rf"C:\Windows\SoftwareDistribution.wu_repair-{RUN}"]
    assert (row["proved_by"], row["proof"]["status"], row["owner"], row["next_step"] != "") == (PROVED.by, "proved", "admin", True)


# --- the document ---


def test_a_case_survives_its_document() -> None:
    declined = after(opened(SICK), Declined("reset", "busy", "Windows installs."))
    for case in (opened(), opened(STALE), opened(PASSING), after(opened(SICK), reset()), declined):
        document = json.loads(json.dumps(case_document.to_document(case)))
        again = case_document.parse(document)
        assert case_document.to_document(again) == document
        assert (again.next, said(again)) == (case.next, said(case))
        assert cases.row(again)["until"] == cases.row(case)["until"]
    assert cases.row(opened(PASSING))["until"] == 1795515300


def test_options_come_as_the_role_gives_them() -> None:
    given_ = {"mode": "routed", "repairs": ["timesync", "reset"], "skip": ["reset"], "restart": "true", "search": False}
    assert case_document.parse_options(given_) == Options("routed", ("timesync",), restart=True, search=False)
    assert case_document.parse_options({}).search is True
    assert case_document.parse_options({"repairs": "reset, timesync"}).repairs == ("reset", "timesync")
    assert set(case_document.parse_options({"repairs": ["all"], "skip": ["reset"]}).repairs) == {"timesync", "osupgrade"}


@pytest.mark.parametrize(
    "document",
    [
        None,
        3,
        [],
        {"schema": 2},
        {"schema": 1, "did": "reset"},
        {"schema": 1, "changed": 1},
        {"schema": 1, "look": 3},
        {"schema": 1, "lost": True},
    ],
)
def test_what_is_no_case_is_refused_in_one_line(document: object) -> None:
    with pytest.raises(case_document.CaseError, match=r"^option case[^\n]*$"):
        case_document.parse(document)


@pytest.mark.parametrize("options", [{"mode": "some"}, {"modes": "all"}, {"restart": "perhaps"}, {"repairs": ["rest"]}, {"repairs": 3}])
def test_options_that_are_none_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(case_document.CaseError, match=r"^option case"):
        case_document.parse_options(options)


def test_a_line_is_printable_and_short() -> None:
    assert cases.line("a\n\tb\x00c\x1b[31m") == "a b c [31m"
    assert len(cases.line("x" * 1000)) == cases.MAX_LINE


# --- what holds whatever happens ---

NAMES = (
    "healthy", "behind", "stale", "unknown", "unproven", "busy", "needs_action", "sick", "restart_required", "failed", "unsupported",
)  # fmt: skip
REFUSED = ("", "busy", "failed", "needs_action", "restart_required")
texts = st.text(max_size=400)
subsets = st.lists(st.sampled_from(REPAIRS), unique=True, max_size=3).map(tuple)
verdicts = st.builds(
    Verdict,
    name=st.sampled_from(NAMES),
    msg=texts,
    next_step=texts,
    owner=st.sampled_from([None, "admin", "wsus"]),
    repairs=subsets,
    attempts=st.sampled_from([(), ("osupgrade",)]),
    why=st.text(max_size=40),
    search=st.booleans(),
)
late = st.lists(st.sampled_from(["events", "history", "cbs"]), unique=True).map(tuple)
looks = st.builds(Look, verdicts, waits=st.booleans(), timed_out=late)
proofs = st.builds(Proof, st.sampled_from(["proved", "unproven", "refuted"]), st.none() | texts, st.none() | texts)
known = st.dictionaries(st.sampled_from(REPAIRS), proofs, max_size=3)
options_ = st.builds(Options, mode=st.sampled_from(cases.MODES), repairs=subsets, restart=st.booleans(), search=st.booleans())
seeing: st.SearchStrategy[cases.Event] = st.one_of(
    st.builds(Looked, looks, known), st.builds(Searched, looks, known), st.builds(TimedOut, looks, known), st.builds(Lost, texts)
)


def changing(repair: str) -> st.SearchStrategy[cases.Event]:
    """What can come of a repair."""
    return st.one_of(
        st.builds(
            Applied,
            st.just(repair),
            st.booleans(),
            st.just("") | texts,
            st.just("") | texts,
            st.lists(texts, max_size=9).map(tuple),
            st.none() | looks,
            known,
        ),
        st.builds(Lost, texts, st.just(repair)),
        st.builds(Declined, st.just(repair), st.sampled_from(REFUSED), st.just("") | texts),
        st.builds(Would, st.just(repair), st.lists(texts, max_size=9).map(tuple)),
    )


def follow(case: Case, data: st.DataObject) -> list[tuple[str, cases.Event, Case]]:
    """Do what comes next until the end, with whatever may come of it."""
    taken = []
    while not case.ended:
        name = case.next
        source = seeing if name in ("look", "search") else changing(name)
        if name == "restart":
            source = st.builds(Restarted, st.just("") | texts)
        event = data.draw(source)
        case = cases.advance(case, event)
        taken.append((name, event, case))
    return taken


anything: st.SearchStrategy[cases.Event] = st.one_of(seeing, st.builds(Restarted, texts), *(changing(name) for name in REPAIRS))
often = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example], deadline=None)


@often
@given(options_, st.data())
def test_every_case_ends_and_does_nothing_twice(options: Options, data: st.DataObject) -> None:
    taken = follow(opened(options=options), data)
    done = [name for name, _event, _case in taken if name not in ("look", "search")]
    assert len(taken) <= cases.MAX_ACTIONS
    assert len(done) == len(set(done))
    assert set(done) <= {*options.repairs, "restart"}


@often
@given(options_, st.lists(anything, max_size=16))
def test_changed_is_never_taken_back_and_repaired_is_never_better_than_the_look(options: Options, events: list[cases.Event]) -> None:
    case, changed = opened(options=options), False
    for event in events:
        case = cases.advance(case, event)
        sent = isinstance(event, Restarted) or isinstance(event, Applied) and (event.changed or bool(event.unknown))
        changed = changed or sent or isinstance(event, Lost) and bool(event.repair)
        assert case.changed is changed
        came = cases.verdict_of(case)
        if came.name == "repaired":
            assert case.look is not None
            assert case.look.verdict.name in ("healthy", "behind")
            assert not case.blind
            assert not case.failed
        if came.name == "healthy":
            assert case.look is not None
            assert case.look.verdict.name == "healthy"
        if case.unknown or case.failed:
            assert came.name == "failed"
        if came.name == "unreachable":
            assert not case.changed
        assert case.actions < cases.MAX_ACTIONS or case.next == "end"
        assert case.next not in case.tried


@pytest.mark.parametrize("blank", [" ", "\x00", "\u200b\n"])
def test_a_reason_that_cannot_be_printed_is_one(blank: str) -> None:
    events = (
        Restarted(blank),
        Applied("reset", True, failed=blank),
        Applied("reset", True, unknown=blank),
        Declined("reset", "failed", blank),
    )
    for event in events:
        case = after(opened(SICK), event)
        assert said(case) == "failed"
        assert said(case_document.parse(case_document.to_document(case))) == "failed"
        assert "  " not in cases.verdict_of(case).msg


@often
@given(options_, st.lists(anything, max_size=16))
def test_a_case_fits_and_is_read_back_as_it_was(options: Options, events: list[cases.Event]) -> None:
    case = after(opened(options=options), *events)
    document = case_document.to_document(case)
    assert len(json.dumps(document, separators=(",", ":"))) <= case_document.MAX_BYTES
    assert {"verdict", "next", "run"} <= set(document)
    again = case_document.parse(json.loads(json.dumps(document)))
    assert (again.next, again.changed, again.did, again.run) == (case.next, case.changed, case.did, case.run)
    assert said(again) == said(case)
    msg = cases.verdict_of(case).msg
    assert len(msg) <= cases.MAX_LINE or case.look is not None and msg == case.look.verdict.msg


@often
@given(options_, st.data())
def test_a_case_that_travels_decides_as_one_that_stays(options: Options, data: st.DataObject) -> None:
    case = opened(options=options)
    for _name, event, stayed in follow(case, data):
        case = cases.advance(case_document.parse(case_document.to_document(case)), event)
        assert (case.next, said(case)) == (stayed.next, said(stayed))
