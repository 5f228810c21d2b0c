"""The envelope: one act performed in a conversation.

Source: FIPA SC00061G. Sender, role, receivers and ids are set by the runtime, never by a model.
"""

from typing import Any

import msgspec

from agentcomm.acts.content import entries_of, format_value

__all__ = ("Message", "format_content")


class Message(msgspec.Struct, frozen=True, gc=False):
    """One act performed in a conversation.

    What an agent returns has `act` and `content`; the runtime fills the rest.
    """

    act: str
    """The protocol's label."""
    content: Any = msgspec.field(default_factory=dict[str, Any])
    """A `Content` of the act's class, or plain data that is validated against it."""
    id: str = ""
    """Unique in its conversation; the same for a message sent again."""
    sender: str = ""
    """The role that speaks."""
    receivers: tuple[str, ...] = ()
    """The roles that hear it."""
    in_reply_to: str = ""
    """Id of a message its sender has heard."""
    made_by: str = ""
    """How its speaker came to it: `model`, `handler`, or `rule` where code answered for the agent; empty if unknown."""
    about: str = ""
    """Id of the message that an overlay is about."""
    lane: str = ""
    """The member of the many-role in whose lane it is said; empty before lanes begin, and where it is said for all."""

    def __str__(self) -> str:
        return (
            f"{self.sender} -> {', '.join(self.receivers)} {self.act} {format_content(self.content)}".rstrip()
        )


def format_content(content: Any) -> str:
    """Return `field=value field=value` in one line; an empty text for empty content."""
    pairs = entries_of(content) or {}
    return " ".join(f"{name}={format_value(value)}" for name, value in pairs.items() if value is not None)
