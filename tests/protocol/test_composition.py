import pytest
from sale_document import unmarked
from whole_documents import JOB, RETRY, TENDER, WORK, edited

from agentcomm.errors import ProtocolError
from agentcomm.protocol.check import examine
from agentcomm.protocol.graph import Ref
from agentcomm.protocol.library import load, loads
from agentcomm.protocol.lookup import within

DOCUMENTS = {"job": JOB, "my-repair": RETRY, "tender": TENDER}


def checked(text, documents=DOCUMENTS):
    return examine(text, resolve=within(documents))


def work(*edits, **options):
    return loads(edited(WORK, *edits), protocols=DOCUMENTS, **options)


# --- what a run becomes ---


def test_the_states_of_a_run_stand_among_ours():
    protocol = work()
    assert list(protocol.states) == ["planning", "working/asking", "working/asked", "thanking"]
    assert [name for name, state in protocol.states.items() if state.region] == [
        "working/asking",
        "working/asked",
    ]
    assert protocol.states["planning"].moves["plan"].next == "working/asking"
    asked = protocol.states["working/asked"]
    assert (asked.speaker, asked.within, asked.otherwise, asked.region) == (
        "worker",
        300,
        "failed",
        "working",
    )
    moves = {
        label: (move.speaker, move.to, move.next, move.max, move.then) for label, move in asked.moves.items()
    }
    assert moves == {
        "working.result": ("worker", ("lead",), "thanking", None, ""),
        "working.refuse": ("worker", ("lead",), "failed", None, ""),
        "working.failure": ("worker", ("lead",), "working/asking", 2, "failed"),
    }
    assert protocol.acts["working.result"].discharges == "working.request"
    assert protocol.acts["working.result"].name == "result"
    assert protocol.states["working/asking"].moves["working.request"].given == {"action": Ref("plan", "goal")}
    assert set(protocol.outcomes) == {"done", "failed", "expired"}


def test_a_run_is_kept_beside_its_states():
    run = work().runs["working"]
    assert run.protocol == loads(JOB)
    assert run.roles == {"initiator": "lead", "participant": "worker"}
    assert run.then == {"success": "thanking", "refused": "failed", "failed": "failed", "expired": "failed"}
    assert (run.start, run.within, run.otherwise) == ("working/asking", None, "")


def test_a_run_has_a_place_in_the_file():
    protocol = work()
    line = WORK.splitlines().index("  working:") + 1
    assert {
        protocol.marks[f"states.{name}"].line for name in ("working", "working/asking", "working/asked")
    } == {line}


def test_a_deadline_bounds_the_whole_run():
    run = work(("    then:", "    within: 10m\n    else: failed\n    then:")).runs["working"]
    assert (run.within, run.otherwise) == (600, "failed")
    run = work(("    then:", "    within: 10m\n    then:")).runs["working"]
    assert (run.within, run.otherwise) == (600, "expired")


def test_the_limit_of_what_is_run_bounds_it():
    documents = {"job": JOB + "limits: {whole: 1h, else: late}\n"}
    run = loads(WORK, protocols=documents).runs["working"]
    assert (run.within, run.otherwise) == (3600, "failed")


def test_a_value_said_in_a_run_is_known_afterwards():
    protocol = work(
        ("{result: text}}", "{result: text}, when: result == working.result.text}"),
        ("    lead: {thanks: done}", "    lead: {thanks: done}\n    else: done"),
    )
    assert protocol.acts["thanks"].when[0].right == Ref("working.result", "text")
    repeated = work(("states:\n", "grounding: {thanks: {repeats: {result: working.result.text}}}\nstates:\n"))
    assert repeated.acts["thanks"].repeats == {"result": Ref("working.result", "text")}


def test_conditions_within_a_run_speak_of_the_run():
    documents = {
        "job": edited(
            JOB,
            (
                "result: {act: inform, content: {text: text}",
                "result: {act: inform, content: {text: text}, when: text != request.action",
            ),
        )
    }
    act = loads(WORK, protocols=documents).acts["working.result"]
    assert act.when[0].right == Ref("working.request", "action")


