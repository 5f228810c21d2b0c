"""What a conversation came to."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.commitments.ledger import Commitment
from agentcomm.conversation.ground import CommonGround
from agentcomm.conversation.render import View
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import AgentcommError, EffectInDoubt, InternalError
from agentcomm.grounding.choice import Choice
from agentcomm.runtime.recording import Recording

if TYPE_CHECKING:
    from agentcomm.grounding.troubles import InDoubt
    from agentcomm.runtime.troubles import Found, Look

__all__ = ("Result",)


class Result:
    """What a conversation came to.

    Printed, it shows the talk turn by turn.
    """

    def __init__(
        self,
        conversation: Conversation,
        record: Recording,
        cast: dict[str, str],
        errors: tuple[AgentcommError, ...] = (),
    ) -> None:
        if conversation.outcome is None:
            raise InternalError("a conversation was handed over before it ended", fix="please report this")
        self.conversation = conversation
        self.cast = cast
        self.errors = errors
        """What agents could not do, as it was raised: a model that is not there, a tool that failed. The outcome tells what
        became of the conversation by it."""
        self._record = record
        self._outcome = conversation.outcome

    @property
    def id(self) -> str:
        """Id of the conversation."""
        return self.conversation.id

    @property
    def outcome(self) -> str:
        """The protocol's name for how it ended."""
        return self._outcome.name

    @property
    def outcome_class(self) -> str:
        """success, partial, refused, rejected, failed, expired, cancelled, undecided or aborted."""
        return self._outcome.kind.value

    @property
    def cause(self) -> str:
        """What made it end."""
        return self._outcome.cause

    @property
    def ground(self) -> CommonGround:
        """The common ground: `ground["price"]`."""
        return self.conversation.ground

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        """Every commitment with its fate."""
        return tuple(sorted(self.conversation.ledger, key=lambda entry: entry.id))

    @property
    def lanes(self) -> Mapping[str, Conversation]:
        """Member -> its lane, with its `outcome` and `ground`; empty without a many-role."""
        return {name: self.conversation.view(name) for name in self.conversation.lanes}

    @property
    def choice(self) -> Choice | None:
        """How to choose in the next conversation: the rule that this one had, with what was learned in it."""
        choice = self.conversation.rules.choice
        if choice is None:
            return None
        return msgspec.structs.replace(
            choice, counters={**choice.counters, **self.conversation.shared.counted}
        )

    @property
    def owner(self) -> str:
        """The role that owns the matter at the end; empty if the protocol knows no owner."""
        return self.conversation.owner

    @property
    def messages(self) -> int:
        """Messages on record."""
        return self.conversation.n

    @property
    def repairs(self) -> int:
        """Repairs spent."""
        return self.conversation.spent

    @property
    def path(self) -> Path | None:
        """Where the transcript lies; None if it is in memory."""
        return self._record.path

    @cached_property
    def transcript(self) -> Transcript:
        """The record."""
        return Transcript.from_lines(self._record.lines(), where=str(self.path or ""))

    @property
    def troubles(self) -> "tuple[Found, ...]":
        """What code finds wrong with what was said, when it looks at the record; nothing was stopped by it. See `troubles_of`."""
        return self.look.troubles

    @cached_property
    def look(self) -> "Look":
        """The same, and what could not be looked at."""
        from agentcomm.runtime.troubles import look_at

        return look_at(self.transcript)

    @cached_property
    def in_doubt(self) -> "tuple[InDoubt, ...]":
        """Calls of tools that were cut off, by a deadline or the end of a process, so that nobody knows whether they had their effect."""
        from agentcomm.runtime.troubles import doubts_of

        return tuple(doubts_of(self.transcript))

    def __str__(self) -> str:
        known = {error.key for error in self.errors if isinstance(error, EffectInDoubt)}
        doubts = [f"in doubt: {one.sentence}" for one in self.in_doubt if one.key not in known]
        return "\n".join([*View(self.cast).lines(self.transcript.events()), *map(str, self.errors), *doubts])

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as `agentcomm run --json` prints it."""
        protocol = self.conversation.protocol
        return {
            "conversation": self.id,
            "protocol": {"name": protocol.name, "version": protocol.version, "hash": protocol.hash},
            "cast": self.cast,
            "outcome": self.outcome,
            "class": self.outcome_class,
            "cause": self.cause,
            "owner": self.owner or None,
            "messages": self.messages,
            "repairs": self.repairs,
            "ground": self.ground.as_dict(),
            "commitments": [
                {"act": c.act, "debtor": c.debtor, "creditor": c.creditor, "status": c.status.value}
                for c in self.commitments
            ],
            "lanes": {name: lane.outcome.name for name, lane in self.lanes.items() if lane.outcome},
            "errors": [error.as_dict() for error in self.errors],
            "in_doubt": [msgspec.to_builtins(one) for one in self.in_doubt],
            "transcript": str(self.path) if self.path else None,
            "state": to_plain(self.transcript.seal.data["state"]) if self.transcript.seal else None,
        }
