"""Speak with a model through a local Ollama server.

The one door to the `ollama` client. Its chat cannot send `truncate`, and without it a server shortens a
prompt that does not fit and says nothing, so the chat alone is posted over the client's own connection.
A server is never believed: an answer counts only if its `done_reason`, its content and its counts fit.
Long, because the ways in which a server fails are read best in one place.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx
import msgspec
import ollama

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
    UsageError,
)
from agentcomm.models.base import Capabilities, ModelReply, ModelRequest, Progress
from agentcomm.models.retry import Passing, Patience, again, reduced_schema

__all__ = ("LocalModel", "OllamaModel", "OllamaStatus", "probe")

ANSWER_SECONDS = 300.0
"""Silence after which a call is given up; as long as the server itself waits for a model to load."""

CONNECT_SECONDS = 5.0

PLACES = 2
"""Calls under way at one host; a server runs one at a time unless told otherwise, the other waits there."""

SLOW_SECONDS = 1.0
"""After this a first answer is announced as slow."""

THINK_DROPS_FORMAT_BEFORE = (0, 21, 1)
"""Older servers may ignore the schema when `think` is false."""

BYTES_PER_TOKEN = 4
"""For estimates; low for prose, high for digits."""

HALF_WINDOW_SLACK = 4
"""Tokens by which the count of a silently shortened prompt was seen to differ from half the window."""

DIRECT = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))
"""This machine is reached without a proxy, as Ollama's own command does."""

DEFAULT_PATIENCE = Patience()


class LocalModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server has."""

    name: str
    capabilities: tuple[str, ...] = ()
    """Such as `completion`, `thinking`, `tools`, `embedding`; empty if the server did not say in time."""


class OllamaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a server showed."""

    address: str
    running: bool
    version: str = ""
    models: tuple[LocalModel, ...] = ()
    error: str = ""
    """Why it is not running, or what it could not tell."""


class _Said(msgspec.Struct, frozen=True):
    content: str = ""
    thinking: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    """The body of a chat's response; counts may be missing."""

    message: _Said
    done_reason: str = ""
    prompt_eval_count: int | None = None
    eval_count: int | None = None


class _Card(msgspec.Struct, frozen=True):
    """What the first look at server and model showed."""

    version: tuple[int, ...]
    window: int | None


class _SchemaRefused(Exception):
    """The server cannot make a grammar of the schema."""


