"""The client of OpenAI-compatible servers against what llama.cpp's server, vLLM and LM Studio answer."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from fake_ollama import Answer
from fake_openai import FakeOpenAI, at_once, events, loading, refuses, says, too_long

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
    UsageError,
)
from agentcomm.models.base import ChatMessage, ModelReply, ModelRequest, Token
from agentcomm.models.openai import OpenAIModel, served_at
from agentcomm.models.queue import Places
from agentcomm.models.retry import Patience

SCHEMA = {"type": "object", "properties": {"act": {"const": "agree"}}, "required": ["act"]}
AT_ONCE = Patience(tries=3, first_wait=0.0)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("agentcomm.models.openai.POLL_SECONDS", 0.01)


def request(text: str = "cfp item='city bike'", **changes: Any) -> ModelRequest:
    return ModelRequest(**{"messages": (ChatMessage("user", text),), "schema": SCHEMA, **changes})


async def ask(
    server: FakeOpenAI | str, asked: ModelRequest | None = None, *, named: str = "demo", **options: Any
) -> ModelReply:
    address = server if isinstance(server, str) else server.address
    model = OpenAIModel(named, address, **{"patience": AT_ONCE, **options})
    try:
        return await model.reply(asked or request())
    finally:
        await model.close()


async def until(happened: Callable[[], object]) -> None:
    for _ in range(1000):
        if happened():
            return
        await asyncio.sleep(0.01)


async def test_a_reply_is_put_together_from_its_pieces() -> None:
    async with FakeOpenAI([{"act": "agree"}]) as server:
        reply = await ask(server)
        assert reply.text == '{"act":"agree"}'
        assert (reply.prompt_tokens, reply.output_tokens, reply.done_reason) == (151, 30, "stop")
        assert (reply.model, reply.address) == (f"openai:demo@{server.address}", server.address)
        assert (reply.num_ctx, reply.transport_retries) == (8192, 0)


async def test_what_is_asked() -> None:
    async with FakeOpenAI([{}]) as server:
        reply = await ask(server, request(num_predict=99, temperature=0.5, seed=7))
        seen = server.chats[0]
        assert seen.raw == reply.sent
        assert seen.body == {
            "model": "demo",
            "messages": [{"role": "user", "content": "cfp item='city bike'"}],
            "max_tokens": 99,
            "temperature": 0.5,
            "seed": 7,
            "stream": True,
            "stream_options": {"include_usage": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
            },
            "chat_template_kwargs": {"enable_thinking": False},
        }


async def test_a_server_that_cannot_stream_is_understood() -> None:
    async with FakeOpenAI([at_once("{}")]) as server:
        reply = await ask(server)
        assert (reply.text, reply.prompt_tokens) == ("{}", 9)


async def test_thinking_and_log_probabilities_are_kept_apart() -> None:
    logprobs = [{"token": "{}", "logprob": -0.25, "top_logprobs": []}, "?"]
    async with FakeOpenAI([says("{}", thinking="the price is fair", logprobs=logprobs)]) as server:
        reply = await ask(server, request(logprobs=True, think=True))
        assert server.chats[0].body["logprobs"] is True
        assert server.chats[0].body["chat_template_kwargs"] == {"enable_thinking": True}
    assert (reply.text, reply.thinking) == ("{}", "the price is fair")
    assert reply.logprobs == (Token("{}", -0.25),)


# --- names, addresses, keys ---


def test_without_an_address_the_usual_ones_are_told() -> None:
    with pytest.raises(UsageError) as caught:
        OpenAIModel("qwen3")
    assert caught.value.code == "U111"
    assert "openai:qwen3@http://127.0.0.1:8080/v1" in caught.value.fix
    assert "1234/v1 (LM Studio)" in caught.value.fix


async def test_the_address_and_its_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeOpenAI([{}], before={}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/")
        monkeypatch.setenv("OPENAI_API_KEY", "sesame")
        model = OpenAIModel("demo")
        assert model.name == "openai:demo"
        await model.reply(request())
        await model.close()
        assert model._key == "sesame"


def test_a_key_is_not_sent_to_an_address_it_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    assert OpenAIModel("demo", "http://127.0.0.1:8080/v1")._key == ""
    assert OpenAIModel("demo", "http://127.0.0.1:8080/v1", key="other")._key == "other"


async def test_the_only_model_needs_no_name() -> None:
    async with FakeOpenAI([{}], served=[{"id": "/models/a.gguf", "meta": {"n_ctx_train": 2048}}]) as server:
        model = OpenAIModel("", server.address)
        assert (await model.reply(request())).num_ctx == 2048
        await model.close()
        assert server.chats[0].body["model"] == "/models/a.gguf"


async def test_among_several_a_name_is_needed() -> None:
    async with FakeOpenAI(served=[{"id": "a"}, {"id": "b"}]) as server:
        with pytest.raises(ModelUnavailable, match="several models") as caught:
            await ask(server, named="")
        assert caught.value.why == "it has a, b"


async def test_a_model_that_is_not_there_is_told_with_the_commands_that_get_it() -> None:
    async with FakeOpenAI(served=[{"id": "other"}]) as server:
        with pytest.raises(ModelUnavailable, match="no model 'demo'") as caught:
            await ask(server)
        assert f"openai:other@{server.address}" in caught.value.fix
        assert "vllm serve demo" in caught.value.fix
        assert "lms load demo" in caught.value.fix


async def test_nobody_at_the_address_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(ModelUnavailable, match="no server answers"):
        await ask(f"http://127.0.0.1:{port}/v1")


async def test_an_address_without_its_routes_is_told() -> None:
    async with FakeOpenAI() as server:
        with pytest.raises(ModelUnavailable, match="no chat completions at this address"):
            await ask(server.url)


# --- loading, queue, cancellation, time ---


async def test_a_server_that_loads_is_waited_for_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentcomm.models.waiting.FIRST_SECONDS", 0.02)
    lines: list[str] = []
    async with FakeOpenAI([{}], loads_for=10) as server:
        assert (await ask(server, progress=lines.append)).text == "{}"
    assert lines[0] == f"waiting for {server.address} to be ready"


async def test_a_server_that_loads_for_ever_is_given_up() -> None:
    async with FakeOpenAI([{}], loads_for=10_000) as server:
        with pytest.raises(ModelTimeout, match="not ready"):
            await ask(server, load_timeout=0.1)


async def test_calls_wait_in_order() -> None:
    async with FakeOpenAI([says("{}", delay=0.02)], repeat=True) as server:
        model = OpenAIModel("demo", server.address, places=Places(model=1))
        replies = await asyncio.gather(*(model.reply(request(str(n))) for n in range(4)))
        await model.close()
        assert [chat.body["messages"][0]["content"] for chat in server.chats] == ["0", "1", "2", "3"]
        assert replies[3].waited > replies[0].waited


async def test_a_cancelled_call_stops_the_server() -> None:
    chunk = {"choices": [{"delta": {"content": "x"}}]}
    async with FakeOpenAI([events(*[chunk] * 10_000, pause=0.005)]) as server:
        task = asyncio.create_task(ask(server, request(num_predict=100_000)))
        await until(lambda: server.chats)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.broken_off)
        assert server.broken_off == 1


async def test_an_answer_has_its_time() -> None:
    async with FakeOpenAI([says("{}", delay=5.0)]) as server:
        with pytest.raises(ModelTimeout, match=r"within 0\.2 seconds"):
            await ask(server, timeout=0.2)


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (too_long(7614, 4096), ContextOverflow, "7614 tokens"),
        (
            refuses(
                400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"
            ),
            ContextOverflow,
            "maximum context length",
        ),
        (
            Answer(
                status=400,
                body='{"error": "Trying to keep the first 5000 tokens when context the overflows."}',
            ),
            ContextOverflow,
            "does not fit",
        ),
        (
            says('{"act": "ag', finish="length", usage={"completion_tokens": 800}),
            ModelBroken,
            "cut off after 800",
        ),
        (
            says('{"act": "ag', finish="length", usage={"completion_tokens": 17}),
            ModelBroken,
            "window is full",
        ),
        (says("", thinking="hm"), ModelBroken, "went into its thinking"),
        (says(""), ModelBroken, "is empty"),
        (says("{}", finish="content_filter"), ModelBroken, "held back by a filter"),
        (says(" \n" * 600), ModelBroken, "without an end"),
        (refuses(404, "The model `demo` does not exist."), ModelUnavailable, "no model for openai:demo"),
        (refuses(401, "Invalid API Key"), ModelRefused, "OPENAI_API_KEY"),
        (refuses(500, "out of memory"), ModelRefused, "out of memory"),
        (refuses(400, "Failed to parse grammar"), ModelRefused, "cannot use the schema"),
        (Answer(status=418, body="<html>"), ModelRefused, "status 418"),
        (Answer(body="<html>"), ModelBroken, "not in the form"),
        (Answer(pieces=["data: [1]"]), ModelBroken, "not a JSON object"),
        (Answer(pieces=["data: {"]), ModelBroken, "not in the form"),
        (Answer(pieces=['data: {"choices": [3]}']), ModelBroken, "not in the form"),
    ],
)
async def test_what_will_not_pass_is_told_at_once(answer: Answer, kind: type[EdgeError], words: str) -> None:
    async with FakeOpenAI([answer], repeat=True) as server:
        with pytest.raises(kind) as caught:
            await ask(server)
        assert words in str(caught.value)
        assert caught.value.fix
        assert len(server.chats) == 1


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (loading(), ModelUnavailable, "busy"),
        (refuses(429, "queue is full"), ModelUnavailable, "busy"),
        (refuses(502, "upstream"), ModelBroken, "failed while it was answering"),
        (Answer(body="{}" * 50, hang_up_after=10), ModelBroken, "connection broke"),
        (says("{}", finish=None), ModelBroken, "without its last piece"),
        (events({"error": {"message": "CUDA error"}}), ModelBroken, "CUDA error"),
    ],
)
async def test_what_may_pass_is_tried_again(failure: Answer, kind: type[EdgeError], words: str) -> None:
    async with FakeOpenAI([failure, failure, {"act": "agree"}]) as server:
        assert (await ask(server)).transport_retries == 2
    async with FakeOpenAI([failure], repeat=True) as server:
        with pytest.raises(kind, match=words):
            await ask(server)
        assert len(server.chats) == 3


async def test_a_schema_that_is_refused_is_reduced_once() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "[a-z]+"}}}
    async with FakeOpenAI([refuses(400, "Invalid json_schema: pattern"), {"a": "x"}]) as server:
        await ask(server, request(schema=schema))
        sent = [chat.body["response_format"]["json_schema"]["schema"] for chat in server.chats]
        assert sent == [schema, {"type": "object", "properties": {"a": {"type": "string"}}}]


async def test_a_server_that_knows_no_json_schema_gets_it_as_a_json_object_from_then_on() -> None:
    """As llama-cpp-python's server, whose words these are."""
    words = "1 validation error: {'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\"}"
    async with FakeOpenAI([refuses(500, words), {"a": "x"}, {"a": "y"}]) as server:
        model = OpenAIModel("demo", server.address)
        for _ in range(2):
            await model.reply(request(schema=SCHEMA))
        await model.close()
        sent = [chat.body["response_format"] for chat in server.chats]
        assert [one["type"] for one in sent] == ["json_schema", "json_object", "json_object"]
        assert sent[1] == sent[2] == {"type": "json_object", "schema": SCHEMA}


