"""What an agent that knows things by name finds unclear in what it heard.

A phrase that fits several of the things is a doubt, each of them a reading. Whether it is asked about, and how, the conversation
decides (`conversation.doubts`); the agent only says what it knows.

Source: constituent clarification (Purver, Ginzburg & Healey 2003).
"""

import itertools
from collections.abc import Mapping
from typing import Any

from agentcomm.agents.turn import Turn, Unclear
from agentcomm.grounding.reference import unclear_references

__all__ = ("doubts", "unclear")

_MOST = 64
"""Readings of one field that are told: beyond, none of them is likely anyway."""


def unclear(turn: Turn, things: Mapping[str, Any]) -> Unclear | None:
    """Return a doubt about what was heard that was not decided on yet; None where it is clear."""
    heard = turn.heard
    if not things or heard is None or turn.overlay is not None or not turn.exits:
        return None
    if heard.act not in turn.conversation.protocol.acts:
        return None
    texts = {name: value for name, value in turn.content.items() if isinstance(value, str)}
    phrases: dict[str, list[tuple[str, ...]]] = {}
    for found in unclear_references(texts, things):
        phrases.setdefault(found.field, []).append(found.candidates)
    for field, several in phrases.items():
        if not turn.is_weighed(field):
            each = itertools.islice(itertools.product(*several), _MOST)
            return turn.unclear(field, [("; ".join(names), 1.0) for names in each])
    return None


def doubts(turn: Turn, things: Mapping[str, Any]) -> list[Unclear]:
    """Return the doubts in a turn, one for each of the lanes that it is for."""
    found = [unclear(one, things) for one in (turn.lanes.values() if turn.lanes else (turn,))]
    return [one for one in found if one is not None]
