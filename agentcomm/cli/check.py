"""`agentcomm check`: what is wrong with a protocol."""

import argparse
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import print_json, style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check", help="check protocols: findings with place, witness and fix; exit 1 on errors"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or a name from the library")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(call=check_files)


def check_files(options: argparse.Namespace) -> int:
    """Print the findings of each file; returns 1 if there is an error."""
    found = {name: _findings(name) for name in options.files}
    findings = [finding for name in found for finding in found[name]]
    errors = sum(finding.severity == "error" for finding in findings)
    if options.format == "json":
        print_json([finding.as_dict() for finding in findings])
        return int(errors > 0)
    colour = style()
    for name, listed in found.items():
        for finding in listed:
            head, _, rest = str(finding).partition("\n")
            kind = {"error": "bad", "warning": "name"}.get(finding.severity, "dim")
            print(colour(kind, head), *([printable(rest, keep="\n")] if rest else []), "", sep="\n")
        if not listed:
            print(f"{name}: {colour('good', 'nothing found')}")
    if findings:
        warnings = sum(finding.severity == "warning" for finding in findings)
        print(f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}")
    return int(errors > 0)


def _findings(name: str) -> list[Any]:
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import check

    return list(check(find_protocol(name)))
