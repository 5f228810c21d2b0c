"""`agentcomm trace list`, `show` and `tail`: what is there, and what was said."""

import argparse
import time
from pathlib import Path
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.codes import EXIT_FINDINGS
from agentcomm.cli.transcripts import FOLDER, find, found_in
from agentcomm.cli.words import fault, note, print_json, style, width

__all__ = ("add_file", "add_to")

MANY = 20
"""Transcripts that are listed unless all are asked for."""


def add_file(parser: Any, *, count: str | None = "?", what: str = "") -> None:
    """Add the argument that names a transcript."""
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs=count,
        help=what
        or "a transcript, the beginning of its name or of its conversation's id; without it the newest in ./transcripts",
    )


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    listing = verbs.add_parser("list", help="the transcripts in a folder, and how each conversation ended")
    listing.add_argument(
        "places", metavar="PLACE", nargs="*", help="files or folders; without one ./transcripts"
    )
    listing.add_argument("--all", action="store_true", help=f"not only the newest {MANY}")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(call=list_transcripts)

    show = verbs.add_parser("show", help="the talk turn by turn, and what stands behind it")
    add_file(show)
    show.add_argument("--steps", action="store_true", help="also each model call and tool call")
    show.add_argument(
        "--prompts", action="store_true", help="also what was sent to the models, piece by piece"
    )
    show.add_argument("--why", action="store_true", help="only what went wrong, the decisive fault first")
    show.add_argument("--json", action="store_true", help="every record with its content as one JSON list")
    show.set_defaults(call=show_transcript)

    tail = verbs.add_parser(
        "tail", help="follow a conversation while it goes on; ends with it, or with Ctrl-C"
    )
    add_file(tail)
    tail.add_argument("--steps", action="store_true", help="also each model call and tool call")
    tail.add_argument("-n", type=int, default=10, metavar="LINES", help="lines of what was before (10)")
    tail.set_defaults(call=tail_transcript)


def list_transcripts(options: argparse.Namespace) -> int:
    """Print a line for each transcript; returns 1 if one is damaged."""
    from agentcomm.errors import AgentcommError
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.story import Story, story_of
    from agentcomm.views.terminal import clock

    paths = found_in([Path(place) for place in options.places] or [FOLDER])
    shown = paths if options.all or options.json else paths[:MANY]
    colour, rows, bad = style(), list[dict[str, Any]](), 0
    began, told = time.monotonic(), False
    for number, path in enumerate(shown, start=1):
        if not told and number < len(shown) and time.monotonic() - began > 1:
            note(f"reading {len(shown)} transcripts …")
            told = True
        try:
            story: Story | None = story_of(read_transcript(path))
            problem = story.damage
        except AgentcommError as error:
            story, problem = None, str(error)
        bad += bool(problem)
        row: dict[str, Any] = {"file": str(path), "problem": problem.partition("\n")[0] or None}
        if story is not None:
            row |= {
                "conversation": story.conversation,
                "protocol": story.protocol,
                "version": story.version,
                "opened": story.opened,
                "outcome": story.outcome or None,
                "class": story.outcome_class or None,
                "cause": story.cause or None,
                "messages": len(story.messages),
                "repairs": story.repairs,
                "refusals": story.refusals,
                "tokens_in": story.tokens[0],
                "tokens_out": story.tokens[1],
                "seconds": round(story.duration, 3),
                "sealed": story.is_sealed,
                "erased": story.erased,
            }
        rows.append(row)
        if options.json:
            continue
        if story is None:
            print(f"{printable(path.stem)}  {colour('bad', printable(row['problem']))}")
            continue
        kind = "good" if story.has_ended_well else "bad" if story.outcome else "dim"
        end = f"{story.outcome} ({story.outcome_class})" if story.outcome else "open"
        seconds = clock(story.duration)
        counts = [f"{len(story.messages)} messages", seconds if ":" in seconds else f"{seconds} s"]
        counts += [
            f"{count} {word}{'' if count == 1 else 's'}"
            for count, word in ((story.repairs, "repair"), (story.refusals, "refusal"))
            if count
        ]
        if sum(story.tokens):
            counts.append(f"{sum(story.tokens)} tokens")
        line = f"{colour('dim', story.opened[:19].replace('T', ' '))}  {colour('name', path.stem)}  {colour(kind, printable(end))}  "
        line += colour("dim", ", ".join(counts))
        if problem or (not story.is_sealed and story.outcome):
            line += f"  {colour('bad', 'damaged' if problem else 'not sealed')}"
        print(line)
    if options.json:
        print_json(rows)
    elif not rows:
        note(f"there is no transcript in {', '.join(options.places) or f'./{FOLDER}'}")
    elif len(shown) < len(paths):
        note(f"and {len(paths) - len(shown)} older ones: --all")
    return EXIT_FINDINGS if bad else 0


