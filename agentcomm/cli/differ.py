"""`agentcomm diff`: what changed between two versions of a protocol, and whether their peers understand each other."""

import argparse
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import print_json, style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diff",
        help="what changed between two versions of a protocol; exit 1 if their peers do not understand each other",
    )
    parser.add_argument("old", metavar="OLD", help="a file, or a name from the library")
    parser.add_argument("new", metavar="NEW", help="a file, or a name from the library")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(call=diff)


def diff(options: argparse.Namespace) -> int:
    """Print the differences; returns 1 if a peer of one version may say what the other does not take."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.differ import NOT_COMPARED, compare
    from agentcomm.protocol.library import load

    old, new = load(find_protocol(options.old)), load(find_protocol(options.new))
    found = compare(old, new)
    if options.json:
        print_json(
            {
                "old": {"name": old.name, "version": old.version, "hash": old.hash},
                "new": {"name": new.name, "version": new.version, "hash": new.hash},
                "same": old.hash == new.hash,
                "changes": [change.as_dict() for change in found.changes],
                "compatible": found.is_compatible,
                "breaks": [item.as_dict() for item in found.breaks],
                "not_compared": list(NOT_COMPARED),
            }
        )
        return int(not found.is_compatible)
    colour = style()
    print(colour("act", printable(f"{old.name} {old.version} -> {new.name} {new.version}")))
    kinds = {"added": "good", "removed": "bad", "changed": "name"}
    for change in found.changes:
        print(colour(kinds[change.kind], f"  {change}"))
    if not found.changes:
        print("  nothing changed" if old.hash == new.hash else "  nothing that can be said changed")
    if found.is_compatible:
        print(colour("good", "peers of both versions understand each other"))
    for item in found.breaks:
        _print(item)
    print(colour("dim", f"not compared: {'; '.join(NOT_COMPARED)}"))
    return int(not found.is_compatible)


def _print(item: Any) -> None:
    colour = style()
    other = "new" if item.by == "old" else "old"
    if item.by == "both":
        head = "peers of the two versions part"
    else:
        head = (
            f"{item.act}, said by {item.role} of the {item.by} version, is not understood by the {other} one"
        )
    print(colour("bad", head))
    if item.path:
        print(f"  via  {printable('; '.join(item.path))}")
    print(f"  why  {printable(item.why)}")
