"""Check a protocol: text in, findings out; a bad document is a finding, never an exception.

The passes are source, spec, compile and, where the graph is all there, the checks of this module, of `flow.py` and of `local.py`. Each is
linear or nearly so in the size of the graph. Some mistakes hide others: what a first mistake makes uncertain is not checked,
so that one mistake makes one finding. The only importer of networkx, and only when there is a graph to check.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from agentcomm.acts.content import Content, format_duration
from agentcomm.protocol.arcs import Arc, Arcs, Ways, arcs_of, by_source, move_mark, steps, way
from agentcomm.protocol.compile import Draft, draft
from agentcomm.protocol.embed import tell_broken
from agentcomm.protocol.findings import NOWHERE, Finding, Report, TooMany, quoted
from agentcomm.protocol.flow import check_exits, check_known, check_open, check_owners
from agentcomm.protocol.graph import Mark, Move, Protocol, Ref
from agentcomm.protocol.local import check_grounding, check_sizes
from agentcomm.protocol.lookup import Resolve, resolver
from agentcomm.protocol.source import Source, read

__all__ = ("Checked", "examine")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a document."""

    protocol: Protocol | None
    """None if it has errors."""
    findings: tuple[Finding, ...]
    """In the order of the file."""


def examine(
    source: bytes | str | Source,
    *,
    path: str = "",
    types: Mapping[str, type[Content]] | None = None,
    resolve: Resolve | None = None,
) -> Checked:
    """Return the protocol of a document together with what is wrong with it.

    Args:
        source: The document; bytes are UTF-8.
        path: Its name, for the findings.
        types: Content classes by the name that the document uses for them.
        resolve: Finds the documents that it runs or names as overlays; by default in the library.
    """
    document = source if isinstance(source, Source) else read(source, path)
    made = draft(document, types=types, resolve=resolve or resolver())
    if made:
        with suppress(TooMany):
            _check(made)
    report = document.report
    return Checked(made.protocol if made and not report.has_errors else None, tuple(report.sorted()))


def _check(made: Draft) -> None:
    """Check the documents within a document, each by itself, then its own graph."""
    for part in made.parts:
        inner = part.draft.report
        if not inner.has_errors:
            with suppress(TooMany):
                _check(part.draft)
            if inner.has_errors:
                tell_broken(part.name, inner.sorted(), part.at, made.report)
                made.sound = False
    if made.sound:
        _GraphCheck(made, made.protocol, made.report).run()