def show_transcript(options: argparse.Namespace) -> int:
    """Print a transcript; returns 1 if it is damaged."""
    from agentcomm.conversation.audit import level_of
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.terminal import Terminal

    path = find(options.file)
    transcript = read_transcript(path)
    if options.why:
        _why(transcript, as_json=options.json)
    elif options.json:
        print_json(
            [
                {
                    "seq": record.seq,
                    "time": record.time,
                    "kind": record.kind,
                    "type": record.type,
                    **record.data,
                    "content": transcript.body(record),
                }
                for record in transcript.records
            ]
        )
    else:
        colour = style()
        terminal = Terminal(colour, width(), steps=options.steps, prompts=options.prompts)
        for line in terminal.feed(transcript):
            print(line)
        if (level := level_of(transcript)) != "full":
            hashes = ", only its hashes" if level == "hash" else ""
            print(colour("dim", f"what was said is not kept{hashes}"))
        elif transcript.erased:
            print(colour("dim", f"erased: the content of {len(transcript.erased)} records"))
        if transcript.damage is None:
            sealed = "sealed" if transcript.seal else "not sealed: the end may be missing"
            print(colour("dim", f"{len(transcript.records)} records, the chain is whole, {sealed}; {path}"))
    if transcript.damage is not None:
        fault(str(transcript.damage))
        return EXIT_FINDINGS
    return 0


def _why(transcript: Any, *, as_json: bool) -> None:
    from agentcomm.views.story import Row, story_of
    from agentcomm.views.terminal import clock
    from agentcomm.views.why import Fault, repeated, why_of

    story = story_of(transcript)
    found, unchecked = _looked_at(transcript)
    why, names, colour = why_of(story), story.names(), style()

    def place(row: Row) -> str:
        who = names.get(row.by, row.lane or row.by)
        message = f"message {row.n}, " if row.n else ""
        return f"{message}{' '.join(filter(None, (who, row.act)))}".strip(" ,") or "nobody spoke"

    if as_json:

        def plain(fault: Fault | None) -> dict[str, Any] | None:
            if fault is None:
                return None
            row = fault.row
            return {
                "record": row.seq,
                "message": row.n or None,
                "at": row.at,
                "by": row.by,
                "act": row.act,
                "lane": row.lane,
                "what": fault.what,
                "mended_by": fault.mended.n if fault.mended else None,
            }

        print_json(
            {
                "ended_well": why.ended_well,
                "end": why.end or None,
                "first": plain(why.first),
                "faults": [plain(fault) for fault in why.faults],
                "decisive": why.decisive.seq if why.decisive else None,
                "troubles": found,
                "unchecked": unchecked,
            }
        )
        return
    kind = "good" if why.ended_well else "bad"
    print(colour(kind, why.end or "it has not ended"))
    if why.first is not None:
        row = why.first.row
        print(f"first fault that nobody mended: {colour('name', place(row))}, at {clock(row.at)}")
        print(colour("bad", f"  {why.first.what}"))
        same = next(one for one in repeated(why.faults) if one.first is why.first)
        if same.times > 1:
            print(colour("bad", f"  {same.times} times, the last at {clock(same.last.row.at)}"))
        for name, text in row.fields:
            print(f"  {printable(name)}: {printable(text)}")
        for call in row.calls:
            answer = " ".join((call.error or call.answer).split())
            print(colour("dim", f"  {call.name} said: {answer[:300]}"))
        print(colour("dim", f"  record {row.seq}; what was asked: agentcomm trace show --prompts"))
    elif not why.ended_well and why.decisive is not None:
        print(
            f"nothing went wrong on the way: the end came of {colour('name', place(why.decisive))}, at {clock(why.decisive.at)}"
        )
        for name, text in why.decisive.fields:
            print(f"  {printable(name)}: {printable(text)}")
    others = [one for one in repeated(why.faults) if one.first is not why.first]
    if others:
        print("other faults:" if why.first else "on the way:")
    for one in others:
        row = one.first.row
        again = f"; {one.times} times, the last at {clock(one.last.row.at)}" if one.times > 1 else ""
        what = one.what if again else one.first.what
        print(f"  {clock(row.at):>7}  {place(row)}: {printable(what)}{again}")
        print(colour("bad" if one.first.mended is None else "good", f"           {one.mended}"))
    for text in found:
        print(colour("bad", f"look at {printable(text)}"))
    for text in unchecked:
        print(colour("dim", f"not checked: {printable(text)}"))


def _looked_at(transcript: Any) -> tuple[list[str], list[str]]:
    """Return what code finds in what was said, and what it could not look at."""
    from agentcomm.errors import AgentcommError
    from agentcomm.runtime.troubles import look_at

    try:
        look = look_at(transcript)
    except AgentcommError as error:
        return [], [f"what was said: {error.what}"]
    return [str(one) for one in look.shown], list(look.unchecked)


def tail_transcript(options: argparse.Namespace) -> int:
    """Print what comes in; returns 0 once the conversation is sealed, 1 if the record breaks."""
    from agentcomm.conversation.transcript import Transcript
    from agentcomm.store.jsonl import read_lines
    from agentcomm.views.terminal import Terminal

    path = find(options.file)
    terminal = Terminal(style(), width(), steps=options.steps)
    head, number, rest, is_first = "", 1, b"", True
    next(read_lines(path), b"")  # a file that cannot be read is told as everywhere
    with path.open("rb") as file:
        while True:
            rest += file.read()
            whole, end, rest = rest.rpartition(b"\n")
            lines = (whole + end).splitlines(keepends=True)
            while lines and lines[-1].startswith(b'{"blob":'):  # its record is still to come
                rest = lines.pop() + rest
            if lines:
                part = Transcript.from_lines(lines, where=str(path), head=head, first=number)
                head, number = part.head, number + len(lines)
                shown = list(terminal.feed(part))
                for line in shown[-max(1, options.n) :] if is_first and options.n else shown:
                    print(line, flush=True)
                is_first = False
                if part.damage is not None:
                    fault(str(part.damage))
                    return EXIT_FINDINGS
                if part.seal is not None:
                    return 0
            time.sleep(0.2)
