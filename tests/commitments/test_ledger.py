"""Who owes what to whom: the life of a commitment, operation by operation."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.acts.performative import Performative
from agentcomm.commitments.ledger import Books, Ledger, Status, audit, hand_over, record, take_back
from agentcomm.protocol.graph import Act, OutcomeClass


def act(label: str, *, discharges: str = "", outlives: bool = False, of: str = "") -> Act:
    return Act(label, Performative(of or label), {}, discharges=discharges, outlives=outlives)


ACTS = {
    "request": act("request"),
    "ask": act("ask", of="request", outlives=True),
    "propose": act("propose"),
    "agree": act("agree"),
    "refuse": act("refuse"),
    "failure": act("failure"),
    "accept-proposal": act("accept-proposal"),
    "reject-proposal": act("reject-proposal"),
    "done": act("done", of="inform", discharges="request"),
    "paid": act("paid", of="accept-proposal", discharges="propose"),
    "inform": act("inform"),
}


def after(*said: tuple[str, str]) -> Ledger:
    """Return the ledger after some acts between `a` and `b`; the other one hears."""
    books = Books(Ledger(), None)
    for number, (speaker, label) in enumerate(said):
        hearer = "b" if speaker == "a" else "a"
        books, _ = record(books, ACTS[label], speaker, (hearer,), f"m{number}")
    return books.own


def alone(ledger: Ledger) -> Books:
    return Books(ledger, None)


def statuses(ledger: Ledger) -> list[str]:
    return [entry.status.value for entry in sorted(ledger, key=lambda entry: entry.id)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("a", "request")], ["proposed"]),
        ([("a", "request"), ("b", "agree")], ["detached"]),
        ([("a", "request"), ("b", "refuse")], ["rejected"]),
        ([("a", "request"), ("b", "done")], ["satisfied"]),
        ([("a", "request"), ("b", "agree"), ("b", "done")], ["satisfied"]),
        ([("a", "request"), ("b", "agree"), ("b", "failure")], ["cancelled"]),
        ([("a", "request"), ("b", "agree"), ("b", "refuse")], ["detached"]),
        ([("a", "propose")], ["conditional"]),
        ([("a", "propose"), ("b", "accept-proposal")], ["detached"]),
        ([("a", "propose"), ("b", "reject-proposal")], ["released"]),
        ([("a", "propose"), ("b", "paid")], ["satisfied"]),
        ([("a", "propose"), ("a", "accept-proposal")], ["conditional"]),
        ([("a", "propose"), ("b", "agree")], ["conditional"]),
        ([("a", "request"), ("a", "agree")], ["proposed"]),
        ([("a", "request"), ("a", "refuse")], ["proposed"]),
        ([("a", "request"), ("a", "request")], ["expired", "proposed"]),
        ([("a", "request"), ("b", "agree"), ("a", "request")], ["detached", "proposed"]),
        ([("a", "propose"), ("b", "propose"), ("a", "accept-proposal")], ["conditional", "detached"]),
        ([("b", "inform"), ("b", "done")], []),
    ],
)
def test_what_an_act_does_to_a_commitment(said, expected):
    assert statuses(after(*said)) == expected


def test_who_owes_what_to_whom():
    (asked,) = after(("a", "request"))
    assert (asked.debtor, asked.creditor, asked.act, asked.message) == ("b", "a", "request", "m0")
    (offered,) = after(("a", "propose"))
    assert (offered.debtor, offered.creditor) == ("a", "b")


def test_asking_two_makes_two_commitments():
    books, changes = record(alone(Ledger()), ACTS["request"], "a", ("b", "c"), "m0")
    assert [(entry.debtor, entry.creditor) for entry in books.live] == [("b", "a"), ("c", "a")]
    assert len({change.now.id for change in changes}) == 2
    books, _ = record(books, ACTS["agree"], "c", ("a",), "m1")
    assert {entry.debtor: entry.status.value for entry in books.live} == {"b": "proposed", "c": "detached"}


def test_a_lane_keeps_what_was_promised_before_it():
    trunk = after(("a", "request"))
    books, _ = record(Books(Ledger(), trunk), ACTS["propose"], "b", ("a",), "m1", "b")
    assert [entry.act for entry in books.live] == ["request", "propose"]
    books, done = record(books, ACTS["done"], "b", ("a",), "m2", "b")
    assert (statuses(books.own), statuses(books.trunk)) == (["conditional"], ["satisfied"])
    back, _ = take_back(books, done, "b")
    assert (statuses(back.own), statuses(back.trunk)) == (["conditional"], ["proposed"])


@pytest.mark.parametrize(
    ("said", "label", "end", "status"),
    [
        ([("a", "request")], "request", "success", "expired"),
        ([("a", "propose")], "propose", "rejected", "expired"),
        ([("a", "request"), ("b", "agree")], "request", "success", "violated"),
        ([("a", "request"), ("b", "agree")], "request", "expired", "violated"),
        ([("a", "request"), ("b", "agree")], "request", "cancelled", "released"),
        ([("a", "request"), ("b", "agree")], "request", "aborted", "cancelled"),
        ([("a", "request"), ("b", "agree")], "request", "failed", "cancelled"),
        ([("a", "ask"), ("b", "agree")], "ask", "success", "detached"),
        ([("a", "ask"), ("b", "agree")], "ask", "partial", "detached"),
        ([("a", "ask"), ("b", "agree")], "ask", "expired", "violated"),
        ([("a", "ask")], "ask", "success", "expired"),
    ],
)
def test_what_an_end_does_to_what_is_open(said, label, end, status):
    ledger, _ = audit(after(*said), OutcomeClass(end))
    assert [entry.status.value for entry in ledger if entry.act == label] == [status]


def test_a_new_owner_takes_over_what_the_old_one_owes_to_others():
    ledger = after(("a", "request"), ("b", "agree"))
    taken, changes = hand_over(alone(ledger), "b", "c")
    assert [(entry.debtor, entry.creditor, entry.status.value) for entry in taken.own] == [
        ("c", "a", "detached")
    ]
    assert [(change.was.status, change.now.debtor) for change in changes] == [(Status.DETACHED, "c")]
    assert hand_over(alone(ledger), "b", "a") == (alone(ledger), ())  # nobody owes anything to himself
    assert hand_over(alone(ledger), "a", "c") == (alone(ledger), ())
    done, _ = record(taken, ACTS["done"], "c", ("a",), "m9")
    assert statuses(done.own) == ["satisfied"]


def test_going_back_tells_what_is_taken_back():
    before = after(("a", "request"))
    later, agreed = record(alone(before), ACTS["agree"], "b", ("a",), "m1")
    later, proposed = record(later, ACTS["propose"], "b", ("a",), "m2")
    back, told = take_back(later, (*agreed, *proposed))
    found = [(now.act, now.status.value, then and then.status.value) for now, then in told]
    assert found == [("request", "detached", "proposed"), ("propose", "conditional", None)]
    assert list(back.own) == list(before)
    assert take_back(alone(before), ()) == (alone(before), ())


SAYINGS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(sorted(ACTS))), max_size=20)


@given(SAYINGS, st.sampled_from(sorted(OutcomeClass)))
def test_nothing_is_open_at_an_end_but_what_outlives_it(said, end):
    ledger, changes = audit(after(*said), end)
    for entry in ledger.live:
        assert entry.outlives
        assert entry.status is Status.DETACHED
        assert end in (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL)
    assert all(change.was.status is not change.now.status for change in changes)


@given(SAYINGS)
def test_what_is_over_stays_over_and_live_is_what_can_change(said):
    live = {Status.PROPOSED, Status.CONDITIONAL, Status.DETACHED}
    books = alone(Ledger())
    for number, (speaker, label) in enumerate(said):
        before = books.own
        hearer = "b" if speaker == "a" else "a"
        books, changes = record(books, ACTS[label], speaker, (hearer,), f"m{number}")
        for change in changes:
            assert change.was is None or change.was.status in live
        now = {entry.id: entry for entry in books.own}
        for entry in before:
            if entry.status not in live:
                assert now[entry.id] == entry
        assert set(books.live) == {entry for entry in books.own if entry.status in live}
        back, _ = take_back(books, changes)
        assert (list(back.own), back.live) == (list(before), before.live)


def test_no_sequence_of_four_acts_breaks_the_ledger():
    letters = list(itertools.product("ab", ("request", "propose", "agree", "paid", "failure", "done")))
    for said in itertools.product(letters, repeat=3):
        ledger = after(*said)
        assert len({entry.id for entry in ledger.live}) == len(ledger.live)
