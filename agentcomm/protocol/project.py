"""Project a protocol on one role: what that role says and hears, as a protocol of its own.

By determinisation: a local state is the set of places in which the conversation may be, as far as the role can know from what
it said and heard. What it neither says nor hears, and deadlines of others, pass unseen. Where such a set asks different things of
the role, it cannot play its part from what it hears alone: that is a doubt, and the protocol is not proven implementable. The
condition is sufficient and polynomial in practice, not necessary (deciding it exactly is co-NP-complete, Li et al. 2025).

Of a many-role it is the member's view of its own lane; of a role shared by lanes it is the view of one lane.
"""

from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from agentcomm.errors import UsageError
from agentcomm.protocol.arcs import Arc, Arcs, steps, way
from agentcomm.protocol.findings import joined, near
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.merging import is_unsure, offered, offers
from agentcomm.protocol.view import Doubt, DoubtKind, LocalMove, LocalProtocol, LocalState

__all__ = ("doubts_of", "project")

STATES = 20_000
"""Local states that are made at most."""
MUCH = 4
"""So many times each place is looked at, in one set or another, before a quick look is asked whether that is needed."""
_WITNESSED = 20
"""Doubts that are told with the way there."""
EFFORT = 20
"""How often each arc is looked at in search of messages that overtake each other."""


def project(protocol: Protocol, role: str) -> LocalProtocol:
    """Return a protocol as one role sees it; its `doubts` say where it may not know enough.

    Args:
        protocol: The protocol.
        role: One of its roles.

    Raises:
        UsageError: If it has no such role.
    """
    if role not in protocol.roles:
        raise UsageError(f"'{protocol.name}' has no role '{role}'", fix=near(role, protocol.roles))
    return _Projection(protocol, role, Arcs.of(protocol)).run()


def doubts_of(protocol: Protocol, role: str, arcs: Arcs) -> tuple[Doubt, ...]:
    """Return where a role may not know enough, without making its view.

    Args:
        protocol: The protocol.
        role: One of its roles.
        arcs: Its graph.
    """
    return _Projection(protocol, role, arcs, is_named=False).look()


_Key = tuple[str, str]
"""Label and speaker: what a role can tell messages apart by."""
_Places = tuple[int, ...]
"""A set of places in rising order; states stand before outcomes."""
_At = tuple[int, int]
"""An arc of a set: which of its places, and the position there."""


@dataclass(slots=True)
class _Seen:
    """One message as the role knows it, from all places in which it may be said."""

    move: Move
    nexts: list[int] = field(default_factory=list[int])
    thens: list[int] = field(default_factory=list[int])
    moves: list[Move] = field(default_factory=list[Move])


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows where the role is in places that say just this; worked out once, whatever they lead to."""

    steps: list[tuple[_Key | None, list[_At], list[_At]]]
    """By message: where it leads while it may be said, and by `then`. Last, without a key, the role's own deadlines."""
    is_amiss: bool
    """Whether the role cannot know what is asked of it."""
    may_cross: bool
    """Whether it waits for more than one."""
    unheard: list[_At]
    """What it does not hear, where it waits for something."""


