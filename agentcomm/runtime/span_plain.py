"""Draw the plainest turn: a message was heard, one was said by code, and nothing else happened.

Such turns are most of all turns, and of one kind they differ in a few attributes only. The first of a kind is drawn as any other; what
it shares with those that follow is kept as bytes, and they cost a tenth.
"""

import struct
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import CommitmentChanged, DeadlineSet, Ended, Event, Grounded, Heard, Moved
from agentcomm.runtime.span_message import SCALARS, Parcel
from agentcomm.runtime.span_notes import LateTurn, TurnNotes
from agentcomm.tracing import names
from agentcomm.tracing.content import sorted_json
from agentcomm.tracing.protobuf import (
    END_TAG,
    ODD,
    PLACE_BYTES,
    PLACE_TAG,
    SPAN_AT,
    START_TAG,
    STRIDE,
    Base,
    Hole,
    Place,
    Stencil,
    child_of,
    field,
    parent_field,
)

if TYPE_CHECKING:
    from agentcomm.runtime.spans import ConversationSpans

__all__ = ("Kind", "PlainTurns")

_PLAIN: frozenset[type[Event]] = frozenset({Moved, Grounded, CommitmentChanged, DeadlineSet, Ended})

_SHARED = 1
_FIELDS = {names.TURN_INDEX: 2, names.MESSAGING_SIZE: 3}
_TEXTS = {
    names.TURN_ID: 4,
    names.MESSAGING_ID: 5,
    names.IN_REPLY_TO: 6,
    names.CONTENT_HASH: 7,
    names.OI_OUTPUT: 8,
    names.OI_INPUT: 9,
}
"""What differs among turns of a kind, and which of the values it is that a turn tells; the first are its head and what is shared."""
_ALL = list(range(12))
"""The last are where its link leads, and the message there."""
_HEADS = 18
"""Where those of steps alone begin: before come what they share, two, and of what was heard its bytes, what it replies to, its hash and how
late it is; then their heads."""
_OF_SENT = [-1, 12, 2, 3, 4, 5, 6, 7, -1, 13]
_OF_HEARD = [-1, 12, 2, 14, 4, 6, 15, 16, 17, 13]
"""Where the values of a step are, for a message that was said or heard; by place in `_FIELDS`, `_TEXTS` and `_OF_STEPS`."""
_OF_STEPS = {names.LATENCY: 8, names.MESSAGING_CONVERSATION: 9}
"""Fields that only steps have, which show nothing in words."""
_LINK = {names.LINK_RELATION: "trigger"}
_HASH = "sha256:"
_SHOWN = 12
"""Digits of a hash that stand for the content in words."""
_MOST_KINDS = 512
_MOST_FORMS = 256
_TOGETHER = 64
"""Spans that are made one piece of bytes: of about 100 KB, for which the system need not be asked for memory each time."""
_MOST_NUMBERS = 4096


class _Numbers(dict[int, bytes]):
    """Number -> it, as a field of a span; the small ones are kept."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, number: int) -> bytes:
        made = field(self._name, number)
        if number < _MOST_NUMBERS:
            self[number] = made
        return made


_INDEXES, _BYTES = _Numbers(names.TURN_INDEX), _Numbers(names.MESSAGING_SIZE)
_LATENCY = field(names.LATENCY, 0.0)[:-8]
_DOUBLE = struct.Struct("<d").pack

_SHA = sha256()
_HEAD = struct.Struct("<HI18sIBQBQ").pack
_TIMES = struct.Struct("<BQBQ").pack
_BITS, _WHOLE = (1 << 32) - 1, (1 << 64) - 1
_encoded = msgspec.json.Encoder(order="sorted").encode


def _is_scalar(content: type[Any]) -> bool:
    """Say whether all fields of a class that was made from a protocol's own types are JSON data as they are."""
    fields: Mapping[str, Any] = getattr(content, "__pydantic_fields__", {})
    return all(one.annotation in SCALARS for one in fields.values())


