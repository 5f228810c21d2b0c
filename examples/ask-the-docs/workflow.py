"""A broker asks back where a question can mean several things, and passes on only what stands in the documentation.

Two specialists search the pages of agentcomm's own documentation (SQLite's full text index). The broker looks up every quote before it
passes one on. Run it with `agentcomm run ask-the-docs`, or on pages of yours:
`agentcomm run ask-the-docs --input FOLDER --brief 'asker={"question": "…", "meant": "…"}'`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pages import Hit, areas_of, own_docs, rivals, search, stands_in

from agentcomm import Agent, Message, Turn, Unspoken
from agentcomm.errors import UsageError

ENOUGH = 0.6
"""Share of the words of a question that a section must have."""


async def look_up(folder: str, area: str, question: str) -> list[Hit]:
    """Search one area of the pages."""
    return search(folder, area, question)


async def meanings(folder: str, question: str) -> list[str]:
    """Return the pages that fit a question about equally well."""
    return rivals(folder, question)


async def check_quote(folder: str, page: str, quote: str) -> bool:
    """Look whether a quote stands on a page."""
    return stands_in(folder, page, quote)


def cast(model: Callable[[str], str]) -> dict[str, Any]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    return {
        "asker": _asker(model),
        "broker": _broker(),
        "specialist": [_specialist(area, model) for area in ("guide", "collection")],
    }


def _asker(model: Callable[[str], str]) -> Agent:
    asker = Agent("Ada", model=model("asker"), goal="Get an answer to what you mean.")

    @asker.opens
    def ask(turn: Turn) -> Message:
        return turn.say("ask", question=turn.brief["question"])

    @asker.on("which")
    async def say_which(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        wanted = str(turn.brief.get("meant", ""))
        options: Sequence[str] = turn.content["options"]
        fitting = [option for option in options if option in wanted or (wanted and wanted in option)]
        return turn.say("meant", choice=(fitting or options)[0])

    return asker


def _broker() -> Agent:
    """Return the broker: code, for what can be counted and looked up needs no model."""
    broker = Agent("Bob", tools=[meanings, check_quote])

    @broker.on("ask")
    async def weigh(turn: Turn) -> Message:
        fitting = await turn.use(meanings, folder=turn.brief["folder"], question=turn.content["question"])
        if not fitting:
            return turn.say("refuse", reason="no page has a word of it")
        if len(fitting) > 1:
            return turn.say("which", question="What is it about?", options=fitting)
        return turn.say("agree")

    @broker.on("meant")
    def go_on(turn: Turn) -> Message:
        return turn.say("agree")

    @broker.on("ask", state="briefing")
    def send_out(turn: Turn) -> Message:
        return turn.say("find", question=turn.ground["ask.question"])

    @broker.on("meant", state="briefing")
    def send_out_what_was_meant(turn: Turn) -> Message:
        question, meant = turn.ground["ask.question"], turn.content["choice"]
        return turn.say("find", question=f"{question} ({meant})")

    @broker.gathers
    async def pass_on(turn: Turn) -> list[Message]:
        best, most = "", 0.0
        sound: dict[str, bool] = {}
        for name, one in turn.lanes.items():
            if one.state != "weighed":
                continue
            said = one.content
            sound[name] = await turn.use(
                check_quote, folder=turn.brief["folder"], page=said["page"], quote=said["quote"]
            )
            if sound[name] and said["covers"] > most:
                best, most = name, said["covers"]
        answers: list[Message] = []
        for name, one in turn.lanes.items():
            said = one.content
            if one.state != "weighed":
                answers.append(one.say("not-there", looked_in=said["looked_in"]))
            elif name == best:
                answers.append(
                    one.say("answer", answer=said["answer"], quote=said["quote"], page=said["page"])
                )
            else:
                why = "another fits better" if sound[name] else "its quote does not stand on that page"
                answers.append(one.say("nothing", reason=why))
        return answers

    return broker


def _specialist(area: str, model: Callable[[str], str]) -> Agent:
    agent = Agent(
        area,
        model=model(area),
        goal="Answer from the sentence you were given and from nothing else.",
        tools=[look_up],
    )

    @agent.on("find")
    async def find(turn: Turn) -> Message | Unspoken:
        question = turn.content["question"]
        hits = await turn.use(look_up, folder=turn.brief["folder"], area=area, question=question)
        if not hits or hits[0].covers < ENOUGH:
            return turn.say("not-found", looked_in=f"the {area}")
        hit = hits[0]
        found = {"quote": hit.sentence, "page": hit.page, "covers": round(hit.covers, 2)}
        if (
            not turn.judges
        ):  # a model that only copies is not trusted with an answer: the page's own words are one
            return turn.say("found", **found, answer=hit.sentence)
        return await turn.fill("found", known=found, facts={"sentence": hit.sentence, "question": question})

    return agent


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told; `source` is a folder with pages of the user's."""
    folder = source or own_docs()
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", fix="--input FOLDER, with pages in Markdown")
    areas_of(folder)
    told = {"folder": str(folder)}
    return {
        "asker": {"question": "How does an auction end?", "meant": "english-auction"},
        "broker": told,
        "specialist": told,
    }
