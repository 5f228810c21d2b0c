"""Checks that follow roles, commitments, lanes and runs through the graph."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from sale_document import edited, unmarked
from whole_documents import TENDER

from agentcomm.acts.performative import LedgerOp, Performative
from agentcomm.protocol import debts, flow
from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.check import check_graph, examine
from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Act, Limits, Move, OutcomeClass, Protocol, Ref, State
from agentcomm.protocol.library import loads

THREE = """\
agentcomm: 1
protocol: three
roles: [ann, bob, cyd]
acts:
  tell: {act: inform, content: {what: text}}
  say:  {act: inform, content: {what: text}}
  ask:  {act: query-ref, content: {what: text}}
  left: {act: inform, content: {}}
  right: {act: inform, content: {}}
  yes:  {act: inform, content: {}}
  no:   {act: inform, content: {}}
  refuse: {reason: text}
states:
"""


def three(states):
    """Return a document of three roles without the acts that it does not say."""
    acts, _, _ = THREE.partition("states:")
    said = states.replace("«", "").replace("»", "")
    kept = [
        line
        for line in acts.splitlines(True)
        if not line.startswith("  ") or f"{line.split(':')[0].strip()}:" in said
    ]
    return (
        "".join(kept)
        + "states:\n"
        + states
        + f"outcomes: {{done: success, {'off: refused, ' * ('next: off' in states)}expired: expired}}\n"
    )


def found(text, **options):
    return examine(unmarked(text)[0], **options).findings


def only(text, code, **options):
    """Assert that there is one finding, at its mark, with a way and a remedy, and return it."""
    findings = found(text, **options)
    assert [finding.code for finding in findings] == [code], "\n".join(map(str, findings))
    _, (line, column, _) = unmarked(text)
    assert (findings[0].line, findings[0].column) == (line, column), str(findings[0])
    assert findings[0].why
    assert findings[0].fix
    return findings[0]


DEAF = three("""\
  one:
    ann: {«tell»: {next: two, to: bob}}
  two:
    cyd: {say: {next: done, to: ann}}
""")


def test_who_speaks_next_has_heard_what_came_before():
    finding = only(DEAF, "W304")
    assert finding.kind == "role_not_informed"
    assert finding.witness == ("one --tell--> two",)
    assert finding.fix == "write `to: [bob, cyd]` on 'tell' in 'one'"
    assert found(DEAF.replace("to: bob", "to: [bob, cyd]")) == ()


def test_alone_a_role_cannot_know_that_it_is_its_turn():
    findings = found(DEAF, distributed=True)
    assert [(finding.code, finding.kind) for finding in findings] == [("E304", "role_not_informed")]


TORN = (
    three("""\
  one:
    ann: {left: {next: two, to: bob}, right: {next: three, to: bob}}
  two:
    bob: {tell: {next: four, to: cyd}}
  three:
    bob: {tell: {next: five, to: cyd}}
  «four»:
    cyd: {yes: {next: done, to: ann}}
  five:
    cyd: {no: {next: done, to: ann}}
""")
    .replace("«", "")
    .replace("»", "")
    .replace("  four:", "  «four»:")
)


def test_a_role_can_tell_apart_where_it_has_other_things_to_say():
    finding = only(TORN, "W305")
    assert finding.kind == "ambiguous_choice"
    assert finding.witness == ("one --left--> two", "two --tell--> four")
    assert [found_.code for found_ in found(TORN, distributed=True)] == ["E305"]
    assert (
        found(
            TORN.replace("three: {next: five", "")
            .replace("right: {next: three, to: bob}", "right: {next: three, to: [bob, cyd]}")
            .replace("left: {next: two, to: bob}", "left: {next: two, to: [bob, cyd]}")
        )
        == ()
    )


LONELY = (
    three("""\
  one:
    ann: {tell: {next: two, to: [bob, cyd]}}
  two:
    bob: {yes: {next: done, to: ann}, no: {next: three, to: [ann, cyd]}}
  three:
    ann: {say: {next: done, to: cyd}}
