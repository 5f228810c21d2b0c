import re
import shutil
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from agentcomm.cli import graphviz
from agentcomm.errors import UsageError
from agentcomm.protocol.draw import FORMS, draw
from agentcomm.protocol.draw_svg import _box_size, _most, _words_size
from agentcomm.protocol.layout import lay_out
from agentcomm.protocol.library import load, loads, names
from agentcomm.protocol.picture import picture
from agentcomm.protocol.project import project

WRITTEN = {
    text.partition("protocol: ")[2].partition("\n")[0]: text
    for text in (Path(__file__).parent / "fifteen.yaml").read_text().split("---\n")
}


def written(name):
    return loads(re.sub(r"turns: \d+", "turns: 5000", WRITTEN[name]))


DRAWN = [
    *(load(name) for name in (*names(), *names(overlays=True))),
    *(written(name) for name in ("english-auction", "brokering", "iterated-contract-net", "recruiting")),
]

TABLE = """\
request 1: initiator, participant; begins in asking

state      who          says                   leads to   within
---------  -----------  ---------------------  ---------  -----------------
asking     initiator    request(action, due?)  requested  1m, else expired
requested  participant  refuse(reason)         refused    1m, else expired
                        agree()                agreed
                        failure(reason)        failed
                        inform-done()          done
                        inform-result(result)  done
agreed     participant  failure(reason)        failed     10m, else expired
                        inform-done()          done
                        inform-result(result)  done

outcomes: done (success), refused (refused), failed (failed), expired (expired)"""

MERMAID = """\
stateDiagram-v2
    state "asking" as s0
    state "requested" as s1
    state "agreed" as s2
    state "done (success)" as s3
    state "refused (refused)" as s4
    state "failed (failed)" as s5
    state "expired (expired)" as s6
    [*] --> s0
    s0 --> s1 : request (initiator)
    s0 --> s6 : after 1m
    s1 --> s4 : refuse (participant)
    s1 --> s2 : agree (participant)
    s1 --> s5 : failure (participant)
    s1 --> s3 : inform-done (participant)
    s1 --> s3 : inform-result (participant)
    s1 --> s6 : after 1m
    s2 --> s5 : failure (participant)
    s2 --> s3 : inform-done (participant)
    s2 --> s3 : inform-result (participant)
    s2 --> s6 : after 10m
    s3 --> [*]
    s4 --> [*]
    s5 --> [*]
    s6 --> [*]
    classDef success fill:#d9f2df,color:#1b2330
    classDef refused fill:#fdecc8,color:#1b2330
    classDef failed fill:#fbdcd9,color:#1b2330
    classDef expired fill:#e6e8ec,color:#1b2330
    class s3 success
    class s4 refused
    class s5 failed
    class s6 expired"""


def test_the_table_of_request():
    assert f"{load('request'):table}" == TABLE


def test_the_state_diagram_of_request():
    assert f"{load('request'):mermaid}" == MERMAID


def test_the_graph_of_request():
    dot = f"{load('request'):dot}"
    assert dot.startswith('digraph "request 1: initiator, participant" {\n  rankdir=TB;')
    assert '  s0 -> s1 [label="request (initiator)"];' in dot
    assert '  s0 -> s6 [label="after 1m", style=dashed];' in dot
    assert dot.endswith("\n}")


