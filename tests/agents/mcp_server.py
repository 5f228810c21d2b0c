"""A small MCP server, for tests: `python mcp_server.py` talks over its standard input and output."""

import asyncio
from typing import Annotated

from mcp.server import MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

server = MCPServer("shop")
BOOKED: dict[str, str] = {}


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def stock(item: str) -> dict[str, int]:
    """How many of an item are there."""
    return {item: 3}


@server.tool()
def book(item: str, price: Annotated[str, Field(description="amount and currency")], key: str) -> str:
    """Book an item at a price."""
    BOOKED.setdefault(key, f"{item} for {price}")
    return f"booked {item}, {len(BOOKED)} in all"


@server.tool()
def breaks() -> str:
    """Raises."""
    raise RuntimeError("the shop is on fire")


@server.tool()
async def hangs() -> str:
    """Never ends."""
    await asyncio.sleep(3600)
    return ""


if __name__ == "__main__":
    server.run()
