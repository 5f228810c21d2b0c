"""What a conversation looks like in a backend."""

import ast
import asyncio
import json
import re

import pytest
from traced_scenes import SALE, Spans, cast, sale

from agentcomm import Agent, enact, enact_sync
from agentcomm.agents.tools import tool
from agentcomm.errors import UsageError
from agentcomm.models.scripted import ScriptedModel


def run(folder, agents, *, text=SALE, **options):
    return enact_sync(sale(folder, text), cast=agents, conversation_id="conv-77", **options)


def test_each_turn_is_one_trace_between_two_markers(tmp_path, traced):
    finish = traced()
    assert run(tmp_path, cast()).outcome == "done"
    spans = finish()
    assert spans.tree() == [
        "open_conversation sale",
        "invoke_agent ann",
        *("  transition cfp", "  send cfp"),
        "invoke_agent bob",
        *("  receive cfp", "  transition propose", "  send propose"),
        "invoke_agent ann",
        *("  receive propose", "  transition readback", "  send readback"),
        "invoke_agent bob",
        *("  receive readback", "  transition right", "  send right"),
        *("  ground relevant", "  ground readback", "  transition propose"),
        "invoke_agent ann",
        *("  receive right", "  transition accept-proposal", "  send accept-proposal", "  ground delivered"),
        "invoke_agent bob",
        *(
            "  receive accept-proposal",
            "  transition inform-done",
            "  send inform-done",
            "  ground delivered",
        ),
        "close_conversation sale",
    ]
    traces = {span.context.trace_id for span in spans.all}
    assert len(traces) == len(spans.roots()) == 8


def test_every_span_tells_the_conversation_and_no_name_holds_an_id(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast(misfires=1))
    for span in finish().all:
        assert span.attributes["gen_ai.conversation.id"] == span.attributes["session.id"] == "conv-77"
        assert span.attributes["agentcomm.protocol.name"] == "sale"
        assert span.attributes["openinference.span.kind"] in {"AGENT", "CHAIN", "GUARDRAIL", "EVALUATOR"}
        assert not re.search(r"conv-|\d", span.name), span.name


def test_a_turn_links_to_the_send_it_answers(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast())
    spans = finish()
    first, second = spans.roots("invoke_agent")[:2]
    (opening,) = first.links
    assert opening.context.span_id == spans.one("open_conversation sale").context.span_id
    (link,) = second.links
    assert link.context.span_id == spans.one("send cfp").context.span_id
    assert link.attributes == {"messaging.message.id": "conv-77:1", "agentcomm.link.relation": "trigger"}
    assert second.attributes["agentcomm.message.in_reply_to"] == "conv-77:1"
    assert "agentcomm.message.trigger_ids" not in second.attributes  # it would say the same


def test_a_turn_that_answers_nothing_or_several_says_what_it_heard(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast(misfires=9))
    heard = [
        s.attributes
        for s in finish().roots("invoke_agent")
        if "agentcomm.message.trigger_ids" in s.attributes
    ]
    for known in heard:
        asked = known.get("agentcomm.message.in_reply_to")
        assert known["agentcomm.message.trigger_ids"] != (asked,)
    assert heard


def test_a_turn_says_who_did_what_where(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast())
    first, second, *_ = finish().roots("invoke_agent")
    told = {name.removeprefix("agentcomm."): value for name, value in second.attributes.items()}
    assert told["gen_ai.operation.name"] == "invoke_agent"
    assert (told["gen_ai.agent.name"], told["role"], told["turn.index"]) == ("bob", "seller", 1)
    assert (told["state.before"], told["state.after"]) == ("asked", "read-back/presented")
    assert (told["turn.trigger"], told["turn.outcome"], told["agent.kind"]) == ("message", "sent", "rule")
    assert (told["graph.node.id"], told["graph.node.parent_id"]) == ("bob", "ann")
    assert first.attributes["agentcomm.turn.trigger"] == "goal"
    assert "error.type" not in told
    assert second.status.is_unset


def test_the_closing_marker_carries_outcome_counts_and_the_head_of_the_record(tmp_path, traced):
    finish = traced()
    result = enact_sync(sale(tmp_path), cast=cast(slip=True, misfires=1), transcript=tmp_path / "talk.jsonl")
    spans = finish()
    closing = spans.one("close_conversation sale")
    told = closing.attributes
    assert (told["agentcomm.conversation.outcome"], told["agentcomm.state.final"]) == ("success", "done")
    assert told["agentcomm.conversation.messages"] == told["agentcomm.conversation.turns"] == 8
    assert (told["agentcomm.conversation.repairs"], told["agentcomm.conversation.rejections"]) == (1, 1)
    assert told["agentcomm.audit.head"] == f"sha256:{result.transcript.head}"
    assert told["agentcomm.audit.count"] == len(result.transcript.records)
    assert closing.links[0].context == spans.one("open_conversation sale").context
    assert closing.status.is_unset


