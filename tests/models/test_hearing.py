"""Pieces of an answer, however they are cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.errors import ModelBroken
from agentcomm.models.base import ModelRequest
from agentcomm.models.hearing import Hearing, lines_of

REQUEST = ModelRequest(messages=(), num_predict=4000)


async def chunks(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    for begin, end in pairwise(places):
        yield data[begin:end]


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(0, 200)), st.booleans())
def test_lines_do_not_depend_on_where_they_are_cut(parts: list[bytes], cuts: list[int], ends: bool) -> None:
    data = b"\n".join(parts) + (b"\n" if ends else b"")

    async def gathered() -> list[bytes]:
        return [line async for line in lines_of(chunks(data, cuts))]

    assert asyncio.run(gathered()) == [line for line in data.split(b"\n") if line.strip()]


async def test_a_line_without_an_end_is_given_up() -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000

    with pytest.raises(ValueError, match="a line of more than"):
        [line async for line in lines_of(flood())]


def add_all(heard: Hearing, texts: list[str], thoughts: list[str] | None = None) -> None:
    for text in texts:
        heard.add(text)
    for thought in thoughts or ():
        heard.add("", thought)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


@given(VALUES, st.integers(1, 9), st.sampled_from([None, 2]))
def test_what_has_an_end_is_heard_to_its_end(value: object, size: int, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    heard = Hearing("m", REQUEST)
    for at in range(0, len(text), size):
        heard.add(text[at : at + size])
    assert heard.text == text


@given(st.text(min_size=1, max_size=70), st.integers(1, 9))
def test_a_pattern_without_an_end_is_stopped_in_time(pattern: str, size: int) -> None:
    heard = Hearing("m", REQUEST)
    said = pattern * (4000 // len(pattern) + 1)
    with pytest.raises(ModelBroken):
        add_all(heard, [said[at : at + size] for at in range(0, len(said), size)])
    assert len(heard.text) < 1200


def test_thinking_without_an_end_is_stopped_too() -> None:
    heard = Hearing("m", REQUEST)
    with pytest.raises(ModelBroken, match="without an end"):
        add_all(heard, [], ["wait. "] * 1000)


def test_log_probabilities_of_another_form_are_left_out() -> None:
    heard = Hearing("m", REQUEST)
    heard.note([{"token": "a", "logprob": -1}, {"token": 3, "logprob": -1}, {"token": "b"}, None, "c"])
    assert [(token.text, token.logprob) for token in heard.tokens] == [("a", -1.0)]
