"""Conversations between agents that work in production.

The names that programs need, loaded on first use. No module of ours imports this face; each imports the module that defines the thing.
"""

from typing import TYPE_CHECKING, Any

from agentcomm import version as _version

if TYPE_CHECKING:
    from agentcomm.acts.message import Message
    from agentcomm.agents.agent import Agent
    from agentcomm.agents.human import Human
    from agentcomm.agents.tools import tool
    from agentcomm.agents.turn import Turn, Unclear, Unspoken
    from agentcomm.conversation.ground import CommonGround
    from agentcomm.conversation.state import Conversation
    from agentcomm.conversation.transcript import Transcript
    from agentcomm.protocol.graph import Protocol
    from agentcomm.protocol.library import check, load
    from agentcomm.runtime.conforms import conforms
    from agentcomm.runtime.converse import converse
    from agentcomm.runtime.enact import enact, enact_sync
    from agentcomm.runtime.replay import replay
    from agentcomm.runtime.result import Result
    from agentcomm.runtime.runtime import Runtime


__version__ = _version.VERSION

__all__ = (
    "Agent",
    "CommonGround",
    "Conversation",
    "Human",
    "Message",
    "Protocol",
    "Result",
    "Runtime",
    "Transcript",
    "Turn",
    "Unclear",
    "Unspoken",
    "check",
    "conforms",
    "converse",
    "enact",
    "enact_sync",
    "load",
    "replay",
    "tool",
)

_HOMES = {
    "Agent": "agentcomm.agents.agent",
    "CommonGround": "agentcomm.conversation.ground",
    "Conversation": "agentcomm.conversation.state",
    "Human": "agentcomm.agents.human",
    "Message": "agentcomm.acts.message",
    "Protocol": "agentcomm.protocol.graph",
    "Result": "agentcomm.runtime.result",
    "Runtime": "agentcomm.runtime.runtime",
    "Transcript": "agentcomm.conversation.transcript",
    "Turn": "agentcomm.agents.turn",
    "Unclear": "agentcomm.agents.turn",
    "Unspoken": "agentcomm.agents.turn",
    "check": "agentcomm.protocol.library",
    "conforms": "agentcomm.runtime.conforms",
    "converse": "agentcomm.runtime.converse",
    "enact": "agentcomm.runtime.enact",
    "enact_sync": "agentcomm.runtime.enact",
    "load": "agentcomm.protocol.library",
    "replay": "agentcomm.runtime.replay",
    "tool": "agentcomm.agents.tools",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentcomm' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
