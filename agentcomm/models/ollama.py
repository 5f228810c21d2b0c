"""Speak with a model through a local Ollama server.

The one door to the `ollama` client. Its chat cannot send `truncate`, and without it a server shortens a
prompt that does not fit and says nothing, so the chat alone is posted over the client's own connection.
A server is never believed: an answer counts only if its `done_reason`, its content and its counts fit.
"""

import asyncio
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, cast

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
from agentcomm.models.backend import Backend
from agentcomm.models.base import Capabilities, Declared, ModelReply, ModelRequest, Progress
from agentcomm.models.hearing import Hearing, broken_off, lines_of
from agentcomm.models.ollama_refusals import refusal
from agentcomm.models.queue import Places
from agentcomm.models.retry import Passing, Patience, SchemaRefused, again
from agentcomm.models.waiting import told_while
from agentcomm.models.window import Window, estimate
from agentcomm.models.wire import DIRECT, limits, tls

__all__ = ("LocalModel", "OllamaModel", "OllamaStatus", "probe")

ANSWER_SECONDS = 300.0

LOAD_SECONDS = 300.0
"""As long as the server itself waits for a model to load."""

SURELY_LOADED_SECONDS = 60.0
"""After this without a call, it is looked again whether the model is still loaded."""

THINK_DROPS_FORMAT_BEFORE = (0, 21, 1)
"""Older servers may ignore the schema when `think` is false."""

REFUSES_TRUNCATION_FROM = (0, 12, 6)
"""Older servers do not know `truncate`, and shorten what does not fit."""

DEFAULT_PATIENCE = Patience()

DEFAULT_PLACES = Places()


class LocalModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server has."""

    name: str
    capabilities: tuple[str, ...] = ()
    """Such as `completion`, `thinking`, `tools`, `embedding`; empty if the server did not say in time."""
    digest: str = ""
    """Of its weights and template, as the server counts them."""
    window: int | None = None


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


class _Piece(msgspec.Struct, frozen=True):
    """A line of a streamed chat; counts may be missing."""

    message: _Said | None = None
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Any] | None = None
    error: str | None = None


class _Card(msgspec.Struct, frozen=True):
    """What the first look at server and model showed."""

    version: tuple[int, ...]
    capabilities: tuple[str, ...] = ()


class OllamaModel(Backend):
    """A model of an Ollama server.

    Args:
        model: Its name there, such as `qwen3:4b`, or `qwen3:4b@http://gpu-box:11434` with the server's address.
        host: Address; without it the one after the name, `OLLAMA_HOST`, or this machine.
        timeout: Seconds for an answer, from sending to the last token.
        load_timeout: Seconds for loading the model before its first answer.
        keep_alive: How long the server keeps it loaded after a call: text such as `30m`, seconds, -1 for ever; without it
            the server's own.
        places: Calls under way for this model and for its server; the first model opened decides.
        patience: What to do about failures that pass by themselves.
        progress: Told when loading, a first answer or the queue takes longer than a second.
    """

    provider = "ollama"

    def __init__(
        self,
        model: str,
        *,
        host: str | None = None,
        timeout: float = ANSWER_SECONDS,
        load_timeout: float = LOAD_SECONDS,
        keep_alive: str | float | None = None,
        places: Places = DEFAULT_PLACES,
        patience: Patience = DEFAULT_PATIENCE,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(f"ollama:{model}", places=places, timeout=timeout, progress=progress)
        self._model, _, named = model.partition("@")
        self._host = host or named or None
        self._load_timeout = load_timeout
        self._keep_alive = keep_alive
        self._patience = patience
        self._client: ollama.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._card: _Card | None = None
        self._looking = asyncio.Lock()
        self._loaded = 0
        """The window it was last seen loaded with; 0 before."""
        self._seen_at = 0.0
        """When it last answered, on the monotonic clock."""
        self._sends_think = True

    def _noted(self, known: Capabilities) -> Capabilities:
        """Note that a model runs elsewhere: its server may not enforce a schema."""
        if self._model.endswith(("-cloud", ":cloud")) and not known.note:
            return msgspec.structs.replace(known, note="runs remotely: the schema may not be enforced")
        return known

    @property
    def place(self) -> str:
        """Where its server is, as it was given; part of the key under which a measurement is kept."""
        return self._host or os.environ.get("OLLAMA_HOST", "")

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            ModelUnavailable: Nobody answers, the model is not there, or the server stays busy.
            ModelTimeout: No answer within `timeout`, or not loaded within `load_timeout`.
            ModelRefused: The server rejects the request.
            ContextOverflow: The prompt does not fit, or the server seems to have shortened it.
            ModelBroken: The answer is cut off, empty or without an end, or the connection broke each time.
        """
        client = self._connected()
        address = _address(client)
        card = await self._looked(client)
        window = _windows[address, self._model]
        async with self._in_turn(address) as waited:
            size = window.take(request)
            self._check_fits(card, request, size, address)
            await self._warm(client, size)
            async with self._answering() as began:
                try:
                    heard, sent, retries = await self._answer(client, card, request, size)
                except ContextOverflow as error:
                    # The server counted, so it is known now what is needed.
                    larger = window.grow(error.tokens + request.num_predict, request)
                    if not error.tokens < larger > size:
                        raise
                    size = larger
                    await self._warm(client, size)
                    heard, sent, retries = await self._answer(client, card, request, size)
            seconds = time.perf_counter() - began
        self._seen_at = time.monotonic()
        self._check(heard, request, size, address)
        window.learn(request, heard.prompt_tokens)
        return self._reply(
            heard,
            seconds=seconds,
            waited=waited,
            num_ctx=size,
            sent=sent,
            address=address,
            retries=retries,
        )

    async def declared(self) -> Declared:
        """Return what the server says of the model.

        Raises:
            EdgeError: Nobody answers, or the model is not there.
        """
        client = self._connected()
        card = await self._looked(client)
        digest = ""
        with suppress(OSError, httpx.HTTPError, ollama.ResponseError, ValueError):
            names = {self._model, f"{self._model}:latest"}
            digest = next((m.digest or "" for m in (await client.list()).models if m.model in names), "")
        return Declared(
            thinks="thinking" in card.capabilities,
            tools="tools" in card.capabilities,
            window=_windows[_address(client), self._model].own,
            digest=digest,
            server=f"ollama {'.'.join(map(str, card.version))}",
        )

    async def close(self) -> None:
        """Close the connection; a later reply opens it again. The server keeps the model as long as `keep_alive` says."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _connected(self) -> ollama.AsyncClient:
        # A connection belongs to the event loop it was made in.
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._looking = asyncio.Lock()
            self._client, self._loop = _open(self._host, max(self._timeout, self._load_timeout)), loop
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
            window = _windows.setdefault((_address(client), self._model), Window())
            window.own = _window(shown.modelinfo or {})
            return _Card(_numbers(version), tuple(shown.capabilities or ()))

        async with self._looking:
            if self._card is None:
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

    def _check_fits(self, card: _Card, request: ModelRequest, size: int, address: str) -> None:
        """Refuse what an old server would shorten without a word.

        Raises:
            ContextOverflow: It will hardly fit, and the server is not one that says so.
        """
        needs = estimate(request.messages)
        if card.version < REFUSES_TRUNCATION_FROM and needs >= size:
            raise ContextOverflow(
                f"the prompt has about {needs} tokens and the window {size}",
                why="this server would shorten it without a word",
                fix="raise num_ctx, shorten the prompt, or use a server from 0.12.6 on, which counts and refuses",
                where=address,
            )

    async def _warm(self, client: ollama.AsyncClient, size: int) -> None:
        """Have the model loaded with this window, so that its loading is told and timed apart from the answer.

        Raises:
            EdgeError: It cannot be loaded, or not in time.
        """
        if self._loaded == size and time.monotonic() - self._seen_at < SURELY_LOADED_SECONDS:
            return
        if not await self._is_loaded(client, size):
            body = msgspec.json.encode({**self._fixed(size), "messages": [], "stream": False})

            async def load() -> None:
                with self._translated(client):
                    response = await _wire(client).post("/api/chat", content=body)
                    if response.is_error:
                        raise refusal(self._model, response.status_code, response.text, _address(client))

            try:
                async with (
                    told_while(f"loading {self.name}", self._progress),
                    asyncio.timeout(self._load_timeout),
                ):
                    await again(load, self._patience)
            except SchemaRefused as error:  # pragma: no cover  (nothing with a schema was sent)
                raise ModelRefused("the server cannot load the model", why=str(error)) from error
            except TimeoutError as error:
                raise ModelTimeout(
                    f"{self.name} was not loaded within {self._load_timeout:g} seconds",
                    why="the model is large for this machine, or others hold its memory",
                    fix="raise load_timeout, use a smaller model, or look at `ollama ps`",
                    where=_address(client),
                ) from error
        self._loaded, self._seen_at = size, time.monotonic()

    async def _is_loaded(self, client: ollama.AsyncClient, size: int) -> bool:
        with suppress(OSError, httpx.HTTPError, ollama.ResponseError, ValueError):
            names = {self._model, f"{self._model}:latest"}
            return any(m.model in names and m.context_length == size for m in (await client.ps()).models)
        return False

    def _fixed(self, size: int) -> dict[str, Any]:
        """Return what is the same in every call: another window makes the server load the model again."""
        kept = {} if self._keep_alive is None else {"keep_alive": self._keep_alive}
        return {"model": self._model, "options": {"num_ctx": size}, **kept}

    async def _answer(
        self, client: ollama.AsyncClient, card: _Card, request: ModelRequest, size: int
    ) -> tuple[Hearing, bytes, int]:
        sends_think = self._sends_think or request.think
        heard, sent, retries = await self._chat(client, request, size, sends_think=sends_think)
        if (
            request.schema is None
            or not sends_think
            or request.think
            or card.version >= THINK_DROPS_FORMAT_BEFORE
            or heard.done_reason == "length"
            or _is_json(heard.text)
        ):
            return heard, sent, retries
        second, second_sent, more = await self._chat(client, request, size, sends_think=False)
        if not _is_json(second.text):
            return heard, sent, retries + more
        self._sends_think = False
        return second, second_sent, retries + more

    async def _chat(
        self, client: ollama.AsyncClient, request: ModelRequest, size: int, *, sends_think: bool
    ) -> tuple[Hearing, bytes, int]:

        async def post(schema: Any) -> tuple[Hearing, bytes, int]:
            body = self._body(request, schema, size, sends_think=sends_think)
            heard, retries = await again(partial(self._post, client, request, body), self._patience)
            return heard, body, retries

        try:
            return await self._with_schema(request, post)
        except SchemaRefused as refused:
            raise ModelRefused(
                "the server cannot use the schema of the answer",
                why=str(refused),
                fix="use simpler types in the act: no pattern, short strings, bounds on integers only",
                where=_address(client),
            ) from refused

    def _body(self, request: ModelRequest, schema: Any, size: int, *, sends_think: bool) -> bytes:
        fixed = self._fixed(size)
        fixed["options"] |= {
            "num_predict": request.num_predict,
            "temperature": request.temperature,
            "seed": request.seed,
        }
        return msgspec.json.encode(
            {
                **fixed,
                "messages": request.messages,
                **({} if schema is None else {"format": schema}),
                # With a schema and without this field, a thinking model may answer without the schema.
                **({"think": request.think} if sends_think else {}),
                **({"logprobs": True} if request.logprobs else {}),
                "stream": True,
                "truncate": False,
                "shift": False,
            }
        )

    async def _post(self, client: ollama.AsyncClient, request: ModelRequest, body: bytes) -> Hearing:
        heard = Hearing(self.name, request)
        address = _address(client)
        try:
            with self._translated(client, heard):
                async with (
                    asyncio.timeout(self._timeout),
                    _wire(client).stream("POST", "/api/chat", content=body) as response,
                ):
                    if response.is_error:
                        text = (await response.aread()).decode(errors="replace")
                        raise refusal(self._model, response.status_code, text, address)
                    async for line in lines_of(response.aiter_bytes()):
                        self._hear(heard, line, address)
        except TimeoutError as error:
            raise self._too_late(address) from error
        if not heard.ended:
            raise Passing(broken_off(self.name, heard, address, "the stream ended without its last line"))
        return heard

    def _hear(self, heard: Hearing, line: bytes, address: str) -> None:
        piece = msgspec.json.decode(line, type=_Piece)
        if piece.error is not None:
            raise refusal(self._model, -1, piece.error, address)
        if piece.message is None:
            raise ValueError("a line has neither a message nor an error")
        heard.note(piece.logprobs or ())
        heard.add(piece.message.content, piece.message.thinking or "")
        if piece.done:
            heard.ended, heard.done_reason = True, piece.done_reason
            heard.prompt_tokens, heard.output_tokens = piece.prompt_eval_count, piece.eval_count

    def _check(self, answer: Hearing, request: ModelRequest, size: int, address: str) -> None:
        """Raise if the answer is none.

        Raises:
            ContextOverflow: The prompt seems to have been shortened, or is longer than the request allows.
            ModelBroken: The answer is cut off or empty.
        """
        count = answer.prompt_tokens
        if _windows[address, self._model].is_shortened(request, count, size):
            raise ContextOverflow(
                "the server seems to have shortened the prompt without a word",
                why=f"it counts {count} tokens in a window of {size}; the prompt has about {estimate(request.messages)}",
                fix="raise num_ctx, shorten the prompt, or use a server from 0.12.6 on, which refuses instead",
                where=address,
            )
        if count is not None and count >= request.num_ctx:  # a window that somebody else needed is larger
            raise ContextOverflow(
                f"the prompt has {count} tokens and the window {request.num_ctx}",
                fix="raise num_ctx, or shorten the prompt",
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
            case "length" if answer.output_tokens is not None and answer.output_tokens < request.num_predict:
                raise ModelBroken(
                    f"the answer of {self.name} is cut off: the window of {size} tokens is full",
                    why=f"{answer.prompt_tokens} went to the prompt, {answer.output_tokens} to the answer",
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
            case _ if not answer.text.strip():
                raise ModelBroken(
                    f"the answer of {self.name} is empty",
                    why="everything it wrote went into its thinking"
                    if answer.thinking
                    else "the server returned no text and no reason",
                    fix="use a model without thinking, or another server version"
                    if answer.thinking
                    else "ask again, or use another model",
                    where=address,
                )
            case _:
                return

    def _too_late(self, address: str) -> ModelTimeout:
        return ModelTimeout(
            f"{self.name} gave no answer within {self._timeout:g} seconds",
            why="the model is slow or stuck, or the answer is long",
            fix="raise the timeout, use a smaller model, or look at `ollama ps`",
            where=address,
        )

    @contextmanager
    def _translated(
        self, client: ollama.AsyncClient, heard: Hearing | None = None
    ) -> Generator[None, None, None]:
        """Turn what client and wire raise into this library's errors.

        Raises:
            Passing: What may be gone at the next try.
            EdgeError: What will not.
        """
        address = _address(client)
        try:
            yield
        except TimeoutError:  # ours
            raise
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Passing(_not_running(address)) from error
        except httpx.TimeoutException as error:
            raise self._too_late(address) from error
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise Passing(broken_off(self.name, heard or _NOTHING, address, why)) from error
        except ollama.ResponseError as error:
            raise refusal(self._model, error.status_code, str(error.error), address) from error
        except (ValueError, TypeError, msgspec.MsgspecError, RecursionError) as error:
            raise ModelBroken(
                "the answer is not in Ollama's form",
                why=str(error).partition("\n")[0],
                fix="check that the address is an Ollama server's",
                where=address,
            ) from error


_NOTHING = Hearing("", ModelRequest(messages=()))

_windows: dict[tuple[str, str], Window] = {}
"""Address and model -> its window: who asks for another one makes the server load it again for everybody."""


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
                listed = {m.model: m.digest or "" for m in (await client.list()).models if m.model}
        except (OSError, httpx.HTTPError, ollama.ResponseError, ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0] or f"no answer within {timeout:g} seconds"
            return OllamaStatus(address=address, running=False, error=reason)
        asked = {name: asyncio.create_task(client.show(name), name=f"show:{name}") for name in listed}
        if asked:
            await asyncio.wait(asked.values(), timeout=timeout)
        for task in asked.values():
            task.cancel()
        await asyncio.gather(*asked.values(), return_exceptions=True)
        models = tuple(
            LocalModel(name=name, digest=listed[name])
            if _failed(task)
            else LocalModel(
                name=name,
                digest=listed[name],
                capabilities=tuple(task.result().capabilities or ()),
                window=_window(task.result().modelinfo or {}),
            )
            for name, task in asked.items()
        )
        return OllamaStatus(address=address, running=True, version=version, models=models)
    finally:
        await client.close()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def _open(host: str | None, timeout: float) -> ollama.AsyncClient:
    try:
        return ollama.AsyncClient(host, timeout=limits(timeout), mounts=DIRECT, verify=tls())
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


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
