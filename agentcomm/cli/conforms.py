"""`agentcomm conforms`: does a recorded exchange, ours or anybody's, follow a protocol?"""

import argparse
from typing import TYPE_CHECKING, Any

from agentcomm.acts.content import printable
from agentcomm.cli.codes import EXIT_FINDINGS
from agentcomm.cli.words import print_json, style

if TYPE_CHECKING:
    from agentcomm.runtime.conforms import Verdict

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "conforms", help="judge a recorded exchange by a protocol; exit 1 at the first bad step"
    )
    parser.add_argument(
        "protocol", metavar="PROTOCOL", help="a file, or a name from the library or of an example"
    )
    parser.add_argument(
        "trace",
        metavar="TRACE",
        help="a transcript, or JSON lines, - from the standard input: {sender, act, content, receivers, at, lane, id, …}",
    )
    parser.add_argument(
        "--no-grounding",
        dest="grounding",
        action="store_false",
        help="judge order, acts and content only: the record has no read-backs and repairs",
    )
    parser.add_argument(
        "--members",
        type=_names,
        default=(),
        metavar="NAMES",
        help="who plays the many-role, such as b1,b2; else those who speak, hear or are named in a `lane` and are no role",
    )
    parser.add_argument(
        "--cast",
        type=_pairs,
        default=(),
        metavar="NAME=ROLE,…",
        help="who plays which role, where the record has the names of agents, such as ann=initiator,bob=participant",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=judge)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = tuple(name.partition("=") for name in _names(text))
    if wrong := [name for name, sign, role in pairs if not (name.strip() and sign and role.strip())]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not NAME=ROLE")
    return tuple((name.strip(), role.strip()) for name, _, role in pairs)


def judge(options: argparse.Namespace) -> int:
    """Print the verdict; returns 1 if there is a bad step."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load
    from agentcomm.runtime.conforms import conforms_file

    protocol = load(find_protocol(options.protocol))
    verdict = conforms_file(
        protocol,
        "/dev/stdin" if options.trace == "-" else options.trace,
        grounding=options.grounding,
        members=options.members,
        cast=dict(options.cast),
    )
    if options.json:
        print_json(
            {
                "protocol": protocol.name,
                "version": protocol.version,
                "grounding": options.grounding,
                **verdict.as_dict(),
            }
        )
    else:
        _print(verdict)
    return 0 if verdict.ok else EXIT_FINDINGS


def _print(verdict: "Verdict") -> None:
    colour = style()
    count = f"{verdict.messages} message{'' if verdict.messages == 1 else 's'}"
    if not verdict.ok:
        said = verdict.said or ("cannot be read" if verdict.code == "broken-line" else "a time")
        print(f"{colour('bad', f'line {verdict.line}')}: {printable(said)}")
        print(f"  why    {verdict.code}: {printable(verdict.reason)}")
        print(f"  after  {count}, {_place(verdict)}")
    elif verdict.outcome:
        print(f"{colour('good', 'accepted')}: {count}, {_place(verdict)}")
    else:
        print(f"{colour('good', 'accepted so far')}: {count}, {_place(verdict)}")
    _print_floors(verdict)
    for repair in verdict.open_repairs:
        about = f"{repair.act}{_of(repair.lane, repair.line)}"
        print(f"  open   {repair.overlay} about {about}: {repair.speaker} is to speak")
    if verdict.open_gather:
        print(f"  open   one turn for all lanes: {', '.join(verdict.open_gather)} without a move yet")
    for owed in verdict.open_commitments:
        by = f"by {owed.debtor} to {owed.creditor}{_of(owed.lane, owed.line)}"
        print(f"  owed   {owed.act} ({owed.status}), {by}")
    for word, text, lines in (
        ("late", "said after the end", verdict.after_end),
        ("lost", "another was first, so without effect", verdict.superseded),
        ("again", "there already, so without effect", verdict.repeated),
    ):
        if lines:
            print(f"  {word:<5}  {text}: line{'' if len(lines) == 1 else 's'} {', '.join(map(str, lines))}")


def _print_floors(verdict: "Verdict") -> None:
    """Print what may be said: at a bad step in a lane, there; else everywhere."""
    word = "legal"
    for floor in verdict.floors:
        if verdict.lane in ("", floor.lane):
            lane = f" ({floor.lane})" if floor.lane else ""
            for move in floor.legal:
                print(f"  {word:<5}  {floor.speaker}{lane}: {printable(move)}")
                word = ""


def _of(lane: str, line: int) -> str:
    """Return where something was said."""
    return (f", lane {lane}" if lane else "") + (f", line {line}" if line else "")


def _place(verdict: "Verdict") -> str:
    """Return where the exchange stands."""
    if verdict.outcome:
        return f"{verdict.outcome} ({verdict.outcome_class}): {printable(verdict.cause)}"
    if verdict.lanes:
        return f"lanes {', '.join(f'{name} in {place!r}' for name, place in verdict.lanes.items())}"
    return f"in {verdict.state!r}"
