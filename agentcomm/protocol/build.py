"""Build a protocol in Python, from the words of the language as plain data.

The data become a document, and the document goes through the same passes as a file: there is one compiler.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, cast

from agentcomm.acts.content import Content, Money, format_duration
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Condition, Protocol, Ref, Settle
from agentcomm.protocol.library import loads

__all__ = ("protocol",)

_DEEPEST = 50
_REQUIRED = ("protocol", "roles", "acts", "states", "outcomes")
_BIG = ("types", "acts", "states")
_UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that JSON leaves as they are and YAML does not."""


def protocol(
    name: str,
    *,
    roles: Iterable[str] | Mapping[str, int | str | tuple[int, int]],
    acts: Mapping[str, Any],
    states: Mapping[str, Any],
    outcomes: Mapping[str, Any],
    version: int | str = 1,
    about: str = "",
    source: str = "",
    owner: str = "",
    types: Mapping[str, Any] | None = None,
    grounding: Mapping[str, Any] | None = None,
    start: str = "",
    settles: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    overlay: Mapping[str, Any] | None = None,
    then: Mapping[str, Any] | None = None,
    overlays: Mapping[str, Any] | None = None,
    protocols: Mapping[str, str] | None = None,
) -> Protocol:
    """Return a protocol that was checked; it is equal to that of a file that says the same.

    A pydantic class derived from `Content` stands for an act's content, and a `Protocol` for the name of one that a state runs
    or that is an overlay.

    Args:
        name: The protocol's name.
        roles: A list, or how many play each: 1, `"1..20"` or `(1, 20)`.
        acts: By label, in the short or the long form.
        states: By name, in the short or the long form.
        outcomes: Name -> class.
        version: Its version.
        about: What it is for.
        source: Where it comes from.
        owner: The role that owns the matter at first.
        types: By name: fields, or a content class.
        grounding: What evidence an act needs, by label.
        start: The first state, if it is not the first of `states`.
        settles: How lanes settle the conversation.
        limits: Bounds.
        overlay: When it may run, if it is an overlay.
        then: What follows from an overlay's outcomes.
        overlays: Those that are switched off (`"off"`) or its own.
        protocols: Documents that it runs or names as overlays, by name; others are looked up in the library.

    Raises:
        ProtocolError: If it has errors; its `findings` list them, with their places in the document that was made of it.
        UsageError: If something cannot stand in a document.
    """
    named = types or {}
    classes = {key: value for key, value in named.items() if _is_content(value)}
    writer = _Writer(texts=dict(protocols or {}), types=classes)
    text = "".join(
        writer.lines(
            agentcomm=1,
            protocol=name,
            version=version,
            about=about,
            source=source,
            roles=_counted(roles),
            owner=owner,
            types={key: value for key, value in named.items() if key not in classes},
            acts=acts,
            grounding=grounding,
            start=start,
            states=states,
            outcomes=outcomes,
            settles=settles,
            limits=limits,
            overlay=overlay,
            overlays=overlays,
            then=then,
        )
    )
    return loads(text, path=name, types=writer.types, protocols=writer.texts)


def _counted(roles: Iterable[str] | Mapping[str, int | str | tuple[int, int]]) -> Any:
    if not isinstance(roles, Mapping):
        return list(roles)
    counts = cast("Mapping[str, int | str | tuple[int, int]]", roles)
    return {
        role: f"{count[0]}..{count[1]}" if isinstance(count, tuple) else count
        for role, count in counts.items()
    }


def _is_content(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Content)


@dataclass(slots=True)
class _Writer:
    """Plain data to a document."""

    texts: dict[str, str]
    """Documents that it names."""
    types: dict[str, type[Content]] = field(default_factory=dict[str, type[Content]])

    def lines(self, **words: Any) -> Iterable[str]:
        """Yield the document: a line for each word that says something, and for each entry of the big ones."""
        for key, value in words.items():
            if value is None or (not value and key not in _REQUIRED):
                continue
            plain = self._plain(value)
            if isinstance(plain, dict) and key in _BIG and plain:
                yield f"{key}:\n"
                entries = cast("dict[str, Any]", plain)
                yield from (f"  {_text(name)}: {_text(entry)}\n" for name, entry in entries.items())
            else:
                yield f"{key}: {_text(plain)}\n"

    def _plain(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise UsageError(
                "the data of a protocol are nested too deep", fix="do not let them contain themselves"
            )
        match value:
            case Enum():
                return self._plain(value.value, depth)
            case None | bool() | int() | float() | str():
                return value
            case Mapping():
                entries = cast("Mapping[Any, Any]", value)
                return {self._key(key): self._plain(item, depth + 1) for key, item in entries.items()}
            case timedelta():
                return format_duration(value)
            case Money() | Ref() | Condition() | Settle():
                return str(value)
            case Protocol():
                return self._named(value)
            case type() if _is_content(value):
                return self._registered(value)
            case list() | tuple():
                items = cast("Iterable[Any]", value)
                return [self._plain(item, depth + 1) for item in items]
            case _:
                raise UsageError(
                    f"{value!r} cannot stand in a protocol",
                    why="a protocol is data: texts, numbers, lists, maps, content classes and protocols",
                    fix="write it as the word that a file would have",
                )

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return str(key.value) if isinstance(key, Enum) else key
        raise UsageError(f"{key!r} cannot be a key in a protocol", why="keys are words", fix="write a text")

    def _named(self, value: Protocol) -> str:
        for name, text in {value.name: value.text, **value.embedded}.items():
            if self.texts.setdefault(name, text) != text:
                raise UsageError(f"two protocols are called '{name}'", fix="rename one of them")
        return value.name

    def _registered(self, value: type[Content]) -> str:
        for name, known in self.types.items():
            if known is value:
                return name
        if value.__name__ in self.types:
            raise UsageError(
                f"two content classes are called '{value.__name__}'", fix="name them under `types`"
            )
        self.types[value.__name__] = value
        return value.__name__


def _text(value: Any) -> str:
    """Return a value as JSON that YAML reads in the same way."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise UsageError(
            f"a number that cannot be used in a protocol: {error}", fix="give a finite one"
        ) from error
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
