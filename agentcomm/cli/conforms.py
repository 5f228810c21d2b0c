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
        help="a transcript, or JSON lines: {sender, act, content, receivers, at, id, …}",
    )
    parser.add_argument(
        "--no-grounding",
        dest="grounding",
        action="store_false",
        help="judge order, acts and content only: the record has no read-backs and repairs",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=judge)


def judge(options: argparse.Namespace) -> int:
    """Print the verdict; returns 1 if there is a bad step."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load
    from agentcomm.runtime.conforms import conforms_file

    protocol = load(find_protocol(options.protocol))
    verdict = conforms_file(protocol, options.trace, grounding=options.grounding)
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
        print(f"{colour('bad', f'line {verdict.line}')}: {printable(verdict.said or 'cannot be read')}")
        print(f"  why    {verdict.code}: {printable(verdict.reason)}")
        print(f"  after  {count}, {_place(verdict)}")
    elif verdict.outcome:
        print(f"{colour('good', 'accepted')}: {count}, {_place(verdict)}")
    else:
        print(f"{colour('good', 'accepted so far')}: {count}, {_place(verdict)}")
    for number, move in enumerate(verdict.legal):
        print(f"  {'legal' if number == 0 else '     '}  {verdict.speaker}: {printable(move)}")
    for repair in verdict.open_repairs:
        about = f"{repair.act}{_by(repair.line)}"
        print(f"  open   {repair.overlay} about {about}: {repair.speaker} is to speak")
    for owed in verdict.open_commitments:
        print(f"  owed   {owed.act} ({owed.status}), by {owed.debtor} to {owed.creditor}{_by(owed.line)}")
    for word, lines in (("late", verdict.after_end), ("again", verdict.repeated)):
        if lines:
            text = "said after the end" if word == "late" else "there already, so without effect"
            print(f"  {word:<5}  {text}: line{'' if len(lines) == 1 else 's'} {', '.join(map(str, lines))}")


def _by(line: int) -> str:
    return f", line {line}" if line else ""


def _place(verdict: "Verdict") -> str:
    """Return where the exchange stands."""
    if verdict.outcome:
        return f"{verdict.outcome} ({verdict.outcome_class}): {printable(verdict.cause)}"
    return f"in {verdict.state!r}"