def test_a_refused_move_is_an_error_in_a_turn_that_is_none(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast(misfires=1))
    spans = finish()
    refused = spans.one("transition unknown")
    assert refused.status.status_code.name == "ERROR"
    assert refused.status.description == "unexpected-act"
    assert refused.attributes["error.type"] == "illegal_move"
    assert refused.attributes["agentcomm.transition.outcome"] == "rejected"
    assert refused.attributes["agentcomm.rejection.action"] == "reprompt"
    assert refused.attributes["agentcomm.transition.allowed_acts"][:2] == (
        "accept-proposal",
        "reject-proposal",
    )
    (turn,) = [root for root in spans.roots() if refused in spans.children(root)]
    assert turn.status.is_unset
    assert turn.attributes["agentcomm.turn.outcome"] == "sent"


def test_a_turn_whose_tries_are_used_up_says_so(tmp_path, traced):
    finish = traced()
    result = run(tmp_path, cast(misfires=3))
    spans = finish()
    assert len(spans.named("transition unknown")) == 3
    (turn,) = [root for root in spans.roots() if spans.named("transition unknown")[0] in spans.children(root)]
    assert turn.attributes["agentcomm.turn.outcome"] == "refused"
    last = spans.named("transition unknown")[-1].attributes
    assert last["agentcomm.rejection.action"] == "not_understood"
    assert result.messages > 4


def test_a_read_back_that_differs_is_a_verdict_and_no_error(tmp_path, traced):
    finish = traced()
    run(tmp_path, cast(slip=True))
    spans = finish()
    wrong, right = spans.named("ground readback")
    assert wrong.status.is_unset
    assert wrong.attributes["agentcomm.grounding.verdict"] == "contradicted"
    assert wrong.attributes["agentcomm.grounding.fields"] == ("price",)
    assert wrong.attributes["agentcomm.grounding.action"] == "repair"
    assert right.attributes["agentcomm.grounding.verdict"] == "grounded"
    assert right.attributes["agentcomm.grounding.evidence"] == ("readback: copied",)
    repaired = [s for s in spans.roots("invoke_agent") if "agentcomm.repair.id" in s.attributes]
    assert [s.attributes["gen_ai.agent.name"] for s in repaired] == ["ann", "bob", "ann"]
    assert {s.attributes["agentcomm.repair.trigger"] for s in repaired} == {"readback"}
    assert {s.attributes["agentcomm.repair.depth"] for s in repaired} == {1}


def test_a_move_made_by_the_runtime_is_a_turn_of_a_rule(tmp_path, traced):
    bob = Agent(
        "bob", model=ScriptedModel([{"act": "propose", "content": {"price": "20 EUR"}}], name="scripted:bob")
    )
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    finish = traced()
    run(tmp_path, {**cast(), "seller": bob})
    spans = finish()
    kinds = {
        child.name: root.attributes["agentcomm.agent.kind"]
        for root in spans.roots("invoke_agent bob")
        for child in spans.children(root)
        if child.name.startswith("send")
    }
    assert kinds == {"send propose": "llm", "send right": "rule", "send inform-done": "llm"}


def test_a_deadline_that_passes_is_a_root_of_its_own(tmp_path, traced):
    async def sleep(turn):
        await asyncio.sleep(9)

    finish = traced()
    agents = cast()
    mute = Agent("bob")
    mute.on("cfp")(sleep)
    text = SALE.replace(
        "asked: {seller: {propose: offered}}", "asked: {seller: {propose: offered}, within: 100ms}"
    )
    assert run(tmp_path, {**agents, "seller": mute}, text=text).outcome == "expired"
    spans = finish()
    timeout = spans.one("timeout asked")
    assert timeout.parent is None
    assert timeout.status.status_code.name == "ERROR"
    assert timeout.attributes["error.type"] == "timeout"
    assert timeout.attributes["agentcomm.timeout.limit_s"] == 0.1
    assert timeout.attributes["agentcomm.timeout.waited_s"] > 0
    assert timeout.attributes["agentcomm.timeout.awaiting_acts"] == ("propose",)
    waited, awaited = timeout.links
    turn = spans.one("invoke_agent bob")
    assert waited.context == turn.context
    assert awaited.context == spans.one("send cfp").context
    assert turn.attributes["agentcomm.turn.outcome"] == "silent"
    assert spans.one("close_conversation sale").attributes["error.type"] == "expired"


def test_a_turn_that_fails_is_an_error_with_its_type(tmp_path, traced):
    finish = traced()
    agents = cast()
    broken = Agent("bob")
    broken.on("cfp")(lambda turn: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, {**agents, "seller": broken})
    spans = finish()
    turn = spans.one("invoke_agent bob")
    assert turn.status.status_code.name == "ERROR"
    assert turn.attributes["error.type"] == "ZeroDivisionError"
    assert turn.attributes["agentcomm.turn.outcome"] == "failed"
    closing = spans.one("close_conversation sale")
    assert closing.attributes["agentcomm.conversation.outcome"] == "aborted"
    assert closing.status.status_code.name == "ERROR"


