"""Draw the plainest turn, where each turn is one span: a message was heard, one was said by code, and nothing else happened.

Such turns are most of all turns, and of one kind they differ in a few attributes only. The first of a kind is drawn as any other; what
it shares with those that follow is kept, and they cost a tenth.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from agentcomm.acts.message import Message
from agentcomm.conversation.events import CommitmentChanged, DeadlineSet, Ended, Event, Grounded, Heard, Moved
from agentcomm.runtime.span_message import Parcel
from agentcomm.tracing import names
from agentcomm.tracing.protobuf import Base, Stencil

if TYPE_CHECKING:
    from agentcomm.runtime.span_notes import TurnNotes
    from agentcomm.runtime.spans import ConversationSpans

__all__ = ("PlainTurns",)

_PLAIN: frozenset[type[Event]] = frozenset({Moved, Grounded, CommitmentChanged, DeadlineSet, Ended})

_NUMBERS = (names.TURN_INDEX, names.MESSAGING_SIZE)
_TEXTS = (names.TURN_ID, names.MESSAGING_ID, names.IN_REPLY_TO, names.OI_OUTPUT, names.OI_INPUT)
"""What differs among turns of a kind."""
_LINK = {names.LINK_RELATION: "trigger"}


class _Kind(NamedTuple):
    """What the turns of a kind share."""

    stencil: Stencil
    spoken: str
    """The act and to whom it was said."""
    heard: str
    """The act and by whom it was said."""
    agent: str


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
            evidence = said.evidence
            ground = said.criterion, bool(evidence) and evidence[0].startswith("readback"), *said.fields
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
            heard.act,
            heard.sender,
            ground,
        )

    def learn(self, key: Any, root: Any, talk: "ConversationSpans", notes: "TurnNotes") -> None:
        """Keep what a turn that was drawn shares with others of its kind.

        Args:
            key: Its kind.
            root: Its span.
            talk: Its conversation.
            notes: What it was drawn from.
        """
        facts = talk.facts
        events: Any = notes.events
        message: Message = events[0].message
        texts = (*_TEXTS, names.CONTENT_HASH) if facts.content.is_hashed else _TEXTS
        left = {*_NUMBERS, *texts, *facts.base.attributes}
        base = Base({name: value for name, value in root.attributes.items() if name not in left})
        stencil = Stencil(root.name, base, texts, _NUMBERS, names.MESSAGING_ID, _LINK)
        to = ", ".join(facts.agent(role) for role in message.receivers)
        act, sender = key[-3:-1]
        self._kinds[key] = _Kind(
            stencil, f"{message.act} to {to}", f"{act} from {facts.agent(sender)}", facts.agent(notes.role)
        )

    def draw(self, key: Any, talk: "ConversationSpans", notes: "TurnNotes") -> bool:
        """Draw a turn of a kind that is known; False if it is not."""
        found = self._kinds.get(key)
        if found is None:
            return False
        stencil, spoken, heard_as, agent = found
        facts, inbox = talk.facts, talk.inbox
        (heard,) = inbox.pop(notes.role)
        turns = talk.turns = talk.turns + 1
        indexes = talk.indexes
        index = indexes[agent] = indexes.get(agent, 0) + 1
        events: Any = notes.events
        message: Message = events[0].message
        place = talk.latest = talk.places.at(turns)
        sent = Parcel(facts, message, place, notes.at)
        size, digest = sent.weight
        asked = heard.message.id
        texts = [f"{facts.id}/{turns}", message.id, asked, spoken, heard_as]
        if digest:
            texts[3] = f"{spoken}: ({digest[:19]})"
            texts[4] = f"{heard_as}: ({heard.weight[1][:19]})"
            texts.append(digest)
        talk.tracer.fill(
            stencil,
            place,
            talk.under,
            facts.base,
            texts,
            (index, size),
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