class OllamaModel:
    """A model of an Ollama server.

    Args:
        model: Its name there, such as `qwen3:4b`.
        host: Address; without it `OLLAMA_HOST`, or this machine.
        timeout: Seconds of silence after which a call is given up.
        places: Calls under way at this host, for all models together; the first model opened decides.
        patience: What to do about failures that pass by themselves.
        progress: Told when the first answer is slow, as the server may be loading the model.
    """

    def __init__(
        self,
        model: str,
        *,
        host: str | None = None,
        timeout: float = ANSWER_SECONDS,
        places: int = PLACES,
        patience: Patience = DEFAULT_PATIENCE,
        progress: Progress | None = None,
    ) -> None:
        self._model = model
        self._host = host
        self._timeout = timeout
        self._places = places
        self._patience = patience
        self._progress = progress
        self._client: ollama.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._card: _Card | None = None
        self._answered = False
        self._sends_think = True

    @property
    def name(self) -> str:
        """Such as `ollama:qwen3:4b`."""
        return f"ollama:{self._model}"

    @property
    def provider(self) -> str:
        """`ollama`."""
        return "ollama"

    @property
    def capabilities(self) -> Capabilities:
        """A model run elsewhere is noted: its server accepts a schema and may not enforce it."""
        remote = self._model.endswith(("-cloud", ":cloud"))
        return Capabilities(note="runs remotely: the schema may not be enforced" if remote else "")

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            ModelUnavailable: Nobody answers, the model is not there, or the server stays busy.
            ModelTimeout: Silence for longer than `timeout`.
            ModelRefused: The server rejects the request.
            ContextOverflow: The prompt does not fit, or the server seems to have shortened it.
            ModelBroken: The answer is cut off or empty, or the connection broke each time.
        """
        client = self._connected()
        card = await self._looked(client)
        if card.window is not None and request.num_ctx > card.window:
            request = msgspec.structs.replace(request, num_ctx=card.window)
        async with self._place(client):
            began = time.perf_counter()
            with self._announced():
                answer, sent, retries = await self._answer(client, card, request)
            seconds = time.perf_counter() - began
        self._answered = True
        self._check(answer, request, _address(client))
        return ModelReply(
            text=answer.message.content,
            model=self.name,
            done_reason=answer.done_reason,
            prompt_tokens=answer.prompt_eval_count,
            output_tokens=answer.eval_count,
            thinking=answer.message.thinking or "",
            seconds=seconds,
            sent=sent,
            address=_address(client),
            transport_retries=retries,
        )

    async def close(self) -> None:
        """Close the connection; a later reply opens it again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _connected(self) -> ollama.AsyncClient:
        # A connection belongs to the event loop it was made in.
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = _open(self._host, self._timeout), loop
        return self._client

    async def _looked(self, client: ollama.AsyncClient) -> _Card:
        if self._card is not None:
            return self._card

        async def look() -> _Card:
            with self._translated(client):
                version = await _version(client)
                try:
                    shown = await client.show(self._model)
                except ollama.ResponseError as error:
                    if error.status_code != HTTPStatus.NOT_FOUND:
                        raise
                    raise await self._missing(client) from error
            return _Card(_numbers(version), _window(shown.modelinfo or {}))

        # Once only: a server that is not running is told at once.
        self._card, _ = await again(look, Patience(tries=1))
        return self._card

    async def _missing(self, client: ollama.AsyncClient) -> ModelUnavailable:
        try:
            names = [model.model for model in (await client.list()).models if model.model]
        except (OSError, httpx.HTTPError, ollama.ResponseError, ValueError):
            names = []
        return ModelUnavailable(
            f"Ollama has no model {self._model!r}",
            why=f"it has {', '.join(names)}" if names else "it has no models yet",
            fix=f"ollama pull {self._model}",
            where=_address(client),
        )

    @asynccontextmanager
    async def _place(self, client: ollama.AsyncClient) -> AsyncGenerator[None, None]:
        hosts = _places.setdefault(asyncio.get_running_loop(), {})
        async with hosts.setdefault(_address(client), asyncio.Semaphore(self._places)):
            yield

    @contextmanager
    def _announced(self) -> Generator[None, None, None]:
        if self._progress is None or self._answered:
            yield
            return
        line = f"waiting for the first answer of {self.name}; the server may be loading it"
        timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._progress, line)
        try:
            yield
        finally:
            timer.cancel()

    async def _answer(
        self, client: ollama.AsyncClient, card: _Card, request: ModelRequest
    ) -> tuple[_Answer, bytes, int]:
        answer, sent, retries = await self._chat(client, request, think=self._sends_think)
        if (
            request.schema is None
            or not self._sends_think
            or card.version >= THINK_DROPS_FORMAT_BEFORE
            or answer.done_reason == "length"
            or _is_json(answer.message.content)
        ):
            return answer, sent, retries
        second, second_sent, more = await self._chat(client, request, think=False)
        if not _is_json(second.message.content):
            return answer, sent, retries + more
        self._sends_think = False
        return second, second_sent, retries + more

    async def _chat(
        self, client: ollama.AsyncClient, request: ModelRequest, *, think: bool
    ) -> tuple[_Answer, bytes, int]:
        """Ask once, and once more with a reduced schema if the server cannot use this one.

        Args:
            client: The connection.
            request: What to ask.
            think: Whether to send the field `think`; its value is always false.
        """
        schemas = [request.schema]
        if request.schema is not None and (reduced := reduced_schema(request.schema)) != request.schema:
            schemas.append(reduced)
        reason = ""
        for schema in schemas:
            body = self._body(request, schema, think=think)
            try:
                answer, retries = await again(partial(self._post, client, body), self._patience)
            except _SchemaRefused as refused:
                reason = str(refused)
            else:
                return answer, body, retries
        raise ModelRefused(
            "the server cannot use the schema of the answer",
            why=reason,
            fix="use simpler types in the act: no pattern, short strings, bounds on integers only",
            where=_address(client),
        )

    def _body(self, request: ModelRequest, schema: Any, *, think: bool) -> bytes:
        return msgspec.json.encode(
            {
                "model": self._model,
                "messages": request.messages,
                **({} if schema is None else {"format": schema}),
                # With a schema and without this field, a thinking model may answer without the schema.
                **({"think": False} if think else {}),
                "stream": False,
                # Always the same keys: another set of options makes the server load the model again.
                "options": {
                    "num_ctx": request.num_ctx,
                    "num_predict": request.num_predict,
                    "temperature": request.temperature,
                    "seed": request.seed,
                },
                "truncate": False,
                "shift": False,
            }
        )

    async def _post(self, client: ollama.AsyncClient, body: bytes) -> _Answer:
        with self._translated(client):
            response = await _wire(client).post("/api/chat", content=body)
            if response.is_error:
                raise self._refusal(response.status_code, response.text, _address(client))
            return msgspec.json.decode(response.content, type=_Answer)

    def _check(self, answer: _Answer, request: ModelRequest, address: str) -> None:
        """Raise if the answer is none.

        Raises:
            ContextOverflow: The prompt seems to have been shortened.
            ModelBroken: The answer is cut off or empty.
        """
        if _is_shortened(answer, request):
            raise ContextOverflow(
                "the server seems to have shortened the prompt without a word",
                why=f"it counts {answer.prompt_eval_count} tokens, half the window of {request.num_ctx}; "
                f"the prompt has about {_estimate(request)}",
                fix="raise num_ctx, shorten the prompt, or use a server from 0.12.6 on, which refuses instead",
                where=address,
            )
        match answer.done_reason:
            case "load" | "unload" as done:
                raise ModelBroken(
                    f"{self.name} was {done}ed and gave no answer",
                    why=f"the server ended the call with {done!r}",
                    fix="ask again",
                    where=address,
                )
            case "length" if answer.eval_count is not None and answer.eval_count < request.num_predict:
                raise ModelBroken(
                    f"the answer of {self.name} is cut off: the window of {request.num_ctx} tokens is full",
                    why=f"{answer.prompt_eval_count} went to the prompt, {answer.eval_count} to the answer",
                    fix="raise num_ctx or shorten the prompt",
                    where=address,
                )
            case "length":
                raise ModelBroken(
                    f"the answer of {self.name} is cut off after {request.num_predict} tokens",
                    why="it did not come to an end within num_predict",
                    fix="raise num_predict, or bound the texts and lists of the act",
                    where=address,
                )
            case _ if not answer.message.content.strip():
                raise ModelBroken(
                    f"the answer of {self.name} is empty",
                    why="everything it wrote went into its thinking"
                    if answer.message.thinking
                    else "the server returned no text and no reason",
                    fix="use a model without thinking, or another server version"
                    if answer.message.thinking
                    else "ask again, or use another model",
                    where=address,
                )
            case _:
                return

    @contextmanager
    def _translated(self, client: ollama.AsyncClient) -> Generator[None, None, None]:
        """Turn what client and wire raise into this library's errors.

        Raises:
            Passing: What may be gone at the next try.
            EdgeError: What will not.
        """
        address = _address(client)
        try:
            yield
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Passing(_not_running(address)) from error
        except httpx.TimeoutException as error:
            raise ModelTimeout(
                f"{self.name} gave no answer within {self._timeout:g} seconds",
                why="the model is loading, slow or stuck",
                fix="raise the timeout, use a smaller model, or look at `ollama ps`",
                where=address,
            ) from error
        except httpx.TransportError as error:
            raise Passing(
                ModelBroken(
                    "the connection broke before the answer was complete",
                    why=str(error) or type(error).__name__,
                    fix="look at the server's log; it may have run out of memory",
                    where=address,
                )
            ) from error
        except ollama.ResponseError as error:
            raise self._refusal(error.status_code, str(error.error), address) from error
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise ModelBroken(
                "the answer is not in Ollama's form",
                why=str(error).partition("\n")[0],
                fix="check that the address is an Ollama server's",
                where=address,
            ) from error

    def _refusal(self, status: int, text: str, address: str) -> Exception:
        """Return the error that an HTTP status and its body mean."""
        details = _unwrapped(text)
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
                    f"the process that runs {self.name} died while it was answering",
                    why=message,
                    fix="look at the server's log; a smaller model or num_ctx needs less memory",
                    where=address,
                )
            )
        if details.get("type") == "exceed_context_size_error" or (
            "exceeds the" in lower and "context" in lower
        ):
            needs, window = details.get("n_prompt_tokens"), details.get("n_ctx")
            return ContextOverflow(
                f"the prompt has {needs} tokens and the window {window}"
                if needs and window
                else "the prompt does not fit the window",
                why=message,
                fix="raise num_ctx, or shorten the prompt",
                where=address,
            )
        if any(word in lower for word in ("json_schema", "json schema", "grammar", "invalid format")):
            return _SchemaRefused(message)
        if status == HTTPStatus.NOT_FOUND and "model" in lower:
            return ModelUnavailable(
                f"Ollama has no model {self._model!r}",
                why=message,
                fix=f"ollama pull {self._model}",
                where=address,
            )
        if status == HTTPStatus.NOT_FOUND:
            return ModelUnavailable(
                "something else than Ollama answers here",
                why=message,
                fix="check OLLAMA_HOST or the host given",
                where=address,
            )
        if "more system memory" in lower:
            return ModelUnavailable(
                f"{self.name} does not fit into memory",
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
                f"{self.name} cannot do what is asked",
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


_places: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


async def probe(host: str | None = None, timeout: float = 1.0) -> OllamaStatus:  # noqa: ASYNC109 - also bounds each connection
    """Look whether a server runs and what it has; never raises for what it finds.

    Args:
        host: Address; without it `OLLAMA_HOST`, or this machine.
        timeout: Seconds for the server and its list, and as many again for what each model can do.
    """
    try:
        client = _open(host, timeout)
    except UsageError as error:
        return OllamaStatus(address=host or "", running=False, error=error.what)
    address = _address(client)
    try:
        try:
            async with asyncio.timeout(timeout):
                version = await _version(client)
                names = [model.model for model in (await client.list()).models if model.model]
        except (OSError, httpx.HTTPError, ollama.ResponseError, ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0] or f"no answer within {timeout:g} seconds"
            return OllamaStatus(address=address, running=False, error=reason)
        asked = {name: asyncio.create_task(client.show(name), name=f"show:{name}") for name in names}
        if asked:
            await asyncio.wait(asked.values(), timeout=timeout)
        for task in asked.values():
            task.cancel()
        await asyncio.gather(*asked.values(), return_exceptions=True)
        models = tuple(
            LocalModel(
                name=name, capabilities=() if _failed(task) else tuple(task.result().capabilities or ())
            )
            for name, task in asked.items()
        )
        return OllamaStatus(address=address, running=True, version=version, models=models)
    finally:
        await client.close()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def _open(host: str | None, timeout: float) -> ollama.AsyncClient:
    limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
    try:
        return ollama.AsyncClient(host, timeout=limits, mounts=DIRECT)
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            "the address of the Ollama server cannot be read",
            why=str(error),
            fix="write it as http://127.0.0.1:11434, in OLLAMA_HOST or as host",
            where=host or "OLLAMA_HOST",
        ) from error


