"""What waits for an answer while a record is read, and whether what is said addresses it.

Two things are looked at: whether a message that says what it answers answers something that is open, and whether a free text is about
what it answers. The first is exact; the second needs an embedding, and where that cannot tell, the report says so.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.relevance import Embedder, about
from agentcomm.conversation.events import Heard
from agentcomm.errors import ModelUnavailable
from agentcomm.grounding.relevance import Issue, check_answer
from agentcomm.grounding.troubles import Irrelevant, Unfilled
from agentcomm.models.embedding import Embedding
from agentcomm.protocol.graph import Protocol

__all__ = ("MOVING", "Issues")

MOVING = (
    "propose",
    "cfp",
    "request",
    "request-when",
    "request-whenever",
    "query-if",
    "query-ref",
    "proxy",
    "propagate",
)
"""Library acts that put something on the table."""
_TELLING = ("inform", "inform-if", "inform-ref", "confirm", "disconfirm")
"""Library acts whose texts are to be about what they answer; a reason to refuse need not be."""
_TOLD = 3
"""Texts that are named as unchecked; more are counted."""


class Issues:
    """What is open, message by message.

    Args:
        protocol: What is enacted.
        embedder: Makes vectors of texts; the embedded model where it is installed.
    """

    def __init__(self, protocol: Protocol, embedder: Embedder | None = None) -> None:
        self._protocol = protocol
        self._embedder = embedder
        self._open: dict[tuple[str, str], tuple[Issue, Message]] = {}
        """Message and lane of an answer to it -> what it raises; said for all, it is open in each lane."""
        self._said: dict[str, Message] = {}
        self._answered: set[tuple[str, str, str]] = set()
        """Message, who answered it, in which lane."""
        self._untold: list[str] = []
        self._n = 0

    def heard(self, event: Heard, content: Mapping[str, Any]) -> Iterator[Irrelevant | Unfilled]:
        """Yield what is wrong with a message as an answer, and take in what it raises and settles."""
        message, self._n = event.message, event.n
        yield from self._stray(message, content)
        yield from self._off_topic(message)
        self._answered.add((message.in_reply_to, message.sender, message.lane))
        self._said[message.id] = message
        act = self._protocol.acts.get(message.act)
        if act is not None and act.performative in MOVING:
            self._open[message.id, message.lane] = Issue(message.id, message.act, message.receivers), message

    def _stray(self, message: Message, content: Mapping[str, Any]) -> Iterator[Irrelevant | Unfilled]:
        """Yield whether a message answers something that its speaker has answered, while something else waits for it."""
        before = self._said.get(message.in_reply_to)
        if before is None:
            return
        if (message.in_reply_to, message.sender, message.lane) not in self._answered:
            return
        waiting = [
            issue
            for (name, lane), (issue, _) in self._open.items()
            if message.sender in issue.to
            and lane in ("", message.lane)
            and (name, message.sender, message.lane) not in self._answered
        ]
        if waiting:
            yield from check_answer(message.id, message.sender, message.in_reply_to, content, waiting)

    def _off_topic(self, message: Message) -> Iterator[Irrelevant]:
        """Yield the texts of a message that are about something else than what it answers."""
        asked, act = self._said.get(message.in_reply_to), self._protocol.acts.get(message.act)
        if asked is None or act is None or act.performative not in _TELLING:
            return
        raised = self._protocol.acts.get(asked.act)
        if raised is None or raised.performative not in MOVING:
            return
        questions = _texts(raised, asked)
        for field, text in _texts(act, message).items():
            try:
                found = about(questions.values(), text, self._with())
            except ModelUnavailable:
                found = None
            if found is None and questions:
                self._untold.append(f"message {self._n}, {field}")
            elif found is False:
                yield Irrelevant(f"{message.id}, in {field},", (asked.act,))

    def _with(self) -> Embedder | None:
        return self._embedder or _embedding()

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Texts of which nobody could tell whether they are about what they answer."""
        if not self._untold:
            return ()
        named = "; ".join(self._untold[:_TOLD])
        more = f" and {len(self._untold) - _TOLD} more" if len(self._untold) > _TOLD else ""
        why = (
            "no word in common, and likeness does not tell"
            if self._with() is not None
            else "no word in common, and no embedding is installed (agentcomm[judge])"
        )
        return (f"whether free text is about what it answers: {named}{more}: {why}",)


def _texts(act: Any, message: Message) -> dict[str, str]:
    """Return the free texts of a message, by field."""
    content = entries_of(to_plain(message.content)) or {}
    kinds = act.fields
    return {
        name: value
        for name, value in content.items()
        if isinstance(value, str) and name in kinds and kinds[name].kind == "text" and value.strip()
    }


@cache
def _embedding() -> Embedder | None:
    """Return the embedded model, None where it is not installed."""
    from importlib.util import find_spec

    return Embedding() if find_spec("wordllama") is not None else None