_Values = tuple[bytes, ...]


class _Drawn(msgspec.Struct):
    """What a turn of a kind draws: its steps, and itself."""

    stencils: tuple[Stencil, ...]
    counts: tuple[int, ...]
    """How many values each takes."""
    forms: dict[Any, list[bytes]] = msgspec.field(default_factory=dict[Any, list[bytes]])

    def form(self, lengths: Any, values: _Values) -> list[bytes]:
        """Return the pieces of all its spans, in one, as `Stencil.form` does; kept for others of the same lengths."""
        found, at = [b""], 0
        for stencil, count in zip(self.stencils, self.counts, strict=True):
            first, *more = stencil.form(values[at : at + count])
            found[-1] += first
            found += more
            at += count
        if len(self.forms) >= _MOST_FORMS:
            self.forms.clear()
        self.forms[lengths] = found
        return found


class Kind(msgspec.Struct):
    """How a kind of turns is known, and what they share."""

    shape: tuple[type[Event], ...]
    move: int
    """Which event is the move."""
    ground: int
    """Which event is the grounding; 0 if none is."""
    is_own: bool
    """Whether what was said is grounded, else what was heard."""
    criterion: str
    evidence: tuple[str, ...]
    fields: tuple[str, ...]
    """Those of the grounding."""
    receivers: tuple[str, ...]
    heard_by: tuple[str, ...]
    is_reply: bool
    """Whether what was heard replies to something."""
    model: str
    steps: tuple[int, ...]
    """Nanoseconds of each step after what happened; -1 for what happens when the turn begins."""
    sends: int
    """The number of the step that sends; 0 where the turn is one span."""
    hot: tuple[tuple[int, ...], str, type | None, Callable[[_Values], _Values] | None, _Drawn, str]
    """What each turn needs: its steps; the agent; the class of what is said, where its fields are texts, numbers and truth values, which are
    JSON data as they are; what takes its values, None where that is all of them; what is drawn; who alone is told, empty if several are."""
    then: dict[Any, Any] = msgspec.field(default_factory=dict[Any, Any])
    """Plan -> the kind of turn that answers this one by it."""


