"""A state whose header was lost: its lines then stand under the state before it, and one mistake looks like several."""

from dataclasses import replace

from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import Finding, Report

__all__ = ("tell_lost_header",)

_SHADOWS = ("E205", "E301", "E302", "E303", "E707", "W208")
"""Codes of what such lines seem to do wrong in the state that they fell into."""


def tell_lost_header(made: Draft, report: Report) -> None:
    """Make one finding of a missing state and of two roles that speak in a state which leads to it."""
    marks = made.protocol.marks
    for name, roles in made.races.items():
        state = made.protocol.states[name]
        lost = [
            hole
            for hole in made.holes
            if any(hole in (move.next, move.then) for move in state.moves.values())
        ]
        begin = marks.get(f"states.{name}.{roles[1]}")
        missing = next((found for found in report.found if _is_missing(found, lost)), None)
        if begin is None or missing is None:
            continue
        end = min(
            (at.line for key, at in marks.items() if key.count(".") == 1 and at.line > begin.line),
            default=begin.line + 1,
        )
        hole = lost[0]
        fix = f"write `{hole}:` above line {begin.line}, if what stands there is meant to be that state"
        if missing.fix.startswith("did you mean"):
            fix += f"; or {missing.fix}"
        report.found[:] = [
            replace(found, fix=fix) if found is missing else found
            for found in report.found
            if not (found.code in _SHADOWS and begin.line <= found.line < end)
        ]


def _is_missing(found: Finding, lost: list[str]) -> bool:
    return len(lost) == 1 and found.code == "E102" and found.what == f"'{lost[0]}' is not a state"