def test_a_run_can_begin_a_conversation_and_follow_another():
    text = edited(
        WORK,
        ("  planning:\n    lead: {plan: working}\n  working:", "  first:\n    run: job\n    as: {initiator: lead, participant: worker}\n    then: {success: working, otherwise: failed}\n  working:"),
        ("    with: {request.action: plan.goal}\n", "    with: {request.action: first.request.action}\n"),
        ("  plan: {act: inform, content: {goal: text, cost: money}}\n", ""),
    )  # fmt: skip
    protocol = loads(text, protocols=DOCUMENTS)
    assert protocol.start == "first/asking"
    assert protocol.runs["first"].then["success"] == "working/asking"


OUTER = """\
agentcomm: 1
protocol: outer
roles: [boss, hand]
acts:
  order: {act: inform, content: {goal: text}}
states:
  ordering:
    boss: {order: doing}
  doing:
    run: work
    as: {lead: boss, worker: hand}
    with: {plan.goal: order.goal}
    then: {success: over, otherwise: lost}
outcomes: {over: success, lost: failed}
"""


def test_a_run_within_a_run():
    protocol = loads(OUTER, protocols={**DOCUMENTS, "work": WORK})
    assert list(protocol.runs) == ["doing", "doing/working"]
    inner = protocol.runs["doing/working"]
    assert inner.roles == {"initiator": "boss", "participant": "hand"}
    assert inner.start == "doing/working/asking"
    assert inner.then["success"] == "doing/thanking"
    assert inner.then["refused"] == "lost"
    state = protocol.states["doing/working/asking"]
    assert state.region == "doing/working"
    assert state.moves["doing/working.request"].given == {"action": Ref("doing.plan", "goal")}
    assert protocol.acts["doing/working.request"].name == "request"
    assert protocol.embedded == {"work": WORK, "job": JOB}
    assert protocol.bound == 1 + work().bound


def test_a_run_of_a_member_begins_the_lanes():
    text = edited(
        TENDER,
        ("  calling:\n    manager: {cfp: {next: bidding, for: all}}\n  bidding:\n    bidder: {propose: weighing, refuse: declined}\n",
         "  bidding:\n    run: job\n    as: {initiator: manager, participant: bidder}\n    then: {success: weighing, otherwise: declined}\n"),
        ("  cfp: {goal: text}\n", ""), ("  propose: {content: {price: money}, outlives: true}\n", ""), ("  refuse: {reason: text}\n", ""),
        ("grounding:\n  accept-proposal: {repeats: {price: propose.price}}\n", ""),
    )  # fmt: skip
    made = checked(text)
    assert made.protocol is not None, [str(found) for found in made.findings]
    assert all(state.in_lane for state in made.protocol.states.values())


# --- the hash and the texts ---


def test_a_change_in_what_is_run_changes_the_hash():
    changed = {"job": edited(JOB, ("max: 2", "max: 1"))}
    assert loads(WORK, protocols=changed).hash != work().hash
    about = {"job": edited(JOB, ("protocol: job\n", "protocol: job\nabout: A job.\n"))}
    assert loads(WORK, protocols=about).hash != work().hash


@pytest.mark.parametrize(
    "edit",
    [
        ("    with: {request.action: plan.goal}\n", ""),
        ("{success: thanking, otherwise: failed}", "{success: thanking, refused: done, otherwise: failed}"),
        ("    then:", "    within: 10m\n    then:"),
        ("outcomes:", "overlays: {cancel: off}\noutcomes:"),
        ("outcomes:", "overlays: {repair: my-repair}\noutcomes:"),
    ],
)
def test_what_changes_a_run_changes_the_hash(edit):
    assert work(edit).hash != work().hash


def test_defaults_of_a_run_said_aloud_change_nothing():
    aloud = "{success: thanking, refused: failed, failed: failed, expired: failed}"
    assert work(("{success: thanking, otherwise: failed}", aloud)) == work()


