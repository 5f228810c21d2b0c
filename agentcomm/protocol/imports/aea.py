"""Bring in a protocol specification of open-aea.

There a reply structure says which speech act may answer which; here each act that was said, with who is next, is a state.
Source: the documentation of open-aea on protocol specifications.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agentcomm.acts.performative import Performative
from agentcomm.protocol.findings import Report
from agentcomm.protocol.imports.aea_reading import AeaSpecification, read_aea
from agentcomm.protocol.imports.aea_types import aea_type
from agentcomm.protocol.imports.imported import (
    DEADLINE,
    ActPart,
    Imported,
    MovePart,
    Parts,
    StatePart,
    refuse,
)
from agentcomm.protocol.imports.words import Names, act_of, as_field, class_of, parts
from agentcomm.protocol.many import BARRED
from agentcomm.protocol.shape import Word

__all__ = ("from_aea",)

ROUNDS = 10
"""How often a move may be made that closes a loop: the other language sets no bound."""

_Place = tuple[str, int]
"""What was said last, and which role is next; an empty act at the start."""


def from_aea(data: bytes | str, path: str = "") -> Imported:
    """Return the protocol that a specification of open-aea describes.

    Args:
        data: The file's content.
        path: Its name, for findings.

    Raises:
        ProtocolError: If it cannot be read; its `findings` list why.
    """
    specification = read_aea(data, path)
    made = _Made(specification, Parts(Names().fresh(specification.name), specification.source))
    made.make()
    return made.parts.finished()


@dataclass(slots=True)
class _Made:
    """A specification, and what was made of it."""

    given: AeaSpecification
    parts: Parts
    labels: dict[str, str] = field(default_factory=dict[str, str])
    """Speech act -> our label."""
    places: Names = field(default_factory=lambda: Names(("expired",)))
    states: dict[_Place, str] = field(default_factory=dict[_Place, str])
    ends: dict[str, str] = field(default_factory=dict[str, str])
    """End state or speech act -> our outcome."""

    def make(self) -> None:
        """Fill the parts."""
        given, parts = self.given, self.parts
        parts.version, parts.about = given.version, given.about
        labels = Names()
        self.labels = {act.text: labels.fresh(act.text) for act in given.acts}
        for act in given.acts:
            parts.tell_renamed(act.text, self.labels[act.text])
        self._roles()
        self._states()
        said = {label for state in parts.states.values() for moves in state.moves.values() for label in moves}
        for act, fields in given.acts.items():
            if self.labels[act.text] in said:
                parts.acts[self.labels[act.text]] = self._act(act, fields)
            else:
                parts.lose(f"'{act}' is left out: no way from the beginning leads to it", act.at.line)
        refuse(given.report)
        self._open_questions()

    def _roles(self) -> None:
        given, names = self.given.roles, Names(BARRED)
        self.parts.roles = [names.fresh(role.text) for role in given]
        for role, name in zip(given, self.parts.roles, strict=True):
            self.parts.tell_renamed(role.text, name)
        if len(given) == 1:
            self.parts.roles.append(names.fresh(f"other-{given[0]}"))
            self.parts.lose(
                f"both sides play '{given[0]}'; here the other one is '{self.parts.roles[1]}'",
                given[0].at.line,
            )
        else:
            self.parts.lose(f"who begins is not said: '{self.parts.roles[0]}' does", given[0].at.line)

    def _act(self, act: Word, fields: list[tuple[Word, Word]]) -> ActPart:
        """Return what an act carries."""
        label = self.labels[act.text]
        opens = any(act.text == first.text for first in self.given.initiation)
        performative = act_of(label, Performative.REQUEST if opens else Performative.INFORM)
        names: dict[str, str] = {}
        for name, kind in fields:
            here = as_field(name.text, names)
            if here != name.text:
                self.parts.lose(f"the field '{name}' of '{label}' is '{here}' here", name.at.line)
            names[here] = self._type(f"{label}.{here}", kind, self.given.report)
        return ActPart(performative, names)

    def _type(self, name: str, kind: Word, report: Report) -> str:
        made = aea_type(kind.text)
        if made is None:
            report.add(
                "E104",
                "unknown_name",
                kind.at,
                f"'{kind}' is not a type of open-aea",
                why="types are pt:str, pt:int, pt:float, pt:bool, pt:bytes, pt:list[...], pt:set[...], pt:dict[..., ...], "
                "pt:union[...], pt:optional[...] and ct:Name",
                fix="close every bracket, and write pt: or ct: before each name",
            )
            return "any"
        for what in dict.fromkeys(made.lost):
            self.parts.lose(f"{name}: {what}", kind.at.line)
        return made.name

    def _states(self) -> None:
        """Make a state of each act that may be answered, with who is next, as far as it is reached."""
        start: _Place = ("", 0)
        self.states[start] = ""
        waiting: list[_Place] = [start]
        for place in waiting:  # grows
            for word in self._replies(place):
                after = (word.text, 1 - place[1])
                if self.given.reply.get(word.text) and after not in self.states:
                    self.states[after] = ""
                    waiting.append(after)
        self.states = {place: self._name(place) for place in waiting}
        closing = self._closing(start)
        for place in waiting:
            self._state(place, closing)

    def _name(self, place: _Place) -> str:
        if not place[0]:
            return self.places.fresh("start")
        label = self.labels[place[0]]
        twin = (place[0], 1 - place[1]) in self.states
        return self.places.fresh(
            f"after-{label}-by-{self.parts.roles[1 - place[1]]}" if twin else f"after-{label}"
        )

    def _replies(self, place: _Place) -> tuple[Word, ...]:
        return self.given.reply.get(place[0], ()) if place[0] else self.given.initiation

    def _state(self, place: _Place, closing: set[tuple[_Place, str]]) -> None:
        moves: dict[str, MovePart] = {}
        for word in self._replies(place):
            after = (word.text, 1 - place[1])
            if after not in self.states:
                move = MovePart(self._end(word, place[0]))
            elif (place, word.text) in closing:
                self.ends["rounds"] = self.ends.get("rounds") or self.places.fresh("out-of-rounds")
                self.parts.outcomes[self.ends["rounds"]] = "undecided"
                move = MovePart(self.states[after], max=ROUNDS, then=self.ends["rounds"])
            else:
                move = MovePart(self.states[after])
            moves[self.labels[word.text]] = move
        state = StatePart({self.parts.roles[place[1]]: moves})
        ending = next((word for word in self.given.termination if word.text == place[0]), None)
        if ending is not None:
            state.otherwise = self._end(ending, "")
            self.parts.lose(
                f"'{ending}' may end the dialogue and may be answered: here it ends after {DEADLINE} of silence",
                ending.at.line,
            )
        self.parts.states[self.states[place]] = state

    def _closing(self, start: _Place) -> set[tuple[_Place, str]]:
        """Return the moves that close a loop: those that lead back, depth first."""
        closing: set[tuple[_Place, str]] = set()
        open_places, done = {start}, set[_Place]()
        stack: list[tuple[_Place, Iterator[Word]]] = [(start, iter(self._replies(start)))]
        while stack:
            place, replies = stack[-1]
            word = next(replies, None)
            if word is None:
                stack.pop()
                open_places.discard(place)
                done.add(place)
                continue
            after = (word.text, 1 - place[1])
            if after in open_places:
                closing.add((place, word.text))
            elif after in self.states and after not in done:
                open_places.add(after)
                stack.append((after, iter(self._replies(after))))
        return closing

    def _end(self, word: Word, before: str) -> str:
        """Return the outcome of an act that is not answered."""
        if word.text not in {end.text for end in self.given.termination}:
            self.parts.lose(
                f"nothing answers '{word}', and it is not in `termination`: it ends the dialogue",
                word.at.line,
            )
        chosen = self._end_state(word.text, before)
        key = chosen.text if chosen else word.text
        if key not in self.ends:
            self.ends[key] = self.places.fresh(key if chosen else f"ended-by-{key}")
        self.parts.outcomes[self.ends[key]] = class_of(key)
        return self.ends[key]

    def _end_state(self, act: str, before: str) -> Word | None:
        """Return the end state that fits an act best; None if none or several do."""
        ends, kind = self.given.end_states, class_of(act)
        if len(ends) == 1 == len(self.given.termination):
            return ends[0]
        if same := [end for end in ends if end.text == act]:
            return same[0]
        fitting = [end for end in ends if class_of(end.text) == kind]
        fitting = fitting or [end for end in ends if (class_of(end.text) == "success") == (kind == "success")]
        told = [end for end in fitting if before and parts(end.text)[1:] == parts(before)]
        chosen = told or fitting
        return chosen[0] if len(chosen) == 1 else None

    def _open_questions(self) -> None:
        """Note what every specification leaves open, or says and is not carried over."""
        given, parts = self.given, self.parts
        parts.tell_acts()
        ended = ", ".join(f"'{name}' is {kind}" for name, kind in parts.outcomes.items())
        line = given.end_states[0].at.line if given.end_states else 1
        parts.lose(
            f"which act leads to which end state, and whether it is a good one, is read off the words: {ended}",
            line,
        )
        for end in given.end_states:
            if end.text not in self.ends:
                parts.lose(f"no act leads to the end state '{end}': it is left out", end.at.line)
        if "rounds" in self.ends:
            parts.lose(f"loops have no bound there: here each goes round {ROUNDS} times")
        parts.lose("the roles take turns, and each act answers the one before, not any earlier one")
        parts.lose(f"deadlines are not said: every reply is due within {DEADLINE}")
        if given.keeps:
            parts.lose(
                "`keep_terminal_state_dialogues` is about memory: transcripts are kept by the runtime",
                given.keeps.line,
            )
