"""`agentcomm import`: a protocol from another language, with what could not be carried over."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentcomm.cli.words import note, print_json, put
from agentcomm.errors import UsageError

if TYPE_CHECKING:
    from agentcomm.protocol.imports.imported import Imported

__all__ = ("add_to",)

_SUFFIXES = {".bspl": "bspl", ".yaml": "aea", ".yml": "aea"}


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import",
        help="write a protocol from one of another language; it passes check, and says what is not carried over",
    )
    parser.add_argument("file", metavar="FILE", help="a specification of open-aea, or a BSPL protocol")
    parser.add_argument(
        "--from",
        dest="language",
        choices=("aea", "bspl"),
        help="its language; else .yaml and .yml are aea, and .bspl is bspl",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the protocol there")
    parser.add_argument("--json", action="store_true", help="protocol and report as one JSON object")
    parser.set_defaults(call=import_file)


def import_file(options: argparse.Namespace) -> int:
    """Print the protocol, or write it; the report goes to standard error."""
    language = options.language or _SUFFIXES.get(Path(options.file).suffix.lower())
    if language is None:
        raise UsageError(
            f"{options.file!r} does not tell its language by its ending",
            fix="write --from aea or --from bspl",
            code="U442",
        )
    if (
        options.output
        and Path(options.output).expanduser().resolve() == Path(options.file).expanduser().resolve()
    ):
        raise UsageError(
            f"{options.output} is the file that is read", fix="write elsewhere with -o", code="U440"
        )
    made = _imported(language, Path(options.file).expanduser())
    if options.output:
        put(made.text.rstrip("\n"), options.output)
    if options.json:
        print_json(_report(made, language, options))
        return 0
    if not options.output:
        put(made.text.rstrip("\n"), None)
    for lost in made.lost:
        note(f"{options.file}:{lost.line}: {lost.what}")
    for finding in made.findings:
        note(str(replace(finding, path=options.output or f"{made.name}.yaml")))
    count = f"{len(made.lost)} points not carried over or left open"
    note(f"{options.output or made.name}: {count}, no errors, {len(made.findings)} findings")
    return 0


def _imported(language: str, path: Path) -> "Imported":
    from agentcomm.protocol.imports.aea import from_aea
    from agentcomm.protocol.imports.bspl import from_bspl
    from agentcomm.protocol.library import read_document

    read = from_bspl if language == "bspl" else from_aea
    return read(read_document(path), str(path))


def _report(made: "Imported", language: str, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "file": options.file,
        "from": language,
        "protocol": made.name,
        "output": options.output,
        "text": made.text,
        "not_carried_over": [{"what": lost.what, "line": lost.line} for lost in made.lost],
        "findings": [
            replace(finding, path=options.output or f"{made.name}.yaml").as_dict()
            for finding in made.findings
        ],
    }
