"""What was found when an agent was put through everything that a protocol may say to it."""

import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agentcomm.conversation.events import (
    Duplicate,
    Ended,
    Event,
    Expired,
    Heard,
    Late,
    Left,
    Moved,
    OverlayOpened,
    Superseded,
    TroubleFound,
)
from agentcomm.errors import AgentcommError
from agentcomm.protocol.graph import Move, Protocol

__all__ = ("Coverage", "Failure", "Report")

_MET = {
    "deadline": "deadlines",
    "refusal": "refusals",
    "cancellation": "cancellations",
    "duplicate": "duplicates",
    "late message": "late messages",
    "lost race": "lost races",
    "slip": "slips",
    "departure": "departures",
}
"""One of what may be met, and several."""


@dataclass
class Coverage:
    """What was seen of a protocol, counted over all runs."""

    protocol: Protocol
    role: str
    moves: Counter[str] = field(default_factory=Counter[str])
    """`state/act` -> how often the move was made."""
    states: Counter[str] = field(default_factory=Counter[str])
    """State -> how often it was left or expired."""
    said: Counter[str] = field(default_factory=Counter[str])
    """Acts that the agent said."""
    heard: Counter[str] = field(default_factory=Counter[str])
    """Acts that it heard."""
    outcomes: Counter[str] = field(default_factory=Counter[str])
    met: Counter[str] = field(default_factory=Counter[str])
    """deadline, refusal, cancellation, duplicate, late message, lost race, slip, departure, and overlays by name."""

    def see(self, event: Event, lane: str = "") -> None:
        """Count one event; `lane` is that of the agent, if it is one of several."""
        match event:
            case Moved():
                self.moves[f"{event.state}/{event.act}"] += 1
                self.states[event.state] += 1
            case Heard() if not event.overlay and event.message.lane in ("", lane or event.message.lane):
                if event.message.sender == self.role:
                    self.said[event.message.act] += 1
                elif self.role in event.message.receivers:
                    self.heard[event.message.act] += 1
            case Expired():
                self.states[event.state] += 1
                self.met["deadline"] += 1
            case OverlayOpened():
                self.met[event.overlay] += 1
            case TroubleFound():
                self.met["slip"] += 1
            case Duplicate():
                self.met["duplicate"] += 1
            case Late():
                self.met["late message"] += 1
            case Superseded():
                self.met["lost race"] += 1
            case Left():
                self.met["departure"] += 1
            case Ended():
                self.outcomes[event.outcome] += 1
            case _:
                pass

    @property
    def unheard(self) -> list[str]:
        """Moves of others that no run has reached, as `state: act`."""
        return [
            f"{move.state}: {move.label}"
            for move in self._all_moves()
            if move.speaker != self.role and not self.moves[move.key]
        ]

    @property
    def unsaid(self) -> list[str]:
        """Moves that the agent never made, as `state: act`."""
        return [
            f"{move.state}: {move.label}"
            for move in self._all_moves()
            if move.speaker == self.role and not self.moves[move.key]
        ]

    def _all_moves(self) -> list[Move]:
        return [move for state in self.protocol.states.values() for move in state.moves.values()]

    def lines(self) -> list[str]:
        """Return it as text."""
        moves = self._all_moves()
        made = sum(1 for move in moves if self.moves[move.key])
        states = sum(1 for name in self.protocol.states if self.states[name])
        rows = {
            "states": f"{states} of {len(self.protocol.states)}",
            "moves": f"{made} of {len(moves)}",
            "heard": _counts(self.heard),
            "said": _counts(self.said),
            "met": ", ".join(_several(name, count) for name, count in self.met.most_common()) or "nothing",
            "outcomes": _counts(self.outcomes),
        }
        if self.unheard:
            rows["unheard"] = ", ".join(self.unheard) + "  (more runs, or `examples`, may reach it)"
        if self.unsaid:
            rows["unsaid"] = ", ".join(self.unsaid)
        return [f"  {name:<9} {text}" for name, text in rows.items()]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "nothing"


def _several(name: str, count: int) -> str:
    if name not in _MET:
        return f"{name} {count} times" if count > 1 else f"{name} once"
    return f"{count} {_MET[name] if count > 1 else name}"


@dataclass(frozen=True)
class Failure:
    """What an agent did not survive."""

    what: str
    """What it did, in one line."""
    state: str
    heard: str
    """What it was to answer; empty if it was to open."""
    legal: tuple[str, ...]
    """What it could have said, as `agree()`."""
    talk: str
    """The run that led there."""
    seed: int
    """Of the run: with `seed=…, runs=1` it happens again."""
    error: Exception | None = None
    """What it raised."""

    def lines(self) -> list[str]:
        """Return it as text."""
        rows = [
            f"  what      {self.what}",
            f"  where     in {self.state!r}, {f'hearing {self.heard}' if self.heard else 'opening'}",
            f"  legal     {', '.join(self.legal) or 'nothing'}",
        ]
        if place := _place(self.error):
            rows.insert(1, f"  raised    {place}")
        if isinstance(self.error, AgentcommError):
            words = (("why", self.error.why), ("fix", self.error.fix))
            rows[1:1] = [f"  {word:<9} {text}" for word, text in words if text]
        talk = [f"    {line}" for line in self.talk.splitlines()] or ["    nothing was said yet"]
        return [*rows, "  talk", *talk]


def _place(error: Exception | None) -> str:
    """Return where an error was raised: in the code of whoever wrote the agent, if it passed there."""
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parents[1])
    theirs = [frame for frame in frames if not frame.filename.startswith(ours)] or list(frames)
    return f"{theirs[-1].filename}:{theirs[-1].lineno} in {theirs[-1].name}" if theirs else ""


@dataclass(frozen=True)
class Report:
    """What came of putting an agent through everything that a protocol may say to it."""

    agent: str
    protocol: Protocol
    role: str
    runs: int
    """Runs that were made; the last one may have failed."""
    seed: int
    coverage: Coverage
    failure: Failure | None = None

    @property
    def survived(self) -> bool:
        """Whether nothing failed."""
        return self.failure is None

    def __str__(self) -> str:
        part = f"as {self.role} of {self.protocol.name} {self.protocol.version}"
        if self.failure is None:
            seeds = (
                f"seed {self.seed}" if self.runs == 1 else f"seeds {self.seed} to {self.seed + self.runs - 1}"
            )
            runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
            return "\n".join([f"{self.agent} survived {runs} {part} ({seeds})", *self.coverage.lines()])
        again = (
            f"await survives({self.agent}, protocol, role={self.role!r}, seed={self.failure.seed}, runs=1)"
        )
        return "\n".join(
            [
                f"{self.agent} did not survive run {self.runs} {part}",
                *self.failure.lines(),
                f"  again     {again}",
            ]
        )
