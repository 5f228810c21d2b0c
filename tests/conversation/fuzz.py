"""Anything at all as input: what nobody should send, at any moment of any talk."""

import math
from typing import Any

from agentcomm.acts.content import Money
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Cancel, Doubt, Evidence, Join, Leave, Misfire, Reading, Say, Tick
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Walk, legal_moves

SURROGATE = "a lone \ud800 one"
"""A text that no encoding can carry."""


class Liar(dict):
    """A map whose entries cannot be read."""

    def items(self):
        raise RuntimeError("no entries")

    def __iter__(self):
        raise RuntimeError("no names")

    def __len__(self):
        return 1


class Grumpy:
    """An object that answers nothing."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


class Word(str):
    """A text of a class of its own."""

    __slots__ = ()


def deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


def itself() -> Any:
    made: list[Any] = []
    made.append(made)
    return made


TEXTS: tuple[Any, ...] = (
    "", " ", "a", "m1", "a\nb", "\x00", "\x1b[2J", SURROGATE, "é" * 150, "x" * 201, "x" * 100_000, Word("agree"),
    "manager", "nobody", "b1", "=done", "@working", "*", "working/asking", "ß-漢",
)  # fmt: skip
FOREIGN: tuple[Any, ...] = (
    None, 0, -1, 1.5, True, b"bytes", object(), [], (), {}, set(), frozenset({1}), lambda: None, type, Grumpy(),
    Exception("no"), range(3), math.nan, 10**400, [None], {"a": 1}, {1: 2}, {None: None}, ["a", "b"],
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    0.0, -1.0, 1e308, math.inf, -math.inf, math.nan, 10**400, True, None, "0", "now", [], Grumpy(), 1 + 2j, 5, 60.0,
)  # fmt: skip
CONTENTS: tuple[Any, ...] = (
    {}, {"zz": 1}, {"": None}, {SURROGATE: 1}, {"reason": SURROGATE}, {"reason": "x" * 3_000_000}, {"reason": "x" * 20_001},
    {"price": math.nan}, {"price": math.inf}, {"price": "7 EUR", "plan": deep(100)}, {"plan": deep(5000)}, {"plan": itself()},
    {"n": 10**5000}, {f"f{n}": n for n in range(5000)}, {1: 2}, Liar(), {"reason": Grumpy()}, {"fields": {"price": None}},
    {"fields": Liar()}, {"price": Money}, {"reason": object()}, [["reason", "x"]], "reason", b"{}",
)  # fmt: skip


def fuzzed(talk: Walk, dice: Dice) -> Any:
    """Return an input that is wrong somewhere; seldom one that is right."""
    said = [
        given.message
        for given, _ in talk.steps[-5:]
        if isinstance(given, Say) and isinstance(given.message, Message)
    ]

    def text() -> Any:
        roles = (*talk.protocol.roles, *talk.conversation.members)
        return dice.pick((*TEXTS, *roles, *talk.protocol.acts) if dice.chance(0.8) else FOREIGN)

    def at() -> Any:
        return dice.pick(TIMES) if dice.chance(0.3) else talk.at

    def content() -> Any:
        return dice.pick(CONTENTS if dice.chance(0.7) else FOREIGN)

    def message() -> Any:
        if dice.chance(0.05):
            return dice.pick(FOREIGN)
        legal = list(legal_moves(talk.conversation))
        if said and dice.chance(0.2):
            fields = {name: getattr(dice.pick(said), name) for name in Message.__struct_fields__}
        elif legal:
            role, lane, move = dice.pick(legal)
            fields = {
                "act": move.label,
                "sender": role,
                "lane": lane,
                "id": f"f{dice.getrandbits(40)}",
                "content": {},
            }
        else:
            fields = {"act": "agree", "sender": "manager", "id": f"f{dice.getrandbits(40)}"}
        for name in dice.sample(Message.__struct_fields__, dice.pick((1, 1, 1, 2, 4))):
            fields[name] = content() if name == "content" else text()
        return Message(**fields)

    def evidence() -> Any:
        now = talk.conversation
        frames = [now.frame, *(here.frame for here in now.lanes.values())]
        about = next((frame.awaits for frame in frames if frame is not None and frame.awaits), "m1")
        lanes = [name for name, here in now.lanes.items() if here.frame is not None and here.frame.awaits]
        points = dice.pick(((), ("a point",), (SURROGATE,), [], "points", (None,), ("x" * 100_000,)))
        fields: dict[str, Any] = {
            "about": about, "judge": now.rules.judge, "missing": points, "added": (), "at": talk.at,
            "reason": "", "lane": lanes[0] if lanes else "",
        }  # fmt: skip
        for name in dice.sample(("about", "judge", "added", "reason", "lane"), dice.pick((0, 1, 2))):
            fields[name] = text()
        return Evidence(**{**fields, "at": at()})

    def doubt() -> Any:
        now = talk.conversation
        legal = list(legal_moves(now))
        role, lane, _ = dice.pick(legal) if legal else ("manager", "", None)
        here = (now.lanes.get(lane) if lane else None) or now.here
        readings = dice.pick(
            ((Reading("a", 1.0), Reading("b", 2.0)), (), (Reading(SURROGATE),), (Reading({1}, 1.0),),
             (Reading("x", math.inf),), (Reading("x", 10**400),), [Reading("x")], ("x",), (Reading("x", "1"),),
             (Reading(["x" * 100_000]),))
        )  # fmt: skip
        fields: dict[str, Any] = {
            "role": role, "about": here.latest, "path": "", "readings": readings, "at": talk.at, "lane": lane,
        }  # fmt: skip
        for name in dice.sample(("role", "about", "path", "lane"), dice.pick((0, 0, 1, 2))):
            fields[name] = text()
        return Doubt(**{**fields, "at": at()})

    match dice.integer(0, 12):
        case 0:
            return dice.pick(FOREIGN)
        case 1:
            return Tick(dice.pick(TIMES))
        case 2:
            return Misfire(text(), text(), at(), text())
        case 3:
            return (
                Leave(text(), text(), at(), text())
                if dice.chance(0.3)
                else Misfire(text(), text(), at(), text())
            )
        case 4:
            return Join(text(), at())
        case 5:
            return Cancel(text(), text(), at()) if dice.chance(0.1) else Join(text(), at())
        case 6:
            return evidence() if dice.chance(0.5) else doubt()
        case _:
            return Say(message(), at())
