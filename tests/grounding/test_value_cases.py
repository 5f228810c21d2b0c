"""The table of values: each case both ways, and what is said about it."""

import json
import sys
from datetime import date, datetime
from subprocess import run

import pytest

from agentcomm.acts.content import FieldType, parse_duration, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.grounding.compare import compare
from agentcomm.grounding.same import is_same
from tests.grounding.value_cases import CASES

KINDS = {
    "choice": FieldType("choice", choices=("low", "medium", "high")),
    "list": FieldType("list", item=FieldType("text")),
    "bag": FieldType("list", item=FieldType("text"), constraints={"ordered": False}),
    "name": FieldType(
        "text",
        constraints={"glossary": {"city bike": ("town bike", "urban bicycle"), "mountain bike": ("MTB",)}},
    ),
}
READ = {
    "int": int,
    "number": float,
    "bool": json.loads,
    "quantity": parse_quantity,
    "money": parse_money,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "duration": parse_duration,
    "list": json.loads,
    "bag": json.loads,
    "map": json.loads,
}
MIRRORED = {"missing": "added", "added": "missing"}


def rows():
    for word, table in CASES.items():
        for line in table.strip().splitlines():
            title, meant, understood, verdict = (part.strip(" ") for part in line.split("|"))
            read = READ.get(word, str)
            value = read(understood[1:]) if understood[:1] == "=" else understood
            yield pytest.param(word, read(meant), value, verdict, id=f"{word}: {title}")


ROWS = list(rows())


def test_there_are_enough_cases_and_no_title_stands_twice():
    titles = [row.id for row in ROWS]
    assert len(titles) == len(set(titles)) >= 150


@pytest.mark.parametrize(("word", "meant", "understood", "verdict"), ROWS)
def test_the_verdict(word, meant, understood, verdict):
    kind = KINDS.get(word) or FieldType(word)
    found = compare("f", kind, meant, understood)
    assert (found.kind if found else "same") == verdict, found
    back = compare("f", kind, understood, meant)
    turned = MIRRORED.get(verdict, verdict)
    assert (back.kind if back else "same") in (turned, verdict), back
    if is_same(kind, meant, understood):
        assert verdict == "same"
    if found:
        assert found.sentence.startswith("f: ")
        assert found.sentence.endswith(".")


def test_nothing_is_loaded_for_plain_values():
    code = """
import sys
import agentcomm
from agentcomm.acts.content import FieldType, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.grounding.compare import compare
assert compare("f", FieldType("money"), parse_money("1 EUR"), parse_money("2 EUR"))
assert not compare("f", FieldType("quantity"), parse_quantity("5 l"), parse_quantity("5.0 l"))
assert compare("f", FieldType("int"), 1, 2)
assert compare("f", FieldType("text"), "a", "b")
assert not {"pint", "text_to_num", "babel", "dateutil"} & set(sys.modules), sys.modules
"""
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
