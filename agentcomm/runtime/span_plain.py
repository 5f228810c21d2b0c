"""Draw the plainest turn: a message was heard, one was said by code, and nothing else happened.

Such turns are most of all turns, and of one kind they differ in a few attributes only. The first of a kind is drawn as any other; what
it shares with those that follow is kept, and they cost a tenth.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from agentcomm.acts.message import Message
from agentcomm.conversation.events import CommitmentChanged, DeadlineSet, Ended, Event, Grounded, Heard, Moved
from agentcomm.runtime.span_message import Parcel
from agentcomm.tracing import names
from agentcomm.tracing.protobuf import Base, Stencil, child_of

if TYPE_CHECKING:
    from agentcomm.runtime.span_notes import TurnNotes
    from agentcomm.runtime.spans import ConversationSpans

__all__ = ("PlainTurns",)

_PLAIN: frozenset[type[Event]] = frozenset({Moved, Grounded, CommitmentChanged, DeadlineSet, Ended})

_NUMBERS = (names.TURN_INDEX, names.MESSAGING_SIZE, names.LATENCY)
_TEXTS = (
    names.TURN_ID,
    names.MESSAGING_ID,
    names.MESSAGING_CONVERSATION,
    names.IN_REPLY_TO,
    names.CONTENT_HASH,
    names.OI_OUTPUT,
    names.OI_INPUT,
)
"""What differs among turns of a kind."""
_LINK = {names.LINK_RELATION: "trigger"}
_MOST_KINDS = 512


_Taken = Callable[[dict[str, Any]], tuple[Any, ...]]


def _taker(wanted: list[str]) -> _Taken:
    """Return what takes these values out of all that a turn tells."""
    if len(wanted) > 1:
        return itemgetter(*wanted)
    return lambda values: tuple(values[name] for name in wanted)


class _Drawn(NamedTuple):
    """A span that each turn of a kind has."""

    stencil: Stencil
    texts: _Taken
    numbers: _Taken
    is_heard: bool
    """Whether its message is the one that was heard, else the one that was said."""
    after: int
    """Nanoseconds after what happened; -1 for what happens when the turn begins."""


class _Kind(NamedTuple):
    """What the turns of a kind share."""

    root: _Drawn
    steps: tuple[_Drawn, ...]
    spoken: str
    """The act and to whom it was said."""
    heard: str
    """The act and by whom it was said."""
    agent: str
    sends: int
    """The number of the step that sends; 0 where the turn is one span."""


_OTHER = (-1, -1)


def _where(shape: tuple[type[Event], ...]) -> tuple[int, int]:
    """Return at which places of a turn's events the grounding (0 if there is none) and the move stand; `_OTHER` if it is not plain."""
    plain = shape[0] is Heard and _PLAIN.issuperset(shape[1:])
    if not plain or shape.count(Grounded) > 1 or shape.count(Moved) != 1:
        return _OTHER
    return (shape.index(Grounded) if Grounded in shape else 0), shape.index(Moved)


