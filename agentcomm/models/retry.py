"""Ask again: the same after a wait, or less of it.

The one door to tenacity, opened when it is first needed.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from agentcomm.errors import EdgeError

__all__ = ("Passing", "Patience", "SchemaRefused", "again", "reduced_schema")

T = TypeVar("T")

LONGEST_STRING = 400
"""A `maxLength` above this is left out: large ones below the root make a grammar that servers refuse."""

UNSURE_KEYWORDS = frozenset({"pattern", "patternProperties", "propertyNames", "not", "if", "then", "else"})
"""Refused by one engine or another, or passed and not enforced."""

SIMPLE_PATTERN = re.compile(r"\^(?:\[[A-Za-z0-9-]+\]|\\\.|[ ()?+-])*\$")
"""A pattern that every engine holds."""

NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
"""Keywords whose keys are names given by the author, not keywords."""

PLAIN_DATA = frozenset({"const", "enum", "default", "examples", "required"})


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to go on after failures that pass by themselves."""

    tries: int = 3
    """Calls in all."""
    first_wait: float = 0.5
    """Seconds before the second call; doubled before each further one."""
    longest_wait: float = 8.0
    """Seconds."""


class SchemaRefused(Exception):
    """The server cannot make a grammar of the schema."""


class Passing(Exception):
    """A failure that may be gone at the next try.

    Args:
        error: What to raise when patience ends.
    """

    def __init__(self, error: EdgeError) -> None:
        super().__init__(error.what)
        self.error = error


async def again(call: Callable[[], Awaitable[T]], patience: Patience) -> tuple[T, int]:
    """Call until it succeeds; return what it gave and how many tries failed before.

    Args:
        call: Raises `Passing` for a failure worth another try; any other exception ends it at once.
        patience: How often and how long.

    Raises:
        EdgeError: The error inside the last `Passing`.
    """
    import tenacity

    tries = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(patience.tries),
        wait=tenacity.wait_exponential(multiplier=patience.first_wait, max=patience.longest_wait),
        retry=tenacity.retry_if_exception_type(Passing),
        reraise=True,
    )
    failed = -1

    async def counted() -> T:
        nonlocal failed
        failed += 1
        return await call()

    try:
        return await tries(counted), failed
    except Passing as passing:
        raise passing.error from passing.__cause__


def reduced_schema(schema: Mapping[str, Any], *, simple_patterns: bool = False) -> dict[str, Any]:
    """Return `schema` without what engines are known to refuse; whoever sends it checks with the full one.

    Args:
        schema: A JSON Schema.
        simple_patterns: Keep patterns that are no more than classes of characters between `^` and `$`.
    """
    reduced: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "pattern" and simple_patterns and SIMPLE_PATTERN.fullmatch(str(value)):
            reduced[key] = value
            continue
        if key in UNSURE_KEYWORDS or (key == "maxLength" and value > LONGEST_STRING):
            continue
        if key == "items" and isinstance(value, bool):
            continue
        if key in NAMED_SCHEMAS:
            reduced[key] = {name: _reduced(part, simple_patterns) for name, part in value.items()}
        elif key in PLAIN_DATA or isinstance(value, bool):
            reduced[key] = value
        else:
            reduced[key] = _reduced(value, simple_patterns)
    return reduced


def _reduced(value: Any, simple: bool) -> Any:
    match value:
        case Mapping():
            return reduced_schema(value, simple_patterns=simple)  # pyright: ignore[reportUnknownArgumentType]
        case list():
            return [_reduced(item, simple) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case bool():  # `true` as a schema is refused, and means the same as an empty one
            return {}
        case _:
            return value
