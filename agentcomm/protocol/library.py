"""Find and load protocols: those of the library by name, those of a user by path.

A document with errors is refused. The check is skipped for a document that was checked before by the same checker: a stamp,
a hash over both, is shipped with the library and kept in the user's cache for everything else.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from agentcomm.acts.content import Content
from agentcomm.errors import InputError, ProtocolError, UsageError
from agentcomm.protocol.compile import draft
from agentcomm.protocol.findings import Finding, near, quoted
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.source import BYTES, read

__all__ = ("check", "find", "load", "loads", "names", "read_document", "stamp")

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parent
_SHIPPED = _PACKAGE / "_shipped"
_SUFFIXES = (".yaml", ".yml")
_OVERLAYS = "_overlays/"
_NAME = re.compile(r"(_overlays/)?[a-z0-9]+(-[a-z0-9]+)*")
_PASSES = (
    "protocol/bound.py",
    "protocol/canonical.py",
    "protocol/arcs.py",
    "protocol/check.py",
    "protocol/compile.py",
    "protocol/conditions.py",
    "protocol/fields.py",
    "protocol/findings.py",
    "protocol/flow.py",
    "protocol/graph.py",
    "protocol/lexicon.py",
    "protocol/local.py",
    "protocol/shape.py",
    "protocol/source.py",
    "protocol/spec.py",
    "protocol/turns.py",
    "acts/content.py",
    "acts/performative.py",
)
"""Whatever decides whether a document is right."""


def load(source: str | Path, *, types: Mapping[str, type[Content]] | None = None) -> Protocol:
    """Return a protocol that was checked.

    Args:
        source: A file (`shop.yaml`, a `Path`), or a name from the library (`request`, `_overlays/read-back`).
        types: Content classes by the name that the document uses for them.

    Raises:
        ProtocolError: If the document has errors; its `findings` list them.
        UsageError: If the library has no protocol of that name.
        InputError: If the file cannot be read.
    """
    path = find(source)
    return loads(read_document(path), path=str(path), types=types)


def loads(data: bytes | str, *, path: str = "", types: Mapping[str, type[Content]] | None = None) -> Protocol:
    """Return the protocol of a document that is already in memory.

    Args:
        data: The document; bytes are UTF-8.
        path: Its name, for findings.
        types: Content classes by the name that the document uses for them.

    Raises:
        ProtocolError: If the document has errors.
    """
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    mark = stamp(raw, types)
    if _is_stamped(mark) and (protocol := _compiled(data, path, types)):
        return protocol
    from agentcomm.protocol.check import examine

    checked = examine(data, path=path, types=types)
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    if checked.protocol is None or errors:
        raise _refusal(path, errors)
    _keep(mark)
    return checked.protocol


def check(source: str | Path, *, types: Mapping[str, type[Content]] | None = None) -> list[Finding]:
    """Return what is wrong with a protocol, in the order of its file; a bad document raises nothing.

    Args:
        source: As for `load`.
        types: Content classes by the name that the document uses for them.

    Raises:
        UsageError: If the library has no protocol of that name.
        InputError: If the file cannot be read.
    """
    from agentcomm.protocol.check import examine

    path = find(source)
    return list(examine(read_document(path), path=str(path), types=types).findings)


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
        reason = error.strerror or str(error)
        raise InputError(
            f"the protocol cannot be read: {reason.lower()}", where=str(path), fix="name a readable file"
        ) from error


def stamp(data: bytes, types: Mapping[str, type[Content]] | None = None) -> str:
    """Return the mark of a checked document: a hash over it, the classes it may use, and the checker."""
    parts = hashlib.sha256(checker_version().encode())
    for name, given in sorted((types or {}).items()):
        fields = sorted(given.model_fields)
        parts.update(json.dumps([name, fields]).encode())
    parts.update(hashlib.sha256(data).digest())
    return parts.hexdigest()


@cache
def checker_version() -> str:
    """Return a hash over the source of everything that decides whether a document is right."""
    parts = hashlib.sha256()
    for name in _PASSES:
        try:
            parts.update((_PACKAGE / name).read_bytes())
        except OSError:
            parts.update(name.encode())
    return parts.hexdigest()


def _folder() -> Path | None:
    """Return the library's folder: the checkout's own, else the one in the package."""
    checkout = _PACKAGE.parent
    for folder, needed in (
        (checkout / "protocols", checkout / "pyproject.toml"),
        (_SHIPPED / "protocols", None),
    ):
        if folder.is_dir() and (needed is None or needed.is_file()):
            return folder
    return None


def _compiled(data: bytes | str, path: str, types: Mapping[str, type[Content]] | None) -> Protocol | None:
    document = read(data, path)
    made = draft(document, types=types)
    return made.protocol if made and not document.report.has_errors else None


def _refusal(path: str, errors: list[Finding]) -> ProtocolError:
    count = f"{len(errors)} error" + ("s" if len(errors) != 1 else "")
    return ProtocolError(f"the protocol has {count}", findings=errors, where=path)


@cache
def _shipped_stamps() -> frozenset[str]:
    try:
        return frozenset(json.loads((_SHIPPED / "stamps.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return frozenset()


def _kept(mark: str) -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("agentcomm")) / "checked" / mark


def _is_stamped(mark: str) -> bool:
    try:
        return mark in _shipped_stamps() or _kept(mark).is_file()
    except (OSError, RuntimeError):
        return False


def _keep(mark: str) -> None:
    try:
        file = _kept(mark)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except (OSError, RuntimeError):
        pass
