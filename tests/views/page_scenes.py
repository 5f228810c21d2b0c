"""Conversations to show: a long one, one full of hostile content, one with lanes."""

from pathlib import Path
from typing import Any

from agentcomm import Agent, enact_sync, load
from agentcomm.acts.message import Message
from agentcomm.models.scripted import ScriptedModel

LONG = """
agentcomm: 1
protocol: tally
version: 1
about: Two go through a long list, item by item.
roles: [clerk, keeper]
acts:
  ask: {act: query-ref, content: {item: text, number: int}}
  count: {act: inform, content: {number: int, remark: text}}
  stop: {act: inform, content: {reason: text}}
states:
  asking: {clerk: {ask: {next: counting, max: MOST, then: done}, stop: done}}
  counting: {keeper: {count: asking}}
outcomes: {done: success, expired: expired}
limits: {turns: CEILING, reply_within: 1h, else: expired}
"""

EVIL = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "<svg/onload=document.title='owned'>",
    '"><iframe src="javascript:parent.document.title=\'owned\'">',
    "{{constructor.constructor('document.title=1')()}}",
    "\u202egnp.exe \x1b[31m\x00 <!-- ]]> &lt;b&gt; \U0001f600",
    "javascript:document.title='owned'",
    "</style><style>*{display:none}</style>",
    "{data} {script} {style} {graph} {title}",
)


def long_talk(path: Path, turns: int, *, with_model: bool = True) -> None:
    """Hold a conversation of so many messages, half of them said by a model."""
    asks = turns // 2
    text = LONG.replace("MOST", str(asks + 1)).replace("CEILING", str(8 * asks + 100))
    source = path.with_suffix(".yaml")
    source.write_text(text, encoding="utf-8")
    left = iter(range(asks))
    keeper = Agent("Kim")

    @keeper.on("ask")
    def count(turn: Any) -> Message:
        number = turn.heard.content.number
        return turn.say("count", number=number * 3, remark=f"found {number * 3} in row {number % 17}")

    if with_model:
        replies = [{"act": "ask", "content": {"item": f"shelf {n}", "number": n}} for n in left]
        replies.append({"act": "stop", "content": {"reason": "the list is through"}})
        clerk = Agent("Cleo", model=ScriptedModel(replies), goal="Count what is on the shelves.")
    else:
        clerk = Agent("Cleo")

        @clerk.opens
        @clerk.on("count")
        def ask(turn: Any) -> Message:
            n = next(left, None)
            if n is None:
                return turn.say("stop", reason="the list is through")
            return turn.say("ask", item=f"shelf {n}", number=n)

    enact_sync(load(source), cast={"clerk": clerk, "keeper": keeper}, transcript=path)


def evil_talk(path: Path) -> None:
    """Hold a conversation in which everything said tries to become markup."""
    source = path.with_suffix(".yaml")
    text = LONG.replace("MOST", str(len(EVIL) + 1)).replace("CEILING", "200")
    source.write_text(text.replace("item by item", "<b>item</b> & </svg>"), encoding="utf-8")
    left = iter(EVIL)
    clerk, keeper = Agent("<b>Cleo</b>"), Agent("Kim<script>")

    @clerk.opens
    @clerk.on("count")
    def ask(turn: Any) -> Message:
        item = next(left, None)
        if item is None:
            return turn.say("stop", reason="</textarea><h1>" + EVIL[0])
        return turn.say("ask", item=item, number=1)

    @keeper.on("ask")
    def count(turn: Any) -> Message:
        turn.note(EVIL[1])
        return turn.say("count", number=1, remark=turn.heard.content.item)

    enact_sync(load(source), cast={"clerk": clerk, "keeper": keeper}, transcript=path)


def tender(path: Path, bidders: int = 4) -> None:
    """Hold a contract net; one bids, one declines, one never answers in time, the others bid too."""
    manager = Agent("Mara")

    @manager.opens
    def call(turn: Any) -> Message:
        return turn.say("cfp", goal="repair the roof", due="2027-03-01T12:00:00Z")

    @manager.gathers
    def award(turn: Any) -> list[Message]:
        prices = {name: lane.heard.content.price.amount for name, lane in turn.lanes.items()}
        best = min(prices, key=lambda name: prices[name])
        return [
            lane.say("accept-proposal", price=lane.heard.content.price)
            if name == best
            else lane.say("reject-proposal", reason="too dear")
            for name, lane in turn.lanes.items()
        ]

    def bidder(number: int) -> Agent:
        agent = Agent(f"Bo{number}")

        @agent.on("cfp")
        def bid(turn: Any) -> Message:
            if number == 1:
                return turn.say("refuse", reason="no roofers free")
            return turn.say("propose", price=f"{900 - 50 * number} EUR", plan=f"plan {number}")

        @agent.on("accept-proposal")
        def work(turn: Any) -> Message:
            return turn.say("result", summary="done")

        return agent

    protocol = load("contract-net")
    enact_sync(
        protocol, cast={"manager": manager, "bidder": [bidder(n) for n in range(bidders)]}, transcript=path
    )
