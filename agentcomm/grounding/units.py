"""Discourse units: how far something said is grounded, by what was done about it.

The table is data, reproduced from the literature and checked for consistency: from every live state both grounded and dead can
be reached, what is grounded can be reopened, and what is dead stays so.

Source: Traum 1994, 1999. I is the initiator of a unit, R the responder.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

__all__ = ("TABLE", "GroundingAct", "UnitState", "fold", "following")


class UnitState(StrEnum):
    """Where a unit stands."""

    START = "S"
    PRESENTED = "1"
    """It needs an acknowledgement by R."""
    REPAIR_ASKED_OF_I = "2"
    """R asked for a repair; it needs one by I."""
    REPAIRED_BY_R = "3"
    """R repaired or continued; it needs an acknowledgement by I."""
    REPAIR_ASKED_OF_R = "4"
    """I asked for a repair; it needs one by R."""
    GROUNDED = "F"
    DEAD = "D"


class GroundingAct(StrEnum):
    """What can be done about a unit, and by whom."""

    INITIATE_I = "Initiate^I"
    CONTINUE_I = "Continue^I"
    CONTINUE_R = "Continue^R"
    REPAIR_I = "Repair^I"
    REPAIR_R = "Repair^R"
    REQUEST_REPAIR_I = "ReqRepair^I"
    REQUEST_REPAIR_R = "ReqRepair^R"
    ACKNOWLEDGE_I = "Ack^I"
    ACKNOWLEDGE_R = "Ack^R"
    REQUEST_ACKNOWLEDGEMENT_I = "ReqAck^I"
    REQUEST_ACKNOWLEDGEMENT_R = "ReqAck^R"
    CANCEL_I = "Cancel^I"
    CANCEL_R = "Cancel^R"


_ROWS = """
Initiate^I   1 . . . . . .
Continue^I   . 1 . . 4 . .
Continue^R   . . 2 3 . . .
Repair^I     . 1 1 1 4 1 .
Repair^R     . 3 2 3 3 3 .
ReqRepair^I  . . 4 4 4 4 .
ReqRepair^R  . 2 2 2 2 2 .
Ack^I        . . . F 1 F .
Ack^R        . F F . . F .
ReqAck^I     . 1 . . . 1 .
ReqAck^R     . . . 3 . 3 .
Cancel^I     . D D D D D .
Cancel^R     . . 1 1 . D .
"""
"""In the states S 1 2 3 4 F D; a dot where the act does not apply to the unit."""

TABLE: Mapping[tuple[UnitState, GroundingAct], UnitState] = {
    (state, GroundingAct(name)): UnitState(cell)
    for name, *cells in (row.split() for row in _ROWS.strip().splitlines())
    for state, cell in zip(UnitState, cells, strict=True)
    if cell != "."
}
"""State and act -> the state after it."""


def following(state: UnitState, act: GroundingAct) -> UnitState | None:
    """Return the state of a unit after an act, or None if the act does not apply to it."""
    return TABLE.get((state, act))


def fold(acts: Iterable[GroundingAct]) -> UnitState:
    """Return the state of a unit after some acts.

    Raises:
        ValueError: If one of them does not apply where it is done.
    """
    state = UnitState.START
    for act in acts:
        after = following(state, act)
        if after is None:
            raise ValueError(f"{act} does not apply to a unit in {state.name.casefold()}")
        state = after
    return state
