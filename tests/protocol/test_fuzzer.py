"""Whatever stands in a document, it is judged in time, and what is accepted can be drawn, projected, compared and typed."""

import random

import pytest
from fuzzer import Tally


def tally(seed, count):
    dice, made = random.Random(seed), Tally()  # noqa: S311 - a sample, not a secret
    for _ in range(count):
        made.once(dice)
    return made


def test_some_documents():
    made = tally(11, 250)
    assert made.wrong == []
    assert min(made.refused.values()) > 10
    assert sum(made.accepted.values()) > 10


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_many_documents():
    assert tally(12, 10_000).wrong == []
