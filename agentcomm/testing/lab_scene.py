"""What the laboratory needs to know of a protocol: which acts act on what, which moves lead to a good end; and its own exchange."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from agentcomm.conversation.rules import readback_of
from agentcomm.protocol.graph import Act, Move, OutcomeClass, Protocol, Stakes
from agentcomm.testing.lab_policies import staked

__all__ = ("LABORATORY", "Scene", "laboratory")

_WELL = (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL)

LABORATORY = """
agentcomm: 1
protocol: laboratory
version: 1
about: One asks for a deed with all its values; the other says with which values it acts, acts, and tells.

roles: [asker, doer]

types:
  Amount: {is: quantity, unit: mg, minimum: 1 mg, maximum: 900 mg}

acts:
  request:
    content: {item: id, amount: Amount, price: money, at: datetime, wait: duration, express: bool, sites: list of id, intent: text}
    critical: [item, amount, price, at, wait, express, sites]
  agree:   {}
  refuse:  {reason: text}
  perform:
    act: inform
    content: {item: id, amount: Amount, price: money, at: datetime, wait: duration, express: bool, sites: list of id}
  done:    {act: inform, content: {}, discharges: request}
  failure: {reason: text}

grounding:
  perform:                                    # what is used is compared with what was asked for
    repeats:
      item: request.item
      amount: request.amount
      price: request.price
      at: request.at
      wait: request.wait
      express: request.express
      sites: request.sites

states:
  asking:    {asker: {request: asked}}
  asked:     {doer: {agree: agreed, refuse: refused}}
  agreed:    {doer: {perform: performed, failure: failed}}
  performed: {doer: {done: done, failure: failed}}

outcomes: {done: success, refused: refused, failed: failed, expired: expired}
"""


def laboratory() -> Protocol:
    """Return the laboratory's own exchange: request, agree, the deed with the values it is done with, done."""
    from agentcomm.protocol.library import loads

    return loads(LABORATORY)


@dataclass(frozen=True)
class Scene:
    """A protocol as the laboratory plays it."""

    protocol: Protocol
    stakes: Stakes | None = None
    """What a misunderstanding costs, instead of what the protocol says."""
    is_seen: bool = True
    """Whether the values that are used pass through an act that is compared (`repeats`); else the deed is done outside."""

    judge_detects: float = 0.9
    """How often the scripted judge finds out that a demonstration shows a misunderstanding."""
    judge_alarms: float = 0.02
    """How often it finds one where there is none."""

    @cached_property
    def declared(self) -> Protocol:
        """The protocol with these stakes, and with or without the comparison of what is used."""
        return staked(self.protocol, self.stakes, is_seen=self.is_seen)

    @cached_property
    def takes(self) -> Mapping[str, Mapping[str, tuple[str, str]]]:
        """Act -> field -> the act and the field that its value is taken from."""
        return {label: self._sources(act) for label, act in self.protocol.acts.items()}

    def _sources(self, act: Act) -> dict[str, tuple[str, str]]:
        if act.repeats:
            return {name: (ref.act, ref.field) for name, ref in act.repeats.items()}
        speakers = self.speakers.get(act.label, set())
        found: dict[str, tuple[str, str]] = {}
        for label, other in self.protocol.acts.items():
            if label == act.label or not self.critical(other) or self.speakers.get(label, set()) & speakers:
                continue
            for name in self.critical(other):
                if name in act.fields and act.fields[name].kind == other.fields[name].kind:
                    found.setdefault(name, (label, name))
        return found

    @cached_property
    def speakers(self) -> Mapping[str, set[str]]:
        """Act -> who says it."""
        found: dict[str, set[str]] = {}
        for move in self._moves():
            found.setdefault(move.label, set()).add(move.speaker)
        return found

    def _moves(self) -> list[Move]:
        return [move for state in self.protocol.states.values() for move in state.moves.values()]

    def critical(self, act: Act) -> tuple[str, ...]:
        """Return the fields of an act that matter: the critical ones, or all of an act that has a commitment to it."""
        return act.critical or act.readback

    @cached_property
    def deeds(self) -> frozenset[str]:
        """Acts by which a role acts on what it understood: those that use values of others, else those that discharge."""
        used = {label for label, fields in self.takes.items() if fields}
        if used:
            return frozenset(used)
        ending = {m.label for m in self._moves() if self.protocol.outcomes.get(m.next) in _WELL}
        discharging = {label for label, act in self.protocol.acts.items() if act.discharges}
        return frozenset(discharging or ending)

    @cached_property
    def guarded(self) -> frozenset[str]:
        """Acts that the protocol with these stakes has read back."""
        moves = (move for state in self.declared.states.values() for move in state.moves.values())
        return frozenset(move.label for move in moves if readback_of(move))

    @cached_property
    def ranks(self) -> Mapping[str, tuple[str, ...]]:
        """State -> its acts, those on the shortest way to a good end first."""
        distance = self._distances()
        far = len(self.protocol.states) + 1
        return {
            name: tuple(
                sorted(state.moves, key=lambda label, s=state: distance.get(s.moves[label].next, far))
            )
            for name, state in self.protocol.states.items()
        }

    def _distances(self) -> dict[str, int]:
        """Return how many moves each place is away from a good end."""
        before: dict[str, list[str]] = {}
        for move in self._moves():
            for target in filter(None, (move.next, move.then)):
                before.setdefault(target, []).append(move.state)
        found = {name: 0 for name, kind in self.protocol.outcomes.items() if kind in _WELL}
        waiting = deque(found)
        while waiting:
            place = waiting.popleft()
            for state in before.get(place, ()):
                if state not in found:
                    found[state] = found[place] + 1
                    waiting.append(state)
        return found
