"""Where protocols are found: those of the library by name, those of a user by path, and what stands beside a file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from agentcomm.errors import InputError, UsageError
from agentcomm.protocol.findings import near, quoted
from agentcomm.protocol.source import BYTES

__all__ = ("PACKAGE", "SHIPPED", "Resolve", "find", "names", "nowhere", "read_document", "resolver", "within")

Resolve: TypeAlias = Callable[[str], tuple[bytes, str] | None]
"""From a name to the document and its path; `outer/name` for a name that stands in the document `outer`."""

PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED = PACKAGE / "_shipped"
_SUFFIXES = (".yaml", ".yml")
_OVERLAYS = "_overlays/"
_NAME = re.compile(r"(_overlays/)?[a-z0-9]+(-[a-z0-9]+)*")


def names(*, overlays: bool = False) -> tuple[str, ...]:
    """Return the names of the library's protocols, or of its overlays."""
    folder = _folder()
    if folder is None:
        return ()
    inner = folder / _OVERLAYS if overlays else folder
    prefix = _OVERLAYS if overlays else ""
    return tuple(sorted(prefix + file.stem for file in inner.glob("*.yaml")))


def find(source: str | Path) -> Path:
    """Return the file of a protocol.

    Args:
        source: A path, or a name from the library.

    Raises:
        UsageError: If the library has no protocol of that name.
    """
    if isinstance(source, Path):
        return source
    if source.endswith(_SUFFIXES) or source.startswith((".", "/", "~")):
        return Path(source).expanduser()
    folder = _folder()
    if folder and _NAME.fullmatch(source) and (file := folder / f"{source}.yaml").is_file():
        return file
    known = (*names(), *names(overlays=True))
    hint = near(source, known)
    raise UsageError(
        f"the library has no protocol '{source}'",
        why=f"it has {quoted(known, limit=60)}" if known else "the library is empty",
        fix=hint if hint.startswith("did") else "name one of them, or a file ending in .yaml",
    )


def read_document(path: Path) -> bytes:
    """Return the bytes of a file, as far as a document may be long and one byte more.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        match error:
            case FileNotFoundError():
                fix = "check the path; `agentcomm protocols` lists what can be named without one"
            case IsADirectoryError():
                fix = f"name its files: {path}/*.yaml"
            case _:
                fix = "name a file that you may read"
        raise InputError(f"the protocol cannot be read: {reason}", where=str(path), fix=fix) from error


def resolver(path: Path | None = None) -> Resolve:
    """Return what finds the documents that a document names: beside its file, then in the library; nowhere else.

    Args:
        path: The document's file; None: only the library is looked in.
    """

    def file_of(name: str) -> Path | None:
        folder = path.parent if path else None
        found: Path | None = None
        for part in name.split("/"):
            found = _beside(folder, part) or _beside(_folder(), part)
            folder = found.parent if found else None
        return found

    def resolve(name: str) -> tuple[bytes, str] | None:
        found = file_of(name)
        return (read_document(found), str(found)) if found else None

    return resolve


def nowhere(name: str) -> None:
    """Find nothing: for documents that stand alone."""
    del name


def within(texts: Mapping[str, str], otherwise: Resolve = nowhere) -> Resolve:
    """Return what finds documents in a table of texts, then elsewhere.

    Args:
        texts: By `name`, or `outer/name` for what only `outer` calls so.
        otherwise: Where to look for what is not in the table.
    """

    def look(table: Mapping[str, str], chain: list[str]) -> str | None:
        if len(chain) == 1:
            return table.get(chain[0])
        outer = f"{chain[0]}/"
        own = {name.removeprefix(outer): text for name, text in table.items() if name.startswith(outer)}
        found = look(own, chain[1:]) if own else None
        return look(table, chain[1:]) if found is None else found

    def resolve(name: str) -> tuple[bytes, str] | None:
        text = look(texts, name.split("/"))
        return (text.encode(), name) if text is not None else otherwise(name)

    return resolve


def _beside(folder: Path | None, name: str) -> Path | None:
    """Return the protocol of that name in a folder, or in its folder of overlays."""
    for file in (folder / f"{name}.yaml", folder / _OVERLAYS / f"{name}.yaml") if folder else ():
        if file.is_file():
            return file
    return None


def _folder() -> Path | None:
    """Return the library's folder: the checkout's own, else the one in the package."""
    checkout = PACKAGE.parent
    for folder, needed in (
        (checkout / "protocols", checkout / "pyproject.toml"),
        (SHIPPED / "protocols", None),
    ):
        if folder.is_dir() and (needed is None or needed.is_file()):
            return folder
    return None