@dataclass
class _Projection:
    protocol: Protocol
    role: str
    arcs: Arcs
    number: dict[_Places, int] = field(default_factory=dict[_Places, int])
    sets: list[_Places] = field(default_factory=list[_Places])
    names: list[str] = field(default_factory=list[str])
    came: list[tuple[int, _Key | None]] = field(default_factory=list[tuple[int, _Key | None]])
    """The set before, and what was said or heard on the way; None: the role's own deadline."""
    used: set[str] = field(default_factory=set[str])
    doubts: list[Doubt] = field(default_factory=list[Doubt])
    told: set[tuple[str, object]] = field(default_factory=set[tuple[str, object]])
    silent: list[list[int]] = field(default_factory=list[list[int]])
    """By place: where it may lead without the role knowing."""
    taken: list[list[tuple[int, _Key, bool]]] = field(default_factory=list[list[tuple[int, _Key, bool]]])
    """By place, what the role says or hears there: the position, what it is known by, and whether it is a `then`."""
    signs: list[int] = field(default_factory=list[int])
    """By place: what it says, and whether the role speaks there, alone or in a race; where it is the same, so is all that it says."""
    plans: dict[_Places, _Plan] = field(default_factory=dict[_Places, _Plan])
    """By the signs of the states of a set."""
    alone: list[int] = field(default_factory=list[int])
    """By place: the set that the role is in when it is led there and nowhere else; -1 where it was not yet."""
    is_named: bool = True
    """Whether the sets have names."""
    effort: int = 0

    def look(self) -> tuple[Doubt, ...]:
        """Return the doubts."""
        self._begin()
        count = len(self.protocol.states)
        much = MUCH * len(self.arcs.names)
        done = looked = 0
        while done < len(self.sets) and done < STATES:
            places = self.sets[done]
            looked += len(places)
            if looked > much and self.is_sure:
                return ()
            if places[0] < count:
                self._look(done, places if places[-1] < count else places[: bisect(places, count - 1)])
            done += 1
        self._check_size()
        return tuple(self.doubts)

    def _look(self, number: int, states: _Places) -> None:
        """Check a set, and find those that follow; `states` are its places but the outcomes."""
        signs = tuple([self.signs[place] for place in states])
        plan = self.plans.get(signs)
        if plan is None:
            plan = self.plans[signs] = self._plan(states)
        targets, alone = self.arcs.targets, self.alone
        if (
            plan.is_amiss
            or (plan.may_cross and self._is_open(states, plan))
            or (plan.unheard and number and self._may_end(states, plan))
        ):
            self._check(number, self.sets[number], self._seen(states))
        for key, *ways in plan.steps:
            for way_on in ways:
                if len(way_on) == 1:  # nearly all of them
                    which, position = way_on[0]
                    target = targets[states[which]][position]
                    if alone[target] < 0:
                        alone[target] = self._set((target,), number, key)
                elif way_on:
                    self._set([targets[states[which]][position] for which, position in way_on], number, key)

    def _plan(self, states: _Places) -> _Plan:
        found: dict[_Key, tuple[list[_At], list[_At]]] = {}
        own = [place for place in states if self.signs[place] % 3]
        ends: list[_At] = []
        unheard: list[_At] = []
        for which, place in enumerate(states):
            row = self.arcs.said.row(place)
            taken = {position for position, _, _ in self.taken[place]}
            for position, key, is_then in self.taken[place]:
                found.setdefault(key, ([], []))[is_then].append((which, position))
            for position, kind in enumerate(row):
                if not kind and self.signs[place] % 3:
                    ends.append((which, position))
                elif kind and position not in taken:
                    unheard.append((which, position))
        steps: list[tuple[_Key | None, list[_At], list[_At]]] = [
            (key, nexts, thens) if len(nexts) == 1 else (key, [*nexts, *thens], [])
            for key, (nexts, thens) in found.items()
        ]
        return _Plan(
            steps=[*steps, (None, ends, [])] if ends else steps,
            is_amiss=any(self.signs[place] % 3 > 1 for place in own)
            or 0 < len(own) < len(states)
            or len({offered(self.arcs.said, place) for place in own}) > 1,
            may_cross=not own and len({speaker for _, speaker in found}) > 1,
            unheard=[] if own or not self._hears(states) else unheard,
        )

    def _hears(self, places: Iterable[int]) -> bool:
        kinds = self.arcs.said.kinds
        return any(
            move is not None and self.role in move.to
            for place in places
            for move in map(kinds.__getitem__, self.arcs.said.row(place))
        )

    def _may_end(self, states: _Places, plan: _Plan) -> bool:
        """Whether something that the role does not hear leads from some states to an outcome."""
        targets, count = self.arcs.targets, len(self.protocol.states)
        return any(targets[states[which]][position] >= count for which, position in plan.unheard)

    def _is_open(self, states: _Places, plan: _Plan) -> bool:
        """Whether something else may be said to the role after one of the messages it waits for, before it speaks."""
        targets = self.arcs.targets
        return not all(
            self._is_calm(targets[states[which]][position])
            for _, nexts, thens in plan.steps
            for which, position in (*nexts, *thens)
        )

    def _is_calm(self, place: int) -> bool:
        """Whether nothing is said after a place before the role speaks."""
        count = len(self.protocol.states)
        return place >= count or (
            self.signs[place] % 3 == 1
            and all(target >= count for target in self.arcs.targets[place][self.arcs.deadlines[place] :])
        )

    def _begin(self) -> int:
        said, role = self.arcs.said, self.role
        party = said.worth(self._is_party, nothing=False)
        keys = said.worth(lambda move: (move.act.label, move.speaker), ("", ""))
        self.taken = said.each(
            lambda row: [
                (position, keys[kind], position > 0 and row[position - 1] == kind)
                for position, kind in enumerate(row)
                if party[kind]
            ]
        )
        parts = [
            0 if role not in speakers else 1 if len(speakers) == 1 else 2
            for speakers in (state.speakers for state in self.protocol.states.values())
        ]
        self.signs = [3 * number + part for number, part in zip(said.at, parts, strict=False)]
        self._find_silent(party)
        self.alone = [-1] * len(self.arcs.names)
        self.effort = EFFORT * sum(map(len, self.arcs.targets))
        return self._set([self.arcs.start], 0, None)

    @cached_property
    def is_sure(self) -> bool:
        """Whether a quick look that merges places finds nothing either: then a long one is not needed."""
        return not is_unsure(self.protocol, self.arcs, self.role, alone=True)

    def _check_size(self) -> None:
        if len(self.sets) > STATES:
            self._doubt(
                "size", (), f"{self.role} has more than {STATES} local states", "the rest was not looked at",
                "let the role hear more of what is said", 0,
            )  # fmt: skip

    def run(self) -> LocalProtocol:
        """Return the view, with the doubts."""
        protocol, arcs = self.protocol, self.arcs
        start = self._begin()
        states: dict[str, LocalState] = {}
        outcomes: dict[str, str] = {}
        done = 0
        while done < len(self.sets):
            places = self.sets[done]
            if self._is_over(places):
                kinds = dict.fromkeys(protocol.outcomes[arcs.names[place]] for place in places)
                outcomes[self.names[done]] = " or ".join(kinds)
            elif done >= STATES:
                states[self.names[done]] = LocalState(self.names[done], "", {}, self._named(places))
            else:
                states[self.names[done]] = self._state(done, places)
            done += 1
        self._check_size()
        return LocalProtocol(
            protocol.name, protocol.version, self.role, protocol.roles, states, self.names[start], outcomes,
            tuple(self.doubts), protocol,
        )  # fmt: skip

    # --- sets of places ---

    def _find_silent(self, party: Sequence[bool]) -> None:
        arcs = self.arcs
        passing = arcs.said.each(
            lambda row: [position for position, kind in enumerate(row) if kind and not party[kind]]
        )
        self.silent = [
            [leads[position] for position in row] for leads, row in zip(arcs.targets, passing, strict=True)
        ]
        for place, (sign, first) in enumerate(zip(self.signs, arcs.deadlines, strict=False)):
            if not sign % 3:
                self.silent[place] += arcs.targets[place][first:]

    def _is_party(self, move: Move) -> bool:
        return self.role == move.speaker or self.role in move.to

    def _closure(self, places: Iterable[int]) -> _Places:
        queue = [*dict.fromkeys(places)]
        if len(queue) == 1 and not self.silent[queue[0]]:
            return (queue[0],)
        seen = set(queue)
        for place in queue:
            for target in self.silent[place]:
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
        return tuple(sorted(queue))

    def _set(self, places: Iterable[int], before: int, key: _Key | None) -> int:
        closed = self._closure(places)
        found = self.number.get(closed)
        if found is None:
            found = self.number[closed] = len(self.sets)
            self.sets.append(closed)
            if self.is_named:
                self.names.append(self._name(closed))
            self.came.append((before, key))
        return found

    def _is_over(self, places: _Places) -> bool:
        return places[0] >= len(self.protocol.states)

    def _named(self, places: Iterable[int]) -> frozenset[str]:
        return frozenset(self.arcs.names[place] for place in places)

    def _name(self, places: _Places) -> str:
        """Return a name after the states in which the role has a part, else after all."""
        names, states = self.arcs.names, self.protocol.states
        taking_part = [
            names[place]
            for place in places
            if names[place] in states
            and any(self._is_party(move) for move in states[names[place]].moves.values())
        ]
        chosen = taking_part or [names[place] for place in places]
        name = "|".join(chosen[:3]) + ("|…" if len(chosen) > 3 else "")  # noqa: PLR2004
        if name in self.used:
            name = next(
                other for n in range(2, len(self.used) + 3) if (other := f"{name}~{n}") not in self.used
            )
        self.used.add(name)
        return name

    # --- one local state ---

    def _state(self, number: int, places: _Places) -> LocalState:
        states = [
            self.protocol.states[name] for name in sorted(self._named(places) & self.protocol.states.keys())
        ]
        own = [state for state in states if self.role in state.speakers]
        seen = self._seen(places)
        name = self.names[number]
        self._check(number, places, seen)
        moves: dict[str, LocalMove] = {}
        for key, entry in seen.items():
            move = entry.move
            counted = self._is_counted(entry)
            following = entry.nexts if counted else [*entry.nexts, *entry.thens]
            local = LocalMove(
                state=name,
                act=move.act,
                speaker=move.speaker,
                to=move.to,
                next=self.names[self._set(following, number, key)],
                is_sent=move.speaker == self.role,
                max=move.max if counted else None,
                then=self.names[self._set(entry.thens, number, key)] if counted and entry.thens else "",
                owner=move.owner,
                moves=tuple(entry.moves),
            )
            moves[local.label] = local
        otherwise = ""
        if own:
            ends = [target for state in own for target, move in self._row(state.name) if move is None]
            otherwise = self.names[self._set(ends, number, None)] if ends else ""
        heard = next((move.speaker for move in moves.values()), "")
        return LocalState(
            name=name,
            speaker=self.role if own else heard,
            moves=moves,
            places=self._named(places),
            within=min((state.within for state in own), default=0.0),
            otherwise=otherwise,
            gather=any(state.gather for state in own),
            in_lane=any(state.in_lane for state in states),
        )

    @staticmethod
    def _is_counted(entry: _Seen) -> bool:
        """Whether the role can count how often it was said: it is one move."""
        return len(entry.moves) == 1

    def _row(self, name: str) -> Iterable[tuple[int, Move | None]]:
        place = self.arcs.number[name]
        return zip(self.arcs.targets[place], self.arcs.moves[place], strict=True)

    def _seen(self, places: _Places) -> dict[_Key, _Seen]:
        """Return what the role may say or hear in any of some places."""
        found: dict[_Key, _Seen] = {}
        for place in places:
            row, targets = self.arcs.moves[place], self.arcs.targets[place]
            for position, key, is_then in self.taken[place]:
                move = row[position]
                if move is None:  # pragma: no cover  (a deadline is not said)
                    continue
                entry = found.get(key)
                if entry is None:
                    entry = found[key] = _Seen(move)
                if is_then:
                    entry.thens.append(targets[position])
                else:
                    entry.nexts.append(targets[position])
                    entry.moves.append(move)
        return found

    # --- doubts ---

    def _check(self, number: int, places: _Places, seen: Mapping[_Key, _Seen]) -> None:
        states, names = self.protocol.states, self.arcs.names
        live = [states[names[place]] for place in places if names[place] in states]
        own = [state for state in live if self.role in state.speakers]
        waiting = [state for state in live if self.role not in state.speakers]
        if races := [state for state in own if len(state.speakers) > 1]:
            self._doubt(
                "race", [races[0].name], f"in '{races[0].name}' {joined(races[0].speakers)} race",
                "which of them came first is decided by one log, which nobody has alone",
                "let one role speak in a state", number,
            )  # fmt: skip
        elif own and waiting:
            by_time = self._is_by_time(places, own[0].name)
            self._doubt(
                "turn", [own[0].name, waiting[0].name],
                f"{self.role} cannot tell '{own[0].name}', where it speaks, from '{waiting[0].name}', where it waits",
                f"a deadline of another leads to '{own[0].name}', and no message tells {self.role} that it is up"
                if by_time
                else f"what leads from one to the other is neither said nor heard by {self.role}",
                f"let that deadline lead to an outcome, or to a state in which {self.role} is told"
                if by_time
                else f"add {self.role} to the `to` of what leads to '{own[0].name}'", number,
            )  # fmt: skip
        elif other := next((state for state in own if offers(state) != offers(own[0])), None):
            self._doubt(
                "obligations", [own[0].name, other.name],
                f"{self.role} cannot tell '{own[0].name}' from '{other.name}', and has other things to say there",
                f"{self.role} said and heard the same on the ways to both",
                f"add {self.role} to the `to` of what leads there, or give it labels of its own on each way", number,
            )  # fmt: skip
        elif not own:
            self._check_crossing(number, places, seen)
        if number and live and not own:
            self._check_end(number, places)

    def _is_by_time(self, places: _Places, name: str) -> bool:
        """Whether it is only deadlines by which the role comes to a state from others without knowing."""
        arcs, goal = self.arcs, self.arcs.number[name]
        silent = [
            arcs.moves[place][position]
            for place in places
            for position, target in enumerate(arcs.targets[place])
            if target == goal and self._passes(place, arcs.moves[place][position])
        ]
        return bool(silent) and not any(silent)

    def _check_end(self, number: int, places: _Places) -> None:
        """Doubt where others may have ended what the role still waits in."""
        arcs, outcomes = self.arcs, self.protocol.outcomes
        if not self._hears(places):
            return
        for place in places:
            for position, (target, move) in enumerate(
                zip(arcs.targets[place], arcs.moves[place], strict=True)
            ):
                end = arcs.names[target]
                if move is None or self._is_party(move) or end not in outcomes:
                    continue
                region = self.protocol.states[move.state].region.partition("/")[0]
                self._doubt(
                    "end", [move.state, end], f"{self.role} may wait for ever: it is not told of '{end}'",
                    f"'{move.label}' ends it in '{move.state}', and {self.role} does not hear that",
                    f"let '{region}' lead to a state in which {self.role} is told, and that to '{end}'"
                    if region
                    else f"add {self.role} to the `to` of '{move.label}' in '{move.state}'", number,
                    last=arcs.arc(place, position),
                )  # fmt: skip
                return

    def _check_crossing(self, number: int, places: _Places, heard: Mapping[_Key, _Seen]) -> None:
        """Doubt where two senders are waited for, and the message of one may overtake the other's."""
        if len({speaker for _, speaker in heard}) < 2:  # noqa: PLR2004
            return None
        for (label, speaker), entry in heard.items():
            queue = [*entry.nexts, *entry.thens]
            seen = set(queue)
            for place in queue:
                row = zip(self.arcs.targets[place], self.arcs.moves[place], strict=True)
                for position, (target, move) in enumerate(row):
                    self.effort -= 1
                    if move and move.speaker == self.role:
                        continue
                    if (
                        move
                        and move.speaker != speaker
                        and self.role in move.to
                        and (move.label, move.speaker) in heard
                    ):
                        self._doubt(
                            "crossing", [self.arcs.names[place], *sorted(self._named(places))[:1]],
                            f"{self.role} may hear '{move.label}' of {move.speaker} before '{label}' of {speaker}",
                            "both may be under way at once, and it waits for either",
                            f"let {self.role} answer '{label}' before {move.speaker} speaks, or use another label", number,
                            found=partial(self._way_to_both, entry, place, position),
                        )  # fmt: skip
                        return None
                    if target not in seen:
                        seen.add(target)
                        queue.append(target)
                if self.effort < 0:
                    return self._tell_effort(number)
        return None

    def _way_to_both(self, entry: _Seen, place: int, last: int) -> list[Arc]:
        """Return a short way on which a message is said, and then, without a word of the role, what an arc of a place says."""
        arcs = self.arcs
        ways: list[list[Arc]] = []
        for move in entry.moves:
            source = arcs.number[move.state]
            position = arcs.moves[source].index(move)
            on = way(arcs, arcs.targets[source][position], place, avoid=self._is_mine)
            if on is not None:
                ways.append([*arcs.to(source), arcs.arc(source, position), *on, arcs.arc(place, last)])
        return min(ways, key=len) if ways else []

    def _is_mine(self, arc: Arc) -> bool:
        return arc.move is not None and arc.move.speaker == self.role

    def _tell_effort(self, number: int) -> None:
        if not self.is_sure and not any(doubt.kind == "size" for doubt in self.doubts):
            self._doubt(
                "size", (), f"whether messages to {self.role} overtake each other was not looked at everywhere",
                "there are too many ways", "let the role wait for one speaker at a time", number,
            )  # fmt: skip

    def _doubt(
        self,
        kind: DoubtKind,
        places: Iterable[str],
        what: str,
        why: str,
        fix: str,
        number: int,
        *,
        last: Arc | None = None,
        found: Callable[[], list[Arc]] | None = None,
    ) -> None:
        named = tuple(dict.fromkeys(places))
        key = (kind, what if kind == "end" else named[0] if kind == "turn" else frozenset(named))
        if key in self.told:
            return
        self.told.add(key)
        goal = last.source if last else named[0] if named else ""
        if (
            len(self.doubts) >= _WITNESSED
        ):  # nobody reads so many ways, and each is looked for in the whole graph
            way_there: list[Arc] = []
        elif found is not None:
            way_there = found()
        else:
            way_there = self._way(number, self.arcs.number[goal]) if goal else []
        witness = steps([*way_there, *([last] if last else [])])
        self.doubts.append(Doubt(kind, self.role, named, what, why, fix, witness))

    def _way(self, number: int, goal: int) -> list[Arc]:
        """Return the shortest way to a place on which the role says and hears what led to a set."""
        history: list[_Key | None] = []
        while number:
            number, key = self.came[number]
            history.append(key)
        history.reverse()
        first = (self.arcs.start, 0)
        came: dict[tuple[int, int], tuple[tuple[int, int], Arc] | None] = {first: None}
        queue: deque[tuple[int, int]] = deque([first])
        while queue:
            here = queue.popleft()
            place, heard = here
            if place == goal and heard == len(history):
                return _back(came, here)
            for position, (target, move) in enumerate(
                zip(self.arcs.targets[place], self.arcs.moves[place], strict=True)
            ):
                passes = self._passes(place, move)
                if passes:
                    there = (target, heard)
                elif heard < len(history) and history[heard] == (
                    (move.label, move.speaker) if move else None
                ):
                    there = (target, heard + 1)
                else:
                    continue
                if there not in came:
                    came[there] = here, self.arcs.arc(place, position)
                    queue.append(there)
        return []

    def _passes(self, place: int, move: Move | None) -> bool:
        """Whether an arc passes without the role knowing."""
        if move:
            return not self._is_party(move)
        return self.role not in self.protocol.states[self.arcs.names[place]].speakers


def _back(
    came: Mapping[tuple[int, int], tuple[tuple[int, int], Arc] | None], end: tuple[int, int]
) -> list[Arc]:
    found: list[Arc] = []
    while (before := came[end]) is not None:
        end, arc = before
        found.append(arc)
    return found[::-1]
