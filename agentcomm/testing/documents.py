"""Documents of protocols at random: states in a row, moves forward, a few moves back with a budget.

With a many-role there are lanes and gathers, and in any of them races and runs. Not every document is a valid protocol:
whoever makes them throws away what the checker finds fault with (`made_protocol`).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from agentcomm.errors import ProtocolError
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.library import loads
from agentcomm.testing.choices import Choices

__all__ = ("document", "made_protocol")

_TYPES: tuple[Any, ...] = (
    "text", "int", "number", "bool", "date", "datetime", "duration", "money", "id", "any", "list of text",
    "optional int", "optional text", ["low", "high"], {"x": "int", "y": "optional text"},
    {"is": "int", "minimum": 1, "maximum": 60}, {"is": "text", "minLength": 1, "maxLength": 9}, "list of int",
)  # fmt: skip
_ACTS = ("inform", "inform", "inform", "request", "query-ref", "agree", "propose", "accept-proposal", "refuse",
         "failure")  # fmt: skip
_OUTCOMES = {"done": "success", "off": "refused", "lost": "failed"}
_INNER = """\
agentcomm: 1
protocol: inner
version: 1
roles: [one, two]
acts:
  ask: {act: inform, content: {x: int}}
  more: {act: inform, content: {y: optional text}}
  yes: {act: inform, content: {}}
  no: {act: inform, content: {}}
states:
  asking: {one: {ask: answering}}
  answering: {two: {yes: well, no: badly, more: {next: asking, max: 1}}, within: 10s, else: silent}
