"""What an act carries: from the type words of a document to `FieldType`s.

A type that does not parse is reported once and read as `any`, so that its field stays known.
"""

import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from pydantic import StringConstraints, TypeAdapter

from agentcomm.acts.content import (
    CONSTRAINTS,
    KINDS,
    Content,
    FieldType,
    parse_duration,
    parse_money,
)
from agentcomm.acts.glossary import clash
from agentcomm.acts.units import is_unit, parse_quantity
from agentcomm.protocol.findings import Report, near, quoted
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.meant import WORDS, meant
from agentcomm.protocol.shape import is_name
from agentcomm.protocol.source import Entry, Node

__all__ = ("ANY", "BOOL", "TypeReader")

ANY = FieldType("any")
BOOL = FieldType("bool")
_LONGEST = 200
"""Characters of a type."""
_DEEPEST = 20
"""Named types within each other."""
_MOST = 1_000
"""Types in the content of one act, after names are followed."""
_PROTECTED = ("_", "model_validate", "model_dump")
_SHORT = {"min": "minimum", "max": "maximum", "min_length": "minLength", "max_length": "maxLength"}
"""Constraints as others call them."""


@dataclass(slots=True)
class TypeReader:
    """Reads types; knows the named ones of the document and those registered in Python."""

    report: Report
    types: Mapping[str, Entry]
    registered: Mapping[str, type[Content]]
    used: set[str] = field(default_factory=set[str])
    """Names that something refers to."""
    _size: int = 0
    """Types in the content that is being read."""
    _sizes: dict[str, int] = field(default_factory=dict[str, int])
    _done: dict[str, FieldType] = field(default_factory=dict[str, FieldType])
    _open: list[str] = field(default_factory=list[str])

    def content(self, node: Node, label: str) -> tuple[Mapping[str, FieldType] | None, type[Content] | None]:
        """Return the fields of an act's content, None if they cannot be known; and the class if one is registered."""
        self._size = 0
        found, registered = self._content(node, label)
        if self._size <= _MOST:
            return found, registered
        self._wrong(node.at, f"'{label}' carries more than {_MOST} fields", fix="split the message")
        return None, None

    def _content(self, node: Node, label: str) -> tuple[Mapping[str, FieldType] | None, type[Content] | None]:
        if node.entries is not None and "is" not in node.entries:
            return self.fields(node, f"'{label}'"), None
        name = node.text
        if name is not None and name in self.registered and name not in self.types:
            self.used.add(name)
            return fields_of(self.registered[name]), self.registered[name]
        kind = self.field(node, whole=True)
        if kind is None:
            return None, None
        if kind.kind == "map" and not kind.optional and kind.fields is not None:
            return kind.fields, None
        self._wrong(
            node.at,
            f"'{label}' carries {node}, which has no fields",
            why="content is a map of fields, or the name of a type that is one",
            fix=f"give it a name, such as {{value: {name or 'text'}}}",
        )
        return None, None

    def fields(self, node: Node, owner: str) -> Mapping[str, FieldType]:
        """Return the types of a map by name."""
        result: dict[str, FieldType] = {}
        for entry in (node.entries or {}).values():
            if (
                not entry.key.isidentifier()
                or keyword.iskeyword(entry.key)
                or entry.key.startswith(_PROTECTED)
            ):
                self._wrong(
                    entry.at,
                    f"'{entry.key}' cannot be the name of a field",
                    why="a field becomes an attribute in Python"
                    + (", and that is a word of its grammar" if keyword.iskeyword(entry.key) else ""),
                    fix=f"call it '{_as_field(entry.key)}'",
                )
            elif hasattr(Content, entry.key):
                self._wrong(
                    entry.at,
                    f"'{entry.key}' cannot be the name of a field",
                    why="every content class has an attribute of this name",
                    fix=f"call it '{entry.key}_value', or something better",
                )
            elif entry.node.is_scalar and entry.node.value is None:
                self._wrong(
                    entry.at,
                    f"the field '{entry.key}' of {owner} has no type",
                    fix=f"write `{entry.key}: text`",
                )
            result[entry.key] = self.field(entry.node) or ANY
        return result

    def field(self, node: Node, *, whole: bool = False) -> FieldType | None:
        """Return the type that a node stands for, None with a finding if it stands for none.

        Args:
            node: A word, a list of choices, a map of fields or a map with `is`.
            whole: It is the whole content of an act, so a name may be a registered class.
        """
        self._size += 1
        if node.items is not None:
            return self._choice(node)
        if node.entries is not None:
            if "is" in node.entries:
                return self._limited(node)
            if self._is_schema(node):
                return None
            return FieldType("map", fields=self.fields(node, "a map"))
        if node.value is None:
            return None
        if node.text is None:
            self._wrong(node.at, f"{node} is not a type", fix=f"types are {quoted(KINDS)}")
            return None
        return self._word(node.text, node.at, whole=whole)

    def _is_schema(self, node: Node) -> bool:
        """Whether a map is a type as JSON Schema writes it; a finding if so."""
        entries = node.entries or {}
        kind = entries["type"].node if "type" in entries else None
        others = [key for key in entries if key != "type"]
        limits = [key for key in others if key in CONSTRAINTS or _SHORT.get(key) in CONSTRAINTS]
        if kind is None or kind.text is None or not limits or len(limits) < len(others):
            return False
        text = WORDS.get(kind.text.lower(), kind.text)
        pairs = [f"is: {text}", *(f"{_SHORT.get(key, key)}: {entries[key].node.raw}" for key in limits)]
        self._wrong(
            entries["type"].at,
            "a type with constraints begins with `is`",
            why="`type` would be a field of that name",
            fix=f"write `{{{', '.join(pairs)}}}`",
        )
        return True

    def unused(self) -> list[Entry]:
        """Return the named types that nothing refers to, read all the same."""
        found = [entry for name, entry in self.types.items() if name not in self.used]
        for entry in found:
            self._named(entry.key, entry.at)
        return found

    def check_names(self) -> None:
        """Add what is wrong with the names of types."""
        for name, entry in self.types.items():
            if name in KINDS:
                self._wrong(entry.at, f"'{name}' is a type of the language already", fix="rename it")
            elif name in self.registered:
                self._wrong(entry.at, f"'{name}' is also a class given in Python", fix="rename one of them")
            elif not is_name(name):
                self._wrong(entry.at, f"'{name}' cannot be the name of a type", fix="write it like `Offer`")

    def _wrong(self, at: Mark, what: str, *, why: str = "", fix: str = "") -> None:
        self.report.add("E104", "unknown_name", at, what, why=why, fix=fix)

    def _word(self, text: str, at: Mark, *, whole: bool = False) -> FieldType | None:
        word = text.strip() if len(text) <= _LONGEST else "..."
        head, _, rest = word.partition(" ")
        if head == "optional" and rest:
            inner = self._word(rest, at)
            return _changed(inner, optional=True) if inner else None
        if word.startswith("list of "):
            inner = self._word(word.removeprefix("list of "), at)
            if inner and inner.optional:
                self._wrong(
                    at,
                    "the items of a list cannot be optional",
                    fix="make the list optional, or leave it empty",
                )
            return FieldType("list", item=inner or ANY)
        if word in KINDS and word not in self.types:
            return FieldType(word)
        if word in self.types:
            return self._named(word, at)
        if word in self.registered and not whole:
            self.used.add(word)
            self._wrong(
                at,
                f"the class '{word}' is the whole content of an act or nothing",
                fix=f"write `{word}` where the act's content stands",
            )
            return ANY
        hint = meant(word, (*KINDS, *self.types, *self.registered))
        if self.report.is_news(f"type {word}"):
            why = "a type is one of the language's, or stands under `types`"
            self._wrong(at, f"'{word}' is not a type", why=why, fix=hint)
        return None

    def _named(self, name: str, at: Mark) -> FieldType:
        self.used.add(name)
        if name in self._open:
            self._wrong(at, f"the type '{name}' contains itself", fix="let an id refer to the other one")
            return ANY
        if len(self._open) > _DEEPEST:
            self._wrong(
                at, f"types are nested deeper than {_DEEPEST} levels", fix="let ids refer to the parts"
            )
            return ANY
        if name in self._done:
            self._size += self._sizes[name]
        else:
            self._open.append(name)
            before = self._size
            kind = self.field(self.types[name].node)
            self._sizes[name] = self._size - before
            self._open.pop()
            if kind is None and self.types[name].node.value is None and self.types[name].node.is_scalar:
                self._wrong(
                    self.types[name].at, f"the type '{name}' is empty", fix=f"write `{name}: {{text: text}}`"
                )
            self._done[name] = kind or ANY
        return self._done[name]

    def _choice(self, node: Node) -> FieldType:
        values: list[str | int | float | bool] = []
        words = [item.text for item in node.items or ()]
        if words and all(word in KINDS or word in self.types for word in words):
            self.used.update(word for word in words if word and word in self.types)
            self._wrong(
                node.at,
                f"a list is a choice among words, and {quoted(map(str, words))} {'are types' if words[1:] else 'is a type'}",
                why="a value has one type",
                fix=f"write `list of {words[0]}`" if not words[1:] else "take one of them, or `any`",
            )
            return ANY
        for item in node.items or ():
            if not item.is_scalar or item.value is None:
                self._wrong(item.at, f"a choice is a word or a number, not {item}", fix="put it in quotes")
            elif any(item.value == value and type(item.value) is type(value) for value in values):
                self._wrong(item.at, f"the choice {item} stands here twice", fix="remove one")
            else:
                values.append(item.value)
        if not node.items:
            self._wrong(node.at, "a choice without choices", fix="write them: [low, high]")
        return FieldType("choice", choices=tuple(values)) if values else ANY

    def _limited(self, node: Node) -> FieldType | None:
        entries = node.entries or {}
        base = self.field(entries["is"].node)
        if base is None:
            if entries["is"].node.value is None and entries["is"].node.is_scalar:
                self._wrong(entries["is"].at, "`is` names no type", fix="write `is: text`")
            return None
        limits: dict[str, Any] = {}
        for key, entry in entries.items():
            if key == "is":
                continue
            allowed = [word for word, kinds in CONSTRAINTS.items() if base.kind in kinds]
            if key not in CONSTRAINTS:
                hint = near(key, allowed, otherwise=f"{base.kind} takes no constraint")
                self._wrong(entry.at, f"'{key}' is not a constraint", fix=hint)
            elif key not in allowed:
                fix = (
                    f"{base.kind} takes {quoted(allowed)}" if allowed else f"{base.kind} takes no constraint"
                )
                self._wrong(entry.at, f"'{key}' does not go with {base.kind}", fix=fix)
            elif (problem := _bound_problem(key, base, entry.node)) is None:
                limits[key] = _glossary(entry.node) if key == "glossary" else entry.node.value
            else:
                self._wrong(entry.node.at, f"{entry.node} cannot be the '{key}'", fix=f"write {problem}")
        if _contradicts(base, limits):
            self.report.add(
                "E104",
                "data_flow",
                node.at,
                "nothing fits these constraints",
                why="the least is above the most",
                fix="swap them",
            )
            limits = {}
        return _changed(base, constraints={**base.constraints, **limits})


