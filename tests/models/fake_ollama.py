"""An Ollama server for tests: the real one's shapes, as recorded from 0.32.15, and each of its failures.

    async with FakeOllama(replies=["plain text", {"act": "agree"}, busy(), cut_off('{"act": "ag')]) as server:
        model = OllamaModel("demo", host=server.url)

Replies are handed out in order to `/api/chat`: a string as the answer's text, another JSON value as compact JSON
text, an `Answer` as it stands, a function is given the request's body and returns one of these.
It runs in a thread, so it also serves programs started by a test; `with` works as well as `async with`.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

RECORDINGS = Path(__file__).parent / "recordings" / "ollama-0.32.15.jsonl"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json; charset=utf-8"
    delay: float = 0.0
    """Seconds before the first byte."""
    hang_up_after: int | None = None
    """Bytes of the body after which the connection is dropped."""
    pieces: Sequence[str] = ()
    """A streamed body, line by line, instead of `body`."""
    pause: float = 0.0
    """Seconds between lines of a streamed body."""


Reply = Any
"""A string, a JSON value, an `Answer`, or a function from the request's body to one of these."""


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    raw: bytes
    body: Any


def says(
    text: str,
    *,
    done_reason: str = "stop",
    thinking: str | None = None,
    prompt_eval_count: int | None = 151,
    eval_count: int | None = 30,
) -> Answer:
    """Answer in full; a count that is None is left out, as the real server sometimes does."""
    message = {"role": "assistant", "content": text}
    if thinking is not None:
        message["thinking"] = thinking
    body: dict[str, Any] = {
        "model": "demo",
        "created_at": "2026-11-23T22:21:32.366918875Z",
        "message": message,
        "done": True,
        "done_reason": done_reason,
        "total_duration": 1920673848,
        "load_duration": 558108939,
        "prompt_eval_count": prompt_eval_count,
        "eval_count": eval_count,
    }
    return Answer(body=json.dumps({key: value for key, value in body.items() if value is not None}))


def schema_ignored(text: str = "Sure! The bike costs 120 euros.") -> Answer:
    """Plain text, `stop`: the schema was dropped without a word."""
    return says(text)


def only_thinking(text: str = '{"act": "propose"}') -> Answer:
    """Empty content, everything in `thinking`, `stop`."""
    return says("", thinking=text)


def cut_off(text: str = '{"act": "propose", "', *, eval_count: int = 800) -> Answer:
    """Ended by num_predict, or by a full window when `eval_count` is smaller."""
    return says(text, done_reason="length", eval_count=eval_count)


def loading() -> Answer:
    """The model was loaded, and said nothing."""
    return says("", done_reason="load", prompt_eval_count=None, eval_count=None)


def unloading() -> Answer:
    """The model was unloaded, and said nothing."""
    return says("", done_reason="unload", prompt_eval_count=None, eval_count=None)


