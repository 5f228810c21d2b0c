"""How much is traced: detail, sampling, what is current in a turn, and what becomes of too much."""

import asyncio
import json
import threading
import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traced_scenes import cast, sale

from agentcomm import Agent, enact, enact_sync
from agentcomm.errors import UsageError
from agentcomm.models.scripted import ScriptedModel
from agentcomm.tracing.export import CountedBatches
from agentcomm.tracing.outlets import ExporterOutlet
from agentcomm.tracing.sampling import ConversationSampler, is_kept
from agentcomm.tracing.setup import setup


def test_detail_turn_makes_one_span_of_a_turn_that_tells_its_steps(tmp_path, traced):
    finish = traced(detail="turn", content="full")
    bob = Agent("bob", model=ScriptedModel(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    enact_sync(sale(tmp_path), cast={**cast(slip=True, misfires=1), "seller": bob})
    spans = finish()
    assert {span.name.partition(" ")[0] for span in spans.all} == {
        "open_conversation",
        "invoke_agent",
        "close_conversation",
    }
    assert all(span.parent is None for span in spans.all)
    offer = next(s for s in spans.all if s.attributes.get("agentcomm.message.act") == "propose").attributes
    assert offer["agentcomm.turn.model_calls"] == 2
    assert offer["agentcomm.turn.rejections"] == 1
    assert offer["agentcomm.turn.step_errors"] == ("transition: illegal_move",)
    assert json.loads(offer["agentcomm.message.content"]) == {"price": "20 EUR"}
    wrong = [s for s in spans.all if s.attributes.get("agentcomm.grounding.verdict") == "contradicted"]
    assert len(wrong) == 1


def test_detail_full_draws_the_pieces_of_a_prompt_under_its_call(tmp_path, traced):
    finish = traced(detail="full")
    bob = Agent("bob", model=ScriptedModel([{"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    enact_sync(sale(tmp_path), cast={**cast(), "seller": bob})
    spans = finish()
    chat = spans.one("chat scripted")
    pieces = spans.children(chat)
    told = json.loads(chat.attributes["agentcomm.prompt.segments"])
    assert [piece.attributes["agentcomm.prompt.edit.label"] for piece in pieces] == [s["label"] for s in told]
    assert len(pieces) >= 3


def test_sampling_keeps_whole_conversations(tmp_path, traced):
    finish = traced(ratio=0.4)
    protocol = sale(tmp_path)
    for n in range(60):
        enact_sync(protocol, cast=cast(), conversation_id=f"conv-{n}")
    spans = finish()
    counts = {}
    for span in spans.all:
        name = span.attributes["gen_ai.conversation.id"]
        counts[name] = counts.get(name, 0) + 1
        assert span.context.trace_state["ot"].startswith("th:999999999999")
    assert set(counts.values()) == {30}
    assert set(counts) == {f"conv-{n}" for n in range(60) if is_kept(f"conv-{n}", 0.4)}
    assert 10 < len(counts) < 40


def test_a_provider_of_ones_own_samples_alike():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ConversationSampler(0.4))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("x")
    for n in range(60):
        with tracer.start_as_current_span("root", attributes={"gen_ai.conversation.id": f"conv-{n}"}):
            tracer.start_span("child").end()
    tracer.start_span("of somebody else").end()
    found = exporter.get_finished_spans()
    kept = {s.attributes["gen_ai.conversation.id"] for s in found if s.name == "root"}
    assert kept == {f"conv-{n}" for n in range(60) if is_kept(f"conv-{n}", 0.4)}
    assert sum(s.name == "child" for s in found) == len(kept)
    assert found[-1].name == "of somebody else"


def test_spans_and_attributes_of_an_agents_own_go_to_its_turn(tmp_path, traced):
    finish = traced()
    theirs, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    tracer = provider.get_tracer("users")
    bob = Agent("bob")

    @bob.on("cfp")
    async def offer(turn):
        trace.get_current_span().set_attribute("shop.shelf", 7)
        with tracer.start_as_current_span("look up the price"):
            return turn.say("propose", price="20 EUR")

    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    enact_sync(sale(tmp_path), cast={**cast(), "seller": bob})
    assert not trace.get_current_span().get_span_context().is_valid
    spans = finish()
    (mine,) = theirs.get_finished_spans()
    (turn,) = [span for span in spans.roots() if span.context.span_id == mine.parent.span_id]
    assert turn.name == "invoke_agent bob"
    assert turn.context.trace_id == mine.context.trace_id
    assert turn.attributes["shop.shelf"] == 7


def test_the_same_conversation_has_the_same_ids(tmp_path, traced):
    ids = []
    for _ in range(2):
        finish = traced()
        enact_sync(sale(tmp_path), cast=cast(slip=True), conversation_id="conv-5")
        ids.append({(span.name, span.context.span_id) for span in finish().all})
    assert ids[0] == ids[1]
    assert len({span for _, span in ids[0]}) == len(ids[0])


class Slow(SpanExporter):
    def __init__(self, gate):
        self.gate, self.taken = gate, 0

    def export(self, spans):
        self.gate.wait(20)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        self.gate.set()


def test_a_burst_loses_nothing_and_too_much_is_counted():
    gate = threading.Event()
    exporter = Slow(gate)
    batches = CountedBatches(ExporterOutlet(exporter, Resource({})), queue=1000)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(batches)
    tracer = provider.get_tracer("x")
    for _ in range(5000):
        tracer.start_span("x").end()
    counts = batches.counts
    assert counts.ended >= 3000
    gate.set()
    batches.close(20)
    assert counts.ended == 5000
    assert counts.exported == exporter.taken
    assert counts.exported + counts.overflowed == 5000
    assert counts.overflowed > 3000


def test_a_slow_endpoint_does_not_slow_the_talk(tmp_path):
    gate = threading.Event()
    tracing = setup(exporter=Slow(gate))
    protocol = sale(tmp_path)
    begun = time.monotonic()
    for _ in range(20):
        enact_sync(protocol, cast=cast())
    assert time.monotonic() - begun < 10  # the exporter holds for twenty
    assert tracing.shutdown(0.1) >= 0
    assert tracing.ended == 600


@pytest.mark.parametrize("wrong", [{"detail": "all"}, {"ratio": 2}])
def test_wrong_detail_and_ratio_say_how_they_should_be(wrong):
    with pytest.raises(UsageError) as caught:
        setup(**wrong)
    assert caught.value.fix


def test_what_handlers_do_at_once_or_later_goes_to_their_own_turn(tmp_path, traced):
    """Turns of code share what is current; nothing of that is to be seen."""
    finish = traced()
    theirs, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    tracer = provider.get_tracer("users")
    ann, bob = Agent("ann"), Agent("bob")
    later = []

    @ann.opens
    def ask(turn):
        trace.get_current_span().set_attribute("who", "ann 1")
        with tracer.start_as_current_span("ann asks"):
            return turn.say("cfp", item="tea")

    async def look():
        await asyncio.sleep(0.05)
        with tracer.start_as_current_span("bob looks, later"):
            pass

    @bob.on("cfp")
    async def offer(turn):
        later.append(asyncio.create_task(look()))
        await asyncio.sleep(0)
        trace.get_current_span().set_attribute("who", "bob")
        return turn.say("propose", price="20 EUR")

    ann.on("propose", overlay="read-back")(lambda turn: turn.say("readback", fields={"price": "20 EUR"}))

    @ann.on("propose")
    def accept(turn):
        with tracer.start_as_current_span("ann accepts"):
            return turn.say("accept-proposal", price="20 EUR")

    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))

    async def main():
        with tracer.start_as_current_span("the program's"):
            outside = trace.get_current_span()
            result = await enact(sale(tmp_path), cast={"buyer": ann, "seller": bob})
            assert trace.get_current_span() is outside
            await asyncio.gather(*later)
        return result

    assert asyncio.run(main()).outcome == "done"
    spans = finish()
    turns = {span.context.span_id: span for span in spans.roots("invoke")}
    parents = {
        span.name: turns.get(span.parent.span_id) for span in theirs.get_finished_spans() if span.parent
    }
    assert parents["ann asks"].attributes["output.value"].startswith("cfp ")
    assert parents["bob looks, later"].attributes["output.value"].startswith("propose ")
    assert parents["ann accepts"].attributes["output.value"].startswith("accept-proposal ")
    known = [span.attributes.get("who") for span in spans.roots("invoke")]
    assert [who for who in known if who] == ["ann 1", "bob"]
    assert known[0] == "ann 1"
