"""The laws of a conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_dataclass
from functools import cached_property
from typing import Any

import msgspec

from agentcomm.acts.content import FieldType
from agentcomm.conversation.plans import Plan
from agentcomm.grounding.choice import Choice
from agentcomm.protocol.bound import longest
from agentcomm.protocol.graph import Act, Criterion, Limits, Move, Protocol, Stakes, State

__all__ = ("REPAIR_OVERLAYS", "Rules", "is_demonstrated", "readback_of")

_DEMONSTRATED = (Criterion.DEMONSTRATED, Criterion.READBACK_AND_DEMONSTRATED)
REPAIR_OVERLAYS = ("repair", "not-understood")
"""Overlays that a hearer may open instead of answering."""


_PATIENCE = Limits().reply_within


@dataclass(frozen=True)
class Rules:
    """The laws of a conversation: its protocol and the overlays that may run on it."""

    protocol: Protocol
    overlays: Mapping[str, Protocol] = field(default_factory=dict[str, Protocol])
    choice: Choice | None = None
    """How to choose whether something is read back where the protocol leaves that open; without it, stakes alone say."""
    judge: str = ""
    """Name of the judge of demonstrations; empty if there is none."""
    human: bool = False
    """Somebody outside the protocol's roles is there, `human`, to decide what two cannot mend."""
    role: str = ""
    """Whose conversation it is, where one role takes part alone; what the others refer to may then be unheard."""
    _fitted: dict[tuple[str, str, tuple[str, ...]], Protocol] = field(
        default_factory=dict[tuple[str, str, tuple[str, ...]], Protocol], repr=False, compare=False
    )
    _exits: dict[tuple[str, str, str, tuple[str, ...]], tuple[Move, ...]] = field(
        default_factory=dict[tuple[str, str, str, tuple[str, ...]], tuple[Move, ...]],
        repr=False,
        compare=False,
    )

    kept: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What others have worked out from these rules, once for all conversations."""

    def overlay(self, name: str, label: str, fields: tuple[str, ...] = ()) -> Protocol:
        """Return an overlay fitted to an act: in a read-back, `fields: any` takes the types of the act's `fields`."""
        if not fields:
            return self.overlays[name]
        fitted = self._fitted.get((name, label, fields))
        if fitted is None:
            made = _fit(self.overlays[name], self.protocol.acts[label], fields)
            fitted = self._fitted[name, label, fields] = made
        return fitted

    def lasts(self, name: str, state: State) -> float:
        """Return how many seconds a step of an overlay may take.

        As many as the overlay says, or as `limits.reply_within` where the protocol is more patient than it would be without a word;
        of an overlay that the protocol names itself, exactly what that says.
        """
        patience = self.protocol.limits.reply_within
        if patience <= _PATIENCE or self.protocol.overlays.get(name) is not None:
            return state.within
        return max(state.within, patience)

    def exits(
        self, state: State, role: str, sender: str, names: tuple[str, ...] = REPAIR_OVERLAYS
    ) -> tuple[Move, ...]:
        """Return how a role can say in a state that it did not understand `sender`: first moves of overlays."""
        found = self._exits.get((state.name, role, sender, names))
        if found is None:
            first = [
                move
                for overlay in map(self.overlays.get, names)
                if overlay is not None and overlay.overlay is not None
                for move in overlay.states[overlay.start].moves.values()
            ]
            found = self._exits[state.name, role, sender, names] = tuple(
                msgspec.structs.replace(move, speaker=role, to=(sender,))
                for move in first
                if move.label not in state.moves and move.label != "give-up"
            )
        return found

    @cached_property
    def plain(self) -> Mapping[tuple[str, str], Move]:
        """State and act -> a move of which nothing has to be checked but who makes it and what it carries.

        It has no condition, no budget that could close it, no count and no value to repeat, and takes effect as soon as it is said.
        """
        return {
            (state.name, label): move
            for state in self.protocol.states.values()
            for label, move in state.moves.items()
            if not (
                move.when
                or move.given
                or move.for_all
                or state.gather
                or (move.max is not None and not move.then)
                or move.at_most is not None
                or move.next in self.capped
                or move.act.repeats
                or self.choice is not None
                or readback_of(move)
                or is_demonstrated(move)
            )
        }

    @cached_property
    def plans(self) -> Mapping[tuple[str, str], Plan]:
        """State and act -> what the move does that says it there, if it takes effect as soon as it is said."""
        protocol = self.protocol
        if protocol.runs or self.choice is not None:
            return {}
        return {
            (state.name, label): Plan(
                protocol,
                move,
                is_plain=(state.name, label) in self.plain,
                is_capped=bool(self.capped),
            )
            for state in protocol.states.values()
            for label, move in state.moves.items()
            if not ((move.max is not None and move.for_all) or move.owner or move.act.repeats)
            and not (readback_of(move) or is_demonstrated(move))
            and (
                move.act.criterion is not Criterion.RELEVANT
                or {move.next, move.then or move.next} <= protocol.outcomes.keys()
            )
        }

    @cached_property
    def authority(self) -> str:
        """Who decides what two cannot mend: `limits.escalate_to`, else `human` where one is there; empty if nobody does."""
        if "escalate" not in self.overlays:
            return ""
        return self.protocol.limits.escalate_to or ("human" if self.human else "")

    @cached_property
    def capped(self) -> Mapping[str, int]:
        """State -> how many lanes may stand in it at once, where that is bounded."""
        found: dict[str, int] = {}
        for state in self.protocol.states.values():
            for move in state.moves.values():
                if move.at_once is not None:
                    found[move.next] = min(move.at_once, found.get(move.next, move.at_once))
        return found

    @cached_property
    def claims(self) -> bool:
        """Whether moves or states of lanes are counted."""
        states = self.protocol.states.values()
        return bool(self.capped) or any(m.at_most is not None for s in states for m in s.moves.values())

    @cached_property
    def of_run(self) -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Run -> the budgets and the acts that belong to it, those of runs within it included."""
        found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        for name in self.protocol.runs:
            inside = (name, f"{name}/")
            states = [
                s for s in self.protocol.states.values() if s.region == name or s.region.startswith(inside[1])
            ]
            moves = [move for state in states for move in state.moves.values()]
            found[name] = (
                tuple(move.key for move in moves),
                tuple(dict.fromkeys(move.label for move in moves)),
            )
        return found

    @cached_property
    def compared(self) -> frozenset[str]:
        """Acts whose critical values are all repeated by a later act, or filled in there, so that code compares them when they are used."""
        moves = [move for state in self.protocol.states.values() for move in state.moves.values()]
        used = {(ref.act, ref.field) for act in self.protocol.acts.values() for ref in act.repeats.values()}
        used |= {(ref.act, ref.field) for move in moves for ref in move.given.values()}
        return frozenset(
            label
            for label, act in self.protocol.acts.items()
            if act.critical and all((label, name) in used for name in act.critical)
        )

    def may_read_back(self, move: Move) -> bool:
        """Say whether a move may have to be read back before it counts."""
        return bool(readback_of(move) or (self.choice is not None and move.act.critical))

    @property
    def repairs_in_all(self) -> int:
        """Repairs that a conversation may spend."""
        limits = self.protocol.limits
        return max(3, self.protocol.bound // 5) if limits.repairs_in_all is None else limits.repairs_in_all

    @cached_property
    def bound(self) -> int:
        """The longest possible conversation in messages, read-backs and repairs included.

        A message costs 1, and R more for each hearer who reads it back. With W the longest talk at these prices, M the dearest
        message, S the repairs in all and O the messages of one repair, it is `W + S (M + O) + C`: a repair takes back at most one
        message, which is then said and read back again, and a read-back that differs costs a repair, too, as do a standby and an
        escalation. C are the messages of one attempt to cancel, in every lane.
        """
        back, shown = self._length("read-back"), self._length("demonstrate")

        protocol = self.protocol

        def cost(move: Move) -> int:
            lanes = protocol.members[1] if move.for_all else 1
            each = (back if self.may_read_back(move) else 0) + (shown if is_demonstrated(move) else 0)
            return 1 + lanes * len(move.to) * each

        dearest = max(cost(move) for state in protocol.states.values() for move in state.moves.values())
        repair = max(map(self._length, ("repair", "not-understood", "escalate", "standby")))
        lanes = protocol.members[1] if protocol.many else 1
        cancel = lanes * len(protocol.roles) if "cancel" in self.overlays else 0
        return protocol.bound_with(cost) + self.repairs_in_all * (dearest + repair) + cancel

    def _length(self, overlay: str) -> int:
        """Return the messages in an overlay whose budgets are used up; each of their moves is paid for by a repair."""
        protocol = self.overlays.get(overlay)
        if protocol is None:
            return 0
        rows = {
            name: (
                [(move.next, None if move.max is None else 0, move.then) for move in state.moves.values()],
                state.otherwise,
            )
            for name, state in protocol.states.items()
        }
        return longest(rows, protocol.start)


def readback_of(move: Move) -> tuple[str, ...]:
    """Return the fields that are read back before this move counts: the act's, and the critical ones where stakes are high."""
    act = move.act
    if move.stakes is None or move.stakes in (Stakes.LOW, Stakes.NORMAL):
        return act.readback
    return tuple(dict.fromkeys((*act.readback, *act.critical)))


def is_demonstrated(move: Move) -> bool:
    """Say whether the hearers show what they understood, and a judge says whether that is what was meant."""
    return move.act.criterion in _DEMONSTRATED or move.stakes is Stakes.IRREVERSIBLE


def _fit(overlay: Protocol, act: Act, names: tuple[str, ...]) -> Protocol:
    if overlay.overlay is None or overlay.overlay.on != "readback" or not names:
        return overlay
    whole = {name: act.fields[name] for name in names}
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
        name: msgspec.structs.replace(
            state,
            moves={
                label: msgspec.structs.replace(move, act=acts[move.act.label])
                for label, move in state.moves.items()
            },
        )
        for name, state in overlay.states.items()
    }
    return replace_dataclass(overlay, acts=acts, states=states)
