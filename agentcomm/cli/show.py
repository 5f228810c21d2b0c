"""`agentcomm show`: a protocol as a table or a drawing."""

import argparse
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import note, put, style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show", help="show a protocol as a table or a drawing; without a name, list the library"
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a name from the library, an example's name, or a file"
    )
    parser.add_argument(
        "--as", "--format", dest="form", choices=("table", "mermaid", "dot", "svg"), default="table"
    )
    parser.add_argument("--role", default="", metavar="ROLE", help="only what this role says and hears")
    parser.add_argument("--expand", action="store_true", help="show the states of protocols that it runs")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    parser.add_argument(
        "--layout",
        choices=("graphviz", "own"),
        help="who lays an svg out: Graphviz (the default where it is installed), or we",
    )
    parser.set_defaults(call=show)


def show(options: argparse.Namespace) -> int:
    """Print the drawing."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load

    if options.name is None:
        _list()
        return 0
    from agentcomm.protocol.draw import draw

    protocol = load(find_protocol(options.name))
    layout = _layout(options.layout) if options.form == "svg" else {}
    if options.role:
        from agentcomm.protocol.project import project

        drawing = draw(project(protocol, options.role), options.form, **layout)
    else:
        drawing = draw(protocol, options.form, expand=options.expand, **layout)
    if options.form == "table":
        drawing += f"\n\nat most {_most(protocol)}"
    put(drawing, options.output)
    if options.output:
        note(f"written: {options.output}")
    return 0


def _layout(asked: str | None) -> dict[str, Any]:
    from agentcomm.cli.graphviz import has_graphviz, lay_out

    if asked == "graphviz" or (asked is None and has_graphviz()):
        return {"layout": lay_out}
    return {}


def _list() -> None:
    from agentcomm.cli.examples import example_names, find_protocol
    from agentcomm.protocol.library import load, names

    colour = style()
    for title, listed in (("protocols", names()), ("overlays", names(overlays=True))):
        print(colour("act", title))
        for name in listed:
            protocol = load(name)
            print(printable(f"  {name:<28} {protocol.about or protocol.source}".rstrip()))
    print(colour("act", "examples"))
    for name in example_names():
        print(f"  {name:<28} {load(find_protocol(name)).about}")


def _most(protocol: Any) -> str:
    """Return the longest possible conversation in words."""
    if protocol.overlay is not None:
        return f"{protocol.bound} message" + ("" if protocol.bound == 1 else "s")
    from agentcomm.runtime.enact import rules_for

    rules = rules_for(protocol)
    return f"{protocol.bound} messages, {rules.bound} with every read-back and {rules.repairs_in_all} repairs"
