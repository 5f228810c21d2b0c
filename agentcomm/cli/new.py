"""`agentcomm new`: a project to begin with, or a protocol alone."""

import argparse
from pathlib import Path
from typing import Any

from agentcomm.cli.words import note
from agentcomm.errors import InputError, UsageError

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "new",
        help="write a project to begin with, or a protocol alone; both pass their checks",
        description="Write a project: a protocol, agents, tests, a CI job, a pre-commit hook, editor settings."
        " With NAME.yaml or -o, write the protocol alone.",
        epilog="agentcomm new shop --roles buyer,seller && cd shop && pytest",
    )
    parser.add_argument(
        "name", metavar="NAME", help="the protocol's name; the folder is NAME; NAME.yaml is a protocol alone"
    )
    parser.add_argument(
        "--from", dest="source", metavar="PROTOCOL", help="begin with a protocol of the library, or a file"
    )
    parser.add_argument("--roles", metavar="A,B", help="the roles, in their order")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the protocol alone, there")
    parser.set_defaults(call=new)


def new(options: argparse.Namespace) -> int:
    """Write the project, or the file."""
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load, loads, read_document
    from agentcomm.protocol.scaffold import copied, written

    given = Path(options.name)
    is_alone = options.output is not None or given.suffix in {".yaml", ".yml"}
    name = given.stem if is_alone else options.name
    roles = [role.strip() for role in options.roles.split(",")] if options.roles else []
    if options.source:
        path = find_protocol(options.source)
        load(path)
        text = copied(read_document(path).decode("utf-8-sig"), name, roles)
    else:
        text = written(name, roles or ["asker", "answerer"])
    if is_alone:
        file = Path(options.output or options.name)
        _write(file, text)
        print(file)
        note(f"`agentcomm check {file}` checks it, `agentcomm show {file}` shows it")
        return 0
    if name.lower().replace("_", "-") == "agentcomm":
        raise UsageError(
            "a project cannot be named as the library that it needs", fix="choose another name", code="U441"
        )
    from agentcomm.cli.project import files_of

    files = files_of(name, text, loads(text), is_copy=bool(options.source))
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(
            f"{folder} is there already", fix=f"choose another name, or write {name}.yaml alone", code="U440"
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    for place, written_there in files.items():
        _write(folder / place, written_there)
        print(folder / place)
    note(f"`cd {name}`, then `pytest` (it needs pytest), `python agents.py`; README.md says the rest")
    return 0


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(
            f"{file} is there already", fix="choose another name, or write elsewhere with -o", code="U440"
        ) from None
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> InputError:
    reason = (error.strerror or str(error)).lower()
    return InputError(f"cannot write: {reason}", where=str(file), fix="name a file that can be written")
