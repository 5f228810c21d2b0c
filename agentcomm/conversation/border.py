"""Whether something is an input at all: what a program hands to `step` before anybody looks at what was said.

What an agent says is judged later, and refused by an event; an input that is none is a mistake of the program.
"""

import math
from typing import Any, cast, get_args

from msgspec.structs import replace

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Input, Reading, Say
from agentcomm.errors import UsageError

__all__ = ("checked",)

_INPUTS: tuple[type, ...] = get_args(Input)


def checked(given: Any) -> Input:
    """Return an input whose parts have their types; a message that has not is made one that will be refused.

    Raises:
        UsageError: If it is no input, its time is no number, or a name in it is no text.
    """
    if type(given) is Say and type(given.at) is float:
        message = given.message
        if (
            type(message) is Message
            and type(message.id) is str
            and type(message.act) is str
            and type(message.sender) is str
            and type(message.in_reply_to) is str
            and type(message.lane) is str
            and type(message.made_by) is str
        ):
            return given
    if type(given) not in _INPUTS:
        raise UsageError(
            f"a {type(given).__name__} is no input of a conversation",
            why="it takes Say, Tick, Misfire, Cancel, Leave, Join, Evidence and Doubt",
            fix="Say(message, at)",
            code="U210",
        )
    for name in given.__struct_fields__:
        value = getattr(given, name)
        if name == "message":
            if not isinstance(value, Message):
                raise _wrong(given, name, value, "a Message")
            given = replace(given, message=_with_texts(value))
        elif name in ("missing", "added"):
            points = cast("tuple[Any, ...]", value)
            if not isinstance(value, tuple) or not all(isinstance(point, str) for point in points):
                raise _wrong(given, name, points, "a tuple of texts")
            given = replace(given, **{name: tuple(map(_bare, points))})
        elif name == "readings":
            readings = cast("tuple[Any, ...]", value)
            if not isinstance(value, tuple) or not all(map(_is_reading, readings)):
                raise _wrong(given, name, readings, "a tuple of Readings")
        elif name != "at":
            if not isinstance(value, str):
                raise _wrong(given, name, value, "a text")
            if type(value) is not str:
                given = replace(given, **{name: _bare(value)})
    return replace(given, at=_seconds(given))


def _is_reading(value: Any) -> bool:
    weight = value.weight if type(value) is Reading else None
    return isinstance(weight, int | float) and not isinstance(weight, bool)


def _seconds(given: Any) -> float:
    at = given.at
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise _wrong(given, "at", at, "seconds since the opening")
    try:
        return float(at)
    except OverflowError:
        return math.inf


_TEXTS = ("id", "act", "sender", "in_reply_to", "lane", "made_by")


def _with_texts(message: Message) -> Message:
    """Return a message whose lane is a text; one that had none says nothing, and is refused."""
    if not (isinstance(message.lane, str) and isinstance(message.made_by, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = replace(message, act="", lane="", made_by="")
    texts = {name: getattr(message, name) for name in _TEXTS}
    return replace(message, **{name: _bare(text) for name, text in texts.items() if isinstance(text, str)})


def _bare(text: str) -> str:
    """Return the text alone, of whatever class it was."""
    return str.__str__(text)


def _wrong(given: Any, name: str, value: object, wanted: str) -> UsageError:
    kind = type(given).__name__
    return UsageError(
        f"{kind}.{name} is a {type(value).__name__}",
        why=f"it is to be {wanted}",
        fix=f"{kind}({', '.join(given.__struct_fields__)})",
        code="U211",
    )
