"""Whether a message that is said again is any other than it was: a repair that brings nothing new has failed.

What was taken back is kept by its digest while its contribution is open. Said again in the same words it is no progress: the
repair that was spent on it has failed. In the same words a third time, or as it was before the last time (round in circles), it
costs all repairs that are left: the message counts, and its hearer is left with the next rung, the authority, or to go on.

Source: no-progress and oscillation tests of repair loops; an answer to a repair must be new information.
"""

import hashlib

import msgspec

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import with_entry
from agentcomm.conversation.events import Event, TroubleFound
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Move

__all__ = ("progress", "said_before")


def said_before(asides: tuple[str, ...], key: str, message: Message) -> tuple[str, ...]:
    """Return what is kept of a contribution, with one more message that was taken back."""
    if not entries_of(message.content):  # without words there are no other words
        return asides
    return (*asides, f"said:{key}:{_digest(message)}")


def progress(conversation: Conversation, move: Move, message: Message) -> tuple[Conversation, list[Event]]:
    """Return a conversation with what it costs to say again what was said before."""
    here = conversation.here
    prefix = f"said:{move.key}:"
    said = [aside.removeprefix(prefix) for aside in here.asides if aside.startswith(prefix)]
    digest = _digest(message) if said else ""
    if not here.voided or digest not in said or any(t.field == "decision" for t in here.troubles):
        return conversation, []
    kind = "no-progress" if digest == said[-1] else "oscillation"
    found = TroubleFound(message.id, move.act.label, kind, (), here.lane)
    if kind == "no-progress" and said.count(digest) == 1:
        return conversation, [found]
    most = conversation.protocol.limits.repairs
    return altered(conversation, repairs=with_entry(here.repairs, move.key, most)), [found]


def _digest(message: Message) -> str:
    data = msgspec.json.encode(to_plain(message.content), order="deterministic")
    return hashlib.sha256(data).hexdigest()[:16]
