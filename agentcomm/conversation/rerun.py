"""Take a conversation up by the plain moves of its record: of what they come to only the last is made, and nothing of what happened."""

from collections.abc import Callable, Iterable
from typing import Any

from agentcomm.acts.content import Content
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import put
from agentcomm.conversation.entries import Short, Took, opened_up
from agentcomm.conversation.events import Say
from agentcomm.conversation.parts import Key, Shared, key_of
from agentcomm.conversation.plain import Told, is_open, moved
from agentcomm.conversation.reading import NAME, Unreadable, read, read_again
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.tape import Tape
from agentcomm.protocol.graph import Act

__all__ = ("Rerun", "heard_again", "messages")


class Rerun:
    """A conversation that goes on by plain moves.

    Args:
        conversation: Where it begins: a talk with one position.
    """

    __slots__ = ("_at", "_before", "_begun", "_here", "_is_stuck", "_n", "_plans", "_seen", "_trunk")

    def __init__(self, conversation: Conversation) -> None:
        here, shared = conversation.here, conversation.shared
        self._begun, self._plans, self._here = conversation, conversation.rules.plans, here
        self._is_stuck = here.frame is not None or is_open(here) or bool(conversation.members)
        """Nothing can be heard: what is open is not for here, and a plain move leaves nothing open."""
        self._before = conversation.checkpoints
        self._at, self._n, self._seen, self._trunk = shared.at, shared.n, shared.seen, shared.trunk

    def hear(
        self,
        act: str,
        name: str,
        sender: str,
        receivers: tuple[str, ...],
        reply: str,
        made_by: str,
        at: float,
        given: Any,
        read: Callable[[Act, Any], Content],
    ) -> Told | None:
        """Let a message of the record be heard as it was, if it makes a plain move; else return None: nothing has changed, and `step` has to say.

        Args:
            act: Its act; this and all names as the record holds them: texts.
            name: Its id.
            sender: Who said it.
            receivers: To whom, if that was said.
            reply: What it answers, if that was said.
            made_by: How its speaker came to it.
            at: When it was heard.
            given: Its content.
            read: Makes that of the act's class.
        """
        here, n, seen = self._here, self._n, self._seen
        plan = self._plans.get((here.name, act))
        if plan is None or not plan.is_plain or plan.speaker != sender or self._is_stuck:
            return None
        heard = here.last.get(sender, "")
        if (reply and reply != heard) or (receivers and receivers != plan.to) or not self._at <= at < _NEVER:
            return None
        whose, names = self._begun.id, f"{name}{act}{made_by}"
        key = n + 1 if name == f"{whose}:{n + 1}" else key_of(whose, name, n)
        if not name or len(names) > NAME or not names.isascii() or key in seen:
            return None
        try:
            content = read(plan.move.act, given)
        except Unreadable:
            return None
        if type(content) is not plan.content:
            return None
        message = Message(plan.label, content, name, sender, plan.to, heard, made_by, "", here.lane)
        self._seen = put(seen, n, key, message)
        self._n = n = n + 1
        now, self._trunk, told = moved(here, plan, message, n, at, self._trunk)
        before = self._before
        self._before = () if now.outcome is not None else (here, before[0]) if before else (here,)
        self._here, self._at = now, at
        return told

    def take(self, part: Short) -> bool:
        """Take a move of a store's record; False if it is not plain: then nothing has changed."""
        if len(part.said) != _FIELDS:
            return False
        act, given, name, sender, receivers, reply, made_by = part.said
        told = self.hear(act, name, sender, tuple(receivers), reply, made_by, part.at, given, read_again)
        return told is not None

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


def heard_again(conversation: Conversation, given: Say) -> tuple[Conversation, Told] | None:
    """Let one message of the record be heard as it was, if it makes a plain move; else return None, and `step` has to say.

    Args:
        conversation: A talk with one position.
        given: As the record holds it: its names are texts, its time is a number.
    """
    sent, run = given.message, Rerun(conversation)
    if sent.lane or sent.about:
        return None
    told = run.hear(
        sent.act, sent.id, sent.sender, sent.receivers, sent.in_reply_to, sent.made_by, given.at, sent.content, read
    )  # fmt: skip
    return None if told is None else (run.conversation, told)


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
