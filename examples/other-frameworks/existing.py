# pyright: basic, reportMissingImports=false, reportTypedDictNotRequiredAccess=false, reportArgumentType=false
"""Two agents as one would have them already: neither knows anything of agentcomm."""

from decimal import Decimal
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic_ai import Agent

__all__ = ("billing_graph", "support_agent")

INSTRUCTIONS = """\
You handle support tickets. Take order, amount with its currency, and reason from the ticket, exactly.
Ticket: Please refund 7.50 EUR for order B-17. Reason: it arrived broken.
{"order": "B-17", "amount": "7.50 EUR", "reason": "it arrived broken"}
Ticket: Please refund 120.00 EUR for order C-230. Reason: never delivered.
{"order": "C-230", "amount": "120.00 EUR", "reason": "never delivered"}"""
ORDERS = {"A-1042": "79.80 EUR", "A-1043": "12.00 EUR"}
"""Order -> what was paid for it."""


def support_agent(model: Any) -> Agent[None, Any]:
    """Return an agent of PydanticAI that reads tickets.

    Args:
        model: Any model of PydanticAI: `"ollama:qwen3:4b"`, a `TestModel`, a `FunctionModel`.
    """
    return Agent(model, instructions=INSTRUCTIONS, retries=2)


class Case(TypedDict, total=False):
    """The state of the billing graph."""

    heard: str
    content: dict[str, Any]
    legal: dict[str, str]
    paid: str
    act: str
    said: dict[str, Any]


def billing_graph(chat: Any) -> Any:
    """Return a graph of LangGraph that looks an order up, and pays or has a reason written.

    Args:
        chat: Any chat model or runnable of LangChain.
    """

    async def look_up(case: Case) -> Case:
        return {"paid": ORDERS.get(case["content"]["order"], "")}

    def route(case: Case) -> str:
        if not case["paid"]:
            return "decline"
        asked, _, currency = case["content"]["amount"].partition(" ")
        paid, _, ours = case["paid"].partition(" ")
        return "pay" if currency == ours and Decimal(asked) <= Decimal(paid) else "decline"

    async def pay(case: Case) -> Case:
        amount = case["content"]["amount"]
        if "agree" in case["legal"]:
            return {"act": "agree", "said": {"amount": amount}}
        return {"act": "refunded", "said": {"reference": f"R-{case['content']['order']}", "amount": amount}}

    async def decline(case: Case) -> Case:
        content = case["content"]
        known = f"paid: {case['paid'] or 'there is no such order'}; asked: {content['amount']}"
        written = await chat.ainvoke(
            f"Say in one sentence why order {content['order']} is not refunded. {known}."
        )
        return {"act": "refuse", "said": {"reason": str(getattr(written, "content", written))[:280]}}

    graph = StateGraph(Case)
    for node in (look_up, pay, decline):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "look_up")
    graph.add_conditional_edges("look_up", route, ["pay", "decline"])
    graph.add_edge("pay", END)
    graph.add_edge("decline", END)
    return graph.compile()
