"""Speak with a model through a local server that offers OpenAI's chat completions: llama.cpp's server, vLLM, LM Studio.

What these servers agree on is little: the route, the messages, the streamed pieces. What they differ in is looked for and never
trusted: whether a schema is enforced, how a prompt that does not fit is told, where thinking goes, what they say they have.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import httpx
import msgspec

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    ModelBroken,
    ModelTimeout,
    ModelUnavailable,
    UsageError,
)
from agentcomm.models.backend import Backend
from agentcomm.models.base import Declared, ModelReply, ModelRequest, Progress
from agentcomm.models.hearing import Hearing, broken_off, lines_of
from agentcomm.models.openai_refusals import refusal, schema_refusal
from agentcomm.models.queue import Places
from agentcomm.models.retry import Passing, Patience, SchemaRefused, again
from agentcomm.models.waiting import told_while
from agentcomm.models.window import Window, estimate
from agentcomm.models.wire import DIRECT, limits, tls

__all__ = ("ADDRESSES", "OpenAIModel", "Served", "served_at")

ADDRESSES: Mapping[str, str] = {
    "llama.cpp": "http://127.0.0.1:8080/v1",
    "vLLM": "http://127.0.0.1:8000/v1",
    "LM Studio": "http://127.0.0.1:1234/v1",
}
"""Where each of these servers listens if it was told nothing else."""

ADDRESS_VARIABLE = "OPENAI_BASE_URL"
KEY_VARIABLE = "OPENAI_API_KEY"

ANSWER_SECONDS = 300.0
LOAD_SECONDS = 300.0
POLL_SECONDS = 0.5

DEFAULT_PATIENCE = Patience()
DEFAULT_PLACES = Places()


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server says it has."""

    name: str
    window: int | None = None
    """Tokens, as far as the server tells."""


