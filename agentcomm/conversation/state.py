"""Everything that is the case in one conversation, as a value."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import Content, flat, is_words, to_plain
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
    Said,
    Seen,
    Shared,
    ledger_of,
)
from agentcomm.conversation.rules import Rules
from agentcomm.protocol.graph import Protocol, State

__all__ = ("Conversation", "altered", "seal_hash", "state_hash")


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
        return Seen(self.shared, self.id)

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

        return CommonGround(self.protocol, self.shared, self.here, self.lanes, self.id)

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


def seal_hash(conversation: Conversation) -> str:
    """Return what the seal of a record says of the state: where everything stands, equal after a replay.

    Messages are named by their ids, and commitments that have ended are counted: both stand in the record before it. So it costs the
    same however long the record is, and nothing that was erased from the record can be guessed from it. What is empty is left out.
    """
    shared, lanes = conversation.shared, conversation.lanes
    trunk, turn = shared.trunk, shared.turn
    view = (
        conversation.protocol.hash,
        conversation.id,
        conversation.whole,
        conversation.members,
        (shared.at, shared.n, shared.spent, shared.tally, sorted(shared.mended), shared.counted),
        None if trunk is None else _owed(trunk),
        None if turn is None else _gathered(turn),
        _standing(conversation.here),
        [_standing(one) for one in conversation.checkpoints],
        {name: [_standing(one) for one in (lanes[name], *lanes.at(name)[1])] for name in lanes},
    )
    return _SEAL + hashlib.sha256(_written(view)).hexdigest()


_SEAL = "sha256/2:"


def _standing(position: Position) -> dict[str, Any]:
    """Return what is the case at a position, without what was said."""
    data = {name: value for name, value in _asdict(position).items() if value}
    data["ledger"] = _owed(position.ledger)
    if position.said:
        data["said"] = {act: _named(said) for act, said in position.said.items()}
    if position.held:
        data["held"] = [(one.message.id, one.owner) for one in position.held]
    if position.troubles:
        data["troubles"] = [one.kind for one in position.troubles]
    if position.asides:
        data["asides"] = [_noted(one) for one in position.asides]
    if position.outcome is not None:
        data["outcome"] = (position.outcome.name, position.outcome.kind)  # the cause may hold what was said
    if position.frame is not None:
        data["frame"] = _running(position.frame)
    return data


def _owed(ledger: Ledger) -> tuple[Any, ...]:
    return ledger.n, ledger.count, ledger.live


def _named(said: Said) -> tuple[Any, ...]:
    """Return a saying, its message by its id."""
    before = said.before
    return (
        said.message.id,
        said.grounded,
        said.evidence,
        said.n,
        said.repaired,
        None if before is None else _named(before),
    )


def _noted(aside: str) -> list[str]:
    """Return what was done once and for what; the rest may be somebody's words, such as the path of a repair."""
    parts = aside.split(":")
    return parts if parts[0] == "standby" else parts[:2]


def _running(frame: Frame) -> dict[str, Any]:
    """Return what is the case in an overlay, without what was said."""
    asks = frame.asks
    return {
        **_asdict(frame),
        "it": frame.it.id,
        "fields": sorted(frame.fields),
        "said": sorted(frame.said),
        "trouble": [one.kind for one in frame.trouble],
        "asks": None if asks is None else asks.rung,
    }


def _gathered(turn: GatherTurn) -> tuple[Any, ...]:
    staged = [(lane, message.id) for lane, message in entries(turn.staged, turn.count)]
    return [*turn.lanes], turn.left, turn.counts, staged


def state_hash(conversation: Conversation) -> str:
    """Return the `sha256:` of everything that is the case, every message with it; equal after a replay.

    It costs as much as the record is long. Older seals hold it, newer ones `seal_hash`.
    """
    shared, lanes = conversation.shared, conversation.lanes
    common = _asdict(shared)
    common["seen"] = [(message.id, message) for _, message in entries(shared.seen, shared.n)]
    if shared.trunk is not None:
        common["trunk"] = _encode(shared.trunk)
    if shared.turn is not None:
        common["turn"] = _encode(shared.turn)
    view = {
        "protocol": conversation.protocol.hash,
        "id": conversation.id,
        "whole": str(conversation.whole),
        "members": conversation.members,
        "shared": common,
        "here": _as_data(conversation.here),
        "checkpoints": [*map(_as_data, conversation.checkpoints)],
        "lanes": {name: [*map(_as_data, (lanes[name], *lanes.at(name)[1]))] for name in lanes},
    }
    return "sha256:" + hashlib.sha256(_written(view)).hexdigest()


_asdict = msgspec.structs.asdict


def _as_data(position: Position) -> dict[str, Any]:
    """Return a position as a map, whose names are written in their order; the ledger is no struct of its own there."""
    data = _asdict(position)
    data["ledger"] = _encode(position.ledger)
    return data


def _encode(value: Any) -> Any:
    if isinstance(value, Content):
        words = value.__dict__ if is_words(type(value)) else flat(value)
        if words is not None:
            return words
    match value:
        case HashTrieMap():
            return dict(cast("Mapping[str, Any]", value))
        case Ledger():
            return [*(value if value.count else value.live), value.n]
        case GatherTurn():
            return [list(value.lanes), value.left, value.counts, list(entries(value.staged, value.count))]
        case _:
            return to_plain(value)


_written = msgspec.json.Encoder(enc_hook=_encode, order="deterministic").encode
