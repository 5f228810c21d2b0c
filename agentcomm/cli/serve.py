"""`agentcomm serve`: host a team, take up what is open, and go on until told to stop."""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

from agentcomm.cli.codes import EXIT_STOPPED
from agentcomm.cli.words import note, style

__all__ = ("STORE", "add_to")

STORE = "conversations.db"


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="host a team of agents: their conversations go on, also those that were open",
        description="Host a team of agents. What is open is taken up where it was; SIGTERM lets turns come to their end.",
        epilog="agentcomm serve team.yaml; then: agentcomm conversations open request --cast initiator=ann --cast participant=bob",
    )
    parser.add_argument("team", type=Path, metavar="TEAM", help="a YAML file that says who is in the team")
    parser.add_argument("--store", type=Path, metavar="FILE", help=f"default {STORE}")
    parser.add_argument(
        "--grace", default="30s", metavar="DURATION", help="for turns at the end; default 30s"
    )
    parser.add_argument(
        "--until-idle", action="store_true", help="stop when nothing is open that can go on here"
    )
    parser.add_argument("--quiet", action="store_true", help="say only what is out of the ordinary")
    parser.set_defaults(call=serve)


def serve(options: argparse.Namespace) -> int:
    """Host the team."""
    from agentcomm.acts.content import parse_duration
    from agentcomm.cli.team import read_team
    from agentcomm.errors import UsageError

    try:
        grace = parse_duration(options.grace).total_seconds()
    except ValueError as error:
        raise UsageError(f"--grace {options.grace!r}: {error}", fix="--grace 30s") from None
    return asyncio.run(_serve(options, read_team(options.team), grace))


async def _serve(options: argparse.Namespace, team: Any, grace: float) -> int:
    from agentcomm.acts.content import parse_duration
    from agentcomm.runtime.runtime import Runtime
    from agentcomm.store.sqlite import SQLiteStore

    store = SQLiteStore(options.store or team.store or STORE)
    colour = style()

    def watch(name: str, event: Any) -> None:
        kind = type(event).__name__
        if kind == "Heard":
            message = event.message
            to = ", ".join(message.receivers)
            print(
                f"{colour('dim', name)}  {message.sender} -> {to}  {colour('act', message.act)}", flush=True
            )
        elif kind == "Ended":
            good = event.outcome_class in {"success", "partial"}
            print(f"{colour('dim', name)}  {colour('good' if good else 'bad', event.outcome)}", flush=True)

    runtime = Runtime(
        store=store,
        agents=team.players,
        turns=team.turns,
        model_calls=team.model_calls,
        backlog=team.backlog,
        attempts=team.attempts,
        lease=parse_duration(team.lease).total_seconds(),
        watch=None if options.quiet else watch,
        note=note,
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    was: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda number=number: (was.append(number), stopped.set()))
    rows = store.rows(closed=False)
    note(f"{', '.join(runtime.agents)} on {store.name}: {_open(len(rows))}")
    runtime.start()
    try:
        while not stopped.is_set():
            try:
                await asyncio.wait_for(stopped.wait(), 0.5)
            except TimeoutError:
                if options.until_idle and _is_idle(store, runtime):
                    break
        if was:
            note(f"stopping: turns have {options.grace} to come to their end")
    finally:
        await runtime.drain(grace)
        for player in team.players:
            if hasattr(player, "close"):
                await player.close()
        left = len(store.rows(closed=False))
        store.close()
    goes_on = "; what is open goes on where it is when it is started again" if left else ""
    note(f"stopped: {_open(left)}{goes_on}")
    return EXIT_STOPPED if was and was[0] == signal.SIGINT else 0


def _open(count: int) -> str:
    return (
        "1 conversation is open"
        if count == 1
        else f"{count or 'no'} conversation{'s are' if count else ' is'} open"
    )


def _is_idle(store: Any, runtime: Any) -> bool:
    """Say whether nothing is left that an agent of this team could do now."""
    return not runtime.is_busy and not any(store.waiting(mailbox=name, limit=1) for name in runtime.agents)
