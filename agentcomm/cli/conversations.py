"""`agentcomm conversations`: look after the conversations in a store."""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentcomm.cli.codes import EXIT_FINDINGS
from agentcomm.cli.serve import STORE
from agentcomm.cli.words import note, print_json, put, style, width
from agentcomm.errors import AgentcommError, RecordError, StoreError, UsageError
from agentcomm.runtime.standing import Standing

if TYPE_CHECKING:
    from agentcomm.grounding.troubles import InDoubt

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "conversations",
        help="look after the conversations in a store: list, show, open, answer, resume, cancel, prune, backup, check",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, about: str, call: Callable[[argparse.Namespace], int], *, one: bool = True) -> Any:
        made = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if one:
            made.add_argument("id", metavar="ID")
        made.add_argument("--store", type=Path, default=Path(STORE), metavar="FILE", help=f"default {STORE}")
        made.set_defaults(call=call)
        return made

    listed = verb("list", "list conversations, the newest first", _list, one=False)
    listed.add_argument("--all", action="store_true", help="closed ones, too")
    listed.add_argument("--json", action="store_true")
    listed.add_argument("--limit", type=int, default=50, metavar="N", help="at most; 0 for all; default 50")
    shown = verb("show", "show one: who is waited for, until when, and what was said", _show)
    shown.add_argument("--json", action="store_true")
    shown.add_argument(
        "--transcript", metavar="PATH", help="write its transcript as JSON lines; - for the output"
    )
    opened = verb("open", "open one; whoever serves its agents carries it on", _open, one=False)
    opened.add_argument("protocol", metavar="PROTOCOL", help="of the library, or a file")
    opened.add_argument("--cast", action="append", default=[], metavar="ROLE=NAME", help="who plays (repeat)")
    opened.add_argument(
        "--brief", action="append", default=[], metavar="ROLE=TEXT", help="JSON or text (repeat)"
    )
    opened.add_argument("--deadline", metavar="DURATION", help="for the whole conversation, such as 3d")
    opened.add_argument("--key", default="", help="the same key again opens no second one")
    answer = verb("answer", "say something for a person", _answer)
    answer.add_argument("role", metavar="ROLE")
    answer.add_argument("act", metavar="ACT")
    answer.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="JSON or text")
    answer.add_argument("--by", required=True, metavar="NAME", help="who says it")
    answer.add_argument("--lane", default="", metavar="MEMBER")
    resumed = verb(
        "resume", "try again what was given up, or say what became of a tool call in doubt", _resume
    )
    resumed.add_argument(
        "--effect", choices=["done", "again"], help="of the call in doubt: was it done, or is it done again"
    )
    resumed.add_argument("--result", metavar="JSON", help="what it gave, with --effect done")
    resumed.add_argument("--by", default="operator", metavar="NAME", help="who says so")
    cancelled = verb("cancel", "end one from outside", _cancel)
    cancelled.add_argument("--by", default="operator", metavar="NAME")
    cancelled.add_argument("--reason", default="no longer needed", metavar="TEXT")
    pruned = verb("prune", "delete conversations that are closed", _prune, one=False)
    pruned.add_argument(
        "--older-than", default="30d", metavar="DURATION", help="closed for so long; default 30d"
    )
    pruned.add_argument("--id", default="", metavar="ID", help="only this one")
    backup = verb("backup", "copy the store, as it is at one moment, while it is used", _backup, one=False)
    backup.add_argument("target", type=Path, metavar="FILE")
    verb("check", "check the file and every hash in it", _check, one=False)


def _store(options: argparse.Namespace) -> Any:
    from agentcomm.store.sqlite import SQLiteStore

    return SQLiteStore(options.store, create=options.verb == "open")


