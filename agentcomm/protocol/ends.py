"""Where a conversation can get to and whether it ends: reachability, ends and loops.

networkx tells which states hang together in a mistake; where there is none, it is not imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentcomm.protocol.arcs import Arc, Arcs, breadth_first, move_mark, state_mark, steps
from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import NOWHERE, Report, quoted
from agentcomm.protocol.graph import Protocol

__all__ = ("Ends",)


@dataclass(slots=True)
class Ends:
    """Reachability, ends and loops."""

    draft: Draft
    protocol: Protocol
    report: Report
    arcs: Arcs
    trapped: set[str] = field(default_factory=set[str])
    """States that no move leads out of."""

    def check(self) -> None:
        """Add E201 to E205 and E207."""
        self._check_reached()
        self._check_dead_ends()
        self._check_traps()
        if any(found.code == "E702" for found in self.report.found):
            return  # what leads back to before the lanes may be all that makes a loop
        if not self._check_cycles() and not self.draft.holes:
            self._check_bound()

    def _check_reached(self) -> None:
        arcs, came = self.arcs, self.arcs.came
        count = len(self.protocol.states)
        if -1 not in came[:count]:
            return
        dead = {name for name, state in self.protocol.states.items() if not state.moves}
        if any(came[arcs.number[name]] >= 0 for name in self.draft.holes | dead):
            return  # what is missing there may lead to the rest
        import networkx as nx

        lost = [place for place in range(count) if came[place] < 0]
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(lost)
        graph.add_edges_from(
            (place, target) for place in lost for target in arcs.targets[place] if came[target] < 0
        )
        islands = nx.condensation(graph)
        for island in islands:
            if islands.in_degree(island):
                continue
            members: set[int] = islands.nodes[island]["members"]
            first = min(members)
            name = arcs.names[first].partition("/")[0]
            onward = breadth_first(arcs.targets, first)
            after = sum(came[place] < 0 <= onward[place] for place in lost) - 1
            self.report.add(
                "E201",
                "unreachable",
                state_mark(self.protocol, arcs.names[first]),
                f"the state '{name}' cannot be reached from '{self.protocol.start}'",
                why=f"no move and no deadline leads there{_hanging(after) if name in self.protocol.states else ''}",
                fix="let a move lead there, or remove it",
            )

    def _check_dead_ends(self) -> None:
        for name, state in self.protocol.states.items():
            if state.moves:
                continue
            self.report.add(
                "E202",
                "dead_end",
                state_mark(self.protocol, name),
                f"in '{name}' nobody can say anything",
                why="it is not an outcome, and it has no moves; it could only wait for its deadline",
                fix="add a role with its moves, or make it an outcome",
                witness=self.arcs.witness(name),
            )

    def _is_wanted(self, place: int, position: int) -> bool:
        """Whether an arc is a move, or a deadline that the state itself speaks of."""
        return self.arcs.moves[place][position] is not None or self.arcs.names[place] in self.draft.own_else

    def _check_traps(self) -> None:
        arcs, states = self.arcs, self.protocol.states
        queue = [
            place for place, name in enumerate(arcs.names) if name not in states or not states[name].moves
        ]
        can_end = bytearray(len(arcs.names))
        for place in queue:
            can_end[place] = 1
        own = {arcs.number[name] for name in self.draft.own_else if name in arcs.number}
        for place in queue:
            for source in arcs.before[place]:
                if can_end[source]:
                    continue
                leads = arcs.targets[source]
                if source in own or place in leads[: arcs.deadlines[source]]:
                    can_end[source] = 1
                    queue.append(source)
        if 0 not in can_end:
            return
        stuck = [place for place in range(len(states)) if not can_end[place]]
        self.trapped = {arcs.names[place] for place in stuck}
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(stuck)
        graph.add_edges_from(
            (place, target)
            for place in stuck
            for position, target in enumerate(arcs.targets[place])
            if not can_end[target] and self._is_wanted(place, position)
        )
        for members in nx.strongly_connected_components(graph):
            if any(target not in members for place in members for target in graph.successors(place)):
                continue
            names = [arcs.names[place] for place in sorted(members)]
            single = len(names) == 1
            self.report.add(
                "E203" if single else "E204",
                "no_final",
                state_mark(self.protocol, names[0]),
                f"from '{names[0]}' no outcome can be reached"
                if single
                else f"{quoted(names)} form a loop that no outcome can be reached from",
                why="no move leads out; only a deadline would end it",
                fix="add a move that leads to an outcome",
                witness=arcs.witness(names[0]),
            )

    def _check_cycles(self) -> bool:
        """Return whether a loop without a budget was found."""
        plain = _Plain.of(self.protocol, self.arcs)
        loops = plain.loops()
        if not loops:
            return False
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_edges_from((place, target) for place in loops for target in plain.free[place])
        for members in nx.strongly_connected_components(graph):
            entry = min(members)
            if len(members) == 1 and not graph.has_edge(entry, entry):
                continue
            if not self.trapped.isdisjoint(plain.names[place] for place in members):
                continue
            self._tell_cycle(plain, entry, members)
        return True

    def _tell_cycle(self, plain: "_Plain", entry: int, members: set[int]) -> None:
        cycle = plain.cycle(entry, members)
        said = [arc for arc in cycle if arc.move]
        last = next((arc for arc in said if arc.kind == "then"), said[-1] if said else cycle[-1])
        if last.move and last.kind == "next":
            where = move_mark(self.protocol, last.move)
            fix = f"add `max: 3` to '{last.move.label}' in '{last.source}'"
        elif last.move:
            where = move_mark(self.protocol, last.move)
            fix = f"let the `then` of '{last.move.label}' in '{last.source}' lead out of the loop"
        elif last.source in self.protocol.runs:
            where = state_mark(self.protocol, last.source)
            fix = f"let the `then` of '{last.source}' lead out of the loop, or put a state with `max` on it"
        else:
            where = self.protocol.marks.get(f"states.{last.source}.else")
            where = where or state_mark(self.protocol, last.source)
            fix = f"let the `else` of '{last.source}' lead out of the loop"
        start = (
            self.protocol.runs[cycle[0].source].start
            if cycle[0].source in self.protocol.runs
            else cycle[0].source
        )
        self.report.add(
            "E205",
            "unbounded_cycle",
            where,
            "a loop without a budget: " + " -> ".join([*(arc.source for arc in cycle), cycle[0].source]),
            why="nothing on it has `max`, so the conversation may never end"
            if not any(arc.source in self.protocol.runs for arc in cycle)
            else "nothing on it has `max`, and what runs in a state begins anew each time",
            fix=fix,
            witness=(*self.arcs.witness(start), *steps(cycle)),
        )

    def _check_bound(self) -> None:
        limit = self.protocol.limits.turns
        if limit is None or self.protocol.bound <= limit:
            return
        budgets = [
            move for state in self.protocol.states.values() for move in state.moves.values() if move.max
        ]
        biggest = max(budgets, key=lambda move: move.max or 0, default=None)
        self.report.add(
            "E207",
            "unbounded_cycle",
            self.protocol.marks.get("limits.turns", NOWHERE),
            f"up to {self.protocol.bound} messages are possible, and `turns` is {limit}",
            why=f"the biggest budget is that of '{biggest.label}' in '{biggest.state}': {biggest.max}"
            if biggest
            else "",
            fix=f"write `turns: {self.protocol.bound}`, or lower a budget",
        )


@dataclass(slots=True)
class _Plain:
    """The graph without the arcs that a budget bounds, each run as one place: its budgets are whole again on each entry."""

    names: list[str]
    free: list[list[int]]
    """By place: where it leads."""
    arcs: Arcs
    runs: Mapping[str, int]

    @classmethod
    def of(cls, protocol: Protocol, arcs: Arcs) -> "_Plain":
        free = arcs.free
        runs = {name: len(arcs.names) + number for number, name in enumerate(_outer(protocol))}
        if not runs:
            return cls(arcs.names, free, arcs, runs)
        place_of = list(range(len(arcs.names)))
        for name, place in arcs.number.items():
            top = name.partition("/")[0]
            place_of[place] = runs.get(top, place)
        table = [
            [] if place_of[place] != place else [place_of[target] for target in leads]
            for place, leads in enumerate(free)
        ]
        for name in runs:
            run = protocol.runs[name]
            ends = [*run.then.values(), *((run.otherwise,) if run.within is not None else ())]
            table.append([place_of[arcs.number[end]] for end in dict.fromkeys(ends) if end in arcs.number])
        return cls([*arcs.names, *runs], table, arcs, runs)

    def loops(self) -> list[int]:
        """Return the places that are on a loop or between two; none if there is no loop."""
        incoming = [0] * len(self.free)
        for leads in self.free:
            for target in leads:
                incoming[target] += 1
        ready = [place for place, count in enumerate(incoming) if not count]
        for place in ready:
            for target in self.free[place]:
                incoming[target] -= 1
                if not incoming[target]:
                    ready.append(target)
        return [place for place, count in enumerate(incoming) if count]

    def cycle(self, entry: int, members: set[int]) -> list[Arc]:
        """Return the shortest loop through a place that stays among some places."""
        inner = [
            [target for target in leads if target in members] if place in members else []
            for place, leads in enumerate(self.free)
        ]
        if entry in inner[entry]:
            return [self._arc(entry, entry)]
        came = breadth_first(inner, entry)
        reached = [place for place in members if entry in inner[place] and came[place] >= 0]
        ways: list[list[Arc]] = []
        for last in reached:
            found, place = [self._arc(last, entry)], last
            while place != entry:
                found.append(self._arc(came[place], place))
                place = came[place]
            ways.append(found[::-1])
        return min(ways, key=len)

    def _arc(self, place: int, target: int) -> Arc:
        if place < len(self.arcs.names):
            for arc in self.arcs.row(place):
                name = self.runs.get(arc.target.partition("/")[0], self.arcs.number[arc.target])
                if name == target and not (arc.kind == "next" and arc.move and arc.move.max is not None):
                    return arc
        return Arc(self.names[place], self.names[target], "run")


def _hanging(count: int) -> str:
    """Say how many more states cannot be reached but from one that cannot be reached."""
    return (
        f"; {count} more states hang on it" if count > 1 else "; one more state hangs on it" if count else ""
    )


def _outer(protocol: Protocol) -> list[str]:
    return [name for name in protocol.runs if "/" not in name]
