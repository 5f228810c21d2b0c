"""The same across restarts: each of these is a process of its own, and between them nothing runs.

    python wait.py ask                                   opens it, and ends
    python wait.py answer ask-back 'question=Who is on call?'
    python wait.py go-on                                 the deployer answers what waits for it, and the process ends
    python wait.py answer permit 'action=deploy shop 4.2.0 to production'
    python wait.py show

The store is `approvals.db` here. `agentcomm conversations list|show|answer --store approvals.db` does the same from a shell.
"""

import asyncio
import sys
from pathlib import Path

from workflow import PROTOCOL, RELEASE, deployer

from agentcomm import Runtime, load
from agentcomm.conversation.events import Moved, Refused
from agentcomm.conversation.render import View
from agentcomm.store.sqlite import SQLiteStore

STORE = Path("approvals.db")
NAME = "release-4.2.0"


async def main(verb: str, words: list[str]) -> None:
    """Do one step, and end."""
    agents = [deployer()] if verb in {"ask", "go-on"} else []
    store = SQLiteStore(STORE)
    async with Runtime(store=store, agents=agents) as runtime:
        if verb == "ask":
            await runtime.open(
                load(PROTOCOL),
                cast={"agent": "deployer", "human": "Mia"},
                brief={"agent": RELEASE},
                deadline="3d",
                conversation_id=NAME,
            )
        if verb == "answer":
            act, *fields = words
            content = dict(field.split("=", 1) for field in fields)
            for event in await runtime.answer(NAME, "human", act, content, by="Mia"):
                if isinstance(event, Refused | Moved):
                    print(
                        event.reason
                        if isinstance(event, Refused)
                        else f"{event.act}: {event.state} -> {event.next}"
                    )
        while runtime.is_busy or any(store.waiting(mailbox=agent.name, limit=1) for agent in agents):
            await asyncio.sleep(0.1)
        if verb == "show":
            result = await runtime.outcome(NAME)
            print("\n".join(View({"agent": "deployer", "human": "Mia"}).lines(result.transcript.events())))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if sys.argv[1:] else "", sys.argv[2:]))
