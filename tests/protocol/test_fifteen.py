"""Fifteen protocols in the language, most of FIPA and the overlays among them, and the contract net."""

import re
from pathlib import Path

import pytest

from agentcomm.protocol.check import examine
from agentcomm.protocol.compile import draft
from agentcomm.protocol.lookup import resolver
from agentcomm.protocol.source import read

TEXTS = {
    re.search(r"^protocol: (\S+)", text, re.MULTILINE)[1]: text
    for text in (Path(__file__).parent / "fifteen.yaml").read_text().split("---\n")
}


def test_they_are_all_there():
    assert len(TEXTS) == 16
    assert {"request", "english-auction", "brokering", "read-back", "contract-net"} <= set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_it_compiles(name):
    source = read(TEXTS[name], name)
    made = draft(source, resolve=resolver())
    assert made is not None
    assert made.sound
    assert source.report.found == [], [str(found) for found in source.report.found]


@pytest.mark.parametrize("name", TEXTS)
def test_it_has_no_error(name):
    errors = [found for found in examine(TEXTS[name], path=name).findings if found.severity == "error"]
    assert not errors, "\n".join(map(str, errors))


LANES = {
    "english-auction": ["opening", "seated", "called", "bid", "quiet", "leading"],
    "dutch-auction": ["opening", "seated", "called", "bid"],
    "iterated-contract-net": ["calling", "bidding", "weighing", "working"],
    "contract-net": ["calling", "bidding", "weighing", "working"],
    "sealed-vote": ["asking", "voting", "counting"],
    "brokering": ["proxied/asking", "proxied/requested", "proxied/agreed", "answered"],
    "recruiting": ["handing", "answering"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_its_lanes_begin_where_a_member_is_named(name):
    made = draft(read(TEXTS[name], name), resolve=resolver())
    assert [state.name for state in made.protocol.states.values() if state.in_lane] == LANES.get(name, [])
