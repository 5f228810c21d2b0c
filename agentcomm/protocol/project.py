"""Project a protocol on one role: what that role says and hears, as a protocol of its own.

By determinisation: a local state is the set of places in which the conversation may be, as far as the role can know from what
it said and heard. What it neither says nor hears, and deadlines of others, pass unseen. Where such a set asks different things of
the role, it cannot play its part from what it hears alone: that is a doubt, and the protocol is not proven implementable. The
condition is sufficient and polynomial in practice, not necessary (deciding it exactly is co-NP-complete, Li et al. 2025).

Of a many-role it is the member's view of its own lane; of a role shared by lanes it is the view of one lane.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from agentcomm.errors import UsageError
from agentcomm.protocol.arcs import Arc, Arcs, steps, way
from agentcomm.protocol.findings import joined, near
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.merging import offers
from agentcomm.protocol.view import Doubt, DoubtKind, LocalMove, LocalProtocol, LocalState

__all__ = ("doubts_of", "project")

STATES = 20_000
"""Local states that are made at most."""
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
    return _Projection(protocol, role, arcs).look()


_Key = tuple[str, str]
"""Label and speaker: what a role can tell messages apart by."""
_Places = frozenset[int]


@dataclass(slots=True)
class _Seen:
    """One message as the role knows it, from all places in which it may be said."""

    move: Move
    nexts: list[int] = field(default_factory=list[int])
    thens: list[int] = field(default_factory=list[int])
    moves: list[Move] = field(default_factory=list[Move])


@dataclass(slots=True)
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
    party: list[list[bool]] = field(default_factory=list[list[bool]])
    """By place, for each of its arcs: whether the role says or hears it."""
    is_named: bool = True
    """Whether the sets have names."""
    effort: int = 0

    def look(self) -> tuple[Doubt, ...]:
        """Return the doubts."""
        self.is_named = False
        self._begin()
        done = 0
        while done < len(self.sets) and done <= STATES:
            places = self.sets[done]
            if not self._is_over(places) and done < STATES:
                self._look(done, places)
            done += 1
        self._check_size()
        return tuple(self.doubts)

    def _look(self, number: int, places: _Places) -> None:
        seen = self._seen(places)
        self._check(number, places, seen)
        for key, entry in seen.items():
            if self._is_counted(entry):
                self._set(entry.nexts, number, key)
                if entry.thens:
                    self._set(entry.thens, number, key)
            else:
                self._set([*entry.nexts, *entry.thens], number, key)
        states, names = self.protocol.states, self.arcs.names
        own = [
            place
            for place in sorted(places)
            if place < len(states) and self.role in states[names[place]].speakers
        ]
        ends = [target for place in own for target in self.arcs.targets[place][self.arcs.deadlines[place] :]]
        if ends:
            self._set(ends, number, None)

    def _begin(self) -> int:
        self.party = self.arcs.said.each(
            lambda by: [move is not None and self._is_party(move) for move in by]
        )
        self._find_silent()
        self.effort = EFFORT * sum(map(len, self.arcs.targets))
        return self._set([self.arcs.start], 0, None)

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
                kinds = dict.fromkeys(protocol.outcomes[arcs.names[place]] for place in sorted(places))
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

    def _find_silent(self) -> None:
        arcs, states = self.arcs, [*self.protocol.states.values()]
        for place, (leads, takes) in enumerate(zip(arcs.targets, self.party, strict=True)):
            first = arcs.deadlines[place]
            silent = [target for target, take in zip(leads[:first], takes, strict=False) if not take]
            if len(leads) > first and self.role not in states[place].speakers:
                silent += leads[first:]
            self.silent.append(silent)

    def _is_party(self, move: Move) -> bool:
        return self.role == move.speaker or self.role in move.to

    def _closure(self, places: Iterable[int]) -> _Places:
        queue = list(places)
        seen = set(queue)
        for place in queue:
            for target in self.silent[place]:
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
        return frozenset(seen)

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
        return all(place >= len(self.protocol.states) for place in places)

    def _named(self, places: Iterable[int]) -> frozenset[str]:
        return frozenset(self.arcs.names[place] for place in places)

    def _name(self, places: _Places) -> str:
        """Return a name after the states in which the role has a part, else after all."""
        names, states = self.arcs.names, self.protocol.states
        taking_part = [
            names[place]
            for place in sorted(places)
            if names[place] in states
            and any(self._is_party(move) for move in states[names[place]].moves.values())
        ]
        chosen = taking_part or [names[place] for place in sorted(places)]
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
        for place in sorted(places):
            row = self.arcs.moves[place]
            targets = self.arcs.targets[place]
            for position, takes in enumerate(self.party[place]):
                move = row[position]
                if not takes or move is None:
                    continue
                key = move.act.label, move.speaker
                entry = found.get(key)
                if entry is None:
                    entry = found[key] = _Seen(move)
                target = targets[position]
                if position and row[position - 1] is move:
                    entry.thens.append(target)
                else:
                    entry.nexts.append(target)
                    entry.moves.append(move)
        return found

    # --- doubts ---

    def _check(self, number: int, places: _Places, seen: Mapping[_Key, _Seen]) -> None:
        states, names = self.protocol.states, self.arcs.names
        live = [states[names[place]] for place in sorted(places) if names[place] in states]
        own = [state for state in live if self.role in state.speakers]
        waiting = [state for state in live if self.role not in state.speakers]
        if races := [state for state in own if len(state.speakers) > 1]:
            self._doubt(
                "race", [races[0].name], f"in '{races[0].name}' {joined(races[0].speakers)} race",
                "which of them came first is decided by one log, which nobody has alone",
                "let one role speak in a state", number,
            )  # fmt: skip
        elif own and waiting:
            self._doubt(
                "turn", [own[0].name, waiting[0].name],
                f"{self.role} cannot tell '{own[0].name}', where it speaks, from '{waiting[0].name}', where it waits",
                f"what leads from one to the other is neither said nor heard by {self.role}",
                f"add {self.role} to the `to` of what leads to '{own[0].name}'", number,
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

    def _check_end(self, number: int, places: _Places) -> None:
        """Doubt where others may have ended what the role still waits in."""
        arcs, outcomes = self.arcs, self.protocol.outcomes
        if not any(self.role in move.to for place in places for move in arcs.moves[place] if move):
            return
        for place in sorted(places):
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
        if not any(doubt.kind == "size" for doubt in self.doubts):
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
        key = (kind, what if kind == "end" else frozenset(named))
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
