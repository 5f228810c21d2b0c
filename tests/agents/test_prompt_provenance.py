"""What touches a prompt is on record: from what was given to the bytes that were sent."""

import copy
import itertools
import json

import pytest

from agentcomm import Agent, enact_sync, load
from agentcomm.agents.fence import fenced
from agentcomm.agents.provenance import Trail, verified
from agentcomm.agents.turn import PromptBudget
from agentcomm.cli.trace_prompt import calls_of
from agentcomm.models.base import ModelReply, Token
from tests.agents.talks import Says, growing, ping_pong, text_of

CFP = {"act": "cfp", "content": {"item": "city bike", "budget": "120 EUR"}}
READBACK = {"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}}
ACCEPT = {"act": "accept-proposal", "content": {"price": "110 EUR"}}
PROPOSED = {"item": "city bike", "price": "110 EUR", "valid_until": "2026-12-01"}


def buy(root, model=None, item="city bike", **options):
    answers = iter([CFP, READBACK, ACCEPT])
    model = model or Says(lambda _request: next(answers))
    bob = Agent("Bob")
    bob.on("cfp")(lambda turn: turn.say("propose", item=item, price="110 EUR", valid_until="2026-12-01"))
    sale = load(root / "examples/purchase/protocol.yaml")
    brief = {"buyer": "Buy a city bike for at most 120 EUR."}
    cast = {"buyer": Agent("Ann", model=model, goal="Spend little.", **options), "seller": bob}
    return enact_sync(sale, cast=cast, brief=brief), model


def steps(result):
    return [
        (record.type, record.data, result.transcript.body(record))
        for record in result.transcript.records
        if record.kind == "step"
    ]


def requests(result):
    found = []
    for kind, data, body in steps(result):
        if kind == "model.request":
            found.append([data, body, None])
        elif kind == "model.result":
            found[-1][2] = data
    return found


def test_the_chain_of_every_prompt_closes_at_the_bytes_sent(root):
    result, model = buy(root)
    found = requests(result)
    assert len(found) == len(model.asked)
    for data, body, answer in found:
        assert verified(data, body, answer, fenced) == []
        edits = [*data["edits"], *answer["edits"]]
        assert edits[0]["in"] == data["source"]
        assert edits[-1]["out"] == answer["sent"]
        assert all(one["out"] == other["in"] for one, other in itertools.pairwise(edits))
        assert data["classifiers"] == []
        assert data["stored"] == answer["stored"] == ["transcript:memory"]
        assert data["left_out"] == []


TAMPERINGS = {
    "a word of a message": lambda data, body, _answer: body["messages"][0].update(
        content=body["messages"][0]["content"].replace("Spend", "Spill")
    ),
    "a message more": lambda data, body, _answer: body["messages"].append({"role": "user", "content": "x"}),
    "who gave a piece": lambda data, body, _answer: data["segments"][1].update(by="role seller"),
    "a link taken out": lambda data, body, _answer: data["edits"].pop(0),
    "a hash": lambda data, body, _answer: data["edits"][0].update(out="sha256:00"),
    "the bytes sent": lambda data, body, answer: answer.update(sent="sha256:00"),
    "a piece of another size": lambda data, body, _answer: data["segments"][0].update(chars=3),
}


@pytest.mark.parametrize("change", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_record_that_was_changed_does_not_add_up(root, change):
    result, _ = buy(root)
    found = copy.deepcopy(requests(result)[0])
    change(*found)
    assert verified(*found, fenced)


def test_a_backend_that_sends_other_messages_is_found_out(root):
    answers = iter([CFP, READBACK, ACCEPT])

    def reply(request):
        body = {"messages": [{"role": m.role, "content": m.content + " Be quick."} for m in request.messages]}
        return ModelReply(text=json.dumps(next(answers)), model="says:", sent=json.dumps(body).encode())

    notes = []
    result, _ = buy(root, Says(reply))
    for data, body, answer in requests(result):
        assert answer["unaccounted"] is True
        assert verified(data, body, answer, fenced) == ["the backend sent other messages than these"]
    notes = [body["text"] for kind, _, body in steps(result) if kind == "note"]
    assert "was sent other messages than were made for it" in notes[0]


def no_goal(segments):
    return [segment for segment in segments if segment.label != "goal"]


def shout(segments):
    from msgspec.structs import replace

    return [replace(s, data=s.data.upper()) if s.label == "brief" else s for s in segments]


def test_what_the_author_changes_is_a_link_with_his_functions_name(root):
    result, model = buy(root, prompt_edits=[no_goal, shout])
    first = requests(result)[0]
    assert [(edit["op"], edit["by"].rpartition(".")[2]) for edit in first[0]["edits"]] == [
        ("render", "prompt"), ("delete", "no_goal"), ("replace", "shout"), ("join", "prompt"),
    ]  # fmt: skip
    assert "Spend little" not in text_of(model.asked[0])
    assert "BUY A CITY BIKE" in text_of(model.asked[0])
    assert verified(*first, fenced) == []
    first[1]["edited"]["2"][0][4] = "something else"
    assert verified(*first, fenced)


def is_dear(text):
    return "dear" if "110 EUR" in text else ""


def breaks(_text):
    raise ValueError("no model here")


def test_classifiers_look_at_prompts_and_answers_and_cannot_stop_a_talk(root):
    result, _ = buy(root, classifiers=[is_dear, breaks])
    assert result.outcome == "sold"
    labels = [[c["label"] for c in data["classifiers"]] for data, _, _ in requests(result)]
    assert labels == [
        ["", "error: ValueError: no model here"],
        *[["dear", "error: ValueError: no model here"]] * 2,
    ]
    answers = [data["classifiers"][0]["label"] for kind, data, _ in steps(result) if kind == "model.result"]
    assert answers == ["", "dear", "dear"]


def test_an_answer_is_followed_from_the_models_text_to_the_message(root):
    def cheaper(label, content):
        return {**content, "budget": "130 EUR"} if label == "cfp" else content

    answers = iter([{**CFP, "sender": "seller"}, READBACK, ACCEPT])
    result, _ = buy(root, Says(lambda _request: next(answers)), answer_edits=[cheaper])
    outputs = [data for kind, data, _ in steps(result) if kind == "model.output"]
    assert [(edit["op"], edit["by"].rpartition(".")[2]) for edit in outputs[0]["edits"]] == [
        ("parse", "choose"), ("delete", "choose"), ("replace", "cheaper"),
    ]  # fmt: skip
    for output in outputs:
        hashes = [output["raw"], *(edit["out"] for edit in output["edits"])]
        assert [edit["in"] for edit in output["edits"]] == hashes[:-1]
        assert output["delivered"] == hashes[-1]
    assert [output["modified"] for output in outputs] == [True, False, False]
    assert {output["parse"] for output in outputs} == {"ok"}
    heard = next(e for e in result.transcript.events() if type(e).__name__ == "Heard")
    assert heard.message.content["budget"] == "130 EUR"


def test_an_answer_that_is_written_as_we_would_write_it_was_read_all_the_same():
    trail = Trail('{"act":"agree"}')
    trail.then("parse", "here", {"act": "agree"}, "read as JSON")
    assert (trail.edits, trail.is_read) == ([], True)


def test_what_cannot_be_seen_or_turns_a_text_round_is_written_out_and_is_a_link(root):
    result, model = buy(root, item="bike\u202e\u200b\U000e0041 <|im_end|>")
    data, body, answer = requests(result)[2]
    assert "escape" in [edit["op"] for edit in data["edits"]]
    assert verified(data, body, answer, fenced) == []
    shown = text_of(model.asked[2])
    assert all(sign not in shown for sign in ("\u202e", "\u200b", "\U000e0041", "<|"))


def test_thoughts_have_a_call_of_their_own_and_never_reach_a_peer(root):
    answers = iter([CFP, READBACK, ACCEPT])

    def reply(request):
        if request.schema is None:
            assert request.think
            return ModelReply(text="Cheap is good.", thinking="SECRET PLAN", model="says:")
        assert not request.think
        return ModelReply(text=json.dumps(next(answers)), model="says:", logprobs=(Token("x", -0.5),))

    result, model = buy(root, Says(reply), thinks=True, logprobs=True)
    assert result.outcome == "sold"
    assert "Your thoughts: Cheap is good." in text_of(model.asked[1])
    assert "SECRET" not in "".join(text_of(request) for request in model.asked)
    bodies = [body for kind, _, body in steps(result) if kind == "model.result"]
    assert bodies[0]["thinking"] == "SECRET PLAN"
    assert bodies[1]["logprobs"] == [["x", -0.5]]
    spoken = [
        json.dumps(result.transcript.body(r))
        for r in result.transcript.records
        if r.kind in ("input", "event")
    ]
    assert not any("SECRET" in text or "Cheap is good" in text for text in spoken)


def chat(turns, **options):
    """Return what each of two models was asked, over so many turns."""
    counts = {"n": 0}

    def line(act):
        def answer(_request):
            counts["n"] += 1
            return {
                "act": act,
                "content": {"words": f"This is line number {counts['n']:04d} of our talk.", "n": counts["n"]},
            }

        return answer

    ann, bob = Says(line("line")), Says(line("word"))
    cast = {"ann": Agent("Ann", model=ann, **options), "bob": Agent("Bob", model=bob, **options)}
    result = enact_sync(ping_pong(turns // 2), cast=cast)
    return result, ann, bob


def test_a_prompt_stays_flat_over_five_hundred_turns():
    result, ann, bob = chat(500)
    assert result.outcome == "over"
    for model in (ann, bob):
        sizes = [len(text_of(request)) for request in model.asked]
        assert len(sizes) >= 250
        assert abs(sizes[-1] - sizes[5]) <= 0.05 * sizes[5]
        assert max(sizes[5:]) <= 1.05 * min(sizes[5:])


def test_the_last_messages_with_free_text_stand_word_for_word():
    _, ann, bob = chat(20, budget=PromptBudget(last=3))
    shown = text_of(bob.asked[6])  # the 14th line, hearing the 13th
    assert "> ann: line words='This is line number 0013 of our talk.'" in shown
    assert "You: word words='This is line number 0012 of our talk.'" in shown
    assert "line number 0011" in shown
    assert "line number 0010" not in shown
    assert ann.asked[0].messages[-1].content.startswith("Say line words n | bye")


def test_a_growing_record_stays_in_its_budget_and_what_is_left_out_is_listed():
    turns = 120

    def answer(request):
        shapes = request.schema.get("oneOf", [request.schema])
        act = shapes[0]["properties"]["act"]["const"]
        n = act.rpartition("-")[2]
        return {
            "act": act,
            "content": {"key": "first-key"}
            if act == "sum"
            else {"key": "first-key" if n == "0" else f"key-{n}", "count": int(n)},
        }

    models = Says(answer), Says(answer)
    budget = PromptBudget(record=600)
    cast = {
        role: Agent(role.title(), model=model, budget=budget)
        for role, model in zip(("ann", "bob"), models, strict=True)
    }
    result = enact_sync(growing(turns), cast=cast)
    assert result.outcome == "over"
    found = requests(result)
    sizes = [sum(len(m["content"]) for m in body["messages"]) for _, body, _ in found]
    assert max(sizes[30:-1]) <= 1.05 * min(sizes[30:-1])
    last, body, answer_ = found[-1]
    text = "\n".join(m["content"] for m in body["messages"])
    assert (
        "- fact-0.key: first-key" in text
    )  # the closing act repeats it, so it is there, whatever the budget
    assert verified(last, body, answer_, fenced) == []
    assert last["edits"][0]["op"] == "compact"
    on_record = {f"fact-{n}.{field}" for n in range(turns) for field in ("key", "count")}
    in_prompt = {line[2:].partition(":")[0] for line in text.splitlines() if line.startswith("- fact-")}
    heard = {f"fact-{turns - 1}.{field}" for field in ("key", "count")}
    assert in_prompt | set(last["left_out"]) | heard == on_record
    assert not in_prompt & set(last["left_out"])


def test_asking_again_repeats_the_prompt_but_for_its_end(root):
    answers = iter([{"act": "cfp", "content": {}}, CFP, READBACK, ACCEPT])
    _, model = buy(root, Says(lambda _request: next(answers)))
    first, again = text_of(model.asked[0]), text_of(model.asked[1])
    assert again.startswith(first)
    assert again[len(first) :].startswith("\n\nNot valid: ")


def test_what_changed_since_the_last_prompt_is_told_piece_by_piece(root):
    answers = iter([{"act": "cfp", "content": {}}, CFP, READBACK, ACCEPT])
    result, _ = buy(root, Says(lambda _request: next(answers)))
    calls = calls_of(steps(result))
    changes = [{s["label"]: s["change"] for s in call["segments"]} for call in calls]
    assert set(changes[0].values()) == {"first"}
    assert changes[1] == {
        "goal": "same",
        "brief": "same",
        "moves": "same",
        "refusal": "new",
    }
    assert changes[3]["heard"] == "same"  # read back, and now to be answered
    assert changes[3]["moves"] == "changed"
    assert not any(call["faults"] for call in calls)


def test_the_wait_in_the_queue_and_the_window_are_on_record(root):
    answers = iter([CFP, READBACK, ACCEPT])

    def answer(_request):
        return ModelReply(text=json.dumps(next(answers)), model="says:", waited=2.5, num_ctx=4096)

    result, _ = buy(root, Says(answer))
    kept = [record.data for record in result.transcript.records if record.type == "model.result"]
    assert [(data["waited"], data["num_ctx"]) for data in kept] == [(2.5, 4096)] * 3


def test_what_is_ours_in_the_prompts_of_a_task_is_a_quarter_of_what_was_given_and_said(root):
    """Counted in characters here; in tokens of a model by tests/benchmarks/bench_prompts.py, which gives the same figure."""
    goal = (
        "Compare what is offered with what the firm needs, and say in one sentence why you decide as you do. "
        * 6
    )
    answers = {"Ann": iter([CFP, READBACK, ACCEPT]), "Bob": iter([{"act": "propose", "content": PROPOSED}])}
    cast = {
        role: Agent(name, model=Says(lambda _request, name=name: next(answers[name])), goal=goal)
        for role, name in (("buyer", "Ann"), ("seller", "Bob"))
    }
    brief = {"buyer": "Buy one city bike for at most 120 EUR.", "seller": "In stock: one city bike, 110 EUR."}
    result = enact_sync(load(root / "examples/purchase/protocol.yaml"), cast=cast, brief=brief)
    assert result.outcome == "sold"
    calls = requests(result)
    assert len(calls) == 4
    pieces = [segment for data, _, _ in calls for segment in data["segments"]]
    given = sum(s["data"][1] for s in pieces if not s["by"].startswith("agentcomm"))
    assert sum(s["chars"] for s in pieces) <= 1.25 * given
