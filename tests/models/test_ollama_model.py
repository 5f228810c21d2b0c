import asyncio
import socket
from typing import Any

import ollama
import pytest
from fake_ollama import (
    Answer,
    FakeOllama,
    Installed,
    bad_schema,
    busy,
    cut_off,
    half_window,
    hangs_up,
    loading,
    only_thinking,
    overflow,
    refuses,
    replays,
    runner_died,
    says,
    schema_ignored,
    slow,
    unloading,
)

from agentcomm.errors import (
    ContextOverflow,
    EdgeError,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
    UsageError,
)
from agentcomm.models.base import ChatMessage, ModelReply, ModelRequest
from agentcomm.models.ollama import OllamaModel, probe
from agentcomm.models.retry import Patience

SCHEMA = {"type": "object", "properties": {"act": {"const": "agree"}}, "required": ["act"]}
AT_ONCE = Patience(tries=3, first_wait=0.0)


def request(text: str = "cfp item='city bike'", **changes: Any) -> ModelRequest:
    asked = {"messages": (ChatMessage("user", text),), "schema": SCHEMA, **changes}
    return ModelRequest(**asked)


async def ask(server: FakeOllama, asked: ModelRequest | None = None, **options: Any) -> ModelReply:
    model = OllamaModel("demo", host=server.url, **{"patience": AT_ONCE, **options})
    try:
        return await model.reply(asked or request())
    finally:
        await model.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_a_reply_carries_text_counts_and_address() -> None:
    async with FakeOllama([{"act": "agree"}]) as server:
        reply = await ask(server)
        assert reply.text == '{"act":"agree"}'
        assert (reply.prompt_tokens, reply.output_tokens, reply.done_reason) == (151, 30, "stop")
        assert (reply.model, reply.address, reply.transport_retries) == ("ollama:demo", server.url, 0)


async def test_the_request_forbids_thinking_shortening_and_streaming() -> None:
    async with FakeOllama([{"act": "agree"}]) as server:
        reply = await ask(server, request(num_ctx=2048, num_predict=99, temperature=0.5, seed=7))
        seen = server.chats[0]
        assert seen.raw == reply.sent
        assert seen.body == {
            "model": "demo",
            "messages": [{"role": "user", "content": "cfp item='city bike'"}],
            "format": SCHEMA,
            "think": False,
            "stream": True,
            "options": {"num_ctx": 2048, "num_predict": 99, "temperature": 0.5, "seed": 7},
            "truncate": False,
            "shift": False,
        }


async def test_without_a_schema_no_format_is_sent() -> None:
    async with FakeOllama(["hello"]) as server:
        assert (await ask(server, request(schema=None))).text == "hello"
        assert "format" not in server.chats[0].body


async def test_server_and_model_are_looked_at_once() -> None:
    async with FakeOllama([{}, {}]) as server:
        model = OllamaModel("demo", host=server.url)
        await model.reply(request())
        await model.reply(request())
        await model.close()
        assert [seen.path for seen in server.seen if seen not in server.chats] == [
            "/api/version",
            "/api/show",
            "/api/ps",
            "/api/chat",
        ]
        assert (len(server.loads), len(server.chats)) == (1, 2)


async def test_no_server_is_told_with_both_ways_on() -> None:
    model = OllamaModel("demo", host=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ModelUnavailable, match="no Ollama server answers") as caught:
        await model.reply(request())
    await model.close()
    assert "ollama serve" in caught.value.fix
    assert "embedded:" in caught.value.fix


async def test_an_address_that_cannot_be_read_is_a_mistake_of_the_program() -> None:
    with pytest.raises(UsageError, match="address"):
        await OllamaModel("demo", host="http://127.0.0.1:port").reply(request())


async def test_an_unknown_model_is_told_with_the_command_that_gets_it() -> None:
    async with FakeOllama() as server:
        model = OllamaModel("qwen3:4b", host=server.url)
        with pytest.raises(ModelUnavailable) as caught:
            await model.reply(request())
        await model.close()
        assert caught.value.fix == "ollama pull qwen3:4b"
        assert caught.value.why == "it has demo"


async def test_a_window_larger_than_the_models_own_is_not_asked_for() -> None:
    async with FakeOllama([{}], models={"demo": Installed(context_length=2048)}) as server:
        await ask(server)
        assert [chat.body["options"]["num_ctx"] for chat in server.chats] == [2048]


