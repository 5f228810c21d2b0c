"""Run a model inside this process, without a server: llama.cpp through xllamacpp.

The one door to xllamacpp, which is the extra `embedded`. Whoever names the same file
in this process shares one loaded copy; its calls run one after another, in a thread of its own.
"""

import asyncio
import contextlib
import gc
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
)
from agentcomm.models.backend import Backend
from agentcomm.models.base import Capabilities, ModelReply, ModelRequest, Progress
from agentcomm.models.fetch import demo_model
from agentcomm.models.hearing import Hearing
from agentcomm.models.queue import Places
from agentcomm.models.retry import reduced_schema
from agentcomm.models.window import Window

__all__ = ("EmbeddedModel",)

ANSWER_SECONDS = 300.0

ONE_AT_A_TIME = Places(model=1, server=1)

PROMPT_CACHE_MB = 256
"""Prompts kept, so that agents who take turns with one model do not read their rules anew each time."""

GGUF_MAGIC = b"GGUF"

SILENT = -1
"""Verbosity at which llama.cpp writes nothing to the terminal, not even below Python."""


class EmbeddedModel(Backend):
    """A GGUF model in this process.

    Loading begins with the first reply. While a model is loaded (half a second for the demo model) the whole
    process stands still, since the engine holds the interpreter's lock.

    Cancelling a reply, or its timeout, ends the wait at once; the engine itself stops at its next token, and
    not before it has read the prompt. The next call waits for that.

    Args:
        path: A GGUF file; without it the demo model, which is fetched the first time.
        timeout: Seconds for a reply, the wait for its turn and the loading included, fetching excluded.
        threads: Threads of the engine; more than one spin on each other on a busy machine.
        progress: Told about fetching and loading.
    """

    provider = "embedded"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        timeout: float = ANSWER_SECONDS,
        threads: int = 1,
        progress: Progress | None = None,
    ) -> None:
        self._given = None if path is None else Path(path)
        name = f"embedded:{self._given or ''}"
        super().__init__(name, places=ONE_AT_A_TIME, timeout=timeout, progress=progress)
        self._path = self._given
        self._threads = threads
        self._engine: _Engine | None = None
        self._running: set[threading.Event] = set()

    def _noted(self, known: Capabilities) -> Capabilities:
        """Note that the demo model does not judge, whatever was measured."""
        if self._given is None:
            return msgspec.structs.replace(known, judges=False, note="copies values but does not judge")
        return known

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            ModelUnavailable: xllamacpp or the file is missing, or it is no model.
            ModelTimeout: No answer within `timeout`.
            ModelRefused: The engine rejects the request.
            ContextOverflow: The prompt does not fit.
            ModelBroken: The answer is cut off or empty, or the model was closed meanwhile.
        """
        stop = threading.Event()
        self._running.add(stop)
        try:
            if self._path is None:
                await asyncio.to_thread(_library)  # before 93 MB are fetched for nothing
                self._path = await asyncio.to_thread(demo_model, self._from_thread(), stop)
            engine = self._borrowed(self._path)
            body = _body(request)
            try:
                async with (
                    asyncio.timeout(self._timeout),
                    self._in_turn(str(engine.path)) as waited,
                ):
                    if stop.is_set():
                        raise self._closed()
                    await self._tell_loading(engine, request)
                    began = time.perf_counter()
                    heard = await asyncio.get_running_loop().run_in_executor(
                        engine.pool, engine.answer, self.name, request, body, stop
                    )
            except TimeoutError as error:
                raise ModelTimeout(
                    f"{self.name} gave no answer within {self._timeout:g} seconds",
                    why="this machine is too slow for the model, the prompt or the answer is long, or others are first",
                    fix="raise the timeout, shorten the prompt, or lower num_predict",
                    where=str(self._path),
                ) from error
            seconds = time.perf_counter() - began
            self._check(heard, request)
            engine.window.learn(request, heard.prompt_tokens)
            sent = msgspec.json.encode(body)
            return self._reply(heard, seconds=seconds, waited=waited, num_ctx=engine.num_ctx, sent=sent)
        finally:
            stop.set()
            self._running.discard(stop)

    async def close(self) -> None:
        """End calls under way and give back the model; the last to do so unloads it. A later reply loads it again."""
        for stop in self._running:
            stop.set()
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(_give_back, engine)

    def _borrowed(self, path: Path) -> "_Engine":
        if self._engine is None:
            self._engine = _borrow(path, self._threads)
        return self._engine

    async def _tell_loading(self, engine: "_Engine", request: ModelRequest) -> None:
        if self._progress is not None and engine.num_ctx < engine.window.take(request):
            self._progress(f"loading {engine.path.name}")
            await asyncio.sleep(0)  # to be shown before the process stands still

    def _from_thread(self) -> Progress | None:
        """Return the callback for use in another thread."""
        told = self._progress
        if told is None:
            return None
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(told, line)

        return tell

    def _closed(self) -> ModelBroken:
        return ModelBroken(
            f"{self.name} was closed while it was answering", fix="close it after the last reply"
        )

    def _check(self, heard: "_Heard", request: ModelRequest) -> None:
        if heard.stopped:
            raise self._closed()
        # A copy loaded for somebody else may have a larger window than was asked for here.
        if heard.prompt_tokens is not None and heard.prompt_tokens >= request.num_ctx:
            raise _overflow(heard.prompt_tokens, request.num_ctx)
        if heard.done_reason == "length":
            raise ModelBroken(
                f"the answer of {self.name} is cut off after {heard.output_tokens} tokens",
                why="it did not come to an end within num_predict, or the window is full",
                fix="raise num_predict or num_ctx, or bound the texts and lists of the act",
            )
        if not heard.text.strip():
            raise ModelBroken(
                f"the answer of {self.name} is empty",
                why="everything it wrote went into its thinking" if heard.thinking else "it ended at once",
                fix="use another model",
            )


class _Heard(Hearing):
    """What came from the engine, piece by piece, in its thread."""

    def __init__(self, name: str, request: ModelRequest) -> None:
        super().__init__(name, request)
        self.stopped = False
        self.error: dict[str, Any] | None = None
        self.failure: EdgeError | None = None

    def take(self, chunk: Any) -> None:
        """Add one piece of a streamed answer; nothing is raised into the engine."""
        if "error" in chunk:
            self.error = chunk["error"]
            return
        try:
            self.take_completion(chunk)
        except EdgeError as error:
            self.failure = error


class _Engine:
    """One loaded file and the thread in which it is used."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self.threads = threads
        self.users = 0
        self.num_ctx = 0
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"embedded:{path.name}")
        self._server: Any = None
        self.window = Window()

    def answer(self, name: str, request: ModelRequest, body: dict[str, Any], stop: threading.Event) -> _Heard:
        """Answer in the engine's thread, loading first if need be.

        Raises:
            EdgeError: ModelUnavailable, ModelRefused or ContextOverflow.
        """
        size = self.window.take(request)
        try:
            return self._answer(_Heard(name, request), body, size, stop)
        except ContextOverflow as error:
            # The engine counted, so it is known now what is needed.
            if (
                not error.tokens
                < (larger := self.window.grow(error.tokens + request.num_predict, request))
                > size
            ):
                raise
            return self._answer(_Heard(name, request), body, larger, stop)

    def _answer(self, heard: _Heard, body: dict[str, Any], num_ctx: int, stop: threading.Event) -> _Heard:
        if stop.is_set():
            heard.stopped = True
            return heard
        own = self.window.own
        if min(num_ctx, own or num_ctx) > self.num_ctx:
            self.unload()
            self._load(num_ctx)
        own = self.window.own
        if own is not None and self.num_ctx > own:
            self.unload()
            self._load(own)

        def hear(chunk: Any) -> bool:
            heard.take(chunk)
            heard.stopped = stop.is_set()
            return heard.stopped or heard.failure is not None

        try:
            self._server.handle_chat_completions(body, hear)
        except (ValueError, RuntimeError) as error:
            raise _rejection({"message": str(error)}, self.path) from error
        if heard.error is not None:
            raise _rejection(heard.error, self.path)
        if heard.failure is not None:
            raise heard.failure
        return heard

    def unload(self) -> None:
        """Free the memory, in the engine's thread."""
        self._server, self.num_ctx = None, 0
        gc.collect()

    def _load(self, num_ctx: int) -> None:
        server, key = _load(self.path, num_ctx, self.threads)
        self._server, self.num_ctx = server, num_ctx
        self.window.own = _own_window(server, key)


