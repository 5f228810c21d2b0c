"""A server with OpenAI's chat completions for tests, in the forms of llama.cpp's server, vLLM and LM Studio.

async with FakeOpenAI(["plain text", {"act": "agree"}, loading()]) as server:
    model = OpenAIModel("demo", server.address)
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fake_ollama import Answer, FakeOllama, Seen


def says(
    text: str,
    *,
    finish: str | None = "stop",
    thinking: str = "",
    usage: Mapping[str, int] | None = None,
    logprobs: list[dict[str, Any]] | None = None,
    **rest: Any,
) -> Answer:
    """Answer as a stream of server-sent events, a few characters a piece."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    deltas += [{"reasoning_content": thinking}] if thinking else []
    deltas += [{"content": text[at : at + 4]} for at in range(0, len(text), 4)]
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if logprobs is not None:
        chunks[-1]["choices"][0]["logprobs"] = {"content": logprobs}
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    counted = {"prompt_tokens": 151, "completion_tokens": 30} if usage is None else usage
    chunks.append({"choices": [], "usage": counted})
    return events(*chunks, **rest)


def events(*chunks: Any, done: bool = True, **rest: Any) -> Answer:
    """Answer with these events, a comment before them."""
    lines = [": ping", "", *(f"data: {json.dumps(chunk)}" for chunk in chunks)]
    return Answer(
        content_type="text/event-stream", pieces=[*lines, *(["data: [DONE]"] if done else [])], **rest
    )


def at_once(text: str) -> Answer:
    """Answer in one body, as a server that cannot stream."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Answer(
        body=json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
    )


def refuses(status: int, message: str, **details: Any) -> Answer:
    """Refuse as most do: an object under `error`."""
    return Answer(status=status, body=json.dumps({"error": {"message": message, "code": status, **details}}))


def loading() -> Answer:
    """Say that it is loading, as llama.cpp's server does."""
    return refuses(503, "Loading model", type="unavailable_error")


def too_long(needs: int, window: int) -> Answer:
    """Refuse a prompt as llama.cpp's server does."""
    message = (
        f"request ({needs} tokens) exceeds the available context size ({window} tokens), try increasing it"
    )
    return refuses(400, message, type="exceed_context_size_error", n_prompt_tokens=needs, n_ctx=window)


@dataclass
class FakeOpenAI(FakeOllama):
    """A server on a free port of this machine.

    Args:
        served: The entries of its list of models.
        key: What it wants as a bearer token.
        loads: How often it says that it is loading before it lists its models.
    """

    served: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "demo", "max_model_len": 8192}])
    loads_for: int = 0

    @property
    def address(self) -> str:
        return f"{self.url}/v1"

    @property
    def chats(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == "/v1/chat/completions"]

    def answer(self, seen: Seen) -> Answer:
        with self._lock:
            self.seen.append(seen)
        if seen.path in self.before:
            return self.before[seen.path]
        if seen.path == "/v1/models":
            if self.loads_for:
                self.loads_for -= 1
                return loading()
            return Answer(body=json.dumps({"object": "list", "data": self.served}))
        if seen.path != "/v1/chat/completions":
            return Answer(status=404, body=json.dumps({"detail": "Not Found"}))
        with self._lock:
            if not self.replies or (self._given >= len(self.replies) and not self.repeat):
                return refuses(500, "the test gave the fake server no more replies")
            reply = self.replies[min(self._given, len(self.replies) - 1)]
            self._given += 1
        if isinstance(reply, Callable):
            reply = reply(seen.body)
        if isinstance(reply, Answer):
            return reply
        return says(reply if isinstance(reply, str) else json.dumps(reply, separators=(",", ":")))
