"""A critic reviews a real diff, and cannot approve it while something that code found is open.

Code looks for what code can see; a model that judges then reads the change. Two rounds of changes, and the third "revise" ends it.
Run it with `agentcomm run code-review`, or on your own: `git diff > my.diff`, `agentcomm run code-review --input my.diff`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffs import mended, parse, problems_of, read_diff

from agentcomm import Agent, Message, Turn, Unspoken, tool

HERE = Path(__file__).parent / "input"
MOST = 5
"""Problems that are told in one round."""


@tool(effect="pure")
def inspect(diff: str) -> list[str]:
    """Return what code finds wrong with a diff."""
    return problems_of(diff)


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    writer = Agent("writer", tools=[read_diff])
    critic = Agent(
        "critic",
        model=model("critic"),
        goal="Approve a change that is right and tested; else say what is wrong, and where.",
        tools=[inspect],
        num_ctx=8192,
    )

    @writer.opens
    async def submit(turn: Turn) -> Message:
        return _submitted(turn, await turn.use(read_diff, path=turn.brief["diffs"][0]), "for review")

    @writer.on("revise")
    async def revise(turn: Turn) -> Message:
        before = str(turn.ground["submit.diff"])
        for path in turn.brief["diffs"]:
            more = await turn.use(read_diff, path=path)
            if more not in before:
                return _submitted(turn, before + more, f"with {Path(path).name}")
        after = mended(before)
        if after == before:
            return turn.say("failure", reason=f"not mended by code: {turn.content['problems'][0]}")
        return _submitted(turn, after, "without blanks at the ends of lines")

    @critic.on("submit")
    async def review(turn: Turn) -> Message | Unspoken:
        problems: list[str] = await turn.use(inspect, diff=turn.content["diff"])
        if problems:
            return turn.say("revise", problems=problems[:MOST])
        if turn.judges:
            return await turn.fill()
        return turn.say("approve", problems=0, note="code found nothing; nobody has judged what it does")

    return {"writer": writer, "critic": critic}


def _submitted(turn: Turn, diff: str, note: str) -> Message:
    return turn.say("submit", diff=diff, files=[change.path for change in parse(diff)], note=note)


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told; `source` is a diff of the user's."""
    own = [str(HERE / name) for name in ("change.diff", "tests.diff")]
    return {"writer": {"diffs": [str(source)] if source else own}}
