"""Everything that is the case in one conversation, as a value."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_dataclass
from typing import Any

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import FieldType, entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.commitments.ledger import Ledger
from agentcomm.grounding.compare import Difference
from agentcomm.protocol.graph import Act, OutcomeClass, Protocol, State

__all__ = ("CommonGround", "Conversation", "Frame", "Held", "Item", "Outcome", "Rules", "Said", "state_hash")


@dataclass(frozen=True)
class Rules:
    """The laws of a conversation: its protocol and the overlays that may run on it."""

    protocol: Protocol
    overlays: Mapping[str, Protocol] = field(default_factory=dict[str, Protocol])
    _fitted: dict[tuple[str, str], Protocol] = field(
        default_factory=dict[tuple[str, str], Protocol], repr=False
    )

    def overlay(self, name: str, label: str) -> Protocol:
        """Return an overlay fitted to an act: its `fields: any` take the types of the act's critical fields."""
        fitted = self._fitted.get((name, label))
        if fitted is None:
            fitted = self._fitted[name, label] = _fit(self.overlays[name], self.protocol.acts[label])
        return fitted

    @property
    def repairs_in_all(self) -> int:
        """Repairs that a conversation may spend."""
        limits = self.protocol.limits
        return max(3, self.protocol.bound // 5) if limits.repairs_in_all is None else limits.repairs_in_all


def _fit(overlay: Protocol, act: Act) -> Protocol:
    if overlay.overlay is None or overlay.overlay.on != "readback" or not act.readback:
        return overlay
    whole = {name: act.fields[name] for name in act.readback}
    some = {name: msgspec.structs.replace(kind, optional=True) for name, kind in whole.items()}
    acts: dict[str, Act] = {}
    for label, made in overlay.acts.items():
        kind = made.fields.get("fields")
        if kind is not None and kind.kind == "any":
            first = overlay.states[overlay.start].moves
            fitted = FieldType("map", fields=whole if label in first else some)
            acts[label] = replace_dataclass(made, fields={**made.fields, "fields": fitted})
        else:
            acts[label] = made
    states = {
        name: replace_dataclass(
            state,
            moves={
                label: replace_dataclass(move, act=acts[move.act.label])
                for label, move in state.moves.items()
            },
        )
        for name, state in overlay.states.items()
    }
    return replace_dataclass(overlay, acts=acts, states=states)


class Said(msgspec.Struct, frozen=True):
    """The latest saying of one act."""

    message: Message
    grounded: bool
    evidence: tuple[str, ...]
    n: int


class Held(msgspec.Struct, frozen=True):
    """A contribution whose evidence is still to come; what depends on it waits."""

    message: Message
    state: str


class Outcome(msgspec.Struct, frozen=True):
    """How it ended."""

    name: str
    kind: OutcomeClass
    cause: str


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """An overlay that is running; the state beneath is frozen."""

    overlay: str
    position: str
    sender: str
    """Who said what it is about."""
    hearer: str
    it: Message
    pending: bool
    """`it` is not on record yet; success commits it."""
    fields: Mapping[str, Any]
    """`it.fields` as meant now: corrections are in."""
    said: Mapping[str, Any]
    """Content of the overlay's own acts by label."""
    used: Mapping[str, int]
    deadline: float
    left: float
    """Seconds that the frozen state still had."""
    rest: tuple[str, ...] = ()
    """Hearers who are yet to read back."""
    repairing: bool = False
    trouble: tuple[Difference, ...] = ()


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One enactment of a protocol.

    `step` is the only way to change it. What grows with the talk lives in persistent maps, so that a step costs the same
    however long the talk is.
    """

    rules: Rules
    id: str
    position: str
    deadline: float
    """Seconds since the opening at which the state expires."""
    whole: float
    """Seconds since the opening at which the conversation expires."""
    owner: str
    at: float = 0.0
    """Time of the last input."""
    n: int = 0
    """Messages on record."""
    misfires: int = 0
    spent: int = 0
    """Repairs used in the conversation."""
    seen: "HashTrieMap[str, Message]" = msgspec.field(default_factory=HashTrieMap)
    said: "HashTrieMap[str, Said]" = msgspec.field(default_factory=HashTrieMap)
    last: "HashTrieMap[str, str]" = msgspec.field(default_factory=HashTrieMap)
    """Role -> id of the message it heard last."""
    used: "HashTrieMap[str, int]" = msgspec.field(default_factory=HashTrieMap)
    """Budget -> times used."""
    repairs: "HashTrieMap[str, int]" = msgspec.field(default_factory=HashTrieMap)
    """State and act -> repairs used on it since the position last changed."""
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    held: tuple[Held, ...] = ()
    troubles: tuple[Difference, ...] = ()
    """What the last repair was about, until the talk moves on."""
    expired: str = ""
    """The state that expired last."""
    latest: str = ""
    """Id of the message committed last."""
    frame: Frame | None = None
    checkpoint: "Conversation | None" = None
    """The conversation before the last message was committed."""
    outcome: Outcome | None = None

    @property
    def protocol(self) -> Protocol:
        """The protocol it enacts."""
        return self.rules.protocol

    @property
    def state(self) -> State:
        """The state it is in.

        Raises:
            KeyError: If it has ended.
        """
        return self.rules.protocol.states[self.position]

    @property
    def ground(self) -> "CommonGround":
        """The common ground."""
        return CommonGround(self)


class Item(msgspec.Struct, frozen=True):
    """One value of the common ground, and where it comes from."""

    value: Any
    by: str
    act: str
    message: str
    evidence: tuple[str, ...]


class CommonGround:
    """What both sides have shown to share, with the evidence.

    `ground["price"]` is the value grounded last under this name; `ground["propose.price"]` that of one act.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._said = conversation.said

    def item(self, name: str) -> Item | None:
        """Return the value with its source, or None."""
        label, _, only = name.rpartition(".")
        best: Said | None = None
        for act, said in self._said.items():
            if said.grounded and (not label or act == label) and (best is None or said.n > best.n):
                content = said.message.content
                if getattr(content, only, None) is not None:
                    best = said
        if best is None:
            return None
        message = best.message
        return Item(getattr(message.content, only), message.sender, message.act, message.id, best.evidence)

    def __getitem__(self, name: str) -> Any:
        found = self.item(name)
        if found is None:
            raise KeyError(f"{name!r} is not common ground; there is {', '.join(self) or 'nothing yet'}")
        return found.value

    def __contains__(self, name: str) -> bool:
        return self.item(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Yield `act.field` for every grounded value, in the order it was said."""
        for said in sorted((s for s in self._said.values() if s.grounded), key=lambda s: s.n):
            for name, value in (entries_of(said.message.content) or {}).items():
                if value is not None:
                    yield f"{said.message.act}.{name}"

    def as_dict(self) -> dict[str, Any]:
        """Return `act.field` -> plain value."""
        return {name: to_plain(self[name]) for name in self}


def state_hash(conversation: Conversation) -> str:
    """Return the `sha256:` of everything that is the case; equal after a replay. Costs as much as the record is long."""
    view = {
        name: getattr(conversation, name)
        for name in conversation.__struct_fields__
        if name not in {"rules", "checkpoint", "whole"}
    }
    view["protocol"] = conversation.protocol.hash
    view["whole"] = str(conversation.whole)
    view["checkpoint"] = conversation.checkpoint.n if conversation.checkpoint else -1
    data = msgspec.json.encode(view, enc_hook=_encode, order="deterministic")
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _encode(value: Any) -> Any:
    if isinstance(value, HashTrieMap):
        return dict(sorted(value.items()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportUnknownVariableType]
    return to_plain(value)
