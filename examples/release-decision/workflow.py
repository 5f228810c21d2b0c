"""Three who know different things decide whether to release, and nobody's vote is heard before all have voted.

Each knows something that the others do not; alone, two of them would release on Friday. By the protocol facts come before preferences,
the ballot is sealed, and code counts it. Run it with `agentcomm run release-decision`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from typing import cast as typed

from agentcomm import Agent, Message, Turn, Unspoken
from agentcomm.errors import UsageError

PROTOCOL = "deliberation"

QUESTION = "When is version 4 released?"
OPTIONS = ("Friday", "Monday", "after the fix")
CONSTRAINTS = ["one of: Friday, Monday, after the fix", "customers hear of a delay on Thursday at the latest"]

KNOWN: dict[str, dict[str, Any]] = {
    "dev": {
        "facts": ["All 412 tests pass.", "The migration was tried on a copy with 1,000 rows."],
        "prefers": "Friday",
        "grounds": "the work is done and every test passes",
    },
    "ops": {
        "facts": ["Nobody is on call at the weekend.", "The live table has 90 million rows."],
        "prefers": "Monday",
        "grounds": "on Monday somebody can act when it goes wrong",
    },
    "support": {
        "facts": [
            "The largest customer imports its year on Monday.",
            "A migration that locks the table stops every import.",
        ],
        "prefers": "Friday",
        "grounds": "the largest customer needs Monday for itself",
    },
}
"""What each member knows, and what it would choose alone."""

LOCK = ("90 million rows", "1,000 rows", "locks the table")
"""Only together do these say that the migration must be tried at full size first; each member knows one of them."""


def choice_of(facts: Sequence[str], alone: str) -> str:
    """Return what follows from the facts: the work of a member without a model that judges."""
    joined = " ".join(facts)
    return "after the fix" if all(part in joined for part in LOCK) else alone


def cast(model: Callable[[str], str]) -> dict[str, Any]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    return {"chair": _chair(), "member": [_member(name, model) for name in KNOWN]}


def _member(name: str, model: Callable[[str], str]) -> Agent:
    agent = Agent(
        name,
        model=model(name),
        goal="Find what is right for the whole, from all facts. Change your mind for a fact, not for a majority.",
    )
    known = KNOWN[name]

    @agent.on("open-question")
    def inform(turn: Turn) -> Message:
        return turn.say("facts", facts=known["facts"], goals=[f"{name} can stand behind it"])

    @agent.on("share")
    async def propose(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        option = choice_of(turn.content["facts"], known["prefers"])
        serves = (
            known["grounds"] if option == known["prefers"] else "it was never tried at the size it has live"
        )
        return turn.say("option", option=option, serves=serves)

    @agent.on("options")
    async def consider(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        lacking = [fact for fact in turn.ground["share.facts"] if fact not in known["facts"]]
        return turn.say("arguments", for_it=lacking[:2], against_it=[])

    @agent.on("digest")
    async def vote(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        wanted = choice_of(turn.ground["share.facts"], known["prefers"])
        options: Sequence[str] = turn.ground["options.options"]
        return turn.say("ballot", choice=wanted if wanted in options else options[0])

    @agent.on("recommend")
    async def confirm(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        return turn.say("confirm", choice=turn.content["choice"])

    return agent


def _chair() -> Agent:
    """Return the chair: code alone, for collecting and counting is no work for a model."""
    chair = Agent("chair")

    @chair.opens
    def ask(turn: Turn) -> Message:
        return turn.say(
            "open-question", question=turn.brief["question"], constraints=turn.brief["constraints"]
        )

    @chair.gathers
    def lead(turn: Turn) -> list[Message]:
        lanes = list(turn.lanes.values())
        first = lanes[0]
        if first.can("share"):
            said = [one.content for one in lanes if "facts" in one.content]
            return [
                first.say(
                    "share",
                    facts=_each(fact for content in said for fact in content["facts"]),
                    goals=_each(goal for content in said for goal in content["goals"]),
                )
            ]
        if first.can("options"):
            options = _each(one.content["option"] for one in lanes if "option" in one.content)
            if not options:
                return [first.say("no-option", reason="nobody proposed anything")]
            return [first.say("options", options=options)]
        if first.can("digest"):
            arguments = [text for one in lanes for text in one.content.get("for_it", ())]
            against = [f"but: {text}" for one in lanes for text in one.content.get("against_it", ())]
            return [first.say("digest", arguments=_each([*arguments, *against]))]
        if first.can("recommend"):
            ballots = Counter(one.content["choice"] for one in lanes if "choice" in one.content)
            if not ballots:
                return [first.say("no-option", reason="nobody voted")]
            choice, votes = ballots.most_common(1)[0]
            return [first.say("recommend", choice=choice, votes=votes)]
        return [_close(one) for one in lanes]

    return chair


def _close(one: Turn) -> Message:
    chosen = one.ground["recommend.choice"]
    if one.can("close"):
        return one.say("close", result=chosen)
    return one.say("close-divided", result=chosen, objections=[one.content["reason"]])


def _each(texts: Any) -> list[str]:
    """Return texts without repetitions, sorted, so that their order says nothing of who said them."""
    return sorted(set(typed("list[str]", list(texts))))


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told."""
    if source is not None:
        raise UsageError("release-decision reads no file", fix='--brief \'chair={"question": "…"}\'')
    return {"chair": {"question": QUESTION, "constraints": CONSTRAINTS}, "member": "Decide when to release."}
