"""Find and load protocols: those of the library by name, those of a user by path.

A document with errors is refused. The check is skipped for a document that was checked before by the same checker: a stamp,
a hash over both, is shipped with the library and kept in the user's cache for everything else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agentcomm.acts.content import Content
from agentcomm.errors import ProtocolError
from agentcomm.protocol.compile import draft
from agentcomm.protocol.findings import Finding
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.lookup import (
    PACKAGE,
    SHIPPED,
    Resolve,
    find,
    names,
    read_document,
    resolver,
    within,
)
from agentcomm.protocol.source import read
from agentcomm.protocol.typed import typed

__all__ = ("check", "find", "load", "loads", "names", "read_document", "stamp")

_ACTS = ("content.py", "glossary.py", "performative.py", "units.py")
_ASIDE = frozenset(
    [
        "build",
        "changes",
        "deep",
        "differ",
        "draw",
        "draw_graph",
        "draw_svg",
        "draw_table",
        "draw_view",
        "drawn",
        "layout",
        "library",
        "picture",
        "sarif",
        "scaffold",
        "schema",
        "schema_parts",
        "schema_words",
        "stamp_build",
        "typing_stub",
    ]
)
"""Files here that decide nothing about a document."""
_MOST_KEPT = 256
"""Protocols that a process keeps."""
_BIGGEST_KEPT = 256 * 1024
"""Bytes of their documents."""


def load(source: str | Path, *, types: Mapping[str, type[Content]] | None = None) -> Protocol:
    """Return a protocol that was checked; the same object as long as its documents have not changed.

    Args:
        source: A file (`shop.yaml`, a `Path`), or a name from the library (`request`, `_overlays/read-back`).
        types: Content classes by the name that the document uses for them, or by the act's label (`agentcomm types`).

    Raises:
        ProtocolError: If the document has errors; its `findings` list them.
        UsageError: If the library has no protocol of that name, or a class does not take what the act carries.
        InputError: If the file cannot be read.
    """
    path = find(source)
    return _loaded(read_document(path), str(path), types, resolver(path))


def loads(
    data: bytes | str,
    *,
    path: str = "",
    types: Mapping[str, type[Content]] | None = None,
    protocols: Mapping[str, str] | None = None,
) -> Protocol:
    """Return the protocol of a document that is already in memory.

    Args:
        data: The document; bytes are UTF-8.
        path: Its name, for findings.
        types: Content classes by the name that the document uses for them.
        protocols: The documents that it runs or names as overlays, by name (`Protocol.embedded`); others are looked up in
            the library.

    Raises:
        ProtocolError: If the document has errors.
    """
    return _loaded(data, path, types, within(protocols or {}, resolver()))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A protocol, and the documents that were looked up for it."""

    protocol: Protocol
    looked_up: Mapping[str, bytes | None]


_LOADED: dict[tuple[object, ...], _Kept] = {}


def _loaded(
    data: bytes | str, path: str, types: Mapping[str, type[Content]] | None, resolve: Resolve
) -> Protocol:
    """Return a protocol: the one that is kept, if every document is still the same, else a new one."""
    raw = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    key = (hashlib.sha256(raw).digest(), path, *sorted((types or {}).items(), key=lambda item: item[0]))
    kept = _LOADED.get(key)
    if kept and all(_bytes(resolve(name)) == text for name, text in kept.looked_up.items()):
        return kept.protocol
    looked_up: dict[str, bytes | None] = {}

    def looking(name: str) -> tuple[bytes, str] | None:
        found = resolve(name)
        looked_up[name] = _bytes(found)
        return found

    protocol = _stamped(data, path, types, looking) or _checked(data, path, types, looking)
    if types:
        protocol = typed(protocol, types)
    if len(raw) <= _BIGGEST_KEPT:
        if len(_LOADED) >= _MOST_KEPT:
            _LOADED.clear()
        _LOADED[key] = _Kept(protocol, looked_up)
    return protocol


def _bytes(found: tuple[bytes, str] | None) -> bytes | None:
    return found[0] if found else None


def _stamped(
    data: bytes | str, path: str, types: Mapping[str, type[Content]] | None, resolve: Resolve
) -> Protocol | None:
    """Return a protocol that was checked before, in this process or another."""
    document = read(data, path)
    made = draft(document, types=types, resolve=resolve)
    if not made or document.report.has_errors:
        return None
    return made.protocol if _is_stamped(_mark(made.protocol, types)) else None


def _checked(
    data: bytes | str, path: str, types: Mapping[str, type[Content]] | None, resolve: Resolve
) -> Protocol:
    from agentcomm.protocol.check import examine

    checked = examine(data, path=path, types=types, resolve=resolve)
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    if checked.protocol is None or errors:
        raise _refusal(path, errors)
    _keep(_mark(checked.protocol, types))
    return checked.protocol


def _mark(protocol: Protocol, types: Mapping[str, type[Content]] | None) -> str:
    return stamp(protocol.text.encode(), types, protocol.embedded)


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
    checked = examine(read_document(path), path=str(path), types=types, resolve=resolver(path))
    return list(checked.findings)


def stamp(
    data: bytes,
    types: Mapping[str, type[Content]] | None = None,
    embedded: Mapping[str, str] | None = None,
) -> str:
    """Return the mark of a checked document: a hash over it, the classes and documents it uses, and the checker.

    Args:
        data: The document.
        types: Content classes by the name that the document uses for them.
        embedded: The documents that it runs or names as overlays (`Protocol.embedded`).
    """
    parts = hashlib.sha256(checker_version().encode())
    for name, given in sorted((types or {}).items()):
        fields = sorted(given.model_fields)
        parts.update(json.dumps([name, fields]).encode())
    for name, text in sorted((embedded or {}).items()):
        parts.update(json.dumps([name, text]).encode())
    parts.update(hashlib.sha256(data).digest())
    return parts.hexdigest()


def decides() -> list[Path]:
    """Return the source files that decide whether a document is right: not those that draw, compare or describe it."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file for file in files if file.stem not in _ASIDE] + [PACKAGE / "acts" / name for name in _ACTS]


@cache
def checker_version() -> str:
    """Return a hash over the source of everything that decides whether a document is right."""
    parts = hashlib.sha256()
    for file in decides():
        try:
            parts.update(file.read_bytes())
        except OSError:
            parts.update(file.name.encode())
    return parts.hexdigest()


def _refusal(path: str, errors: list[Finding]) -> ProtocolError:
    count = f"{len(errors)} error" + ("s" if len(errors) != 1 else "")
    return ProtocolError(f"the protocol has {count}", findings=errors, where=path)


@cache
def _shipped_stamps() -> frozenset[str]:
    try:
        return frozenset(json.loads((SHIPPED / "stamps.json").read_text(encoding="utf-8")))
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
