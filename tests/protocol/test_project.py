"""Projection: what one role says and hears, against the runs of the whole protocol."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.errors import UsageError
from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.check import examine
from agentcomm.protocol.deep import deep
from agentcomm.protocol.library import load, loads, names
from agentcomm.protocol.merging import is_unsure, knowing
from agentcomm.protocol.project import doubts_of, project
from agentcomm.testing.strategies import protocols

FIFTEEN = [
    checked.protocol
    for text in Path(__file__).with_name("fifteen.yaml").read_text(encoding="utf-8").split("\n---\n")
    if (checked := examine(text)).protocol
]
SHIPPED = [load(name) for name in names()]


def test_a_view_of_a_request():
    view = project(load("request"), "participant")
    assert view.is_implementable
    asking = view.states[view.start]
    assert [(move.label, move.is_sent) for move in asking.moves.values()] == [("initiator?request", False)]
    requested = view.states[asking.moves["initiator?request"].next]
    assert requested.moves["initiator!refuse"].is_sent
    assert requested.within == 60
    assert requested.places == {"requested"}
    assert "says   refuse(reason) to initiator" in f"{view:table}"
    assert f"{view:mermaid}".startswith("stateDiagram-v2")
    assert f"{view}" == "request 1 of participant"


def is_looked_at(protocol, role):
    arcs = Arcs.of(protocol)
    return role not in knowing(protocol, arcs) and is_unsure(protocol, arcs, role, alone=True)


@pytest.mark.parametrize("protocol", [*FIFTEEN, *SHIPPED], ids=str)
def test_a_doubt_is_never_passed_over(protocol):
    for role in protocol.roles:
        if project(protocol, role).doubts:
            assert is_looked_at(protocol, role)


@given(protocols())
def test_a_doubt_about_a_random_protocol_is_never_passed_over(protocol):
    for role in protocol.roles:
        if project(protocol, role).doubts:
            assert is_looked_at(protocol, role)


@given(protocols())
def test_a_look_finds_the_doubts_of_a_view(protocol):
    for role in protocol.roles:
        assert doubts_of(protocol, role, Arcs.of(protocol)) == project(protocol, role).doubts


@pytest.mark.parametrize("protocol", [*FIFTEEN, *SHIPPED], ids=str)
def test_a_look_that_is_cut_short_misses_nothing(protocol, monkeypatch):
    monkeypatch.setattr("agentcomm.protocol.project.MUCH", 0)
    for role in protocol.roles:
        assert doubts_of(protocol, role, Arcs.of(protocol)) == project(protocol, role).doubts


def test_most_views_without_a_doubt_need_no_projection():
    views = [(protocol, role) for protocol in SHIPPED for role in protocol.roles]
    sure = [view for view in views if not project(*view).doubts]
    assert sum(is_looked_at(*view) for view in sure) < len(sure) / 10


BY_TIME = """
agentcomm: 1
protocol: by-time
roles: [chair, member]
acts: {motion: {act: inform, content: {}}, aye: {act: inform, content: {}}, nay: {act: inform, content: {}}, end: {act: inform, content: {}}}
states:
  open: {chair: {motion: voting}}
  voting: {member: {aye: more}, within: 1h, else: absent}
  more: {member: {nay: absent}, within: 1h, else: absent}
  absent: {chair: {end: over}}
outcomes: {over: success, late: expired}
limits: {else: late}
"""


def test_a_turn_that_comes_by_a_deadline_is_told_once_and_not_mended_by_hearers():
    (found,) = examine(BY_TIME, distributed=True).findings
    assert (found.code, found.line) == ("E304", 10)
    assert found.fix == "let that deadline lead to an outcome, or to a state in which chair is told"
    assert found.witness[-1] == "voting --else--> absent"


def test_a_view_of_nobody():
    with pytest.raises(UsageError, match="no role 'nobody'"):
        project(load("request"), "nobody")


@given(st.sampled_from(FIFTEEN + SHIPPED), st.integers(0, 10_000))
def test_a_view_follows_every_run(protocol, seed):
    """On any run, the role's local state holds the place in which the conversation is."""
    dice = random.Random(seed)  # noqa: S311
    for role in protocol.roles:
        view = project(protocol, role)
        place, local, used = protocol.start, view.start, {}
        spent = {}
        for _ in range(40):
            state = protocol.states.get(place)
            if state is None:
                break
            assert place in view.states[local].places
            moves = [
                move
                for move in state.moves.values()
                if move.max is None or used.get(move.key, 0) < move.max or move.then
            ]
            move = dice.choice([*moves, None]) if moves else None
            if move is None:
                if role in state.speakers:
                    local = view.states[local].otherwise
                place = state.otherwise
            else:
                used[move.key] = used.get(move.key, 0) + 1
                place = move.then if move.max is not None and used[move.key] > move.max else move.next
                if role == move.speaker or role in move.to:
                    label = (
                        f"{', '.join(move.to)}!{move.label}"
                        if role == move.speaker
                        else f"{move.speaker}?{move.label}"
                    )
                    said = view.states[local].moves[label]
                    spent[local, label] = spent.get((local, label), 0) + 1
                    local = (
                        said.then
                        if said.max is not None and spent[local, label] > said.max and said.then
                        else said.next
                    )
        if place in protocol.outcomes and local in view.states:
            assert place in view.states[local].places


