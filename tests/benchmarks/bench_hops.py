"""Conversations between agents in code, in bare hops: what a message costs beside one over plain asyncio queues.

    python tests/benchmarks/bench_hops.py [quick]

In the measured path: `enact` as users call it, from opening a conversation to its result. Content is validated by pydantic, each
message is checked against the protocol, takes effect on position, common ground and commitments, and is kept with all that happened in
a transcript in memory (a simple move's events in one short value, see `agentcomm.conversation.plain.Told`); deadlines are set; tracing is off. In the contract net each of N bidders hears the call, bids and is answered, and
one reports: 3 N + 1 messages, of which the call is one on record, said for all. The transcript's lines (JSON, hash chain) are made when somebody asks for
them or a file is given; `written` includes making them. See `bare.py` for the unit.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bare import bare, bare_at_once, in_hops
from results import write

from agentcomm import Agent, enact
from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.protocol.library import loads

REQUEST = """
agentcomm: 1
protocol: request
version: 1
roles: [initiator, participant]
acts:
  request: {goal: text, n: int}
  agree:   {}
  refuse:  {reason: text}
  failure: {reason: text}
  result:  {act: inform, content: {text: text, n: int}, discharges: request}
states:
  asking:    {initiator: {request: requested}}
  requested: {participant: {agree: agreed, refuse: refused, failure: failed}}
  agreed:    {participant: {result: done, failure: failed}}
outcomes: {done: success, refused: refused, failed: failed, expired: expired}
"""
NET = """
agentcomm: 1
protocol: contract-net
version: 1
roles: {manager: 1, bidder: 1..100}
acts:
  cfp:             {goal: text, n: int}
  propose:         {price: int, plan: text}
  refuse:          {reason: text}
  accept-proposal: {price: int}
  reject-proposal: {reason: text}
  failure:         {reason: text}
  result:          {act: inform, content: {text: text, n: int}, discharges: propose}
states:
  calling:  {manager: {cfp: {next: bidding, for: all}}}
  bidding:  {bidder: {propose: weighing, refuse: declined}, within: 30s, else: silent}
  weighing:
    gather: bidder
    manager: {accept-proposal: {next: working, at_most: 1}, reject-proposal: rejected}
  working:  {bidder: {result: done, failure: failed}, within: 10m, else: failed}
outcomes: {done: success, declined: refused, silent: expired, rejected: rejected, failed: failed, expired: expired}
settles: {success: any done, failed: any failed, expired: all silent, refused: otherwise}
"""
Work = Callable[[], Coroutine[Any, Any, int]]


def two(*, waits: bool = False) -> dict[str, Agent]:
    """Return who asks and who does it; with `waits`, each gives way to all others before it speaks."""
    ann, bob = Agent("ann"), Agent("bob")

    def ask(turn: Turn) -> Message:
        return turn.say("request", goal="sum", n=3)

    def agree(turn: Turn) -> Message:
        return turn.say("agree")

    def tell(turn: Turn) -> Message:
        return turn.say("result", text="a sum", n=6)

    def slowly(handler: Callable[[Turn], Message]) -> Any:
        async def wait(turn: Turn) -> Message:
            await asyncio.sleep(0)
            return handler(turn)

        return wait if waits else handler

    ann.opens(slowly(ask))
    bob.on("request", state="requested")(slowly(agree))
    bob.on("request", state="agreed")(slowly(tell))
    return {"initiator": ann, "participant": bob}


def net(bidders: int) -> dict[str, Any]:
    """Return a manager and so many bidders."""
    manager = Agent("manager")

    @manager.opens
    def call(turn: Turn) -> Message:
        return turn.say("cfp", goal="paint", n=3)

    @manager.gathers
    def weigh(turn: Turn) -> list[Message]:
        best = min(turn.lanes, key=lambda name: turn.lanes[name].heard.content.price)  # type: ignore[union-attr]
        return [
            lane.say("accept-proposal", price=lane.heard.content.price)  # type: ignore[union-attr]
            if name == best
            else lane.say("reject-proposal", reason="dearer")
            for name, lane in turn.lanes.items()
        ]

    several: list[Agent] = []
    for n in range(bidders):
        bidder = Agent(f"b{n}")

        @bidder.on("cfp")
        def bid(turn: Turn, n: int = n) -> Message:
            return turn.say("propose", price=100 + n, plan="as always")

        @bidder.on("accept-proposal")
        def do(turn: Turn) -> Message:
            return turn.say("result", text="painted", n=3)

        several.append(bidder)
    return {"manager": manager, "bidder": several}


def main() -> None:
    """Print the table and write it down."""
    quick = "quick" in sys.argv
    rounds, times = (9, 1) if quick else (41, 1)
    request, contract_net = loads(REQUEST), loads(NET)
    agents, slow = two(), two(waits=True)

    async def one_by_one(cast: dict[str, Agent] = agents) -> int:
        n = 0
        for _ in range(200 * times):
            result = await enact(request, cast=cast)
            n += result.conversation.n
        return n

    async def written() -> int:
        n = 0
        for _ in range(60 * times):
            result = await enact(request, cast=agents)
            n += result.conversation.n
            result.transcript.records  # noqa: B018  (made here)
        return n

    async def at_once() -> int:
        n = 0
        for _ in range(times):
            found = await asyncio.gather(*(enact(request, cast=slow) for _ in range(1000)))
            n += sum(result.conversation.n for result in found)
        return n

    def bids(count: int) -> Work:
        cast = net(count)

        async def work() -> int:
            n = 0
            for _ in range(max(1, 200 * times // count)):
                result = await enact(contract_net, cast=cast)
                assert result.conversation.n == 2 * count + 2
                n += 3 * count + 1
            return n

        return work

    table: dict[str, tuple[float, float, float]] = {}

    def show(what: str, work: Work) -> float:
        found = table[what] = in_hops(work, rounds)
        print(f"{what:<66} {found[0]:6.2f} hops {found[1]:8.2f} us  (a hop: {found[2]:.2f} us)", flush=True)
        return found[0]

    show("bare, one at a time", bare)
    show("bare, 1,000 at once", bare_at_once)
    alone = show("request-agree-inform, one at a time", one_by_one)
    waiting = show("... agents that give way before they speak, one at a time", lambda: one_by_one(slow))
    many = show("... the same, 1,000 in flight", at_once)
    show("... and the transcript's lines made and read, one at a time", written)
    ten = show("contract-net, 10 bidders", bids(10))
    hundred = show("contract-net, 100 bidders", bids(100))
    ratios = {
        "1,000 in flight to one at a time": many / waiting,
        "1,000 in flight to agents that answer at once": many / alone,
        "100 bidders to 10": hundred / ten,
    }
    for what, ratio in ratios.items():
        print(f"{what:<66} {ratio:6.2f} x")
    if not quick:
        hops = {what: round(found[0], 2) for what, found in table.items()}
        micro = {what: round(found[1], 2) for what, found in table.items()}
        write(
            "hops",
            {
                "hops a message": hops,
                "us a message": micro,
                "ratios": {k: round(v, 3) for k, v in ratios.items()},
            },
        )


if __name__ == "__main__":
    main()
