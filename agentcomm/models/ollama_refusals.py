"""What an Ollama server means by an error: its status says little, its message nearly all."""

from http import HTTPStatus
from typing import Any, cast

import msgspec

from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused, ModelUnavailable
from agentcomm.models.retry import Passing, SchemaRefused

__all__ = ("refusal",)


def refusal(model: str, status: int, text: str, address: str) -> Exception:
    """Return the error that a status and a body mean; `Passing` where it may be gone at the next try.

    Args:
        model: The model's name at the server.
        status: Of HTTP; negative for an error in the middle of a stream.
        text: The body, or the message in it.
        address: The server's.
    """
    details = unwrapped(text)
    message = str(details.get("message", text)).strip() or "no reason given"
    lower = message.lower()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Passing(
            ModelUnavailable(
                "the server is busy",
                why=message,
                fix="ask less at a time, or raise OLLAMA_MAX_QUEUE of the server",
                where=address,
            )
        )
    if status < 0 or "unexpected eof" in lower:
        return Passing(
            ModelBroken(
                f"the process that runs ollama:{model} died while it was answering",
                why=message,
                fix="look at the server's log; a smaller model or num_ctx needs less memory",
                where=address,
            )
        )
    if details.get("type") == "exceed_context_size_error" or ("exceeds the" in lower and "context" in lower):
        needs, window = details.get("n_prompt_tokens"), details.get("n_ctx")
        return ContextOverflow(
            tokens=needs if isinstance(needs, int) else 0,
            what=f"the prompt has {needs} tokens and the window {window}"
            if needs and window
            else "the prompt does not fit the window",
            why=message,
            fix="raise num_ctx, or shorten the prompt",
            where=address,
        )
    if any(word in lower for word in ("json_schema", "json schema", "grammar", "invalid format")):
        return SchemaRefused(message)
    if status == HTTPStatus.NOT_FOUND and "model" in lower:
        return ModelUnavailable(
            f"Ollama has no model {model!r}",
            why=message,
            fix=f"ollama pull {model}",
            where=address,
        )
    if status == HTTPStatus.NOT_FOUND:
        return ModelUnavailable(
            "something other than Ollama answers here",
            why=message,
            fix="check OLLAMA_HOST or the host given",
            where=address,
        )
    if "more system memory" in lower:
        return ModelUnavailable(
            f"ollama:{model} does not fit into memory",
            why=message,
            fix="use a smaller model or a smaller num_ctx",
            where=address,
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ModelRefused(
            "the server lets nobody in without a key",
            why=message,
            fix="set OLLAMA_API_KEY",
            where=address,
        )
    if "does not support" in lower:
        return ModelRefused(
            f"ollama:{model} cannot do what is asked",
            why=message,
            fix="use a model that can chat; `agentcomm doctor` lists what each can do",
            where=address,
        )
    return ModelRefused(
        f"the server refused the request with status {status}",
        why=message,
        fix="look at the server's log; a newer server may help",
        where=address,
    )


def unwrapped(text: str) -> dict[str, Any]:
    """Return the innermost error of a body; errors come as JSON inside JSON."""
    found: dict[str, Any] = {"message": text}
    while True:
        try:
            inner: Any = msgspec.json.decode(found.get("message", ""))
        except (msgspec.MsgspecError, TypeError, RecursionError):
            return found
        error: Any = inner.get("error") if isinstance(inner, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(error, dict):
            return cast("dict[str, Any]", error)
        if not isinstance(error, str):
            return found
        found = {"message": error}
