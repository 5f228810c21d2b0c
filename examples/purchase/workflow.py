"""Ann buys a bicycle from Bob: a model and code in one talk.

Bob is code alone: two handlers. Ann is both: her model asks, reads the offer back and, if it can judge, decides; a handler
takes over what her model cannot do. Run it with `agentcomm run purchase`.
"""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from agentcomm import Agent, Message, Turn, Unspoken
from agentcomm.acts.content import Money
from agentcomm.errors import UsageError

HERE = Path(__file__).parent
STOCK = {"bike": Money(Decimal(110), "EUR"), "helmet": Money(Decimal(35), "EUR")}
VALID_FROM = date(2026, 12, 1)

ASKING = [
    ({"want": "a lamp", "budget": "20 EUR"}, {"item": "lamp", "budget": "20 EUR"}),
    ({"want": "a winter coat", "budget": "90 EUR"}, {"item": "winter coat", "budget": "90 EUR"}),
]


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    ann = Agent(
        "Ann", model=model("buyer"), goal="Buy it within the budget, or leave it.", examples={"cfp": ASKING}
    )
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        asked = turn.content
        wanted = str(asked["item"])
        for name, price in STOCK.items():
            if name in wanted.casefold():
                if price.amount > asked["budget"].amount:
                    return turn.say("refuse", reason=f"a {name} costs {price}")
                until = VALID_FROM + timedelta(days=13)
                return turn.say("propose", item=wanted, price=price, valid_until=until)
        return turn.say("refuse", reason=f"no {wanted} in stock")

    @ann.opens
    async def ask(turn: Turn) -> Message | Unspoken:
        return await turn.fill(
            "cfp", known={"budget": turn.brief["budget"]}, facts={"want": turn.brief["want"]}
        )

    @ann.on("propose")
    async def decide(turn: Turn) -> Message | Unspoken:
        if turn.judges:
            return await turn.fill()
        return turn.say("accept-proposal", price=turn.ground["price"])

    return {"buyer": ann, "seller": bob}


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told."""
    if source is not None:
        raise UsageError("purchase reads no file", fix='--brief \'buyer={"want": "a helmet"}\'')
    return {"buyer": {"want": "a city bike", "budget": "120 EUR"}}