def _wire(client: ollama.AsyncClient) -> httpx.AsyncClient:
    """Return the connection of the client, which has no public name."""
    return cast("httpx.AsyncClient", client._client)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]


def _address(client: ollama.AsyncClient) -> str:
    return str(_wire(client).base_url).rstrip("/")


async def _version(client: ollama.AsyncClient) -> str:
    """Return the server's version, which the client cannot ask for.

    Raises:
        ValueError: Somebody else answers.
    """
    response = await _wire(client).get("/api/version")
    if response.is_error:
        raise ollama.ResponseError(response.text, response.status_code)
    found: Any = response.json()
    return str(found["version"])


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.partition("-")[0].split(".")
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)


def _window(info: Any) -> int | None:
    found = info.get(f"{info.get('general.architecture')}.context_length")
    return found if isinstance(found, int) and found > 0 else None


def _not_running(address: str) -> EdgeError:
    return ModelUnavailable(
        "no Ollama server answers",
        why="the connection was refused or not made in time",
        fix="start it with `ollama serve`, or use the model `embedded:`, which needs no server",
        where=address,
    )


def _unwrapped(text: str) -> dict[str, Any]:
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


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _estimate(request: ModelRequest) -> int:
    return sum(len(message.content.encode()) for message in request.messages) // BYTES_PER_TOKEN


def _is_shortened(answer: _Answer, request: ModelRequest) -> bool:
    """Tell whether a prompt was cut to half the window, as servers before 0.12.6 do in silence."""
    half = request.num_ctx // 2
    count = answer.prompt_eval_count
    # 1.4: prose that fits is estimated at up to 1.2 of its count, data cut to half at 1.5 and more.
    return count is not None and abs(count - half) <= HALF_WINDOW_SLACK and _estimate(request) > 1.4 * count
