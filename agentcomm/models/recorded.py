"""Replay what a model once answered, found by what it was asked; record what is new, where that is wanted.

A cassette is a file of JSON lines, one exchange each: `key, model, request, reply` or `key, model, request, error`. The key is a
hash of the whole request, so an answer is never given to another question: a prompt that changed by a letter is a miss, and
a miss is told with what differs from the nearest question that is there.
"""

import asyncio
import hashlib
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import msgspec

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    InputError,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
)
from agentcomm.models.base import Capabilities, Model, ModelReply, ModelRequest

__all__ = ("Exchange", "RecordedModel", "request_key")

RECORDED_ERRORS: dict[str, type[EdgeError]] = {
    kind.code: kind for kind in (ModelBroken, ModelRefused, ContextOverflow, ModelTimeout)
}
"""What a model or its server said of this question; that nobody was there is not an answer."""

SHOWN = 60
"""Characters of a difference that are shown."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a cassette."""

    key: str
    model: str
    """The string of the model that answered."""
    judges: bool = True
    """Whether it was one that judges."""
    request: ModelRequest
    reply: ModelReply | None = None
    error: dict[str, str] | None = None


def request_key(request: ModelRequest) -> str:
    """Return the hash of everything that may change an answer."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()


class RecordedModel:
    """Answers from a cassette.

    Args:
        path: The cassette.
        inner: Asked for what is not there, and its answer is added; without it, a miss is an error.
    """

    def __init__(self, path: str | Path, inner: Model | None = None) -> None:
        self._path = Path(path)
        self._inner = inner
        self._given = inner.name if inner is not None else ""
        self._cassette: _Cassette | None = None
        if inner is None:
            self._cassette = self._open()
            if not self._cassette.exchanges:
                raise InputError(
                    "the cassette is empty or not there",
                    why="without a model there is nobody to ask",
                    fix=f"record it with recorded:{path}#ollama:NAME",
                    where=str(path),
                )

    @property
    def name(self) -> str:
        """`recorded:PATH`, with `#` and the model's string where new answers are recorded."""
        return f"recorded:{self._path}" + (f"#{self._given}" if self._given else "")

    @property
    def provider(self) -> str:
        """`recorded`."""
        return "recorded"

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model asked for what is new, or of the one that was recorded."""
        if self._inner is not None:
            return self._inner.capabilities
        judges = all(one.judges for one in self._open().exchanges.values())
        return Capabilities(judges=judges, note="says what was recorded")

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return what was recorded for this request, else ask and record.

        Raises:
            ModelBroken: It was not recorded, and there is nobody to ask; or the answer recorded was none.
            EdgeError: Whatever the model raises, now or when it was recorded.
        """
        cassette = self._open()
        key = request_key(request)
        async with cassette.lock_of(key):  # two who ask the same at the same time get the same
            found = cassette.exchanges.get(key)
            if found is None:
                found = await self._ask(cassette, key, request)
        if found.reply is not None:
            return msgspec.structs.replace(found.reply, seconds=0.0, waited=0.0, transport_retries=0)
        raise _recorded_error(found.error or {})

    async def close(self) -> None:
        """Close the model that is asked for what is new."""
        if self._inner is not None:
            await self._inner.close()

    def _open(self) -> "_Cassette":
        if self._cassette is None:
            self._cassette = _cassette(self._path)
        return self._cassette

    async def _ask(self, cassette: "_Cassette", key: str, request: ModelRequest) -> Exchange:
        if self._inner is None:
            raise ModelBroken(
                "this was not asked when the cassette was recorded",
                why=_difference(request, cassette),
                fix=f"record it anew with recorded:{self._path}#ollama:NAME, or look why the conversation took another turn",
                where=str(self._path),
            )
        fields: dict[str, Any] = {
            "key": key,
            "model": self._inner.name,
            "judges": self._inner.capabilities.judges,
            "request": request,
        }
        try:
            reply = await self._inner.reply(request)
        except EdgeError as error:
            if error.code not in RECORDED_ERRORS:
                raise
            cassette.add(Exchange(**fields, error=error.as_dict()))
            raise
        exchange = Exchange(**fields, reply=reply)
        cassette.add(exchange)
        return exchange


class _Cassette:
    """A file of exchanges; whoever names the same file in this process shares it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exchanges: dict[str, Exchange] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def lock_of(self, key: str) -> asyncio.Lock:
        if key in self.exchanges:
            return asyncio.Lock()
        return self._locks.setdefault(key, asyncio.Lock())

    def add(self, exchange: Exchange) -> None:
        """Write an exchange at the end, in one piece.

        Raises:
            InputError: It cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(exchange) + b"\n")
        except OSError as error:
            raise InputError(
                "the cassette cannot be written",
                why=(error.strerror or str(error)).lower(),
                fix="name a file that can be written: recorded:PATH#ollama:NAME",
                where=str(self.path),
            ) from error
        self.exchanges.setdefault(exchange.key, exchange)
        self._locks.pop(exchange.key, None)


_cassettes: dict[Path, _Cassette] = {}


def _cassette(path: Path) -> _Cassette:
    """Return a cassette, read anew if its file is another one or was changed by somebody else."""
    place = path.resolve()
    try:
        lines = place.read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise InputError(
            "the cassette cannot be read",
            why=(error.strerror or str(error)).lower(),
            fix="check the path: recorded:PATH",
            where=str(path),
        ) from error
    cassette = _cassettes.setdefault(place, _Cassette(place))
    cassette.exchanges.clear()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            exchange = msgspec.json.decode(line, type=Exchange)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InputError(
                "this line of the cassette is no exchange",
                why=str(error),
                fix="take the line out, or record the cassette anew",
                where=f"{path}:{number}",
            ) from error
        if exchange.key != request_key(exchange.request):
            raise InputError(
                "the key of this exchange is not that of its request",
                why="the request was edited, or recorded by a version whose requests had other fields",
                fix="record the cassette anew",
                where=f"{path}:{number}",
            )
        cassette.exchanges.setdefault(exchange.key, exchange)
    return cassette


def _recorded_error(words: dict[str, str]) -> EdgeError:
    kind = RECORDED_ERRORS.get(words.get("code", ""), ModelBroken)
    return kind(
        words.get("what", "the answer recorded was none"),
        why=words.get("why", ""),
        fix=words.get("fix", ""),
        where=words.get("where", ""),
    )


def _difference(request: ModelRequest, cassette: _Cassette) -> str:
    """Say where a request first differs from the one most like it."""
    asked = _text(request)
    nearest, most = None, -1.0
    for exchange in cassette.exchanges.values():
        likeness = SequenceMatcher(None, asked[-4000:], _text(exchange.request)[-4000:]).quick_ratio()
        if likeness > most:
            nearest, most = exchange.request, likeness
    if nearest is None:
        return "the cassette is empty"
    other = _text(nearest)
    at = next((n for n, (a, b) in enumerate(zip(asked, other, strict=False)) if a != b), None)
    if at is None and len(asked) == len(other):
        given, kept = msgspec.structs.asdict(request), msgspec.structs.asdict(nearest)
        names = [name for name in given if given[name] != kept[name]]
        return f"the words are the same, but not {', '.join(names)}"
    at = min(len(asked), len(other)) if at is None else at
    begin = max(0, at - 20)
    return f"asked is {asked[begin : at + SHOWN]!r}, the nearest recorded is {other[begin : at + SHOWN]!r}"


def _text(request: ModelRequest) -> str:
    return "\n".join(message.content for message in request.messages)
