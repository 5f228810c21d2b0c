"""Tools of MCP servers (Model Context Protocol), by the official client; the extra `agentcomm[mcp]`.

A server says of itself what its tools do to the world. That is a hint from outside, so it decides nothing unless it is asked to:
what nobody has named an effect for is called at most once.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from agentcomm.agents.schema import plain_schema
from agentcomm.agents.tools import LIMIT, TIMEOUT, Effect, Tool, ToolFailed, ToolLost
from agentcomm.errors import EdgeError, UsageError

__all__ = ("mcp_tools",)

OPENING = 30.0
"""Seconds in which a server must answer that it is there and say what tools it has."""


@asynccontextmanager
async def mcp_tools(
    server: Any,
    *,
    only: Collection[str] | None = None,
    effects: Mapping[str, Effect | str] | None = None,
    keys: Mapping[str, str] | None = None,
    trust_hints: bool = False,
    roles: Collection[str] | None = None,
    uses: Mapping[str, Mapping[str, str | None]] | None = None,
    timeout: float | str = TIMEOUT,  # noqa: ASYNC109  (of each call, not of this one)
    limit: int = LIMIT,
    opening: float = OPENING,
) -> AsyncGenerator[list[Tool]]:
    """Connect to an MCP server, and yield its tools for `Agent(tools=…)`; they can be called until the block ends.

    Args:
        server: The command that starts one, as a list; the URL of one; or whatever else the client of `mcp` connects to.
        only: Names of the tools that are wanted; None for all.
        effects: Tool -> what its calls do to the world.
        keys: Tool -> its argument that takes an idempotency key; such a tool is `keyed`, and a model does not see the argument.
        trust_hints: Believe a server that calls a tool read-only.
        roles: Roles that may call them.
        uses: Tool -> parameter -> `act.field` on common ground, as `Tool` takes them.
        timeout: Of each call: seconds, or text such as `10s`.
        limit: Bytes of a result.
        opening: Seconds in which the server must say what tools it has.

    Raises:
        UsageError: If `mcp` is not installed, or a tool that is named is not there.
        EdgeError: If nobody answers, or not in time (X510).
    """
    try:
        from mcp import Client, StdioServerParameters
    except ImportError:
        raise UsageError(
            "tools of MCP servers need the client", fix="pip install 'agentcomm[mcp]'", code="U318"
        ) from None
    if isinstance(server, Sequence) and not isinstance(server, str):
        command = [str(part) for part in cast("Sequence[object]", server)]
        server = StdioServerParameters(command=command[0], args=command[1:])
    opened = Client(server)
    where = str(getattr(server, "command", server))
    try:
        async with asyncio.timeout(opening):
            client = await opened.__aenter__()
    except Exception as error:
        raise _no_answer(error, where, opening) from error
    try:
        try:
            async with asyncio.timeout(opening):
                found = [tool async for tool in _listed(client)]
        except Exception as error:
            raise _no_answer(error, where, opening) from error
        names = {tool.name for tool in found}
        if wrong := sorted({*(only or ()), *(effects or {}), *(keys or {}), *(uses or {})} - names):
            raise UsageError(
                f"the MCP server has no tool {wrong[0]!r}",
                why=f"it has {', '.join(sorted(names))}",
                fix="use one of these",
                code="U318",
            )
        yield [
            _made(
                client,
                tool,
                effect=_effect(tool, effects or {}, keys or {}, trust_hints=trust_hints),
                named=(keys or {}).get(tool.name, ""),
                roles=roles,
                uses=(uses or {}).get(tool.name),
                timeout=timeout,
                limit=limit,
            )
            for tool in found
            if only is None or tool.name in only
        ]
    finally:
        await opened.__aexit__(None, None, None)


def _no_answer(error: Exception, where: str, opening: float) -> EdgeError:
    why = f"it said nothing within {opening:g} s" if isinstance(error, TimeoutError) else _reason(error)
    return EdgeError(
        "the MCP server does not answer",
        why=why,
        where=where,
        fix="start it by hand with the same command, and look what it says",
        code="X510",
    )


async def _listed(client: Any) -> AsyncIterator[Any]:
    """Yield the tools of a server, page by page."""
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield tool
        cursor = page.next_cursor
        if not cursor:
            return


def _effect(
    tool: Any, effects: Mapping[str, Effect | str], keys: Mapping[str, str], *, trust_hints: bool
) -> Effect | str:
    if tool.name in effects:
        return effects[tool.name]
    if tool.name in keys:
        return Effect.KEYED
    hints = tool.annotations
    return Effect.PURE if trust_hints and hints is not None and hints.read_only_hint else Effect.ONCE


def _made(client: Any, tool: Any, *, named: str, **options: Any) -> Tool:
    schema = plain_schema(dict(tool.input_schema))
    schema.setdefault("properties", {}).pop(named, None)
    schema["required"] = [name for name in schema.get("required", ()) if name != named]

    from mcp import MCPError
    from mcp.types import CONNECTION_CLOSED

    def read(arguments: Mapping[str, Any]) -> dict[str, Any]:
        from jsonschema import Draft202012Validator

        checks: Any = Draft202012Validator({**schema, "additionalProperties": False})
        faults = [
            f"{'.'.join(map(str, fault.absolute_path)) or 'it'}: {fault.message}"
            for fault in checks.iter_errors(dict(arguments))
        ]
        if faults:
            raise ValueError("; ".join(faults[:5]))
        return dict(arguments)

    async def run(arguments: Mapping[str, Any], key: str) -> Any:
        try:
            found = await client.call_tool(tool.name, {**arguments, **({named: key} if named else {})})
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                raise ToolFailed(f"the MCP server of {tool.name} refuses: {error}", code="X501") from error
            raise ToolLost(
                f"the MCP server of {tool.name} is gone: {error}",
                fix="start it again; whether the call was carried out, only the server can tell",
                code="X501",
            ) from error
        texts = [block.text for block in found.content if block.type == "text"]
        if found.is_error:
            raise ToolFailed(f"{tool.name} says: {' '.join(texts)[:500] or 'it failed'}", code="X501")
        if found.structured_content is not None:
            return found.structured_content
        others = [block.type for block in found.content if block.type != "text"]
        return {"text": "\n".join(texts), **({"left_out": others} if others else {})}

    about = str(tool.description or tool.title or "").strip().partition("\n")[0].rstrip(".")
    return Tool(tool.name, run, about=about, parameters=schema, read=read, **options)


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return f"{type(error).__name__}: {error}"
