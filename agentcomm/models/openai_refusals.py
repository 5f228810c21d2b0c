"""What a server with OpenAI's routes means by an error; each has its own words for the same."""

import re
from http import HTTPStatus
from typing import Any, cast

import msgspec

from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused, ModelUnavailable
from agentcomm.models.retry import Passing, SchemaRefused

__all__ = ("refusal", "schema_refusal")

_TOO_LONG = re.compile(
    r"context (?:length|size|window|the overflows)|maximum context|n_ctx|exceed_context|too many tokens",
    re.IGNORECASE,
)
_SCHEMA = re.compile(r"json.?schema|grammar|response_format|guided|structured.output|regex", re.IGNORECASE)


def refusal(name: str, status: int, text: str, address: str) -> Exception:
    """Return the error that a status and a body mean; `Passing` where it may be gone at the next try.

    Args:
        name: The model's string.
        status: Of HTTP; negative for an error in the middle of a stream.
        text: The body.
        address: The server's.
    """
    details = _details(text)
    message = str(details.get("message") or text).strip() or "no reason given"
    kind = f"{details.get('type', '')} {details.get('code', '')}"
    if _TOO_LONG.search(f"{message} {kind}"):
        needs = details.get("n_prompt_tokens")
        return ContextOverflow(
            "the prompt does not fit the window",
            tokens=needs if isinstance(needs, int) else 0,
            why=message,
            fix="start the server with a larger window, or shorten the prompt",
            where=address,
        )
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        return Passing(
            ModelUnavailable(
                "the server is busy",
                why=message,
                fix="ask less at a time, or give it more places",
                where=address,
            )
        )
    if status < 0 or status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}:
        return Passing(
            ModelBroken(
                f"the server of {name} failed while it was answering",
                why=message,
                fix="look at the server's log; a smaller model or window needs less memory",
                where=address,
            )
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ModelRefused(
            "the server lets nobody in without a key",
            why=message,
            fix="set OPENAI_API_KEY beside OPENAI_BASE_URL, or give key=…",
            where=address,
        )
    if status == HTTPStatus.NOT_FOUND:
        is_model = "model" in f"{message} {kind}".lower()
        return ModelUnavailable(
            f"the server has no model for {name}"
            if is_model
            else "there are no chat completions at this address",
            why=message,
            fix="`agentcomm doctor` shows what it has" if is_model else "check the address: it ends in /v1",
            where=address,
        )
    if status <= HTTPStatus.INTERNAL_SERVER_ERROR and _SCHEMA.search(message):
        return SchemaRefused(message)
    return ModelRefused(
        f"the server refused the request with status {status}",
        why=message[:400],
        fix="look at the server's log; a newer server may help",
        where=address,
    )


def schema_refusal(reason: str, address: str) -> ModelRefused:
    """Return the error for a schema that was refused, reduced or not."""
    return ModelRefused(
        "the server cannot use the schema of the answer",
        why=reason,
        fix="use simpler types in the act: no pattern, short strings, bounds on integers only",
        where=address,
    )


def _details(text: str) -> dict[str, Any]:
    """Return the error of a body: an object under `error`, a text there, or the body itself."""
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    body = cast("dict[str, Any]", found)
    inner = body.get("error", body)
    if isinstance(inner, dict):
        return cast("dict[str, Any]", inner)
    return {"message": inner, **body} if isinstance(inner, str) else {}