outcomes: {well: success, badly: refused, silent: expired}
"""
"""What the states run that run a protocol."""


def made_protocol(choices: Choices, *, lanes: bool | None = None) -> Protocol | None:
    """Return a random protocol, or None if the checker finds fault with it.

    Args:
        choices: Where chance comes from.
        lanes: With a many-role or without; by chance if it is not said.
    """
    made = document(choices, lanes=lanes)
    text = msgspec.json.format(msgspec.json.encode(made), indent=1).decode()
    try:
        return loads(text, protocols={"inner": _INNER})
    except ProtocolError:
        return None


def document(choices: Choices, *, lanes: bool | None = None) -> dict[str, Any]:
    """Return a random document; JSON is YAML.

    Args:
        choices: Where chance comes from.
        lanes: With a many-role or without; by chance if it is not said.
    """
    has_lanes = choices.chance(0.4) if lanes is None else lanes
    return _Maker(choices, has_lanes=has_lanes).make()


class _Maker:
    def __init__(self, choices: Choices, *, has_lanes: bool) -> None:
        self.choices = choices
        self.many = "crew" if has_lanes else ""
        self.single = ["ann", "bob", "cyd"][: choices.pick((2, 3)) - has_lanes]
        """The roles that one agent plays each."""
        self.acts: dict[str, Any] = {}
        self.fields: list[tuple[str, dict[str, Any]]] = []
        self.grounding: dict[str, Any] = {}
        self.states: dict[str, Any] = {}

    def make(self) -> dict[str, Any]:
        """Return the document."""
        before = 0
        if self.many and len(self.single) > 1 and self.choices.chance(0.3):
            before = 1
        places = [f"s{n}" for n in range(self.choices.integer(1, 5) + before)]
        for n, place in enumerate(places):
            if n < before:
                self.states[place] = self.plain([places[n + 1]], [], self.single[0], self.single[1:])
            elif self.many:
                self.states[place] = self.in_lane(places, n, before)
            else:
                self.states[place] = self.alone(places, n)
        self.drop_relevance()
        return self.whole()

    def alone(self, places: list[str], n: int) -> dict[str, Any]:
        """Return a state of a protocol without lanes."""
        ahead, back = [*places[n + 1 :], *_OUTCOMES], places[: n + 1]
        if n and self.choices.chance(0.12):
            return self.run(self.single[:2], ahead)
        role = self.choices.pick(self.single)
        others = [other for other in self.single if other != role]
        state = self.plain(ahead, back, role, others)
        if self.choices.chance(0.12):
            rival = self.choices.pick(others)
            rest = [other for other in self.single if other != rival]
            state[rival] = self.moves(ahead, [], rest, most=1)
            state["first"] = self.choices.pick((role, rival))
        return state

    def in_lane(self, places: list[str], n: int, first: int) -> dict[str, Any]:
        """Return a state in lanes; `first` is the place where they begin."""
        ahead, back = [*places[n + 1 :], *_OUTCOMES], places[first : n + 1]
        boss = self.single[0]
        if n == first:
            label = self.act()
            move: dict[str, Any] = {"next": ahead[0], "to": self.many}
            if self.choices.chance(0.6):
                move["for"] = "all"
            return {boss: {label: move}}
        kinds = ("member", "gather", "shared", "race", "run")
        match self.choices.pick(kinds):
            case "gather":
                state = self.plain(ahead, back, boss, [self.many])
                state["gather"] = self.many
                extra: dict[str, Any] = {"next": self.choices.pick(ahead), "to": self.many}
                limit = self.choices.pick(("at_most", "at_once", "for"))
                if limit != "at_once" or extra["next"] not in _OUTCOMES:
                    extra[limit] = "all" if limit == "for" else self.choices.integer(1, 2)
                    state[boss][self.act()] = extra
                return state
            case "shared":
                role = self.choices.pick(self.single)
                return self.plain(ahead, back, role, [self.many])
            case "race":
                state = self.plain(ahead, back, self.many, [boss])
                state[boss] = self.moves(ahead, [], [self.many], most=1)
                return state | {"first": self.choices.pick((boss, self.many))}
            case "run":
                return self.run([boss, self.many], ahead)
            case _:
                return self.plain(ahead, back, self.many, [boss])

    def plain(self, ahead: list[str], back: list[str], role: str, others: list[str]) -> dict[str, Any]:
        """Return a state in which one role speaks."""
        state: dict[str, Any] = {role: self.moves(ahead, back, others)}
        if self.choices.chance(0.4):
            state |= {"within": "20s", "else": self.choices.pick(ahead)}
        return state

    def moves(
        self, ahead: Sequence[str], back: Sequence[str], others: list[str], *, most: int = 3
    ) -> dict[str, Any]:
        """Return moves: one to what comes next, others further ahead, perhaps one back with a budget."""
        found: dict[str, Any] = {}
        targets = [ahead[0], *(self.choices.pick(ahead) for _ in range(self.choices.integer(0, most - 1)))]
        for target in dict.fromkeys(targets):
            move: dict[str, Any] = {"next": target, "to": self.hearers(others)}
            if self.choices.chance(0.03):
                move["owner"] = self.choices.pick(self.single)
            found[self.act()] = move
        if back and self.choices.chance(0.5):
            move = {"next": self.choices.pick(back), "to": self.hearers(others)}
            move["max"] = self.choices.integer(1, 3)
            if self.choices.chance(0.5):
                move["then"] = self.choices.pick(ahead)
            found[self.act()] = move
        return found

    def hearers(self, others: list[str]) -> list[str]:
        """Return those who hear a move; the first always does."""
        return [others[0], *(other for other in others[1:] if self.choices.chance(0.5))]

    def run(self, roles: list[str], ahead: list[str]) -> dict[str, Any]:
        """Return a state that runs another protocol."""
        return {
            "run": "inner",
            "as": {"one": roles[0], "two": roles[1]},
            "then": {"success": ahead[0], "otherwise": self.choices.pick(ahead)},
        } | ({"within": "30s", "else": self.choices.pick(ahead)} if self.choices.chance(0.3) else {})

    def act(self) -> str:
        """Return the label of a new act."""
        choices, label = self.choices, f"act-{len(self.acts)}"
        fields = {f"f{n}": choices.pick(_TYPES) for n in range(choices.pick((0, 1, 1, 2, 3)))}
        act: dict[str, Any] = {"act": choices.pick(_ACTS), "content": fields}
        self.acts[label] = act
        if act["act"] in {"request", "query-ref", "propose"} and choices.chance(0.8):
            act["outlives"] = True
        whole = [name for name, kind in fields.items() if kind == "int"]
        if whole and choices.chance(0.3):
            act["when"] = f"{whole[0]} {choices.pick(('<=', '>', '!='))} {choices.integer(0, 40)}"
        elif whole and choices.chance(0.3):
            act["when"] = f"{whole[0]} >= {label}.{whole[0]}"
        self.ground(label, fields)
        self.fields.append((label, fields))
        return label

    def ground(self, label: str, fields: dict[str, Any]) -> None:
        """Ask for evidence of some acts."""
        choices = self.choices
        kind = choices.pick(("none", "none", "readback", "relevant", "repeats"))
        if kind == "readback" and fields:
            names = sorted(fields)
            self.grounding[label] = {"readback": names[: choices.integer(1, len(names))]}
        elif kind == "relevant":
            self.grounding[label] = "relevant"
        elif kind == "repeats" and self.fields:
            other, theirs = self.fields[0]  # said on every way, if it is the only opening
            if theirs:
                name = choices.pick(sorted(theirs))
                fields[name] = theirs[name]
                self.grounding[label] = {"repeats": {name: f"{other}.{name}"}}

    def drop_relevance(self) -> None:
        """Ask for no answer to last words."""
        for state in self.states.values():
            for role in (*self.single, self.many):
                for label, move in state.get(role, {}).items():
                    is_last = {move["next"], move.get("then")} & set(_OUTCOMES)
                    if is_last and self.grounding.get(label) == "relevant":
                        del self.grounding[label]

    def takes_part(self, role: str) -> bool:
        """Say whether a role speaks or hears anywhere."""
        for state in self.states.values():
            if role in state or role in state.get("as", {}).values():
                return True
            moves = (move for one in (*self.single, self.many) for move in state.get(one, {}).values())
            if any(role == move["to"] or role in move["to"] for move in moves):
                return True
        return False

    def whole(self) -> dict[str, Any]:
        """Return the document around the states."""
        choices = self.choices
        limits: dict[str, Any] = {"repairs": choices.integer(1, 3)}
        if choices.chance(0.3):
            limits["repairs_in_all"] = choices.integer(1, 5)
        if choices.chance(0.3):
            limits["whole"] = "10m"
        made: dict[str, Any] = {"agentcomm": 1, "protocol": "random", "version": 1}
        single = [role for role in self.single if self.takes_part(role)]
        made["roles"] = dict.fromkeys(single, 1) | {self.many: "1..3"} if self.many else single
        if choices.chance(0.2):
            made["owner"] = self.single[0]
        made["acts"] = self.acts
        if self.grounding:
            made["grounding"] = self.grounding
        made["states"] = self.states
        made["outcomes"] = {**_OUTCOMES, "expired": "expired"}
        if self.many:
            quantifier = choices.pick(("any", "all", "most", "at least 2"))
            made["settles"] = {
                "success": f"{quantifier} done",
                "refused": "all off",
                "failed": "any lost",
                "undecided": "otherwise",
            }
        return made | {"limits": limits}
