"""The demo model for real behind a real OpenAI-compatible server, llama.cpp's."""

import json
from collections.abc import AsyncIterator

import pytest
from test_embedded_live import ASKED, read_back, understood

from agentcomm.models.base import ModelRequest
from agentcomm.models.fetch import demo_model
from agentcomm.models.measure import measure
from agentcomm.models.openai import OpenAIModel

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@pytest.fixture
async def model() -> AsyncIterator[OpenAIModel]:
    xllamacpp = pytest.importorskip("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(demo_model())
    settings.n_ctx = 2048
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.verbosity = -1
    settings.ui = False
    server = xllamacpp.Server(settings)
    model = OpenAIModel("", f"{server.listening_address}/v1", progress=print)
    yield model
    await model.close()
    del server


async def test_five_values_are_read_back_exactly_over_http(model: OpenAIModel) -> None:
    for values in ASKED:
        reply = await model.reply(read_back(values))
        assert json.loads(reply.text) == understood(values)


async def test_thinking_alone_is_harmless(model: OpenAIModel) -> None:
    asked = read_back(ASKED[0])
    reply = await model.reply(ModelRequest(messages=asked.messages, think=True, num_predict=300))
    assert reply.text
    assert not reply.thinking


async def test_what_the_demo_model_can_do(model: OpenAIModel) -> None:
    found = await measure(model, print)
    print(found.counts, found.capabilities)
    assert found.capabilities.follows_schema
    assert found.counts["values copied"] == (15, 15)
    assert not found.capabilities.judges
