"""What names stand for: roles, states and outcomes of a document, and the limits that refer to them.

What cannot be resolved is reported once, and stays as a hole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from agentcomm.protocol.findings import Report, near
from agentcomm.protocol.graph import Limits, Mark, OutcomeClass, Protocol, State
from agentcomm.protocol.shape import Word, unknown
from agentcomm.protocol.spec import LimitsSpec, Spec

__all__ = ("EXPIRED", "Names")

EXPIRED = "expired"
"""The built-in outcome of a deadline, where nothing else is said."""


_SAME = {
    "ok": "success", "done": "success", "completed": "success", "accepted": "success", "timeout": "expired",
    "timed-out": "expired", "late": "expired", "error": "failed", "failure": "failed", "fail": "failed",
    "denied": "refused", "declined": "refused", "refuse": "refused", "reject": "rejected", "cancel": "cancelled",
    "canceled": "cancelled", "abort": "aborted", "unknown": "undecided", "draw": "undecided",
}  # fmt: skip
"""What others call a class of outcomes."""


@dataclass(slots=True)
class Names:
    """Resolves the names of a document."""

    spec: Spec
    report: Report
    marks: dict[str, Mark]
    roles: tuple[str, ...] = ()
    outcomes: dict[str, OutcomeClass] = field(default_factory=dict[str, OutcomeClass])
    theirs: dict[str, Protocol] = field(default_factory=dict[str, Protocol])
    """What a state runs, by its name."""
    places: set[str] = field(default_factory=set[str])
    """Names of states and outcomes."""
    holes: set[str] = field(default_factory=set[str])
    """Targets that are no states."""
    strangers: set[str] = field(default_factory=set[str])
    """Labels and roles that stand for nothing, already reported."""

    def role(self, word: Word, what: str) -> str:
        """Return a role; an empty text, with a finding, if it is none."""
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

    def target(self, word: Word, why: str) -> str:
        """Return the place that a name stands for: a state or an outcome, of a run the state that it starts in."""
        if self.theirs and (theirs := self.theirs.get(word.text)):
            return f"{word.text}/{theirs.start}"
        if word.text in self.places or word.text in self.holes:
            return word.text
        if word.text == EXPIRED:
            self.outcomes[EXPIRED] = OutcomeClass.EXPIRED
            self.places.add(EXPIRED)
            return EXPIRED
        self.holes.add(word.text)
        unknown(self.report, word, "a state", sorted(self.places), why=why, is_named=True)
        return word.text

    def misplaced(self) -> None:
        """Take states out of states: what is no role there, and what moves lead to, is a state that is indented too far."""
        speakers = {role.text for state in self.spec.states for role, _ in state.speakers}
        if speakers <= set(self.roles):
            return
        targets = {
            word.text
            for state in self.spec.states
            for _, moves in state.speakers
            for move in moves
            for word in (move.next, move.then)
            if word
        } - self.places
        for number, state in enumerate(self.spec.states):
            inner = [
                role for role, _ in state.speakers if role.text in targets and role.text not in self.roles
            ]
            for role in inner:
                self.holes.add(role.text)
                self.report.add(
                    "E101",
                    "syntax",
                    role.at,
                    f"'{role}' stands in the state '{state.name}', and is no role",
                    why="moves lead to it, so that it seems to be a state of its own",
                    fix=f"indent it as far as '{state.name}', or name a role",
                )
            if inner:
                self.spec.broken = True
                kept = tuple(entry for entry in state.speakers if entry[0] not in inner)
                self.spec.states[number] = structs.replace(state, speakers=kept)

    def start_in(self, states: Mapping[str, State]) -> str:
        """Return the first state: the one that is named, else the first of the file."""
        word = self.spec.start
        if word is None:
            return next(iter(states))
        if theirs := self.theirs.get(word.text):
            return f"{word.text}/{theirs.start}"
        if word.text in states:
            return word.text
        self.spec.broken = True
        self.report.add(
            "E105",
            "no_final" if word.text in self.outcomes else "unknown_name",
            word.at,
            f"the conversation cannot start in '{word}': it is not a state",
            fix=near(word.text, states),
        )
        return next(iter(states))

    def read(self) -> None:
        """Take in the roles, states and outcomes of the document."""
        for role in self.spec.roles:
            self.marks[f"roles.{role}"] = role.name.at
        self.roles = tuple(role.name.text for role in self.spec.roles)
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
                same = _SAME.get(kind.text.lower())
                classes = [str(item) for item in OutcomeClass]
                unknown(self.report, kind, "a class of outcomes", classes, meant=same or "")
            self.outcomes[name.text] = OutcomeClass.UNDECIDED
        self.places = set(named) | set(self.outcomes)

    def limits(self) -> Limits:
        """Return the bounds of the conversation."""
        given: LimitsSpec = self.spec.limits
        otherwise = EXPIRED
        if given.otherwise:
            otherwise = self.target(given.otherwise, "`limits.else` is where a deadline leads")
        if given.whole and otherwise == EXPIRED:
            self.expires()
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
        if escalate:
            self.marks["limits.escalate_to"] = escalate.at
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

    def expires(self) -> None:
        """Take in the built-in outcome of a deadline."""
        if EXPIRED not in self.places:
            self.outcomes[EXPIRED] = OutcomeClass.EXPIRED
            self.places.add(EXPIRED)