def _changed(kind: FieldType, **changes: Any) -> FieldType:
    return msgspec.structs.replace(kind, **changes)


def fields_of(registered: type[Content]) -> Mapping[str, FieldType]:
    """Return the fields of a class given in Python; their types are the class's own matter."""
    return {
        name: FieldType("any", optional=not info.is_required())
        for name, info in registered.model_fields.items()
    }


def _as_field(name: str) -> str:
    text = re.sub(r"\W+", "_", name).strip("_") or "value"
    return f"{text}_" if keyword.iskeyword(text) else f"n{text}" if text[0].isdigit() else text


def _bound_problem(key: str, base: FieldType, node: Node) -> str | None:
    """Return what the value of a constraint should be, None if it is that."""
    if key in _OWN:
        return _own_problem(key, node)
    value = node.value
    number = node.is_scalar and isinstance(value, int | float) and not isinstance(value, bool)
    if key == "pattern":
        try:
            TypeAdapter(Annotated[str, StringConstraints(pattern=node.text)])
        except Exception:  # noqa: BLE001  (the regex engine has an error class of its own)
            return "a regular expression"
        return None if node.text is not None else "a regular expression"
    if key.startswith(("minL", "maxL", "minI", "maxI")):
        return None if number and isinstance(value, int) and value >= 0 else "a whole number from 0"
    if base.kind == "int":
        return None if number and isinstance(value, int) else "a whole number"
    if base.kind == "number" or number:
        return (
            None
            if number and base.kind not in ("duration", "quantity")
            else "a number"
            if base.kind == "number"
            else _PARSERS[base.kind][1]
        )
    try:
        _PARSERS[base.kind][0](node.text)
    except (ValueError, OverflowError):
        return _PARSERS[base.kind][1]
    return None


