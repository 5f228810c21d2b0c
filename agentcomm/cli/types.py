"""`agentcomm types`: the content of a protocol's acts as Python classes."""

import argparse
from typing import Any

from agentcomm.cli.words import note, put

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "types", help="write what a protocol's acts carry as pydantic classes, so that a type checker sees it"
    )
    parser.add_argument("file", metavar="FILE", help="a file, or a name from the library")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the module there")
    parser.set_defaults(call=types)


def types(options: argparse.Namespace) -> int:
    """Print the module, or write it."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load
    from agentcomm.protocol.typing_stub import python_types

    put(python_types(load(find_protocol(options.file))), options.output)
    if options.output:
        note(f"written: {options.output}; use it as load({options.file!r}, types=ACTS)")
    return 0