class OpenAIModel(Backend):
    """A model of a server with OpenAI's chat completions.

    Args:
        model: Its name there; empty for the only one, as llama.cpp's server has.
        address: Up to `/v1`; without it `OPENAI_BASE_URL`.
        key: Sent as a bearer token. Without it `OPENAI_API_KEY`, but only to the address that `OPENAI_BASE_URL` names: a key
            for one server is no business of another.
        timeout: Seconds for an answer, from sending to the last token.
        load_timeout: Seconds that a server may take to be ready.
        places: Calls under way for this model and for its server; the first model opened decides.
        patience: What to do about failures that pass by themselves.
        progress: Told when loading, a first answer or the queue takes longer than a second.
    """

    provider = "openai"

    def __init__(
        self,
        model: str = "",
        address: str = "",
        *,
        key: str = "",
        timeout: float = ANSWER_SECONDS,
        load_timeout: float = LOAD_SECONDS,
        places: Places = DEFAULT_PLACES,
        patience: Patience = DEFAULT_PATIENCE,
        progress: Progress | None = None,
    ) -> None:
        given = f"{model}@{address}" if address else model
        super().__init__(f"openai:{given}", places=places, timeout=timeout, progress=progress)
        self._model = model
        self._address = (address or os.environ.get(ADDRESS_VARIABLE, "")).rstrip("/")
        self._key = key or ("" if address else os.environ.get(KEY_VARIABLE, ""))
        if not self._address.startswith(("http://", "https://")):
            known = ", ".join(f"{where} ({who})" for who, where in ADDRESSES.items())
            raise UsageError(
                f"it is not said where the server of openai:{model} is",
                why=f"the address is {self._address!r}"
                if self._address
                else f"{ADDRESS_VARIABLE} is not set",
                fix=f"write openai:{model or 'NAME'}@http://127.0.0.1:8080/v1; usual are {known}",
                code="U111",
            )
        self._load_timeout = load_timeout
        self._patience = patience
        self._wire: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking = asyncio.Lock()
        self._served: Served | None = None
        self._window = Window()
        self._as_object = False
        """Whether it takes a schema as llama-cpp-python does: beside `json_object`, as there was no `json_schema` yet."""

    @property
    def place(self) -> str:
        """The address; part of the key under which a measurement is kept."""
        return self._address

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            ModelUnavailable: Nobody answers, the model is not there, or the server stays busy.
            ModelTimeout: No answer within `timeout`, or not ready within `load_timeout`.
            ModelRefused: The server rejects the request.
            ContextOverflow: The prompt does not fit, or the server seems to have shortened it.
            ModelBroken: The answer is cut off, empty or without an end, or the connection broke each time.
        """
        wire = self._connected()
        served = await self._looked(wire)
        size = min(request.num_ctx, served.window or request.num_ctx)
        async with self._in_turn(self._address) as waited, self._answering() as began:
            heard, sent, retries = await self._answer(wire, served, request)
            seconds = time.perf_counter() - began
        self._check(heard, request, size)
        self._window.learn(request, heard.prompt_tokens)
        return self._reply(
            heard,
            seconds=seconds,
            waited=waited,
            num_ctx=served.window or 0,
            sent=sent,
            address=self._address,
            retries=retries,
        )

    async def declared(self) -> Declared:
        """Return what the server says of the model.

        Raises:
            EdgeError: Nobody answers, or the model is not there.
        """
        served = await self._looked(self._connected())
        return Declared(
            window=served.window, server=f"chat completions at {self._address}", digest=served.name
        )

    async def close(self) -> None:
        """Close the connection; a later reply opens it again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose()

    def _connected(self) -> httpx.AsyncClient:
        # A connection belongs to the event loop it was made in.
        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            self._looking = asyncio.Lock()
            self._wire, self._loop = _open(self._address, self._key, self._timeout), loop
        return self._wire

    async def _looked(self, wire: httpx.AsyncClient) -> Served:
        async with self._looking:
            if self._served is None:
                async with told_while(f"waiting for {self._address} to be ready", self._progress):
                    self._served = self._found(await self._list(wire))
            return self._served

    async def _list(self, wire: httpx.AsyncClient) -> tuple[Served, ...]:
        """Return what the server has, waiting while it loads."""
        until = time.monotonic() + self._load_timeout
        while time.monotonic() < until:
            with self._translated():
                response = await wire.get("models")
                if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    break
            await asyncio.sleep(POLL_SECONDS)
        else:
            raise ModelTimeout(
                f"the server was not ready within {self._load_timeout:g} seconds",
                why="the model is large for this machine, or it cannot be loaded",
                fix="raise load_timeout, use a smaller model, or look at the server's log",
                where=self._address,
            )
        if response.is_error:
            error = refusal(self.name, response.status_code, response.text, self._address)
            raise error.error if isinstance(error, Passing) else error
        with self._translated():
            return _served(response.content)

    def _found(self, models: tuple[Served, ...]) -> Served:
        if not self._model and len(models) == 1:
            return models[0]
        for model in models:
            if model.name == self._model:
                return model
        names = ", ".join(model.name for model in models)
        if not self._model:
            raise ModelUnavailable(
                "the server has several models, and none is named" if models else "the server has no model",
                why=f"it has {names}" if names else "its list is empty",
                fix=f"write openai:NAME@{self._address}" if models else "load one in it",
                where=self._address,
            )
        raise ModelUnavailable(
            f"the server has no model {self._model!r}",
            why=f"it has {names}" if names else "it has no models yet",
            fix=_get(self._model, models, self._address),
            where=self._address,
        )

    async def _answer(
        self, wire: httpx.AsyncClient, served: Served, request: ModelRequest
    ) -> tuple[Hearing, bytes, int]:
        async def post(schema: Any) -> tuple[Hearing, bytes, int]:
            body = _body(served.name, request, schema, as_object=self._as_object)
            try:
                heard, retries = await again(partial(self._post, wire, request, body), self._patience)
            except SchemaRefused as refused:
                if self._as_object or "json_object" not in str(refused):
                    raise
                self._as_object = True
                return await post(schema)
            return heard, body, retries

        try:
            return await self._with_schema(request, post)
        except SchemaRefused as refused:
            raise schema_refusal(str(refused), self._address) from refused

    async def _post(self, wire: httpx.AsyncClient, request: ModelRequest, body: bytes) -> Hearing:
        heard = Hearing(self.name, request)
        try:
            with self._translated(heard):
                async with (
                    asyncio.timeout(self._timeout),
                    wire.stream("POST", "chat/completions", content=body) as response,
                ):
                    if response.is_error:
                        text = (await response.aread()).decode(errors="replace")
                        raise refusal(self.name, response.status_code, text, self._address)
                    await self._hear(heard, lines_of(response.aiter_bytes()))
        except TimeoutError as error:
            raise self._too_late() from error
        if not heard.ended:
            raise Passing(
                broken_off(self.name, heard, self._address, "the stream ended without its last piece")
            )
        return heard

    async def _hear(self, heard: Hearing, lines: AsyncIterator[bytes]) -> None:
        """Read server-sent events, or the one body of a server that does not stream."""
        async for line in lines:
            if line.startswith((b":", b"event:", b"id:", b"retry:")):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                break
            chunk: Any = msgspec.json.decode(data)
            if not isinstance(chunk, dict):
                raise ValueError("a piece is not a JSON object")
            piece = cast("dict[str, Any]", chunk)
            if piece.get("error"):
                raise refusal(self.name, -1, data.decode(errors="replace"), self._address)
            heard.take_completion(piece)
        heard.ended = bool(heard.done_reason)

    def _check(self, answer: Hearing, request: ModelRequest, size: int) -> None:
        count = answer.prompt_tokens
        if self._window.is_shortened(request, count, size):
            raise ContextOverflow(
                "the server seems to have shortened the prompt without a word",
                why=f"it counts {count} tokens; the prompt has about {estimate(request.messages)}",
                fix="start it with a larger window, or shorten the prompt",
                where=self._address,
            )
        if count is not None and count >= size:
            raise ContextOverflow(
                f"the prompt has {count} tokens and the window {size}",
                fix="raise num_ctx, or shorten the prompt",
                where=self._address,
            )
        if answer.done_reason == "length":
            has_room = answer.output_tokens is None or answer.output_tokens >= request.num_predict
            raise ModelBroken(
                f"the answer of {self.name} is cut off after {answer.output_tokens or request.num_predict} tokens",
                why="it did not come to an end within num_predict"
                if has_room
                else "the server's window is full",
                fix="raise num_predict, or bound the texts and lists of the act"
                if has_room
                else "start the server with a larger window, or shorten the prompt",
                where=self._address,
            )
        if answer.done_reason == "content_filter":
            raise ModelBroken(
                f"the answer of {self.name} was held back by a filter",
                fix="ask otherwise",
                where=self._address,
            )
        if not answer.text.strip():
            raise ModelBroken(
                f"the answer of {self.name} is empty",
                why="everything it wrote went into its thinking"
                if answer.thinking
                else "the server returned no text and no reason",
                fix="use a model without thinking, or start the server without it"
                if answer.thinking
                else "ask again, or use another model",
                where=self._address,
            )

    def _too_late(self) -> ModelTimeout:
        return ModelTimeout(
            f"{self.name} gave no answer within {self._timeout:g} seconds",
            why="the model is slow or stuck, or the answer is long",
            fix="raise the timeout, or use a smaller model",
            where=self._address,
        )

    @contextmanager
    def _translated(self, heard: Hearing | None = None) -> Generator[None, None, None]:
        """Turn what the wire raises into this library's errors.

        Raises:
            Passing: What may be gone at the next try.
            EdgeError: What will not.
        """
        try:
            yield
        except TimeoutError:  # ours
            raise
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            down = ModelUnavailable(
                "no server answers",
                why="the connection was refused or not made in time",
                fix="start it, or check the address; `agentcomm doctor` looks where such servers usually are",
                where=self._address,
            )
            raise (Passing(down) if heard is not None else down) from error
        except httpx.TimeoutException as error:
            raise self._too_late() from error
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            nothing = Hearing(self.name, ModelRequest(messages=()))
            broken: EdgeError = broken_off(self.name, heard or nothing, self._address, why)
            raise (Passing(broken) if heard is not None else broken) from error
        except (ValueError, TypeError, AttributeError, msgspec.MsgspecError, RecursionError) as error:
            raise ModelBroken(
                "the answer is not in the form of chat completions",
                why=str(error).partition("\n")[0],
                fix="check the address: it ends in /v1, and a server with OpenAI's routes is there",
                where=self._address,
            ) from error


