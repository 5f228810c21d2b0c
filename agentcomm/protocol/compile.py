"""From the long form of a document to the tables of a `Protocol`: every name must stand for something.

What cannot be resolved is reported once; the draft goes on with a hole in its place, so that one mistake makes one finding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec import structs

from agentcomm.acts.content import Content
from agentcomm.acts.performative import Performative
from agentcomm.protocol.canonical import document_hash
from agentcomm.protocol.conditions import ConditionReader
from agentcomm.protocol.embed import Draft, Embedder
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report, TooMany
from agentcomm.protocol.flatten import acts_in, runs_in, states_in
from agentcomm.protocol.frozen import Frozen, Later
from agentcomm.protocol.graph import (
    Act,
    Limits,
    Mark,
    Move,
    OutcomeClass,
    Protocol,
    Run,
    State,
)
from agentcomm.protocol.hearers import Hearers
from agentcomm.protocol.lanes import Lanes, check_alone, check_gather, check_lanes, settled
from agentcomm.protocol.lexicon import Lexicon
from agentcomm.protocol.lookup import Resolve, nowhere
from agentcomm.protocol.many import RoleSpec
from agentcomm.protocol.names import EXPIRED, Names
from agentcomm.protocol.overlays import overlay_of, own_overlays
from agentcomm.protocol.races import tell_twice, winner
from agentcomm.protocol.resting import resting
from agentcomm.protocol.runs import can_run, check_run, given_in, landing, swapped
from agentcomm.protocol.shape import Word, unknown
from agentcomm.protocol.source import Source
from agentcomm.protocol.spec import Spec, shape
from agentcomm.protocol.turns import MoveSpec, RunSpec, StateSpec

__all__ = ("Draft", "draft")

MOST_STATES = 20_000
"""In one protocol, those of the protocols that it runs included."""
_BIG = 100_000
"""Characters of a document that makes much."""


def draft(
    source: Source, *, types: Mapping[str, type[Content]] | None = None, resolve: Resolve = nowhere
) -> Draft | None:
    """Return the tables of a document; what does not fit or resolve stands in the report.

    Args:
        source: The document.
        types: Content classes by the name that the document uses.
        resolve: Finds the documents that it runs or names as overlays.

    Returns:
        None if there are no states to go on with.
    """

    def compiled(document: Source, embedder: Embedder) -> Draft | None:
        marks: dict[str, Mark] = {}
        try:
            spec = shape(document)
            if spec is None:
                return None
            lexicon = Lexicon(spec, document.report, marks)
            names = Names(spec, document.report, marks)
            return _Compiler(
                spec,
                document,
                document.report,
                types or {},
                marks,
                lexicon,
                embedder,
                names,
                Hearers(names, document.report),
            ).compile()
        except TooMany:
            return None

    with resting(big=len(source.text) > _BIG):
        return compiled(source, Embedder(resolve, compiled, texts=(source.text,)))


def _marks(states: Sequence[StateSpec]) -> Iterator[tuple[str, Mark]]:
    """Yield the places of states and of what stands in them, by path in the document."""
    for state in states:
        place = f"states.{state.name}"
        yield place, state.name.at
        for role, moves in state.speakers:
            yield f"{place}.{role}", role.at
            for move in moves:
                yield f"{place}.{role}.{move.label}", move.label.at
        if state.otherwise:
            yield f"{place}.else", state.otherwise.at
        if state.within_at:
            yield f"{place}.within", state.within_at


_ROLELESS = ("unknown_role", "syntax")
"""Kinds of findings after which a role may be missing that was meant."""


@dataclass(slots=True)
class _Compiler:
    spec: Spec
    source: Source
    report: Report
    types: Mapping[str, type[Content]]
    marks: dict[str, Mark]
    lexicon: Lexicon
    embedder: Embedder
    names: Names
    hearers: Hearers
    acts: dict[str, Act] = field(default_factory=dict[str, Act])
    states: dict[str, State] = field(default_factory=dict[str, State])
    many: RoleSpec | None = None
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    races: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    own_else: set[str] = field(default_factory=set[str])
    places: set[str] = field(default_factory=set[str])
    """Names that stand for themselves: states that run nothing, and outcomes."""

    def compile(self) -> Draft | None:
        spec = self.spec
        self.many = next((role for role in spec.roles if role.members), None)
        self.names.read()
        self.names.misplaced()
        self._find_runs()
        embedded: dict[str, Act] = {}
        for region, theirs in self.names.theirs.items():
            embedded |= acts_in(region, theirs)
        reader = TypeReader(self.report, spec.types, self.types)
        reader.check_names()
        self.acts = self.lexicon.acts(reader, embedded)
        limits = self.names.limits()
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
        start = self.names.start_in(self.states)
        kinds = set(self.names.outcomes.values())
        overlay = overlay_of(spec.overlay, spec.roles, kinds, self.report) if spec.overlay else None
        overlays = own_overlays(spec.overlays, self.embedder, self.report)
        many = self.many.name if self.many else None
        clear = self._is_clear() and spec.settles is not None and spec.overlay is None
        settles = (
            settled(spec.settles or (), spec.settles_at, many, self.names.outcomes, self.report, self.marks)
            if clear
            else ()
        )
        owner = self.names.role(spec.owner, "`owner`") if spec.owner else ""
        if len(self.names.roles) == 1 and not any(found.kind in _ROLELESS for found in self.report.found):
            self.report.add(
                "E103",
                "role_not_informed",
                spec.roles[0].name.at,
                "a conversation needs two roles",
                fix="name who listens",
            )
            spec.broken = True
        if not spec.broken:
            self.hearers.tell_unsaid()
        unused = reader.unused()
        self.marks.update((f"types.{entry.key}", entry.at) for entry in unused)
        protocol = Protocol(
            name=spec.name,
            version=spec.version,
            roles=self.names.roles,
            acts=self.acts,
            states=self.states,
            start=start,
            outcomes=self.names.outcomes,
            limits=limits,
            hash="",
            text=self.source.text,
            about=spec.about,
            source=spec.source,
            owner=owner,
            overlay=overlay,
            many=many.text if many else "",
            members=(self.many and self.many.members) or (1, 1),
            settles=settles,
            runs=self.runs,
            overlays=overlays,
            embedded=self.embedder.embedded(),
            path=self.report.path,
            marks=Later(self.marks, "states.", partial(_marks, self.spec.states)),
        )
        protocol = self._in_lanes(protocol)
        protocol = replace(protocol, hash=document_hash(protocol))
        return Draft(
            protocol,
            self.report,
            self.names.holes,
            self.races,
            self.own_else,
            tuple(self.embedder.parts.values()),
            tuple(entry.key for entry in unused),
            sound=not spec.broken,
        )

    def _is_clear(self) -> bool:
        """Whether it is clear how many play each role."""
        roles = self.spec.roles
        return (
            all(role.is_clear for role in roles)
            and sum(role.members is not None for role in roles) <= 1
            and not self.names.strangers
        )

    def _in_lanes(self, protocol: Protocol) -> Protocol:
        """Return the protocol with its lanes marked."""
        if not protocol.many:
            if self._is_clear():
                check_alone(self.spec.states, self.spec.settles_at, self.report)
            return protocol
        lanes = Lanes.of(protocol)
        if not self.spec.broken and not self.names.holes and not self.names.strangers:
            check_lanes(protocol, lanes, self.spec.states, self.report)
        states = {
            name: structs.replace(state, in_lane=True) if name in lanes.inside else state
            for name, state in protocol.states.items()
        }
        return replace(protocol, states=states)

    # --- states ---

    def _states(self, limits: Limits) -> None:
        conditions = self.lexicon.conditions()
        self.places = self.names.places - set(self.names.theirs)
        for spec in self.spec.states:
            name = spec.name.text
            if name in self.names.outcomes:
                continue
            if name in self.names.theirs and spec.run:
                self._run(spec, spec.run, limits, conditions)
            elif name not in self.names.holes:
                self.states[name] = self._state(spec, limits, conditions)

    def _state(self, spec: StateSpec, limits: Limits, conditions: ConditionReader) -> State:
        name = spec.name.text
        moves: dict[str, Move] = {}
        for role, given in spec.speakers:
            speaker = self.names.role(role, "who speaks in a state") or role.text
            for move in given:
                label = move.label.text
                made = self._move(move, name, speaker, conditions)
                if moves.setdefault(label, made) is not made:
                    tell_twice(move, speaker, moves[label], self.report)
        first = winner(spec, spec.first, self.report) if spec.first else ""
        if self.many and spec.gather and self.names.role(spec.gather, "`gather`") and self._is_clear():
            check_gather(spec, spec.gather, self.many.name.text, self.report)
        if len(spec.speakers) > 1 and not first:
            self.races[name] = tuple(role.text for role, _ in spec.speakers)
        if spec.otherwise:
            self.own_else.add(name)
            otherwise = self.names.target(spec.otherwise, f"`else` is where the deadline of '{name}' leads")
        else:
            otherwise = limits.otherwise
            if otherwise == EXPIRED:
                self.names.expires()
        speakers = tuple([role.text for role, _ in spec.speakers])
        within = spec.within or limits.reply_within
        return State(name, speakers, Frozen(moves), within, otherwise, spec.gather is not None, first)

    # --- runs ---

    def _find_runs(self) -> None:
        """Look for the protocols that states run."""
        count = len(self.spec.states)
        for state in self.spec.states:
            name = state.name.text
            if state.run is None:
                continue
            made = self.embedder.part(state.run.protocol, self.report)
            if made and can_run(made.protocol, state.run.protocol, self.report):
                self.names.theirs[name] = made.protocol
                count += len(made.protocol.states)
            else:
                self.names.holes.add(name)
                self.spec.broken = True
        if count > MOST_STATES:
            self.report.add(
                "E101",
                "other",
                self.spec.states_at,
                f"there are {count} states, those of the protocols it runs included, and {MOST_STATES} are the most",
                fix="split the protocol",
            )
            raise TooMany

    def _run(self, spec: StateSpec, given: RunSpec, limits: Limits, conditions: ConditionReader) -> None:
        """Put the states of a protocol that a state runs among ours."""
        name, theirs = spec.name.text, self.names.theirs[spec.name.text]
        if swapped(given, theirs, self.names.roles, self.report):
            self.names.holes.add(name)
            self.spec.broken = True
            return
        roles = {key.text: self.names.role(ours, "`as`") for key, ours in given.roles}
        then = {
            key.text: self.names.target(place, f"`then` is where the run '{name}' leads")
            for key, place in given.then
        }
        values = given_in(name, given, theirs, conditions, self.report)
        if not check_run(spec, given, theirs, self.report) or not all(roles.values()):
            self.names.holes.add(name)
            self.spec.broken = True
            return
        within, otherwise = spec.within, ""
        if spec.within:
            otherwise = (
                self.names.target(spec.otherwise, f"`else` is where the deadline of '{name}' leads")
                if spec.otherwise
                else limits.otherwise
            )
        elif theirs.limits.whole:
            within = theirs.limits.whole
            otherwise = landing(then, theirs.outcomes.get(theirs.limits.otherwise, OutcomeClass.EXPIRED))
        if otherwise == EXPIRED:
            self.names.expires()
        run = Run(
            name=name,
            protocol=theirs,
            roles=roles,
            then={str(kind): landing(then, kind) for kind in theirs.outcomes.values()},
            start=f"{name}/{theirs.start}",
            within=within if otherwise else None,
            otherwise=otherwise,
        )
        states = states_in(run, self.acts, values)
        self.states |= states
        self.runs |= runs_in(run)
        for inner, state in states.items():
            self.marks[f"states.{inner}"] = spec.name.at
            for move in state.moves.values():
                self.marks[f"states.{inner}.{move.speaker}.{move.label}"] = spec.name.at

    def _move(self, spec: MoveSpec, state: str, speaker: str, conditions: ConditionReader) -> Move:
        label = spec.label.text
        act = self.acts.get(label)
        if act is None:
            if label not in self.names.strangers:
                self.names.strangers.add(label)
                self._tell_stranger(spec.label)
            act = Act(label, Performative.INFORM, {})
            own = ()
        else:
            own = conditions.all_of(spec.when, label) if spec.when else ()
        to = self.hearers.of(spec, speaker)
        after = spec.next.text
        if after not in self.places:
            after = self._place(spec.next, spec, state, speaker)
        if spec.is_plain:
            return Move(state, act, speaker, to, after, None, "", "", act.when)
        return Move(
            state=state,
            act=act,
            speaker=speaker,
            to=to,
            next=after,
            max=spec.max,
            then=self._place(spec.then, spec, state, speaker) if spec.then else "",
            owner=self.names.role(spec.owner, "`owner`") if spec.owner else "",
            when=(*act.when, *own) if own else act.when,
            stakes=self.lexicon.stakes(spec.stakes) if spec.stakes else None,
            for_all=spec.for_all,
            at_most=spec.at_most,
            at_once=spec.at_once,
        )

    def _tell_stranger(self, label: Word) -> None:
        """Tell of what is said and is no act; one of the library may only be missing in the list."""
        why = "`acts` lists what may be said"
        if label.text in set(Performative) and self.report.is_news(label.text):
            fix = f"add `{label}: {{reason: text}}`, or what else it carries, to `acts`"
            self.report.add(
                "E102",
                "unknown_name",
                label.at,
                f"'{label}' is not an act of this protocol",
                why=why,
                fix=fix,
            )
        else:
            unknown(self.report, label, "an act of this protocol", sorted(self.acts), why=why, is_named=True)

    def _place(self, word: Word, spec: MoveSpec, state: str, speaker: str) -> str:
        if word.text in self.places:
            return word.text
        why = f"'{spec.label}' said by {speaker} in '{state}' must lead to a state or an outcome"
        return self.names.target(word, why)
