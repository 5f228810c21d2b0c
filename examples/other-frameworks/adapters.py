# pyright: basic, reportMissingImports=false
"""Adapters: an agent of PydanticAI, and a graph of LangGraph, as players. Each is a callable that takes a turn.

Both leave read-backs and repairs to `by_code`: what has to be said there is on record, so no model is asked for it.
"""

from typing import Any

from agentcomm import Message, Turn, Unspoken
from agentcomm.acts.content import to_plain
from agentcomm.acts.message import format_content
from agentcomm.agents.agent import by_code
from agentcomm.conversation.moves import signature

__all__ = ("LangGraphPlayer", "PydanticAIPlayer")


class PydanticAIPlayer:
    """An agent of PydanticAI: what it may return are the contents of the acts that are legal now.

    Args:
        name: How transcripts call it.
        agent: A `pydantic_ai.Agent`, with its own model, instructions and tools.
    """

    def __init__(self, name: str, agent: Any) -> None:
        self.name, self.agent = name, agent

    async def __call__(self, turn: Turn) -> Message | Unspoken:
        """Take a turn."""
        from pydantic_ai.exceptions import UnexpectedModelBehavior

        if (said := by_code(turn, has_model=False)) is not None:
            return said
        heard = f"{turn.heard.act} {format_content(turn.heard.content)}" if turn.heard else ""
        try:
            ran = await self.agent.run(
                "\n".join(str(part) for part in (turn.brief, heard) if part),
                output_type=[move.act.content for move in turn.moves],  # pydantic classes already
            )
        except UnexpectedModelBehavior as error:  # it found no answer that fits: a misfire, within the budget
            return Unspoken(str(error))
        return turn.say(ran.output)


class LangGraphPlayer:
    """A compiled graph of LangGraph whose state has `heard`, `content`, `legal`, and at the end `act` and `said`.

    Args:
        name: How transcripts call it.
        graph: What `StateGraph(...).compile()` returned.
    """

    def __init__(self, name: str, graph: Any) -> None:
        self.name, self.graph = name, graph

    async def __call__(self, turn: Turn) -> Message:
        """Take a turn."""
        if (said := by_code(turn, has_model=False)) is not None:
            return said
        made = await self.graph.ainvoke(
            {
                "heard": turn.heard.act if turn.heard else "",
                "content": to_plain(turn.content),
                "legal": {move.label: signature(move) for move in turn.moves},
            }
        )
        return turn.say(made["act"], **made["said"])
