"""The discourse units of a conversation, told from its events alone: for whoever reads a record."""

from collections.abc import Iterable, Iterator

from agentcomm.conversation.events import (
    Event,
    Grounded,
    Heard,
    Moved,
    OverlayClosed,
    RepairOpened,
    TroubleFound,
)
from agentcomm.grounding.units import GroundingAct, UnitState, following

__all__ = ("units",)

_MEND = ("wrong", "value", "restate", "confirm")
"""Acts of overlays by which the initiator of a unit mends it."""


def units(events: Iterable[Event]) -> dict[str, UnitState]:
    """Return for each message of the protocol where its unit stands after some events.

    A unit that is neither grounded nor dead at the end was left open: nothing that depends on it has happened.

    Args:
        events: Of one conversation, from its opening.

    Raises:
        ValueError: If they are not the events of a conversation.
    """
    found: dict[str, UnitState] = {}
    shown: dict[str, list[str]] = {}
    """Message -> units that it is the evidence for."""
    for event in events:
        if isinstance(event, Grounded) and event.criterion == "relevant":
            shown.setdefault(event.evidence[0].removeprefix("answered by "), []).append(event.message)
        acts = list(_acts(event))
        if isinstance(event, Moved) and not event.act:  # its evidence is gone
            acts += [(unit, GroundingAct.REQUEST_ACKNOWLEDGEMENT_I) for unit in shown.pop(event.message, ())]
        for message, act in acts:
            after = following(found.get(message, UnitState.START), act)
            if after is None:
                raise ValueError(f"{act} does not apply to {message}, which is {found.get(message, 'new')}")
            found[message] = after
    return found


def _acts(event: Event) -> Iterator[tuple[str, GroundingAct]]:
    match event:
        case Heard(overlay="", message=message):
            yield message.id, GroundingAct.INITIATE_I
        case Heard(message=message) if message.act in _MEND and message.about:
            yield message.about, GroundingAct.REPAIR_I
        case Grounded():
            yield event.message, GroundingAct.ACKNOWLEDGE_R
        case RepairOpened(kind="correct" | "mistaken"):
            yield event.about, GroundingAct.REPAIR_I
        case RepairOpened():
            yield event.about, GroundingAct.REQUEST_REPAIR_R
        case TroubleFound(kind="readback" | "demonstration"):
            yield event.message, GroundingAct.REQUEST_REPAIR_R
        case Moved(act=""):
            yield event.message, GroundingAct.CANCEL_I
        case OverlayClosed(effect=effect) if effect not in ("resume", "again", "escalate"):
            yield event.about, GroundingAct.CANCEL_I
        case _:
            return
