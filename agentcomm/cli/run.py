"""`agentcomm run`: let a conversation happen, and watch it."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from typing import cast as typed

from agentcomm.acts.content import printable
from agentcomm.cli.codes import EXIT_ENDED, EXIT_OUTSIDE, EXIT_STOPPED
from agentcomm.cli.models import Models
from agentcomm.cli.words import Pulse, drop_output, fault, note, print_json, style, width
from agentcomm.errors import InputError, UsageError

__all__ = ("add_to", "brief_of", "cast_of", "check_deadline")

_STAYS = 60.0
"""Seconds that a page which nobody has opened stays after the end."""

BETTER = "ollama:qwen3:4b"
"""A model that judges, in the hint for those who ran the demo model."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="enact an example or a protocol, with the live view",
        description="Enact an example or a protocol, with the live view.",
        epilog="agentcomm run incident-handoff --input /var/log/nginx/error.log --model ollama:qwen3:4b",
    )
    parser.add_argument(
        "name", metavar="EXAMPLE|FILE", help="an example, a protocol of the library, or a file"
    )
    parser.add_argument(
        "--model", help="ollama:NAME, embedded:, embedded:/path.gguf, or scripted (an example's replies)"
    )
    parser.add_argument(
        "--cast",
        action="append",
        default=[],
        metavar="ROLE=MODEL",
        help="another model for one role (repeat)",
    )
    parser.add_argument(
        "--brief",
        action="append",
        default=[],
        metavar="ROLE=TEXT",
        help="what a role is told; JSON or text (repeat)",
    )
    parser.add_argument(
        "--human",
        action="append",
        default=[],
        metavar="ROLE",
        help="a role that you play, at this terminal (repeat)",
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="your own input for an example")
    parser.add_argument("--deadline", metavar="DURATION", help="for the whole conversation, such as 10m")
    parser.add_argument(
        "--transcript", type=Path, metavar="PATH", help="file or folder; default ./transcripts/"
    )
    parser.add_argument(
        "--transcript-content",
        choices=("full", "hash", "none"),
        default="full",
        help="how much of what is said the transcript keeps; default full",
    )
    parser.add_argument(
        "--from",
        dest="past",
        type=Path,
        metavar="TRANSCRIPT",
        help="go on from what was said in this one: with another model, or after a crash",
    )
    parser.add_argument(
        "--after", type=int, metavar="N", help="with --from: the last message that is taken from it"
    )
    parser.add_argument(
        "--look",
        action="store_true",
        help="say what code finds in the record at the end: values without a source, contradictions, placeholders",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object, and nothing else"
    )
    parser.add_argument(
        "--trace",
        metavar="URL",
        help="send spans, what was said included, to this OTLP/HTTP endpoint, such as http://127.0.0.1:4318",
    )
    parser.add_argument(
        "--one-trace",
        action="store_true",
        help="with --trace: the whole conversation is one trace; for short ones",
    )
    parser.add_argument(
        "--watch", action="store_true", help="show it live as a page, for a browser on this machine"
    )
    parser.set_defaults(call=run)


def run(options: argparse.Namespace) -> int:
    """Enact, show, and say how it ended; returns 0 if it ended well."""
    from agentcomm.cli.examples import find_example, find_protocol
    from agentcomm.cli.transcripts import FOLDER
    from agentcomm.protocol.library import load
    from agentcomm.store.jsonl import file_for

    example = find_example(options.name)
    protocol = load(find_protocol(options.name))
    if protocol.overlay is not None:
        raise UsageError(
            f"{protocol.name!r} is an overlay: it runs on top of a protocol, not alone",
            fix=f"look at it with: agentcomm show _overlays/{protocol.name}",
        )
    check_deadline(options.deadline)
    own = _pairs(options.cast, "--cast", protocol.roles, parse=False)
    models = Models(options.model, own, example, options.human)
    if example is not None:
        _check_input(options.input)
    cast = cast_of(protocol, example, models, _humans(options.human, protocol))
    if example is not None and options.input is not None and models.is_scripted:
        raise UsageError(
            "--input needs a model that reads it",
            why="the scripted replies belong to the example's own input",
            fix=f"agentcomm run {example.name} --input {options.input} --model embedded:",
        )
    if options.past is not None and models.is_scripted:
        raise UsageError(
            "--from needs a model that answers what it is asked",
            why="scripted replies come in their own order, from the first on",
            fix="--model embedded:, or ollama:NAME",
        )
    if options.past is None and options.after is not None:
        raise UsageError("--after says nothing without --from", fix="--from transcripts/….jsonl")
    is_told = options.past is None or options.brief or options.input is not None
    brief = brief_of(protocol, example, options.brief, options.input) if is_told else None  # as it was
    path = file_for(options.transcript or FOLDER, example.name if example else protocol.name)
    head = [] if options.json else _head(options.name, protocol, models, is_example=example is not None)
    if head and options.past is not None:
        upto = "" if options.after is None else f", up to message {options.after}"
        head.append(style()("dim", f"goes on from {options.past}{upto}"))
    if options.one_trace and not options.trace:
        raise UsageError("--one-trace says nothing without --trace", fix="--trace http://127.0.0.1:4318")
    if not options.watch:
        return asyncio.run(_enact(options, protocol, cast, brief, path, head))
    from agentcomm.cli.watching import LivePage

    with LivePage(path) as page:
        note(f"live: {page.url}")
        done = asyncio.run(_enact(options, protocol, cast, brief, path, head))
        if done != EXIT_STOPPED and not page.wait(1):
            note(f"the page stays until it was opened, at most {_STAYS:g} seconds; Ctrl-C ends it")
            with contextlib.suppress(KeyboardInterrupt):
                page.wait(_STAYS)
        return done