def test_a_protocol_carries_every_text_it_needs(tmp_path):
    (tmp_path / "work.yaml").write_text(
        edited(WORK, ("outcomes:", "overlays: {repair: my-repair}\noutcomes:"))
    )
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "_overlays").mkdir()
    (tmp_path / "_overlays" / "my-repair.yaml").write_text(RETRY)
    protocol = load(tmp_path / "work.yaml")
    assert protocol.embedded == {"job": JOB, "my-repair": RETRY}
    assert loads(protocol.text, protocols=protocol.embedded).hash == protocol.hash


def test_two_documents_of_one_name_are_kept_apart(tmp_path):
    other = edited(JOB, ("max: 2", "max: 1"))
    texts = {"work": WORK, "work/job": other, "job": JOB}
    text = edited(
        OUTER,
        ("then: {success: over, otherwise: lost}", "then: {success: again, otherwise: lost}"),
        ("outcomes:", "  again:\n    run: job\n    as: {initiator: boss, participant: hand}\n    then: {success: over, otherwise: lost}\noutcomes:"),
    )  # fmt: skip
    protocol = loads(text, protocols=texts)
    assert protocol.states["again/asked"].moves["again.failure"].max == 2
    assert protocol.states["doing/working/asked"].moves["doing/working.failure"].max == 1
    assert protocol.embedded == texts
    assert loads(protocol.text, protocols=protocol.embedded) == protocol


def test_what_stands_beside_the_file_comes_before_the_library(tmp_path):
    text = edited(WORK, ("run: job", "run: request"))
    (tmp_path / "work.yaml").write_text(text)
    library = load(tmp_path / "work.yaml")
    assert library.runs["working"].protocol == load("request")
    (tmp_path / "request.yaml").write_text(JOB)
    assert load(tmp_path / "work.yaml").runs["working"].protocol == loads(JOB)
    assert loads(text).runs["working"].protocol == load("request")


# --- overlays of a protocol's own ---


def test_an_escalation_has_a_third_who_decides():
    protocol = work(("outcomes:", "overlays: {escalate: escalate}\noutcomes:"))
    escalation = protocol.overlays["escalate"]
    assert escalation.roles == ("sender", "hearer", "authority")
    assert escalation.states["deciding"].speaker == "authority"
    assert escalation.states["deciding"].moves["decide"].to == ("sender", "hearer")


def test_overlays_are_switched_off_and_replaced():
    protocol = work(("outcomes:", "overlays: {cancel: off, repair: my-repair}\noutcomes:"))
    assert protocol.overlays["cancel"] is None
    assert protocol.overlays["repair"] == loads(RETRY)
    assert work().overlays == {}


@pytest.mark.parametrize("path", ["my-repair.yaml", "./my-repair.yaml", "overlays/my-repair.yml"])
def test_a_path_in_place_of_a_name_is_told_what_the_name_is(path):
    found = checked(edited(WORK, ("outcomes:", f"overlays: {{repair: {path}}}\noutcomes:"))).findings
    assert [(one.code, one.fix) for one in found] == [("E102", "write its name alone: my-repair")]


def test_an_overlay_of_the_library_by_name():
    assert work(("outcomes:", "overlays: {repair: repair}\noutcomes:")).overlays["repair"] == load(
        "_overlays/repair"
    )


def test_an_overlay_on_what_is_to_be_demonstrated():
    protocol = loads(edited(RETRY, ("{on: any}", "{on: demonstrated}")))
    assert protocol.overlay is not None
    assert protocol.overlay.on == "demonstrated"


# --- what is wrong ---