async def test_a_model_that_tells_no_window_is_used() -> None:
    async with FakeOllama([{}], models={"demo": Installed(context_length=None)}) as server:
        assert (await ask(server)).text == "{}"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (overflow(17614, 4096), ContextOverflow, "17614 tokens and the window 4096"),
        (refuses(400, "the input length exceeds the context length"), ContextOverflow, "does not fit"),
        (cut_off(), ModelBroken, "cut off after 800 tokens"),
        (cut_off(eval_count=17), ModelBroken, "window of 4096 tokens is full"),
        (loading(), ModelBroken, "was loaded and gave no answer"),
        (unloading(), ModelBroken, "was unloaded and gave no answer"),
        (only_thinking(), ModelBroken, "went into its thinking"),
        (says(""), ModelBroken, "no text and no reason"),
        (says(" \n"), ModelBroken, "is empty"),
        (refuses(404, "model 'demo' not found"), ModelUnavailable, "ollama pull demo"),
        (refuses(401, "unauthorized"), ModelRefused, "OLLAMA_API_KEY"),
        (refuses(400, '"demo" does not support chat'), ModelRefused, "cannot do what is asked"),
        (refuses(500, 'option "num_ctx" must be of type integer'), ModelRefused, "must be of type integer"),
        (refuses(501, "This server does not support embeddings"), ModelRefused, "embeddings"),
        (
            refuses(500, "model requires more system memory (9 GiB) than is available"),
            ModelUnavailable,
            "memory",
        ),
        (Answer(body="<html>"), ModelBroken, "not in Ollama's form"),
        (Answer(body='{"done": true}'), ModelBroken, "not in Ollama's form"),
        (Answer(status=502, body="[1]"), ModelRefused, "status 502"),
    ],
)
async def test_what_will_not_pass_is_told_at_once(answer: Answer, kind: type[EdgeError], words: str) -> None:
    async with FakeOllama([answer], repeat=True) as server:
        with pytest.raises(kind) as caught:
            await ask(server)
        assert words in str(caught.value)
        assert caught.value.what
        assert caught.value.fix
        assert len(server.chats) == 1


@pytest.mark.parametrize(
    "failure", [busy(), runner_died(), hangs_up(), hangs_up(0), refuses(500, "unexpected EOF")]
)
async def test_what_may_pass_is_tried_again(failure: Answer) -> None:
    async with FakeOllama([failure, failure, {"act": "agree"}]) as server:
        reply = await ask(server)
        assert reply.text == '{"act":"agree"}'
        assert reply.transport_retries == 2


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (busy(), ModelUnavailable, "server is busy"),
        (runner_died(), ModelBroken, "died while it was answering"),
        (hangs_up(), ModelBroken, "connection broke"),
    ],
)
async def test_patience_ends(failure: Answer, kind: type[EdgeError], words: str) -> None:
    async with FakeOllama([failure], repeat=True) as server:
        with pytest.raises(kind, match=words):
            await ask(server)
        assert len(server.chats) == 3


async def test_a_server_that_dies_between_replies_is_not_running() -> None:
    with FakeOllama([{"act": "agree"}]) as server:
        model = OllamaModel("demo", host=server.url, patience=AT_ONCE)
        await model.reply(request())
    with pytest.raises(ModelUnavailable, match="no Ollama server answers"):
        await model.reply(request())
    await model.close()


async def test_silence_ends_at_the_timeout_and_is_not_tried_again() -> None:
    async with FakeOllama([slow(5.0)], repeat=True) as server:
        with pytest.raises(ModelTimeout, match=r"within 0\.2 seconds"):
            await ask(server, timeout=0.2)
        assert len(server.chats) == 1


async def test_a_schema_that_is_refused_is_reduced_once() -> None:
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string", "pattern": "[a-z]+", "maxLength": 2000}},
    }
    async with FakeOllama([bad_schema(), {"pattern": "x"}]) as server:
        reply = await ask(server, request(schema=schema))
        assert server.chats[0].body["format"] == schema
        assert server.chats[1].body["format"] == {
            "type": "object",
            "properties": {"pattern": {"type": "string"}},
        }
        assert reply.sent == server.chats[1].raw


async def test_a_schema_that_is_refused_twice_is_told_unwrapped() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}
    async with FakeOllama([bad_schema()], repeat=True) as server:
        with pytest.raises(ModelRefused) as caught:
            await ask(server, request(schema=schema))
        assert caught.value.why.startswith("Field 'json_schema'")
        assert len(server.chats) == 2


