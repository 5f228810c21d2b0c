"""A real engine with a model of random weights: in this process, and over HTTP as an OpenAI-compatible server.

What it says has no sense, so this is about everything but sense: grammar, counts, windows, cancellation, and conversations that end
by their protocol whatever is said. Runs where xllamacpp is installed.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tiny_model import write_tiny_model

from agentcomm import Agent, load
from agentcomm.errors import ContextOverflow, ModelBroken, ModelRefused, ModelTimeout, ModelUnavailable
from agentcomm.models.base import ChatMessage, ModelRequest
from agentcomm.models.embedded import EmbeddedModel
from agentcomm.models.measure import measure
from agentcomm.models.openai import OpenAIModel, served_at
from agentcomm.runtime.enact import enact

xllamacpp = pytest.importorskip("xllamacpp")

TEXT = {"type": "string", "minLength": 1, "maxLength": 40}
PROPOSE = {
    "type": "object",
    "properties": {
        "act": {"const": "propose"},
        "content": {
            "type": "object",
            "properties": {
                "price": {"type": "integer", "minimum": 0, "maximum": 99},
                "plan": TEXT,
                "level": {"enum": ["low", "high", 3]},
                "parts": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2},
                "until": {"type": "string", "format": "date"},
            },
            "required": ["price", "plan", "level", "parts"],
            "additionalProperties": False,
        },
    },
    "required": ["act", "content"],
    "additionalProperties": False,
}
REFUSE = {
    "type": "object",
    "properties": {"act": {"const": "refuse"}, "content": {"type": "object", "additionalProperties": False}},
    "required": ["act", "content"],
    "additionalProperties": False,
}
ACTS = {"oneOf": [PROPOSE, REFUSE]}


def request(text: str = "cfp item='city bike'", **changes: Any) -> ModelRequest:
    asked = {"messages": (ChatMessage("user", text),), "schema": ACTS, "num_predict": 600, "temperature": 1.0}
    return ModelRequest(**{**asked, **changes})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
async def embedded(path: Path) -> AsyncIterator[EmbeddedModel]:
    model = EmbeddedModel(path)
    yield model
    await model.close()


@pytest.fixture(scope="module")
def address(path: Path) -> Iterator[str]:
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = 2048
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.verbosity = -1
    settings.api_keys = ["sesame"]
    settings.ui = False
    server = xllamacpp.Server(settings)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
async def served(address: str) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel("", address, key="sesame")
    yield model
    await model.close()


@pytest.fixture(params=["embedded", "served"])
def model(request: pytest.FixtureRequest, embedded: EmbeddedModel, served: OpenAIModel) -> Any:
    return {"embedded": embedded, "served": served}[request.param]


async def test_what_a_random_model_says_has_the_form_asked_for(model: Any) -> None:
    said: Counter[str] = Counter()
    for seed in range(12):
        try:
            reply = await model.reply(request(seed=seed))
        except ModelBroken as error:  # cut off, or white space without an end: told, and never passed on
            said[error.what.partition(" ")[0]] += 1
            continue
        answer = json.loads(reply.text)
        jsonschema.validate(answer, ACTS)
        said[answer["act"]] += 1
        assert reply.prompt_tokens
        assert reply.output_tokens
    assert said["propose"]
    assert said["refuse"]


async def test_log_probabilities_of_a_real_engine(model: Any) -> None:
    reply = await model.reply(request(logprobs=True, schema=REFUSE))
    assert len(reply.logprobs) > 10
    assert all(token.logprob <= 0 for token in reply.logprobs)


async def test_a_prompt_that_does_not_fit_is_refused_with_its_count(model: Any) -> None:
    with pytest.raises(ContextOverflow) as caught:
        await model.reply(request("word " * 900, num_ctx=2048))
    assert "4" in str(caught.value)
    assert caught.value.fix


async def test_an_answer_that_is_cut_off_is_none(model: Any) -> None:
    with pytest.raises(ModelBroken, match="cut off after 5"):
        await model.reply(request(num_predict=5, schema=None))


async def test_a_cancelled_answer_stops_the_engine(model: Any) -> None:
    words = {"type": "string", "minLength": 38, "maxLength": 40}
    long = {"type": "array", "items": words, "minItems": 36, "maxItems": 36}
    task = asyncio.create_task(model.reply(request(schema=long, num_predict=1900)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reply = await model.reply(request(schema=REFUSE))
    assert json.loads(reply.text)["act"] == "refuse"


async def test_the_window_grows_with_the_need(embedded: EmbeddedModel) -> None:
    short = await embedded.reply(request(schema=REFUSE, num_ctx=1024, num_predict=300))
    long = await embedded.reply(request("word " * 400, schema=REFUSE, num_predict=300))
    assert (short.num_ctx, long.num_ctx) == (1024, 4096)


async def test_a_schema_that_the_engine_cannot_use_is_told(model: Any) -> None:
    with pytest.raises(ModelRefused):
        await model.reply(request(schema={"type": "strange"}))


async def test_a_random_model_is_found_to_judge_nothing(path: Path) -> None:
    model = EmbeddedModel(path)
    found = await measure(model)
    await model.close()
    assert found.capabilities.follows_schema is not None
    assert not found.capabilities.judges
    assert found.counts["values copied"][0] < 8
    assert found.capabilities.logprobs


async def test_a_server_tells_what_it_has_only_to_those_with_a_key(address: str) -> None:
    models = await served_at(address)
    assert models is None or len(models) == 1
    model = OpenAIModel("", address)
    with pytest.raises((ModelRefused, ModelUnavailable), match="key"):
        await model.reply(request())
    await model.close()


async def test_a_server_that_is_too_slow_is_told(address: str) -> None:
    model = OpenAIModel("", address, key="sesame", timeout=0.005)
    with pytest.raises((ModelTimeout, ModelBroken)):
        await model.reply(request(schema=None, num_predict=1500))
    await model.close()


async def test_conversations_with_a_random_model_end_by_their_protocol(
    root: Path, embedded: EmbeddedModel
) -> None:
    """Whatever is said: a named outcome, a cause, no exception, and nothing but legal messages."""
    sale = load(root / "examples/purchase/protocol.yaml")
    ends: Counter[str] = Counter()
    for number in range(3):
        cast = {"buyer": Agent(f"Ann{number}", model=embedded), "seller": Agent("Bob", model=embedded)}
        brief = {"buyer": "Buy a city bike for at most 120 EUR.", "seller": f"Sell bikes, number {number}."}
        result = await enact(sale, cast=cast, brief=brief)
        assert result.cause
        assert result.outcome_class in {
            "success",
            "refused",
            "failed",
            "expired",
            "undecided",
            "aborted",
            "rejected",
        }
        ends[result.outcome] += 1
    assert sum(ends.values()) == 3
