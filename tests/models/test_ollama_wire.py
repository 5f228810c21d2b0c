"""Windows, loading, queues, streams, cancellation and time at an Ollama server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_ollama import (
    Answer,
    FakeOllama,
    Installed,
    dies_in_stream,
    endless,
    half_window,
    overflow,
    refuses,
    replays,
    says,
    slow,
    stops_in_stream,
)

from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused, ModelTimeout
from agentcomm.models.base import ChatMessage, ModelReply, ModelRequest, Token
from agentcomm.models.ollama import OllamaModel
from agentcomm.models.queue import Places
from agentcomm.models.retry import Patience

SCHEMA = {"type": "object", "properties": {"act": {"const": "agree"}}, "required": ["act"]}
AT_ONCE = Patience(tries=3, first_wait=0.0)


def request(text: str = "cfp item='city bike'", **changes: Any) -> ModelRequest:
    return ModelRequest(**{"messages": (ChatMessage("user", text),), "schema": SCHEMA, **changes})


async def ask(server: FakeOllama, *asked: ModelRequest, **options: Any) -> list[ModelReply]:
    model = OllamaModel("demo", host=server.url, **{"patience": AT_ONCE, **options})
    try:
        return [await model.reply(one) for one in asked or (request(),)]
    finally:
        await model.close()


async def until(happened: Callable[[], object]) -> None:
    for _ in range(1000):
        if happened():
            return
        await asyncio.sleep(0.01)


def windows(server: FakeOllama) -> list[int]:
    return [chat.body["options"]["num_ctx"] for chat in server.chats]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second be short."""
    monkeypatch.setattr("agentcomm.models.waiting.FIRST_SECONDS", 0.02)
    monkeypatch.setattr("agentcomm.models.waiting.EVERY_SECONDS", 0.05)
    monkeypatch.setattr("agentcomm.models.queue.SLOW_SECONDS", 0.02)


# --- windows ---


async def test_the_window_follows_the_need_and_never_shrinks() -> None:
    long = "word " * 4000
    async with FakeOllama([says("{}", prompt_eval_count=None)], repeat=True) as server:
        replies = await ask(server, request("short"), request(long), request("short"))
        assert windows(server) == [4096, 8192, 8192]
        assert [reply.num_ctx for reply in replies] == windows(server)


async def test_the_need_is_measured_by_what_the_server_counts() -> None:
    """2,000 characters a thousand tokens: prose would be 500, and the guess before the first count is 825."""
    text = "7 " * 6000
    async with FakeOllama([says("{}", prompt_eval_count=900)], repeat=True) as server:
        await ask(server, request("7 " * 300), request(text))
        assert windows(server) == [4096, 8192]


async def test_a_window_counted_too_small_is_raised_once_and_asked_again() -> None:
    async with FakeOllama([overflow(5000, 4096), {"act": "agree"}]) as server:
        (reply,) = await ask(server)
        assert windows(server) == [4096, 8192]
        assert reply.num_ctx == 8192


async def test_a_prompt_that_needs_more_than_is_allowed_is_refused() -> None:
    async with FakeOllama([overflow(5000, 4096)], repeat=True) as server:
        with pytest.raises(ContextOverflow, match="5000 tokens"):
            await ask(server, request(num_ctx=4096))
        assert windows(server) == [4096]


async def test_a_window_that_another_agent_needed_does_not_let_a_longer_prompt_through() -> None:
    async with FakeOllama([says("{}", prompt_eval_count=None), says("{}", prompt_eval_count=5000)]) as server:
        with pytest.raises(ContextOverflow, match="window 4096"):
            await ask(server, request("word " * 4000), request("x", num_ctx=4096))
        assert windows(server) == [8192, 8192]


async def test_a_prompt_that_an_old_server_would_shorten_is_not_sent() -> None:
    async with FakeOllama([{}], version="0.12.5") as server:
        with pytest.raises(ContextOverflow, match="without a word"):
            await ask(server, request("word " * 3000, num_ctx=2048))
        assert not server.chats


async def test_messages_dropped_in_silence_are_noticed() -> None:
    messages = tuple(ChatMessage("user", f"fact {n} is that the lamp is red. " * 20) for n in range(60))
    async with FakeOllama([says("{}", prompt_eval_count=2005)]) as server:
        with pytest.raises(ContextOverflow, match="shortened"):
            await ask(server, request(messages=messages, num_ctx=2048))


async def test_a_script_with_few_tokens_a_character_raises_no_alarm() -> None:
    asked = request("слово " * 1500)
    async with FakeOllama([says("{}", prompt_eval_count=1600), half_window(4096)]) as server:
        await ask(server, asked, asked)


# --- loading ---


async def test_a_model_is_loaded_with_the_window_of_its_calls_before_the_first() -> None:
    async with FakeOllama([{}], repeat=True) as server:
        await ask(server, request(), request())
        assert [load.body["options"]["num_ctx"] for load in server.loads] == [4096]


