"""Whether a role knows enough, looked at quickly: places that it may confuse are merged, and what follows from them.

Near linear, and on the safe side: merged are at least the places that a projection has in one set, so that where nothing is
amiss with what is merged, the projection has no doubt. Where something is, it is looked at more closely. Source: the contraction
of what a role does not observe, by union and find (Tarjan 1975).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agentcomm.protocol.arcs import Arcs, Said
from agentcomm.protocol.graph import Protocol, State

__all__ = ("is_unsure", "knowing", "offered", "offers")

_Key = tuple[str, str, bool]
"""Label and speaker, what a role can tell messages apart by, and whether it leads on by `then`."""
_DEADLINE: _Key = ("", "", False)
_END = -1
"""An outcome: nothing follows from it."""


def offers(state: State) -> set[tuple[str, tuple[str, ...]]]:
    """Return what may be said in a state, and to whom."""
    return {(move.label, move.to) for move in state.moves.values()}


def offered(said: Said, place: int) -> frozenset[tuple[str, tuple[str, ...]]]:
    """Return the same of a place."""
    return frozenset((move.act.label, move.to) for kind in said.row(place) if (move := said.kinds[kind]))


def knowing(protocol: Protocol, arcs: Arcs) -> set[str]:
    """Return the roles that know at any time where the conversation is, until it ends: each hears everything."""
    states = protocol.states.values()
    if any(len(state.speakers) > 1 for state in states):  # a race
        return set()
    many = len(states)
    found = set(protocol.roles)
    for move in arcs.said.kinds:
        if move and len(move.to) + 1 < len(protocol.roles):
            found &= {move.speaker, *move.to}
    if found:
        for state, leads, first in zip(states, arcs.targets, arcs.deadlines, strict=False):
            if first < len(leads) and any(target < many for target in leads[first:]):
                found &= set(state.speakers)
    return found


def is_unsure(protocol: Protocol, arcs: Arcs, role: str, *, alone: bool) -> bool:
    """Say whether a role may take one place for another in a way that matters.

    Args:
        protocol: The protocol.
        arcs: Its graph.
        role: One of its roles.
        alone: It is told of nothing but messages. Else a runtime tells it of deadlines, its turn and the end, and all that
            matters is whether it has other things to say.
    """
    merged = _Merged(protocol, arcs, role, alone=alone)
    merged.read()
    if not merged.same and not merged.ended:  # it hears everything
        return alone and any(len(state.speakers) > 1 for state in protocol.states.values())
    merged.merge()
    return merged.is_unsure()


@dataclass(slots=True)
class _Merged:
    protocol: Protocol
    arcs: Arcs
    role: str
    alone: bool
    parent: list[int] = field(default_factory=list[int])
    seen: list[dict[_Key, int]] = field(default_factory=list[dict[_Key, int]])
    """By place: where the messages lead that the role says or hears there."""
    same: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Places that cannot be told apart, still to be merged."""
    ended: set[int] = field(default_factory=set[int])
    """Places where others may end the conversation, and the role does not hear it."""

    def read(self) -> None:
        """Find what the role says and hears at each state, and what it passes by."""
        role, alone, same, ended = self.role, self.alone, self.same, self.ended
        said, states = self.arcs.said, self.protocol.states
        many = len(states)
        self.parent = list(range(many))

        def heard(row: tuple[int, ...]) -> list[tuple[int, _Key | None]]:
            """Return what is said there by position, None what the role does not hear."""
            found: list[tuple[int, _Key | None]] = []
            for position, kind in enumerate(row):
                if move := said.kinds[kind]:
                    takes = role == move.speaker or role in move.to
                    key = (move.act.label, move.speaker, position > 0 and row[position - 1] == kind)
                    found.append((position, key if takes else None))
            return found

        rows = zip(states.values(), self.arcs.targets, said.each(heard), strict=False)
        for place, (state, leads, row) in enumerate(rows):
            mine: dict[_Key, int] = {}
            for position, key in row:
                target = leads[position]
                if key is not None:
                    mine[key] = target if target < many else _END
                elif target < many:
                    same.append((place, target))
                else:
                    ended.add(place)
            for target in leads[len(row) :] if alone else ():
                goal = target if target < many else _END
                if role not in state.speakers:
                    same += [(place, target)] if goal != _END else []
                    continue
                known = mine.setdefault(_DEADLINE, goal)
                if known != goal:  # several deadlines: of the state, and of what runs there
                    mine[_DEADLINE] = max(known, goal)
                    same += [(known, goal)] if min(known, goal) != _END else []
            self.seen.append(mine)

    def find(self, place: int) -> int:
        """Return the place that stands for all that a place is merged with."""
        parent = self.parent
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    def merge(self) -> None:
        """Merge what cannot be told apart, and what the same message leads to from there."""
        same, seen, parent = self.same, self.seen, self.parent
        while same:
            one, other = map(self.find, same.pop())
            if one == other:
                continue
            if len(seen[one]) < len(seen[other]):
                one, other = other, one
            parent[other] = one
            here = seen[one]
            for key, target in seen[other].items():
                known = here.get(key)
                if known is None:
                    here[key] = target
                    continue
                ends = [known, target]
                if key != _DEADLINE:  # said in two places, how often is not known: a `then` is not told apart
                    label, speaker, _ = key
                    ends += [
                        table[then]
                        for table in (here, seen[other])
                        for then in ((label, speaker, True), (label, speaker, False))
                        if then in table
                    ]
                states = [end for end in dict.fromkeys(ends) if end != _END]
                same += [(states[0], end) for end in states[1:]]
                if states:
                    here[key] = states[0]

    def is_unsure(self) -> bool:
        """Say whether something is amiss with places that were merged."""
        groups: dict[int, list[State]] = {}
        ended = {self.find(place) for place in self.ended}
        for place, state in enumerate(self.protocol.states.values()):
            groups.setdefault(self.find(place), []).append(state)
        return any(self._is_amiss(group, root, ends=root in ended) for root, group in groups.items())

    def _is_amiss(self, group: list[State], root: int, *, ends: bool) -> bool:
        own = [state for state in group if self.role in state.speakers]
        if not self.alone:
            return len(own) > 1 and _differ(own)
        if own:
            return len(own) < len(group) or len(own[0].speakers) > 1 or (len(own) > 1 and _differ(own))
        speakers = {speaker for _, speaker, _ in self.seen[root]}
        return len(speakers) > 1 or (ends and bool(speakers))


def _differ(states: Iterable[State]) -> bool:
    first, *others = map(offers, states)
    return any(other != first for other in others)
