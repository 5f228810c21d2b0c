"""Draw what an agent did inside its turn: model calls and tool calls, as they were journalled."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.errors import ContextOverflow, ModelTimeout
from agentcomm.tracing import names
from agentcomm.tracing.content import fit

if TYPE_CHECKING:
    from agentcomm.tracing.content import Content
    from agentcomm.tracing.tracer import Kind

__all__ = ("Steps", "model_of")

TRANSCRIPT = "transcript"
"""The sink that keeps what was said, unless it was told not to."""

_IN_PROCESS = frozenset({"scripted", "recorded", "embedded"})
_BY_CODE = {ModelTimeout.code: "timeout", ContextOverflow.code: "context_overflow"}
_PATHS = ("/", ".", "~", "\\")


class _Begun(msgspec.Struct, frozen=True):
    """A call whose result is still to come."""

    at: int
    data: Mapping[str, Any]
    body: Any


class Steps:
    """The steps of one turn.

    Args:
        root: The turn's span.
        content: How much of what was said is shown.
        sink: What prompts' records call the destination of the spans.
        clock: Returns nanoseconds since the epoch.
        detail: Whether the pieces of a prompt are spans, too.
    """

    def __init__(
        self,
        root: Any,
        content: "Content",
        sink: str,
        clock: Callable[[], int] = time_ns,
        detail: str = "steps",
    ) -> None:
        self._clock = clock
        self._detail = detail
        self._root = root
        self._content = content
        self._sink = sink
        self._asked: deque[_Begun] = deque()
        self._used: defaultdict[str, deque[_Begun]] = defaultdict(deque)

    def step(self, kind: str, data: Mapping[str, Any], body: Any) -> None:
        """Take a step from the journal, as it happens."""
        if not self._root.is_recording:
            return
        match kind:
            case "model.request":
                self._asked.append(_Begun(self._clock(), data, body))
            case "model.result" if self._asked:
                self._chat(self._asked.popleft(), data, body, self._clock())
            case "model.error" if self._asked:
                code = str(data.get("code", ""))
                self._chat(
                    self._asked.popleft(), data, None, self._clock(), error=_BY_CODE.get(code, "model_error")
                )
            case "tool.call":
                self._used[str(data["tool"])].append(_Begun(self._clock(), data, body))
            case "tool.result" | "tool.error" if self._used[str(data["tool"])]:
                begun = self._used[str(data["tool"])].popleft()
                self._tool(begun, body, self._clock(), error="tool_error" if kind == "tool.error" else None)
            case _:
                pass

    def close(self, at: int, error: str) -> None:
        """Draw the calls that never came back; `error` is why."""
        for begun in self._asked:
            self._chat(begun, {}, None, at, error=error)
        for calls in self._used.values():
            for begun in calls:
                self._tool(begun, None, at, error=error)

    def _chat(
        self, begun: _Begun, result: Mapping[str, Any], body: Any, end: int, error: str | None = None
    ) -> None:
        provider, model = model_of(str(begun.data["model"]))
        kind: Kind = "internal" if provider in _IN_PROCESS else "client"
        attributes = {
            names.OI_KIND: names.OI_LLM,
            names.GENAI_OPERATION: names.CHAT,
            names.GENAI_PROVIDER: provider,
            names.GENAI_REQUEST_MODEL: model,
            names.GENAI_OUTPUT_TYPE: "json" if begun.data.get("schema") else "text",
            **self._prompt(begun, result),
            **_answer(result),
            **self._texts(begun.body, body),
        }
        if error is not None:
            attributes[names.ERROR_TYPE] = error
            if code := result.get("code"):
                attributes[names.ERROR_CODE] = str(code)
        place = self._root.draw(
            f"{names.CHAT} {model}", attributes, start=begun.at, end=end, kind=kind, error=error
        )
        if self._detail == "full":
            self._pieces(begun, place)

    def _pieces(self, begun: _Begun, place: Any) -> None:
        """Draw the pieces that a prompt was made of, each as a step of its call."""
        for n, segment in enumerate(begun.data.get("segments", ())):
            found: dict[str, Any] = {
                names.OI_KIND: names.OI_CHAIN,
                names.EDIT_N: n,
                names.EDIT_OP: "render" if n == 0 else "append",
                names.EDIT_LABEL: str(segment["label"]),
                names.EDIT_CHARS: int(segment["chars"]),
            }
            if self._content.is_hashed:
                found[names.EDIT_HASH] = str(segment["hash"])
            self._root.draw(names.EDIT_PROMPT, found, start=begun.at, end=begun.at, under=place)

    def _prompt(self, begun: _Begun, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return what became of the prompt: its pieces, its hashes, who looked at it and who keeps it."""
        data, content = begun.data, self._content
        segments: list[dict[str, Any]] = list(data.get("segments", ()))
        edits: list[dict[str, Any]] = [*data.get("edits", ()), *result.get("edits", ())]
        found: dict[str, Any] = {
            names.PROMPT_CLASSIFIERS: [f"{c['by']}={c['label']}" for c in data.get("classifiers", ())],
            names.PROMPT_EDIT_COUNT: len(edits),
            names.PROMPT_MODIFIED: any(edit["op"] not in ("render", "join", "send") for edit in edits),
            names.PROMPT_LEFT_OUT: list(data.get("left_out", ())),
            names.PROMPT_STORED: self._stored(data),
            names.PROMPT_OFFERED: list(data.get("offered", ())),
        }
        if content.is_hashed:
            found[names.PROMPT_HASH] = data.get("prompt", "")
            found[names.PROMPT_SOURCE_HASH] = data.get("source", "")
            found[names.PROMPT_SCHEMA_HASH] = data.get("schema", "")
            if sent := result.get("sent"):
                found[names.PROMPT_SENT_HASH] = sent
        else:
            segments = [{name: value for name, value in s.items() if name != "hash"} for s in segments]
            edits = [{name: value for name, value in e.items() if name not in ("in", "out")} for e in edits]
        found[names.PROMPT_SEGMENTS] = fit(segments)
        found[names.PROMPT_EDITS] = fit(edits)
        if result.get("unaccounted"):
            found[names.PROMPT_UNACCOUNTED] = True
        if (attempt := data.get("attempt", 1)) > 1:
            found[names.RETRY_ATTEMPT] = attempt
        if retries := result.get("transport_retries"):
            found[names.RETRY_TRANSPORT] = retries
        return found

    def _stored(self, data: Mapping[str, Any]) -> list[str]:
        """Return who keeps the text of a prompt; of a transcript, not where that is."""
        kept = [str(name) for name in data.get("stored", (TRANSCRIPT,))]
        kept = [TRANSCRIPT if name.startswith(TRANSCRIPT) else name for name in kept if name != self._sink]
        return [*kept, self._sink] if self._content.is_full else kept

    def _texts(self, request: Any, reply: Any) -> dict[str, Any]:
        content = self._content
        found: dict[str, Any] = {}
        if content.is_full and request is not None:  # a stored one may be erased
            shown = [
                {"role": str(message.role), "parts": [{"type": "text", "content": str(message.content)}]}
                for message in request["messages"]
            ]
            found[names.GENAI_INPUT_MESSAGES] = content.data("prompt", shown)
        if reply is None:
            return found
        if content.is_hashed:
            found[names.OUTPUT_RAW_HASH] = content.digest("answer", str(reply["text"]))
        if content.is_full:
            parts = [{"type": "text", "content": str(reply["text"])}]
            if reply.get("thinking"):
                parts.insert(0, {"type": "reasoning", "content": str(reply["thinking"])})
            found[names.GENAI_OUTPUT_MESSAGES] = content.data(
                "answer", [{"role": "assistant", "parts": parts}]
            )
        return found

    def _tool(self, begun: _Begun, body: Any, end: int, error: str | None = None) -> None:
        content, name = self._content, str(begun.data["tool"])
        attributes: dict[str, Any] = {
            names.OI_KIND: names.OI_TOOL,
            names.GENAI_OPERATION: names.EXECUTE_TOOL,
            names.GENAI_TOOL: name,
            names.GENAI_TOOL_TYPE: "function",
        }
        if content.is_hashed:
            attributes[names.TOOL_ARGUMENTS_HASH] = content.digest("tool", to_plain(begun.body))
        if content.is_full:
            attributes[names.GENAI_TOOL_ARGUMENTS] = content.data("tool", to_plain(begun.body))
        if error is not None:
            attributes[names.ERROR_TYPE] = error
        else:
            if content.is_hashed:
                attributes[names.TOOL_RESULT_HASH] = content.digest("tool", to_plain(body))
            if content.is_full:
                attributes[names.GENAI_TOOL_RESULT] = content.data("tool", to_plain(body))
        self._root.draw(f"{names.EXECUTE_TOOL} {name}", attributes, start=begun.at, end=end, error=error)


def _answer(result: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in (
        (names.GENAI_RESPONSE_MODEL, "model"),
        (names.GENAI_INPUT_TOKENS, "prompt_tokens"),
        (names.GENAI_OUTPUT_TOKENS, "output_tokens"),
    ):
        value = result.get(key)
        if value is not None and value != "":
            found[name] = model_of(value)[1] if key == "model" else value
    if reason := result.get("done_reason"):
        found[names.GENAI_FINISH_REASONS] = [reason]
    if address := result.get("address"):
        parts = urlsplit(address if "//" in address else f"//{address}")
        if parts.hostname:
            found[names.SERVER_ADDRESS] = parts.hostname
        if parts.port:
            found[names.SERVER_PORT] = parts.port
    return found


def model_of(name: str) -> tuple[str, str]:
    """Return provider and model of a backend's string; a file is named without its folders."""
    provider, colon, rest = name.partition(":")
    if not colon:
        return "unknown", name
    if provider in {"scripted", "recorded"} or not rest:
        return provider, provider
    if rest.startswith(_PATHS):
        rest = rest.replace("\\", "/").rpartition("/")[2]
    return provider, rest
