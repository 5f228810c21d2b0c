"""Draw the plainest turn: a message was heard, one was said by code, and nothing else happened.

Such turns are most of all turns, and of one kind they differ in a few attributes only. The first of a kind is drawn as any other; what
it shares with those that follow is kept as bytes, and they cost a tenth.
"""

import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.conversation.events import CommitmentChanged, DeadlineSet, Ended, Event, Grounded, Heard, Moved
from agentcomm.runtime.span_message import SCALARS, Parcel
from agentcomm.tracing import names
from agentcomm.tracing.content import encode_sorted
from agentcomm.tracing.protobuf import (
    PLACE_BYTES,
    Base,
    Hole,
    Place,
    Stencil,
    child_of,
    field,
    parent_field,
    times_of,
)

if TYPE_CHECKING:
    from agentcomm.runtime.span_notes import TurnNotes
    from agentcomm.runtime.spans import ConversationSpans

__all__ = ("Kind", "PlainTurns")

_PLAIN: frozenset[type[Event]] = frozenset({Moved, Grounded, CommitmentChanged, DeadlineSet, Ended})

_SHARED = 1
_FIELDS = {names.TURN_INDEX: 2, names.MESSAGING_SIZE: 3, names.LATENCY: 4, names.MESSAGING_CONVERSATION: 5}
_TEXTS = {
    names.TURN_ID: 6,
    names.MESSAGING_ID: 7,
    names.IN_REPLY_TO: 8,
    names.CONTENT_HASH: 9,
    names.OI_OUTPUT: 10,
    names.OI_INPUT: 11,
}
"""What differs among turns of a kind, and which of the values it is that a turn tells; the first are its head and what is shared."""
_LINKED = (12, _TEXTS[names.IN_REPLY_TO])
_LINK = {names.LINK_RELATION: "trigger"}
_HASH = "sha256:"
_SHOWN = 12
"""Digits of a hash that stand for the content in words."""
_MOST_KINDS = 512
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

_is_json = SCALARS.issuperset

_Values = tuple[bytes, ...]


class _Drawn(msgspec.Struct):
    """A span that each turn of a kind has."""

    stencil: Stencil
    take: Callable[[_Values], _Values]
    """Takes its values out of those that a turn tells."""
    is_heard: bool = False
    """Whether its message is the one that was heard, else the one that was said."""
    after: int = 0
    """Nanoseconds after what happened; -1 for what happens when the turn begins."""


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
    content: type | None
    """The class of what is said, where it was made from the protocol's own types."""
    agent: str
    stencil: Stencil
    take: Callable[[_Values], _Values]
    """As of what is drawn, of the turn itself."""
    steps: tuple[_Drawn, ...]
    sends: int
    """The number of the step that sends; 0 where the turn is one span."""


