"""`agentcomm trace diff` and `stats`: two runs side by side, and many in figures."""

import argparse
from pathlib import Path
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.codes import EXIT_FINDINGS
from agentcomm.cli.transcripts import FOLDER, find, found_in
from agentcomm.cli.words import fault, note, print_json, style

__all__ = ("add_to",)


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    diff = verbs.add_parser("diff", help="two runs turn by turn; exit 1 if they differ")
    diff.add_argument("left", metavar="FILE")
    diff.add_argument("right", metavar="FILE")
    diff.add_argument("--all", action="store_true", help="also the turns that are the same")
    diff.add_argument("--json", action="store_true")
    diff.set_defaults(call=diff_transcripts)

    stats = verbs.add_parser("stats", help="measures of a set of conversations, with their intervals")
    stats.add_argument(
        "places", metavar="PLACE", nargs="*", help="files or folders; without one ./transcripts"
    )
    stats.add_argument("--replay", action="store_true", help="also replay each, and count what differs")
    stats.add_argument(
        "--labels",
        metavar="FILE",
        help='what is true of messages, as JSON lines: {"conversation": ID, "message": N, "is": "misunderstood"}',
    )
    stats.add_argument("--json", action="store_true", help="every counter, share and distribution")
    stats.set_defaults(call=count_transcripts)


def diff_transcripts(options: argparse.Namespace) -> int:
    """Print how two runs differ; returns 1 if they do."""
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.differ import diff_stories
    from agentcomm.views.story import Row, story_of

    stories = [story_of(read_transcript(find(name))) for name in (options.left, options.right)]
    found = diff_stories(*stories)
    if options.json:
        print_json(found.as_dict())
        return 0 if found.same else EXIT_FINDINGS
    colour = style()
    for what, left, right in found.facts:
        print(f"{what}: {colour('bad', f'- {left}')}  {colour('good', f'+ {right}')}")

    def line(row: Row, names: dict[str, str]) -> str:
        number = f"{row.n:>3}" if row.n else "   "
        who = names.get(row.by, row.lane or row.by)
        kind = "" if row.kind == "said" else f"  {row.kind}"
        over = f" re {row.about}" if row.overlay else ""
        return printable(f"{number}  {who}{over}  {row.act}{kind}")

    def fields(row: Row) -> str:
        return printable("  ".join([*(f"{name}={text}" for name, text in row.fields), row.text]).rstrip())

    names = [story.names() for story in stories]
    skipped = 0
    for change in found.changes:
        if change.kind == "same" and not options.all:
            skipped += 1
            continue
        if skipped:
            print(colour("dim", f"  … {skipped} the same"))
            skipped = 0
        if change.kind == "same" and change.left:
            print(colour("dim", f"  {line(change.left, names[0])}"))
        elif change.kind == "removed" and change.left:
            print(colour("bad", f"- {line(change.left, names[0])}  {fields(change.left)}"))
        elif change.kind == "added" and change.right:
            print(colour("good", f"+ {line(change.right, names[1])}  {fields(change.right)}"))
        elif change.left:
            print(f"~ {line(change.left, names[0])}")
            for name, left, right in change.fields:
                label = f"{printable(name)}: " if name else ""
                print(f"       {label}{colour('bad', f'- {left}')}  {colour('good', f'+ {right}')}")
            for left, right in change.course:
                print(f"       came of it: {colour('bad', f'- {left}')}  {colour('good', f'+ {right}')}")
            if change.prompt:
                print(colour("dim", f"       the prompt differs in: {', '.join(change.prompt)}"))
    if skipped and not found.same:
        print(colour("dim", f"  … {skipped} the same"))
    if found.same:
        print(colour("good", f"the same: {len(found.changes)} turns, {stories[0].outcome or 'open'}"))
    return 0 if found.same else EXIT_FINDINGS


