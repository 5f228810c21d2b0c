"""A deployment waits for a person, as long as people take, and across restarts of everything.

`agentcomm run release-approval` plays it in one go. `wait.py` is the real thing: the conversation is a row in a store, no process waits,
and whoever answers next finds it where it was left.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentcomm import Agent, Message, Turn, Unspoken
from agentcomm.errors import UsageError

PROTOCOL = "ask-a-human"

RELEASE: dict[str, Any] = {
    "action": "deploy shop 4.2.0 to production",
    "why": "it mends the failing checkout",
    "effect": "all users get it within 5 minutes; the database is migrated",
    "reversible": False,
    "on_call": "ops, until 18:00",
}
"""What is asked for, and what the deployer knows besides."""


def deployer() -> Agent:
    """Return the agent that asks before it deploys; it has no model."""
    agent = Agent("deployer")

    @agent.opens
    def ask(turn: Turn) -> Message:
        asked = {name: turn.brief[name] for name in ("action", "why", "effect", "reversible")}
        return turn.say("permission", **asked)

    @agent.on("ask-back")
    def explain(turn: Turn) -> Message:
        if "call" in str(turn.content["question"]):
            return turn.say("explain", answer=turn.brief["on_call"])
        return turn.say("withdraw", reason="it is not known, so it is not done")

    return agent


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role: here one stands in for the person."""
    person = Agent(
        "Mia", model=model("human"), goal="Permit only what you would answer for; ask back if in doubt."
    )

    @person.on("permission")
    async def decide(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        return turn.say("forbid", reason="nobody who can judge it has looked at it")

    return {"agent": deployer(), "human": person}


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told."""
    if source is not None:
        raise UsageError("release-approval reads no file", fix='--brief \'agent={"action": "…"}\'')
    return {"agent": dict(RELEASE)}