_engines: dict[Path, _Engine] = {}
_engines_lock = threading.Lock()


def _borrow(path: Path, threads: int) -> _Engine:
    with _engines_lock:
        real = path.resolve()
        engine = _engines.get(real) or _Engine(real, threads)
        _engines[real] = engine
        engine.users += 1
        return engine


def _give_back(engine: _Engine) -> None:
    with _engines_lock:
        engine.users -= 1
        if engine.users:
            return
        del _engines[engine.path]
        freed = engine.pool.submit(engine.unload)
        engine.pool.shutdown(wait=False)
    freed.result()


def _load(path: Path, num_ctx: int, threads: int) -> tuple[Any, str]:
    """Load a file; return the engine and the key of its listener.

    Raises:
        ModelUnavailable: xllamacpp or the file is missing, or it is no model.
    """
    xllamacpp = _library()
    _look_at(path)
    key = secrets.token_hex()
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = num_ctx
    settings.n_parallel = 1
    settings.cpuparams.n_threads = threads
    settings.cpuparams_batch.n_threads = threads
    settings.verbosity = SILENT
    settings.cache_ram_mib = PROMPT_CACHE_MB
    # It always listens on a port of this machine: let nobody in.
    settings.api_keys = [key]
    settings.ui = False
    settings.endpoint_slots = False
    try:
        return xllamacpp.Server(settings), key
    except RuntimeError as error:
        raise ModelUnavailable(
            "the model cannot be loaded",
            why="the file is damaged, of a kind this version of xllamacpp does not know, or too large for the memory",
            fix="check the file's checksum, or run `pip install -U xllamacpp`",
            where=str(path),
        ) from error


