"""A call that leaves the process for an MCP server carries W3C's context of the turn, in the request's `_meta`."""

import json
import sys

import pytest
from traced_scenes import cast, sale

from agentcomm import Agent, enact

pytest.importorskip("mcp.server")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

SERVER = """
import json
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("shop")


@server.tool()
async def price(item: str, ctx: Context) -> str:
    "The price of an item, and what came with the question."
    return json.dumps(dict(ctx.request_context.meta or {}))


server.run()
"""


async def test_an_mcp_server_is_told_the_context_of_the_turn(tmp_path, traced):
    from agentcomm.agents.mcp_tools import mcp_tools

    finish, metas = traced(), []
    async with mcp_tools([sys.executable, "-c", SERVER], effects={"price": "pure"}) as tools:
        bob = Agent("bob", tools=tools)

        @bob.on("cfp")
        async def offer(turn):
            metas.append(json.loads((await turn.use("price", item="tea"))["result"]))
            return turn.say("propose", price="20 EUR")

        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        result = await enact(sale(tmp_path), cast={**cast(), "seller": bob})
    assert result.outcome == "done"
    spans = finish()
    (used,) = spans.named("execute_tool price")
    (meta,) = metas
    assert meta["traceparent"].split("-")[1] == f"{used.context.trace_id:032x}"
    assert meta["traceparent"].endswith("-01")
