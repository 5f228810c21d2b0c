"""Look through the runs of a protocol whose roles run alone: the optional, bounded model check (`--deep`).

Each role plays its projection; between any two parties there is one queue of bounded length; a many-role has a few members, each in
a lane with its own instance of every shared role, joined at gathers and by what lanes count together. Every order in which things
can happen is looked at, breadth first, up to a number of places and seconds. Deadlines are moves of whoever owns the state.
Conditions on values are not looked at: a move with `when` may be made or not. What was left out is said in the result.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentcomm.protocol.arcs import state_mark
from agentcomm.protocol.findings import NOWHERE, Finding, Kind, Report
from agentcomm.protocol.graph import Mark, Protocol
from agentcomm.protocol.project import project
from agentcomm.protocol.view import LocalMove, LocalProtocol

__all__ = ("Deep", "check_deep", "deep")

LANES = 2
QUEUE = 2
STATES = 200_000
_TURN = "turn of {}"
"""Count that holds the lanes in which a role at a gather has not made its move yet, as bits."""


@dataclass(frozen=True, slots=True)
class Deep:
    """What came of looking through the runs."""

    findings: tuple[Finding, ...]
    explored: int
    """Places of the whole system that were looked at."""
    complete: bool
    """Whether these were all, for so many lanes and such queues."""


def deep(protocol: Protocol, lanes: int = LANES, queue: int = QUEUE, states: int = STATES) -> Deep:
    """Return what goes wrong when the roles of a protocol run alone, with the run that leads there.

    Args:
        protocol: The protocol; it should have no errors.
        lanes: Members of a many-role.
        queue: Messages under way between two parties.
        states: Places of the whole system that are looked at.
    """
    report = Report(protocol.path, protocol.text.splitlines())
    explored, complete = check_deep(protocol, report, lanes=lanes, queue=queue, states=states)
    return Deep(tuple(report.found), explored, complete)


def check_deep(
    protocol: Protocol, report: Report, *, lanes: int = LANES, queue: int = QUEUE, states: int = STATES
) -> tuple[int, bool]:
    """Add I901: what goes wrong when the roles run alone, and what was looked at.

    Returns:
        How many places were looked at, and whether these were all.
    """
    search = _Search(protocol, lanes if protocol.many else 1, queue, states)
    search.run()
    for trouble in search.troubles:
        report.add(
            "I901",
            trouble.kind,
            _mark(protocol, trouble.place),
            trouble.what,
            why=trouble.why,
            fix=trouble.fix,
            witness=trouble.witness,
        )
    members = f" with {search.lanes} lanes" if protocol.many else ""
    left = search.left_out()
    report.add(
        "I901",
        "other",
        NOWHERE,
        f"{search.explored} places of the roles running alone{members} were looked at"
        + ("" if search.complete else ", not all"),
        why="not looked at: " + "; ".join(left) if left else "",
        fix="nothing is to be mended"
        if search.complete
        else "what is not found in so many places may still be there",
    )
    return search.explored, search.complete


def _mark(protocol: Protocol, place: str) -> Mark:
    """Return where a local state stands in the document: the first of its places that does."""
    for name in place.partition("~")[0].split("|"):
        if name in protocol.states:
            return state_mark(protocol, name)
        if found := protocol.marks.get(f"outcomes.{name}"):
            return found
    return NOWHERE


@dataclass(frozen=True, slots=True)
class _Trouble:
    kind: Kind
    place: str
    what: str
    why: str
    fix: str
    witness: tuple[str, ...]


_Party = tuple[int, str]
"""Lane and role: one instance of a role."""
_Queue = tuple[str, ...]
_Node = tuple[tuple[str, ...], tuple[tuple[int, _Queue], ...], tuple[tuple[str, int], ...]]
"""Local state of each party; messages under way by pair of parties; counts: budgets used, `at_most` used."""
_Step = tuple[str, _Node]
"""What happens, and what is then."""


@dataclass(slots=True)
class _Search:
    protocol: Protocol
    lanes: int
    queue: int
    states: int
    views: dict[str, LocalProtocol] = field(default_factory=dict[str, LocalProtocol])
    parties: list[_Party] = field(default_factory=list[_Party])
    number: dict[_Party, int] = field(default_factory=dict[_Party, int])
    explored: int = 0
    complete: bool = True
    is_full: bool = False
    troubles: list[_Trouble] = field(default_factory=list[_Trouble])
    came: dict[_Node, tuple[_Node, str] | None] = field(
        default_factory=dict[_Node, "tuple[_Node, str] | None"]
    )
    told: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def run(self) -> None:
        self.views = {role: project(self.protocol, role) for role in self.protocol.roles}
        self.parties = [(lane, role) for lane in range(self.lanes) for role in self.protocol.roles]
        self.number = {party: number for number, party in enumerate(self.parties)}
        start: _Node = (tuple(self.views[role].start for _, role in self.parties), (), ())
        self.came[start] = None
        waiting: deque[_Node] = deque([start])
        while waiting:
            if self.explored >= self.states:
                self.complete = False
                return
            node = waiting.popleft()
            self.explored += 1
            moved = False
            for step, following in self._steps(node):
                moved = True
                if following not in self.came:
                    self.came[following] = node, step
                    waiting.append(following)
            if not moved:
                self._judge(node)

    def left_out(self) -> list[str]:
        """Return what was not looked at, in words."""
        moves = [move for state in self.protocol.states.values() for move in state.moves.values()]
        found: list[str] = []
        if not self.complete:
            found.append(f"what comes after {self.states} places")
        if self.protocol.many and self.protocol.members[1] > self.lanes:
            found.append(f"more than {self.lanes} lanes")
        if self.is_full:
            found.append(f"more than {self.queue} messages under way between two parties")
        if any(move.when or move.act.repeats for move in moves):
            found.append("whether values meet a condition")
        if any(view.doubts for view in self.views.values()):
            found.append("roles are played as far as they can be, see E304 to E306")
        return found

    # --- what can happen ---

    def _steps(self, node: _Node) -> Iterator[_Step]:
        """Yield what can happen next."""
        locals_, queues, counts = node
        pending = dict(queues)
        for number, (lane, role) in enumerate(self.parties):
            state = self.views[role].states.get(locals_[number])
            if state is None:
                continue
            sends = [move for move in state.moves.values() if move.is_sent]
            together = self._together(node, number)
            if sends and together and (not state.gather or self._is_open(node, lane, role)):
                for move in sends:
                    lanes = together if self._said(move, "for_all") or not state.in_lane else [lane]
                    if lane == lanes[0] and (following := self._say(node, role, lanes, move)):
                        yield following
                lanes = [lane] if state.in_lane else together
                if state.otherwise and lane == lanes[0]:
                    after, used = locals_, dict(counts)
                    for other in lanes:
                        after = _put(after, self.number[other, role], state.otherwise)
                    self._leave_gather(node, role, lanes, used)
                    yield (
                        f"{state.name} --else--> {state.otherwise}{self._lane(lanes)}",
                        (after, queues, tuple(sorted(used.items()))),
                    )
            yield from self._hear(node, number, pending)

    def _together(self, node: _Node, number: int) -> list[int]:
        """Return the lanes that stand where one of them stands; none where lanes have not begun, and not all are there yet."""
        lane, role = self.parties[number]
        here = node[0][number]
        found = [other for other in range(self.lanes) if node[0][self.number[other, role]] == here]
        state = self.views[role].states[here]
        return found if state.in_lane or len(found) == self.lanes or lane not in found else []

    def _lane(self, lanes: Sequence[int]) -> str:
        if self.lanes == 1 or len(lanes) > 1:
            return ""
        return f" in lane {lanes[0] + 1}"

    def _is_open(self, node: _Node, lane: int, role: str) -> bool:
        """Whether a gather is open for a lane: every lane that goes on stands at one, or did so when this turn began."""
        locals_, queues, counts = node
        states = self.views[role].states
        if (turn := dict(counts).get(_TURN.format(role))) is not None:
            return bool(turn >> lane & 1)
        for place in range(self.lanes):
            mine = self.number[place, role]
            local = locals_[mine]
            if local not in states or states[local].gather:
                continue
            is_over = any(
                locals_[self.number[place, other]] in view.outcomes for other, view in self.views.items()
            )
            if not is_over or any(pair % len(self.parties) == mine for pair, _ in queues):
                return False
        return True

    def _leave_gather(self, node: _Node, role: str, lanes: Sequence[int], used: dict[str, int]) -> None:
        """Count down the lanes in which a shared role still has a move in its turn."""
        states, key = self.views[role].states, _TURN.format(role)
        places = [node[0][self.number[lane, role]] for lane in range(self.lanes)]
        if not (places[lanes[0]] in states and states[places[lanes[0]]].gather):
            return
        waiting = used.get(key)
        if waiting is None:
            waiting = sum(
                1 << lane for lane, place in enumerate(places) if place in states and states[place].gather
            )
        for lane in lanes:
            waiting &= ~(1 << lane)
        if waiting:
            used[key] = waiting
        else:
            used.pop(key, None)

    def _say(self, node: _Node, role: str, lanes: Sequence[int], move: LocalMove) -> _Step | None:
        locals_, queues, counts = node
        used, pending, target = dict(counts), dict(queues), move.next
        if move.max is not None:
            budget = f"{lanes[0] if len(lanes) == 1 else 'all'}:{role}:{move.state}/{move.label}"
            if used.get(budget, 0) < move.max:
                used[budget] = used.get(budget, 0) + 1
            elif move.then:
                target = move.then
            else:
                return None
        if (most := self._said(move, "at_most")) is not None:
            if used.get(move.act.label, 0) + len(lanes) > most:
                return None
            used[move.act.label] = used.get(move.act.label, 0) + len(lanes)
        if (most := self._said(move, "at_once")) is not None:
            there = sum(locals_[self.number[lane, role]] == target for lane in range(self.lanes))
            if there + len(lanes) > most:
                return None
        self._leave_gather(node, role, lanes, used)
        for lane in lanes:
            locals_ = _put(locals_, self.number[lane, role], target)
            for hearer in move.to:
                pair = self.number[lane, role] * len(self.parties) + self.number[lane, hearer]
                line = pending.get(pair, ())
                if len(line) >= self.queue:
                    self.is_full = True
                    return None
                pending[pair] = (*line, move.act.label)
        step = f"{move.state} --{move.act.label}--> {target}{self._lane(lanes)}"
        return step, (locals_, tuple(sorted(pending.items())), tuple(sorted(used.items())))

    def _said(self, move: LocalMove, what: Literal["for_all", "at_most", "at_once"]) -> int | None:
        """Return what the move says of lanes, as the protocol has it."""
        for place in self.views[move.speaker].states[move.state].places:
            state = self.protocol.states.get(place)
            if state and (said := state.moves.get(move.act.label)):
                return {"for_all": said.for_all or None, "at_most": said.at_most, "at_once": said.at_once}[
                    what
                ]
        return None

    def _hear(self, node: _Node, number: int, pending: Mapping[int, _Queue]) -> Iterator[_Step]:
        locals_, _, counts = node
        lane, role = self.parties[number]
        state = self.views[role].states[locals_[number]]
        for pair, line in pending.items():
            sender, hearer = divmod(pair, len(self.parties))
            speaker = self.parties[sender][1]
            heard = state.moves.get(f"{speaker}?{line[0]}") if hearer == number else None
            if heard is None:
                continue
            rest = {**pending, pair: line[1:]}
            if not line[1:]:
                del rest[pair]
            used, target = dict(counts), heard.next
            if heard.max is not None:
                budget = f"{lane}:{role}:{heard.state}/{heard.label}"
                if used.get(budget, 0) < heard.max:
                    used[budget] = used.get(budget, 0) + 1
                else:
                    target = heard.then or heard.next
            yield (
                f"{role} hears {line[0]} of {speaker}{self._lane([lane])}",
                (_put(locals_, number, target), tuple(sorted(rest.items())), tuple(sorted(used.items()))),
            )

    # --- what goes wrong ---

    def _judge(self, node: _Node) -> None:
        """Tell of what is wrong where nothing can happen any more."""
        locals_, queues, _ = node
        for pair, line in queues:
            sender, hearer = (self.parties[number] for number in divmod(pair, len(self.parties)))
            local = locals_[self.number[hearer]]
            where = f"it stands in '{local}'{self._lane([hearer[0]])}"
            is_waiting = local in self.views[hearer[1]].states
            self._add(
                "stuck_receive" if is_waiting else "orphan_message",
                local,
                f"{hearer[1]} does not expect '{line[0]}' of {sender[1]}"
                if is_waiting
                else f"'{line[0]}' of {sender[1]} comes when all is over for {hearer[1]}",
                where,
                f"let {hearer[1]} hear what led there, or wait for one speaker at a time",
                node,
            )
            return
        for number, (lane, role) in enumerate(self.parties):
            state = self.views[role].states.get(locals_[number])
            if state is None or (
                any(place in self.protocol.outcomes for place in state.places)
                and not any(move.is_sent for move in state.moves.values())
            ):
                continue  # it is over, or may be, as far as it knows
            self._add(
                "starvation" if state.gather else "stuck_receive",
                state.name,
                f"{role} waits for ever in '{state.name}'{self._lane([lane])}",
                "its gather never opens, or every lane's move is used up"
                if state.gather
                else "nobody will speak to it any more",
                "give every lane a way on to a gather or an outcome"
                if state.gather
                else f"let {role} hear how it ends",
                node,
            )
            return

    def _add(self, kind: Kind, place: str, what: str, why: str, fix: str, node: _Node) -> None:
        if (kind, place) in self.told:
            return
        self.told.add((kind, place))
        run: list[str] = []
        while (before := self.came[node]) is not None:
            node, step = before
            run.append(step)
        self.troubles.append(_Trouble(kind, place, what, why, fix, tuple(run[::-1])))


def _put(values: tuple[str, ...], number: int, value: str) -> tuple[str, ...]:
    return (*values[:number], value, *values[number + 1 :])