async def test_a_cancelled_conversation_closes_its_turn_without_an_error(tmp_path, traced):
    async def wait(turn):
        await asyncio.Event().wait()

    finish = traced()
    mute = Agent("bob")
    mute.on("cfp")(wait)
    task = asyncio.create_task(enact(sale(tmp_path), cast={**cast(), "seller": mute}))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    spans = finish()
    turn = spans.one("invoke_agent bob")
    assert turn.status.is_unset
    assert turn.attributes["agentcomm.turn.outcome"] == "closed"
    assert spans.one("close_conversation sale").attributes["agentcomm.conversation.outcome"] == "cancelled"


def test_a_model_call_tells_everything_that_touched_its_prompt(tmp_path, traced):
    reply = {"act": "propose", "content": {"price": "20 EUR"}}
    bob = Agent("bob", model=ScriptedModel(["garbage", reply], name="scripted:/some/where.json#bob"))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    finish = traced()
    run(tmp_path, {**cast(), "seller": bob})
    spans = finish()
    first, second = spans.named("chat scripted")
    assert first.kind.name == "INTERNAL"
    told = first.attributes
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "scripted")
    assert told["agentcomm.prompt.classifiers"] == ()
    assert told["agentcomm.prompt.stored"] == ("transcript",)
    assert told["agentcomm.prompt.hash"].startswith("sha256:")
    assert told["agentcomm.prompt.sent_hash"].startswith("sha256:")
    assert {"label", "role", "by", "hash", "chars", "data"} == set(
        json.loads(told["agentcomm.prompt.segments"])[0]
    )
    assert "agentcomm.retry.attempt" not in told
    assert second.attributes["agentcomm.retry.attempt"] == 2
    assert not any("where.json" in str(value) for span in spans.all for value in span.attributes.values())
    (turn,) = [root for root in spans.roots() if first in spans.children(root)]
    assert [child.name for child in spans.children(turn)] == [
        "receive cfp",
        "chat scripted",
        "transition unknown",
        "chat scripted",
        "transition propose",
        "send propose",
    ]


def test_a_model_that_breaks_is_an_error_of_its_call(tmp_path, traced):
    bob = Agent("bob", model=ScriptedModel([], name="scripted:bob"))
    finish = traced()
    run(tmp_path, {**cast(), "seller": bob})
    for call in finish().named("chat scripted"):
        assert call.status.status_code.name == "ERROR"
        assert call.attributes["error.type"] == "model_error"
        assert call.attributes["agentcomm.error.code"] == "X205"


def test_tools_are_spans_and_one_that_raises_is_an_error(tmp_path, traced):
    @tool(effect="pure")
    def price_of(item):
        return {"price": "20 EUR"}

    @tool(effect="pure")
    def broken(item):
        raise UsageError("no")

    bob = Agent("bob", tools=[price_of, broken])

    @bob.on("cfp")
    async def offer(turn):
        found = await turn.use(price_of, item="tea")
        with pytest.raises(UsageError):
            await turn.use(broken, item="tea")
        return turn.say("propose", **found)

    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    finish = traced(content="full")
    run(tmp_path, {**cast(), "seller": bob})
    spans = finish()
    good, bad = spans.one("execute_tool price_of"), spans.one("execute_tool broken")
    assert good.attributes["gen_ai.tool.name"] == "price_of"
    assert json.loads(good.attributes["gen_ai.tool.call.arguments"]) == {"item": "tea"}
    assert json.loads(good.attributes["gen_ai.tool.call.result"]) == {"price": "20 EUR"}
    assert good.status.is_unset
    assert bad.status.status_code.name == "ERROR"


def test_scope_conversation_keeps_all_turns_in_one_trace(tmp_path, traced):
    finish = traced(scope="conversation")
    run(tmp_path, cast())
    spans = finish()
    opening = spans.one("open_conversation sale")
    assert {span.context.trace_id for span in spans.all} == {opening.context.trace_id}
    assert [span.name for span in spans.children(opening)] == [
        *("invoke_agent ann", "invoke_agent bob") * 3,
        "close_conversation sale",
    ]


def test_conversations_side_by_side_do_not_mix(tmp_path, traced):
    async def both():
        protocol = sale(tmp_path)
        await asyncio.gather(
            *(enact(protocol, cast=cast(item=name), conversation_id=name) for name in ("one", "two"))
        )

    finish = traced()
    asyncio.run(both())
    spans: Spans = finish()
    for root in spans.roots():
        mine = root.attributes["gen_ai.conversation.id"]
        assert {child.attributes["gen_ai.conversation.id"] for child in spans.children(root)} <= {mine}
    assert len(spans.all) == 2 * 30


def test_names_stand_in_one_module(root):
    package = root / "agentcomm"
    others = [*package.glob("runtime/*.py"), *package.glob("tracing/*.py")]
    spelled = [
        (path.name, node.value)
        for path in others
        if path.name != "names.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"(gen_ai|messaging|openinference|agentcomm)\.[a-z_.]+$", node.value)
    ]
    assert not spelled
