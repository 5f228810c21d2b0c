"""`agentcomm check`: what is wrong with a protocol."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import noted_if_long, print_json, style, width
from agentcomm.errors import UsageError

__all__ = ("add_to",)

_MOST = 20
"""Lanes, or messages under way, that --deep looks through at most."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check", help="check protocols: findings with place, witness and fix; exit 1 on errors"
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a file, - for the standard input, or a name from the library; with --codes, a code",
    )
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="--format json")
    parser.add_argument("--codes", action="store_true", help="explain the codes, or those that are named")
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="check for roles that run alone, without a runtime that holds the conversation",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="look through the runs of roles that play alone, with a few lanes; takes seconds (finding I901)",
    )
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="with --deep: so many lanes (2)")
    parser.add_argument(
        "--queue",
        type=int,
        default=2,
        metavar="N",
        help="with --deep: messages under way between two roles (2)",
    )
    parser.add_argument(
        "--models",
        metavar="MODEL[,MODEL]",
        help="also say how many tokens a conversation takes at most with these models (ollama:NAME, embedded:)",
    )
    parser.add_argument(
        "--tokens-per-turn",
        type=int,
        metavar="N",
        help="with --models: tokens of one try, prompt and answer, instead of the model's window",
    )
    parser.set_defaults(call=check_files)


def check_files(options: argparse.Namespace) -> int:
    """Print the findings of each file; returns 1 if there is an error."""
    if options.codes:
        return _explain(options)
    if not options.files:
        raise UsageError("there is nothing to check", fix="name a file, or a protocol of the library")
    if options.tokens_per_turn is not None and not (options.models and options.tokens_per_turn > 0):
        raise UsageError(
            "--tokens-per-turn is a number above 0, and goes with --models",
            fix="write --models ollama:NAME --tokens-per-turn 2000",
        )
    if min(options.lanes, options.queue) < 1 or (
        not options.deep and (options.lanes, options.queue) != (2, 2)
    ):
        raise UsageError(
            "--lanes and --queue are numbers from 1, and go with --deep", fix="write --deep --lanes 3"
        )
    if max(options.lanes, options.queue) > _MOST:
        raise UsageError(
            f"--lanes and --queue are at most {_MOST}",
            why="the runs to look through grow with each of them many times over",
            fix="--deep looks through what two or three show",
        )
    from agentcomm.protocol.codes import unchecked

    gaps = unchecked(distributed=options.distributed, deep=options.deep)
    found = {name: _findings(name, options) for name in options.files}
    findings = [finding for listed in found.values() for finding in listed]
    ceilings = _ceilings(found, options)
    counts = {
        kind: sum(finding.severity == kind for finding in findings) for kind in ("error", "warning", "info")
    }
    match options.format:
        case "json":
            print_json(
                {
                    "files": list(found),
                    "findings": [finding.as_dict() for finding in findings],
                    **{f"{kind}s": count for kind, count in counts.items()},
                    **({"tokens": ceilings} if options.models else {}),
                    "not_checked": list(gaps),
                }
            )
        case "sarif":
            from agentcomm.protocol.sarif import sarif

            print_json(sarif(findings, unchecked=gaps, tokens=ceilings))
        case _:
            _print(found, counts, ceilings, gaps)
    return int(counts["error"] > 0)


def _print(
    found: dict[str, list[Any]],
    counts: dict[str, int],
    ceilings: Sequence[dict[str, Any]],
    gaps: Sequence[str],
) -> None:
    colour = style()
    for name, listed in found.items():
        for finding in listed:
            head, _, rest = str(finding).partition("\n")
            kind = {"error": "bad", "warning": "name"}.get(finding.severity, "dim")
            print(colour(kind, head), *([printable(rest, keep="\n")] if rest else []), "", sep="\n")
        if not listed:
            print(f"{printable(name)}: {colour('good', 'nothing found')}")
    if any(counts.values()):
        print(", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items()))
    for ceiling in ceilings:
        print(printable(ceiling["words"], keep="\n"))
    if all(item.kind == "syntax" for listed in found.values() for item in listed) and any(found.values()):
        return  # nothing could be checked at all
    print(colour("dim", f"not checked: {'; '.join(gaps)}"))


def _findings(name: str, options: argparse.Namespace) -> list[Any]:
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.check import examine
    from agentcomm.protocol.library import read_document
    from agentcomm.protocol.lookup import resolver
    from agentcomm.protocol.source import BYTES

    path = None if name == "-" else find_protocol(name)
    document = read_document(path) if path else sys.stdin.buffer.read(BYTES + 1)
    with noted_if_long(f"{name}: looking through its runs") if options.deep else nullcontext():
        checked = examine(
            document,
            path=str(path or name),
            resolve=resolver(path),
            distributed=options.distributed,
            deep=options.deep,
            lanes=options.lanes,
            queue=options.queue,
        )
    return list(checked.findings)


def _ceilings(found: dict[str, list[Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the token ceiling of each file without errors, if models are named."""
    if not options.models:
        return []
    from agentcomm.cli.tokens import ceiling

    whole = [name for name, listed in found.items() if all(item.severity != "error" for item in listed)]
    models = [word.strip() for word in options.models.split(",") if word.strip()]
    return [ceiling(name, models, options.tokens_per_turn) for name in whole]


def _explain(options: argparse.Namespace) -> int:
    """Print what the codes mean."""
    from agentcomm.protocol.codes import CODES

    asked = [code.upper() for code in options.files]
    if unknown := [code for code in asked if code not in CODES]:
        raise UsageError(
            f"there is no code {', '.join(unknown)}", fix="`agentcomm check --codes` lists them all"
        )
    rows = [CODES[code] for code in asked] if asked else list(CODES.values())
    if options.format != "text":
        print_json([row.as_dict() for row in rows])
        return 0
    from textwrap import fill

    colour = style()
    by = {"projection": ", by projection", "deep": ", by --deep only"}
    for row in rows:
        kind = {"error": "bad", "warning": "name"}.get(row.severity, "dim")
        print(colour(kind, row.code), f"{row.severity}, {' or '.join(row.kinds)}{by.get(row.found_by, '')}")
        for word, text in (("what", row.title), ("why", row.why), ("fix", row.fix)):
            line = f"  {word}{' ' * (6 - len(word))}{text}"
            print(fill(line, width(), subsequent_indent=" " * 8) if width() else line)
    return 0
