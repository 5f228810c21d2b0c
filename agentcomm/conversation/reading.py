"""From what a speaker gave to what counts: the border between an agent and the record.

Content is what its JSON says, and nothing else. It is always read from there, so that what was validated is what is on record,
a replay reads the same, and nobody holds a list that is part of the record. An object of the right class is no proof: it
may have been built without validation.
"""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec
from pydantic import BaseModel, ValidationError

from agentcomm.acts.content import Content, Money, to_plain
from agentcomm.acts.frozen import freeze
from agentcomm.acts.message import Message
from agentcomm.acts.units import Quantity
from agentcomm.conversation.events import Cancel, Doubt, Evidence, Input, Join, Leave, Misfire, Reading, Say
from agentcomm.protocol.graph import Act

__all__ = (
    "NAME",
    "UNREADABLE",
    "Unreadable",
    "as_data",
    "clean",
    "is_sound",
    "read",
    "read_again",
    "recorded",
    "sender_of",
)

BYTES = 1_000_000
"""Of JSON in one content; what is longer belongs behind a reference."""
_DEPTH = 32
"""Lists and maps within each other."""
_FAR = 2**62
"""Whole numbers up to which nothing has to be counted."""
_BITS = 1024
"""Of a whole number."""
NAME = 200
"""Characters of an act or an id."""
_SHORT = 1000
"""Characters of a text that need not be measured."""
_MANY = 100
"""Fields of a content that need not be measured."""
_REASON = 300
"""Characters."""

UNREADABLE = f"a message names its act and its id, each in at most {NAME} characters of well-formed text"
_NO_OBJECT = f"the content is no JSON object of finite values, in {_DEPTH} levels and {BYTES:,} bytes at most"


_set_names = vars(BaseModel)["__pydantic_fields_set__"].__set__


class Unreadable(ValueError):
    """What was said cannot be the content of an act."""


def is_sound(message: Message) -> bool:
    """Say whether the envelope is text that can be written down: an act, an id, and what they refer to."""
    act, name = message.act, message.id
    texts = act, name, message.sender, message.in_reply_to, message.made_by, message.lane
    try:
        whole = "".join(texts)
    except TypeError:  # one of them is no text
        return False
    if act and name and len(whole) <= NAME and whole.isascii():
        return True
    return bool(act and name) and all(map(_is_text, texts))


def sender_of(message: Message) -> str:
    """Return who sent an unsound message, as far as that can be said."""
    return message.sender if _is_text(message.sender) else ""


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > NAME:
        return False
    return value.isascii() or clean(value) == value


