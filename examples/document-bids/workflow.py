"""Three readers bid for a digest of a real document, by what they counted in it, and one of them gets the work.

Each reader looks at the document before it offers: what it would cover, at which price; whose window is too small says so now and
not half-way. The desk reads every price back, answers all offers in one turn, and the work can be given only once. Run it with
`agentcomm run document-bids`, or on your own text: `agentcomm run document-bids --input FILE --model ollama:qwen3:4b`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from digests import Document, extract, outline, price, read_document
from msgspec.structs import replace

from agentcomm import Agent, Message, Turn, Unspoken, tool

HERE = Path(__file__).parent
WINDOW = 8192
TOKENS_PER_WORD = 1.5
ENOUGH = 0.75
"""Share of the sections that a digest must cover."""


@tool(effect="pure")
async def look(path: str) -> Document:
    """Read a document and count it; a tool, so that the call stands on record."""
    return read_document(path)


def cast(model: Callable[[str], str]) -> dict[str, Any]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    desk = Agent("desk", model=model("desk"), goal="Get a digest that covers the document, for little money.")

    @desk.opens
    def call(turn: Turn) -> Message:
        document = read_document(turn.brief["document"])
        return turn.say(
            "cfp",
            document=document.name,
            words=document.words,
            at_most=turn.brief["at_most"],
            budget=turn.brief["budget"],
        )

    @desk.gathers
    def award(turn: Turn) -> Sequence[Message]:
        offers = {name: one.content for name, one in turn.lanes.items()}
        enough = {
            name: offer for name, offer in offers.items() if offer["sections"] >= ENOUGH * offer["of"]
        } or offers
        best = min(enough, key=lambda name: (enough[name]["price"].amount, name))
        answers: list[Message] = []
        for name, one in turn.lanes.items():
            if name == best:
                answers.append(one.say("accept-proposal", price=offers[name]["price"]))
                continue
            why = "it covers too little" if name not in enough else "another costs less"
            answers.append(one.say("reject-proposal", reason=f"{why}: {best} gets it"))
        return answers

    return {
        "desk": desk,
        "reader": [_worker("outliner", outline, 4), _worker("extractor", extract, 9), _llm(model)],
    }


def _worker(name: str, digest: Callable[[Document, int], tuple[str, int]], cents: int) -> Agent:
    """Return a reader that is code: it tries before it offers, and takes so many cents for a section."""
    agent = Agent(name, tools=[look])

    @agent.on("cfp")
    async def bid(turn: Turn) -> Message:
        document = await turn.use(look, path=turn.brief["document"])
        text, covered = digest(document, turn.content["at_most"])
        if not covered:
            return turn.say("refuse", reason="nothing of it fits into so few words")
        return turn.say(
            "propose",
            price=price(cents * covered),
            sections=covered,
            of=len(document.sections),
            plan=f"{len(text.split())} words, as they stand in the document",
        )

    @agent.on("accept-proposal")
    async def work(turn: Turn) -> Message:
        document = await turn.use(look, path=turn.brief["document"])
        text, _ = digest(document, turn.ground["cfp.at_most"])
        return turn.say("digest", text=text, words=len(text.split()))

    return agent


def _llm(model: Callable[[str], str]) -> Agent:
    """Return a reader that is a model: it declines what its window cannot hold."""
    agent = Agent("summarist", model=model("reader"), tools=[look], num_ctx=WINDOW)

    @agent.on("cfp")
    async def bid(turn: Turn) -> Message:
        document = await turn.use(look, path=turn.brief["document"])
        tokens = int(document.words * TOKENS_PER_WORD)
        if not turn.judges:
            return turn.say("refuse", reason="this model copies; it cannot sum anything up")
        if tokens > WINDOW / 2:
            return turn.say("refuse", reason=f"about {tokens} tokens do not fit into half of {WINDOW}")
        return turn.say(
            "propose",
            price=price(tokens // 100),
            sections=len(document.sections),
            of=len(document.sections),
            plan="read the whole and say it in my own words",
        )

    @agent.on("accept-proposal")
    async def work(turn: Turn) -> Message | Unspoken:
        document = await turn.use(look, path=turn.brief["document"])
        said = await turn.fill("digest", known={"words": 0}, facts={"document": document.sections})
        if isinstance(said, Unspoken):
            return said
        return replace(said, content={**said.content, "words": len(str(said.content["text"]).split())})

    return agent


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told; `source` is the user's own document."""
    document = str(source or HERE / "input" / "apache-2.0.txt")
    return {
        "desk": {"document": document, "at_most": 80, "budget": "2 EUR"},
        "reader": {"document": document},
    }