class PlainTurns:
    """The plain turns of one conversation.

    Args:
        talk: The conversation.
        kinds: Their kinds, of all conversations with its protocol and cast.
        put: Takes the bytes of a span.
    """

    __slots__ = (
        "_is_bare",
        "_kinds",
        "_length",
        "_of_steps",
        "_prefix",
        "_put",
        "_shared",
        "_state",
        "_talk",
    )

    def __init__(
        self, talk: "ConversationSpans", kinds: dict[Any, list[Kind]], put: Callable[[bytes], None]
    ) -> None:
        facts, under = talk.facts, talk.under
        self._talk, self._kinds, self._put = talk, kinds, put
        self._is_bare = facts.content.is_hashed and not facts.content.redactors
        """Whether the hash of what was said is that of the content as it is."""
        self._state = talk.opening[PLACE_BYTES:]
        shared = facts.base.encoded
        self._shared = self._state + (b"" if under is None else parent_field(under)) + shared
        self._of_steps = shared, field(names.MESSAGING_CONVERSATION, facts.id)
        """What its spans share: turns, and steps."""
        self._prefix, self._length = f"{facts.id}/", len(self._shared)

    def draw(self, notes: "TurnNotes") -> bool:
        """Draw a turn, if it is of a kind that is known; return whether it was.

        It is one long function: most of what a span costs else are calls.
        """
        talk, events, role = self._talk, notes.events, notes.role
        inbox = talk.inbox
        waiting = inbox.get(role)
        if not events or not waiting or len(waiting) > 1:
            return False
        if notes.steps or notes.error or notes.known or notes.more or talk.repair or talk.timed_out:
            return False
        heard = waiting[0]
        first: Any = events[0]
        if type(first) is not Heard:
            return False
        asked, message = heard.message, first.message
        kinds = self._kinds.get(
            (notes.place, role, message.act, notes.after, asked.act, asked.sender, notes.model)
        )
        if kinds is None or first.overlay or message.lane:
            return False
        asked_id, name, receivers = asked.id, message.id, message.receivers
        if message.in_reply_to != asked_id:
            return False
        shape = (*map(type, events),)
        for kind in kinds:
            if kind.shape != shape or kind.receivers != receivers:
                continue
            move: Any = events[kind.move]
            if move.message != name:
                continue
            if kind.steps and (
                kind.heard_by != asked.receivers or kind.is_reply is not (asked.in_reply_to != "")
            ):
                continue
            if not kind.ground:
                break
            said: Any = events[kind.ground]
            if (
                said.message == (name if kind.is_own else asked_id)
                and said.criterion == kind.criterion
                and said.evidence == kind.evidence
                and (*said.fields,) == kind.fields
            ):
                break
        else:
            return False

        del inbox[role]
        turn = talk.turns = talk.turns + 1
        agent, indexes, steps, begun, ended = kind.agent, talk.indexes, kind.steps, notes.begun, notes.ended
        index = indexes[agent] = indexes.get(agent, 0) + 1
        head = talk.places.head(turn, begun, max(begun, ended))
        place = talk.latest = head[:PLACE_BYTES] + self._state
        mid, irt, content = (
            name.encode("utf-8", "replace"),
            asked_id.encode("utf-8", "replace"),
            message.content,
        )
        sent = Parcel(talk.facts, message, child_of(place, kind.sends) if steps else place, notes.at)
        if (
            self._is_bare
            and type(content) is kind.content
            and _is_json(map(type, (plain := content.__dict__).values()))
        ):
            body = encode_sorted(plain)
            size = sent.known_size = len(body)
            digest = sent.known_digest = sha256(body).hexdigest().encode()
        else:
            size, digest = sent.size, sent.digest
        for hearer in receivers:
            if hearer in inbox:
                inbox[hearer].append(sent)
            else:
                inbox[hearer] = [sent]
        there, number, count = heard.place, _INDEXES[index], _BYTES[size]
        tid = f"{self._prefix}{turn}".encode()
        told = (
            head,
            self._shared,
            number,
            count,
            b"",
            b"",
            tid,
            mid,
            irt,
            digest,
            digest[:_SHOWN],
            (heard.known_digest if heard.known_size >= 0 else heard.digest)[:_SHOWN],
            there,
        )
        lengths = self._length, len(mid), len(irt), len(tid), len(number), len(count), len(there)
        if steps:
            self._draw_steps(kind, notes, heard, place, told)
        take, put = kind.take, self._put
        values = take(told)
        form = kind.stencil.forms.get(lengths) or kind.stencil.form(lengths, values)
        put(form % values)
        return True

    def _draw_steps(self, kind: Kind, notes: "TurnNotes", heard: Parcel, place: Place, told: _Values) -> None:
        parent = parent_field(place)
        replied = heard.message.in_reply_to.encode("utf-8", "replace")
        late = _LATENCY + _DOUBLE(max(0, notes.begun - heard.at) / 1e9)
        (shared, name), number, size = self._of_steps, told[2], told[3]
        of_sent = shared, number, size, b"", name, *told[6:10]
        of_heard = shared, number, _BYTES[heard.size], late, name, told[6], told[8], replied, heard.digest
        for n, step in enumerate(kind.steps, 1):
            at = notes.begun if step.after < 0 else notes.at + step.after
            head = child_of(place, n) + times_of(at, at) + parent
            values = step.take((head, *(of_heard if step.is_heard else of_sent)))
            form = step.stencil.form((*map(len, values),), values)
            self._put(form % values)

    @contextmanager
    def learning(self, notes: "TurnNotes") -> Generator[None]:
        """Keep what is drawn of a turn until the block ends, and what it shares with others of its kind, if it is a plain one."""
        talk = self._talk
        waiting = talk.inbox.get(notes.role, ())
        if (
            len(self._kinds) >= _MOST_KINDS
            or len(waiting) != 1
            or waiting[0].place is None
            or notes.steps
            or notes.error
            or notes.known
            or notes.more
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
        steps: list[_Drawn] = []
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
            stencil, take = self._stencil(name, whole, kind, heard, is_root=is_root)
            steps.append(_Drawn(stencil, take, is_heard, after))
        root = steps.pop()
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
            content=act.content if act is not None and act.registered is None else None,
            agent=facts.agent(notes.role),
            stencil=root.stencil,
            take=root.take,
            steps=tuple(steps),
            sends=sends,
        )
        key = notes.place, notes.role, message.act, notes.after, asked.act, asked.sender, notes.model
        self._kinds.setdefault(key, []).append(kind)

    def _stencil(
        self, name: str, whole: dict[str, Any], kind: int, heard: Parcel, *, is_root: bool
    ) -> tuple[Stencil, Callable[[_Values], _Values]]:
        """Return what draws a span with such attributes, and what takes its values."""
        shown = {
            names.OI_OUTPUT: whole.get(names.CONTENT_HASH, "")[: len(_HASH) + _SHOWN] + ")",
            names.OI_INPUT: f"{_HASH}{heard.digest[:_SHOWN].decode()})",
        }
        holes, taken = [Hole()], [_SHARED]
        for one, at in _FIELDS.items():
            if one in whole:
                holes.append(Hole())
                taken.append(at)
        left = {*self._talk.facts.base.attributes, *_FIELDS}
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
            return stencil, itemgetter(0, *taken, *_LINKED)
        return Stencil(name, own, holes, kind=kind), itemgetter(0, *taken)