class PlainTurns:
    """The kinds of plain turns of conversations with one protocol and cast.

    Args:
        kinds: Where they are kept.
    """

    def __init__(self, kinds: dict[Any, _Kind]) -> None:
        self._kinds = kinds
        self._shapes: dict[tuple[type[Event], ...], tuple[int, int]] = {}

    def kind(self, talk: "ConversationSpans", notes: "TurnNotes") -> Any:
        """Return what kind of plain turn it is, as a key; None if it is not plain."""
        events: Any = notes.events
        if (
            events is None
            or notes.steps is not None
            or notes.error is not None
            or notes.known
            or notes.more is not None
            or talk.repair is not None
            or talk.timed_out is not None
        ):
            return None
        waiting = talk.inbox.get(notes.role)
        if waiting is None or len(waiting) != 1:
            return None
        shape: tuple[type[Event], ...] = tuple(map(type, events))
        where = self._shapes.get(shape)
        if where is None:
            where = self._shapes[shape] = _where(shape)
        if where is _OTHER:
            return None
        message = events[0].message
        grounded, moved = where
        ground: tuple[Any, ...] = ()
        if grounded:
            said = events[grounded]
            is_own = said.message == message.id
            if not is_own and said.message != waiting[0].message.id:
                return None
            ground = is_own, said.criterion, said.evidence, *said.fields
        if events[moved].message != message.id or events[0].overlay:
            return None
        heard = waiting[0].message
        if message.lane or message.in_reply_to != heard.id:
            return None
        return (
            notes.role,
            notes.place,
            notes.after,
            message.act,
            message.receivers,
            notes.model != "",
            heard.in_reply_to != "",
            heard.receivers,
            ground,
            heard.act,
            heard.sender,
        )

    @contextmanager
    def learning(self, key: Any, talk: "ConversationSpans", notes: "TurnNotes") -> Generator[None]:
        """Keep what is drawn of a turn until the block ends, and what it shares with others of its kind.

        Args:
            key: Its kind.
            talk: Its conversation.
            notes: What it is drawn from.
        """
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
        if len(self._kinds) < _MOST_KINDS and all(told[-1] is None for told in drawn):
            self._learn(key, talk, notes, drawn)

    def _learn(self, key: Any, talk: "ConversationSpans", notes: "TurnNotes", drawn: list[Any]) -> None:
        facts = talk.facts
        events: Any = notes.events
        message: Message = events[0].message
        steps: list[_Drawn] = []
        sends = 0
        for number, (name, _, _, bases, attributes, _, kind, start, _, _) in enumerate(drawn, 1):
            whole: dict[str, Any] = {}
            for base in bases:
                whole |= base.attributes
            whole |= attributes
            texts = [one for one in _TEXTS if one in whole]
            numbers = [one for one in _NUMBERS if one in whole]
            left = {*texts, *numbers, *facts.base.attributes}
            own = Base({one: value for one, value in whole.items() if one not in left})
            if number == len(drawn):
                stencil = Stencil(name, own, texts, numbers, names.MESSAGING_ID, _LINK)
                root = _Drawn(stencil, _taker(texts), _taker(numbers), is_heard=False, after=0)
                break
            operation = name.partition(" ")[0]
            sends = number if operation == names.SEND else sends
            is_heard = whole.get(names.MESSAGING_ID) != message.id
            after = -1 if operation == names.RECEIVE else start - notes.at
            stencil = Stencil(name, own, texts, numbers, kind=kind)
            steps.append(_Drawn(stencil, _taker(texts), _taker(numbers), is_heard, after))
        else:
            return
        to = ", ".join(facts.agent(role) for role in message.receivers)
        act, sender = key[-2:]
        self._kinds[key] = _Kind(
            root,
            tuple(steps),
            f"{message.act} to {to}",
            f"{act} from {facts.agent(sender)}",
            facts.agent(notes.role),
            sends,
        )

    def draw(self, key: Any, talk: "ConversationSpans", notes: "TurnNotes") -> bool:
        """Draw a turn of a kind that is known; False if it is not."""
        found = self._kinds.get(key)
        if found is None:
            return False
        root, steps, spoken, heard_as, agent, sends = found
        facts, inbox, fill = talk.facts, talk.inbox, talk.tracer.fill
        (heard,) = inbox.pop(notes.role)
        turns = talk.turns = talk.turns + 1
        indexes = talk.indexes
        index = indexes[agent] = indexes.get(agent, 0) + 1
        events: Any = notes.events
        message: Message = events[0].message
        place = talk.latest = talk.places.at(turns)
        sent = Parcel(facts, message, child_of(place, sends) if sends else place, notes.at)
        size, digest = sent.weight
        asked = heard.message.id
        said: dict[str, Any] = {
            names.TURN_INDEX: index,
            names.TURN_ID: f"{facts.id}/{turns}",
            names.MESSAGING_ID: message.id,
            names.MESSAGING_CONVERSATION: facts.id,
            names.MESSAGING_SIZE: size,
            names.IN_REPLY_TO: asked,
            names.CONTENT_HASH: digest,
            names.OI_OUTPUT: f"{spoken}: ({digest[:19]})" if digest else spoken,
            names.OI_INPUT: f"{heard_as}: ({heard.weight[1][:19]})" if digest else heard_as,
        }
        if steps:
            told: dict[str, Any] = {
                names.TURN_INDEX: index,
                names.MESSAGING_ID: asked,
                names.MESSAGING_CONVERSATION: facts.id,
                names.MESSAGING_SIZE: heard.weight[0],
                names.IN_REPLY_TO: heard.message.in_reply_to,
                names.CONTENT_HASH: heard.weight[1],
                names.LATENCY: max(0, notes.begun - heard.at) / 1e9,
            }
            for number, (stencil, texts, numbers, is_heard, after) in enumerate(steps, 1):
                values = told if is_heard else said
                at = notes.begun if after < 0 else notes.at + after
                where = child_of(place, number)
                fill(stencil, where, place, facts.base, texts(values), numbers(values), None, "", at, at)
        fill(
            root.stencil,
            place,
            talk.under,
            facts.base,
            root.texts(said),
            root.numbers(said),
            heard.place,
            asked,
            notes.begun,
            max(notes.begun, notes.ended),
        )
        for role in message.receivers:
            if role in inbox:
                inbox[role].append(sent)
            else:
                inbox[role] = [sent]
        return True