async def served_at(address: str, timeout: float = 0.5) -> tuple[Served, ...] | None:  # noqa: ASYNC109 - also bounds the connection
    """Return what a server has; None if there is none that speaks chat completions. Never raises for what it finds."""
    try:
        wire = _open(address, "", timeout)
        async with wire, asyncio.timeout(timeout):
            response = await wire.get("models")
            return None if response.is_error else _served(response.content)
    except (OSError, UsageError, httpx.HTTPError, ValueError, TypeError):
        return None


def _open(address: str, key: str, timeout: float) -> httpx.AsyncClient:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        return httpx.AsyncClient(
            base_url=f"{address}/", headers=headers, timeout=limits(timeout), mounts=DIRECT, verify=tls()
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            "the address of the server cannot be read",
            why=str(error),
            fix="write it as http://127.0.0.1:8080/v1",
            where=address,
            code="U111",
        ) from error


def _body(model: str, request: ModelRequest, schema: Any, *, as_object: bool = False) -> bytes:
    if as_object:
        form: dict[str, Any] = {"type": "json_object", "schema": schema}
    else:
        named = {"name": "answer", "strict": True, "schema": schema}
        form = {"type": "json_schema", "json_schema": named}
    return msgspec.json.encode(
        {
            "model": model,
            "messages": request.messages,
            "max_tokens": request.num_predict,
            "temperature": request.temperature,
            "seed": request.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"logprobs": True} if request.logprobs else {}),
            **({} if schema is None else {"response_format": form}),
            # Of llama.cpp and vLLM; servers that have no such field leave it out of account.
            "chat_template_kwargs": {"enable_thinking": request.think},
        }
    )


class _Listed(msgspec.Struct, frozen=True):
    id: str
    max_model_len: int | None = None
    max_context_length: int | None = None
    meta: dict[str, Any] | None = None


class _List(msgspec.Struct, frozen=True):
    data: list[_Listed]


def _served(body: bytes) -> tuple[Served, ...]:
    """Read a server's list; each tells a window under another name, if at all."""
    return tuple(
        Served(
            name=entry.id,
            window=entry.max_model_len
            or entry.max_context_length
            or _whole((entry.meta or {}).get("n_ctx"))
            or _whole((entry.meta or {}).get("n_ctx_train")),
        )
        for entry in msgspec.json.decode(body, type=_List).data
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _get(name: str, models: tuple[Served, ...], address: str) -> str:
    if models:
        return f"use openai:{models[0].name}@{address}, or load {name} there: llama-server -m FILE --alias {name}; vllm serve {name}; lms load {name}"
    return f"load it there: llama-server -m FILE --alias {name}; vllm serve {name}; lms load {name}"
