"""Races: states in which several roles may speak, and `first`, which says whose move counts."""

from agentcomm.protocol.findings import Report, near
from agentcomm.protocol.graph import Move
from agentcomm.protocol.shape import Word
from agentcomm.protocol.turns import MoveSpec, StateSpec

__all__ = ("tell_twice", "winner")


def winner(spec: StateSpec, word: Word, report: Report) -> str:
    """Return who wins a race, as `first` says."""
    speakers = [role.text for role, _ in spec.speakers]
    if len(spec.speakers) <= 1:
        report.add(
            "E301",
            "race",
            word.at,
            f"`first` in '{spec.name}', where one role speaks",
            why="it says whose move counts where two roles race",
            fix="remove it",
        )
        return ""
    if word.text not in speakers:
        report.add(
            "E102",
            "unknown_role",
            word.at,
            f"'{word}' does not speak in '{spec.name}'",
            why="`first` names one of those who race",
            fix=near(word.text, speakers),
        )
    return word.text


def tell_twice(spec: MoveSpec, speaker: str, other: Move, report: Report) -> None:
    """Tell that two roles race with one act."""
    report.add(
        "E302",
        "ambiguous_choice",
        spec.label.at,
        f"in '{other.state}' {other.speaker} and {speaker} race with one act, '{spec.label}'",
        why="what is said must show which move it is",
        fix=f"give {speaker} an act of its own: `{speaker}-{spec.label}: {{act: {other.act.performative}, ...}}`",
    )
