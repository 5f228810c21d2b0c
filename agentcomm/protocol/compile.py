"""From the long form of a document to the tables of a `Protocol`: every name must stand for something.

What cannot be resolved is reported once; the draft goes on with a hole in its place, so that one mistake makes one finding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agentcomm.acts.content import Content, FieldType
from agentcomm.acts.performative import Performative
from agentcomm.protocol.canonical import document_hash
from agentcomm.protocol.conditions import ConditionReader
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report, near, quoted
from agentcomm.protocol.graph import (
    Act,
    Condition,
    Criterion,
    Limits,
    Mark,
    Move,
    OutcomeClass,
    Overlay,
    Protocol,
    Ref,
    Stakes,
    State,
)
from agentcomm.protocol.shape import Word
from agentcomm.protocol.source import Source
from agentcomm.protocol.spec import ACT_KEYS, ActSpec, GroundingSpec, LimitsSpec, OverlaySpec, Spec
from agentcomm.protocol.turns import MoveSpec, StateSpec

__all__ = ("EXPIRED", "Draft", "draft")

EXPIRED = "expired"
"""The built-in outcome of a deadline, where nothing else is said."""

_CRITERIA = tuple(Criterion)
_LATER_CRITERIA = (Criterion.DEMONSTRATED, Criterion.READBACK_AND_DEMONSTRATED)
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
    sound: bool = True
    """The graph is all there: what follows from it can be trusted."""


def draft(
    spec: Spec, source: Source, *, types: Mapping[str, type[Content]] | None = None
) -> Draft | None:
    """Return the tables of a document; what does not resolve stands in the report.

    Args:
        spec: The long form.
        source: The text it comes from.
        types: Content classes by the name that the document uses.

    Returns:
        None if there are no states to go on with.
    """
    return _Compiler(spec, source, source.report, types or {}).compile()


@dataclass(slots=True)
class _Compiler:
    spec: Spec
    source: Source
    report: Report
    types: Mapping[str, type[Content]]
    marks: dict[str, Mark] = field(default_factory=dict[str, Mark])
    acts: dict[str, Act] = field(default_factory=dict[str, Act])
    fields: dict[str, Mapping[str, FieldType]] = field(default_factory=dict[str, Mapping[str, FieldType]])
    states: dict[str, State] = field(default_factory=dict[str, State])
    outcomes: dict[str, OutcomeClass] = field(default_factory=dict[str, OutcomeClass])
    roles: tuple[str, ...] = ()
    places: set[str] = field(default_factory=set[str])
    """Names of states and outcomes."""
    holes: set[str] = field(default_factory=set[str])
    races: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    own_else: set[str] = field(default_factory=set[str])
    said: set[str] = field(default_factory=set[str])
    """Labels that some move uses."""
    strangers: set[str] = field(default_factory=set[str])
    """Labels that are not acts, already reported."""

    def compile(self) -> Draft | None:
        spec = self.spec
        self.roles = tuple(role.text for role in spec.roles)
        for role in spec.roles:
            self.marks[f"roles.{role}"] = role.at
        self._outcomes()
        reader = TypeReader(self.report, spec.types, self.types)
        self._acts(reader)
        limits = self._limits()
        self._states(limits)
        if not self.states:
            if not self.report.has_errors:
                self.report.add("E105", "no_final", spec.states_at, "there is no state", fix="write the first one")
            return None
        if not self.outcomes and not self.report.has_errors:
            self.report.add(
                "E105", "no_final", spec.outcomes_at, "there is no outcome", fix="write `outcomes: {done: success}`"
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
        self._unused(reader)
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
        return Draft(protocol, self.report, self.holes, self.races, self.own_else, not spec.broken)

    # --- names ---

    def _unknown(self, word: Word, what: str, known: Iterable[str], *, why: str = "") -> None:
        fix = near(word.text, known)
        self.report.add("E102", "unknown_name", word.at, f"'{word}' is not {what}", why=why, fix=fix)

    def _role(self, word: Word, what: str) -> str:
        if word.text in self.roles:
            return word.text
        if self.roles:
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
        self._unknown(word, "a state", sorted(self.places), why=why)
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
                self._unknown(kind, "a class of outcomes", [str(item) for item in OutcomeClass])
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

    # --- acts ---

    def _acts(self, reader: TypeReader) -> None:
        registered: dict[str, type[Content] | None] = {}
        for spec in self.spec.acts:
            label = spec.label.text
            self.marks[f"acts.{label}"] = spec.label.at
            before = len(self.report.found)
            if spec.content is None:
                self.fields[label], registered[label] = {}, None
            else:
                self.fields[label], registered[label] = reader.content(spec.content, label)
            if spec.looks_long and len(self.report.found) > before:
                last = self.report.found[before]
                self.report.found[before:] = [
                    replace(last, fix=f"for the long form ({', '.join(ACT_KEYS)}) add `act:` or `content:`")
                ]
        conditions = self._conditions()
        grounding = {item.label.text: item for item in self.spec.grounding}
        labels = {spec.label.text for spec in self.spec.acts}
        for item in self.spec.grounding:
            self.marks[f"grounding.{item.label}"] = item.label.at
            if item.label.text not in labels:
                self._unknown(item.label, "an act", sorted(labels), why="`grounding` says how an act is grounded")
        for spec in self.spec.acts:
            self.acts[spec.label.text] = self._act(
                spec, grounding.get(spec.label.text), registered[spec.label.text], conditions
            )

    def _conditions(self) -> ConditionReader:
        return ConditionReader(self.report, self.fields, self.spec.overlay is not None)

    def _act(
        self,
        spec: ActSpec,
        grounding: GroundingSpec | None,
        registered: type[Content] | None,
        conditions: ConditionReader,
    ) -> Act:
        label = spec.label.text
        fields = self.fields[label]
        stakes = self._stakes(spec.stakes)
        critical = self._own_fields(spec.critical, label, "critical")
        criterion, readback = Criterion.DELIVERED, ()
        repeats: dict[str, Ref] = {}
        if grounding:
            criterion = self._criterion(grounding)
            if grounding.readback is not None:
                criterion = Criterion.READBACK
                readback = self._own_fields(grounding.readback, label, "read back")
            for name, target in grounding.repeats:
                if ref := conditions.repeat(name, target, label):
                    repeats[name.text] = ref
        critical = critical or readback
        if stakes is Stakes.HIGH and critical:
            criterion = max(criterion, Criterion.READBACK, key=_CRITERIA.index)
            readback = tuple(dict.fromkeys((*readback, *critical)))
        elif criterion is Criterion.READBACK and not readback:
            readback = critical
        if spec.discharges and spec.discharges.text not in self.fields:
            self._unknown(spec.discharges, "an act", sorted(self.fields))
        if spec.discharges:
            self.marks[f"acts.{label}.discharges"] = spec.discharges.at
        return Act(
            label=label,
            performative=self._performative(spec),
            fields=fields,
            critical=critical,
            stakes=stakes,
            criterion=criterion,
            readback=readback,
            repeats=repeats,
            when=self._when(spec.when, label, conditions),
            discharges=spec.discharges.text if spec.discharges else "",
            outlives=spec.outlives,
            registered=registered,
        )

    def _performative(self, spec: ActSpec) -> Performative:
        word = spec.performative or spec.label
        if word.text in set(Performative):
            return Performative(word.text)
        names = [str(item) for item in Performative]
        hint = near(word.text, names)
        self.report.add(
            "E104",
            "unknown_name",
            word.at,
            f"'{word}' is not an act of the library",
            why="" if spec.performative else "a label of one's own says which act it is",
            fix=hint if spec.performative or hint.startswith("did") else f"write `{word}: {{act: inform, content: ...}}`",
        )
        return Performative.INFORM

    def _own_fields(self, words: tuple[Word, ...], label: str, what: str) -> tuple[str, ...]:
        good: list[str] = []
        for word in words:
            if word.text in self.fields[label]:
                good.append(word.text)
                continue
            self.report.add(
                "E602",
                "grounding",
                word.at,
                f"'{label}' has no field '{word}' that could be {what}",
                fix=near(word.text, self.fields[label], otherwise=f"'{label}' carries nothing"),
            )
        return tuple(dict.fromkeys(good))

    def _stakes(self, word: Word | None) -> Stakes:
        if word is None:
            return Stakes.NORMAL
        if word.text not in set(Stakes):
            self._unknown(word, "a level of stakes", [str(item) for item in Stakes])
            return Stakes.NORMAL
        if word.text == Stakes.IRREVERSIBLE:
            self._later("stakes `irreversible`", word)
            return Stakes.NORMAL
        return Stakes(word.text)

    def _criterion(self, grounding: GroundingSpec) -> Criterion:
        word = grounding.criterion
        if word is None:
            return Criterion.DELIVERED
        if word.text not in set(Criterion):
            self._unknown(word, "a criterion", [str(item) for item in Criterion])
            return Criterion.DELIVERED
        if word.text in _LATER_CRITERIA:
            self._later(f"the criterion `{word}`", word)
            return Criterion.DELIVERED
        return Criterion(word.text)

    def _later(self, feature: str, word: Word) -> None:
        if not any(found.code == "E190" and found.what.endswith(feature) for found in self.report.found):
            self.report.add(
                "E190",
                "other",
                word.at,
                f"the language has this, this version does not: {feature}",
                fix="write the protocol without it, or use a later version",
            )
        self.spec.broken = True

    def _when(self, words: tuple[Word, ...], label: str, conditions: ConditionReader) -> tuple[Condition, ...]:
        found = (conditions.read(word, label) for word in words)
        return tuple(condition for condition in found if condition)

    # --- states ---

    def _states(self, limits: Limits) -> None:
        conditions = self._conditions()
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
            speaker=spec.speakers[0][0].text if spec.speakers else "",
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
                self._unknown(spec.label, "an act of this protocol", sorted(self.acts), why="`acts` lists what may be said")
            act = Act(label, Performative.INFORM, {})
            own = ()
        else:
            self.said.add(label)
            own = self._when(spec.when, label, conditions)
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
            stakes=self._stakes(spec.stakes) if spec.stakes else None,
        )

    def _receivers(self, spec: MoveSpec, speaker: str) -> tuple[str, ...]:
        others = tuple(role for role in self.roles if role != speaker)
        if spec.to is None:
            if len(others) > 1 and speaker in self.roles:
                self.report.add(
                    "E103",
                    "role_not_informed",
                    spec.label.at,
                    f"who hears '{spec.label}'?",
                    why=f"there are {len(self.roles)} roles, and the move does not say to whom it speaks",
                    fix=f"add `to: {others[0]}` or `to: [{', '.join(others)}]`",
                )
            return others
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
            self._later("overlays on `demonstrated`", spec.on)
            return None
        if on not in ("any", "readback"):
            self._unknown(spec.on, "an occasion for an overlay", ["any", "readback"])
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
                self._unknown(key, "a class of outcomes", [*classes, "otherwise"])
            elif value.text not in (*classes, "resume", "again"):
                self._unknown(value, "`resume`, `again` or a class of outcomes", ["resume", "again", *classes])
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

    def _unused(self, reader: TypeReader) -> None:
        if self.strangers or self.spec.broken or not self.spec.acts:
            return
        for label in self.acts:
            if label not in self.said:
                self.report.add(
                    "W201", "unreachable", self.marks[f"acts.{label}"], f"the act '{label}' is never said", fix="say it in a state, or remove it"
                )
        for entry in reader.unused():
            self.report.add("W201", "unreachable", entry.at, f"the type '{entry.key}' is never used", fix="remove it")
