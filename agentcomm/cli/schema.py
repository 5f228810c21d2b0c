"""`agentcomm schema`: the language as a JSON Schema, for editors."""

import argparse
import json
from typing import Any

from agentcomm.cli.words import put

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "schema", help="print a JSON Schema of the protocol language, so that an editor completes and checks"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    parser.set_defaults(call=schema)


def schema(options: argparse.Namespace) -> int:
    """Print the schema, or write it."""
    from agentcomm.protocol.schema import language_schema

    put(json.dumps(language_schema(), indent=2, ensure_ascii=False), options.output)
    if options.output:
        from agentcomm.cli.words import note

        note(
            f"{options.output}: name it in a protocol's first line: # yaml-language-server: $schema={options.output}"
        )
    return 0
