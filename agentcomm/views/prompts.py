"""The pieces of a recorded prompt."""

from typing import Any, cast

__all__ = ("pieces_of",)


def pieces_of(request: dict[str, Any]) -> list[str]:
    """Return the text of each segment of a recorded prompt; nothing if its content was erased.

    Args:
        request: Data of a `model.request` record, with its content as `body`.
    """
    body = request.get("body")
    if not isinstance(body, dict) or "messages" not in body:
        return []
    messages = iter(cast("dict[str, Any]", body)["messages"])
    texts: list[str] = []
    role, left = "", ""
    for segment in request.get("segments", ()):
        if segment["role"] != role or not left:
            message = next(messages, {"role": "", "content": ""})
            role, left = message["role"], str(message["content"])
        text, left = left[: segment["chars"]], left[segment["chars"] :].removeprefix("\n\n")
        texts.append(text)
    return texts
