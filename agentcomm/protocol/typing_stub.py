"""Write the content of a protocol's acts as Python classes, so that a type checker sees it. `content_model` makes the same at run time."""

import keyword
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from agentcomm.acts.content import FieldType
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Act, Protocol
from agentcomm.protocol.source import read

__all__ = ("python_types",)

_KINDS = {
    "text": "Text",
    "id": "Id",
    "int": "int",
    "number": "Number",
    "bool": "bool",
    "date": "Day",
    "datetime": "Moment",
    "duration": "Duration",
    "money": "Amount",
    "quantity": "Size",
    "any": "Any",
}
_TAKEN = {
    "ACTS",
    "ITEMS_LIMIT",
    "TEXT_LIMIT",
    "Annotated",
    "Any",
    "Content",
    "Field",
    "Literal",
    "StringConstraints",
    "bounded",
    *_KINDS.values(),
}
"""Names that the module itself needs."""
_BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_FROM_CONTENT = (
    "ITEMS_LIMIT",
    "TEXT_LIMIT",
    "Amount",
    "Content",
    "Day",
    "Duration",
    "Id",
    "Moment",
    "Number",
    "Size",
    "Text",
    "bounded",
)


def python_types(protocol: Protocol) -> str:
    """Return a module with a class for what each act carries, and `ACTS`, which `load(..., types=ACTS)` takes.

    Args:
        protocol: Any; an act whose class is given in Python already is left out.
    """
    return _Writer(protocol).module()


class _Writer:
    """Writes the classes of one protocol; each is written before what uses it."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.classes: list[str] = []
        self.names = set(_TAKEN)
        self.known: list[tuple[FieldType, str]] = []
        """Maps that have a class."""

    def module(self) -> str:
        """Return the text of the module."""
        for name, kind in _named_types(self.protocol).items():
            if kind.kind == "map" and kind.fields is not None:
                self._class(self._name(name), kind.fields, "Content", f"The type `{name}`.", kind)
        acts = {label: act for label, act in self.protocol.acts.items() if act.registered is None}
        made = {label: self._act(act) for label, act in acts.items()}
        table = "\n".join(f'    "{label}": {name},' for label, name in made.items())
        body = "\n\n\n".join(self.classes)
        end = (
            f"ACTS: dict[str, type[Content]] = {{\n{table}\n}}"
            if made
            else "ACTS: dict[str, type[Content]] = {}"
        )
        end += '\n"""By label; for `load(..., types=ACTS)`."""'
        whole = "\n\n\n".join(part for part in (body, end) if part)
        return f"{self._head()}\n{_imports(whole)}\n\n\n{whole}"

    def _head(self) -> str:
        version = re.sub(r"[^\w.+-]", "_", self.protocol.version)  # any text, and this becomes code
        name = f"{self.protocol.name} {version}"
        return (
            f'"""What the acts of {name} carry. Made by `agentcomm types`: make it again when the protocol changes.\n\n'
            f'Of the protocol {self.protocol.hash}\n"""\n'
        )

    def _act(self, act: Act) -> str:
        said = {
            move.speaker: None
            for state in self.protocol.states.values()
            for move in state.moves.values()
            if move.label == act.label
        }
        words = f"`{act.label}`: to {act.info.about}."
        words += f" Said by {' or '.join(said)}." if said else ""
        whole = FieldType("map", fields=act.fields)
        base = next((name for kind, name in self.known if kind == whole and "Act" not in name), None)
        name = self._name(act.label)
        if base:
            self.classes.append(f'class {name}({base}):\n    """{words}"""')
        else:
            self._class(name, act.fields, "Content", words, None)
        return name

    def _class(
        self, name: str, fields: Mapping[str, FieldType], base: str, words: str, kind: FieldType | None
    ) -> None:
        lines = [f"class {name}({base}):", f'    """{words}"""']
        if fields:
            lines.append("")
        for field, inner in fields.items():
            text = self._annotation(inner, f"{name}_{field}")
            lines.append(f"    {field}: {text} | None = None" if inner.optional else f"    {field}: {text}")
        if kind is not None:
            self.known.append((kind, name))
        self.classes.append("\n".join(lines))

    def _annotation(self, kind: FieldType, owner: str) -> str:
        """Return the annotation of a field; what `content_model` makes of it, in words."""
        limits = kind.constraints
        match kind.kind:
            case "text" | "id" if limits:
                least = 1 if kind.kind == "id" else None
                parts = {
                    "min_length": repr(limits.get("minLength", least)),
                    "max_length": repr(limits["maxLength"]) if "maxLength" in limits else "TEXT_LIMIT",
                    "pattern": repr(limits.get("pattern")),
                }
                return f"Annotated[str, StringConstraints({_arguments(parts)})]"
            case "int" | "number" if limits:
                parts = {_BOUNDS[key]: repr(value) for key, value in limits.items()}
                return f"Annotated[{_KINDS[kind.kind]}, Field({_arguments(parts)})]"
            case "duration" | "money" | "quantity" if limits:
                parts = {key: repr(value) for key, value in limits.items()}
                return f"Annotated[{_KINDS[kind.kind]}, bounded({_arguments(parts)})]"
            case "list":
                item = self._annotation(kind.item or FieldType("any"), f"{owner}_item")
                parts = {
                    "min_length": repr(limits.get("minItems")),
                    "max_length": repr(limits["maxItems"]) if "maxItems" in limits else "ITEMS_LIMIT",
                }
                return f"Annotated[list[{item}], Field({_arguments(parts)})]"
            case "choice":
                return f"Literal[{', '.join(map(repr, kind.choices))}]"
            case "map":
                return self._map(kind, owner)
            case _:
                return _KINDS[kind.kind]

    def _map(self, kind: FieldType, owner: str) -> str:
        bare = msgspec.structs.replace(kind, optional=False)
        for known, name in self.known:
            if known == bare:
                return name
        name = self._name(owner)
        self._class(name, bare.fields or {}, "Content", f"Part of `{owner.partition('_')[0]}`.", bare)
        return name

    def _name(self, text: str) -> str:
        """Return the name of a class that is not taken yet."""
        name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", text) if part)
        if keyword.iskeyword(name) or name in self.names:
            name += "Act"
        number = 2
        while name in self.names:
            name, number = f"{name.rstrip('0123456789')}{number}", number + 1
        self.names.add(name)
        return name


def _named_types(protocol: Protocol) -> dict[str, FieldType]:
    """Return the types that the document names, in its order."""
    root = read(protocol.text).root
    entry = root.entries.get("types") if root and root.entries else None
    entries = entry.node.entries if entry else None
    if not entries:
        return {}
    reader = TypeReader(Report(), entries, {})
    found = {name: reader.field(item.node) for name, item in entries.items()}
    return {name: kind for name, kind in found.items() if kind}


def _arguments(parts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parts.items() if value != "None")


def _imports(text: str) -> str:
    def used(names: tuple[str, ...]) -> list[str]:
        return [name for name in names if re.search(rf"\b{name}\b", text)]

    typing, pydantic = used(("Annotated", "Any", "Literal")), used(("Field", "StringConstraints"))
    lines = [f"from typing import {', '.join(typing)}\n"] if typing else []
    lines += [f"from pydantic import {', '.join(pydantic)}\n"] if pydantic else []
    return "\n".join([*lines, f"from agentcomm.acts.content import {', '.join(used(_FROM_CONTENT))}"])
