"""How many tokens a conversation takes at most: the bound in messages, times what one message can cost."""

from collections.abc import Sequence
from typing import Any

__all__ = ("ceiling",)


def ceiling(name: str, models: Sequence[str], each: int | None) -> dict[str, Any]:
    """Return the ceiling of one protocol, in figures and in words.

    A message takes as many tries as the protocol has misfires; a try is one prompt, which fits into the window or is refused,
    and one answer, which is cut at its own ceiling. So every message is counted as if a model said it, at its last try.

    Args:
        name: The protocol.
        models: Names of models; each is looked at for its spelling only, none is contacted.
        each: Tokens of one try; None takes the window and the answer's ceiling that a request has.
    """
    from agentcomm.agents.agent import Agent
    from agentcomm.cli.examples import find_protocol
    from agentcomm.models.base import ModelRequest
    from agentcomm.models.open import open_model
    from agentcomm.protocol.library import load
    from agentcomm.runtime.enact import rules_for

    for model in models:
        open_model(model)
    protocol = load(find_protocol(name))
    messages = protocol.bound if protocol.overlay else rules_for(protocol).bound
    tries = protocol.limits.misfires
    window, answer = Agent("any").num_ctx, ModelRequest(messages=()).num_predict
    tokens = each if each is not None else window + answer
    made_of = f"{tokens:,} tokens" if each is not None else f"({window:,} of prompt + {answer:,} of answer)"
    most = messages * tries * tokens
    return {
        "protocol": name,
        "models": list(models),
        "messages": messages,
        "tries": tries,
        "tokens_of_a_try": tokens,
        "tokens": most,
        "words": (
            f"{name}: at most {most:,} tokens with {', '.join(models)}: {messages:,} messages, read-backs and repairs included,"
            f" x {tries} tries x {made_of}\n"
            f"  counted as if a model made every message and used every try; not counted: a request that is sent again because the\n"
            f"  connection broke, a handler of yours that asks a model several times, and another window than an agent's default"
        ),
    }
