"""Conversations that a store keeps: their turns are traced wherever they are taken, and linked by the context that the record carries."""

import asyncio
import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traced_scenes import Spans

from agentcomm import Agent, load
from agentcomm.models.scripted import ScriptedModel
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import replay
from agentcomm.runtime.runtime import Runtime
from agentcomm.runtime.span_late import CONTEXT
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from agentcomm.tracing.content import Content
from agentcomm.tracing.setup import setup
from agentcomm.tracing.spans import activate
from agentcomm.tracing.tracer import Tracer, read_traceparent

REQUEST = load("request")


def asker():
    ann = Agent("ann")
    ann.opens(lambda turn: turn.say("request", action="sing"))
    return ann


def doer():
    bob = Agent("bob", model=ScriptedModel([{"act": "agree", "content": {}}] * 3))

    @bob.on("request", state="agreed")
    async def done(turn):
        await asyncio.sleep(0)
        trace.get_current_span().set_attribute("shop.song", "la")
        return turn.say("inform-result", result="la")

    return bob


async def until(is_so):
    while not is_so():  # noqa: ASYNC110  (another process may do it, and sends no event)
        await asyncio.sleep(0.01)


@pytest.fixture(params=["late", "provider"])
def traced(request):
    """Trace by our own thread, or by a provider of the program's; returns a function that ends it and gives the spans."""
    exporter = InMemorySpanExporter()
    if request.param == "late":
        tracing = setup(exporter=exporter, content="full")

        def finish():
            assert tracing.shutdown(20) == 0
            return Spans(exporter.get_finished_spans())

        yield finish
        tracing.shutdown(1)
        return
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = activate(Tracer(provider, content=Content("full")))
    yield lambda: Spans(exporter.get_finished_spans())
    activate(before)


CAST = {"initiator": "ann", "participant": "bob"}


async def test_every_turn_in_a_store_is_a_trace_with_its_calls(traced):
    store = MemoryStore()
    async with Runtime(store=store, agents=[asker(), doer()]) as runtime:
        result = await runtime.run(REQUEST, cast=CAST)
    assert result.outcome == "done"
    assert replay(result.transcript).same
    spans = traced()
    assert [s.name for s in spans.roots() if s.name.startswith("invoke")] == [
        "invoke_agent ann",
        "invoke_agent bob",
        "invoke_agent bob",
    ]
    assert len(spans.named("open_conversation request")) == 1
    (closing,) = spans.named("close_conversation request")
    assert closing.attributes["agentcomm.conversation.outcome"] == "success"
    assert closing.attributes["agentcomm.audit.head"] == f"sha256:{result.transcript.head}"
    assert closing.attributes["agentcomm.audit.count"] == len(result.transcript.records)
    (chat,) = spans.named("chat scripted")
    agreed = next(s for s in spans.roots("invoke") if chat in spans.children(s))
    assert agreed.attributes["agentcomm.message.in_reply_to"].endswith(":1")
    last = spans.roots("invoke")[-1]
    assert last.attributes["shop.song"] == "la"
    assert last.attributes["output.value"] == "inform-result to ann: result=la"
    ids = [s.context.span_id for s in spans.all]
    assert len(ids) == len(set(ids))


async def test_a_turn_in_another_process_is_linked_to_what_it_answers(traced, tmp_path):
    path = tmp_path / "talks.db"
    async with Runtime(store=SQLiteStore(path), agents=[asker()]) as runtime:  # bob is elsewhere
        opened = await runtime.open(REQUEST, cast=CAST)
        await until(lambda: runtime.store.waiting(mailbox="bob", limit=9))
    async with Runtime(store=SQLiteStore(path), agents=[doer()]) as other:
        await until(lambda: not other.store.rows(closed=False))
        lines = other.lines(opened)
    record = [json.loads(line)["record"] for line in lines if b'"record"' in line]
    contexts = [one["data"]["traceparent"] for one in record if one["type"] == CONTEXT]
    spans = traced()
    assert len(spans.named("open_conversation request")) == 1
    ask, agree, done = spans.roots("invoke")
    assert ask.attributes["gen_ai.agent.name"] == "ann"
    came = read_traceparent(contexts[0])
    assert (came.trace_id, came.span_id) == (ask.context.trace_id, ask.context.span_id)
    (link,) = agree.links
    assert (link.context.trace_id, link.context.span_id) == (came.trace_id, came.span_id)
    assert link.attributes["agentcomm.link.relation"] == "trigger"
    assert agree.attributes["agentcomm.turn.trigger"] == "message"
    assert agree.attributes["input.value"] == "request from ann: action=sing"
    assert done.attributes["agentcomm.turn.outcome"] == "sent"
    ids = [s.context.span_id for s in spans.all]
    assert len(ids) == len(set(ids))
    (closing,) = spans.named("close_conversation request")
    assert "agentcomm.conversation.duration_s" not in closing.attributes  # not all of it was seen there


async def test_without_tracing_the_record_carries_no_context():
    async with Runtime(store=MemoryStore(), agents=[asker(), doer()]) as runtime:
        result = await runtime.run(REQUEST, cast=CAST)
        assert not any(CONTEXT.encode() in line for line in runtime.lines(result.id))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "00-0-0-01",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01-x",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "\n00-" + "1" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_a_context_that_is_none_is_taken_for_none(wrong):
    assert read_traceparent(wrong) is None


SLOW = """
agentcomm: 1
protocol: slow
version: 1
roles: [asker, doer]
acts: {ask: {act: request, content: {}}, done: {act: inform, content: {}}}
states:
  asking: {asker: {ask: waiting}}
  waiting: {doer: {done: over}, within: 100ms, else: late}
outcomes: {over: success, late: expired}
"""


async def test_a_deadline_in_a_store_is_drawn_too(traced):
    ann = Agent("ann")
    ann.opens(lambda turn: turn.say("ask"))
    async with Runtime(store=MemoryStore(), agents=[ann]) as runtime:
        opened = await runtime.open(loads(SLOW), cast={"asker": "ann", "doer": "nobody"})
        await until(lambda: not runtime.store.rows(closed=False))
    assert opened
    spans = traced()
    (late,) = spans.named("timeout waiting")
    assert late.attributes["agentcomm.timeout.awaiting_acts"] == ("done",)
    assert late.parent is None


async def test_a_turn_that_fails_and_is_tried_again_is_two_turns(traced):
    tries = []
    bob = Agent("bob")

    @bob.on("request")
    def refuse(turn):
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("not now")
        return turn.say("refuse", reason="hoarse")

    async with Runtime(store=MemoryStore(), agents=[asker(), bob], retry=0.01) as runtime:
        result = await runtime.run(REQUEST, cast=CAST)
    assert result.outcome == "refused"
    spans = traced()
    failed, done = [s for s in spans.roots("invoke") if s.attributes["gen_ai.agent.name"] == "bob"]
    assert failed.attributes["error.type"] == "RuntimeError"
    assert done.attributes["agentcomm.turn.outcome"] == "sent"
    assert failed.context.span_id != done.context.span_id
