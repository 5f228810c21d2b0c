# pyright: basic, reportMissingImports=false
"""Models of agentcomm for the two frameworks, so that one `--model` is for both: recorded, in process, or a server's.

Your own agents keep the models that they have; then you do not need this file.
"""

import json
from typing import Any

from agentcomm.models.base import ChatMessage, ModelRequest
from agentcomm.models.open import open_model

__all__ = ("for_langchain", "for_pydantic_ai")


def for_pydantic_ai(name: str) -> Any:
    """Return a model of PydanticAI that asks one of ours and has it fill one of the outputs."""
    from pydantic_ai.messages import ModelResponse, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    model = open_model(name)

    async def answer(messages: list[Any], info: Any) -> Any:
        told = [ChatMessage("system", info.instructions)] if info.instructions else []
        for message in messages:
            told += [
                ChatMessage(
                    "user", part.model_response() if hasattr(part, "model_response") else str(part.content)
                )
                for part in message.parts
                if part.part_kind in {"user-prompt", "retry-prompt"}
            ]
        tool = info.output_tools[0]  # a model that only copies is given no choice
        schema = {
            "type": "object",
            "properties": {
                field: _plain(shape) for field, shape in tool.parameters_json_schema["properties"].items()
            },
            "required": list(tool.parameters_json_schema["properties"]),
            "additionalProperties": False,
        }
        reply = await model.reply(ModelRequest(messages=tuple(told), schema=schema, num_ctx=4096))
        try:
            arguments = json.loads(reply.text)
        except ValueError:
            arguments = {}
        return ModelResponse(
            parts=[ToolCallPart(tool.tool_name if hasattr(tool, "tool_name") else tool.name, arguments)]
        )

    return FunctionModel(answer)


def for_langchain(name: str) -> Any:
    """Return a runnable of LangChain that asks one of our models for a text."""
    from langchain_core.runnables import RunnableLambda

    model = open_model(name)

    async def answer(text: str) -> str:
        reply = await model.reply(ModelRequest(messages=(ChatMessage("user", text),), num_ctx=4096))
        return reply.text

    return RunnableLambda(answer)


def _plain(shape: dict[str, Any]) -> dict[str, Any]:
    return (
        {"type": "string", "minLength": 1, "maxLength": 120}
        if shape.get("type") in (None, "string")
        else shape
    )