async def test_a_model_that_is_loaded_is_not_loaded_again() -> None:
    async with FakeOllama([{}], loaded={"demo": 4096}) as server:
        await ask(server)
        assert not server.loads


async def test_a_model_loaded_with_another_window_is_loaded_with_ours() -> None:
    async with FakeOllama([{}], loaded={"demo": 2048}) as server:
        await ask(server)
        assert len(server.loads) == 1


async def test_whether_it_is_loaded_is_read_as_recorded() -> None:
    async with FakeOllama(
        [{}], models={"smollm2": Installed()}, before={"/api/ps": replays("ps-loaded")}
    ) as server:
        model = OllamaModel("smollm2", host=server.url)
        await model.reply(request())
        await model.close()
        assert not server.loads


@pytest.mark.parametrize(
    "answer", [replays("ps-empty"), refuses(404, "404 page not found"), Answer(body="?")]
)
async def test_a_server_that_does_not_say_what_is_loaded_is_asked_to_load(answer: Answer) -> None:
    async with FakeOllama([{}], before={"/api/ps": answer}) as server:
        await ask(server)
        assert len(server.loads) == 1


async def test_loading_is_told_with_its_seconds(quick: None) -> None:
    lines: list[str] = []
    async with FakeOllama([{}], load_seconds=0.2) as server:
        await ask(server, progress=lines.append)
    lines = [line for line in lines if line.startswith("loading")]
    assert lines[0] == "loading ollama:demo"
    assert "s so far" in lines[1]
    assert lines[-1].startswith("loading ollama:demo: done after 0.")


async def test_loading_has_its_own_time() -> None:
    async with FakeOllama([{}], load_seconds=5.0) as server:
        with pytest.raises(ModelTimeout, match=r"not loaded within 0\.1 seconds"):
            await ask(server, load_timeout=0.1)


async def test_a_slow_first_answer_is_told_and_a_slow_second_is_not(quick: None) -> None:
    lines: list[str] = []
    async with FakeOllama([slow(0.1)], repeat=True) as server:
        await ask(server, request(), request(), progress=lines.append)
    assert lines.count("waiting for the first answer of ollama:demo") == 1


async def test_how_long_a_model_stays_is_said_with_every_call() -> None:
    async with FakeOllama([{}]) as server:
        await ask(server, keep_alive="30m")
        assert [seen.body["keep_alive"] for seen in (*server.loads, *server.chats)] == ["30m", "30m"]


async def test_how_long_a_model_stays_is_the_servers_matter_otherwise() -> None:
    async with FakeOllama([{}]) as server:
        await ask(server)
        assert "keep_alive" not in server.chats[0].body


async def test_a_keep_alive_that_means_nothing_is_told() -> None:
    answer = replays("bad-keep-alive")
    async with FakeOllama([answer], repeat=True) as server:
        with pytest.raises(ModelRefused, match="invalid duration"):
            await ask(server, keep_alive="soon")


# --- queues ---


async def test_calls_wait_here_in_order_and_say_how_long() -> None:
    async with FakeOllama([slow(0.03)], repeat=True) as server:
        model = OllamaModel("demo", host=server.url, places=Places(model=1))
        asked = [request(f"number {n}") for n in range(5)]
        replies = await asyncio.gather(*(model.reply(one) for one in asked))
        await model.close()
        assert server.most_at_once == 1
        assert [chat.body["messages"][0]["content"] for chat in server.chats] == [
            f"number {n}" for n in range(5)
        ]
        waits = [reply.waited for reply in replies]
        assert waits == sorted(waits)
        assert waits[-1] > 0.1


async def test_the_places_of_a_server_are_shared_by_its_models() -> None:
    names = ("a", "b", "c")
    async with FakeOllama([slow(0.05)], repeat=True, models=dict.fromkeys(names, Installed())) as server:
        models = [OllamaModel(name, host=server.url, places=Places(model=2, server=2)) for name in names]
        await asyncio.gather(*(model.reply(request()) for model in models for _ in range(2)))
        for model in models:
            await model.close()
        assert server.most_at_once == 2


async def test_waiting_in_the_queue_is_told(quick: None) -> None:
    lines: list[str] = []
    async with FakeOllama([slow(0.2)], repeat=True) as server:
        model = OllamaModel("demo", host=server.url, places=Places(model=1), progress=lines.append)
        await asyncio.gather(*(model.reply(request()) for _ in range(3)))
        await model.close()
    assert "waiting for `ollama:demo`, which answers somebody else; 1 more before this one" in lines


