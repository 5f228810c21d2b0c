import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused, ModelTimeout, ModelUnavailable
from agentcomm.models import embedded
from agentcomm.models.base import ChatMessage, ModelRequest
from agentcomm.models.embedded import EmbeddedModel

ASKED = ModelRequest(messages=(ChatMessage("user", "hello"),), num_ctx=2048)


def piece(text: str | None = None, finish: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **rest}


def spoken(*texts: str, finish: str = "stop", prompt: int = 10) -> list[dict[str, Any]]:
    usage = {"prompt_tokens": prompt, "completion_tokens": len(texts)}
    return [*(piece(text) for text in texts), piece(finish=finish), {"choices": [], "usage": usage}]


class FakeEngine:
    """Stands in for the module xllamacpp; counts what is loaded."""

    def __init__(self) -> None:
        self.chunks: list[Any] = spoken("{", "}")
        self.bodies: list[Any] = []
        self.loads: list[int] = []
        self.alive = 0
        self.at_once = 0
        self.most_at_once = 0
        self.pause = 0.0
        self.failure: Exception | None = None

    def module(self) -> SimpleNamespace:
        engine = self

        class Server:
            listening_address = "http://127.0.0.1:9"

            def __init__(self, settings: Any) -> None:
                if engine.failure is not None:
                    raise engine.failure
                engine.loads.append(settings.n_ctx)
                engine.alive += 1

            def __del__(self) -> None:
                engine.alive -= 1

            def handle_chat_completions(self, body: Any, hear: Callable[[Any], bool]) -> None:
                engine.bodies.append(body)
                engine.at_once += 1
                engine.most_at_once = max(engine.most_at_once, engine.at_once)
                try:
                    for chunk in engine.chunks:
                        if isinstance(chunk, Exception):
                            raise chunk
                        time.sleep(engine.pause)
                        if hear(chunk):
                            return
                finally:
                    engine.at_once -= 1

        def settings() -> SimpleNamespace:
            parts = {name: SimpleNamespace() for name in ("model", "cpuparams", "cpuparams_batch")}
            return SimpleNamespace(**parts)

        return SimpleNamespace(CommonParams=settings, Server=Server)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    fake = FakeEngine()
    monkeypatch.setitem(sys.modules, "xllamacpp", fake.module())
    monkeypatch.setattr(embedded, "_own_window", lambda _server, _key: 8192)
    yield fake
    assert not embedded._engines, "a test left a model loaded"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF and more")
    return file


async def test_a_reply_carries_text_and_counts(engine: FakeEngine, path: Path) -> None:
    model = EmbeddedModel(path)
    reply = await model.reply(ASKED)
    await model.close()
    assert (reply.text, reply.prompt_tokens, reply.output_tokens, reply.done_reason) == ("{}", 10, 2, "stop")
    assert reply.model == f"embedded:{path}"
    assert json.loads(reply.sent)["messages"] == [{"role": "user", "content": "hello"}]
    assert engine.alive == 0


async def test_the_schema_is_sent_without_what_the_engine_does_not_know(
    engine: FakeEngine, path: Path
) -> None:
    model = EmbeddedModel(path)
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}
    await model.reply(ModelRequest(messages=ASKED.messages, schema=schema))
    await model.close()
    sent = engine.bodies[0]["response_format"]["json_schema"]["schema"]
    assert sent == {"type": "object", "properties": {"a": {"type": "string"}}}


async def test_two_models_of_one_file_share_what_is_loaded(engine: FakeEngine, path: Path) -> None:
    engine.pause = 0.01
    one, two = EmbeddedModel(path), EmbeddedModel(path)
    await asyncio.gather(*(model.reply(ASKED) for model in (one, two, one, two)))
    assert (engine.loads, engine.most_at_once) == ([2048], 1)
    await one.close()
    assert engine.alive == 1
    await two.reply(ASKED)
    await two.close()
    assert engine.alive == 0
    await two.close()


async def test_a_larger_window_loads_again_and_a_smaller_one_does_not(engine: FakeEngine, path: Path) -> None:
    model = EmbeddedModel(path)
    for num_ctx in (2048, 1024, 4096, 2048):
        await model.reply(ModelRequest(messages=ASKED.messages, num_ctx=num_ctx))
    await model.close()
    assert engine.loads == [2048, 4096]


async def test_after_closing_a_reply_loads_again(engine: FakeEngine, path: Path) -> None:
    model = EmbeddedModel(path)
    await model.reply(ASKED)
    await model.close()
    await model.reply(ASKED)
    await model.close()
    assert engine.loads == [2048, 2048]


async def test_loading_is_told(engine: FakeEngine, path: Path) -> None:
    lines: list[str] = []
    model = EmbeddedModel(path, progress=lines.append)
    await model.reply(ASKED)
    await model.reply(ASKED)
    await model.close()
    assert lines == ["loading model.gguf"]


