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
