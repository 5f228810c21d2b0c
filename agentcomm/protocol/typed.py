"""Let a protocol's acts carry classes that were written down for them, instead of those made at run time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from agentcomm.acts.content import Content
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act, Protocol

__all__ = ("typed",)


def typed(protocol: Protocol, classes: Mapping[str, type[Content]]) -> Protocol:
    """Return the same protocol, its acts with these classes; its hash stays, since what may be said stays.

    Args:
        protocol: Any.
        classes: By the act's label, such as `ACTS` of a module that `agentcomm types` made; other names are not looked at.

    Raises:
        UsageError: If a class does not take what the protocol says.
    """
    acts = {
        label: _with(act, classes[label]) if label in classes and act.registered is None else act
        for label, act in protocol.acts.items()
    }
    if all(acts[label] is act for label, act in protocol.acts.items()):
        return protocol
    states = {
        name: msgspec.structs.replace(
            state,
            moves={
                label: msgspec.structs.replace(move, act=acts[label]) if label in acts else move
                for label, move in state.moves.items()
            },
        )
        for name, state in protocol.states.items()
    }
    return replace(protocol, acts=acts, states=states)


def _with(act: Act, given: type[Content]) -> Act:
    if _shape(given) != _shape(act.content):
        raise UsageError(
            f"the class {given.__name__} is not what {act.label!r} carries",
            why=f"the protocol says {{{', '.join(f'{name}: {kind}' for name, kind in act.fields.items())}}}",
            fix="make the classes again with `agentcomm types`",
            code="U430",
        )
    return replace(act, registered=given)


def _shape(given: type[Content]) -> Any:
    """Return what a class takes, without names and words."""
    schema = given.model_json_schema()
    return _plain(schema, schema.get("$defs", {}))


def _plain(value: Any, parts: Mapping[str, Any]) -> Any:
    match value:
        case {"$ref": str(ref)}:
            return _plain(parts[ref.rpartition("/")[2]], parts)
        case {"properties": _}:
            entries = cast("dict[str, Any]", value)
            inner = {name: _plain(part, parts) for name, part in entries["properties"].items()}
            rest = {
                key: _plain(part, parts)
                for key, part in entries.items()
                if key not in (*_WORDS, "properties")
            }
            return rest | {"properties": inner}
        case dict():
            entries = cast("dict[str, Any]", value)
            return {key: _plain(part, parts) for key, part in entries.items() if key not in _WORDS}
        case list():
            return [_plain(part, parts) for part in cast("list[Any]", value)]
        case _:
            return value


_WORDS = ("title", "description", "$defs")
