"""Values as people and small models write them, by type: what is the same, and what never is."""

import json

import pytest

from agentcomm.acts.content import FieldType
from agentcomm.grounding.compare import compare
from tests.grounding.test_value_cases import KINDS, READ
from tests.grounding.written_pairs import PAIRS

_NO_TEXT = ("list", "bag", "name", "choice", "bool", "id")
"""Types whose values say nothing about how they compare as free text; a text has no case."""


def rows():
    for word, table in PAIRS.items():
        for line in table.strip().splitlines():
            meant, written, verdict = (part.strip(" ") for part in line.split(" | "))
            yield pytest.param(word, meant, written, verdict, id=f"{word}: {meant} | {written}")


ROWS = list(rows())


def test_there_are_enough_pairs_each_once():
    names = [row.id for row in ROWS]
    assert len(names) == len(set(names)) >= 400
    assert {row.values[3] for row in ROWS} == {"same", "other", "doubt"}
    assert sum(row.values[3] == "other" for row in ROWS) >= 200


@pytest.mark.parametrize(("word", "meant", "written", "verdict"), ROWS)
def test_a_value_and_how_it_was_written(word, meant, written, verdict):
    kind = KINDS.get(word) or FieldType(word)
    said = json.loads(written) if word in ("list", "bag") and written[:1] == "[" else written
    found = compare("f", kind, READ.get(word, str)(meant), said)
    assert (found is None) == (verdict == "same"), found
    back = compare("f", kind, said, READ.get(word, str)(meant))
    assert (back is None) == (verdict == "same"), back


@pytest.mark.parametrize(
    ("meant", "written"),
    [row.values[1:3] for row in ROWS if row.values[3] == "other" and row.values[0] not in _NO_TEXT],
)
def test_what_is_another_value_is_not_the_same_text(meant, written):
    for kind in ("text", "any"):
        assert compare("f", FieldType(kind), meant, written) is not None
        assert compare("f", FieldType(kind), written, meant) is not None
