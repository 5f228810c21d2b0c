"""Bring in a protocol of BSPL, the Blindingly Simple Protocol Language.

There no order is written: a message can be said once its `in` parameters are known to the sender and its `out` parameters are
not bound yet. What has been said is a state here, and every order that information causality allows is a way through them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agentcomm.acts.performative import Performative
from agentcomm.protocol.findings import Report, quoted
from agentcomm.protocol.imports.bspl_flat import FlatMessage, FlatProtocol, flatten
from agentcomm.protocol.imports.bspl_text import read_bspl
from agentcomm.protocol.imports.imported import (
    DEADLINE,
    ActPart,
    Imported,
    MovePart,
    Parts,
    StatePart,
    refuse,
)
from agentcomm.protocol.imports.words import Names, act_of, as_field, class_of
from agentcomm.protocol.many import BARRED

__all__ = ("from_bspl",)

MOST_STATES = 120
"""Where every order has more states, one order is written."""

_Said = frozenset[int]
"""The messages that have been said, by their places in the file."""


def from_bspl(data: bytes | str, path: str = "") -> Imported:
    """Return the protocol that a BSPL file describes.

    Args:
        data: The file's content.
        path: Its name, for findings.

    Raises:
        ProtocolError: If it cannot be read, or has too many orders; its `findings` list why.
    """
    given, report = read_bspl(data, path)
    parts = Parts("", "")
    flat = flatten(given, report, parts)
    parts.name, parts.source = Names().fresh(flat.name.text), f"BSPL {flat.name}"
    made = _Made(flat, report, parts)
    made.make()
    return parts.finished()


@dataclass(slots=True)
class _Made:
    """A BSPL protocol, and what was made of it."""

    given: FlatProtocol
    report: Report
    parts: Parts
    roles: dict[str, str] = field(default_factory=dict[str, str])
    """Role there -> role here."""
    labels: list[str] = field(default_factory=list[str])
    """By message."""
    fields: dict[str, str] = field(default_factory=dict[str, str])
    """Parameter -> field."""
    offered: dict[_Said, list[int]] = field(default_factory=dict[_Said, list[int]])
    """What can be said next."""

    def make(self) -> None:
        """Fill the parts."""
        self._enumerate()
        self._name()
        self._states()
        self._acts()
        self._open_questions()

    def _enumerate(self) -> None:
        """Find what can be said when: every order, or one order if there are too many.

        Raises:
            ProtocolError: If nothing can be said, or one order has too many states as well.
        """
        if not self._walk(one=False):
            self.parts.lose(
                f"every order of the messages has more than {MOST_STATES} states: where several roles may speak, "
                "the one whose message stands first in the file does"
            )
            if not self._walk(one=True):
                self._refuse(
                    f"the messages have more than {MOST_STATES} states, even in one order",
                    "bring in its parts one by one",
                )
        if not self.offered[frozenset()]:
            self._refuse(
                "nothing can be said first: every message needs something that nobody knows",
                "give one message only `out` parameters",
            )
        refuse(self.report)

    def _refuse(self, what: str, fix: str) -> None:
        self.report.add(
            "E101", "other", self.given.name.at, what, why="information causality gives the order", fix=fix
        )

    def _walk(self, *, one: bool) -> bool:
        """Fill what can be said next; returns false if there are too many states."""
        self.offered = {frozenset(): []}
        waiting: list[_Said] = [frozenset()]
        for said in waiting:  # grows
            enabled = self._enabled(said)
            if one and enabled:
                speaker = self.given.messages[enabled[0]].sender
                enabled = [number for number in enabled if self.given.messages[number].sender == speaker]
            self.offered[said] = enabled
            for number in enabled:
                if (after := said | {number}) not in self.offered:
                    self.offered[after] = []
                    waiting.append(after)
            if len(waiting) > MOST_STATES:
                return False
        return True

    def _enabled(self, said: _Said) -> list[int]:
        """Return the messages that can be said, by information causality."""
        known: dict[str, set[str]] = {}
        for number in said:
            message = self.given.messages[number]
            for role in (message.sender, message.recipient):
                known.setdefault(role, set(self.given.known)).update(message.shown)
        bound = self.given.known.union(*known.values())

        def can(message: FlatMessage) -> bool:
            knows = known.get(message.sender, self.given.known)
            return (
                message.having("in") <= knows
                and not message.having("out") & bound
                and not message.having("nil") & knows
            )

        messages = self.given.messages
        return [number for number, message in enumerate(messages) if number not in said and can(message)]

    def _used(self) -> list[int]:
        """Return the messages that can be said at some time."""
        return sorted({number for enabled in self.offered.values() for number in enabled})

    def _name(self) -> None:
        """Give roles, labels and fields their names here; leave out what never speaks or hears."""
        used = [self.given.messages[number] for number in self._used()]
        present = {role for message in used for role in (message.sender, message.recipient)}
        names, labels = Names(BARRED), Names()
        for role in self.given.roles:
            if role.text in present:
                self.roles[role.text] = names.fresh(role.text)
                self.parts.tell_renamed(role.text, self.roles[role.text])
            else:
                self.parts.lose(
                    f"the role '{role}' is left out: no message comes to or from it", role.at.line
                )
        self.parts.roles = list(self.roles.values())
        for message in self.given.messages:
            label = labels.fresh(message.name.text)
            self.labels.append(label)
            self._tell_label(message, label)
            for name in message.parameters:
                if name not in self.fields:
                    self.fields[name] = as_field(name, dict.fromkeys(self.fields.values(), ""))

    def _tell_label(self, message: FlatMessage, label: str) -> None:
        if label[-1].isdigit() and not message.name.text[-1].isdigit():
            what = f"there are several messages '{message.name}': this one is '{label}'"
            self.parts.lose(what, message.name.at.line)
        else:
            self.parts.tell_renamed(message.name.text, label)

    def _states(self) -> None:
        names = Names(("expired",))
        places: dict[_Said, str] = {frozenset(): names.fresh("start")}
        races: list[str] = []
        for said, enabled in self.offered.items():
            if not enabled:
                continue
            state = StatePart(otherwise=self._end(said) if self._is_complete(said) else "")
            for number in enabled:
                message, after = self.given.messages[number], said | {number}
                if not self.offered[after]:
                    target = self._end(after)
                else:
                    target = places.get(after) or names.fresh(f"after-{self.labels[number]}")
                    places[after] = target
                to = self.roles[message.recipient] if len(self.roles) > 2 else ""  # noqa: PLR2004  (else one is left)
                moves = state.moves.setdefault(self.roles[message.sender], {})
                moves[self.labels[number]] = MovePart(target, to)
            if len(state.moves) > 1:
                races.append(f"{quoted(state.moves)} in '{places[said]}'")
                self._tell_unsafe(enabled)
            self.parts.states[places[said]] = state
        if races:
            more = f", and in {len(races) - 1} more states" if len(races) > 1 else ""
            self.parts.lose(
                f"roles that may speak at the same time race here, and the log gives the order: {races[0]}{more}"
            )

    def _tell_unsafe(self, enabled: list[int]) -> None:
        """Note parameters that two roles may bind at once."""
        messages = [self.given.messages[number] for number in enabled]
        for at, one in enumerate(messages):
            for other in messages[at + 1 :]:
                both = one.having("out") & other.having("out")
                if both and one.sender != other.sender:
                    self.parts.lose(
                        f"'{one.name}' and '{other.name}' may both bind {_names(both)} at once, which is not safe in BSPL; "
                        "here the first one in the log does",
                        other.name.at.line,
                    )

    def _is_complete(self, said: _Said) -> bool:
        bound = self.given.known.union(*(self.given.messages[number].shown for number in said))
        return self.given.wanted <= bound

    def _end(self, said: _Said) -> str:
        """Return the outcome of an enactment that stops here."""
        if not self._is_complete(said):
            self.parts.outcomes["incomplete"] = "undecided"
            return "incomplete"
        kinds = [class_of(self.given.messages[number].name.text) for number in sorted(said)]
        kind = next((kind for kind in kinds if kind != "success"), "success")
        name = "complete" if kind == "success" else f"complete-{kind}"
        self.parts.outcomes[name] = kind
        return name

    def _acts(self) -> None:
        used = self._used()
        for number, message in enumerate(self.given.messages):
            label = self.labels[number]
            if number not in used:
                self.parts.lose(f"'{message.name}' is left out: it can never be said", message.name.at.line)
                continue
            first = number in self.offered[frozenset()]
            performative = act_of(label, Performative.REQUEST if first else Performative.INFORM)
            shown = {name: adornment for name, adornment in message.parameters.items() if adornment != "nil"}
            fields = {self.fields[name]: self._type(name, adornment) for name, adornment in shown.items()}
            self.parts.acts[label] = ActPart(performative, fields, self._repeats(number))

    def _type(self, name: str, adornment: str) -> str:
        kind = "id" if name in self.given.keys else "text"
        return f"optional {kind}" if adornment in ("opt", "any") else kind

    def _repeats(self, number: int) -> dict[str, str]:
        """Return what of a message must equal what the sender has said or heard, on every way to it."""
        message = self.given.messages[number]
        ways = [said for said, enabled in self.offered.items() if number in enabled]
        before = [earlier for earlier in sorted(ways[0]) if all(earlier in said for said in ways)]
        heard = [
            earlier
            for earlier in before
            if message.sender in (self.given.messages[earlier].sender, self.given.messages[earlier].recipient)
        ]
        found: dict[str, str] = {}
        several: list[str] = []
        for name in message.parameters:
            if message.parameters[name] != "in" or name in self.given.known:
                continue
            having = [
                earlier for earlier in heard if name in self.given.messages[earlier].having("in", "out")
            ]
            if having:
                found[self.fields[name]] = f"{self.labels[having[0]]}.{self.fields[name]}"
            else:
                several.append(name)
        if several:
            self.parts.lose(
                f"{_names(several)} in '{message.name}' may come on several ways: that it is the same is not checked",
                message.name.at.line,
            )
        return found

    def _open_questions(self) -> None:
        """Note what every BSPL protocol leaves open, or says and is not carried over."""
        parts, given = self.parts, self.given
        parts.tell_acts()
        if given.keys:
            parts.lose(
                f"one conversation is one enactment: keys are fields here and tell none apart: {_names(given.keys)}"
            )
        for adornment, words in _ADORNMENTS.items():
            carriers = [item for item in given.messages if item.having(adornment)]
            if carriers:
                parts.lose(f"`{adornment}` in '{carriers[0].name}' {words}", carriers[0].name.at.line)
        if any(state.otherwise for state in parts.states.values()):
            parts.lose(
                "where everything is bound and more may be said, silence ends the conversation as complete"
            )
        ended = ", ".join(f"'{name}' is {kind}" for name, kind in parts.outcomes.items())
        parts.lose(
            f"whether an end is a good one is not said, and read off the names of the messages: {ended}"
        )
        parts.lose("what a parameter holds is not said: keys are `id`, everything else is `text`")
        parts.lose(
            f"deadlines are not said: every reply is due within {DEADLINE}; nobody has to speak in BSPL"
        )


_ADORNMENTS = {
    "nil": "decides when it can be said; it is no field",
    "any": "is a field that may be left out",
    "opt": "is a field that may be left out",
}


def _names(names: Iterable[str]) -> str:
    return quoted(sorted(names))
