"""The client against what a real server answered: every recorded exchange has its test."""

import json
from typing import Any

import msgspec
import pytest
from fake_ollama import FakeOllama, Installed, recorded, replays, says

from agentcomm.errors import ContextOverflow, EdgeError, ModelBroken, ModelRefused, ModelUnavailable
from agentcomm.models.base import ChatMessage, ModelReply, ModelRequest
from agentcomm.models.ollama import OllamaModel, probe
from agentcomm.models.retry import Patience

ANSWERS = (
    "chat-union-of-acts",
    "chat-union-of-acts-stream",
    "chat-read-back",
    "chat-read-back-no-example",
    "chat-logprobs",
    "smollm2-think-format-think-omitted",
    "smollm2-think-format-think-true",
    "smollm2-think-format-think-false",
    "smollm2-openthink-format-think-false",
    "tools-and-format",
    "random-weights-act",
)
FORMLESS = {"smollm2-think-format-think-omitted", "smollm2-think-format-think-true"}
"""Answered as plain text, status 200: returned as it is, for the caller to refuse."""

FAILURES = {
    "chat-cut-by-num-predict": (ModelBroken, "cut off after 8 tokens"),
    "chat-load": (ModelBroken, "was loaded and gave no answer"),
    "chat-unload": (ModelBroken, "was unloaded and gave no answer"),
    "smollm2-openthink-format-think-omitted": (ModelBroken, "went into its thinking"),
    "smollm2-openthink-format-think-true": (ModelBroken, "went into its thinking"),
    "chat-overlong-silently-cut": (ContextOverflow, "258 tokens in a window of 512"),
    "chat-overlong-refused": (ContextOverflow, "tokens and the window 512"),
    "tools-unsupported": (ModelRefused, "does not support tools"),
    "thinking-unsupported": (ModelRefused, "does not support thinking"),
    "chat-with-embedding-model": (ModelRefused, "does not support chat"),
    "unknown-model": (ModelUnavailable, "ollama pull demo"),
    "bad-schema": (ModelRefused, "cannot use the schema"),
    "bad-format": (ModelRefused, "cannot use the schema"),
    "wrong-option-type": (ModelRefused, "must be of type integer"),
    "bad-keep-alive": (ModelRefused, "invalid duration"),
    "no-such-route": (ModelUnavailable, "something other than Ollama"),
    "embed-with-chat-model": (ModelRefused, "does not support embeddings"),
}

LOOKS = ("root", "version", "tags", "ps-empty", "ps-loaded", "show-unknown", "show-thinking-model")
NOT_ASKED = {"embed": "the library has no embeddings of a server; its words come from a package in process"}


def test_every_recorded_exchange_has_its_place() -> None:
    assert set(recorded()) == {*ANSWERS, *FAILURES, *LOOKS, *NOT_ASKED}
    assert len(recorded()) == 36


def asked(name: str) -> ModelRequest:
    body = recorded()[name]["request"]["body"] or {}
    options = body.get("options", {})
    schema = body.get("format")
    num_ctx = options.get("num_ctx")
    return ModelRequest(
        messages=msgspec.convert(
            body.get("messages") or [{"role": "user", "content": "hello"}], tuple[ChatMessage, ...]
        ),
        schema=schema if isinstance(schema, dict) else None,
        num_predict=options.get("num_predict", 800),
        num_ctx=num_ctx if isinstance(num_ctx, int) else 8192,
        logprobs=body.get("logprobs", False),
    )


async def ask(server: FakeOllama, request: ModelRequest) -> ModelReply:
    model = OllamaModel("demo", host=server.url, patience=Patience(first_wait=0.0))
    try:
        return await model.reply(request)
    finally:
        await model.close()


def whole(name: str) -> dict[str, Any]:
    """Return the answer's last line, with its text put together."""
    response = recorded()[name]["response"]
    lines = [json.loads(line) for line in response.get("lines", [response.get("body")])]
    return {**lines[-1], "text": "".join(line["message"]["content"] for line in lines)}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_read(name: str) -> None:
    real = whole(name)
    async with FakeOllama([replays(name)]) as server:
        reply = await ask(server, asked(name))
    assert (reply.text, reply.prompt_tokens, reply.output_tokens, reply.done_reason) == (
        real["text"],
        real["prompt_eval_count"],
        real["eval_count"],
        "stop",
    )
    assert name in FORMLESS or isinstance(json.loads(reply.text), dict)


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_told(name: str) -> None:
    kind, words = FAILURES[name]
    async with FakeOllama([replays(name)], repeat=True) as server:
        with pytest.raises(kind) as caught:
            await ask(server, asked(name))
    assert isinstance(caught.value, EdgeError)
    assert words in str(caught.value)
    assert caught.value.fix
    assert '{"' not in caught.value.why  # JSON inside JSON was unwrapped


async def test_the_recorded_cards_are_read() -> None:
    before = {
        "/": replays("root"),
        "/api/version": replays("version"),
        "/api/tags": replays("tags"),
        "/api/show": replays("show-thinking-model"),
        "/api/ps": replays("ps-empty"),
    }
    async with FakeOllama([says("{}", prompt_eval_count=None)], before=before) as server:
        status = await probe(server.url)
        long = ModelRequest(messages=(ChatMessage("user", "word " * 20_000),), num_ctx=20_000)
        assert (await ask(server, long)).num_ctx == 8192
    assert status.version == "0.32.15"
    thinking = next(model for model in status.models if model.name == "smollm2-think:latest")
    assert (thinking.capabilities, thinking.window) == (("completion", "thinking"), 8192)
    assert thinking.digest


async def test_a_loaded_model_is_seen() -> None:
    models = {"smollm2": Installed()}
    async with FakeOllama([{}], models=models, before={"/api/ps": replays("ps-loaded")}) as server:
        model = OllamaModel("smollm2", host=server.url)
        await model.reply(ModelRequest(messages=(ChatMessage("user", "hello"),)))
        await model.close()
        assert not server.loads


async def test_a_model_that_is_not_there_is_seen_before_it_is_asked() -> None:
    async with FakeOllama([{}], before={"/api/show": replays("show-unknown")}) as server:
        with pytest.raises(ModelUnavailable, match="no model 'demo'") as caught:
            await ask(server, ModelRequest(messages=(ChatMessage("user", "hello"),)))
        assert caught.value.fix == "ollama pull demo"
        assert not server.chats