""")
    .replace("«three»", "three")
    .replace("  two:", "  «two»:")
)


def test_alone_a_role_that_is_not_told_of_the_end_waits_for_ever():
    assert found(LONELY) == ()
    findings = found(LONELY, distributed=True)
    assert [(finding.code, finding.kind) for finding in findings] == [("E306", "starvation")]
    assert findings[0].witness == ("one --tell--> two", "two --yes--> done")


def test_who_asks_is_answered_where_it_ends_well():
    text = three("""\
  one:
    ann: {«ask»: {next: two, to: bob}}
  two:
    ann: {say: {next: done, to: cyd}, tell: {next: three, to: bob}}
  three:
    bob: {refuse: {next: off, to: ann}}
""")
    finding = only(text, "W306")
    assert finding.kind == "orphan_message"
    assert finding.witness == ("one --ask--> two", "two --say--> done")


def test_what_is_discharged_can_be_owed():
    text = edited(
        (
            "  refuse:          {reason: text}",
            "  «refuse»:          {content: {reason: text}, discharges: cfp}",
        )
    )
    assert only(text, "E502").kind == "commitment_open"
    text = edited(
        (
            "  refuse:          {reason: text}",
            "  refuse:          {content: {reason: text}, discharges: propose}",
        ),
        ("roles: [buyer, seller]", "roles: [buyer, seller]\nstart: open"),
    )
    assert [finding.code for finding in found(text)] == []  # it may be said after an offer was called back
    text = edited(
        ("{cfp: asked}", "{cfp: asked, «reject-proposal»: closed}"),
        (
            "  reject-proposal: {reason: text}",
            "  reject-proposal: {content: {reason: text}, discharges: propose}",
        ),
    )
    assert (
        only(text, "E502").what
        == "'reject-proposal' discharges 'propose', which nobody can have said in 'open'"
    )


def test_who_decides_a_quarrel_stands_outside():
    findings = found(edited(("repairs: 2", "escalate_to: buyer")))
    assert [finding.code for finding in findings] == ["E603"]
    assert found(DEAF.replace("to: bob", "to: [bob, cyd]") + "limits: {escalate_to: bob}\n") == ()


def test_irreversible_stakes_need_something_to_read_back():
    text = edited(
        (
            "  accept-proposal: {price: money}",
            "  «accept-proposal»: {content: {price: money}, stakes: irreversible}",
        )
    )
    assert [finding.code for finding in found(text)] == ["E602"]


def test_opposite_conditions_on_the_record_leave_a_move():
    text = edited(
        ("accept-proposal: sold", "accept-proposal: {next: sold, when: propose.price <= cfp.budget}"),
        ("reject-proposal: closed", "reject-proposal: {next: closed, when: propose.price > cfp.budget}"),
    )
    assert found(text) == ()
    assert [finding.code for finding in found(text.replace("> cfp.budget", ">= cfp.budget"))] == ["E303"]


RUN = """\
agentcomm: 1
protocol: work
roles: [lead, worker]
acts:
  thanks: {act: inform, content: {action: text}}
  again:  {act: inform, content: {}}
grounding:
  thanks: {repeats: {action: working.request.action}}
states:
  working:
    run: request
    as: {initiator: lead, participant: worker}
    then: {success: thanking, otherwise: failed}
  thanking:
    lead: {thanks: done, again: {next: working, max: 2}}