def _library() -> Any:
    try:
        import xllamacpp  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError as error:
        raise ModelUnavailable(
            "models inside this process need xllamacpp",
            why=str(error),
            fix="pip install xllamacpp",
        ) from error
    return xllamacpp


def _look_at(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ModelUnavailable(
            "the model file cannot be read",
            why=error.strerror or str(error),
            fix="check the path: embedded:/path/to/model.gguf",
            where=str(path),
        ) from error
    if magic != GGUF_MAGIC:
        raise ModelUnavailable(
            "the file is not a GGUF model",
            why=f"it begins with {magic!r}",
            fix="use a file in llama.cpp's GGUF format",
            where=str(path),
        )


def _own_window(server: Any, key: str) -> int | None:
    """Return the window the model was trained for, which only the listener tells."""
    with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, IndexError, TypeError):
        answer = httpx.get(
            f"{server.listening_address}/v1/models",
            headers={"Authorization": f"Bearer {key}"},
            timeout=5.0,
            trust_env=False,
        )
        return int(answer.json()["data"][0]["meta"]["n_ctx_train"])
    return None


def _body(request: ModelRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "max_tokens": request.num_predict,
        "temperature": request.temperature,
        "seed": request.seed,
        "stream": True,  # a streamed answer can be stopped
        "stream_options": {"include_usage": True},
        "chat_template_kwargs": {"enable_thinking": request.think},
    }
    if request.logprobs:
        body["logprobs"] = True
    if request.schema is not None:
        # Reduced, since what the engine does not know it writes to the terminal, or refuses.
        reduced = reduced_schema(request.schema, simple_patterns=True)
        schema = {"name": "act", "strict": True, "schema": reduced}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _rejection(error: dict[str, Any], path: Path) -> EdgeError:
    if error.get("type") == "exceed_context_size_error":
        return _overflow(error.get("n_prompt_tokens"), error.get("n_ctx"))
    return ModelRefused(
        "the engine refuses the request",
        why=str(error.get("message", error)),
        fix="use simpler types in the act if it names the schema; else use another model",
        where=str(path),
    )


def _overflow(needs: int | None, window: int | None) -> ContextOverflow:
    return ContextOverflow(
        tokens=needs or 0,
        what=f"the prompt has {needs} tokens and the window {window}",
        why="nothing of a prompt is left out in silence",
        fix="raise num_ctx, or shorten the prompt",
    )