def count_transcripts(options: argparse.Namespace) -> int:
    """Print the measures; returns 1 if a replay differs or a transcript cannot be read."""
    from agentcomm.conversation.rules import Rules
    from agentcomm.errors import AgentcommError
    from agentcomm.runtime.replay import read_transcript, replay, rules_of
    from agentcomm.views.labelled import LABELLED, Labels, read_labels, unknown_to
    from agentcomm.views.stats import Stats, tell

    labels: Labels = read_labels(_lines(options.labels), options.labels) if options.labels else {}
    met: set[str] = set()
    paths = found_in([Path(place) for place in options.places] or [FOLDER])
    stats, known, bad = Stats(), dict[str, Rules | None](), 0
    for path in paths:
        try:
            transcript = read_transcript(path)
        except AgentcommError as error:
            fault(str(error))
            bad += 1
            continue
        opening = transcript.opening
        protocol = str(opening.data["protocol"]["hash"]) if opening else ""
        if protocol not in known:
            try:
                known[protocol] = rules_of(transcript)
            except AgentcommError:
                known[protocol] = None
        same = None
        if options.replay and transcript.damage is None:
            try:
                same = replay(transcript).same
            except AgentcommError as error:
                note(f"{path}: not replayed: {error.what}")
        bad += same is False
        name = str(opening.data["conversation"]) if opening else ""
        met.add(name)
        marks = _marks(transcript, labels[name]) if name in labels else ()
        stats.add(transcript, rules=known[protocol], same=same, marks=marks)
    for name in unknown_to(labels, met):
        note(f"{options.labels} tells of {name}, whose transcript is not here")
    if options.json:
        print_json({**stats.as_dict(), "unreadable": bad})
        return EXIT_FINDINGS if bad else 0
    if not stats.conversations:
        note("there is no transcript to count")
        return EXIT_FINDINGS if bad else 0
    colour = style()
    ends = ", ".join(f"{kind} {count}" for kind, count in stats.outcomes.most_common())
    print(
        f"{stats.conversations} conversations: {ends}"
        + (f"; {stats.damaged} damaged" if stats.damaged else "")
    )
    for name, value, what in tell(stats):
        print(f"{colour('name', f'{name:<24}')}{value:<44}  {colour('dim', what)}".rstrip())
    for name, what in LABELLED.items():
        if (share := stats.labelled.get(name)) is not None:
            low, high = share.interval
            value = f"{share.hits / share.n:.1%} of {share.n}  [{low:.1%}, {high:.1%}]"
            print(f"{colour('name', f'{name:<24}')}{value:<44}  {colour('dim', what)}".rstrip())
    if len(stats.ends) > 1:
        print(colour("act", "how they ended, by protocol"))
        for name, ends in sorted(stats.ends.items()):
            told = ", ".join(f"{kind} {count}" for kind, count in ends.most_common())
            print(printable(f"  {name:<40}  {told}"))
    for title, shares in (
        ("read-back by type", dict(sorted(stats.readback_by_type.items()))),
        ("understood, by the chance given to it", dict(sorted(stats.calibration.items()))),
        ("how repairs were asked for, or given up", stats.rungs),
        ("misfires by model", dict(sorted(stats.misfires_by_model.items()))),
        ("misfires by role", {k: v for k, v in sorted(stats.misfires_by_role.items()) if v.hits}),
        ("misfires by act", {k: v for k, v in sorted(stats.misfires_by_act.items()) if v.hits}),
        ("timeouts by state", {" ".join(k): v for k, v in sorted(stats.timeouts_by_state.items()) if v.hits}),
    ):
        if shares:
            print(colour("act", title))
        for name, share in shares.items():
            low, high = share.interval
            print(
                printable(f"  {name:<40}  {share.hits / share.n:.1%} of {share.n}  [{low:.1%}, {high:.1%}]")
            )
    if stats.modes:
        print(colour("act", "failure modes that code saw, stopped or not, in 100 conversations (MAST)"))
    for mode, count in sorted(stats.modes.items()):
        print(f"  {100 * count / stats.conversations:>7.1f}  {mode}")
    if stats.reliability:
        print(colour("act", "several runs: aptitude (P90 of success) and unreliability (P90 - P10)"))
    for group, found in stats.reliability.items():
        print(
            printable(f"  {group:<40}  {found['aptitude_90']:g}, {found['unreliability']:g} of {found['n']}")
        )
    refused = stats.counts["moves.rejected"].most_common(8)
    if refused:
        print(colour("act", "refused most often"))
    for (protocol, state, act, reason), count in refused:
        print(printable(f"  {count:>5}  {protocol}, in {state or '?'}: {act or '(no act)'}, {reason}"))
    return EXIT_FINDINGS if bad else 0


def _lines(name: str) -> list[bytes]:
    from agentcomm.errors import UsageError

    try:
        return Path(name).read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"{name!r} cannot be read",
            why=(error.strerror or str(error)).lower(),
            fix="name a file of JSON lines",
            code="U565",
        ) from None


def _marks(transcript: Any, true: Any) -> list[tuple[str, bool]]:
    """Return what is measured by what is known to be true of a conversation."""
    from agentcomm.views.labelled import marks_of
    from agentcomm.views.story import story_of
    from agentcomm.views.why import why_of

    is_asked = any("fault" in labels for labels in true.values())
    first = why_of(story_of(transcript)).first if is_asked else None
    return marks_of(transcript, true, first.row.n if first is not None else None)