outcomes: {done: success, failed: failed, expired: expired}
"""


def test_what_was_said_in_a_run_on_every_way_is_known_after_it():
    assert found(RUN) == ()
    findings = found(
        RUN.replace("otherwise: failed}", "otherwise: thanking}").replace(", failed: failed", "")
    )
    assert [finding.code for finding in findings] == ["E401"]
    assert findings[0].witness == ("working/asking --else--> thanking",)


def test_a_budget_in_a_run_bounds_no_loop_around_it():
    talk = (
        "agentcomm: 1\nprotocol: talk\nroles: [a, b]\nacts: {go: {act: inform, content: {}}, stop: {act: inform, content: {}}}\n"
        "states: {x: {a: {go: {next: x, max: 2, then: over}, stop: over}}}\noutcomes: {over: success, expired: expired}\n"
    )
    text = RUN.replace("run: request", "run: talk").replace(
        "initiator: lead, participant: worker", "a: lead, b: worker"
    )
    text = text.replace("grounding:\n  thanks: {repeats: {action: working.request.action}}\n", "")
    assert loads(text, protocols={"talk": talk}).bound == 12
    with pytest.raises(Exception, match="E205") as caught:
        loads(text.replace("again: {next: working, max: 2}", "again: working"), protocols={"talk": talk})
    finding = caught.value.findings[0]
    assert finding.code == "E205"
    assert finding.fix == "add `max: 3` to 'again' in 'thanking'"
    assert "thanking -> working -> thanking" in finding.what
    assert finding.witness[-1] == "working --run--> thanking"


def test_a_lane_always_has_a_move():
    protocol = examine(TENDER).protocol
    assert protocol is not None
    counted = [move for state in protocol.states.values() for move in state.moves.values() if move.at_most]
    assert counted
    state = protocol.states[counted[0].state]
    alone = structs.replace(state, moves={counted[0].label: counted[0]})
    report = Report()
    check_graph(Draft(replace(protocol, states={**protocol.states, state.name: alone}), report))
    assert ("E303", "starvation") in {(finding.code, finding.kind) for finding in report.found}


STATUS = st.sampled_from(
    [
        "request",
        "agree",
        "refuse",
        "failure",
        "cancel",
        "inform",
        "propose",
        "accept-proposal",
        "reject-proposal",
        "query-ref",
    ]
)


@st.composite
def talks(draw):
    """Tables of a few states whose acts ask, promise and take back, between three roles."""
    roles = draw(st.sampled_from([("a", "b"), ("a", "b", "c")]))
    kinds = ["request", "agree", "propose", "accept-proposal", *draw(st.lists(STATUS, max_size=3))]
    labels = [f"l{number}" for number in range(len(kinds))]
    acts = {}
    for label, kind in zip(labels, kinds, strict=True):
        done = draw(st.sampled_from(["", "", "", *labels]))
        acts[label] = Act(label, Performative(kind), {}, discharges=done)
    count = draw(st.integers(3, 6))
    places = [*(f"s{number}" for number in range(count)), "done", "lost"]
    states = {}
    for number in range(count):
        name, speaker = f"s{number}", draw(st.sampled_from(roles))
        ahead = [place for place in places[number + 1 :] if place != "lost"]
        others = [role for role in roles if role != speaker]
        moves = {}
        for label in draw(st.lists(st.sampled_from(labels), min_size=2, max_size=4, unique=True)):
            to = tuple(draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True)))
            moves[label] = Move(
                name, acts[label], speaker, to, draw(st.sampled_from([*places, *ahead, *ahead])), max=1
            )
        states[name] = State(name, (speaker,), moves, 60.0, draw(st.sampled_from(places[number + 1 :])))
    outcomes = {"done": OutcomeClass.SUCCESS, "lost": OutcomeClass.FAILED}
    return Protocol("t", "1", roles, acts, states, "s0", outcomes, Limits(), "", "")


def open_at_success(protocol):
    """Return the labels whose commitment may be active at a success, each followed by itself."""
    found = set()
    for label, act in protocol.acts.items():
        op = act.info.op
        if op not in (LedgerOp.DIRECT, LedgerOp.OFFER):
            continue
        for debtor, creditor in ((one, other) for one in "abc" for other in "abc" if one != other):
            if follows(protocol, label, act, debtor, creditor):
                found.add(label)
    return found


def follows(protocol, label, act, debtor, creditor):
    asker, hearer = (creditor, debtor) if act.info.op is LedgerOp.DIRECT else (debtor, creditor)
    reached, queue = {("s0", None)}, [("s0", None)]
    for place, status in queue:
        state = protocol.states.get(place)
        if state is None:
            continue
        following = [(state.otherwise, status)]
        for move in state.moves.values():
            following.append((move.next, changed(act, label, debtor, creditor, move, status)))
            if move.label == label and move.speaker == asker and hearer in move.to:
                following.append((move.next, "waiting"))
        for node in following:
            if node not in reached:
                reached.add(node)
                queue.append(node)
    return any(node == ("done", "active") for node in reached)


def changed(act, label, debtor, creditor, move, status):
    op, by, to = move.act.info.op, move.speaker, move.to
    is_query = act.performative in (Performative.QUERY_REF, Performative.QUERY_IF)
    tells = move.act.performative in (Performative.INFORM, Performative.CONFIRM, Performative.DISCONFIRM)
    if status is None or move.act.discharges == label:
        return None
    if op is LedgerOp.ACTIVATE and act.info.op is LedgerOp.DIRECT and by == debtor and creditor in to:
        return "active"
    if op is LedgerOp.ACCEPT and act.info.op is LedgerOp.OFFER and by == creditor and debtor in to:
        return "active"
    if op is LedgerOp.REJECT and act.info.op is LedgerOp.DIRECT and by == debtor and status == "waiting":
        return None
    if (op is LedgerOp.RELEASE and by == creditor) or (op is LedgerOp.EXCUSE and by == debtor):
        return None
    if move.act.performative is Performative.CANCEL and by in (debtor, creditor):
        return None
    if is_query and tells and by == debtor and creditor in to:
        return None
    return status


@given(talks(), st.sampled_from([0, 512]))
def test_all_commitments_at_once_are_followed_as_one_by_one(protocol, many):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debts, "MANY", many)
        patch.setattr(debts, "MUCH", many)
        patch.setattr(debts, "BITS", 2)
        report = Report()
        debts.check_open(protocol, Arcs.of(protocol), report)
    told = {finding.what.split("'")[1] for finding in report.found}
    assert told == open_at_success(protocol)
    assert all(finding.witness[-1].endswith("> done") for finding in report.found)


def unknown(protocol, label, role):
    """Return the states that can be reached without a role having heard or said something."""
    reached = ["s0"]
    for place in reached:
        state = protocol.states.get(place)
        if state is None:
            continue
        following = [state.otherwise]
        following += [
            move.next
            for move in state.moves.values()
            if not (move.label == label and role in (move.speaker, *move.to))
        ]
        reached += [name for name in dict.fromkeys(following) if name not in reached]
    return set(reached)


@given(talks(), st.sampled_from([0, 512]), st.data())
def test_all_values_at_once_are_followed_as_one_by_one(protocol, many, data):
    labels = sorted(protocol.acts)
    states = {
        name: structs.replace(
            state,
            moves={
                label: structs.replace(move, given={"x": Ref(data.draw(st.sampled_from(labels)), "x")})
                for label, move in state.moves.items()
            },
        )
        for name, state in protocol.states.items()
    }
    protocol = replace(protocol, states=states)
    arcs = Arcs.of(protocol)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "BITS", 2)
        patch.setattr(flow, "MUCH", many)
        report = Report()
        flow.check_known(protocol, arcs, report)
    wanted = {
        (name, move.given["x"].act)
        for name, state in states.items()
        for move in state.moves.values()
        if name in unknown(protocol, move.given["x"].act, move.speaker)
    }
    told = {
        (finding.what.split("'")[5], finding.what.split("'")[3].split(".")[0]) for finding in report.found
    }
    assert told == wanted
