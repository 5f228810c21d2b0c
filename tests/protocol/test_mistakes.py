"""What authors of a first protocol get wrong has one finding, and the remedy that a colleague would name."""

from pathlib import Path

import pytest
import yaml
from test_schema import VALIDATOR, document

from agentcomm.protocol.check import examine

HERE = Path(__file__).parent / "mistakes"
MADE = {name: (HERE / f"{name}.yaml").read_text(encoding="utf-8") for name in ("loan", "grant", "train")}
ROWS = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MADE)
def test_without_a_mistake_nothing_is_found(name):
    assert [str(found) for found in examine(MADE[name]).findings] == []


@pytest.mark.parametrize("row", [pytest.param(row, id=row["mistake"]) for row in ROWS])
def test_a_mistake_is_told_once_with_what_to_write(row):
    text = MADE[row["in"]]
    for old, new in row["edits"]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (found,) = examine(text).findings
    assert (found.code, found.fix) == (row["code"], row["fix"]), str(found)
    assert found.why


TYPES = {
    "int 1..99": "write `{is: int, minimum: 1, maximum: 99}`",
    '"integer (1-99)"': "write `{is: int, minimum: 1, maximum: 99}`",
    "number >= 0": "write `{is: number, minimum: 0}`",
    "list<text>": "did you mean 'list of text'?",
    '"string[]"': "did you mean 'list of text'?",
    "string|null": "did you mean 'optional text'?",
    '"int?"': "did you mean 'optional int'?",
    "text optional": "did you mean 'optional text'?",
    "low or high": "write `[low, high]`",
    '"a|b|c"': "write `[a, b, c]`",
    "text(80)": "did you mean 'text'? What more it must be stands in `{is: text, ...}`",
    "map of text": "write its fields, such as `{name: text}`, or `any`",
    "date-time": "did you mean 'datetime'?",
    "positive Terms": "did you mean 'Terms'? What more it must be stands in `{is: Terms, ...}`",
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_as_others_write_it(kind):
    text = MADE["loan"].replace("odometer: optional int", f"odometer: {kind}")
    (found,) = examine(text).findings
    assert (found.code, found.fix) == ("E104", TYPES[kind])


def test_a_key_of_states_that_is_a_role_is_told_once():
    text = MADE["loan"].replace("member", "first")
    assert [found.what for found in examine(text).findings] == ["'first' cannot be the name of a role"]


SHAPES = [row for row in ROWS if row["code"] == "E101"]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["mistake"]) for row in SHAPES])
def test_a_mistake_in_the_shape_is_one_for_an_editor_too(row):
    text = MADE[row["in"]]
    for old, new in row["edits"]:
        text = text.replace(old, new)
    assert list(VALIDATOR.iter_errors(document(text)))


def test_there_are_enough():
    assert len(ROWS) >= 60
    assert len({row["mistake"] for row in ROWS}) == len(ROWS)
    assert len(SHAPES) >= 20
