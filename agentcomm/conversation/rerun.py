"""Take a conversation up by the plain moves of its record: of what they come to only the last is made, and nothing of what happened."""

from collections.abc import Iterable
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import put
from agentcomm.conversation.entries import Short, Took
from agentcomm.conversation.parts import Key, Shared, key_of
from agentcomm.conversation.plain import is_open, moved
from agentcomm.conversation.plans import Plan
from agentcomm.conversation.reading import NAME, Unreadable, read
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.tape import Tape

__all__ = ("Rerun", "messages")


class Rerun:
    """A conversation that goes on by plain moves.

    Args:
        conversation: Where it begins: a talk with one position.
    """

    __slots__ = ("_at", "_before", "_begun", "_here", "_n", "_plans", "_seen", "_trunk")

    def __init__(self, conversation: Conversation) -> None:
        shared = conversation.shared
        self._begun, self._plans = conversation, conversation.rules.plans
        self._here, self._before = conversation.here, conversation.checkpoints
        self._at, self._n, self._seen, self._trunk = shared.at, shared.n, shared.seen, shared.trunk

    def take(self, part: Short) -> bool:
        """Take a move; False if it is not plain: then nothing has changed, and `step` has to say. It comes to what `heard_again` makes of it."""
        here, said, at = self._here, part.said, part.at
        plan = self._plans.get((here.name, said[0]))
        if plan is None or not plan.is_plain or here.frame is not None or is_open(here):
            return False
        message = _heard(plan, said, here.last.get(plan.speaker, ""), here.lane)
        if message is None or not self._at <= at < _NEVER:
            return False
        seen, n = self._seen, self._n
        key = key_of(self._begun.id, message.id, n)
        if key in seen:
            return False
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


def _heard(plan: Plan, said: list[Any], reply: str, lane: str) -> Message | None:
    """Return the message of a plain move as it counts; None if that has to be looked at.

    Args:
        plan: What the move does.
        said: The fields of the message, as the record holds them.
        reply: What its speaker heard last.
        lane: Where it is said.
    """
    if len(said) != _FIELDS or plan.content is None:
        return None
    act, given, name, sender, receivers, in_reply_to, made_by = said
    if sender != plan.speaker or (in_reply_to and in_reply_to != reply):
        return None
    if receivers and tuple(receivers) != plan.to:
        return None
    names = f"{name}{act}{made_by}"
    if not name or len(names) > NAME or not names.isascii():
        return None
    try:
        content = read(plan.move.act, given)
    except Unreadable:
        return None
    return Message(plan.label, content, name, plan.speaker, plan.to, reply, made_by, "", lane)


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
    plans = rules.plans
    for data in entries:
        if data.startswith(b"{"):  # lines of an older version
            return None
        for part in tape.parts(data):
            if type(part) is Short:
                said = part.said
                plan = plans.get((part.source, said[0]))
                if plan is None or not plan.is_plain or part.n != len(found) + 1:
                    return None
                message = _heard(plan, said, said[5], "")
                if message is None:
                    return None
                found[key_of(conversation, message.id, len(found))] = part.n, message
            elif type(part) is Took and b'["heard",' in bytes(part.events):
                return None
    return found
