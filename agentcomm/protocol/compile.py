"""From the long form of a document to the tables of a `Protocol`: every name must stand for something.

What cannot be resolved is reported once; the draft goes on with a hole in its place, so that one mistake makes one finding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agentcomm.acts.content import Content
from agentcomm.acts.performative import Performative
from agentcomm.protocol.canonical import document_hash
from agentcomm.protocol.conditions import ConditionReader
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report, TooMany, near, quoted
from agentcomm.protocol.graph import (
    Act,
    Limits,
    Mark,
    Move,
    OutcomeClass,
    Overlay,
    Protocol,
    State,
)
from agentcomm.protocol.lexicon import Lexicon
from agentcomm.protocol.shape import Word
from agentcomm.protocol.source import Source
from agentcomm.protocol.spec import LimitsSpec, OverlaySpec, Spec, shape
from agentcomm.protocol.turns import MoveSpec, StateSpec

__all__ = ("EXPIRED", "Draft", "draft")

EXPIRED = "expired"
"""The built-in outcome of a deadline, where nothing else is said."""

_OVERLAY_ROLES = ({"sender", "hearer"}, {"canceller", "other"})


@dataclass(slots=True)
class Draft:
    """A protocol as far as it could be compiled."""

    protocol: Protocol
    report: Report
    holes: set[str] = field(default_factory=set[str])
    """Targets that are no states: everything may follow from them."""
    races: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """States with several speakers."""
    own_else: set[str] = field(default_factory=set[str])
    """States that say themselves where their deadline leads."""
    unused_types: tuple[str, ...] = ()
    """Named types that nothing refers to."""
    sound: bool = True
    """The graph is all there: what follows from it can be trusted."""


def draft(source: Source, *, types: Mapping[str, type[Content]] | None = None) -> Draft | None:
    """Return the tables of a document; what does not fit or resolve stands in the report.

    Args:
        source: The document.
        types: Content classes by the name that the document uses.

    Returns:
        None if there are no states to go on with.
    """
    marks: dict[str, Mark] = {}
    try:
        spec = shape(source)
        if spec is None:
            return None
        lexicon = Lexicon(spec, source.report, marks)
        return _Compiler(spec, source, source.report, types or {}, marks, lexicon).compile()
    except TooMany:
        return None


@dataclass(slots=True)
class _Compiler:
    spec: Spec
    source: Source
    report: Report
    types: Mapping[str, type[Content]]
    marks: dict[str, Mark]
    lexicon: Lexicon
    acts: dict[str, Act] = field(default_factory=dict[str, Act])
    states: dict[str, State] = field(default_factory=dict[str, State])
    outcomes: dict[str, OutcomeClass] = field(default_factory=dict[str, OutcomeClass])
    roles: tuple[str, ...] = ()
    places: set[str] = field(default_factory=set[str])
    """Names of states and outcomes."""
    holes: set[str] = field(default_factory=set[str])
    races: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    own_else: set[str] = field(default_factory=set[str])
    unheard: list[tuple[Word, tuple[str, ...]]] = field(default_factory=list[tuple[Word, tuple[str, ...]]])
    """Moves that do not say who hears them, where that is not plain."""
    strangers: set[str] = field(default_factory=set[str])
    """Labels and roles that stand for nothing, already reported."""

    def compile(self) -> Draft | None:
        spec = self.spec
        self.roles = tuple(role.text for role in spec.roles)
        for role in spec.roles:
            self.marks[f"roles.{role}"] = role.at
        self._outcomes()
        reader = TypeReader(self.report, spec.types, self.types)
        reader.check_names()
        self.acts = self.lexicon.acts(reader)
        limits = self._limits()
        self._states(limits)
        if not self.states:
            if not self.report.has_errors:
                self.report.add(
                    "E105", "no_final", spec.states_at, "there is no state", fix="write the first one"
                )
            return None
        if not spec.outcomes and not self.report.has_errors:
            self.report.add(
                "E105",
                "no_final",
                spec.outcomes_at,
                "there is no outcome",
                fix="write `outcomes: {done: success}`",
            )
            spec.broken = True
        start = self._start()
        overlay = self._overlay(spec.overlay) if spec.overlay else None
        owner = self._role(spec.owner, "`owner`") if spec.owner else ""
        if len(self.roles) == 1:
            self.report.add(
                "E103",
                "role_not_informed",
                spec.roles[0].at,
                "a conversation needs two roles",
                fix="name who listens",
            )
            spec.broken = True
        self._tell_unheard()
        unused = reader.unused()
        self.marks.update((f"types.{entry.key}", entry.at) for entry in unused)
        protocol = Protocol(
            name=spec.name,
            version=spec.version,
            roles=self.roles,
            acts=self.acts,
            states=self.states,
            start=start,
            outcomes=self.outcomes,
            limits=limits,
            hash="",
            text=self.source.text,
            about=spec.about,
            source=spec.source,
            owner=owner,
            overlay=overlay,
            path=self.report.path,
            marks=self.marks,
        )
        protocol = replace(protocol, hash=document_hash(protocol))
        return Draft(
            protocol,
            self.report,
            self.holes,
            self.races,
            self.own_else,
            tuple(entry.key for entry in unused),
            sound=not spec.broken,
        )

    # --- names ---

    def _role(self, word: Word, what: str) -> str:
        if word.text in self.roles:
            return word.text
        if self.roles and word.text not in self.strangers:
            self.strangers.add(word.text)
            self.report.add(
                "E102",
                "unknown_role",
                word.at,
                f"'{word}' is not a role",
                why=f"{what} names a role",
                fix=near(word.text, self.roles),
            )
        return ""

    def _target(self, word: Word, why: str) -> str:
        if word.text in self.places or word.text in self.holes:
            return word.text
        if word.text == EXPIRED:
            self.outcomes[EXPIRED] = OutcomeClass.EXPIRED
            self.places.add(EXPIRED)
            return EXPIRED
        self.holes.add(word.text)
        self.lexicon.unknown(word, "a state", sorted(self.places), why=why)
        return word.text

    def _start(self) -> str:
        word = self.spec.start
        if word is None:
            return next(iter(self.states))
        if word.text in self.states:
            return word.text
        self.spec.broken = True
        self.report.add(
            "E105",
            "no_final" if word.text in self.outcomes else "unknown_name",
            word.at,
            f"the conversation cannot start in '{word}': it is not a state",
            fix=near(word.text, self.states),
        )
        return next(iter(self.states))

    # --- outcomes and limits ---

    def _outcomes(self) -> None:
        named = {state.name.text: state for state in self.spec.states}
        for name, kind in self.spec.outcomes:
            self.marks[f"outcomes.{name}"] = name.at
            if name.text in named:
                state = named[name.text]
                self.report.add(
                    "E106",
                    "other",
                    state.name.at,
                    f"'{name}' is a state and an outcome",
                    why=f"an outcome ends the conversation; nothing can be said in it (line {name.at.line})",
                    fix="rename one of them",
                )
                self.spec.broken = True
                continue
            if kind.text in set(OutcomeClass):
                self.outcomes[name.text] = OutcomeClass(kind.text)
                continue
            if kind.text:
                self.lexicon.unknown(kind, "a class of outcomes", [str(item) for item in OutcomeClass])
            self.outcomes[name.text] = OutcomeClass.UNDECIDED
        self.places = set(named) | set(self.outcomes)

    def _limits(self) -> Limits:
        given: LimitsSpec = self.spec.limits
        otherwise = EXPIRED
        if given.otherwise:
            otherwise = self._target(given.otherwise, "`limits.else` is where a deadline leads")
        if given.whole and otherwise == EXPIRED:
            self._expires()
        escalate = given.escalate_to
        if escalate and self.roles and escalate.text not in self.roles:
            self.report.add(
                "E603",
                "unknown_role",
                escalate.at,
                f"'{escalate}' is not a role",
                why="`escalate_to` names the role that decides where repair fails",
                fix=near(escalate.text, self.roles),
            )
        default = Limits()
        if given.turns is not None:
            self.marks["limits.turns"] = given.turns_at
        if given.repairs is not None:
            self.marks["limits.repairs"] = given.repairs_at
        return Limits(
            reply_within=given.reply_within or default.reply_within,
            otherwise=otherwise,
            repairs=default.repairs if given.repairs is None else given.repairs,
            repairs_in_all=given.repairs_in_all,
            misfires=given.misfires or default.misfires,
            turns=given.turns,
            whole=given.whole,
            escalate_to=escalate.text if escalate else "",
        )

    def _expires(self) -> None:
        if EXPIRED not in self.places:
            self.outcomes[EXPIRED] = OutcomeClass.EXPIRED
            self.places.add(EXPIRED)

    # --- states ---

    def _states(self, limits: Limits) -> None:
        conditions = self.lexicon.conditions()
        for spec in self.spec.states:
            self.marks[f"states.{spec.name}"] = spec.name.at
            if spec.name.text not in self.outcomes:
                self.states[spec.name.text] = self._state(spec, limits, conditions)

    def _state(self, spec: StateSpec, limits: Limits, conditions: ConditionReader) -> State:
        name = spec.name.text
        moves: dict[str, Move] = {}
        for role, given in spec.speakers:
            self.marks[f"states.{name}.{role}"] = role.at
            speaker = self._role(role, "who speaks in a state") or role.text
            for move in given:
                self.marks[f"states.{name}.{role}.{move.label}"] = move.label.at
                moves.setdefault(move.label.text, self._move(move, name, speaker, conditions))
        if len(spec.speakers) > 1:
            self.races[name] = tuple(role.text for role, _ in spec.speakers)
        if spec.otherwise:
            self.own_else.add(name)
            self.marks[f"states.{name}.else"] = spec.otherwise.at
            otherwise = self._target(spec.otherwise, f"`else` is where the deadline of '{name}' leads")
        else:
            otherwise = limits.otherwise
            if otherwise == EXPIRED:
                self._expires()
        if spec.within_at:
            self.marks[f"states.{name}.within"] = spec.within_at
        return State(
            name=name,
            speakers=tuple(role.text for role, _ in spec.speakers),
            moves=moves,
            within=spec.within or limits.reply_within,
            otherwise=otherwise,
        )

    def _move(self, spec: MoveSpec, state: str, speaker: str, conditions: ConditionReader) -> Move:
        label = spec.label.text
        act = self.acts.get(label)
        why = f"'{label}' said by {speaker} in '{state}' must lead to a state or an outcome"
        if act is None:
            if label not in self.strangers:
                self.strangers.add(label)
                self.lexicon.unknown(
                    spec.label,
                    "an act of this protocol",
                    sorted(self.acts),
                    why="`acts` lists what may be said",
                )
            act = Act(label, Performative.INFORM, {})
            own = ()
        else:
            own = conditions.all_of(spec.when, label)
        return Move(
            state=state,
            act=act,
            speaker=speaker,
            to=self._receivers(spec, speaker),
            next=self._target(spec.next, why),
            max=spec.max,
            then=self._target(spec.then, why) if spec.then else "",
            owner=self._role(spec.owner, "`owner`") if spec.owner else "",
            when=(*act.when, *own),
            stakes=self.lexicon.stakes(spec.stakes) if spec.stakes else None,
        )

    def _receivers(self, spec: MoveSpec, speaker: str) -> tuple[str, ...]:
        others = tuple(role for role in self.roles if role != speaker)
        if spec.to is None:
            if len(others) > 1 and speaker in self.roles:
                self.unheard.append((spec.label, others))
            return others
        if not spec.to:
            self.report.add(
                "E103",
                "role_not_informed",
                spec.label.at,
                f"nobody hears '{spec.label}'",
                fix=f"write `to: {others[0] if others else 'a-role'}`",
            )
        found: list[str] = []
        for word in spec.to:
            if word.text == speaker:
                self.report.add(
                    "E103",
                    "role_not_informed",
                    word.at,
                    f"{speaker} cannot speak to itself",
                    fix=f"name another role: {quoted(others)}",
                )
            elif role := self._role(word, "`to`"):
                found.append(role)
        return tuple(dict.fromkeys(found))

    # --- the rest ---

    def _overlay(self, spec: OverlaySpec) -> Overlay | None:
        on = spec.on.text
        if on == "demonstrated":
            self.lexicon.later("overlays on `demonstrated`", spec.on)
            return None
        if on not in ("any", "readback"):
            self.lexicon.unknown(spec.on, "an occasion for an overlay", ["any", "readback"])
            return None
        if set(self.roles) not in _OVERLAY_ROLES:
            self.report.add(
                "E102",
                "unknown_role",
                self.spec.roles[0].at if self.spec.roles else spec.at,
                "the roles of an overlay are [sender, hearer], or [canceller, other]",
                why="they are bound to the message it is about",
                fix="rename the roles",
            )
        then: dict[str, str] = {}
        classes = [str(item) for item in OutcomeClass]
        for key, value in spec.then:
            if key.text not in (*classes, "otherwise"):
                self.lexicon.unknown(key, "a class of outcomes", [*classes, "otherwise"])
            elif value.text not in (*classes, "resume", "again"):
                self.lexicon.unknown(
                    value, "`resume`, `again` or a class of outcomes", ["resume", "again", *classes]
                )
            then[key.text] = value.text
        missing = {str(kind) for kind in self.outcomes.values()} - set(then)
        if missing and "otherwise" not in then:
            self.report.add(
                "E703",
                "composition",
                spec.at,
                f"`then` does not say what follows from {quoted(sorted(missing))}",
                fix="add `otherwise: aborted`",
            )
        return Overlay("readback" if on == "readback" else "any", then)

    def _tell_unheard(self) -> None:
        if not self.unheard or self.spec.broken:
            return
        label, others = self.unheard[0]
        more = f", nor do {len(self.unheard) - 1} more" if len(self.unheard) > 1 else ""
        self.report.add(
            "E103",
            "role_not_informed",
            label.at,
            f"who hears '{label}'?",
            why=f"with {len(self.roles)} roles a move says to whom it speaks; this one does not{more}",
            fix=f"add `to: {others[0]}` or `to: [{', '.join(others)}]`",
        )
