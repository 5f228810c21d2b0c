"""A process that hosts a cast on a store until it is killed, or until nothing is open.

    python -m tests.crash.team FOLDER NAME [CUT]

Each time a body runs it appends a line to `bodies`, and each time a tool does its work, a line with its key to `effects`: that is how
the outside world sees what was done twice. With CUT, the process kills itself there, the n-th time: `before:commit#3`.
"""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from agentcomm import Agent
from agentcomm.agents.tools import tool
from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.sqlite import SQLiteStore


def tell(path: Path, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{line}\n".encode())
    os.close(file)


class Paid:
    """A model that costs something: each call of it is told to the outside."""

    name = provider = "paid:"
    capabilities = Capabilities()

    def __init__(self, folder: Path, text: str) -> None:
        self._folder, self._text = folder, text

    async def reply(self, request):
        tell(self._folder / "calls", request.messages[-1].content[:20].replace("\n", " "))
        await asyncio.sleep(0)
        return ModelReply(text=self._text, model=self.name)

    async def close(self):
        pass


def team(folder: Path, think: float) -> list[Agent]:
    """Return a cast: ann asks, bob does it with a tool, and says so; mind and thinker ask a model what to say."""
    dice = random.Random(os.getpid())  # noqa: S311

    @tool(effect="keyed")
    async def pay(amount: int, idempotency_key: str) -> dict[str, object]:
        tell(folder / "effects", idempotency_key)
        await asyncio.sleep(dice.uniform(0, think))
        return {"paid": amount}

    async def post(text: str) -> str:
        tell(folder / "posts", text)
        await asyncio.sleep(dice.uniform(0, think))
        return "posted"

    ann, bob = Agent("ann"), Agent("bob", tools=[pay, post])

    @ann.opens
    async def ask(turn):
        tell(folder / "bodies", f"{turn.conversation.id} ann")
        await asyncio.sleep(dice.uniform(0, think))
        return turn.say("request", action=turn.brief or "sing")

    @bob.on("request")
    def agree(turn):
        tell(folder / "bodies", f"{turn.conversation.id} bob agrees")
        if turn.heard.content.action == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return turn.say("agree")

    @bob.on("request", state="agreed")
    async def done(turn):
        tell(folder / "bodies", f"{turn.conversation.id} bob does")
        if turn.heard.content.action == "post":
            await turn.use(post, text=turn.conversation.id)
            return turn.say("inform-result", result="posted")
        paid = await turn.use(pay, amount=7)
        return turn.say("inform-result", result=paid["paid"])

    mind = Agent("mind", model=Paid(folder, '{"act": "inform-result", "content": {"result": "x"}}'))
    thinker = Agent("thinker", model=Paid(folder, '{"result": "x"}'))

    @thinker.on("request")
    async def think_long(turn):
        for number in range(4):
            said = await turn.fill("inform-result", facts={"pass": number})
        return said

    return [ann, bob, mind, thinker]


async def host(folder: Path, name: str, cut: str) -> None:
    store = SQLiteStore(folder / "talks.db", poll=0.01)
    think = float(os.environ.get("THINK", "0.02"))
    lease = float(os.environ.get("LEASE", "1.0"))
    attempts = int(os.environ.get("ATTEMPTS", "4"))
    agents = team(folder, think)
    runtime = Runtime(
        store=store,
        agents=agents,
        lease=lease,
        turns=32,
        retry=0.05,
        attempts=attempts,
        backlog=10**9,  # nobody is to refuse as busy
    )
    if cut:
        where, _, nth = cut.partition("#")
        left = [int(nth or 1)]

        def die(point: str) -> None:
            if point == where:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        runtime.cut = die
    tell(folder / "started", name)
    async with runtime:
        while True:
            await asyncio.sleep(0.05)
            rows = store.rows(closed=False, limit=50)
            if not rows or all(row.dead for row in rows):
                return


if __name__ == "__main__":
    asyncio.run(host(Path(sys.argv[1]), sys.argv[2], (sys.argv[3:] or [""])[0]))
