"""An agent of PydanticAI asks a graph of LangGraph for a refund, and neither knows that it is in a conversation.

`existing.py` holds both as one would have them already, `adapters.py` the two adapters. The amount is read back and compared by code
before anything is paid, whatever the frameworks do. Run it with `agentcomm run other-frameworks`; it needs
`pip install 'agentcomm[frameworks]'`.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentcomm.errors import InputError, UsageError

TICKET = "Ticket: Please refund 39.90 EUR for order A-1042. Reason: it was charged twice."


def cast(model: Callable[[str], str]) -> dict[str, Any]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    for module, package in (("pydantic_ai", "pydantic-ai-slim"), ("langgraph", "langgraph")):
        if find_spec(module) is None:
            raise InputError(f"{package} is not installed", fix="pip install 'agentcomm[frameworks]'")
    from adapters import LangGraphPlayer, PydanticAIPlayer
    from bridge import for_langchain, for_pydantic_ai
    from existing import billing_graph, support_agent  # pyright: ignore[reportUnknownVariableType]

    return {
        "support": PydanticAIPlayer("pydantic-ai", support_agent(for_pydantic_ai(model("support")))),
        "billing": LangGraphPlayer("langgraph", billing_graph(for_langchain(model("billing")))),
    }


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told."""
    if source is not None:
        raise UsageError(
            "other-frameworks reads no file", fix="--brief 'support=Refund 5 EUR for order A-1043.'"
        )
    return {"support": TICKET}
