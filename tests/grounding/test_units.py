"""The table of discourse units."""

import itertools

import pytest

from agentcomm.grounding.units import TABLE, GroundingAct, UnitState, fold, following

LIVE = [state for state in UnitState if state not in (UnitState.START, UnitState.DEAD)]


def reachable(start: UnitState) -> set[UnitState]:
    found, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for act in GroundingAct:
            after = following(state, act)
            if after is not None and after not in found:
                found.add(after)
                todo.append(after)
    return found


@pytest.mark.parametrize("state", LIVE)
def test_what_lives_can_be_grounded_and_can_die(state):
    assert {UnitState.GROUNDED, UnitState.DEAD} <= reachable(state)


def test_what_is_grounded_can_be_reopened_and_what_is_dead_stays_so():
    assert UnitState.PRESENTED in reachable(UnitState.GROUNDED)
    assert reachable(UnitState.DEAD) == {UnitState.DEAD}


def test_only_an_initiator_begins():
    assert [act for act in GroundingAct if following(UnitState.START, act)] == [GroundingAct.INITIATE_I]


def test_asking_for_an_acknowledgement_changes_nothing_but_what_is_due():
    for state, act in TABLE:
        if act in (GroundingAct.REQUEST_ACKNOWLEDGEMENT_I, GroundingAct.REQUEST_ACKNOWLEDGEMENT_R):
            assert TABLE[state, act] in (state, UnitState.PRESENTED, UnitState.REPAIRED_BY_R)


@pytest.mark.parametrize(
    ("acts", "state"),
    [
        ("Initiate^I Ack^R", "F"),
        ("Initiate^I ReqRepair^R Repair^I Ack^R", "F"),
        ("Initiate^I Repair^R Ack^I", "F"),
        ("Initiate^I Ack^R ReqRepair^R Cancel^I", "D"),
        ("Initiate^I Repair^R ReqRepair^I Repair^R Ack^I", "F"),
        ("Initiate^I Cancel^I", "D"),
    ],
)
def test_sequences(acts, state):
    assert fold(map(GroundingAct, acts.split())) == state


@pytest.mark.parametrize(
    "acts", ["Ack^R", "Initiate^I Initiate^I", "Initiate^I Cancel^I Ack^R", "Initiate^I Ack^I"]
)
def test_what_does_not_apply_is_an_error(acts):
    with pytest.raises(ValueError, match="does not apply"):
        fold(map(GroundingAct, acts.split()))


def test_the_table_is_whole():
    assert len(TABLE) == 42
    assert {act for _, act in TABLE} == set(GroundingAct)
    assert set(itertools.chain.from_iterable((state,) for state, _ in TABLE)) == set(UnitState) - {
        UnitState.DEAD
    }
