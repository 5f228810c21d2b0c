"""Ways of grounding that the laboratory compares: none, an "ok", reading everything back, what the protocol says, by expected cost.

Each is made by rewriting a protocol's tables; the core that enacts them is always the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_dataclass
from typing import Protocol as Interface

import msgspec

from agentcomm.acts.performative import Performative
from agentcomm.conversation.rules import Rules
from agentcomm.grounding.choice import Choice
from agentcomm.protocol.graph import Act, Criterion, Move, Protocol, Stakes, State
from agentcomm.protocol.library import load
from agentcomm.runtime.enact import rules_for

__all__ = ("JUDGE", "POLICIES", "Adaptive", "Costs", "Fixed", "Policy", "policy_of", "staked")

JUDGE = "laboratory"
"""Name of the scripted judge."""
ACKNOWLEDGE = "acknowledged"
_WEAK = (Criterion.NONE, Criterion.DELIVERED)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What counts against each other, in turns."""

    loss: float
    """Acting on a misunderstanding."""
    late: float | None = None
    """A misunderstanding that is found out when its value is to be used; None where it is not found out."""
    turn: float = 1.0
    failed: float = 10.0
    """Nothing done: the matter goes to somebody else."""


class Policy(Interface):
    """A way of grounding. It may learn from one conversation for the next."""

    name: str

    def rules(self) -> Rules:
        """Return the laws of the next conversation."""
        ...

    def learn(self, counted: Sequence[tuple[str, bool]]) -> None:
        """Take in what a conversation counted: what was understood, and what was not."""
        ...


@dataclass
class Fixed:
    """The same rules for every conversation."""

    name: str
    given: Rules

    def rules(self) -> Rules:
        """Return the laws of the next conversation."""
        return self.given

    def learn(self, counted: Sequence[tuple[str, bool]]) -> None:
        """Learn nothing."""


@dataclass
class Adaptive:
    """Read back where that is expected to cost less, as the core chooses; what was counted in one talk is known in the next."""

    name: str
    given: Rules

    def rules(self) -> Rules:
        """Return the laws of the next conversation."""
        return self.given

    def learn(self, counted: Sequence[tuple[str, bool]]) -> None:
        """Take in what a conversation counted."""
        if self.given.choice is not None and counted:
            self.given = replace_dataclass(self.given, choice=self.given.choice.learned(counted))


def staked(protocol: Protocol, stakes: Stakes | None, *, is_seen: bool) -> Protocol:
    """Return a protocol with other stakes for all that is critical, and with or without the comparison of what is used.

    Args:
        protocol: Any.
        stakes: None for its own.
        is_seen: Whether `repeats` stays.
    """

    def rewritten(act: Act) -> Act:
        if not is_seen:
            act = replace_dataclass(act, repeats={})
        if stakes is None or not act.critical:
            return act
        if stakes not in (Stakes.HIGH, Stakes.IRREVERSIBLE):
            return replace_dataclass(_as_said(act), stakes=stakes)
        made = replace_dataclass(_read_back(act), stakes=stakes)
        if stakes is Stakes.IRREVERSIBLE:
            return replace_dataclass(made, criterion=Criterion.READBACK_AND_DEMONSTRATED)
        return made

    return _with_acts(protocol, rewritten, keeps_stakes=stakes is None)


def _off(protocol: Protocol) -> Rules:
    """Return rules under which everything counts as it is said; nothing is compared."""
    return Rules(_with_acts(protocol, lambda act: replace_dataclass(_as_said(act), repeats={})))


def _acknowledged(protocol: Protocol) -> Rules:
    """Return rules under which the hearers of what is critical say `acknowledged`; nothing is compared."""
    asked = {label for label, act in protocol.acts.items() if act.critical or act.readback}
    bare = _with_acts(protocol, lambda act: replace_dataclass(_as_said(act), repeats={}))
    label = ACKNOWLEDGE if ACKNOWLEDGE not in bare.acts else f"{ACKNOWLEDGE}-by-hearer"
    ok = Act(label, Performative.CONFIRM, {})
    states: dict[str, State] = {}
    for name, state in bare.states.items():
        moves: dict[str, Move] = {}
        for move in state.moves.values():
            target = move.next
            if move.label in asked and not move.for_all:
                for number, hearer in enumerate(reversed(move.to)):
                    made = f"{name}--{move.label}--{label}-{number}"
                    answer = Move(made, ok, hearer, (move.speaker,), target)
                    states[made] = msgspec.structs.replace(
                        state, name=made, speakers=(hearer,), moves={label: answer}, gather=False, first=""
                    )
                    target = made
            moves[move.label] = msgspec.structs.replace(move, next=target)
        states[name] = msgspec.structs.replace(state, moves=moves)
    return Rules(replace_dataclass(bare, acts={**bare.acts, label: ok}, states=states))


def _always(protocol: Protocol) -> Rules:
    """Return rules under which every critical field is read back."""
    return rules_for(_with_acts(protocol, lambda act: _read_back(act) if act.critical else act))


def _trusting(protocol: Protocol) -> Rules:
    """Return rules under which nothing is read back; what is used is still compared."""
    return rules_for(_with_acts(protocol, _as_said))


def _with_acts(
    protocol: Protocol, rewritten: Callable[[Act], Act], *, keeps_stakes: bool = False
) -> Protocol:
    acts = {label: rewritten(act) for label, act in protocol.acts.items()}
    states = {
        name: msgspec.structs.replace(
            state,
            moves={
                label: msgspec.structs.replace(
                    move, act=acts[move.act.label], stakes=move.stakes if keeps_stakes else None
                )
                for label, move in state.moves.items()
            },
        )
        for name, state in protocol.states.items()
    }
    return replace_dataclass(protocol, acts=acts, states=states)


def _as_said(act: Act) -> Act:
    """Return an act that counts as it is said."""
    criterion = act.criterion if act.criterion in (*_WEAK, Criterion.RELEVANT) else Criterion.DELIVERED
    return replace_dataclass(act, criterion=criterion, readback=(), declared=())


def _read_back(act: Act) -> Act:
    names = tuple(dict.fromkeys((*act.readback, *act.critical)))
    return replace_dataclass(act, criterion=Criterion.READBACK, readback=names)


def _judged(protocol: Protocol, choice: Choice | None = None) -> Rules:
    rules = rules_for(protocol)
    overlays = {
        **rules.overlays,
        "demonstrate": rules.overlays.get("demonstrate") or load("_overlays/demonstrate"),
    }
    return replace_dataclass(rules, overlays=overlays, choice=choice, judge=JUDGE)


POLICIES: Mapping[str, Callable[[Protocol], Policy]] = {
    "off": lambda protocol: Fixed("off", _off(protocol)),
    "acknowledge": lambda protocol: Fixed("acknowledge", _acknowledged(protocol)),
    "never": lambda protocol: Fixed("never", _trusting(protocol)),
    "always": lambda protocol: Fixed("always", _always(protocol)),
    "declared": lambda protocol: Fixed("declared", _judged(protocol)),
    "adaptive": lambda protocol: Adaptive("adaptive", _judged(protocol, Choice())),
}
"""Every way of grounding by name, made of a protocol: nothing is compared; the hearer says that it understood; nothing is read
back, and what is used is compared; every critical field is read back; what the protocol and the stakes say; by expected cost."""


def policy_of(name: str, protocol: Protocol) -> Policy:
    """Return a way of grounding a protocol."""
    return POLICIES[name](protocol)
