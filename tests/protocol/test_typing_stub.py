"""The classes that `agentcomm types` writes: they import, a strict type checker takes them, and they take what the protocol takes."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentcomm import Agent, enact_sync, replay
from agentcomm.acts.content import Content, Money, content_model, to_plain
from agentcomm.errors import UsageError
from agentcomm.protocol.library import load, loads, names
from agentcomm.protocol.typed import _shape
from agentcomm.protocol.typing_stub import python_types

ROOT = Path(__file__).parents[2]

EVERYTHING = """\
agentcomm: 1
protocol: everything
roles: [a, b]
types:
  Action: {what: text, due: datetime}
  Level: [low, high, 3, true]
  Report: {title: text, actions: list of Action}
acts:
  propose: Report
  inform:
    act: inform
    content:
      text: {is: text, minLength: 2, maxLength: 5, pattern: "^[a-z'\\"]+$"}
      plain: text
      ident: id
      short: {is: id, maxLength: 3}
      count: {is: int, minimum: 1, exclusiveMaximum: 9}
      ratio: {is: number, maximum: 0.5}
      open: number
      yes_no: bool
      day: date
      moment: datetime
      wait: {is: duration, minimum: 10s}
      free_wait: duration
      price: {is: money, minimum: 1, maximum: 9 EUR}
      any_price: optional money
      volume: {is: quantity, unit: l, minimum: 1 l}
      size: quantity
      anything: any
      words: {is: list of text, minItems: 1, maxItems: 2, ordered: false}
      lists: optional list of list of int
      level: Level
      first: Action
      maybe: optional Action
      part: {inner: {deep: int}}
  any: {act: inform, content: {}}
  literal: {act: inform, content: {class_name: text}}
  refuse: {reason: text}
states:
  s: {a: {propose: t, inform: t, any: t, literal: t}}
  t: {b: {refuse: done}}
outcomes: {done: refused}
"""

GOOD = {
    "text": "ab",
    "plain": "",
    "ident": "x",
    "short": "abc",
    "count": 8,
    "ratio": 0.5,
    "open": 1,
    "yes_no": True,
    "day": "2026-12-01",
    "moment": "2026-12-01T09:30:00Z",
    "wait": "10s",
    "free_wait": "1s",
    "price": "9 EUR",
    "volume": "0.5 m3",
    "size": "5 boxes",
    "anything": {"x": [1]},
    "words": ["a"],
    "level": 3,
    "first": {"what": "x", "due": "2026-12-01T09:30:00Z"},
    "part": {"inner": {"deep": 1}},
}
BAD = {
    "text": ["a", "abcdef", "A", 7],
    "plain": ["x" * 20_001, None],
    "ident": [""],
    "short": ["abcd", ""],
    "count": [0, 9, 1.5, "3"],
    "ratio": [0.51, float("nan")],
    "open": ["1", float("inf")],
    "yes_no": [1],
    "day": ["tomorrow", 5],
    "moment": [5],
    "wait": ["9s", 10],
    "free_wait": ["x"],
    "price": ["0 EUR", "10 EUR", "5 USD", 5],
    "any_price": [5],
    "words": [[], ["a", "b", "c"], "a"],
    "lists": [[["1"]]],
    "level": ["mid"],
    "first": [{"what": "x"}, {"what": "x", "due": "2026-12-01T09:30:00Z", "more": 1}],
    "part": [{"inner": {}}],
}


def module(protocol):
    space = {"__name__": "made"}
    exec(compile(python_types(protocol), "made.py", "exec"), space)  # noqa: S102
    return space


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_the_classes_take_what_the_protocol_takes(name):
    protocol = load(name)
    acts = module(protocol)["ACTS"]
    assert list(acts) == list(protocol.acts)
    for label, act in protocol.acts.items():
        assert issubclass(acts[label], Content)
        assert _shape(acts[label]) == _shape(content_model(label, act.fields))


def test_values_are_judged_alike():
    protocol = loads(EVERYTHING)
    made, given = protocol.acts["inform"].content, module(protocol)["ACTS"]["inform"]
    assert to_plain(made.model_validate(GOOD)) == to_plain(given.model_validate(GOOD))
    for field, values in BAD.items():
        for value, model in itertools.product(values, (made, given)):
            with pytest.raises(ValidationError):
                model.model_validate({**GOOD, field: value})
        if field in GOOD:
            for model in (made, given):
                with pytest.raises(ValidationError):
                    model.model_validate({key: value for key, value in GOOD.items() if key != field})


def test_names_that_are_taken_get_others():
    space = module(loads(EVERYTHING))
    assert space["ACTS"]["any"].__name__ == "AnyAct"
    assert space["ACTS"]["literal"].__name__ == "LiteralAct"
    assert issubclass(space["ACTS"]["propose"], space["Report"])
    action = space["Action"]
    assert space["Report"].model_fields["actions"].annotation == list[action]


def test_a_strict_type_checker_takes_them(tmp_path):
    (tmp_path / "made.py").write_text(python_types(loads(EVERYTHING)) + "\n")
    (tmp_path / "lanes.py").write_text(python_types(load("sbar-handoff")) + "\n")
    (tmp_path / "use.py").write_text(
        "from decimal import Decimal\n"
        "from agentcomm.acts.content import Money\n"
        "from made import Inform\n"
        "def f(content: Inform) -> Money:\n    reveal_type(content.count)\n    return content.price\n"
        "def g(content: Inform) -> int:\n    return content.price\n"
        'print(Money(Decimal(1), "EUR"))\n'
    )
    (tmp_path / "pyrightconfig.json").write_text(
        '{"typeCheckingMode": "strict", "reportMissingModuleSource": false}'
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert 'Type of "content.count" is "int"' in done.stdout, done.stdout
    assert done.stdout.count(" error: ") == 1, done.stdout
    assert "use.py:8" in done.stdout


def test_a_stranger_s_protocol_makes_no_code_of_its_own():
    text = EVERYTHING.replace("roles: [a, b]", 'version: "\\"\\"\\"\\nraise SystemExit\\n"\nroles: [a, b]')
    protocol = loads(text.replace("[low, high, 3, true]", '["\')]\\nraise SystemExit", low]'))
    assert "raise SystemExit" in protocol.version
    assert "inform" in module(protocol)["ACTS"]


def test_they_can_be_given_back(tmp_path):
    path = ROOT / "examples/purchase/protocol.yaml"
    made = module(load(path))
    sale = load(path, types=made["ACTS"])
    assert sale.hash == load(path).hash
    assert sale.acts["propose"].content is made["Propose"]
    ann, bob = Agent("Ann"), Agent("Bob")
    seen = []

    @ann.opens
    def ask(turn):
        return turn.say(made["Cfp"](item="bike", budget=Money(120, "EUR")))

    @bob.on("cfp")
    def no(turn):
        seen.append(type(turn.heard.content))
        return turn.say(made["Refuse"](reason="sold out"))

    result = enact_sync(sale, cast={"buyer": ann, "seller": bob}, transcript=tmp_path / "t.jsonl")
    assert result.outcome == "closed"
    assert seen == [made["Cfp"]]
    assert replay(tmp_path / "t.jsonl").same


def test_a_class_of_another_protocol_is_refused():
    class Refuse(Content):
        why: str

    with pytest.raises(UsageError, match="is not what 'refuse' carries"):
        load("request", types={"refuse": Refuse})