BROKEN = {
    "an unknown protocol": ("E102", ("run: job", "run: «jobb»")),
    "a path": ("E102", ("run: job", "run: «../job»")),
    "a number": ("E100", ("run: job", "run: «12»")),
    "an overlay in a state": ("E804", ("run: job", "run: «my-repair»")),
    "a protocol with lanes": ("E804", ("run: job", "run: «tender»")),
    "a role left out": ("E802", ("run: job", "run: «job»"), (", participant: worker", "")),
    "no roles": ("E802", ("run: job", "run: «job»"), ("    as: {initiator: lead, participant: worker}\n", "")),
    "a role of theirs that is none": ("E102", ("participant: worker}", "participant: worker, «judge»: worker}")),
    "a role of ours that is none": ("E102", ("participant: worker}", "participant: «wroker»}")),
    "two roles in one": ("E802", ("participant: worker}", "participant: «lead»}")),
    "an outcome that leads nowhere": ("E703", ("run: job", "run: «job»"), ("success: thanking, otherwise: failed", "success: thanking, refused: failed")),
    "outcomes that lead nowhere": ("E703", ("run: job", "run: «job»"), ("    then: {success: thanking, otherwise: failed}\n", "")),
    "a class that is none": ("E102", ("success: thanking", "success: thanking, «done»: failed")),
    "a state that is none": ("E102", ("success: thanking", "success: «thankin»")),
    "a field of theirs that is none": ("E102", ("{request.action:", "{«request.axtion»:")),
    "an act of theirs that is none": ("E102", ("{request.action:", "{«requst.action»:")),
    "no field of theirs": ("E101", ("{request.action:", "{«action»:")),
    "a value that is none": ("E102", ("plan.goal}", "«plan.gaol»}")),
    "no value": ("E101", ("plan.goal}", "«goal»}")),
    "a value of another type": ("E104", ("plan.goal}", "«plan.cost»}")),
    "a value that may be missing": ("E104", ("goal: text", "goal: optional text"), ("plan.goal}", "«plan.goal»}")),
    "roles without a run": ("E101", ("    run: job\n", ""), ("    as:", "    «as»:"), ("    with: {request.action: plan.goal}\n    then: {success: thanking, otherwise: failed}\n", "    lead: {thanks: done}\n")),
    "moves beside a run": ("E101", ("    with:", "    «lead»: {thanks: done}\n    with:")),
    "a gather of a run": ("E101", ("    with:", "    «gather»: lead\n    with:")),
    "a race of a run": ("E101", ("    with:", "    «first»: lead\n    with:")),
    "a deadline's place without a deadline": ("E101", ("    with:", "    «else»: failed\n    with:")),
    "an unknown overlay": ("E102", ("outcomes:", "overlays: {«repare»: off}\noutcomes:")),
    "an overlay that is none": ("E804", ("outcomes:", "overlays: {repair: «job»}\noutcomes:")),
    "an overlay for something else": ("E804", ("outcomes:", "overlays: {read-back: «my-repair»}\noutcomes:")),
    "an overlay with other roles": ("E804", ("outcomes:", "overlays: {cancel: «my-repair»}\noutcomes:")),
    "an overlay for an authority without one": ("E804", ("outcomes:", "overlays: {escalate: «my-repair»}\noutcomes:")),
    "an overlay that is not there": ("E102", ("outcomes:", "overlays: {repair: «her-repair»}\noutcomes:")),
    "an overlay that is a boolean": ("E100", ("outcomes:", "overlays: {repair: «false»}\noutcomes:")),
    "overlays that are a list": ("E101", ("outcomes:", "overlays: «[»cancel]\noutcomes:")),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_about_composition(case):
    code, *edits = BROKEN[case]
    text, (line, column, length) = unmarked(edited(WORK, *edits))
    errors = [found for found in checked(text).findings if found.severity == "error"]
    assert [found.code for found in errors] == [code], "\n".join(map(str, errors))
    assert (errors[0].line, errors[0].column) == (line, column), str(errors[0])
    assert errors[0].length == length or not length
    assert errors[0].fix or errors[0].why


def test_a_misspelt_protocol_is_guessed():
    (finding,) = checked(edited(WORK, ("run: job", "run: requst"))).findings
    assert finding.fix == "did you mean 'request'?"


def test_a_protocol_does_not_run_itself():
    itself = edited(WORK, ("run: job", "run: work"))
    (finding,) = checked(itself, {"work": itself}).findings
    assert finding.code == "E801"
    assert "runs itself" in finding.what
    one = edited(WORK, ("run: job", "run: two"))
    two = edited(WORK, ("run: job", "run: one"), ("protocol: work", "protocol: two"))
    (finding,) = checked(one, {"one": one, "two": two}).findings
    assert finding.code == "E801"
    assert "runs itself" in finding.what


def test_protocols_are_not_nested_too_deep():
    def level(number):
        return edited(WORK, ("protocol: work", f"protocol: w{number}"), ("run: job", f"run: w{number - 1}"), ("initiator", "lead"), ("participant", "worker"), ("request.action", "plan.goal"))  # fmt: skip

    documents = {"w1": edited(WORK, ("protocol: work", "protocol: w1")), "job": JOB}
    documents |= {f"w{number}": level(number) for number in range(2, 5)}
    assert checked(documents["w3"], documents).protocol is not None
    (finding,) = checked(documents["w4"], documents).findings
    assert finding.code == "E801"
    assert "more than 3" in finding.what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max: 2", "max: two"),
        ("request: {action: text}", "request: {action: txet}"),
        ("max: 2, then", "max: 2, thn"),
    ],
)
def test_a_mistake_in_what_is_run_is_one_finding(old, new):
    broken = {"job": edited(JOB, (old, new))}
    (finding,) = checked(WORK, broken).findings
    assert (finding.code, finding.line) == ("E803", 11)
    assert "E10" in finding.why


