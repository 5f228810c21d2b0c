"""A question before acting on what may mean several things, where that is expected to cost less than acting on a guess.

An agent that knows things by name (`Agent(things=…)`) is told by code when a phrase in what it heard fits several of them. The doubt is
what the readings leave open, the loss what the stakes of the act say; where a question pays, the narrowest one that fits is asked:
which of the few, or which one. Nothing is asked twice in the same way, and a repair pays for each.

Source: Paek & Horvitz 2000 (a question as a decision by expected cost); Dingemanse et al. 2015 (the most specific question).
"""

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.grounding.asking import is_worth_asking, question
from agentcomm.grounding.choice import Costs
from agentcomm.grounding.reference import unclear_references

__all__ = ("clarified",)

_ONE_OF = {"specify": {"wh": "which"}}


def clarified(turn: Turn) -> Message | None:
    """Return the question that is asked before a turn is taken; None where nothing is unclear, or asking costs more."""
    agent, heard = turn.seat.agent, turn.heard
    if agent is None or not agent.things or heard is None or turn.overlay is not None or not turn.exits:
        return None
    conversation = turn.conversation
    act = conversation.protocol.acts.get(heard.act)
    if act is None:
        return None
    texts = {name: value for name, value in turn.content.items() if isinstance(value, str)}
    choice = conversation.rules.choice
    costs = choice.costs if choice is not None else Costs()
    for found in unclear_references(texts, agent.things):
        readings = dict.fromkeys(found.candidates, 1.0)
        if not is_worth_asking(readings, act.stakes, costs):
            continue
        asking = question(found.field, readings)
        for rung in dict.fromkeys((asking.rung, "specify")):
            if turn.can(rung):
                options = {"options": list(asking.options)} if rung == "choose" else _ONE_OF.get(rung, {})
                return turn.say(rung, path=found.field, **options)
    return None