async def test_a_schema_that_cannot_be_reduced_is_not_sent_twice() -> None:
    async with FakeOllama([bad_schema()], repeat=True) as server:
        with pytest.raises(ModelRefused, match="cannot use the schema"):
            await ask(server)
        assert len(server.chats) == 1


async def test_a_prompt_shortened_in_silence_is_noticed() -> None:
    async with FakeOllama([half_window(512)]) as server:
        with pytest.raises(ContextOverflow, match="shortened the prompt"):
            await ask(server, request("fact 1 is value 37. " * 200, num_ctx=512))


async def test_a_prompt_of_half_the_window_is_no_alarm() -> None:
    async with FakeOllama([half_window(512)]) as server:
        assert (await ask(server, request("four" * 258, num_ctx=512))).text == "{}"


async def test_plain_text_from_a_new_server_is_returned_for_the_caller_to_judge() -> None:
    async with FakeOllama([schema_ignored()]) as server:
        assert (await ask(server)).text.startswith("Sure!")
        assert len(server.chats) == 1


async def test_an_old_server_that_ignores_the_schema_is_asked_without_think() -> None:
    async with FakeOllama([schema_ignored(), {"act": "agree"}, {"act": "agree"}], version="0.20.4") as server:
        model = OllamaModel("demo", host=server.url)
        assert (await model.reply(request())).text == '{"act":"agree"}'
        await model.reply(request())
        await model.close()
        assert ["think" in chat.body for chat in server.chats] == [True, False, False]


async def test_an_old_server_that_ignores_the_schema_either_way_gives_its_first_answer() -> None:
    async with FakeOllama(
        [schema_ignored("first"), schema_ignored("second")], version="0.21.0-rc1"
    ) as server:
        reply = await ask(server)
        assert reply.text == "first"
        assert reply.sent == server.chats[0].raw


async def test_models_of_one_host_share_its_places() -> None:
    async with FakeOllama([slow(0.05)], repeat=True) as server:
        models = [OllamaModel("demo", host=server.url) for _ in range(6)]
        await asyncio.gather(*(model.reply(request()) for model in models))
        for model in models:
            await model.close()
        assert server.most_at_once == 2


async def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    async with FakeOllama([{}]) as server:
        assert (await ask(server)).text == "{}"


def test_a_model_serves_one_event_loop_after_another() -> None:
    with FakeOllama([{}], repeat=True) as server:
        model = OllamaModel("demo", host=server.url)

        async def once() -> str:
            reply = await model.reply(request())
            await model.close()
            return reply.text

        assert [asyncio.run(once()) for _ in range(2)] == ["{}", "{}"]


def test_a_remote_model_is_noted() -> None:
    assert OllamaModel("gpt-oss:120b-cloud").capabilities.note
    assert not OllamaModel("qwen3:4b").capabilities.note


async def test_probe_tells_what_a_server_has() -> None:
    models = {
        "demo": Installed(capabilities=("completion", "tools")),
        "minilm": Installed(capabilities=("embedding",)),
    }
    async with FakeOllama(models=models) as server:
        status = await probe(server.url)
        assert (status.address, status.running, status.version, status.error) == (
            server.url,
            True,
            "0.32.15",
            "",
        )
        assert [(model.name, model.capabilities) for model in status.models] == [
            ("demo", ("completion", "tools")),
            ("minilm", ("embedding",)),
        ]


async def test_probe_reads_the_recorded_list() -> None:
    async with FakeOllama(before={"/api/tags": replays("tags"), "/api/show": refuses(500, "x")}) as server:
        status = await probe(server.url)
        assert status.running
        assert "minilm:latest" in [model.name for model in status.models]
        assert not any(model.capabilities for model in status.models)


async def test_probe_tells_why_nothing_runs() -> None:
    status = await probe(f"http://127.0.0.1:{free_port()}")
    assert not status.running
    assert status.error
    assert not (await probe("http://127.0.0.1:port")).running


async def test_probe_does_not_wait_long() -> None:
    async with FakeOllama(before={"/api/version": slow(5.0)}) as server:
        status = await asyncio.wait_for(probe(server.url, timeout=0.1), 2.0)
        assert not status.running
        assert status.error


async def test_probe_takes_another_server_for_none() -> None:
    async with FakeOllama(before={"/api/version": Answer(body="<html>")}) as server:
        assert not (await probe(server.url)).running


async def test_the_host_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert (await probe()).running


def test_the_client_still_cannot_send_truncate() -> None:
    """When it can, the wrapper over its connection is no longer needed."""
    assert "truncate" not in ollama.AsyncClient.chat.__annotations__