def cast_of(
    protocol: Any, example: Any, models: Callable[[str], Any], humans: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return who plays which role: an example's own cast, else the model of each role alone.

    Args:
        protocol: The protocol.
        example: The example, or None.
        models: Role -> its model.
        humans: Role -> who plays it instead.
    """
    humans = humans or {}
    if example is not None:
        return {**example.module().cast(models), **humans}
    from agentcomm.agents.agent import Agent

    return {
        role: [Agent(f"{role}-{number}", model=models(role)) for number in range(1, _several(protocol) + 1)]
        if role == protocol.many
        else Agent(role, model=models(role))
        for role in protocol.roles
        if role not in humans
    } | dict(humans)


def brief_of(protocol: Any, example: Any, given: list[str], source: Path | None) -> dict[str, Any]:
    """Return what each role is told: an example's own briefs with the user's put over them.

    Raises:
        UsageError: An entry is not ROLE=…, or there is an input for something that reads none.
        InputError: The input is not there.
    """
    told = _pairs(given, "--brief", protocol.roles)
    if example is None:
        if source is not None:
            raise UsageError("--input is for examples", fix="tell a role with --brief role=…")
        return told
    _check_input(source)
    return _merged(example.module().brief(source), told)


def _humans(roles: Sequence[str], protocol: Any) -> dict[str, Any]:
    """Return the roles that people at this terminal play."""
    from agentcomm.agents.human import Human, Terminal

    if wrong := [role for role in roles if role not in protocol.roles]:
        raise UsageError(
            f"--human: {protocol.name!r} has no role {wrong[0]!r}",
            why=f"its roles are {', '.join(protocol.roles)}",
            fix=f"--human {protocol.roles[0]}",
        )
    terminal = Terminal()
    return {
        role: [Human(f"{role}-1", console=terminal)]
        if role == protocol.many
        else Human(role, console=terminal)
        for role in roles
    }


def _several(protocol: Any) -> int:
    """Return how many play the many-role: two, where that is allowed."""
    least, most = protocol.members
    return max(least, min(2, most))


def _names(cast: Mapping[str, Any]) -> dict[str, str]:
    """Return who plays each role, and who the members of a many-role are."""
    found: dict[str, str] = {}
    for role, given in cast.items():
        if isinstance(given, list | tuple):
            found |= {agent.name: agent.name for agent in typed("Sequence[Any]", given)}
        elif isinstance(given, Mapping):
            found |= {member: agent.name for member, agent in typed("Mapping[str, Any]", given).items()}
        else:
            found[role] = given.name
    return found


async def _enact(
    options: argparse.Namespace,
    protocol: Any,
    cast: Mapping[str, Any],
    brief: Mapping[str, Any] | None,
    path: Path,
    head: list[str],
) -> int:
    from agentcomm.conversation.render import View
    from agentcomm.errors import StoreError
    from agentcomm.runtime.enact import enact, players_of

    view = View(_names(cast), style=style(), width=width())
    pulse = Pulse()
    tracing = None
    if options.trace:
        from agentcomm.tracing.setup import setup

        tracing = setup(options.trace, content="full", scope="conversation" if options.one_trace else "turn")
        note(f"spans go to {tracing.where}, with what was said")
    _end_in_order()
    for line in head:
        print(line, flush=True)

    def watch(event: Any) -> None:
        lines = [] if options.json else view.feed(event)
        pulse.stop()
        for line in lines:
            print(line, flush=True)

    def tell(text: str) -> None:
        pulse.stop()
        note(text)

    was_stopped = False
    try:
        async with pulse if not options.human else nullcontext():
            result = await enact(
                protocol,
                cast=cast,
                brief=brief,
                deadline=options.deadline,
                transcript=path,
                transcript_content=options.transcript_content,
                past=options.past,
                after=options.after,
                watch=watch,
                note=tell,
            )
    except asyncio.CancelledError:
        was_stopped = True
        note(f"stopped; the transcript so far: {path}")
        return EXIT_STOPPED
    except StoreError:
        raise
    except Exception:
        if path.exists():  # noqa: ASYNC240  (it is over)
            note(f"the transcript so far: {path}")
        raise
    finally:
        if not was_stopped:  # a model in the middle of a prompt would hold up the end
            for player in players_of(cast):
                if hasattr(player, "close"):
                    await player.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.shutdown)
            note(tracing.report())
    is_whole = options.transcript_content == "full"
    found = result.look.shown if is_whole and (options.look or options.json) else ()
    if options.json:
        unchecked = list(result.look.unchecked) if is_whole else ["anything: it needs what was said"]
        print_json({**result.as_dict(), "troubles": [str(one) for one in found], "unchecked": unchecked})
    else:
        for one in found:
            print(style()("bad", f"look at {one}"))
        for doubt in () if found else result.in_doubt:
            print(style()("bad", f"in doubt: {doubt.sentence}"))
        if options.look and not is_whole:
            note("--look needs what was said: --transcript-content full")
        elif options.look and not found:
            print(
                style()(
                    "dim",
                    "nothing to look at: every value of a model has a source, none contradicts another, nothing answers what is not open",
                )
            )
        for text in result.look.unchecked if options.look and is_whole else ():
            print(style()("dim", f"not checked: {text}"))
        print(style()("dim", f"transcript {path}"))
    for error in result.errors:
        fault(str(error))
    if result.errors:
        return EXIT_OUTSIDE
    return 0 if result.outcome_class in {"success", "partial"} else EXIT_ENDED


def _end_in_order() -> None:
    """Let a process that is told to end, or whose terminal is closed, stop as at Ctrl-C: the record is closed."""
    loop, task = asyncio.get_running_loop(), typed("asyncio.Task[Any]", asyncio.current_task())

    def hang_up() -> None:
        drop_output(sys.stdout, sys.stderr)
        task.cancel()

    for name, do in (("SIGTERM", task.cancel), ("SIGHUP", hang_up)):
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(getattr(signal, name), do)  # not on Windows, nor in a thread


def _head(name: str, protocol: Any, models: "Models", *, is_example: bool) -> list[str]:
    from agentcomm.runtime.enact import rules_for

    colour = style()
    title = protocol.name if name == protocol.name or not is_example else f"{name}: {protocol.name}"
    most = rules_for(protocol).bound
    lines = [
        colour("act", f"{title} {protocol.version}") + f"  {printable(protocol.about)}",
        colour("dim", f"at most {most} messages, every read-back and repair included"),
        *(colour("dim", text) for text in models.described()),
    ]
    if models.is_demo and is_example:
        lines.append(
            colour("dim", "  it copies values but does not judge, so code judges; for a model that does:")
        )
    elif models.is_demo:
        lines.append(
            colour(
                "dim", "  it cannot judge: what it chooses and writes here means little; for one that can:"
            )
        )
    if models.is_demo:
        lines.append(colour("dim", f"  agentcomm run {name} --model {BETTER}"))
    return lines


def check_deadline(given: str | None) -> None:
    """Look at --deadline before anything is begun.

    Raises:
        UsageError: It is no duration.
    """
    from agentcomm.acts.content import parse_duration

    try:
        parse_duration(given if given is not None else "1s")
    except ValueError as error:
        raise UsageError(f"--deadline {given!r}: {error}", fix="--deadline 10m") from None


def _check_input(given: Path | None) -> None:
    if given is not None and not given.exists():
        raise InputError(
            "no such file", where=str(given), fix=f"check the path; a relative one starts in {Path.cwd()}"
        )


def _merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example's briefs with the user's put over them, key by key where both are maps."""
    merged = dict(own)
    for role, told in given.items():
        before = merged.get(role)
        if isinstance(before, dict):
            if not isinstance(told, dict):
                raise UsageError(
                    f"--brief {role}: this example tells {role} several things by name",
                    why=f"its own is {json.dumps(before)}",
                    fix=f"--brief {role}='{json.dumps(before)}'",
                )
            merged[role] = {**before, **told}
        else:
            merged[role] = told
    return merged


def _pairs(given: list[str], option: str, roles: tuple[str, ...], *, parse: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in given:
        role, equals, value = entry.partition("=")
        if not equals or role not in roles:
            raise UsageError(
                f"{option} {entry!r} is not ROLE=…",
                why=f"the roles are {', '.join(roles)}",
                fix=f"{option} {roles[0]}=…",
            )
        if parse and value[:1] in "{[":
            try:
                found[role] = json.loads(value)
                continue
            except ValueError as error:
                raise UsageError(
                    f"{option} {role}: not JSON: {error}", fix="quote it for your shell"
                ) from None
        found[role] = value
    return found
