"""The action gate for what is done outside the talk: a tool with an effect is called only with values that are common ground.

Inside the talk the core holds the gate itself: no commitment becomes active, and no end is reached, below its criterion. A tool
is called by an agent, so whoever calls it asks here first. What counts is the value that is used, whatever was read back before.

Source: evidence by use, the next relevant contribution of Clark & Schaefer 1989, with values compared by code.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from agentcomm.conversation.ground import CommonGround, Standing
from agentcomm.conversation.state import Conversation
from agentcomm.grounding.compare import compare
from agentcomm.grounding.troubles import Contradiction, Ungrounded

__all__ = ("Blocked", "blocked")

Blocked = Contradiction | Ungrounded
_SETTLED = (Standing.GROUNDED, Standing.REPAIRED)


def blocked(
    conversation: Conversation,
    role: str,
    arguments: Mapping[str, Any],
    uses: Mapping[str, str | None] | None = None,
) -> tuple[Blocked, ...]:
    """Return why an action may not be done now; nothing if it may.

    It may not while something that its doer heard waits for its evidence, or with a value that differs from the one on record or
    is not grounded yet. A text counts as the value that it states, where it can be read in one way only. An argument that has no name on record is not compared: nobody has said it.

    Args:
        conversation: Where it stands; in a lane, its view.
        role: Who would do it.
        arguments: What it would be done with, by name.
        uses: Argument -> the name under which its value is on record, `field` or `act.field`, and None for one that is not
            compared; without it, its own name.
    """
    found: list[Blocked] = list(_waiting(conversation, role))
    ground = conversation.ground
    for name, value in arguments.items():
        on_record = (uses or {}).get(name, name)
        if on_record is None:
            continue
        match ground.status(on_record):
            case Standing.PRIVATE:
                if uses is not None and name in uses:
                    found.append(Ungrounded(on_record, Standing.PRIVATE.value))
            case standing if standing not in _SETTLED:
                found.append(Ungrounded(on_record, standing.value))
            case _:
                found.extend(_differing(conversation, ground, name, on_record, value))
    return tuple(found)


def _waiting(conversation: Conversation, role: str) -> Iterator[Ungrounded]:
    here = conversation.here
    frame = here.frame
    if frame is not None and (frame.pending or frame.repairing) and role != frame.sender:
        yield Ungrounded(frame.it.act, _standing(repairing=frame.repairing))
    for held in here.held:
        if role in held.message.receivers:
            yield Ungrounded(held.message.act, Standing.PROPOSED.value)


def _standing(*, repairing: bool) -> str:
    return (Standing.DISPUTED if repairing else Standing.PROPOSED).value


def _differing(
    conversation: Conversation, ground: CommonGround, name: str, on_record: str, value: Any
) -> Iterator[Contradiction]:
    item = ground.item(on_record)
    if item is None or value is None:
        return
    act = conversation.protocol.acts.get(item.act)
    kind = act.fields.get(on_record.rpartition(".")[2]) if act is not None else None
    if differs := compare(name, kind, item.value, value):
        yield Contradiction(f"{item.act}.{on_record.rpartition('.')[2]}", differs)
