"""Whether something said fits what is common ground: no contradiction, and no required slot left open.

Both take plain data, so that the core's step, an agent's check before it speaks, and a test ask the same question.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from agentcomm.acts.content import FieldType
from agentcomm.grounding.compare import compare
from agentcomm.grounding.troubles import Contradiction, Unfilled

__all__ = ("contradictions", "is_placeholder", "unfilled")

_PLACEHOLDERS = frozenset(
    ["", "?", "??", "???", "-", "--", "…", "...", "tbd", "tba", "todo", "n/a", "xxx", "placeholder"]
)
_TEMPLATE = re.compile(
    r"<[^<>]{1,40}>|\{\{?[^{}]{1,40}\}?\}|\[(?:insert|your|the)\b[^\[\]]{0,40}\]|_{3,}", re.IGNORECASE
)


def contradictions(
    kinds: Mapping[str, FieldType],
    ground: Mapping[str, Any],
    content: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> tuple[Contradiction, ...]:
    """Return the fields whose values differ from the common ground.

    Whether a value may change (the price of a counter-offer) the protocol knows: leave out of `names` what may.

    Args:
        kinds: Types of the fields, as far as they are known.
        ground: What is grounded, by name.
        content: What is said now, by field.
        names: Field -> its name in the common ground; without it, every field under its own name.
    """
    pairs = names if names is not None else {field: field for field in content}
    found: list[Contradiction] = []
    for field, name in pairs.items():
        value = content.get(field)
        if value is None or ground.get(name) is None:
            continue
        if differs := compare(field, kinds.get(field), ground[name], value):
            found.append(Contradiction(name, differs))
    return tuple(found)


def unfilled(
    required: Iterable[str],
    ground: Mapping[str, Any],
    content: Mapping[str, Any] | None = None,
    allowed: Collection[Any] = (),
) -> tuple[Unfilled, ...]:
    """Return the required slots that neither the common ground nor what is said now fills.

    Args:
        required: Names of the slots.
        ground: What is grounded, by name.
        content: What is said now, by field; what it says goes before the ground.
        allowed: Texts that look like placeholders and are values here.
    """
    said = content or {}
    found: list[Unfilled] = []
    for slot in required:
        value = said.get(slot)
        value = ground.get(slot) if value is None else value
        if value is None:
            found.append(Unfilled(slot))
        elif isinstance(value, str) and value not in allowed and is_placeholder(value):
            found.append(Unfilled(slot, value))
    return tuple(found)


def is_placeholder(text: str) -> bool:
    """Say whether a text stands for a value that is still to come: `TBD`, `<name>`, `{{price}}`."""
    word = text.strip().casefold()
    return word in _PLACEHOLDERS or bool(_TEMPLATE.fullmatch(word))