@pytest.mark.parametrize("protocol", DRAWN, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("spec", FORMS)
def test_everything_can_be_drawn(protocol, spec):
    drawing = draw(protocol, spec, expand=True)
    for state in protocol.states.values():
        for label in state.moves:
            assert label in drawing


def test_budgets_owners_and_receivers_are_drawn():
    table = f"{load('sbar-handoff'):table}"
    assert "answering (max 3)" in table
    assert "transferred, owner taker" in table
    assert "seller-turn (max 5, then out-of-rounds)" in f"{load('alternating-offers'):table}"


HOSTILE = """\
agentcomm: 1
protocol: h
roles: [a, b]
acts: {inform: {}}
states:
  end:
    a: {inform: größe_1}
outcomes: {größe_1: success}
"""


def test_words_of_the_drawing_languages_are_harmless():
    protocol = loads(HOSTILE)
    assert 'state "end" as s0' in f"{protocol:mermaid}"
    assert 's0 [label="end\\na\\nwithin 1m"]' in f"{protocol:dot}"


def test_another_drawing_is_refused():
    with pytest.raises(UsageError, match="cannot be drawn as 'png'"):
        format(load("request"), "png")


def test_without_a_drawing_it_is_its_name():
    assert f"{load('request')}" == "request 1"


# --- pictures ---


def test_a_table_tells_lanes_gathers_and_how_they_settle():
    table = f"{written('english-auction'):table}"
    assert "english-auction 1: auctioneer, bidder (2..20); begins in opening" in table
    assert "auctioneer (gather)  cfp(price) for all                 called (max 20)" in table
    assert "leading, 1 at once" in table
    assert "won, at most 1" in table
    assert "settled by the lanes, the first that fits: success: any won; rejected: otherwise" in table
    assert "evidence: propose: read back price; accept-proposal: price = propose.price" in table
    assert "conditions: cfp when price > cfp.price" in table


def test_what_is_switched_off_and_who_decides_is_told():
    text = (Path(__file__).parent / "mistakes" / "train.yaml").read_text(encoding="utf-8")
    protocol = loads(text.replace("whole: 12h", "whole: 12h, escalate_to: approver"))
    for spec in ("table", "svg"):
        drawn = f"{protocol:{spec}}"
        assert "overlays of its own: standby: off" in drawn
        assert "where repair fails, approver decides" in drawn


def test_a_run_is_one_box_or_all_its_states():
    protocol = (
        written("plan-execute-verify")
        if "plan-execute-verify" not in names()
        else load("plan-execute-verify")
    )
    assert "runs request: lead as initiator" in f"{protocol:table}"
    assert "executing/asking" not in f"{protocol:svg}"
    assert "executing/asking" in draw(protocol, "svg", expand=True)
    assert "executing.request" in draw(protocol, "table", expand=True)


def test_a_role_sees_what_it_says_and_hears():
    protocol = written("brokering")
    target = f"{project(protocol, 'target'):table}"
    assert "as target sees it" in target
    assert "proxy(" not in target
    assert "hears  proxied.request(" in target
    initiator = f"{project(protocol, 'initiator'):table}"
    assert "says   proxy(descriptor, message) to broker" in initiator
    assert "proxied.request" not in initiator
    seen = texts(f"{project(protocol, 'initiator'):svg}")
    assert "brokering 1, as initiator sees it" in seen
    assert {"says proxy", "hears refuse", "to broker", "from broker", "waits for broker"} <= set(seen)


@pytest.mark.parametrize("spec", FORMS)
@pytest.mark.parametrize("protocol", DRAWN, ids=lambda protocol: protocol.name)
def test_every_role_s_view_can_be_drawn(protocol, spec):
    for role in protocol.roles:
        assert format(project(protocol, role), spec)


def texts(svg):
    root = ET.fromstring(svg)  # noqa: S314  (our own)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_shows_what_is_to_be_known():
    words = texts(f"{written('iterated-contract-net'):svg}")
    for text in (
        "iterated-contract-net 1: manager, bidder (1..20)",
        "manager, gathers bidder",
        "cfp for all",
        "cfp, max 3",
        "read back: price",
        "price = propose.price",
        "at most 1 lane",
        "after 30s",
        "a deadline without an arrow leads to expired",
        "stacked boxes: each bidder has its own position there",
    ):
        assert text in words
    assert "owner: taker" in texts(f"{load('sbar-handoff'):svg}")


def test_a_picture_needs_nothing_from_outside_and_knows_the_dark():
    svg = f"{load('request'):svg}"
    assert "prefers-color-scheme:dark" in svg
    assert not re.search(r"(href|src|url\((?!#)|@import|<script)", svg)
    assert svg.count("http") == 1


def test_a_picture_is_the_same_each_time():
    assert f"{load('query'):svg}" == f"{load('query'):svg}"


def layout_of(protocol, lay=lay_out):
    shown = picture(protocol).plain()
    sizes = {name: _box_size(box, _most(shown, name)) for name, box in shown.boxes.items()}
    return lay(sizes, [(a.source, a.target, _words_size(a)) for a in shown.arrows], shown.start)


def overlap(one, other):
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2 - 0.5
        and one.y < other.y + other.height - 0.5
        and other.y < one.y + one.height - 0.5
    )


LAYOUTS = [
    lay_out,
    pytest.param(graphviz.lay_out, marks=pytest.mark.skipif(not shutil.which("dot"), reason="no dot")),
]


@pytest.mark.parametrize("lay", LAYOUTS)
@pytest.mark.parametrize("protocol", DRAWN, ids=lambda protocol: protocol.name)
def test_nothing_stands_on_anything_else(protocol, lay):
    placed = layout_of(protocol, lay)
    rects = [*placed.boxes.values(), *(line.words for line in placed.lines)]
    assert not [(one, other) for one, other in combinations(rects, 2) if overlap(one, other)]
    for rect in rects:
        assert rect.x - rect.width / 2 >= -1
        assert rect.x + rect.width / 2 <= placed.width + 1
        assert rect.y >= -1
        assert rect.y + rect.height <= placed.height + 1


@pytest.mark.parametrize("protocol", DRAWN, ids=lambda protocol: protocol.name)
def test_arrows_go_from_box_to_box(protocol):
    shown, placed = picture(protocol).plain(), layout_of(protocol)
    for arrow, line in zip(shown.arrows, placed.lines, strict=True):
        (x, y), (nx, ny) = line.ways[0][0], line.ways[-1][-1]
        for place, box in (((x, y), placed.boxes[arrow.source]), ((nx, ny), placed.boxes[arrow.target])):
            assert abs(place[0] - box.x) <= box.width / 2 + 0.1
            assert box.y - 0.1 <= place[1] <= box.y + box.height + 0.1


def test_words_of_a_stranger_are_harmless_in_a_picture():
    svg = (
        f"{loads(HOSTILE.replace('protocol: h', 'protocol: h' + chr(10) + 'about: <script>&x</script>')):svg}"
    )
    assert "<script" not in svg
    assert "<script>&x</script>" in texts(svg)


def test_too_much_for_a_picture_is_said():
    count = 300
    states = "".join(f"  s{n}: {{a: {{inform: s{n + 1}}}}}\n" for n in range(count))
    text = f"agentcomm: 1\nprotocol: long\nroles: [a, b]\nacts: {{inform: {{}}}}\nstates:\n{states}outcomes: {{s{count}: success}}\n"
    with pytest.raises(UsageError, match="too many for a picture"):
        format(loads(text), "svg")
