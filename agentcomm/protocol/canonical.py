"""The hash of a protocol: the same for the short and the long form, for any layout, and for defaults said aloud."""

import hashlib
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, to_plain
from agentcomm.protocol.graph import Act, Condition, Move, Protocol, Ref, Run, Stakes, State

__all__ = ("canonical", "document_hash")


def document_hash(protocol: Protocol) -> str:
    """Return `sha256:` and the hash of the canonical document."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(canonical(protocol))).hexdigest()


def canonical(protocol: Protocol) -> dict[str, Any]:
    """Return the longest form of a document, to be written as JSON.

    Defaults are written out and every named type is resolved; what a protocol runs stands in it state by state, with its own
    hash. What makes lanes, races, runs and overlays stands there only where there are any. The order of roles, acts, states,
    moves and fields is the file's, for a model reads them in that order.
    """
    limits = protocol.limits
    form: dict[str, Any] = {
        "agentcomm": 1,
        "protocol": protocol.name,
        "version": protocol.version,
        "about": protocol.about,
        "source": protocol.source,
        "roles": list(protocol.roles),
        "owner": protocol.owner,
        "acts": [_act(act) for act in protocol.acts.values()],
        "start": protocol.start,
        "states": list(map(_state, protocol.states.values())),
        "outcomes": [[name, str(kind)] for name, kind in sorted(protocol.outcomes.items())],
        "limits": {
            "reply_within": limits.reply_within,
            "else": limits.otherwise,
            "repairs": limits.repairs,
            "repairs_in_all": limits.repairs_in_all,
            "misfires": limits.misfires,
            "turns": limits.turns,
            "whole": limits.whole,
            "escalate_to": limits.escalate_to,
        },
        "overlay": {"on": protocol.overlay.on, "then": sorted(protocol.overlay.then.items())}
        if protocol.overlay
        else None,
    }
    return form | _given(
        {
            "many": [protocol.many, *protocol.members] if protocol.many else None,
            "settles": [[str(settle.outcome), str(settle)] for settle in protocol.settles],
            "runs": [_run(run) for run in protocol.runs.values()],
            "overlays": [
                [name, overlay.hash if overlay else None]
                for name, overlay in sorted(protocol.overlays.items())
            ],
        }
    )


def _given(entries: dict[str, Any]) -> dict[str, Any]:
    """Return what is not empty."""
    return {key: value for key, value in entries.items() if value}


def _run(run: Run) -> dict[str, Any]:
    return {
        "state": run.name,
        "protocol": run.protocol.hash,
        "as": sorted(run.roles.items()),
        "then": sorted(run.then.items()),
        "within": run.within,
        "else": run.otherwise,
    }


class _State(msgspec.Struct, gc=False, omit_defaults=True):
    """A state as it stands in the form: structs, for there are many, and they cost a third of dicts."""

    name: str
    speaker: str
    moves: list[Any]
    within: float
    otherwise: str = msgspec.field(name="else")
    gather: bool = False
    speakers: tuple[str, ...] = ()
    first: str | None = None


class _Move(msgspec.Struct, gc=False):
    """A move as it stands in the form."""

    act: str
    speaker: str
    to: tuple[str, ...]
    next: str
    max: int | None
    then: str
    owner: str
    when: Sequence[list[Any]]
    stakes: Stakes | None


class _LaneMove(_Move, gc=False, omit_defaults=True):
    """A move with what only some have."""

    for_all: bool = False
    at_most: int | None = None
    at_once: int | None = None
    given: list[list[str]] | None = None


def _state(state: State) -> _State:
    moves = list(map(_move, state.moves.values()))
    form = _State(state.name, state.speaker, moves, state.within, state.otherwise, state.gather)
    if len(state.speakers) > 1:
        form.speakers, form.first = state.speakers, state.first
    return form


def _act(act: Act) -> dict[str, Any]:
    return {
        "label": act.label,
        "act": str(act.performative),
        "content": [[name, _type(kind)] for name, kind in act.fields.items()],
        "class": _class(act),
        "critical": list(act.critical),
        "stakes": str(act.stakes),
        "criterion": str(act.criterion),
        "readback": list(act.readback),
        "repeats": [[name, str(ref)] for name, ref in act.repeats.items()],
        "when": [_condition(condition) for condition in act.when],
        "discharges": act.discharges,
        "outlives": act.outlives,
    }


def _move(move: Move) -> _Move:
    when = [_condition(condition) for condition in move.when] if move.when else ()
    kept = (
        move.act.label,
        move.speaker,
        move.to,
        move.next,
        move.max,
        move.then,
        move.owner,
        when,
        move.stakes,
    )
    if move.for_all or move.given or move.at_most is not None or move.at_once is not None:
        given = [[name, str(ref)] for name, ref in sorted(move.given.items())] or None
        return _LaneMove(*kept, move.for_all, move.at_most, move.at_once, given)
    return _Move(*kept)


def _condition(condition: Condition) -> list[Any]:
    def side(value: Any) -> Any:
        return {"ref": str(value)} if isinstance(value, Ref) else to_plain(value)

    return [side(condition.left), condition.op, side(condition.right)]


def _type(kind: FieldType) -> dict[str, Any]:
    entry: dict[str, Any] = {"is": kind.kind}
    if kind.optional:
        entry["optional"] = True
    if kind.item:
        entry["item"] = _type(kind.item)
    if kind.fields is not None:
        entry["fields"] = [[name, _type(inner)] for name, inner in kind.fields.items()]
    if kind.choices:
        entry["choices"] = list(kind.choices)
    if kind.constraints:
        entry["constraints"] = sorted(kind.constraints.items())
    return entry


def _class(act: Act) -> Any:
    """Return the shape of a class given in Python, without what is only for readers."""
    return _bare(act.registered.model_json_schema()) if act.registered else None


def _bare(schema: Any) -> Any:
    match schema:
        case dict():
            entries = cast("dict[str, Any]", schema)
            return {
                key: _bare(value)
                for key, value in sorted(entries.items())
                if key not in ("title", "description")
            }
        case list():
            items = cast("list[Any]", schema)
            return [_bare(item) for item in items]
        case _:
            return schema
