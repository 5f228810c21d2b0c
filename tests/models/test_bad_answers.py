"""Whatever a model or its server does, the conversation ends by its protocol, with a cause that names it."""

from pathlib import Path

import pytest
from fake_ollama import (
    Answer,
    FakeOllama,
    Installed,
    busy,
    cut_off,
    dies_in_stream,
    endless,
    half_window,
    hangs_up,
    loading,
    only_thinking,
    overflow,
    refuses,
    runner_died,
    says,
    schema_ignored,
    slow,
    stops_in_stream,
)

from agentcomm import Agent, load
from agentcomm.conversation.events import Ended, Heard
from agentcomm.errors import EdgeError
from agentcomm.models.ollama import OllamaModel
from agentcomm.models.retry import Patience
from agentcomm.runtime.enact import enact
from agentcomm.runtime.replay import read_transcript, replay

SALE = "examples/purchase/protocol.yaml"
CFP = {"act": "cfp", "content": {"item": "bike", "budget": "120 EUR"}}
WRONG_ACT = {"act": "accept-proposal", "content": {"price": "1 EUR"}}

SMALL = {"demo": Installed(context_length=3000)}

SITUATIONS: dict[str, tuple[Answer | object, str]] = {
    "server busy, 503": (busy(), "server is busy"),
    "status 500": (refuses(500, "boom"), "status 500"),
    "model gone, 404": (refuses(404, "model 'demo' not found"), "no model 'demo'"),
    "runner dies": (runner_died(), "died while it was answering"),
    "dies in the stream": (dies_in_stream('{"act'), "died while it was answering"),
    "stream without an end": (stops_in_stream('{"act'), "connection broke"),
    "hangs up": (hangs_up(), "connection broke"),
    "silence": (slow(5.0), "no answer within"),
    "prompt too long": (overflow(99_999, 4096), "99999 tokens"),
    "prompt shortened": (half_window(3000), "shortened the prompt"),
    "not JSON": (schema_ignored(), "not JSON"),
    "JSON that is no object": ("[1]", "not a JSON object"),
    "cut off": (cut_off(), "cut off after 800 tokens"),
    "window full": (cut_off(eval_count=3), "window of 3000 tokens is full"),
    "wrong act": (WRONG_ACT, "may not say 'accept-proposal'"),
    "a field too few": ({"act": "cfp", "content": {"item": "bike"}}, "budget: is missing"),
    "repetition": (endless("bike "), "without an end"),
    "white space": (endless("\n "), "without an end"),
    "empty": (says(""), "is empty"),
    "thinking only": (only_thinking(), "is empty"),
    "only loaded": (loading(), "was loaded and gave no answer"),
    "not Ollama": (Answer(body="<html>"), "not in Ollama's form"),
}


def seller() -> Agent:
    bob = Agent("Bob")
    bob.on("cfp")(lambda turn: turn.say("propose", item="bike", price="110 EUR", valid_until="2026-12-01"))
    return bob


async def talk(root: Path, path: Path, server: FakeOllama, timeout: float = 60) -> list[object]:  # noqa: ASYNC109
    """Let it happen, and return what is on record; the error, if one is raised, is one with words."""
    model = OllamaModel("demo", host=server.url, timeout=timeout, patience=Patience(first_wait=0.0))
    raised: list[EdgeError] = []
    brief = "Buy a bike for at most 120 EUR. " + ("It is red. " * 900)
    try:
        await enact(
            load(root / SALE),
            cast={"buyer": Agent("Ann", model=model), "seller": seller()},
            brief={"buyer": brief},
            transcript=path,
        )
    except EdgeError as error:
        raised.append(error)
    finally:
        await model.close()
    assert all(error.what and error.fix for error in raised)
    return list(read_transcript(path).events())


@pytest.mark.parametrize("name", SITUATIONS)
async def test_it_ends_with_a_cause_that_names_it(root: Path, tmp_path: Path, name: str) -> None:
    answer, words = SITUATIONS[name]
    async with FakeOllama([answer], repeat=True, models=SMALL) as server:
        events = await talk(root, tmp_path / "t.jsonl", server, 2 if name == "silence" else 60)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert words in ended.cause
    assert not any(isinstance(event, Heard) and event.message.made_by == "model" for event in events)
    assert replay(tmp_path / "t.jsonl")


@pytest.mark.parametrize("name", SITUATIONS)
async def test_in_the_middle_of_a_conversation_nothing_said_is_lost(
    root: Path, tmp_path: Path, name: str
) -> None:
    answer, _ = SITUATIONS[name]
    async with FakeOllama([CFP, answer], repeat=True, models=SMALL) as server:
        events = await talk(root, tmp_path / "t.jsonl", server, 2 if name == "silence" else 60)
    assert isinstance(events[-1], Ended)
    said = [event.message.act for event in events if isinstance(event, Heard)]
    assert said[:2] == ["cfp", "propose"]


async def test_a_server_that_is_switched_off_between_two_turns(root: Path, tmp_path: Path) -> None:
    with FakeOllama([CFP]) as server:
        path = tmp_path / "t.jsonl"
        model = OllamaModel("demo", host=server.url, patience=Patience(tries=2, first_wait=0.0))
        bob = Agent("Bob")

        @bob.on("cfp")
        def offer(turn):
            server.__exit__(None, None, None)
            return turn.say("propose", item="bike", price="110 EUR", valid_until="2026-12-01")

        cast = {"buyer": Agent("Ann", model=model), "seller": bob}
        result = await enact(load(root / SALE), cast=cast, transcript=path)
        await model.close()
        events = list(read_transcript(path).events())
        assert isinstance(events[-1], Ended)
        assert "X201" in {error.code for error in result.errors}
        server.__enter__()
