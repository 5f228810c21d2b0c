"""A small MCP server, for tests: `python mcp_server.py` talks over its standard input and output."""

import asyncio
import os
import time
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


@server.tool()
def dies() -> str:
    """Takes the whole server with it."""
    os._exit(3)


@server.tool()
def blocks() -> str:
    """Never ends, and does not let anything else run."""
    time.sleep(3600)
    return ""


@server.tool()
def floods() -> str:
    """Gives megabytes."""
    return "x" * 1_000_000


@server.tool()
def chatters() -> str:
    """Writes between the messages."""
    print("this is no message", flush=True)
    return "well"


if __name__ == "__main__":
    server.run()
