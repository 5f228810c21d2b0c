"""Put the states of a protocol that a state runs among our own: with our roles, and our places for its outcomes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from agentcomm.protocol.graph import Act, Condition, Move, Protocol, Ref, Run, State, label_in

__all__ = ("acts_in", "runs_in", "states_in")


def acts_in(region: str, theirs: Protocol) -> dict[str, Act]:
    """Return the acts of a protocol under the labels that they have in a region."""
    return {
        label_in(region, label): replace(
            act,
            label=label_in(region, label),
            repeats={name: _ref(region, ref) for name, ref in act.repeats.items()},
            when=_conditions(region, act.when),
            discharges=label_in(region, act.discharges) if act.discharges else "",
        )
        for label, act in theirs.acts.items()
    }


def states_in(run: Run, acts: Mapping[str, Act], given: Mapping[str, Mapping[str, Ref]]) -> dict[str, State]:
    """Return the states of a run under the names that they have in ours.

    Args:
        run: The run, with all its places.
        acts: The acts of the region (see `acts_in`).
        given: By label in the region: field -> the value of ours that fills it.
    """
    found: dict[str, State] = {}
    for state in run.protocol.states.values():
        name = f"{run.name}/{state.name}"
        moves = (_move(run, name, move, acts, given) for move in state.moves.values())
        found[name] = State(
            name=name,
            speakers=tuple(run.roles[role] for role in state.speakers),
            moves={move.label: move for move in moves},
            within=state.within,
            otherwise=_place(run, state.otherwise),
            first=run.roles[state.first] if state.first else "",
            region=f"{run.name}/{state.region}" if state.region else run.name,
        )
    return found


def runs_in(run: Run) -> dict[str, Run]:
    """Return a run and all runs within it, by region."""
    found = {run.name: run}
    for inner in run.protocol.runs.values():
        name = f"{run.name}/{inner.name}"
        found[name] = Run(
            name=name,
            protocol=inner.protocol,
            roles={role: run.roles[ours] for role, ours in inner.roles.items()},
            then={kind: _place(run, target) for kind, target in inner.then.items()},
            start=_place(run, inner.start),
            within=inner.within,
            otherwise=_place(run, inner.otherwise),
        )
    return found


def _place(run: Run, target: str) -> str:
    """Return our name for a place of theirs."""
    if target in run.protocol.outcomes:
        return run.then[run.protocol.outcomes[target]]
    return f"{run.name}/{target}" if target else ""


def _move(
    run: Run, state: str, move: Move, acts: Mapping[str, Act], given: Mapping[str, Mapping[str, Ref]]
) -> Move:
    label = label_in(run.name, move.label)
    filled = {name: _ref(run.name, ref) for name, ref in move.given.items()}
    return Move(
        state=state,
        act=acts[label],
        speaker=run.roles[move.speaker],
        to=tuple(run.roles[role] for role in move.to),
        next=_place(run, move.next),
        max=move.max,
        then=_place(run, move.then),
        owner=run.roles[move.owner] if move.owner else "",
        when=_conditions(run.name, move.when),
        stakes=move.stakes,
        given={**filled, **given.get(label, {})},
    )


def _ref(region: str, ref: Ref) -> Ref:
    return Ref(label_in(region, ref.act), ref.field)


def _conditions(region: str, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            _ref(region, condition.left) if isinstance(condition.left, Ref) else condition.left,
            condition.op,
            _ref(region, condition.right) if isinstance(condition.right, Ref) else condition.right,
        )
        for condition in conditions
    )
