"""`agentcomm show`: a protocol as a table or a drawing."""

import argparse
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show", help="show a protocol as a table, mermaid or dot; without a name, list the library"
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a name from the library, an example's name, or a file"
    )
    parser.add_argument("--format", choices=("table", "mermaid", "dot"), default="table")
    parser.set_defaults(call=show)


def show(options: argparse.Namespace) -> int:
    """Print the drawing."""
    from agentcomm.cli.examples import example_names, find_protocol
    from agentcomm.protocol.library import load, names

    if options.name is None:
        colour = style()
        for title, listed in (
            ("protocols", names()),
            ("overlays", names(overlays=True)),
        ):
            print(colour("act", title))
            for name in listed:
                protocol = load(name)
                print(printable(f"  {name:<28} {protocol.about or protocol.source}".rstrip()))
        print(colour("act", "examples"))
        for name in example_names():
            print(f"  {name:<28} {load(find_protocol(name)).about}")
        return 0
    protocol = load(find_protocol(options.name))
    drawing = format(protocol, options.format)
    print(printable(drawing, keep="\n"))
    if options.format == "table":
        print(f"\nat most {_most(protocol)}")
    return 0


def _most(protocol: Any) -> str:
    """Return the longest possible conversation in words."""
    if protocol.overlay is not None:
        return f"{protocol.bound} messages"
    from agentcomm.runtime.enact import rules_for

    rules = rules_for(protocol)
    return f"{protocol.bound} messages, {rules.bound} with every read-back and {rules.repairs_in_all} repairs"
