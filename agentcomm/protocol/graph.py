"""A protocol as tables: who may say what, when, and where that leads.

Everything here is immutable, and nothing needs a third-party package beside the content classes: the engine runs on these
plain dictionaries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from agentcomm.acts.content import Content, FieldType, content_model
from agentcomm.acts.performative import PERFORMATIVES, Performative, PerformativeInfo
from agentcomm.protocol.bound import Row, longest

__all__ = (
    "Act",
    "Comparison",
    "Condition",
    "Criterion",
    "Limits",
    "Mark",
    "Move",
    "OutcomeClass",
    "Overlay",
    "Protocol",
    "Ref",
    "Stakes",
    "State",
)


class OutcomeClass(StrEnum):
    """How a conversation can end."""

    SUCCESS = "success"
    PARTIAL = "partial"
    REFUSED = "refused"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNDECIDED = "undecided"
    ABORTED = "aborted"


class Stakes(StrEnum):
    """What a misunderstanding would cost."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    IRREVERSIBLE = "irreversible"


class Criterion(StrEnum):
    """How much evidence of understanding is enough before the talk builds on it, weakest first.

    Source: the grounding criterion of Clark & Schaefer 1989.
    """

    NONE = "none"
    DELIVERED = "delivered"
    RELEVANT = "relevant"
    READBACK = "readback"
    DEMONSTRATED = "demonstrated"
    READBACK_AND_DEMONSTRATED = "readback+demonstrated"


Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1."""

    line: int
    column: int
    length: int = 1
    """Characters to underline."""


@dataclass(frozen=True, slots=True)
class Ref:
    """`act.field`: the latest value said; `it.field` in an overlay."""

    act: str
    field: str

    def __str__(self) -> str:
        return f"{self.act}.{self.field}"


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op constant` or `field op act.field`: restricts what may be said, never branches.

    `left` is a field of the act's own content, or a reference (`readback.fields == it.fields`).
    """

    left: str | Ref
    op: Comparison
    right: Ref | str | int | float | bool | tuple[Any, ...]

    def __str__(self) -> str:
        right = "[" + ", ".join(map(str, self.right)) + "]" if isinstance(self.right, tuple) else self.right
        return f"{self.left} {self.op} {right}"


@dataclass(frozen=True)
class Act:
    """What may be said, and what it carries."""

    label: str
    performative: Performative
    fields: Mapping[str, FieldType]
    critical: tuple[str, ...] = ()
    """Fields that a read-back compares."""
    stakes: Stakes = Stakes.NORMAL
    criterion: Criterion = Criterion.DELIVERED
    """The strongest of what the protocol and the stakes ask for."""
    readback: tuple[str, ...] = ()
    """Fields to be read back; empty unless the criterion asks for it."""
    repeats: Mapping[str, Ref] = field(default_factory=dict[str, Ref])
    """Field -> the value on record it must equal."""
    when: tuple[Condition, ...] = ()
    discharges: str = ""
    """Label of the act whose commitment this one fulfils."""
    outlives: bool = False
    """Its commitment may stay open when the conversation ends."""
    registered: type[Content] | None = None
    """A content class given in Python instead of `fields`."""

    @cached_property
    def content(self) -> type[Content]:
        """The pydantic class of what it carries."""
        return self.registered or content_model(self.label, self.fields)

    @cached_property
    def info(self) -> PerformativeInfo:
        """The row of the act library."""
        return PERFORMATIVES[self.performative]


@dataclass(frozen=True)
class Move:
    """In a state: who says which act, and where it leads."""

    state: str
    act: Act
    speaker: str
    to: tuple[str, ...]
    next: str
    max: int | None = None
    """How often it leads to `next`, over the whole conversation."""
    then: str = ""
    """Where it leads once `max` is used up; without it, it is no longer offered."""
    owner: str = ""
    """The role that owns the matter from here on."""
    when: tuple[Condition, ...] = ()
    """The act's own conditions and those of the move."""
    stakes: Stakes | None = None

    @property
    def label(self) -> str:
        """The act's label."""
        return self.act.label

    @property
    def key(self) -> str:
        """Name of its budget."""
        return f"{self.state}/{self.act.label}"


@dataclass(frozen=True)
class State:
    """A place in the graph: one role may speak."""

    name: str
    speaker: str
    moves: Mapping[str, Move]
    """By label, in the file's order."""
    within: float
    """Seconds from each entry until `otherwise` is taken."""
    otherwise: str
    """State or outcome taken when the time is up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a conversation."""

    reply_within: float = 60.0
    """Seconds, for states that say nothing else."""
    otherwise: str = "expired"
    repairs: int = 2
    """For one contribution."""
    repairs_in_all: int | None = None
    """For the conversation; None: the larger of 3 and a fifth of the bound."""
    misfires: int = 3
    """Refusals in one turn before an honest exit is taken for the speaker."""
    turns: int | None = None
    """Ceiling that the computed bound must not exceed."""
    whole: float | None = None
    """Seconds for the whole conversation."""
    escalate_to: str = ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What makes a protocol an overlay: when it may run, and what follows from its outcome."""

    on: Literal["any", "readback", "demonstrated"]
    then: Mapping[str, str]
    """Outcome class or `otherwise` -> `resume`, `again` or an outcome class of the conversation beneath."""


@dataclass(frozen=True, repr=False)
class Protocol:
    """Who may say what, when, and where that leads. Immutable; named by its hash."""

    name: str
    version: str
    roles: tuple[str, ...]
    acts: Mapping[str, Act]
    states: Mapping[str, State]
    start: str
    outcomes: Mapping[str, OutcomeClass]
    limits: Limits
    hash: str
    """`sha256:` of the canonical document: the same for the short and the long form."""
    text: str
    """The document as it was read, so that a transcript can carry it."""
    about: str = ""
    source: str = ""
    owner: str = ""
    overlay: Overlay | None = None
    path: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict[str, Mark], compare=False, repr=False)
    """Place in the file by path in the document, such as `states.asked.seller.propose`."""

    @property
    def bound(self) -> int:
        """The longest possible conversation in messages, without overlays; `limits.turns` plays no part in it."""
        return self._bound

    @cached_property
    def _bound(self) -> int:
        return self.bound_with(lambda _move: 1)

    def bound_with(self, cost: Callable[[Move], int]) -> int:
        """Return the longest possible conversation where a move costs so many messages."""
        rows: dict[str, Row] = {}
        costs: dict[tuple[str, int], int] = {}
        for name, state in self.states.items():
            moves = list(state.moves.values())
            rows[name] = [(move.next, move.max, move.then) for move in moves], state.otherwise
            costs |= {
                (name, number): price for number, move in enumerate(moves) if (price := cost(move)) != 1
            }
        return longest(rows, self.start, costs)

    def __repr__(self) -> str:
        return f"<Protocol {self.name} {self.version} {self.hash[:15]}>"

    def __format__(self, spec: str) -> str:
        if not spec:
            return f"{self.name} {self.version}"
        from agentcomm.protocol.draw import draw

        return draw(self, spec)