class PlainTurns:
    """The plain turns of one conversation.

    Args:
        talk: The conversation.
        kinds: Their kinds, of all conversations with its protocol and cast.
        put: Takes the bytes of spans, and how many they are.
    """

    __slots__ = (
        "_is_bare",
        "_kinds",
        "_prefix",
        "_put",
        "_shared",
        "_shares",
        "_state",
        "_talk",
    )

    def __init__(
        self, talk: "ConversationSpans", kinds: dict[Any, Any], put: Callable[[bytes, int], None]
    ) -> None:
        facts, under = talk.facts, talk.under
        self._talk, self._kinds, self._put = talk, kinds, put
        self._is_bare = facts.content.is_hashed and not facts.content.redactors
        """Whether the hash of what was said is that of the content as it is."""
        self._state = talk.opening[PLACE_BYTES:]
        shared = facts.base.encoded
        self._shared = self._state + (b"" if under is None else parent_field(under)) + shared
        self._shares = shared, field(names.MESSAGING_CONVERSATION, facts.id)
        """What its spans share: turns, and steps."""
        self._prefix = f"{facts.id}/".encode()

    def run(self, note: "LateTurn | TurnNotes", rest: "Iterator[LateTurn | TurnNotes]") -> "TurnNotes | None":
        """Draw turns as long as their kinds are known; return the first whose is not, or None.

        It is one long function: most of what a span costs else are calls.

        Args:
            note: The first turn.
            rest: Those that follow it.
        """
        talk, prefix, shared, state = self._talk, self._prefix, self._shared, self._state
        pieces, drawn = list[bytes](), 0
        inbox, indexes, facts, is_bare = talk.inbox, talk.indexes, talk.facts, self._is_bare
        seed, step, fixed = talk.places.seed, talk.places.step, talk.places.fixed
        if talk.repair or talk.timed_out:
            return note.whole() if isinstance(note, LateTurn) else note
        turn, place, length = talk.turns, talk.latest, len(shared)
        heard: Message | None = None
        """What was said last, where one alone was told it; and what spans show of it."""
        before: Kind | None = None
        hearer, there, irt, at, size, digest, shown = "", b"", b"", 0, 0, b"", b""
        one: Any = note
        try:
            while one is not None:
                if heard is None or one.role != hearer:
                    if heard is not None:
                        inbox[hearer] = [Parcel(facts, heard, there, at, None, size, digest)]
                        heard = None
                    waiting = inbox.get(one.role)
                    if not waiting or len(waiting) > 1 or waiting[0].place is None:
                        break
                    hearer, parcel, before = one.role, waiting[0], None
                    del inbox[hearer]
                    heard, there, at = parcel.message, parcel.place, parcel.at
                    size, digest = parcel.size, parcel.digest
                    shown = digest[:_SHOWN]
                    irt = heard.id.encode("utf-8", "replace")
                if type(one) is LateTurn:
                    told: Any = one.told
                    plan, message, ended = told.plan, told.message, one.at
                    kind = None if before is None else before.then.get(plan)
                    if kind is None or kind.model != one.model:
                        kind = self._kinds.get((plan, heard.act, heard.sender, one.model))
                        if kind is None:
                            break
                        if before is not None:
                            before.then[plan] = kind
                else:
                    first: Any = one.events[0] if one.events and not one.is_odd else None
                    if type(first) is not Heard or first.overlay:
                        break
                    message, ended = first.message, one.ended
                    kind = self._alike(one, heard, message)
                    if kind is None:
                        break
                if message.in_reply_to != heard.id or message.lane:
                    break
                steps, agent, typed, take, spans, told_to = kind.hot
                if steps and (
                    kind.heard_by != heard.receivers or kind.is_reply is not (heard.in_reply_to != "")
                ):
                    break

                turn += 1
                begun, content = one.begun, message.content
                if ended < begun:  # noqa: PLR1730  (a call costs more)
                    ended = begun
                index = indexes[agent] = indexes.get(agent, 0) + 1
                span = (seed + turn * ODD) & _BITS
                trace = span if step else seed
                head = _HEAD(PLACE_TAG, trace, fixed, span, START_TAG, begun, END_TAG, ended)
                place = head[:PLACE_BYTES] + state
                name, tid, number = (
                    message.id.encode("utf-8", "replace"),
                    b"%b%d" % (prefix, turn),
                    _INDEXES[index],
                )
                was, short = (at, size, digest) if steps else None, shown
                if is_bare and type(content) is typed:
                    try:
                        body = _encoded(content.__dict__)
                    except ValueError:  # half a surrogate pair
                        body = sorted_json(content.__dict__)
                    size = len(body)
                    hashed = _SHA.copy()
                    hashed.update(body)
                    digest = hashed.hexdigest().encode()
                else:
                    parcel = Parcel(facts, message, place, 0)
                    size, digest = parcel.size, parcel.digest
                at, count, shown = one.at, _BYTES[size], digest[:_SHOWN]
                values = head, shared, number, count, tid, name, irt, digest, shown, short, there, irt
                lengths = length, len(name), len(irt), len(tid), len(number), len(count), len(there)
                if was is not None:
                    more = self._of_steps(steps, begun, at, heard, was, place)
                    values, lengths = (*values, *more), (*lengths, len(more[2]), len(more[3]))
                    drawn += len(steps)
                if take is not None:
                    values = take(values)
                form = spans.forms.get(lengths) or spans.form(lengths, values)
                form[1::2] = values
                pieces += form
                drawn += 1
                if drawn >= _TOGETHER:
                    self._put(b"".join(pieces), drawn)
                    pieces, drawn = [], 0

                there = child_of(place, kind.sends) if steps else place
                if told_to and told_to not in inbox:
                    hearer, heard, before, irt = told_to, message, kind, name
                else:
                    heard, sent = None, Parcel(facts, message, there, at, None, size, digest)
                    for each in message.receivers:
                        inbox.setdefault(each, []).append(sent)
                one = next(rest, None)
        finally:  # of what cannot be drawn, only that is lost
            if drawn:
                self._put(b"".join(pieces), drawn)
            if heard is not None:
                inbox[hearer] = [Parcel(facts, heard, there, at, None, size, digest)]
            talk.turns, talk.latest = turn, place
        return one.whole() if isinstance(one, LateTurn) else one

    def _alike(self, note: "TurnNotes", asked: Message, message: Message) -> Kind | None:
        """Return the kind of a turn that is told by its events."""
        events: Any = note.events
        kinds = self._kinds.get(
            (note.place, note.role, message.act, note.after, asked.act, asked.sender, note.model)
        )
        if kinds is None or message.lane:
            return None
        shape = (*map(type, events),)
        for kind in kinds:
            if kind.shape != shape or kind.receivers != message.receivers:
                continue
            if events[kind.move].message != message.id:
                continue
            if not kind.ground:
                return kind
            said = events[kind.ground]
            if (
                said.message == (message.id if kind.is_own else asked.id)
                and said.criterion == kind.criterion
                and said.evidence == kind.evidence
                and (*said.fields,) == kind.fields
            ):
                return kind
        return None

    def _of_steps(
        self,
        steps: tuple[int, ...],
        begun: int,
        at: int,
        heard: Message,
        was: tuple[int, int, bytes],
        place: Place,
    ) -> _Values:
        """Return the values of a turn's steps that are not the turn's own, from the 12th on.

        Args:
            steps: When they are.
            begun: When the turn began.
            at: When what happened did.
            heard: What it answers.
            was: When that was said, its bytes, and its hash.
            place: Where the turn is.
        """
        said, size, digest = was
        trace, first = place[:SPAN_AT], int.from_bytes(place[SPAN_AT:PLACE_BYTES])
        mine, heads = self._state + parent_field(place), list[bytes]()
        for n, after in enumerate(steps, 1):
            then = begun if after < 0 else at + after
            span = (first + STRIDE * n & _WHOLE or 1).to_bytes(8)
            heads.append(trace + span + mine + _TIMES(START_TAG, then, END_TAG, then))
        late = _LATENCY + _DOUBLE(max(0, begun - said) / 1e9)
        replied = heard.in_reply_to.encode("utf-8", "replace")
        return *self._shares, _BYTES[size], replied, digest, late, *heads

    @contextmanager
    def learning(self, notes: "TurnNotes") -> Generator[None]:
        """Keep what is drawn of a turn until the block ends, and what it shares with others of its kind, if it is a plain one."""
        talk = self._talk
        waiting = talk.inbox.get(notes.role, ())
        if (
            len(self._kinds) >= _MOST_KINDS
            or len(waiting) != 1
            or waiting[0].place is None
            or notes.is_odd
            or talk.repair
            or talk.timed_out
        ):
            yield
            return
        tracer: Any = talk.tracer
        make, drawn = tracer.make, list[Any]()

        def both(*told: Any) -> None:
            drawn.append(told)
            make(*told)

        tracer.make = both
        try:
            yield
        finally:
            tracer.make = make
        if drawn and all(told[-1] is None for told in drawn):
            self._learn(notes, waiting[0], drawn)

    def _learn(self, notes: "TurnNotes", heard: Parcel, drawn: list[Any]) -> None:
        facts = self._talk.facts
        events: Any = notes.events or ()
        shape = (*map(type, events),)
        if shape[:1] != (Heard,) or not _PLAIN.issuperset(shape[1:]):
            return
        message, asked = events[0].message, heard.message
        grounded, moved = shape.count(Grounded), shape.count(Moved)
        if grounded > 1 or moved != 1 or message.lane or events[0].overlay or message.in_reply_to != asked.id:
            return
        ground, move = (shape.index(Grounded) if grounded else 0), shape.index(Moved)
        said = events[ground]
        if events[move].message != message.id or (ground and said.message not in {message.id, asked.id}):
            return
        act = facts.protocol.acts.get(message.act)
        stencils, places, afters = list[Stencil](), list[list[int]](), list[int]()
        sends = 0
        for number, (name, _, _, bases, attributes, _, kind, start, _, _) in enumerate(drawn, 1):
            whole: dict[str, Any] = {}
            for base in bases:
                whole |= base.attributes
            whole |= attributes
            is_root = number == len(drawn)
            operation = name.partition(" ")[0]
            sends = number if operation == names.SEND else sends
            is_heard = whole.get(names.MESSAGING_ID) != message.id
            after = -1 if operation == names.RECEIVE else start - notes.at
            stencil, taken = self._stencil(name, whole, kind, heard, is_root=is_root)
            if not is_root:
                of = _OF_HEARD if is_heard else _OF_SENT
                taken = [_HEADS + number - 1, *(of[one] for one in taken[1:])]
                afters.append(after)
            stencils.append(stencil)
            places.append(taken)
        taken = [at for each in places for at in each]
        typed = act.content if act is not None and act.registered is None else None
        kind = Kind(
            shape=shape,
            move=move,
            ground=ground,
            is_own=ground > 0 and said.message == message.id,
            criterion=said.criterion if ground else "",
            evidence=said.evidence if ground else (),
            fields=(*said.fields,) if ground else (),
            receivers=message.receivers,
            heard_by=asked.receivers,
            is_reply=asked.in_reply_to != "",
            model=notes.model,
            steps=tuple(afters),
            sends=sends,
            hot=(
                tuple(afters),
                facts.agent(notes.role),
                typed if typed is not None and _is_scalar(typed) else None,
                None if taken == _ALL else itemgetter(*taken),
                _Drawn(tuple(stencils), tuple(map(len, places))),
                message.receivers[0] if len(message.receivers) == 1 else "",
            ),
        )
        if notes.plan is not None:
            self._kinds[notes.plan, asked.act, asked.sender, notes.model] = kind
        else:
            key = notes.place, notes.role, message.act, notes.after, asked.act, asked.sender, notes.model
            self._kinds.setdefault(key, []).append(kind)

    def _stencil(
        self, name: str, whole: dict[str, Any], kind: int, heard: Parcel, *, is_root: bool
    ) -> tuple[Stencil, list[int]]:
        """Return what draws a span with such attributes, and where its values are among those of a turn, or of `_OF_SENT`."""
        shown = {
            names.OI_OUTPUT: whole.get(names.CONTENT_HASH, "")[: len(_HASH) + _SHOWN] + ")",
            names.OI_INPUT: f"{_HASH}{heard.digest[:_SHOWN].decode()})",
        }
        holes, taken = [Hole()], [_SHARED]
        fields = _FIELDS if is_root else _FIELDS | _OF_STEPS
        for one, at in fields.items():
            if one in whole:
                holes.append(Hole())
                taken.append(at)
        left = {*self._talk.facts.base.attributes, *fields}
        for one, at in _TEXTS.items():
            end = shown.get(one)
            if one not in whole or (end is not None and not whole[one].endswith(f"({end}")):
                continue  # a hash that is not shown
            before = "" if end is None else whole[one][: -_SHOWN - 1]
            holes.append(Hole(one, _HASH if one == names.CONTENT_HASH else before, ")" if end else ""))
            taken.append(at)
            left.add(one)
        own = Base({one: value for one, value in whole.items() if one not in left})
        if is_root:
            stencil = Stencil(name, own, holes, names.MESSAGING_ID, _LINK, kind=kind)
            return stencil, [0, *taken, *_ALL[-2:]]
        return Stencil(name, own, holes, kind=kind), [0, *taken]
