"""A protocol as tables: who may say what, when, and where that leads.

Everything here is immutable, and nothing needs a third-party package beside the content classes: the engine runs on these
plain dictionaries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import msgspec

from agentcomm.acts.content import Content, FieldType, content_model
from agentcomm.acts.performative import PERFORMATIVES, LedgerOp, Performative, PerformativeInfo
from agentcomm.protocol.ceiling import BoundedMove, Ceiling
from agentcomm.protocol.frozen import Frozen, freeze

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
    "Run",
    "Settle",
    "Stakes",
    "State",
    "label_in",
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


class Mark(msgspec.Struct, frozen=True, gc=False):
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
        right = self.right
        if isinstance(right, tuple):
            right = f"[{', '.join(map(_constant, right))}]"
        return f"{self.left} {self.op} {_constant(right)}"


def _constant(value: Any) -> str:
    """Return a value as the file writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def label_in(region: str, label: str) -> str:
    """Return the label of an act of a protocol that is run: `working.request`, `outer/inner.request`."""
    return f"{region}/{label}" if "." in label else f"{region}.{label}"


@dataclass(frozen=True)
class Act:
    """What may be said, and what it carries."""

    label: str
    """Of an act of a protocol that a state runs: `state.label`."""
    performative: Performative
    fields: Mapping[str, FieldType]
    critical: tuple[str, ...] = ()
    """Fields that a read-back compares."""
    stakes: Stakes = Stakes.NORMAL
    criterion: Criterion = Criterion.DELIVERED
    """The strongest of what the protocol and the stakes ask for."""
    readback: tuple[str, ...] = ()
    """Fields to be read back; empty unless the criterion asks for it."""
    declared: tuple[str, ...] = ()
    """Those of them that the protocol names itself; the others follow from the stakes."""
    repeats: Mapping[str, Ref] = field(default_factory=dict[str, Ref])
    """Field -> the value on record it must equal."""
    when: tuple[Condition, ...] = ()
    discharges: str = ""
    """Label of the act whose commitment this one fulfils."""
    outlives: bool = False
    """Its commitment may stay open when the conversation ends."""
    registered: type[Content] | None = None
    """A content class given in Python instead of `fields`."""

    def __post_init__(self) -> None:
        freeze(self, "fields", "repeats")

    @cached_property
    def content(self) -> type[Content]:
        """The pydantic class of what it carries."""
        return self.registered or content_model(self.label, self.fields)

    @cached_property
    def validate(self) -> Callable[[Any], Content]:
        """Returns content of that class for a map of fields; what pydantic raises otherwise."""
        return self.content.__pydantic_validator__.validate_python

    @cached_property
    def info(self) -> PerformativeInfo:
        """The row of the act library."""
        return PERFORMATIVES[self.performative]

    @cached_property
    def empty(self) -> Content:
        """Content without a field, of an act that carries nothing."""
        return self.content()

    @cached_property
    def names(self) -> set[str]:
        """The names of its fields; not to be changed."""
        return set(self.fields)

    @cached_property
    def promises(self) -> bool:
        """Whether it does anything to commitments."""
        return self.info.op is not LedgerOp.NONE or bool(self.discharges)

    def __getstate__(self) -> dict[str, Any]:
        made = ("content", "empty", "info", "names", "promises", "validate")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    @property
    def name(self) -> str:
        """The label as its own protocol gives it: without the state that runs that protocol."""
        return self.label.rpartition(".")[2]


_NOTHING: Mapping[str, Ref] = Frozen()


class Move(msgspec.Struct, frozen=True, gc=False):
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
    for_all: bool = False
    """Said once, in every lane that stands in this state; its budget counts it once."""
    at_most: int | None = None
    """No more lanes than that make this move in the whole conversation."""
    at_once: int | None = None
    """No more lanes than that stand in the state it leads to."""
    given: Mapping[str, Ref] = _NOTHING
    """Field -> the value on record that the runtime fills it with (`with` of a run)."""

    @property
    def label(self) -> str:
        """The act's label."""
        return self.act.label

    @property
    def key(self) -> str:
        """Name of its budget."""
        return f"{self.state}/{self.act.label}"


class State(msgspec.Struct, frozen=True, gc=False):
    """A place in the graph: one role may speak, or several race."""

    name: str
    """Of a state of a protocol that another state runs: `state/name`."""
    speakers: tuple[str, ...]
    """Who may speak; more than one is a race."""
    moves: Mapping[str, Move]
    """By label, in the file's order."""
    within: float
    """Seconds from each entry until `otherwise` is taken; at a gather, from its opening."""
    otherwise: str
    """State or outcome taken when the time is up."""
    gather: bool = False
    """It waits until every living lane stands at a gather; then its speaker makes one move in each, in one turn."""
    first: str = ""
    """In a race: whose move counts, of two made from the same place in the log."""
    in_lane: bool = False
    """Each member of the many-role has its own position here."""
    region: str = ""
    """The run that it belongs to: a key of `Protocol.runs`."""

    def __post_init__(self) -> None:
        if type(self.moves) is not Frozen:
            msgspec.structs.force_setattr(self, "moves", Frozen(self.moves))

    @property
    def speaker(self) -> str:
        """Who may speak; in a race, the first of them."""
        return self.speakers[0] if self.speakers else ""


