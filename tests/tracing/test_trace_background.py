"""What an agent leaves running when its turn is over: its spans nest under the turn that began it, and not under the one that goes on."""

import asyncio

import pytest
from opentelemetry import trace

from agentcomm import Agent, enact, load

REQUEST = load("request")


def casts(left, began):
    ann, bob = Agent("ann"), Agent("bob")
    tracer = trace.get_tracer("shop")

    async def later(name):
        await began.wait()
        current = trace.get_current_span()
        current.set_attribute(f"shop.late.{name}", "too late")
        left.append((name, current.get_span_context(), current.is_recording()))
        tracer.start_span(name).end()

    def leave(name):
        trace.get_current_span().set_attribute("shop.in_time", name)
        left.append(asyncio.get_running_loop().create_task(later(name)))

    @ann.opens
    def ask(turn):
        leave("ann's")
        return turn.say("request", action="sing")

    @bob.on("request", state="requested")
    def agree(turn):
        leave("bob's first")
        return turn.say("agree")

    @bob.on("request", state="agreed")
    def do(turn):
        leave("bob's second")
        return turn.say("inform-result", result="la")

    return {"initiator": ann, "participant": bob}


@pytest.mark.parametrize("detail", ["turn", "steps"])
def test_a_task_that_a_turn_leaves_behind_stays_under_its_turn(traced, detail):
    finish = traced(detail=detail)

    async def run():
        left, began = [], asyncio.Event()
        result = await enact(REQUEST, cast=casts(left, began))
        assert result.outcome == "done"
        tasks = list(left)
        left.clear()
        began.set()
        await asyncio.gather(*tasks)
        assert trace.get_current_span() is trace.INVALID_SPAN
        return left

    found = asyncio.run(run())
    turns = finish().roots("invoke_agent")
    assert [turn.attributes["shop.in_time"] for turn in turns] == ["ann's", "bob's first", "bob's second"]
    assert {name: where.span_id for name, where, _ in found} == {
        turn.attributes["shop.in_time"]: turn.context.span_id for turn in turns
    }
    assert {where.trace_id for _, where, _ in found} == {turn.context.trace_id for turn in turns}
    assert not any(name.startswith("shop.late") for turn in turns for name in turn.attributes)
    assert not any(is_recording for *_, is_recording in found)


def test_a_talk_inside_a_turn_leaves_the_outer_turn_current(traced):
    finish = traced(detail="turn")
    seen = []

    async def run():
        ann, bob = Agent("ann"), Agent("bob")
        ann.opens(lambda turn: turn.say("request", action="sing"))

        @bob.on("request", state="requested")
        async def agree(turn):
            before = trace.get_current_span().get_span_context()
            left, began = [], asyncio.Event()
            inner = casts(left, began)
            await enact(REQUEST, cast=inner)
            seen.append((before, trace.get_current_span().get_span_context()))
            began.set()
            await asyncio.gather(*[one for one in left if isinstance(one, asyncio.Task)])
            return turn.say("agree")

        bob.on("request", state="agreed")(lambda turn: turn.say("inform-result", result="la"))
        await enact(REQUEST, cast={"initiator": ann, "participant": bob}, conversation_id="outer")

    asyncio.run(run())
    ((before, after),) = seen
    assert before == after
    outer = [s for s in finish().roots("invoke_agent") if s.attributes["gen_ai.conversation.id"] == "outer"]
    assert before.span_id == outer[1].context.span_id