def clean(text: str) -> str:
    """Return the text without what no encoding can carry."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def read(act: Act, content: Any) -> Content:
    """Return content of the act's class, made anew from what was given, and read only.

    Raises:
        Unreadable: If it does not fit; the text is for the speaker.
    """
    given: Any = content
    if type(given) is not dict:
        given = content.__dict__ if isinstance(content, act.content) else content
    elif not given and not act.fields and act.registered is None:
        return act.empty
    if isinstance(given, dict):
        count = len(given)  # pyright: ignore[reportUnknownArgumentType]
        if count < _MANY:
            try:
                made = act.validate(given)
                values = made.__dict__
                for value in values.values():
                    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
                    if kind is str:
                        if len(value) < _SHORT and value.isascii():
                            continue
                    elif kind is int and -_FAR < value < _FAR:
                        continue
                    if not _is_exact(value):
                        break
                else:
                    if len(values) == count and act.registered is None:
                        _set_names(made, act.names)  # one set for all that say it whole
                    return made
            except Exception:  # noqa: BLE001, S110  (what is wrong with it is found and told below)
                pass
    try:
        _, data = _as_json(content)
        return freeze(act.content.__pydantic_validator__.validate_json(data))
    except Unreadable:
        raise
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)[:5]
        raise Unreadable(_cut("; ".join(map(_in_words, cast("list[Any]", problems))))) from None
    except Exception as error:  # noqa: BLE001  (a registered class may raise anything, and the talk goes on)
        raise Unreadable(_cut(f"content: {error}")) from None


def read_again(act: Act, given: Any) -> Content:
    """Return what `read` does, of content that it made once and that a record has kept: only its class is made anew.

    Raises:
        Unreadable: If it does not fit.
    """
    if given and act.registered is None:
        try:
            made = act.validate(given)
        except ValidationError:
            return read(act, given)
        values = made.__dict__
        if len(values) == len(given) and _SIMPLE.issuperset(map(type, values.values())):
            _set_names(made, act.names)
            return made
    return read(act, given)


_SIMPLE = frozenset({str, int, bool, float})
"""Types of values that are immutable, and that a record gives back as they were."""


def as_data(content: Any) -> dict[str, Any]:
    """Return what was given as content, as JSON data.

    Raises:
        Unreadable: If it is no JSON object.
    """
    return _as_json(content.__dict__ if isinstance(content, Content) else content)[0]


def _is_exact(value: Any) -> bool:
    """Say whether a value is immutable, short, and the same when it is written and read."""
    kind = cast("type[Any]", type(value))
    if kind is int:
        return bool(value.bit_length() <= _BITS)
    if kind is str:
        return len(value) <= _SHORT and (value.isascii() or clean(value) == value)
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is bool


def _as_json(content: Any) -> tuple[dict[str, Any], bytes]:
    """Return a content as JSON data and its bytes; refuse what is no JSON object."""
    try:
        plain = _plain(content, _DEPTH)
        data = msgspec.json.encode(plain)
    except Exception:  # noqa: BLE001  (a map of somebody's own may raise anything)
        raise Unreadable(_NO_OBJECT) from None
    if not isinstance(plain, dict) or len(data) > BYTES:
        raise Unreadable(_NO_OBJECT)
    return cast("dict[str, Any]", plain), data


def _plain(value: Any, depth: int) -> Any:
    """Return a value as JSON data, as `to_plain` does; refuse what JSON has no word for."""
    if _is_exact(value):
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        if clean(text) == text:
            return text
    elif isinstance(value, int | float):
        number = int.__int__(value) if isinstance(value, int) else float.__float__(value)
        if _is_exact(number):
            return number
    elif depth:
        if isinstance(value, Mapping):
            entries = cast("Mapping[Any, Any]", value)
            if all(isinstance(key, str) for key in entries):
                return {_plain(key, 1): _plain(item, depth - 1) for key, item in entries.items()}
        elif isinstance(value, list | tuple):
            return [_plain(item, depth - 1) for item in cast("list[Any]", value)]
        elif isinstance(value, BaseModel | Money | Quantity | Decimal | date | timedelta):
            return _plain(to_plain(value), depth)
    raise Unreadable(_NO_OBJECT)


def _in_words(problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"])) or "content"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {_WORDING.get(problem['type'], text)}"


_WORDING = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this act",
    "model_type": "is a map of fields",
}


def _cut(text: str) -> str:
    return clean(text if len(text) <= _REASON else f"{text[: _REASON - 1]}…")


def recorded(given: Input) -> Input:
    """Return an input as the record holds it; a step does the same with it as with the one that was given."""
    match given:
        case Say():
            at = given.at if math.isfinite(given.at) else -1.0
            return Say(_recorded(given.message), at)
        case Misfire() | Leave():
            return msgspec.structs.replace(
                given, role=clean(given.role), reason=clean(given.reason), lane=clean(given.lane)
            )
        case Evidence():
            return msgspec.structs.replace(
                given,
                about=clean(given.about),
                judge=clean(given.judge),
                missing=tuple(map(clean, given.missing)),
                added=tuple(map(clean, given.added)),
                reason=clean(given.reason),
                lane=clean(given.lane),
            )
        case Doubt():
            return msgspec.structs.replace(
                given,
                role=clean(given.role),
                about=clean(given.about),
                path=clean(given.path),
                readings=tuple(map(_reading, given.readings)),
                lane=clean(given.lane),
            )
        case Join():
            return msgspec.structs.replace(given, member=clean(given.member))
        case Cancel():
            return msgspec.structs.replace(given, by=clean(given.by), reason=clean(given.reason))
        case _:
            return given


def _reading(reading: Reading) -> Reading:
    """Return a reading as JSON data; one that is none, or has no weight that is a number, weighs less than nothing."""
    try:
        value = _as_json({"value": reading.value})[0]["value"]
        weight = float(reading.weight)
    except (Unreadable, OverflowError):
        return Reading(None, -1.0)
    return Reading(value, weight if math.isfinite(weight) and weight >= 0 else -1.0)


def _recorded(message: Message) -> Message:
    try:
        content, _ = _as_json(message.content)
    except Unreadable:
        content = None
    if is_sound(message):
        return msgspec.structs.replace(message, content=content, receivers=(), about="")
    return Message(act="", sender=sender_of(message), content=content)
