"""Small conversations that the tests trace, and words to look at what came out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agentcomm import Agent, load
from agentcomm.acts.message import Message

SALE = """
agentcomm: 1
protocol: sale
version: 1
about: One buys from another.
roles: [buyer, seller]
acts:
  cfp: {item: text}
  propose: {content: {price: money}, critical: [price], stakes: high}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
  inform-done: {act: inform, discharges: propose}
grounding:
  cfp: relevant
  propose: {readback: [price]}
  accept-proposal: {repeats: {price: propose.price}}
states:
  opening: {buyer: {cfp: asked}}
  asked: {seller: {propose: offered}}
  offered: {buyer: {accept-proposal: bought, reject-proposal: declined}}
  bought: {seller: {inform-done: done}}
outcomes: {done: success, declined: rejected, expired: expired}
limits: {reply_within: 5s, else: expired}
"""


def sale(folder: Path, text: str = SALE) -> Any:
    """Return the protocol of a sale, read from a file."""
    path = folder / "sale.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def cast(*, slip: bool = False, misfires: int = 0, item: str = "tea") -> dict[str, Agent]:
    """Return a buyer and a seller of code.

    Args:
        slip: The buyer's first read-back is wrong.
        misfires: How often the buyer says what is not legal, before it accepts.
        item: What is bought.
    """
    ann, bob = Agent("ann"), Agent("bob")
    left = {"slips": int(slip), "misfires": misfires}

    @ann.opens
    def ask(turn: Any) -> Message:
        return turn.say("cfp", item=item)

    @bob.on("cfp")
    def offer(turn: Any) -> Message:
        return turn.say("propose", price="20 EUR")

    @ann.on("wrong", overlay="read-back")
    @ann.on("propose", overlay="read-back")
    def read_back(turn: Any) -> Message:
        left["slips"] -= 1
        return turn.say("readback", fields={"price": "21 EUR" if left["slips"] >= 0 else "20 EUR"})

    @ann.on("propose")
    def accept(turn: Any) -> Message:
        left["misfires"] -= 1
        if left["misfires"] >= 0:
            return Message(act="buy-order-66", content={})
        return turn.say("accept-proposal", price="20 EUR")

    @bob.on("accept-proposal")
    def deliver(turn: Any) -> Message:
        return turn.say("inform-done")

    return {"buyer": ann, "seller": bob}


class Spans:
    """Finished spans, as a tree."""

    def __init__(self, spans: Iterable[Any]) -> None:
        self.all = sorted(spans, key=lambda span: span.start_time)

    def roots(self, prefix: str = "") -> list[Any]:
        return [span for span in self.all if span.parent is None and span.name.startswith(prefix)]

    def children(self, span: Any) -> list[Any]:
        return [child for child in self.all if child.parent and child.parent.span_id == span.context.span_id]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> Any:
        found = self.named(name)
        assert len(found) == 1, f"{name}: {[span.name for span in self.all]}"
        return found[0]

    def tree(self) -> list[str]:
        lines: list[str] = []
        for root in self.roots():
            lines.append(root.name)
            lines += [f"  {child.name}" for child in self.children(root)]
        return lines
