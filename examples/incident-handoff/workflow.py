"""A monitoring agent reads a real log and hands the incident over to the engineer on call.

What can be counted is counted by code (`facts.py`), the model writes the words, and the handoff counts only once the engineer
has read the critical fields back correctly. Run it with `agentcomm run incident-handoff`, or with your own log:
`agentcomm run incident-handoff --input /var/log/nginx/error.log`.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facts import Facts, read_facts

from agentcomm import Agent, Message, Turn, Unspoken

HERE = Path(__file__).parent
LOG = HERE / "input" / "error.log"

EXAMPLES = [
    (
        {
            "host": "files-2",
            "service": "sshd",
            "first_seen": "2024-02-11T03:14:07",
            "error_count": 58,
            "severity": "high",
            "most_frequent_error": "Failed password for root",
        },
        {
            "situation": "There are 58 errors of sshd on files-2.",
            "background": "Most of them say: Failed password for root",
            "assessment": "The severity is high.",
            "recommendation": "Look at sshd on files-2 first.",
        },
    ),
    (
        {
            "host": "mail.example",
            "service": "postfix",
            "first_seen": "2025-08-30T21:40:00+02:00",
            "error_count": 7,
            "severity": "normal",
            "most_frequent_error": "connect to relay (113: No route to host) while sending mail to the next server",
        },
        {
            "situation": "There are 7 errors of postfix on mail.example.",
            "background": "Most of them say: connect to relay (113: No route to host) while sending mail to the next server",
            "assessment": "The severity is normal.",
            "recommendation": "Look at postfix on mail.example first.",
        },
    ),
    (
        {
            "host": "cache-1",
            "service": "redis",
            "first_seen": "2023-12-01T00:00:30Z",
            "error_count": 1204,
            "severity": "critical",
            "most_frequent_error": "Can't save in background: fork: Cannot allocate memory",
        },
        {
            "situation": "There are 1204 errors of redis on cache-1.",
            "background": "Most of them say: Can't save in background: fork: Cannot allocate memory",
            "assessment": "The severity is critical.",
            "recommendation": "Look at redis on cache-1 first.",
        },
    ),
]
"""Every word of an answer can be traced to its facts: a small model copies the pattern, and with it that habit."""


CRITICAL = ("host", "service", "first_seen", "error_count", "severity")


def in_plain_words(facts: Facts) -> dict[str, str]:
    """Return the words that need no model."""
    return {
        "situation": f"There are {facts.error_count} errors of {facts.service} on {facts.host}.",
        "background": f"Most of them say: {facts.sample}",
        "assessment": f"The severity is {facts.severity}.",
        "recommendation": f"Look at {facts.service} on {facts.host} first.",
    }


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    monitor = Agent(
        "monitor",
        model=model("monitor"),
        goal="Hand the incident over so that nothing is misunderstood.",
        tools=[read_facts],
        examples={"handoff": EXAMPLES},
    )
    oncall = Agent(
        "oncall", model=model("oncall"), goal="Take over what you have understood, and nothing else."
    )

    @monitor.opens
    async def hand_over(turn: Turn) -> Message | Unspoken:
        facts = await turn.use(read_facts, path=turn.brief["log"], host=turn.brief.get("host", ""))
        counted = {name: getattr(facts, name) for name in CRITICAL}
        if turn.refusal is not None and turn.refusal.left == 1 and not turn.judges:
            turn.note("the demo model found no words that keep to the facts, so code wrote them")
            return turn.say("handoff", **counted, **in_plain_words(facts))
        return await turn.fill(
            "handoff",
            known=counted,
            facts={"most_frequent_error": facts.sample},
        )

    @oncall.on("handoff")
    async def decide(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        if turn.ground["severity"] == "low":
            return turn.say("decline", reason="severity is low: nobody is woken for that")
        return turn.say("i-have-it")

    return {"monitor": monitor, "oncall": oncall}


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told; `source` is the user's own log."""
    return {
        "monitor": {"log": str(source or LOG), "host": platform.node()}
    }  # where the log names no host itself


def embedded(role: str) -> str:
    """Give every role the demo model."""
    del role
    return "embedded:"


if __name__ == "__main__":
    from agentcomm import enact_sync, load

    result = enact_sync(load(HERE / "protocol.yaml"), cast=cast(embedded), brief=brief(None))
    print(result)
