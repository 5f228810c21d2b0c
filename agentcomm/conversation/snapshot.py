"""Where a conversation stands, as bytes: a cache, so that taking it up need not begin at its first message.

What grows with a talk is left out: of the messages only the latest are in it, of the commitments that have ended only a few. They are
taken from the record when somebody asks for them. What does not come back as it was gives no snapshot.
"""

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar, cast, get_args

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import Content, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import entries
from agentcomm.commitments.ledger import Commitment, Ledger
from agentcomm.conversation.parts import Frame, GatherTurn, Key, Lanes, Position, Said, Shared
from agentcomm.conversation.reading import read
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.tape import Step
from agentcomm.conversation.transcript import dump
from agentcomm.errors import RecordError
from agentcomm.protocol.graph import Act
from agentcomm.version import VERSION

__all__ = ("Kept", "Later", "restored", "taken")

K = TypeVar("K")
T = TypeVar("T")

_LATEST = 16
"""Messages, and commitments that have ended, that are kept in full."""
_ODD = 4096
"""Messages whose ids do not follow from their places; with more, a snapshot is not worth it."""
_replace = msgspec.structs.replace


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot holds."""

    form: str
    """Of the values; another version of the program has another one."""
    rules: str
    seq: int
    """Place of the last entry that is in it."""
    link: bytes
    """What chains the next entry to it."""
    members: tuple[str, ...]
    whole: float
    shared: Shared
    here: Position
    checkpoints: tuple[Position, ...]
    lanes: Lanes
    latest: tuple[tuple[Key, tuple[int, Message]], ...]
    """Messages said last, oldest first; those of overlays are not among them."""
    odd: tuple[Key, ...]
    """Keys of messages that are not their places."""
    steps: tuple[Step, ...]
    """What was done within turns that go on."""


class _Head(msgspec.Struct, frozen=True, array_like=True):
    form: str
    rules: str


class Later(dict[K, tuple[int, T]]):
    """A record of which the newest entries are there, and the others once somebody needs them.

    Args:
        known: Some of the newest entries.
        count: Entries in all.
        may_have: Says whether one of the others may have a key.
        load: Returns all entries.
    """

    def __init__(
        self,
        known: Mapping[K, tuple[int, T]],
        count: int,
        may_have: Callable[[Any], bool],
        load: Callable[[], dict[K, tuple[int, T]]],
    ) -> None:
        super().__init__(known)
        self._count = count
        self._missing = count - len(known)
        self._may_have = may_have
        self._load = load

    def _all(self) -> None:
        if self._missing:
            newer = {key: entry for key, entry in super().items() if entry[0] > self._count}
            every = self._load()
            super().clear()
            super().update({key: entry for key, entry in every.items() if entry[0] <= self._count})
            super().update(newer)
            self._missing = 0

    def _for(self, key: object) -> None:
        if self._missing and not super().__contains__(key) and self._may_have(key):
            self._all()

    def get(self, key: K, default: Any = None, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return an entry."""
        self._for(key)
        return super().get(key, default)

    def __getitem__(self, key: K) -> tuple[int, T]:
        self._for(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._for(key)
        return super().__contains__(key)

    def __len__(self) -> int:
        return self._missing + super().__len__()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __eq__(self, other: object) -> bool:
        self._all()
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[K]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[K]:
        self._all()
        return super().__reversed__()

    def keys(self) -> KeysView[K]:  # type: ignore[override]
        """Return all keys."""
        self._all()
        return super().keys()

    def values(self) -> ValuesView[tuple[int, T]]:  # type: ignore[override]
        """Return all entries."""
        self._all()
        return super().values()

    def items(self) -> ItemsView[K, tuple[int, T]]:  # type: ignore[override]
        """Return all keys and entries."""
        self._all()
        return super().items()

    def copy(self) -> dict[K, tuple[int, T]]:
        """Return a plain dict of all of it."""
        return dict(self.items())


def taken(
    conversation: Conversation,
    seq: int,
    link: bytes,
    steps: tuple[Step, ...] = (),
    known: "Kept | None" = None,
) -> tuple[bytes, Kept] | None:
    """Return a snapshot, and what is in it; None if it would not come back as it is.

    Args:
        conversation: Where it stands.
        seq: Place of the last entry that is in it.
        link: What chains the next entry to that.
        steps: What was done within turns that go on.
        known: The snapshot before, which saves looking at what is in it.
    """
    shared, count = conversation.shared, conversation.shared.n
    odd = list(known.odd) if known is not None else []
    before = known.shared.n if known is not None else 0
    newest = _newest(shared.seen, count, max(_LATEST, count - before))
    odd += [key for key, (place, _) in newest if place > before and key != place]
    if len(odd) > _ODD:
        return None
    acts = _acts(conversation.rules)
    kept = Kept(
        _form(),
        conversation.rules.protocol.hash,
        seq,
        link,
        conversation.members,
        conversation.whole,
        _slim(_replace(shared, seen={}, trunk=_short(shared.trunk) if shared.trunk is not None else None)),
        _slim(conversation.here),
        tuple(map(_slim, conversation.checkpoints)),
        _slim(conversation.lanes),
        tuple(one for one in newest[-_LATEST:] if type(one[1][1].content) in acts),
        tuple(odd),
        tuple(Step(one.type, _as_read(one.data), _as_read(one.body)) for one in steps),
    )
    try:
        text = msgspec.msgpack.encode(kept, enc_hook=_Out(acts))
        if _decoded(text, acts) != kept:
            return None
    except (TypeError, ValueError, OverflowError, RecursionError, KeyError):
        return None
    return sha256(text).digest() + text, kept


def restored(
    data: bytes,
    rules: Rules,
    conversation_id: str,
    load: Callable[[], Conversation],
    heard: Callable[[], dict[Key, tuple[int, Message]] | None] = lambda: None,
) -> tuple[Conversation, Kept]:
    """Return the conversation of a snapshot.

    Args:
        data: The snapshot.
        rules: Of the conversation.
        conversation_id: Its id.
        load: Returns the conversation as it stood then, from its record.
        heard: Returns its messages alone, which is faster; None if they are to be taken from the conversation.

    Raises:
        RecordError: If it does not fit: it is damaged, or of another version or protocol.
    """
    text = data[32:]
    if sha256(text).digest() != data[:32]:
        raise _misfit("it was changed")
    try:
        if msgspec.msgpack.decode(text, type=_Head) != _Head(_form(), rules.protocol.hash):
            raise _misfit("it is of another version, or of another protocol")
        kept = _decoded(text, _acts(rules))
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise _misfit(str(error)) from None
    whole = _Once(load)
    odd, count = frozenset(kept.odd), kept.shared.n

    def may_have(key: Any) -> bool:
        return key in odd or (type(key) is int and 0 < key <= count)

    def every() -> dict[Key, tuple[int, Message]]:
        found = heard() if not odd else None
        return found if found is not None and len(found) == count else whole().shared.seen

    seen = dict(kept.latest)
    if len(seen) < count:
        seen = Later(seen, count, may_have, every)
    trunk = kept.shared.trunk
    shared = _replace(
        kept.shared,
        seen=seen,
        trunk=trunk and _long(trunk, lambda: cast("Ledger", whole().shared.trunk)),
    )
    here = _grown(kept.here, lambda: whole().here)
    checkpoints = tuple(
        _grown(one, lambda n=n: whole().checkpoints[n]) for n, one in enumerate(kept.checkpoints)
    )
    lanes = kept.lanes
    for name in lanes:
        at, before = lanes.at(name)
        if at.ledger.count > len(at.ledger.ended) or any(
            b.ledger.count > len(b.ledger.ended) for b in before
        ):
            at = _grown(at, lambda name=name: whole().lanes.at(name)[0])
            before = tuple(
                _grown(one, lambda name=name, n=n: whole().lanes.at(name)[1][n])
                for n, one in enumerate(before)
            )
            lanes = lanes.put(name, at, before, lanes.living, lanes.away)
    made = Conversation(rules, conversation_id, kept.whole, kept.members, shared, here, checkpoints, lanes)
    return made, kept


class _Once:
    def __init__(self, load: Callable[[], Conversation]) -> None:
        self._load = load
        self._made: Conversation | None = None

    def __call__(self) -> Conversation:
        if self._made is None:
            self._made = self._load()
        return self._made


def _newest(
    record: dict[Key, tuple[int, Message]], count: int, most: int
) -> list[tuple[Key, tuple[int, Message]]]:
    """Return the newest of the first `count` entries of a record, oldest first, as far as they are there."""
    raw = cast("Any", dict).items  # of a `Later`, what is there already
    there: Iterator[Any] = islice(reversed(raw(record)), most + len(record) - count)
    return [(key, entry) for key, entry in there if entry[0] <= count][::-1]


def _short(ledger: Ledger) -> Ledger:
    few = dict[int, tuple[int, Commitment]]()
    if ledger.count <= _LATEST:
        few = {key: (n, one) for n, (key, one) in enumerate(entries(ledger.ended, ledger.count), 1)}
    return _replace(ledger, ended=few)


def _long(ledger: Ledger, load: Callable[[], Ledger]) -> Ledger:
    if ledger.count <= len(ledger.ended):
        return ledger

    def every() -> dict[int, tuple[int, Commitment]]:
        found = load()
        return {key: (n, one) for n, (key, one) in enumerate(entries(found.ended, found.count), 1)}

    return _replace(ledger, ended=Later({}, ledger.count, lambda _: True, every))


def _grown(here: Position, load: Callable[[], Position]) -> Position:
    ledger = _long(here.ledger, lambda: load().ledger)
    return here if ledger is here.ledger else _replace(here, ledger=ledger)


def _slim(value: T) -> T:
    """Return a part of a conversation with plain maps, and without what grows."""
    kind = type(value)
    if kind in _PARTS:
        changes = {}
        for name in cast("Any", value).__struct_fields__:
            was = getattr(value, name)
            now = _short(was) if type(was) is Ledger else _slim(was)
            if now is not was:
                changes[name] = now
        return _replace(cast("Any", value), **changes) if changes else value
    if kind is HashTrieMap:
        return cast("T", {key: _slim(item) for key, item in cast("Any", value).items()})
    if kind is dict:
        made = {key: _slim(item) for key, item in cast("dict[str, Any]", value).items()}
        return cast("T", made)
    if kind is tuple:
        return cast("T", tuple(map(_slim, cast("tuple[Any, ...]", value))))
    return value


_PARTS = frozenset({Shared, Position, Frame, GatherTurn, Lanes, Said})


def _as_read(value: Any) -> Any:
    """Return JSON data as it comes back from the record."""
    return msgspec.json.decode(dump(value))


class _Out:
    """Writes contents as the act they belong to and their data."""

    def __init__(self, acts: dict[Any, tuple[str, Act]]) -> None:
        self._acts = acts

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Content):
            return msgspec.msgpack.Ext(
                1, msgspec.msgpack.encode((self._acts[type(value)][0], to_plain(value)))
            )
        raise TypeError(f"{type(value).__name__} is not in snapshots")


