"""What is tried when one repair was not enough: first the place and the value, then the record alone, in another form.

The rungs below are those of the core: a question about one place, narrower before wider. The first correction names the place and the
value (rung 1 and 2). Where that did not help, the next try is made from the consolidated record in a fresh context, without the words
that were misunderstood (rung 3), and the values stand there in another form, too (rung 4). After that, it is the authority's or
nobody's.

Source: escalation of repair (Schegloff, Jefferson & Sacks 1977; Dingemanse & Enfield 2015); models do better when everything is
restated at once (Laban et al. 2025).
"""

from collections.abc import Iterable
from typing import Any

from agentcomm.acts.content import entries_of
from agentcomm.agents.turn import Turn
from agentcomm.conversation.moves import on_record
from agentcomm.grounding.otherwise import otherwise
from agentcomm.protocol.graph import Move

__all__ = ("AFRESH", "restated", "spent")

AFRESH = 2
"""Repairs of one thing after which it is told afresh."""


def spent(turn: Turn) -> int:
    """Return how many repairs there were of what a turn is about: of a read-back, or of what its role says again."""
    conversation = turn.conversation
    frame, here = conversation.frame, conversation.here
    if frame is not None:
        return sum(frame.used.values()) if frame.trouble else 0
    at = f"{here.name}/"
    return max((count for key, count in here.repairs.items() if key.startswith(at)), default=0)


def restated(turn: Turn, moves: Iterable[Move]) -> str:
    """Return the values that the turn is about, a line each, as the record has them and in another form; empty where it has none."""
    protocol, frame = turn.conversation.protocol, turn.conversation.frame
    lines: list[str] = []
    if frame is not None:
        kinds = protocol.acts[frame.it.act].fields
        said: dict[str, Any] = entries_of(frame.it.content) or {}
        told = {item.field: frame.fields.get(item.field) for item in frame.trouble}  # `wrong` has said these
        values = {name: told.get(name, said.get(name)) for name in frame.fields}
        lines = [f"- {name}: {otherwise(kinds.get(name), value)}" for name, value in values.items()]
    else:
        for move in moves:
            for name, ref in move.act.repeats.items():
                value = on_record(turn.conversation, ref)
                if value is not None:
                    lines.append(f"- {name}: {otherwise(move.act.fields.get(name), value)}")
    return "\n".join(dict.fromkeys(lines))
