"""`agentcomm new`: a protocol file to begin with."""

import argparse
from pathlib import Path
from typing import Any

from agentcomm.cli.words import note
from agentcomm.errors import InputError, UsageError

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("new", help="write a protocol file to begin with; it passes check")
    parser.add_argument("name", metavar="NAME", help="the protocol's name; the file is NAME.yaml")
    parser.add_argument(
        "--from", dest="source", metavar="PROTOCOL", help="begin with a protocol of the library, or a file"
    )
    parser.add_argument("--roles", metavar="A,B", help="the roles, in their order")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    parser.set_defaults(call=new)


def new(options: argparse.Namespace) -> int:
    """Write the file."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load, read_document
    from agentcomm.protocol.scaffold import copied, written

    roles = [role.strip() for role in options.roles.split(",")] if options.roles else []
    if options.source:
        path = find_protocol(options.source)
        load(path)
        text = copied(read_document(path).decode("utf-8-sig"), options.name, roles)
    else:
        text = written(options.name, roles or ["asker", "answerer"])
    file = Path(options.output or f"{options.name}.yaml")
    try:
        with file.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(
            f"{file} is there already", fix="choose another name, or write elsewhere with -o", code="U440"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"cannot write: {reason}", where=str(file), fix="name a file that can be written"
        ) from error
    print(file)
    note(f"`agentcomm check {file}` checks it, `agentcomm show {file}` shows it")
    return 0
