"""Everything that is the case in one conversation, as a value."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import flat, to_plain
from agentcomm.acts.persistent import entries
from agentcomm.commitments.ledger import Commitment, Ledger
from agentcomm.conversation.ground import CommonGround
from agentcomm.conversation.parts import (
    NO_LANES,
    ROW,
    Frame,
    GatherTurn,
    Lanes,
    Outcome,
    Position,
    Seen,
    Shared,
    ledger_of,
)
from agentcomm.conversation.rules import Rules
from agentcomm.protocol.graph import Protocol, State

__all__ = ("Conversation", "altered", "state_hash")


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """One enactment of a protocol.

    `step` is the only way to change it. What grows with the talk lives in records and persistent maps, so that a step costs
    the same however long the talk is.
    """

    rules: Rules
    id: str
    whole: float
    """Seconds since the opening at which the conversation expires."""
    members: tuple[str, ...]
    """Who plays the many-role."""
    shared: Shared
    here: Position
    """Where it stands; once lanes have begun, what was the case before."""
    checkpoints: tuple[Position, ...] = ()
    """Where it stood before the last message was committed, and before the one before that; newest first."""
    lanes: Lanes = NO_LANES
    """Where each member stands, once lanes have begun."""

    @property
    def protocol(self) -> Protocol:
        """The protocol it enacts."""
        return self.rules.protocol

    @property
    def position(self) -> str:
        """The state it is in, or the outcome."""
        return self.here.name

    @property
    def state(self) -> State:
        """The state it is in.

        Raises:
            KeyError: If it has ended.
        """
        return self.rules.protocol.states[self.here.name]

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None."""
        return self.here.outcome

    @property
    def before(self) -> Position | None:
        """The checkpoint: where it stood before the last message was committed."""
        return self.checkpoints[0] if self.checkpoints else None

    @property
    def at(self) -> float:
        """Time of the last input that counted, in seconds since the opening."""
        return self.shared.at

    @property
    def n(self) -> int:
        """Messages on record."""
        return self.shared.n

    @property
    def spent(self) -> int:
        """Repairs used."""
        return self.shared.spent

    @property
    def seen(self) -> Seen:
        """The messages on record, by id."""
        return Seen(self.shared)

    @property
    def owner(self) -> str:
        """The role that owns the matter; empty if the protocol has none."""
        return self.here.owner

    @property
    def frame(self) -> Frame | None:
        """The overlay that is running."""
        return self.here.frame

    @property
    def lane(self) -> str:
        """Of the view of a lane: the member whose position it is."""
        return self.here.lane

    @property
    def turn(self) -> GatherTurn | None:
        """The open gather."""
        return self.shared.turn

    @property
    def begun(self) -> bool:
        """Whether lanes have begun."""
        return bool(self.lanes)

    @property
    def ledger(self) -> tuple[Commitment, ...]:
        """Every commitment that was made: those before lanes began, then lane by lane, each in the order they were made."""
        return ledger_of(self.shared, self.here, self.lanes)

    @property
    def ground(self) -> "CommonGround":
        """The common ground; after lanes, also that of the lanes that ended well."""
        from agentcomm.conversation.ground import CommonGround

        return CommonGround(self.protocol, self.shared, self.here, self.lanes)

    def view(self, lane: str) -> "Conversation":
        """Return a lane as a conversation of its own: its position, and what all lanes share.

        Raises:
            KeyError: If there is no such lane.
        """
        place = self.lanes.places[lane]
        here, checkpoints = self.lanes.rows[place // ROW][place % ROW]
        return Conversation(self.rules, self.id, self.whole, self.members, self.shared, here, checkpoints)


_SHARED = frozenset(Shared.__struct_fields__)
_replace = msgspec.structs.replace


def altered(conversation: Conversation, **changes: Any) -> Conversation:
    """Return a conversation with other values in its position or in what its lanes share."""
    shared = {name: changes.pop(name) for name in _SHARED & changes.keys()}
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        _replace(conversation.shared, **shared) if shared else conversation.shared,
        _replace(conversation.here, **changes) if changes else conversation.here,
        conversation.checkpoints,
        conversation.lanes,
    )


def state_hash(conversation: Conversation) -> str:
    """Return the `sha256:` of everything that is the case; equal after a replay. Costs as much as the record is long."""
    here, shared, lanes = conversation.here, conversation.shared, conversation.lanes
    view = {
        "protocol": conversation.protocol.hash,
        "id": conversation.id,
        "whole": str(conversation.whole),
        "members": conversation.members,
        "shared": {**_as_data(shared), "seen": list(entries(shared.seen, shared.n))},
        "here": _as_data(here),
        "checkpoints": [_as_data(one) for one in conversation.checkpoints],
        "lanes": {name: [_as_data(one) for one in (lanes[name], *lanes.at(name)[1])] for name in lanes},
    }
    data = msgspec.json.encode(view, enc_hook=_encode, order="deterministic")
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _as_data(value: Any) -> dict[str, Any]:
    return {
        name: item if type(item) in _AS_IT_IS else _encode(item)
        for name in value.__struct_fields__
        for item in (getattr(value, name),)
    }


_AS_IT_IS: set[Any] = {dict, type(None), str, int, float, bool, tuple, list}
"""Types of values that are written as they are; structs are added as they come."""


def _encode(value: Any) -> Any:
    words = flat(value)
    if words is not None:
        return words
    match value:
        case HashTrieMap():
            return dict(cast("Mapping[str, Any]", value))
        case Ledger():
            return [*value, value.n]
        case GatherTurn():
            return [list(value.lanes), value.left, value.counts, list(entries(value.staged, value.count))]
        case msgspec.Struct():
            _AS_IT_IS.add(type(value))
            return value
        case dict() | None | str() | int() | float() | tuple() | list():
            return cast("Any", value)
        case _:
            return to_plain(value)