def half_window(num_ctx: int, text: str = "{}") -> Answer:
    """A prompt that was shortened in silence."""
    return says(text, prompt_eval_count=num_ctx // 2 + 2)


def refuses(status: int, message: str, **details: Any) -> Answer:
    """Refuse with a plain error, or with the nested one of the runner if there are details."""
    error = json.dumps({"error": {"code": status, "message": message, **details}}) if details else message
    return Answer(status=status, body=json.dumps({"error": error}))


def busy() -> Answer:
    """The queue is full."""
    return refuses(503, "server busy, please try again.  maximum pending requests exceeded")


def bad_schema(reason: str = "Pattern must start with '^' and end with '$'") -> Answer:
    """The schema cannot be made into a grammar; JSON inside JSON."""
    message = f"Field 'json_schema': \"json_schema\": JSON schema conversion failed:\n{reason}"
    return refuses(400, message, type="invalid_request_error")


def overflow(n_prompt_tokens: int = 7614, n_ctx: int = 512) -> Answer:
    """The prompt does not fit, and the server was told not to shorten it."""
    message = f"request ({n_prompt_tokens} tokens) exceeds the available context size ({n_ctx} tokens), try increasing it"
    return refuses(
        400, message, type="exceed_context_size_error", n_prompt_tokens=n_prompt_tokens, n_ctx=n_ctx
    )


def runner_died() -> Answer:
    """The process that runs the model died."""
    return refuses(500, 'do request: Post "http://127.0.0.1:43210/completion": unexpected EOF')


def hangs_up(after: int = 20, text: str = "{}") -> Answer:
    """Drop the connection in the middle of the body."""
    return Answer(body=says(text).body, hang_up_after=after)


def endless(piece: str, *, pause: float = 0.0, times: int = 10_000) -> Answer:
    """Say the same again and again, and never come to an end; the number of times is far above every limit."""
    return Answer(content_type="application/x-ndjson", pieces=[token_line(piece)] * times, pause=pause)


def dies_in_stream(*pieces: str, message: str = "an error was encountered while running the model") -> Answer:
    """Send some tokens, then an error as a line of the stream: status 200 was sent before."""
    lines = [*(token_line(piece) for piece in pieces), json.dumps({"error": message})]
    return Answer(content_type="application/x-ndjson", pieces=lines)


def stops_in_stream(*pieces: str) -> Answer:
    """Send some tokens and close in order, without the last line."""
    return Answer(content_type="application/x-ndjson", pieces=[token_line(piece) for piece in pieces])


def token_line(piece: str) -> str:
    """Return one line of a streamed answer."""
    message = {"role": "assistant", "content": piece}
    return json.dumps(
        {"model": "demo", "created_at": "2026-11-23T22:21:32Z", "message": message, "done": False}
    )


def slow(seconds: float, text: str = "{}") -> Answer:
    """Wait before the first byte."""
    return Answer(body=says(text).body, delay=seconds)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A model that the server has."""

    context_length: int | None = 8192
    capabilities: Sequence[str] = ("completion",)
    architecture: str = "llama"


@dataclass
class FakeOllama:
    """A server on a free port of this machine.

    Args:
        replies: What `/api/chat` answers, in order; afterwards the last one again if `repeat`, else status 500.
        models: What it has, by name.
        version: What it says it is.
        repeat: Whether the last reply is given again.
        before: Answers for other paths instead of the usual ones, such as `{"/api/show": refuses(500, "x")}`.
    """

    replies: Sequence[Reply] = ()
    models: Mapping[str, Installed] = field(default_factory=lambda: {"demo": Installed()})
    version: str = "0.32.15"
    repeat: bool = False
    before: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    seen: list[Seen] = field(default_factory=list[Seen])
    """Every request, in order."""
    loaded: Mapping[str, int] = field(default_factory=dict[str, int])
    """Model -> window, of those that are loaded; changes as they are."""
    load_seconds: float = 0.0
    """What loading takes."""
    most_at_once: int = 0
    """Chats that were under way together."""
    broken_off: int = 0
    """Chats whose client went away before the end."""

    def __post_init__(self) -> None:
        self._given = 0
        self.loaded = dict(self.loaded)
        self._chatting = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def chats(self) -> list[Seen]:
        """The requests to `/api/chat` that say something."""
        return [seen for seen in self.seen if seen.path == "/api/chat" and seen.body["messages"]]

    @property
    def loads(self) -> list[Seen]:
        """The requests to `/api/chat` that only load."""
        return [seen for seen in self.seen if seen.path == "/api/chat" and not seen.body["messages"]]

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        forget_windows(self.url)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-ollama")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the other side may have gone before
                    connection.shutdown(socket.SHUT_RDWR)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def answer(self, seen: Seen) -> Answer:
        """Return the answer to a request; called from the server's threads."""
        with self._lock:
            self.seen.append(seen)
        if seen.path in self.before:
            return self.before[seen.path]
        match seen.method, seen.path:
            case "GET", "/":
                return Answer(body="Ollama is running", content_type="text/plain; charset=utf-8")
            case "GET", "/api/version":
                return Answer(body=json.dumps({"version": self.version}))
            case "GET", "/api/tags":
                return Answer(
                    body=json.dumps({"models": [_listed(name, model) for name, model in self.models.items()]})
                )
            case "GET", "/api/ps":
                entries = [
                    {**_listed(name, self.models[name]), "context_length": size}
                    for name, size in self.loaded.items()
                ]
                return Answer(body=json.dumps({"models": entries}))
            case "POST", "/api/show":
                return self._show(seen.body["model"])
            case "POST", "/api/chat":
                return self._chat(seen.body)
            case _:
                return Answer(status=404, body="404 page not found", content_type="text/plain")

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the server runs."""
        self._ended.wait(seconds)

    def connected(self, connection: socket.socket, *, is_open: bool) -> None:
        """Remember the open connections: they end with the server."""
        with self._lock:
            (self._connections.add if is_open else self._connections.discard)(connection)

    def chatting(self, step: int) -> None:
        """Count the chats under way."""
        with self._lock:
            self._chatting += step
            self.most_at_once = max(self.most_at_once, self._chatting)

    def _show(self, name: str) -> Answer:
        model = self.models.get(name)
        if model is None:
            return refuses(404, f"model '{name}:latest' not found")
        info: dict[str, Any] = {"general.architecture": model.architecture}
        if model.context_length is not None:
            info[f"{model.architecture}.context_length"] = model.context_length
        return Answer(
            body=json.dumps(
                {
                    "template": "{{ .Prompt }}",
                    "details": {"format": "gguf", "family": model.architecture},
                    "model_info": info,
                    "capabilities": list(model.capabilities),
                    "modified_at": "2026-11-23T22:11:15.12791992Z",
                }
            )
        )

    def _chat(self, body: Any) -> Answer:
        model = self.models.get(body["model"])
        if model is None:
            return refuses(404, f"model '{body['model']}' not found")
        if "completion" not in model.capabilities:
            return refuses(400, f'"{body["model"]}" does not support chat')
        window = body.get("options", {}).get("num_ctx")
        if not body["messages"]:
            self.wait(self.load_seconds)
            self.loaded[body["model"]] = window  # type: ignore[index]
            return loading()
        with self._lock:
            if not self.replies or (self._given >= len(self.replies) and not self.repeat):
                return refuses(500, "the test gave the fake server no more replies")
            reply = self.replies[min(self._given, len(self.replies) - 1)]
            self._given += 1
        return _as_answer(reply(body) if isinstance(reply, Callable) else reply)


def forget_windows(address: str) -> None:
    """Forget what was learnt of another test's server, which had this port before."""
    from agentcomm.models import ollama

    for key in [key for key in ollama._windows if key[0] == address]:
        del ollama._windows[key]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


def _handler(fake: FakeOllama) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            fake.connected(self.connection, is_open=True)

        def finish(self) -> None:
            fake.connected(self.connection, is_open=False)
            super().finish()

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def _serve(self, raw: bytes) -> None:
            is_chat = self.path == "/api/chat" and b'"messages":[]' not in raw
            if is_chat:
                fake.chatting(1)
            try:
                answer = fake.answer(Seen(self.command, self.path, raw, json.loads(raw) if raw else None))
                fake.wait(answer.delay)
            finally:
                if is_chat:
                    fake.chatting(-1)
            if answer.pieces:
                self._stream(answer)
                return
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: answer.hang_up_after])
            if answer.hang_up_after is not None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        def _stream(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                for line in answer.pieces:
                    self.wfile.write(line.encode() + b"\n")
                    self.wfile.flush()
                    fake.wait(answer.pause)
            except OSError:
                fake.broken_off += 1

    return Handler


def _as_answer(reply: Reply) -> Answer:
    match reply:
        case Answer():
            return reply
        case str():
            return says(reply)
        case _:
            return says(json.dumps(reply, separators=(",", ":")))


def _listed(name: str, model: Installed) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-11-23T22:11:15.12791992Z",
        "size": 98362879,
        "digest": "b6f2e2c4a7ea81328b51f3d6b6bb61753d53823176f1c49a9172ce0e817d625b",
        "details": {"format": "gguf", "family": model.architecture},
        "capabilities": list(model.capabilities),
    }


def recorded() -> dict[str, Any]:
    """Return the exchanges recorded from a real server, by name."""
    lines = RECORDINGS.read_text(encoding="utf-8").splitlines()
    return {exchange["name"]: exchange for exchange in map(json.loads, lines)}


def replays(name: str) -> Answer:
    """Answer as the real server did in the recording of that name."""
    response = recorded()[name]["response"]
    status, kind = response["status"], response["content_type"]
    if "lines" in response:
        return Answer(status=status, pieces=response["lines"], content_type=kind)
    return Answer(status=status, body=response["body"], content_type=kind)
