import pytest

from agentcomm.errors import UsageError
from agentcomm.protocol.library import load, loads, names

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
    s6 --> [*]"""


def test_the_table_of_request():
    assert f"{load('request'):table}" == TABLE


def test_the_state_diagram_of_request():
    assert f"{load('request'):mermaid}" == MERMAID


def test_the_graph_of_request():
    dot = f"{load('request'):dot}"
    assert dot.startswith('digraph "request" {\n  rankdir=LR;')
    assert '  s0 -> s1 [label="request (initiator)"];' in dot
    assert '  s0 -> s6 [label="after 1m", style=dashed];' in dot
    assert dot.endswith("\n}")


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
@pytest.mark.parametrize("spec", ["table", "mermaid", "dot"])
def test_everything_can_be_drawn(name, spec):
    protocol = load(name)
    drawing = format(protocol, spec)
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
    assert 's0 [label="end"]' in f"{protocol:dot}"


def test_another_drawing_is_refused():
    with pytest.raises(UsageError, match="cannot be drawn as 'svg'"):
        format(load("request"), "svg")


def test_without_a_drawing_it_is_its_name():
    assert f"{load('request')}" == "request 1"