async def test_the_demo_model_is_fetched_with_its_lines_told_in_the_loop(
    engine: FakeEngine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(tell: Callable[[str], None], _stop: threading.Event) -> Path:
        tell("demo model: 1.0 of 93 MB")
        return path

    monkeypatch.setattr(embedded, "demo_model", fetched)
    threads: set[threading.Thread] = set()
    lines: list[str] = []

    def told(line: str) -> None:
        threads.add(threading.current_thread())
        lines.append(line)

    model = EmbeddedModel(progress=told)
    assert (await model.reply(ASKED)).model == "embedded:"
    await model.close()
    assert lines == ["demo model: 1.0 of 93 MB", "loading model.gguf"]
    assert threads == {threading.current_thread()}


OVERFLOW = {
    "code": 400,
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 4031,
    "n_ctx": 2048,
    "message": "m",
}


@pytest.mark.parametrize(
    ("chunks", "kind", "words"),
    [
        ([{"error": OVERFLOW}], ContextOverflow, "4031 tokens and the window 2048"),
        (spoken(*[" \n"] * 300), ModelBroken, "without an end"),
        (spoken("a", prompt=2048), ContextOverflow, "2048 tokens and the window 2048"),
        ([{"error": {"code": 500, "message": "peg-native"}}], ModelRefused, "peg-native"),
        ([ValueError("JSON schema error at #")], ModelRefused, "JSON schema error"),
        (spoken("{", finish="length"), ModelBroken, "cut off after 1 tokens"),
        (spoken(" "), ModelBroken, "is empty"),
        (
            [{"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": "stop"}]}],
            ModelBroken,
            "thinking",
        ),
    ],
)
async def test_what_is_no_answer_is_told(
    engine: FakeEngine, path: Path, chunks: list[Any], kind: type[Exception], words: str
) -> None:
    engine.chunks = chunks
    model = EmbeddedModel(path)
    with pytest.raises(kind, match=words):
        await model.reply(ASKED)
    await model.close()


async def test_a_window_larger_than_the_models_own_is_not_loaded(engine: FakeEngine, path: Path) -> None:
    model = EmbeddedModel(path)
    long = (ChatMessage("user", "word " * 10_000),)
    for _ in range(2):
        await model.reply(ModelRequest(messages=long, num_ctx=9000))
    assert engine.loads == [9000, 8192]
    await model.close()
    assert engine.alive == 0


async def test_a_window_counted_too_small_is_loaded_larger(engine: FakeEngine, path: Path) -> None:
    model = EmbeddedModel(path)
    asked = ModelRequest(messages=ASKED.messages, num_ctx=8000)
    engine.chunks = [{"error": OVERFLOW | {"n_ctx": 4096, "n_prompt_tokens": 4100}}]
    with pytest.raises(ContextOverflow):  # twice, and then it is told
        await model.reply(asked)
    engine.chunks = spoken("{}")
    reply = await model.reply(asked)
    await model.close()
    assert (engine.loads, reply.num_ctx) == ([4096, 8000], 8000)


async def test_log_probabilities_are_kept(engine: FakeEngine, path: Path) -> None:
    chunk = piece("{}")
    chunk["choices"][0]["logprobs"] = {"content": [{"token": "{}", "logprob": -0.5}, {"token": 3}]}
    engine.chunks = [chunk, piece(finish="stop")]
    model = EmbeddedModel(path)
    reply = await model.reply(ModelRequest(messages=ASKED.messages, logprobs=True))
    await model.close()
    assert engine.bodies[0]["logprobs"] is True
    assert [(token.text, token.logprob) for token in reply.logprobs] == [("{}", -0.5)]


async def test_a_timeout_stops_the_engine(engine: FakeEngine, path: Path) -> None:
    engine.pause, engine.chunks = 0.02, spoken(*"x" * 500)
    model = EmbeddedModel(path, timeout=0.1)
    with pytest.raises(ModelTimeout, match=r"0\.1 seconds"):
        await model.reply(ASKED)
    await asyncio.sleep(0.1)
    assert engine.at_once == 0
    await model.close()


async def test_a_cancelled_reply_frees_the_engine_for_the_next(engine: FakeEngine, path: Path) -> None:
    engine.pause, engine.chunks = 0.02, spoken(*"x" * 500)
    model = EmbeddedModel(path)
    task = asyncio.create_task(model.reply(ASKED))
    queued = asyncio.create_task(model.reply(ASKED))
    await asyncio.sleep(0.1)
    task.cancel()
    queued.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError)
        for end in await asyncio.gather(task, queued, return_exceptions=True)
    )
    engine.pause, engine.chunks = 0.0, spoken("next")
    assert (await model.reply(ASKED)).text == "next"
    await model.close()
    assert len(engine.bodies) == 2


async def test_closing_ends_a_reply_under_way(engine: FakeEngine, path: Path) -> None:
    engine.pause, engine.chunks = 0.02, spoken(*"x" * 500)
    model = EmbeddedModel(path)
    tasks = [asyncio.create_task(model.reply(ASKED)) for _ in range(2)]
    await asyncio.sleep(0.1)
    await model.close()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, ModelBroken) and "closed" in end.what for end in ends)
    assert engine.alive == 0


async def test_without_the_extra_the_fix_is_its_installation(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    model = EmbeddedModel(path)
    with pytest.raises(ModelUnavailable) as caught:
        await model.reply(ASKED)
    await model.close()
    assert caught.value.fix == "pip install xllamacpp"


async def test_a_file_that_is_no_model_is_told(engine: FakeEngine, path: Path) -> None:
    for break_it, words in (
        (lambda: setattr(engine, "failure", RuntimeError("Failed to init server")), "cannot be loaded"),
        (lambda: path.write_bytes(b"PK"), "not a GGUF"),
        (path.unlink, "cannot be read"),
    ):
        break_it()
        model = EmbeddedModel(path)
        with pytest.raises(ModelUnavailable, match=words) as caught:
            await model.reply(ASKED)
        await model.close()
        assert caught.value.fix
