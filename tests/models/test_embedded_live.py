"""The demo model for real: fetched on the first run, about a second a reply."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused
from agentcomm.models.base import ChatMessage, ModelRequest
from agentcomm.models.embedded import EmbeddedModel

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

TEXT = {"type": "string", "maxLength": 120}
READ_BACK = {
    "type": "object",
    "properties": {
        "act": {"const": "read-back"},
        "host": TEXT,
        "service": TEXT,
        "errors": {"type": "integer"},
        "first_seen": TEXT,
        "severity": {"enum": ["low", "medium", "high", "critical"]},
    },
    "required": ["act", "host", "service", "errors", "first_seen", "severity"],
    "additionalProperties": False,
}

NAMES = ("host", "service", "errors", "first_seen", "severity")
EXAMPLES = (
    ("db-1", "postgres", 17, "2026-03-04T05:06:07Z", "high"),
    ("mail-2", "postfix", 230, "2026-07-19T12:30:00Z", "low"),
    ("cache-9", "redis", 5, "2026-01-31T00:10:59Z", "medium"),
)
ASKED = (
    ("web-3", "nginx", 2418, "2026-11-02T23:59:01Z", "critical"),
    ("auth-7", "keycloak", 64, "2026-02-28T08:15:42Z", "medium"),
    ("api-12", "gunicorn", 901, "2025-12-24T17:00:05Z", "low"),
    ("queue-4", "rabbitmq", 33000, "2026-05-17T21:07:33Z", "high"),
    ("files-0", "samba", 1, "2026-09-09T09:09:09Z", "low"),
)


def said(values: tuple[Any, ...]) -> str:
    return "inform " + " ".join(f"{name}={value}" for name, value in zip(NAMES, values, strict=True))


def understood(values: tuple[Any, ...]) -> dict[str, Any]:
    return {"act": "read-back", **dict(zip(NAMES, values, strict=True))}


def prompt(values: tuple[Any, ...], examples: int) -> tuple[ChatMessage, ...]:
    messages = [ChatMessage("system", "Read back what you heard, value by value, as one JSON object.")]
    for example in EXAMPLES[:examples]:
        messages += [
            ChatMessage("user", said(example)),
            ChatMessage("assistant", json.dumps(understood(example))),
        ]
    return (*messages, ChatMessage("user", said(values)))


def read_back(values: tuple[Any, ...], examples: int = 2) -> ModelRequest:
    return ModelRequest(messages=prompt(values, examples), schema=READ_BACK, num_ctx=2048, num_predict=300)


@pytest.fixture
async def model() -> AsyncIterator[EmbeddedModel]:
    model = EmbeddedModel(progress=print)
    yield model
    await model.close()


async def test_five_values_are_read_back_exactly_with_two_examples(model: EmbeddedModel) -> None:
    exact = 0
    for values in ASKED:
        reply = await model.reply(read_back(values))
        exact += json.loads(reply.text) == understood(values)
        print(f"{reply.seconds:.2f} s, {reply.prompt_tokens} + {reply.output_tokens} tokens: {reply.text}")
    assert exact == len(ASKED)


async def test_the_same_question_has_the_same_answer(model: EmbeddedModel) -> None:
    first = await model.reply(read_back(ASKED[0]))
    await model.reply(read_back(ASKED[1]))
    assert (await model.reply(read_back(ASKED[0]))).text == first.text


async def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    model = EmbeddedModel()
    schema = {"type": "object", "properties": {"a": {**TEXT, "pattern": "[a-z]"}}, "required": ["a"]}
    messages = (ChatMessage("user", "hello"),)
    await model.reply(ModelRequest(messages=messages, schema=schema, num_ctx=512, num_predict=200))
    with pytest.raises(ModelRefused, match="strange"):
        await model.reply(ModelRequest(messages=messages, schema={"type": "strange"}, num_ctx=512))
    await model.close()
    assert tuple(capfd.readouterr()) == ("", "")


async def test_a_prompt_that_does_not_fit_is_refused(model: EmbeddedModel) -> None:
    with pytest.raises(ContextOverflow, match="and the window 512"):
        await model.reply(ModelRequest(messages=(ChatMessage("user", "word " * 1000),), num_ctx=512))


async def test_a_window_larger_than_the_models_own_is_not_loaded(model: EmbeddedModel) -> None:
    with pytest.raises(ContextOverflow, match="and the window 8192"):
        await model.reply(ModelRequest(messages=(ChatMessage("user", "word " * 9000),), num_ctx=10_000))


async def test_an_answer_that_is_cut_off_is_none(model: EmbeddedModel) -> None:
    with pytest.raises(ModelBroken, match="cut off after 5"):
        await model.reply(
            ModelRequest(messages=(ChatMessage("user", "Tell a story."),), num_ctx=512, num_predict=5)
        )


async def test_cancelling_and_closing_under_way_leave_the_engine_usable(model: EmbeddedModel) -> None:
    story = ModelRequest(
        messages=(ChatMessage("user", "Tell a long story."),), num_ctx=2048, num_predict=1500
    )
    task = asyncio.create_task(model.reply(story))
    await asyncio.sleep(2.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reply = await model.reply(read_back(ASKED[0]))
    assert json.loads(reply.text) == understood(ASKED[0])
    other = EmbeddedModel()
    task = asyncio.create_task(other.reply(story))
    await asyncio.sleep(0.5)
    await other.close()
    with pytest.raises(ModelBroken, match="closed"):
        await task
    assert (await model.reply(read_back(ASKED[0]))).text == reply.text
