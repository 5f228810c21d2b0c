"""An independent judge of legality: it reads the document, not the tables, and must agree with the core on every short word."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from talks import ENDS, HEAD, Talk, kinds, rules

LENGTH = 6

REQUEST = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {}}
  yes: {act: inform, content: {}}
  no: {act: inform, content: {}}
states:
  x: {a: {ask: y}}
  y: {b: {yes: z, no: off}}
  z: {b: {yes: done, no: off}}
"""
    + ENDS
)

LOOPS = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {}}
  say: {act: inform, content: {}}
  end: {act: inform, content: {}}
states:
  x: {a: {ask: {next: y, max: 2, then: done}, say: {next: x, max: 1}, end: off}}
  y: {b: {say: {next: x, max: 2}, end: {next: y, max: 1, then: off}, ask: x}}
"""
    + ENDS
)

THREE = (
    """
roles: [a, b, c]
acts:
  ask: {act: inform, content: {}}
  say: {act: inform, content: {}}
states:
  x: {a: {ask: {next: y, to: b}, say: {next: z, to: [b, c]}}}
  y: {b: {say: {next: z, to: c}, ask: {next: x, to: a, max: 1, then: off}}}
  z: {c: {say: {next: done, to: [a, b]}, ask: {next: y, to: b, max: 2}}}
"""
    + ENDS
)


class Judge:
    """Knows a document as plain data: where a talk stands, and how often each budget was used."""

    def __init__(self, text: str) -> None:
        document = yaml.load(HEAD + text, Loader=yaml.BaseLoader)  # noqa: S506  (every scalar is a text)
        self.states: dict[str, Any] = document["states"]
        self.letters = [(role, act) for role in document["roles"] for act in document["acts"]]

    def words(self) -> Iterator[tuple[list[tuple[str, str]], tuple[str, str], str]]:
        """Yield (legal word, letter, where it leads; empty if it may not be said), for every legal word."""
        ways: list[tuple[list[tuple[str, str]], str, dict[str, int]]] = [([], next(iter(self.states)), {})]
        while ways:
            word, place, used = ways.pop()
            for letter in self.letters:
                target, now = self.say(place, used, letter)
                yield word, letter, target
                if target in self.states and len(word) + 1 < LENGTH:
                    ways.append(([*word, letter], target, now))

    def say(self, place: str, used: dict[str, int], letter: tuple[str, str]) -> tuple[str, dict[str, int]]:
        role, act = letter
        move = self.states[place].get(role, {}).get(act)
        if move is None:
            return "", used
        if isinstance(move, str):
            return move, used
        key = f"{place} {role} {act}"
        if "max" in move and used.get(key, 0) >= int(move["max"]):
            return move.get("then", ""), used
        if "max" in move:
            used = {**used, key: used.get(key, 0) + 1}
        return move["next"], used


@pytest.mark.parametrize("text", [REQUEST, LOOPS, THREE], ids=["request", "loops", "three"])
def test_the_core_and_the_judge_agree_on_every_short_word(text):
    made = rules(text)
    count = 0
    for word, (role, act), target in Judge(text).words():
        talk = Talk(made)
        for speaker, label in word:
            talk.say(speaker, label)
        before = talk.now.position
        events = talk.say(role, act)
        if target:
            assert "Refused" not in kinds(events), (word, role, act)
            assert talk.now.position == target
        else:
            assert kinds(events) == ["Refused"], (word, role, act)
            assert talk.now.position == before
        count += 1
    assert count > 15
