"""What spans show of a conversation and of a message on its way."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message, format_content
from agentcomm.protocol.graph import Protocol
from agentcomm.tracing import names

if TYPE_CHECKING:
    from agentcomm.tracing.content import Content

__all__ = ("Facts", "Parcel")


@dataclass(frozen=True)
class Facts:
    """What does not change while a conversation lasts."""

    id: str
    protocol: Protocol
    cast: Mapping[str, str]
    """Role -> agent's name."""
    content: "Content"
    """How much of what was said is shown."""

    @cached_property
    def common(self) -> dict[str, Any]:
        """Attributes of every span."""
        return {
            names.GENAI_CONVERSATION: self.id,
            names.OI_SESSION: self.id,
            names.PROTOCOL: self.protocol.name,
            names.PROTOCOL_VERSION: str(self.protocol.version),
        }

    def agent(self, role: str) -> str:
        """Return who plays a role."""
        return self.cast.get(role, role)


class Parcel:
    """A message on its way: where it was sent, and what spans show of it."""

    def __init__(self, facts: Facts, message: Message, place: Any, at: int) -> None:
        self._facts = facts
        self.message = message
        self.place = place
        self.at = at

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """What its `send` and each `receive` have in common."""
        facts, message, content = self._facts, self.message, self._facts.content
        plain = to_plain(message.content)
        found: dict[str, Any] = {
            names.OI_KIND: names.OI_CHAIN,
            names.MESSAGING_SYSTEM: names.SYSTEM,
            names.MESSAGING_ID: message.id,
            names.MESSAGING_CONVERSATION: facts.id,
            names.MESSAGING_SIZE: len(msgspec.json.encode(plain)),
            names.ACT: message.act,
            names.SENDER: facts.agent(message.sender),
            names.RECEIVERS: [facts.agent(role) for role in message.receivers],
        }
        if message.in_reply_to:
            found[names.IN_REPLY_TO] = message.in_reply_to
        act = facts.protocol.acts.get(message.act)
        if act is not None and act.registered is not None:
            found[names.CONTENT_SCHEMA] = act.registered.__name__
        if content.is_hashed:
            found[names.CONTENT_HASH] = content.digest("message", plain)
        if content.is_full:
            found[names.CONTENT] = content.data("message", plain)
        return found

    @cached_property
    def said(self) -> str:
        """The content in words, or what may be shown of it."""
        content = self._facts.content
        if content.is_full:
            return content.text("message", format_content(self.message.content))
        return f"({self.attributes[names.CONTENT_HASH][:19]})" if content.is_hashed else ""

    @property
    def heard(self) -> str:
        """It, from the hearer's side."""
        return f"{self.message.act} from {self._facts.agent(self.message.sender)}: {self.said}".rstrip(": ")

    @property
    def spoken(self) -> str:
        """It, from the speaker's side."""
        to = ", ".join(self._facts.agent(role) for role in self.message.receivers)
        return f"{self.message.act} to {to}: {self.said}".rstrip(": ")