def _with_runtime(options: argparse.Namespace, do: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with a runtime that hosts nobody: whoever serves does the rest."""
    from agentcomm.runtime.runtime import Runtime

    async def run() -> Any:
        store = _store(options)
        try:
            return await do(Runtime(store=store, note=note))
        finally:
            store.close()

    return asyncio.run(run())


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


async def _about(runtime: Any, found: Standing) -> dict[str, Any]:
    due = None
    if found.closed is None:
        with contextlib.suppress(RecordError):  # a damaged one is listed all the same
            due = await runtime.due(found.conversation)
    return {
        "conversation": found.conversation,
        "protocol": found.protocol,
        "state": found.state,
        "class": found.outcome_class,
        "cast": found.cast,
        "opened": _time(found.opened),
        "closed": _time(found.closed) or None,
        "due": _time(due) or None,
        "records": found.records,
        "waits_for": list(found.waits_for),
        "at_work": list(found.at_work),
    }


def _list(options: argparse.Namespace) -> int:
    async def listed(runtime: Any) -> list[dict[str, Any]]:
        found = runtime.conversations(closed=None if options.all else False, limit=max(0, options.limit))
        return [await _about(runtime, one) for one in found]

    every = _with_runtime(options, listed)
    if options.json:
        print_json(every)
        return 0
    if not every:
        note("no conversation is open" if not options.all else "there are no conversations")
    colour = style()
    wide = max((len(one["conversation"]) for one in every), default=0)
    for one in every:
        kind = "bad" if one["state"] in {"stuck", "in doubt"} else "act"
        waits = f"waits for {', '.join(one['waits_for'])}" if one["waits_for"] else ""
        due = f"until {one['due']}" if one["due"] else ""
        state = colour(kind, f"{one['state']:<9}")
        tail = "  ".join(part for part in (one["opened"], waits, due) if part)
        print(f"{one['conversation']:<{wide}}  {state} {one['protocol']:<18} {tail}".rstrip())
    return 0


def _show(options: argparse.Namespace) -> int:
    from agentcomm.conversation.entries import lines_of
    from agentcomm.conversation.render import View
    from agentcomm.conversation.transcript import Transcript
    from agentcomm.runtime.troubles import doubts_of

    async def look(runtime: Any) -> tuple[Any, ...]:
        store = runtime.store
        every, damage = lines_of(entry.data for entry in store.read(options.id))
        (found,) = runtime.conversations(conversation=options.id, closed=None)
        return every, damage, await _about(runtime, found), store.dead(options.id), store.waiting(options.id)

    every, damage, told, dead, waiting = _with_runtime(options, look)
    lines = b"".join(every)
    if options.transcript == "-":
        print(lines.decode(), end="")
        return 0
    if options.transcript:
        put(lines.decode().rstrip("\n"), options.transcript)
    transcript = Transcript.from_lines(every, where=f"{options.store}#{options.id}")
    damage = damage or transcript.damage
    told["dead"] = [
        {"agent": one.mailbox, "about": one.note, "reason": one.reason, "at": _time(one.at)} for one in dead
    ]
    told["waiting"] = [{"agent": one.mailbox, "about": one.note, "attempt": one.attempt} for one in waiting]
    told["rejected"] = [
        {"principal": record.data.get("principal"), "act": record.data.get("act"), "at": record.time}
        for record in transcript.records
        if record.type == "turn.rejected"
    ]
    doubts = [*doubts_of(transcript)]
    told["in_doubt"] = [{"role": one.by, "tool": one.action, "key": one.key} for one in doubts]
    told["damage"] = f"{damage.what}: {damage.why}" if damage else None
    if options.json:
        print_json(told)
    else:
        _print(told, doubts, View(told["cast"], style=style(), width=width()).lines(transcript.events()))
    return EXIT_FINDINGS if damage else 0


def _print(told: dict[str, Any], doubts: "list[InDoubt]", lines: Any) -> None:
    colour = style()
    print(colour("act", f"{told['conversation']}  {told['protocol']}  {told['state']}"))
    for name, value in (
        ("opened", told["opened"]),
        ("closed", told["closed"]),
        ("next deadline", told["due"]),
    ):
        if value:
            print(f"  {name:<14} {value}")
    for one in told["waiting"]:
        print(f"  {'waits for':<14} {one['agent']}  {one['about']}")
    for one in told["dead"]:
        print(colour("bad", f"  {'given up':<14} {one['agent']}  {one['reason']}"))
        again = "--effect done (with --result JSON), or --effect again, once you have looked"
        is_doubt = one["reason"].startswith("in doubt")
        print(
            f"  {'':<14} agentcomm conversations resume {told['conversation']} {again if is_doubt else ''}".rstrip()
        )
    for one in told["rejected"]:
        print(colour("bad", f"  {'rejected':<14} {one['principal']} said {one['act']}"))
    for doubt in doubts:
        print(colour("bad", f"  {'in doubt':<14} {doubt.sentence}"))
    if told["damage"]:
        print(colour("bad", f"  {'damaged':<14} {told['damage']}"))
    for line in lines:
        print(line)


def _pairs(given: list[str], option: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals:
            before = f"{option} " if option.startswith("-") else ""
            raise UsageError(f"{before}{entry!r} is not NAME=…", fix=f"{before}{entry}=…")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _open(options: argparse.Namespace) -> int:
    from agentcomm.cli.examples import find_protocol
    from agentcomm.cli.run import check_deadline
    from agentcomm.protocol.library import load

    protocol = load(find_protocol(options.protocol))
    cast_of: dict[str, Any] = {}
    for entry in options.cast:
        role, _, name = entry.partition("=")
        if role not in protocol.roles or not name:
            raise UsageError(
                f"--cast {entry!r} is not ROLE=NAME",
                why=f"the roles are {', '.join(protocol.roles)}",
                fix=_cast_words(protocol, protocol.roles),
            )
        names = [one for one in name.split(",") if one]
        if not names:
            raise UsageError(f"--cast {entry!r} names nobody", fix=f"--cast {role or 'role'}=NAME")
        cast_of[role] = names if role == protocol.many else name
    missing = [role for role in protocol.roles if role not in cast_of]
    if missing:
        raise UsageError(
            f"nobody plays {', '.join(missing)}",
            why=f"{protocol.name!r} needs {', '.join(protocol.roles)}",
            fix=_cast_words(protocol, missing),
            code="U402",
        )
    check_deadline(options.deadline)
    name = _with_runtime(
        options,
        lambda runtime: runtime.open(
            protocol,
            cast=cast_of,
            brief=_pairs(options.brief, "--brief"),
            deadline=options.deadline,
            key=options.key,
            principal="cli",
        ),
    )
    print(name)
    return 0


def _cast_words(protocol: Any, roles: Sequence[str]) -> str:
    return " ".join(f"--cast {role}=NAME{',NAME' if role == protocol.many else ''}" for role in roles)


def _answer(options: argparse.Namespace) -> int:
    from agentcomm.conversation.events import Refused

    fields = _pairs(options.fields, "FIELD")
    events = _with_runtime(
        options,
        lambda runtime: runtime.answer(
            options.id, options.role, options.act, fields, by=options.by, lane=options.lane
        ),
    )
    for event in events:
        if isinstance(event, Refused):
            legal = ", ".join(event.legal)
            raise UsageError(
                f"{options.act!r} does not count: {event.reason}", fix=f"legal now: {legal or 'nothing'}"
            )
    print(f"{options.role} said {options.act}")
    return 0


def _resume(options: argparse.Namespace) -> int:
    async def resume(runtime: Any) -> int:
        if options.effect is None:
            doubts = [one for one in runtime.store.dead(options.id) if one.reason.startswith("in doubt")]
            if doubts:
                raise UsageError(
                    f"nobody knows whether a tool did its work: {doubts[0].reason}",
                    fix="look, then say: --effect done (with --result), or --effect again",
                )
            return int(await runtime.resume(options.id))
        count = 0
        for one in runtime.store.dead(options.id):
            if one.reason.startswith("in doubt"):
                key = one.reason.rpartition("(")[2].rstrip(")")
                result = json.loads(options.result) if options.result else None
                await runtime.decide(
                    options.id, key, was_done=options.effect == "done", result=result, by=options.by
                )
                count += 1
        return count

    try:
        count = _with_runtime(options, resume)
    except ValueError as error:
        raise UsageError(f"--result is not JSON: {error}", fix="--result '{\"paid\": 7}'") from None
    print(
        f"{count} given up before; whoever serves it goes on with it"
        if count
        else "nothing was given up in it"
    )
    return 0


def _cancel(options: argparse.Namespace) -> int:
    _with_runtime(options, lambda runtime: runtime.cancel(options.id, by=options.by, reason=options.reason))
    print(f"{options.id} is cancelled")
    return 0


def _prune(options: argparse.Namespace) -> int:
    from agentcomm.acts.content import parse_duration

    try:
        age = parse_duration(options.older_than).total_seconds()
    except ValueError as error:
        raise UsageError(f"--older-than {options.older_than!r}: {error}", fix="--older-than 30d") from None

    async def prune(runtime: Any) -> int:
        return int(await runtime.store.prune(before=runtime.store.now() - age, conversation=options.id))

    print(f"{_with_runtime(options, prune)} deleted")
    return 0


def _backup(options: argparse.Namespace) -> int:
    _with_runtime(options, lambda runtime: runtime.store.backup(options.target))
    print(f"{options.target} is a copy of {options.store}")
    return 0


def _check(options: argparse.Namespace) -> int:
    """Check the file itself, then the chain of every conversation."""
    from agentcomm.conversation.tape import Tape

    store = _store(options)
    wrong: list[str] = list(store.check())
    rows = store.rows()
    for row in rows:
        tape = Tape()
        try:
            for entry in store.read(row.conversation):
                for _ in tape.feed(entry.data):
                    pass
        except StoreError:
            raise
        except AgentcommError as error:
            wrong.append(f"{row.conversation}: {error.what}")
    store.close()
    for one in wrong:
        print(one)
    print(
        f"{len(rows)} conversations, {len(wrong)} damaged"
        if wrong
        else f"{len(rows)} conversation{'' if len(rows) == 1 else 's'}, all sound"
    )
    return EXIT_FINDINGS if wrong else 0