def test_what_is_run_is_checked_as_a_graph_too():
    broken = {"job": edited(JOB, ("{next: asking, max: 2, then: failed}", "asking"))}
    (finding,) = checked(WORK, broken).findings
    assert finding.code == "E803"
    assert "E205" in finding.why
    with pytest.raises(ProtocolError):
        loads(WORK, protocols=broken)


def test_a_stamp_covers_what_is_run(monkeypatch):
    import sys

    from agentcomm.protocol import library

    work()
    library._LOADED.clear()
    monkeypatch.setitem(sys.modules, "agentcomm.protocol.check", None)
    assert work() == work()
    with pytest.raises(ImportError):
        loads(WORK, protocols={"job": edited(JOB, ("max: 2", "max: 1"))})


def test_the_same_file_is_the_same_object_until_something_changes(tmp_path):
    (tmp_path / "work.yaml").write_text(WORK)
    (tmp_path / "job.yaml").write_text(JOB)
    first = load(tmp_path / "work.yaml")
    assert load(tmp_path / "work.yaml") is first
    (tmp_path / "job.yaml").write_text(edited(JOB, ("max: 2", "max: 1")))
    assert load(tmp_path / "work.yaml").hash != first.hash


def test_too_many_states_are_refused():
    runs = "".join(
        f"  s{number}:\n    run: job\n    as: {{initiator: lead, participant: worker}}\n    then: {{otherwise: {f's{number + 1}' if number < 9_999 else 'done'}}}\n"
        for number in range(10_000)
    )
    text = WORK[: WORK.index("states:")] + "states:\n" + runs + "outcomes: {done: success}\n"
    made = checked(text)
    assert made.protocol is None
    assert any("20000" in found.what or "KB" in found.what for found in made.findings)


def test_too_many_documents_are_refused():
    def many(count, inner):
        runs = "".join(
            f"  s{number}:\n    run: {inner}{number}\n    as: {{initiator: lead, participant: worker}}\n"
            f"    then: {{otherwise: {f's{number + 1}' if number + 1 < count else 'done'}}}\n"
            for number in range(count)
        )
        head = "agentcomm: 1\nprotocol: many\nroles: [lead, worker]\nacts: {}\n"
        return f"{head}states:\n{runs}outcomes: {{done: success}}\n"

    documents = {f"j{number}": JOB for number in range(60)}
    assert checked(many(40, "j"), documents).protocol is not None
    made = checked(many(60, "j"), documents)
    assert {found.code for found in made.findings} == {"E801"}
    assert "more than 50 documents" in made.findings[0].what
