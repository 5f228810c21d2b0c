"""Take a conversation up by the plain moves of its record: of what they come to only the last is made, and nothing of what happened."""

from collections.abc import Iterable

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import put
from agentcomm.conversation.entries import Short, Took, opened_up
from agentcomm.conversation.parts import Key, Shared, key_of
from agentcomm.conversation.plain import is_open, moved
from agentcomm.conversation.reading import NAME, Unreadable, read_again
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.tape import Tape

__all__ = ("Rerun", "messages")


class Rerun:
    """A conversation that goes on by plain moves.

    Args:
        conversation: Where it begins: a talk with one position.
    """

    __slots__ = ("_at", "_before", "_begun", "_first", "_here", "_n", "_plans", "_seen", "_trunk")

    def __init__(self, conversation: Conversation) -> None:
        shared = conversation.shared
        self._begun, self._plans = conversation, conversation.rules.plans
        self._first = self._here = conversation.here
        self._before = conversation.checkpoints
        self._at, self._n, self._seen, self._trunk = shared.at, shared.n, shared.seen, shared.trunk

    def take(self, part: Short) -> bool:
        """Take a move; False if it is not plain: then nothing has changed, and `step` has to say. It comes to what `heard_again` makes of it."""
        here, said, at, n, seen = self._here, part.said, part.at, self._n, self._seen
        plan = self._plans.get((here.name, said[0]))
        if plan is None or not plan.is_plain or len(said) != _FIELDS:
            return False
        if here is self._first and (
            here.frame is not None or is_open(here)
        ):  # a plain move leaves nothing open
            return False
        act, given, name, sender, receivers, reply, made_by = said
        heard = here.last.get(sender, "")
        if (
            sender != plan.speaker
            or (reply and reply != heard)
            or (receivers and tuple(receivers) != plan.to)
            or not self._at <= at < _NEVER
        ):
            return False
        names = f"{name}{act}{made_by}"
        key = n + 1 if name == f"{self._begun.id}:{n + 1}" else key_of(self._begun.id, name, n)
        if not name or len(names) > NAME or not names.isascii() or key in seen:
            return False
        try:
            content = read_again(plan.move.act, given)
        except Unreadable:
            return False
        message = Message(plan.label, content, name, sender, plan.to, heard, made_by, "", here.lane)
        if n and len(seen) == n:
            n += 1
            seen[key] = n, message
        else:
            self._seen = put(seen, n, key, message)
            n += 1
        now, self._trunk, _ = moved(here, plan, message, n, at, self._trunk)
        before = self._before
        self._before = () if now.outcome is not None else (here, before[0]) if before else (here,)
        self._here, self._at, self._n = now, at, n
        return True

    @property
    def conversation(self) -> Conversation:
        """Where it stands."""
        begun = self._begun
        was = begun.shared
        if self._here is begun.here:
            return begun
        return Conversation(
            begun.rules,
            begun.id,
            begun.whole,
            begun.members,
            Shared(
                self._at,
                self._n,
                self._seen,
                was.spent,
                self._trunk,
                was.tally,
                None,
                was.mended,
                was.counted,
            ),
            self._here,
            self._before,
        )


_NEVER = float("inf")


_FIELDS = 7
"""Of a message that is of no lane, and about nothing else."""


def messages(
    conversation: str, tape: Tape, entries: Iterable[bytes], rules: Rules
) -> dict[Key, tuple[int, Message]] | None:
    """Return the messages that some entries put on record, key -> place and message; None if not all of them made plain moves.

    Args:
        conversation: Id of the conversation.
        tape: Reads the entries; those before have no message.
        entries: In their order.
        rules: Of the conversation.

    Raises:
        RecordError: If the chain is broken.
    """
    found: dict[Key, tuple[int, Message]] = {}
    plans, link, n = rules.plans, tape.link, 0
    for data in entries:
        if data.startswith(b"{"):  # lines of an older version
            return None
        _, parts, link = opened_up(data, link)
        for part in parts:
            if type(part) is Short:
                said = part.said
                plan = plans.get((part.source, said[0]))
                n += 1
                if plan is None or not plan.is_plain or part.n != n or len(said) != _FIELDS:
                    return None
                _, given, name, sender, receivers, reply, made_by = said
                if sender != plan.speaker or tuple(receivers) != plan.to:
                    return None
                try:
                    content = read_again(plan.move.act, given)
                except Unreadable:
                    return None
                message = Message(plan.label, content, name, plan.speaker, plan.to, reply, made_by, "", "")
                key = n if name == f"{conversation}:{n}" else key_of(conversation, name, n - 1)
                found[key] = n, message
            elif type(part) is Took and b'["heard",' in bytes(part.events):
                return None
    return found
