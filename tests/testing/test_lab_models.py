"""The laboratory with a model as the hearer."""

import json
import re

import pytest

from agentcomm.errors import UsageError
from agentcomm.testing.lab_models import model_run
from tests.agents.talks import Says, text_of

FIELDS = ("item", "amount", "price", "at", "wait", "express", "sites")


def hearer(slips=0, *, judges=False):
    """A model that copies what it hears; every so many answers it gets one value wrong."""
    count = {"n": 0}

    def answer(request):
        count["n"] += 1
        last = (
            text_of(request).rpartition("Facts: ")[2] if "Facts: " in text_of(request) else text_of(request)
        )
        found = json.loads(re.findall(r"\{.*\}", last.rpartition("Read back: ")[2] or last)[0])
        if slips and count["n"] % slips == 0:
            found["item"] = "another"
        wanted = request.schema["properties"] if "item" in request.schema.get("properties", {}) else None
        if wanted is not None:
            return {name: found[name] for name in wanted if name in found}
        return {"act": "readback", "content": {"fields": found}}

    return Says(answer, judges=judges)


def values(cell):
    return {name: found.value for name, found in cell.measures.items()}


def run(model, noise=(), **options):
    return {cell.grounding: cell for cell in model_run(model, dict(noise), runs=6, seed=3, **options)}


def test_one_that_copies_does_every_deed_as_it_was_meant():
    cells = run(hearer())
    assert set(cells) == {"off", "never", "always", "declared", "adaptive"}
    for cell in cells.values():
        assert values(cell)["done"] == 1
        assert values(cell)["undetected"] == 0
        assert cell.beyond_bound == 0
    assert values(cells["always"])["extra_turns"] == 1
    assert values(cells["off"])["extra_turns"] == 0


def test_what_it_mishears_is_acted_on_without_grounding_and_caught_with_it():
    cells = run(hearer(), {"wrong-value": 0.6}, groundings=["off", "always", "adaptive"])
    assert cells["off"].injected["wrong-value"] >= 2
    assert values(cells["off"])["undetected"] > 0
    assert values(cells["always"])["undetected"] == values(cells["adaptive"])["undetected"] == 0
    assert values(cells["always"])["repair_success"] > 0


def test_its_own_slips_are_errors_like_others():
    cells = run(hearer(2), groundings=["off", "always"])
    assert values(cells["off"])["undetected"] > 0.3
    assert values(cells["always"])["undetected"] == 0
    assert cells["always"].injected == {}


def test_what_a_model_cannot_play_is_told():
    with pytest.raises(UsageError, match="no way of grounding for a model"):
        run(hearer(), groundings=["acknowledge"])