async def test_who_is_cancelled_in_the_queue_gives_his_place_on() -> None:
    async with FakeOllama([slow(0.1)], repeat=True) as server:
        model = OllamaModel("demo", host=server.url, places=Places(model=1))
        first, second, third = (asyncio.create_task(model.reply(request())) for _ in range(3))
        await asyncio.sleep(0.02)
        second.cancel()
        assert (await third).text == (await first).text == "{}"
        await model.close()
        assert len(server.chats) == 2


async def test_many_calls_at_once_all_come_through() -> None:
    async with FakeOllama(["{}"], repeat=True) as server:
        model = OllamaModel("demo", host=server.url)
        replies = await asyncio.gather(*(model.reply(request()) for _ in range(30)))
        await model.close()
        assert {reply.text for reply in replies} == {"{}"}
        assert server.most_at_once <= 2


# --- cancellation and time ---


async def test_a_cancelled_call_stops_the_server() -> None:
    async with FakeOllama([endless("word ", pause=0.005)]) as server:
        task = asyncio.create_task(ask(server, request(num_predict=100_000)))
        await until(lambda: server.chats)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.broken_off)
        assert server.broken_off == 1


async def test_an_answer_that_drips_has_no_more_time_than_another() -> None:
    async with FakeOllama([endless("x", pause=0.02)], repeat=True) as server:
        with pytest.raises(ModelTimeout, match=r"within 0\.3 seconds"):
            await ask(server, timeout=0.3)
        assert len(server.chats) == 1


# --- streams ---


async def test_a_stream_is_put_together_as_recorded() -> None:
    async with FakeOllama([replays("chat-union-of-acts-stream")]) as server:
        (reply,) = await ask(server)
        assert reply.text == '{"act": "propose", "item": "city bike", "price": 120, "currency": "EUR"}'
        assert reply.done_reason == "stop"
        assert reply.output_tokens


async def test_an_error_in_the_middle_of_a_stream_may_pass() -> None:
    async with FakeOllama([dies_in_stream('{"a', 'ct"'), {"act": "agree"}]) as server:
        (reply,) = await ask(server)
        assert (reply.text, reply.transport_retries) == ('{"act":"agree"}', 1)


async def test_a_runner_that_dies_in_each_stream_is_told() -> None:
    async with FakeOllama([dies_in_stream('{"act')], repeat=True) as server:
        with pytest.raises(ModelBroken, match="died while it was answering"):
            await ask(server)
        assert len(server.chats) == 3


async def test_a_stream_without_its_last_line_is_no_answer() -> None:
    async with FakeOllama([stops_in_stream('{"act":', '"agree"}')], repeat=True) as server:
        with pytest.raises(ModelBroken, match="without its last line") as caught:
            await ask(server)
        assert "15 characters had come" in caught.value.why


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (" \n", "white space"),
        ("again and again. ", "'again and again. ' again and again"),
        ('{"a":', "again and again"),
    ],
)
async def test_an_answer_without_an_end_is_stopped(piece: str, words: str) -> None:
    async with FakeOllama([endless(piece, pause=0.001)]) as server:
        with pytest.raises(ModelBroken, match="goes on without an end") as caught:
            await ask(server)
        assert words in caught.value.why
        assert len(server.chats) == 1


async def test_a_server_that_ignores_the_ceiling_of_an_answer_is_stopped() -> None:
    lines = [f"{n * 7919 % 10007} {n * 104729 % 7919}, " for n in range(3000)]
    async with FakeOllama([lambda _: _streamed(lines)]) as server:
        with pytest.raises(ModelBroken, match="goes on without an end"):
            await ask(server, request(num_predict=20))


def _streamed(pieces: list[str]) -> Answer:
    return stops_in_stream(*pieces)


async def test_bytes_that_are_no_stream_are_told() -> None:
    async with FakeOllama([Answer(pieces=["\x00\x01", "{"])]) as server:
        with pytest.raises(ModelBroken, match="not in Ollama's form"):
            await ask(server)


# --- what comes beside the text ---


async def test_log_probabilities_are_read_as_recorded() -> None:
    async with FakeOllama([replays("chat-logprobs")]) as server:
        (reply,) = await ask(server, request(logprobs=True))
        assert server.chats[0].body["logprobs"] is True
        assert reply.logprobs[0] == Token('{"', -0.027029136195778847)
        assert "".join(token.text for token in reply.logprobs) == reply.text


async def test_a_server_without_log_probabilities_answers_without() -> None:
    async with FakeOllama(["{}"]) as server:
        (reply,) = await ask(server, request(logprobs=True))
        assert reply.logprobs == ()


async def test_thinking_is_asked_for_and_kept_apart() -> None:
    async with FakeOllama([says('{"act": "agree"}', thinking="the price is fair")]) as server:
        (reply,) = await ask(server, request(think=True, schema=None))
        assert server.chats[0].body["think"] is True
        assert (reply.text, reply.thinking) == ('{"act": "agree"}', "the price is fair")