_PARSERS: dict[str, tuple[Callable[[object], object], str]] = {
    "money": (parse_money, "a number or an amount such as 120 EUR"),
    "quantity": (parse_quantity, "a quantity such as 500 l"),
    "duration": (parse_duration, "a duration"),
}
_OWN = ("unit", "ordered", "glossary")
"""Constraints that say how values compare."""


def _own_problem(key: str, node: Node) -> str | None:
    """Return what such a constraint should be, None if it is that."""
    match key:
        case "unit":
            return None if node.text is not None and is_unit(node.text) else "a unit such as `l` or `km/h`"
        case "ordered":
            return None if isinstance(node.value, bool) else "true or false"
        case _:
            words = _glossary(node)
            if not words:
                return "names with their synonyms: {city bike: [town bike]}"
            twice = clash(words)
            return f"each word under one name; {twice!r} stands under two" if twice else None


def _glossary(node: Node) -> dict[str, tuple[str, ...]]:
    """Return each name with its synonyms, nothing if that is not what stands there."""
    found = {
        entry.key: tuple(item.text or "" for item in entry.node.items or (entry.node,))
        for entry in (node.entries or {}).values()
    }
    return found if all(word for words in found.values() for word in words) else {}


def _contradicts(base: FieldType, limits: Mapping[str, Any]) -> bool:
    for least, most in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if least in limits and most in limits:
            low, high = limits[least], limits[most]
            if base.kind == "duration":
                low, high = parse_duration(low), parse_duration(high)
            if isinstance(low, str) or isinstance(high, str):
                continue
            if low > high:
                return True
    return False