def test_two_roles_that_hear_everything_can_be_played():
    for name in ("request", "query", "propose", "alternating-offers", "review-loop"):
        protocol = load(name)
        assert all(project(protocol, role).is_implementable for role in protocol.roles)
        looked = deep(protocol)
        assert looked.complete
        assert [finding.code for finding in looked.findings] == ["I901"]


CROSSING = """\
agentcomm: 1
protocol: crossing
roles: [ann, bob, cyd]
acts:
  go:   {act: inform, content: {}}
  yes:  {act: inform, content: {}}
  no:   {act: inform, content: {}}
  done: {act: inform, content: {}}
states:
  one:
    ann: {go: {next: two, to: bob}, done: {next: over, to: [bob, cyd]}}
  two:
    bob: {yes: {next: three, to: ann}, no: {next: over, to: ann}}
  three:
    cyd: {go: {next: four, to: ann}}
  four:
    ann: {done: {next: over, to: [bob, cyd]}}
outcomes: {over: success, expired: expired}
"""


def test_looking_through_the_runs_finds_who_is_not_told():
    protocol = examine(CROSSING).protocol
    assert protocol is not None
    assert [doubt.kind for doubt in project(protocol, "cyd").doubts] == ["turn"]
    looked = deep(protocol)
    assert looked.complete
    kinds = {finding.kind for finding in looked.findings}
    assert kinds & {"orphan_message", "stuck_receive"}
    trouble = next(finding for finding in looked.findings if finding.kind != "other")
    assert trouble.witness
    assert trouble.severity == "info"


def test_looking_stops_and_says_so():
    protocol = next(protocol for protocol in FIFTEEN if protocol.name == "dutch-auction")
    looked = deep(protocol, states=500)
    assert (looked.explored, looked.complete) == (500, False)
    last = next(finding for finding in looked.findings if finding.kind == "other")
    assert "what comes after 500 places" in last.why
    assert "more than 2 lanes" in last.why


def test_gathers_open_in_every_order():
    for name in ("iterated-contract-net", "contract-net", "sealed-vote"):
        protocol = next(protocol for protocol in FIFTEEN if protocol.name == name)
        looked = deep(protocol)
        assert looked.complete
        assert [finding.kind for finding in looked.findings] == ["other"]


def test_check_tells_it_too():
    codes = [finding.code for finding in examine(CROSSING, deep=True).findings]
    assert "W304" in codes
    assert "I901" in codes


STAGES = """\
agentcomm: 1
protocol: stages
roles: [lead, worker, auditor]
acts: {request: {what: text}, refuse: {reason: text}, wait: {act: inform, content: {}}, failure: {reason: text}}
states:
  one:
    lead:
      request: {next: two, to: worker}
      wait: {next: one, max: 2, then: failed, to: [worker, auditor]}
  two:
    worker:
      refuse: {next: three, to: lead}
      failure: {next: failed, to: [lead, auditor]}
  three:
    lead:
      request: {next: four, to: worker}
      wait: {next: three, max: 2, then: failed, to: [worker, auditor]}
  four:
    worker:
      refuse: {next: refused, to: [lead, auditor]}
      failure: {next: failed, to: [lead, auditor]}
outcomes: {refused: success, failed: failed}
"""


def test_messages_that_may_cross_are_told_where_it_first_happens_with_the_way():
    told = [found for found in examine(STAGES, distributed=True).findings if "before 'wait'" in found.what]
    assert [found.what for found in told] == ["auditor may hear 'failure' of worker before 'wait' of lead"]
    assert told[0].line == STAGES.splitlines().index("  two:") + 1
    assert told[0].witness == (
        "one --wait--> one",
        "one --request--> two",
        "two --failure--> failed",
    )


@pytest.mark.parametrize("protocol", [*SHIPPED, *FIFTEEN, loads(STAGES)], ids=lambda protocol: protocol.name)
def test_the_doubts_are_those_of_the_view(protocol):
    for role in protocol.roles:
        assert doubts_of(protocol, role, Arcs.of(protocol)) == project(protocol, role).doubts


@given(protocols())
def test_the_doubts_of_any_protocol_are_those_of_its_views(protocol):
    for role in protocol.roles:
        assert doubts_of(protocol, role, Arcs.of(protocol)) == project(protocol, role).doubts
