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
from agentcomm.tracing.content import sorted_json
from agentcomm.tracing.protobuf import Base

if TYPE_CHECKING:
    from agentcomm.tracing.content import Content

__all__ = ("SCALARS", "Facts", "Parcel")


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
    def base(self) -> Base:
        """Attributes of every span."""
        return Base(
            {
                names.GENAI_CONVERSATION: self.id,
                names.OI_SESSION: self.id,
                names.PROTOCOL: self.protocol.name,
                names.PROTOCOL_VERSION: str(self.protocol.version),
            }
        )

    def agent(self, role: str) -> str:
        """Return who plays a role."""
        return self.cast.get(role, role)


class Parcel(msgspec.Struct, gc=False):
    """A message on its way: where it was sent, and what spans show of it."""

    facts: Facts
    message: Message
    place: Any
    at: int
    known_plain: Any = None
    known_size: int = -1
    known_digest: bytes = b""

    @property
    def plain(self) -> Any:
        """Its content as JSON data."""
        found = self.known_plain
        if found is None:
            message = self.message
            act = self.facts.protocol.acts.get(message.act)
            found = plain_of(message.content, is_ours=act is not None and act.registered is None)
            self.known_plain = found
        return found

    @property
    def size(self) -> int:
        """The bytes of its content."""
        if self.known_size < 0:
            content = self.facts.content
            said = sorted_json(self.plain)
            shown = content.digest_of("message", self.plain, said) if content.is_hashed else ""
            self.known_size, self.known_digest = len(said), shown.removeprefix("sha256:").encode()
        return self.known_size

    @property
    def digest(self) -> bytes:
        """The digits of the hash of its content; none where hashes are not shown."""
        return self.known_digest if self.size >= 0 else b""

    @property
    def hash(self) -> str:
        """The hash of its content; an empty one where hashes are not shown."""
        digest = self.digest
        return f"sha256:{digest.decode()}" if digest else ""

    @property
    def attributes(self) -> dict[str, Any]:
        """What its `send` and each `receive` have in common."""
        facts, message = self.facts, self.message
        found: dict[str, Any] = {
            names.OI_KIND: names.OI_CHAIN,
            names.MESSAGING_SYSTEM: names.SYSTEM,
            names.MESSAGING_ID: message.id,
            names.MESSAGING_CONVERSATION: facts.id,
            names.MESSAGING_SIZE: self.size,
            names.ACT: message.act,
            names.SENDER: facts.agent(message.sender),
            names.RECEIVERS: [facts.agent(role) for role in message.receivers],
        }
        if message.in_reply_to:
            found[names.IN_REPLY_TO] = message.in_reply_to
        act = facts.protocol.acts.get(message.act)
        if act is not None and act.registered is not None:
            found[names.CONTENT_SCHEMA] = act.registered.__name__
        if content_hash := self.hash:
            found[names.CONTENT_HASH] = content_hash
        if facts.content.is_full:
            found[names.CONTENT] = facts.content.data("message", self.plain)
        return found

    @property
    def said(self) -> str:
        """The content in words, or what may be shown of it."""
        content = self.facts.content
        if content.is_full:
            return content.text("message", format_content(self.message.content))
        return f"({self.hash[:19]})" if content.is_hashed else ""

    @property
    def heard(self) -> str:
        """It, from the hearer's side."""
        return f"{self.message.act} from {self.facts.agent(self.message.sender)}: {self.said}".rstrip(": ")

    @property
    def spoken(self) -> str:
        """It, from the speaker's side."""
        to = ", ".join([self.facts.agent(role) for role in self.message.receivers])
        return f"{self.message.act} to {to}: {self.said}".rstrip(": ")


SCALARS = frozenset({str, int, float, bool})
"""Types whose values are JSON data as they are."""


def plain_of(content: Any, *, is_ours: bool) -> Any:
    """Return content as JSON data; of a class that was made from a protocol's own types, scalars are that already."""
    if is_ours:
        fields: dict[str, Any] | None = getattr(content, "__dict__", None)
        if fields is not None and all(type(value) in SCALARS for value in fields.values()):
            return dict(fields)
    return to_plain(content)
