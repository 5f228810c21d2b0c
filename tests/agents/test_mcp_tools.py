"""Tools of MCP servers: a real client of the official package, a real server, in process and as a program of its own."""

import sys
from pathlib import Path

import pytest

from agentcomm import Agent, enact, load
from agentcomm.agents.mcp_tools import mcp_tools
from agentcomm.agents.tools import Effect, ToolInDoubt, ToolLost
from agentcomm.errors import EdgeError, UsageError
from tests.agents import mcp_server
from tests.agents.talks import Says, text_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

CFP = {"act": "cfp", "content": {"item": "bike", "budget": "120 EUR"}}


async def buy(root, tools, answers):
    sale = load(root / "examples/purchase/protocol.yaml")
    ann = Agent("Ann", tools=tools)
    ann.opens(lambda turn: turn.say("cfp", item="bike", budget="120 EUR"))
    ann.on("propose")(lambda turn: turn.say("accept-proposal", price=turn.ground["price"]))
    said = iter(answers)
    model = Says(lambda _request: next(said))
    bob = Agent("Bob", model=model, tools=tools)
    return await enact(sale, cast={"buyer": ann, "seller": bob}), model


PROPOSE = {"act": "propose", "content": {"item": "bike", "price": "110 EUR", "valid_until": "2026-12-01"}}
RIGHT = {"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}}


async def test_a_model_calls_a_tool_of_a_server_before_it_chooses_an_act(root):
    async with mcp_tools(mcp_server.server, trust_hints=True) as tools:
        effects = {tool.name: tool.effect for tool in tools}
        assert effects.pop("stock") is Effect.PURE
        assert set(effects.values()) == {Effect.ONCE}
        result, model = await buy(root, tools, [{"use": "stock", "with": {"item": "bike"}}, PROPOSE])
    assert result.outcome == "sold"
    assert "stock(item=bike)" in text_of(model.asked[1])
    assert '"bike":3' in text_of(model.asked[1])
    offered = [s["properties"].get("use", {}).get("const") for s in model.asked[0].schema["oneOf"]]
    assert "stock" in offered
    assert "book" not in offered  # it has an effect, and the request is not grounded before it is answered


async def test_a_server_that_is_a_program_of_its_own(root):
    command = [sys.executable, str(Path(mcp_server.__file__))]
    async with mcp_tools(command, only=["stock"], effects={"stock": "pure"}) as tools:
        result, model = await buy(root, tools, [{"use": "stock", "with": {"item": "bike"}}, PROPOSE])
    assert result.outcome == "sold"
    assert '"bike":3' in text_of(model.asked[1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"use": "breaks", "with": {}}, "breaks says: Error executing tool breaks"),
        ({"use": "hangs", "with": {}}, "gave nothing within 0.3 s"),
        ({"use": "stock", "with": {"item": 5}}, "was stopped"),
        ({"use": "stock", "with": {"item": "x", "more": 1}}, "was stopped"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model_and_the_talk_goes_on(root, call, words):
    effects = {"stock": "pure", "breaks": "pure", "hangs": "pure"}
    async with mcp_tools(mcp_server.server, effects=effects, timeout=0.3) as tools:
        result, model = await buy(root, tools, [call, PROPOSE])
    assert result.outcome == "sold"
    assert words in text_of(model.asked[1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dies", "the MCP server of dies is gone"),
        ("blocks", "gave nothing within 2 s"),
        ("floods", "at most 200,000 are taken"),
        ("chatters", 'chatters() = {"result":"well"}'),
    ],
)
async def test_a_program_that_dies_hangs_floods_or_chatters_does_not_end_the_talk(root, name, words):
    command = [sys.executable, str(Path(mcp_server.__file__))]
    patience = 2 if name == "blocks" else 60
    async with mcp_tools(
        command, only=[name], effects={name: "pure"}, timeout=patience, limit=200_000
    ) as tools:
        result, model = await buy(root, tools, [{"use": name, "with": {}}, PROPOSE])
    assert result.outcome == "sold"
    assert words in text_of(model.asked[1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("effect", ["once", "pure"])
async def test_a_server_that_goes_away_in_a_call_that_may_have_done_something_leaves_it_in_doubt(effect):
    command = [sys.executable, str(Path(mcp_server.__file__))]
    async with mcp_tools(command, only=["dies"], effects={"dies": effect}) as tools:
        ann, bob = Agent("ann"), Agent("bob", tools=tools)
        ann.opens(lambda turn: turn.say("request", action="sing"))

        @bob.on("request")
        async def sing(turn):
            try:
                await turn.use("dies")
            except EdgeError as error:
                told.append(error)
            return turn.say("refuse", reason="nobody knows")

        told = []
        result = await enact(load("request"), cast={"initiator": ann, "participant": bob})
    assert [type(error) for error in told] == [ToolInDoubt if effect == "once" else ToolLost]
    assert ("when whoever carried it out went away" if effect == "once" else "is gone") in told[0].what
    kinds = [one.type for one in result.transcript.records if one.type.startswith("tool.")]
    assert kinds == (["tool.call"] if effect == "once" else ["tool.call", "tool.error"])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("code", ["import time; time.sleep(600)", "raise SystemExit(2)"])
async def test_a_program_that_never_says_what_it_has_is_given_up(code):
    with pytest.raises(EdgeError, match="does not answer") as caught:
        async with mcp_tools([sys.executable, "-c", code], opening=1):
            pass
    assert caught.value.code == "X510"


async def test_a_keyed_tool_is_given_our_key_which_no_model_sees(root):
    async with mcp_tools(mcp_server.server, keys={"book": "key"}) as tools:
        (book,) = [tool for tool in tools if tool.name == "book"]
        assert book.effect is Effect.KEYED
        assert set(book.parameters["properties"]) == {"item", "price"}
        mcp_server.BOOKED.clear()
        assert await book.run({"item": "bike", "price": "1 EUR"}, "k1") == {"result": "booked bike, 1 in all"}
        assert await book.run({"item": "bike", "price": "1 EUR"}, "k1") == {"result": "booked bike, 1 in all"}
        assert await book.run({"item": "bike", "price": "1 EUR"}, "k2") == {"result": "booked bike, 2 in all"}


async def test_a_server_that_is_not_there_and_a_tool_that_is_not(root):
    with pytest.raises(EdgeError, match="does not answer") as caught:
        async with mcp_tools(["/nowhere/server"]):
            pass
    assert caught.value.code == "X510"
    with pytest.raises(UsageError, match="has no tool 'stocks'"):
        async with mcp_tools(mcp_server.server, only=["stocks"]):
            pass