def _decoded(text: bytes, acts: dict[Any, tuple[str, Act]]) -> Kept:
    by_name = dict(acts.values())

    def inside(_code: int, data: memoryview) -> Any:
        name, plain = msgspec.msgpack.decode(data)
        return read(by_name[name], plain)

    return msgspec.msgpack.decode(text, type=Kept, ext_hook=inside)


def _acts(rules: Rules) -> dict[Any, tuple[str, Act]]:
    """Return class of content -> name of its act, and the act."""
    found = rules.kept.get("acts of contents")
    if found is None:
        found = rules.kept["acts of contents"] = {
            act.content: (f"{place}/{label}", act)
            for place, protocol in (("", rules.protocol), *rules.overlays.items())
            for label, act in protocol.acts.items()
        }
    return cast("dict[Any, tuple[str, Act]]", found)


_shapes: list[str] = []


def _form() -> str:
    """Return what says whether values of then are values of now: the version, and the fields of all of them."""
    if not _shapes:
        told = [VERSION, repr([(one.name, one.encode_name, one.type) for one in _fields(Kept)])]
        _shapes.append(sha256("|".join(told).encode()).hexdigest()[:16])
    return _shapes[0]


def _fields(kind: Any) -> Iterator[Any]:
    """Yield the fields of a struct, and of those within it."""
    known: set[Any] = set()
    waiting: list[Any] = [kind]
    while waiting:
        one = waiting.pop()
        if one in known:
            continue
        known.add(one)
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            found = msgspec.structs.fields(one)
            yield from found
            waiting += [field.type for field in found]
        else:
            waiting += get_args(one)


def _misfit(why: str) -> RecordError:
    return RecordError(
        "a snapshot does not fit its conversation",
        why=why,
        fix="nothing: the record is read from its beginning",
    )