async def test_a_prompt_shortened_in_silence_is_noticed() -> None:
    usage = {"prompt_tokens": 1020, "completion_tokens": 2}
    async with FakeOpenAI(
        [says("{}", usage=usage)], served=[{"id": "demo", "max_model_len": 1024}]
    ) as server:
        with pytest.raises(ContextOverflow, match="shortened"):
            await ask(server, request("word " * 2000))


async def test_a_longer_prompt_than_allowed_is_refused_though_it_went_through() -> None:
    async with FakeOpenAI([says("{}", usage={"prompt_tokens": 5000})]) as server:
        with pytest.raises(ContextOverflow, match="window 4096"):
            await ask(server, request("word " * 4500, num_ctx=4096))


# --- looking ---


async def test_a_look_tells_what_is_served() -> None:
    served = [{"id": "a", "max_model_len": 4096}, {"id": "b"}, {"id": "c", "meta": {"n_ctx": 512}}]
    async with FakeOpenAI(served=served) as server:
        found = await served_at(server.address)
        assert found is not None
        assert [(model.name, model.window) for model in found] == [("a", 4096), ("b", None), ("c", 512)]


@pytest.mark.parametrize(
    "answer", [refuses(500, "x"), Answer(body="<html>"), Answer(body=json.dumps({"data": 3}))]
)
async def test_a_look_never_raises(answer: Answer) -> None:
    async with FakeOpenAI(before={"/v1/models": answer}) as server:
        assert await served_at(server.address) is None
    assert await served_at("http://127.0.0.1:9/v1") is None
    assert await served_at("http://127.0.0.1:port/v1") is None