@dataclass(frozen=True)
class Run:
    """A state of the file in which another protocol runs.

    The states of that protocol stand in `Protocol.states` as `name/state`, its acts in `Protocol.acts` as `name.label`, with
    our roles. Each entry is a new enactment: its budgets are whole again, and what was said in an earlier one is forgotten.
    """

    name: str
    """The state, such as `working`; in a protocol that is itself run, `outer/working`."""
    protocol: "Protocol"
    roles: Mapping[str, str]
    """Their role -> ours (`as`)."""
    then: Mapping[str, str]
    """Every class of its outcomes -> our state or outcome, as in `Protocol.states`."""
    start: str
    """The state that is entered."""
    within: float | None = None
    """Seconds for the whole run."""
    otherwise: str = ""
    """Where it leads when that time is up."""

    def __post_init__(self) -> None:
        freeze(self, "roles", "then")


@dataclass(frozen=True, slots=True)
class Settle:
    """How the lanes' ends settle the conversation: `success: any done`."""

    outcome: OutcomeClass
    quantifier: Literal["any", "all", "most", "at least", "otherwise"]
    of: str = ""
    """An outcome or a class of outcomes."""
    n: int = 0
    """For `at least`."""

    def __str__(self) -> str:
        count = f" {self.n}" if self.quantifier == "at least" else ""
        return f"{self.quantifier}{count} {self.of}".rstrip()

    def fits(self, ends: Mapping[str, int], outcomes: Mapping[str, OutcomeClass]) -> bool:
        """Say whether it holds of so many lanes that ended in each outcome; its base is every lane that began."""
        lanes = sum(ends.values())
        here = sum(count for name, count in ends.items() if self.of in (name, outcomes.get(name, name)))
        match self.quantifier:
            case "any":
                return here > 0
            case "all":
                return here == lanes
            case "most":
                return 2 * here > lanes
            case "at least":
                return here >= self.n
            case "otherwise":
                return True


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

    def __post_init__(self) -> None:
        freeze(self, "then")


@dataclass(frozen=True, repr=False, eq=False)
class Protocol:
    """Who may say what, when, and where that leads. Immutable; named by its hash, and equal by it."""

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
    many: str = ""
    """The many-role: the one that several agents play, each in a lane of its own."""
    members: tuple[int, int] = (1, 1)
    """How few and how many may play it."""
    settles: tuple[Settle, ...] = ()
    """In order, the first that fits; only with a many-role."""
    runs: Mapping[str, Run] = field(default_factory=dict[str, Run])
    """By state, nested ones as `outer/inner`."""
    overlays: Mapping[str, "Protocol | None"] = field(default_factory=dict[str, "Protocol | None"])
    """Overlays that it names itself, and those that it switches off (None)."""
    embedded: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The text of every document that it runs or names as an overlay, at any depth, by its name.

    `name`, or `outer/name` for one that only `outer` calls so; `loads(text, protocols=embedded)` makes the same protocol.
    """
    path: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict[str, Mark], compare=False, repr=False)
    """Place in the file by path in the document, such as `states.asked.seller.propose`."""

    def __post_init__(self) -> None:
        freeze(self, "acts", "states", "outcomes", "runs", "overlays", "embedded", "marks")

    @property
    def bound(self) -> int:
        """The longest possible conversation in messages, without overlays; `limits.turns` plays no part in it."""
        return self._bound

    @cached_property
    def _bound(self) -> int:
        return Ceiling(self).alone()

    def bound_with(self, cost: Callable[[Move], int]) -> int:
        """Return the longest possible conversation where a move costs so many messages."""
        return Ceiling(self).of(cost)

    def ours(self, run: str, move: BoundedMove) -> Move:
        """Return the move of a run's protocol as it stands among our states."""
        return self.states[f"{run}/{move.state}"].moves[label_in(run, move.label)]

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, Protocol) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.hash)

    def __copy__(self) -> "Protocol":
        return self

    def __deepcopy__(self, memo: object) -> "Protocol":
        return self

    def __repr__(self) -> str:
        return f"<Protocol {self.name} {self.version} {self.hash[:15]}>"

    def __format__(self, spec: str) -> str:
        if not spec:
            return f"{self.name} {self.version}"
        from agentcomm.protocol.draw import draw

        return draw(self, spec)