@dataclass(slots=True)
class _GraphCheck:
    draft: Draft
    protocol: Protocol
    report: Report
    all_arcs: list[Arc] = field(default_factory=list[Arc])
    arcs: Arcs = field(default_factory=dict[str, list[Arc]])
    ways: Ways = field(default_factory=Ways)
    reached: set[str] = field(default_factory=set[str])
    said: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """States after an act, by its label, as far as asked for."""
    trapped: set[str] = field(default_factory=set[str])
    """States that no move leads out of."""

    def run(self) -> None:
        self.all_arcs = arcs_of(self.protocol)
        self.arcs = by_source(self.all_arcs)
        self.ways = Ways.from_start(self.arcs, self.protocol.start)
        self._check_reached()
        self._check_dead_ends()
        self._check_traps()
        if not self._check_cycles() and not self.draft.holes:
            self._check_bound()
        self._check_races()
        self._check_free_moves()
        self._check_roles()
        check_grounding(self.protocol, self.ways, self.report)
        check_known(self.protocol, self.arcs, self.report)
        check_owners(self.protocol, self.arcs, self.ways, self.report)
        if not self.report.has_errors:  # a warning is often the shadow of an error
            self._check_unused()
            self._check_deadlines()
            check_sizes(self.protocol, self.report)
            check_exits(self.protocol, self.arcs, self.report)
            check_open(self.protocol, self.arcs, self.ways, self.report)

    def _place(self, *path: str) -> Mark:
        return self.protocol.marks.get(".".join(path), NOWHERE)

    def _witness(self, goal: str) -> tuple[str, ...]:
        return steps(self.ways.to(goal))

    # --- reachability and ends ---

    def _check_reached(self) -> None:
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph((arc.source, arc.target) for arc in self.all_arcs)
        graph.add_nodes_from(self.protocol.states)
        self.reached = _closure(self.arcs, self.protocol.start)
        dead = {name for name, state in self.protocol.states.items() if not state.moves}
        if (self.draft.holes | dead) & self.reached:  # what is missing there may lead to the rest
            return
        lost = [name for name in self.protocol.states if name not in self.reached]
        islands = nx.condensation(graph.subgraph(lost))
        order = {name: number for number, name in enumerate(lost)}
        for island in islands:
            if islands.in_degree(island):
                continue
            members = sorted(islands.nodes[island]["members"], key=order.__getitem__)
            after = len(_closure(self.arcs, members[0]) & set(lost)) - 1
            self.report.add(
                "E201",
                "unreachable",
                self._place("states", members[0]),
                f"the state '{members[0]}' cannot be reached from '{self.protocol.start}'",
                why=f"no move and no deadline leads there{f'; {after} more hang on it' if after else ''}",
                fix="let a move lead there, or remove it",
            )

    def _check_unused(self) -> None:
        said = {name for state in self.protocol.states.values() for name in state.moves}
        targets = {arc.target for arc in self.all_arcs}
        unused = [
            *(
                (f"the act '{name}' is never said", f"acts.{name}")
                for name in self.protocol.acts
                if name not in said
            ),
            *((f"the type '{name}' is never used", f"types.{name}") for name in self.draft.unused_types),
            *(
                (f"the outcome '{name}' is never reached", f"outcomes.{name}")
                for name in self.protocol.outcomes
                if name not in targets and f"outcomes.{name}" in self.protocol.marks
            ),
        ]
        for what, place in unused:
            self.report.add("W201", "unreachable", self._place(place), what, fix="use it, or remove it")

    def _check_dead_ends(self) -> None:
        for name, state in self.protocol.states.items():
            if state.moves:
                continue
            self.report.add(
                "E202",
                "dead_end",
                self._place("states", name),
                f"in '{name}' nobody can say anything",
                why="it is not an outcome, and it has no moves; it could only wait for its deadline",
                fix="add a role with its moves, or make it an outcome",
                witness=self._witness(name),
            )

    def _check_traps(self) -> None:
        import networkx as nx

        wanted = [arc for arc in self.all_arcs if arc.kind != "else" or arc.source in self.draft.own_else]
        ends = {*self.protocol.outcomes, *self.draft.holes}
        ends |= {name for name, state in self.protocol.states.items() if not state.moves}
        can_end = _before(wanted, ends)
        stuck = [
            name for name in self.protocol.states if name not in can_end and self.protocol.states[name].moves
        ]
        self.trapped = set(stuck)
        graph: nx.DiGraph[str] = nx.DiGraph((arc.source, arc.target) for arc in wanted)
        inner = graph.subgraph(stuck)
        order = {name: number for number, name in enumerate(stuck)}
        for members in nx.strongly_connected_components(inner):
            if any(target not in members for name in members for target in inner.successors(name)):
                continue
            names = sorted(members, key=order.__getitem__)
            single = len(names) == 1
            self.report.add(
                "E203" if single else "E204",
                "no_final",
                self._place("states", names[0]),
                f"from '{names[0]}' no outcome can be reached"
                if single
                else f"{quoted(names)} form a loop that no outcome can be reached from",
                why="no move leads out; only a deadline would end it",
                fix="add a move that leads to an outcome",
                witness=self._witness(names[0]),
            )

    def _check_cycles(self) -> bool:
        """Return whether a cycle without a budget was found."""
        import networkx as nx

        free = [
            arc for arc in self.all_arcs if not (arc.kind == "next" and arc.move and arc.move.max is not None)
        ]
        graph: nx.DiGraph[str] = nx.DiGraph((arc.source, arc.target) for arc in free)
        order = {name: number for number, name in enumerate(self.protocol.states)}
        found = False
        for members in nx.strongly_connected_components(graph):
            entry = min(members, key=lambda name: order.get(name, 0))
            if len(members) == 1 and not graph.has_edge(entry, entry):
                continue
            found = True
            if members & self.trapped:
                continue
            self._tell_cycle(
                entry, by_source(arc for arc in free if arc.source in members and arc.target in members)
            )
        return found

    def _tell_cycle(self, entry: str, inner: Arcs) -> None:
        loops = [
            [arc, *rest]
            for arc in inner.get(entry, ())
            if (rest := way(inner, arc.target, entry)) is not None
        ]
        cycle = min(loops, key=len)
        said = [arc for arc in cycle if arc.move]
        last = next((arc for arc in said if arc.kind == "then"), said[-1] if said else cycle[-1])
        if last.move and last.kind == "next":
            where = move_mark(self.protocol, last.move)
            fix = f"add `max: 3` to '{last.move.label}' in '{last.source}'"
        elif last.move:
            where = move_mark(self.protocol, last.move)
            fix = f"let the `then` of '{last.move.label}' in '{last.source}' lead out of the loop"
        else:
            where = self._place("states", last.source, "else")
            where = where if where != NOWHERE else self._place("states", last.source)
            fix = f"let the `else` of '{last.source}' lead out of the loop"
        self.report.add(
            "E205",
            "unbounded_cycle",
            where,
            "a loop without a budget: " + " -> ".join([*(arc.source for arc in cycle), entry]),
            why="nothing on it has `max`, so the conversation may never end",
            fix=fix,
            witness=(*self._witness(entry), *steps(cycle)),
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
            self._place("limits", "turns"),
            f"up to {self.protocol.bound} messages are possible, and `turns` is {limit}",
            why=f"the biggest budget is that of '{biggest.label}' in '{biggest.state}': {biggest.max}"
            if biggest
            else "",
            fix=f"write `turns: {self.protocol.bound}`, or lower a budget",
        )

    def _check_deadlines(self) -> None:
        whole = self.protocol.limits.whole
        for name, state in self.protocol.states.items():
            at = self._place("states", name, "within")
            if whole is not None and at != NOWHERE and state.within > whole:
                self.report.add(
                    "W206",
                    "missing_deadline",
                    at,
                    f"the deadline of '{name}' can never run out",
                    why=f"the whole conversation has {_seconds(whole)}",
                    fix="shorten it, or lengthen `whole`",
                )

    # --- choice ---

    def _check_races(self) -> None:
        for name, roles in self.draft.races.items():
            self.report.add(
                "E301",
                "race",
                self._place("states", name, roles[1]),
                f"in '{name}' {quoted(roles)} may speak at once",
                why="one role speaks in a state; two would talk over each other",
                fix="give each a state of its own",
                witness=self._witness(name),
            )

    def _check_free_moves(self) -> None:
        for name, state in self.protocol.states.items():
            if (
                not state.moves
                or name in self.draft.own_else
                or name in self.draft.races
                or name in self.trapped
            ):
                continue
            if any(self._is_free(move) and (move.max is None or move.then) for move in state.moves.values()):
                continue
            spent = all(self._is_free(move) for move in state.moves.values())
            self.report.add(
                "E303",
                "stuck_receive",
                self._place("states", name),
                f"in '{name}' {state.speaker} may be left without a move",
                why="every move there has a budget that can be used up"
                if spent
                else "every move there has a condition",
                fix="add `then:` to a move with `max`, or `else:` to the state"
                if spent
                else "add a move without `when`, or `else:` to the state",
                witness=self._witness(name),
            )

    def _is_free(self, move: Move) -> bool:
        """Whether no condition can keep a move from being made.

        A comparison with the act's own previous saying is skipped the first time, so it counts only where there may have
        been one.
        """
        return all(
            isinstance(condition.right, Ref)
            and condition.right.act == move.label
            and move.state not in self._after(move.label)
            for condition in move.when
        )

    def _after(self, label: str) -> set[str]:
        """Return the states that can be reached after `label` was said."""
        if label not in self.said:
            queue = [arc.target for arc in self.all_arcs if arc.move and arc.move.label == label]
            seen = set(queue)
            for place in queue:
                fresh = [arc.target for arc in self.arcs.get(place, ()) if arc.target not in seen]
                seen.update(fresh)
                queue.extend(fresh)
            self.said[label] = seen
        return self.said[label]

    # --- roles ---

    def _check_roles(self) -> None:
        if any(found.kind in ("unknown_role", "role_not_informed") for found in self.report.found):
            return
        part = {role for state in self.protocol.states.values() for role in _parties(state.moves.values())}
        for role in self.protocol.roles:
            if role not in part and role != self.protocol.limits.escalate_to:
                self.report.add(
                    "E103",
                    "role_not_informed",
                    self._place("roles", role),
                    f"the role '{role}' takes part in nothing",
                    why="it neither speaks nor hears",
                    fix="give it a move, add it to a `to`, or remove it",
                )


def _parties(moves: Iterable[Move]) -> set[str]:
    return {role for move in moves for role in (move.speaker, *move.to)}


def _closure(arcs: Arcs, start: str) -> set[str]:
    """Return the places that can be reached from `start`, itself included."""
    queue = [start]
    seen = {start}
    for place in queue:
        fresh = [arc.target for arc in arcs.get(place, ()) if arc.target not in seen]
        seen.update(fresh)
        queue.extend(fresh)
    return seen


def _before(arcs: Iterable[Arc], ends: Iterable[str]) -> set[str]:
    """Return the places from which one of `ends` can be reached, `ends` included."""
    back: dict[str, list[str]] = {}
    for arc in arcs:
        back.setdefault(arc.target, []).append(arc.source)
    queue = list(ends)
    seen = set(queue)
    for place in queue:
        fresh = [source for source in back.get(place, ()) if source not in seen]
        seen.update(fresh)
        queue.extend(fresh)
    return seen


def _seconds(value: float) -> str:
    from datetime import timedelta

    return format_duration(timedelta(seconds=value))
