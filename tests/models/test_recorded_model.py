import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from agentcomm import Agent, enact_sync, load
from agentcomm.errors import ContextOverflow, InputError, ModelBroken, ModelUnavailable
from agentcomm.models.base import Capabilities, ChatMessage, ModelReply, ModelRequest
from agentcomm.models.open import open_model
from agentcomm.models.recorded import RecordedModel, request_key
from agentcomm.models.scripted import ScriptedModel

ASKED = ModelRequest(messages=(ChatMessage("user", "cfp item='city bike'"),), schema={"type": "object"})


class Counted(ScriptedModel):
    """Counts how often it is asked, and raises what is an error."""

    def __init__(self, *replies):
        super().__init__([reply for reply in replies if not isinstance(reply, Exception)], name="counted:")
        self.errors = [reply for reply in replies if isinstance(reply, Exception)]
        self.asked = 0

    async def reply(self, request):
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.errors:
            raise self.errors.pop(0)
        return await super().reply(request)


async def test_what_is_new_is_asked_once_and_then_replayed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "talk.jsonl"
    inner = Counted("one", "two")
    model = RecordedModel(path, inner)
    other = replace(ASKED, seed=2)
    assert [(await model.reply(asked)).text for asked in (ASKED, ASKED, other)] == ["one", "one", "two"]
    assert inner.asked == 2
    again = RecordedModel(path)
    assert [(await again.reply(asked)).text for asked in (other, ASKED)] == ["two", "one"]
    assert model.name == f"recorded:{path}#counted:"
    assert again.name == f"recorded:{path}"


async def test_two_who_ask_the_same_at_once_get_the_same(tmp_path: Path) -> None:
    inner = Counted("one", "two")
    models = [RecordedModel(tmp_path / "c.jsonl", inner) for _ in range(2)]
    replies = await asyncio.gather(*(model.reply(ASKED) for model in models for _ in range(3)))
    assert {reply.text for reply in replies} == {"one"}
    assert inner.asked == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": (ChatMessage("system", "cfp item='city bike'"),)},
        {"schema": None},
        {"num_predict": 801},
        {"temperature": 0.1},
        {"seed": 1},
        {"think": True},
        {"logprobs": True},
        {"num_ctx": 4096},
    ],
)
def test_whatever_may_change_an_answer_changes_the_key(changes) -> None:
    assert request_key(replace(ASKED, **changes)) != request_key(ASKED)


def test_the_order_of_a_schemas_keys_does_not(tmp_path: Path) -> None:
    one, two = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert request_key(replace(ASKED, schema=one)) == request_key(replace(ASKED, schema=two))


async def test_an_answer_that_was_none_is_replayed_as_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    error = ContextOverflow("the prompt has 9 tokens", why="so it is", fix="less", where="there")
    with pytest.raises(ContextOverflow):
        await RecordedModel(path, Counted(error)).reply(ASKED)
    with pytest.raises(ContextOverflow) as caught:
        await RecordedModel(path).reply(ASKED)
    assert caught.value.as_dict() == error.as_dict()


async def test_that_nobody_was_there_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    model = RecordedModel(path, Counted(ModelUnavailable("down"), "here again"))
    with pytest.raises(ModelUnavailable):
        await model.reply(ASKED)
    assert (await model.reply(ASKED)).text == "here again"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (replace(ASKED, messages=(ChatMessage("user", "cfp item='city bicycle'"),)), "city bicycle"),
        (replace(ASKED, seed=7, temperature=0.4), "not temperature, seed"),
    ],
)
async def test_a_miss_says_what_differs(tmp_path: Path, asked: ModelRequest, words: str) -> None:
    path = tmp_path / "c.jsonl"
    await RecordedModel(path, Counted("one")).reply(ASKED)
    with pytest.raises(ModelBroken, match="not asked when the cassette was recorded") as caught:
        await RecordedModel(path).reply(asked)
    assert words in caught.value.why
    assert "#ollama:NAME" in caught.value.fix


async def test_what_the_recorded_model_could_is_kept(tmp_path: Path) -> None:
    class Copier(Counted):
        capabilities = Capabilities(judges=False)

    path = tmp_path / "c.jsonl"
    await RecordedModel(path, Copier("one")).reply(ASKED)
    assert not RecordedModel(path).capabilities.judges


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (None, "not there"),
        ("", "empty"),
        ("{", "is no exchange"),
        ('{"key": "x", "model": "m", "request": {"messages": []}}', "not that of its request"),
    ],
)
def test_a_cassette_that_cannot_be_used_is_told(tmp_path: Path, lines: str | None, words: str) -> None:
    path = tmp_path / "c.jsonl"
    if lines is not None:
        path.write_text(lines, encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        RecordedModel(path)
    assert caught.value.fix
    assert str(path) in caught.value.where


async def test_a_cassette_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        await RecordedModel(tmp_path / "file" / "c.jsonl", Counted("one")).reply(ASKED)


async def test_a_line_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    await RecordedModel(path, Counted("one")).reply(ASKED)
    line = json.loads(path.read_text())
    assert (line["key"], line["model"], line["reply"]["text"]) == (request_key(ASKED), "counted:", "one")


def test_a_whole_conversation_is_recorded_and_replayed(root: Path, tmp_path: Path) -> None:
    """The second run asks nobody, and its messages are the same."""
    path = tmp_path / "sale.jsonl"
    sale = load(root / "examples/purchase/protocol.yaml")
    brief = {"buyer": "Buy a city bike for at most 120 EUR."}

    def talk(model: str):
        bob = Agent("Bob")
        bob.on("cfp")(
            lambda turn: turn.say("propose", item="bike", price="110 EUR", valid_until="2026-12-01")
        )
        return enact_sync(sale, cast={"buyer": Agent("Ann", model=model), "seller": bob}, brief=brief)

    script = tmp_path / "script.json"
    said = [
        "Sure! Here it is.",  # no JSON: asked again, and that is on the cassette too
        {"act": "cfp", "content": {"item": "city bike", "budget": "120 EUR"}},
        {"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}},
        {"act": "accept-proposal", "content": {"price": "110 EUR"}},
    ]
    script.write_text(json.dumps({"buyer": said}), encoding="utf-8")
    first = talk(f"recorded:{path}#scripted:{script}#buyer")
    second = talk(f"recorded:{path}")
    assert first.outcome == second.outcome == "sold"
    assert len(path.read_text().splitlines()) == 4
    told = [
        [(m.sender, m.act, m.content) for m in messages]
        for messages in (
            [event.message for event in result.transcript.events() if type(event).__name__ == "Heard"]
            for result in (first, second)
        )
    ]
    assert told[0] == told[1]


def test_a_cassette_is_opened_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    assert open_model(f"recorded:{path}#ollama:qwen3:4b").name == f"recorded:{path}#ollama:qwen3:4b"
    with pytest.raises(InputError):
        open_model(f"recorded:{path}")


def test_a_reply_of_another_time_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"

    class Slow(Counted):
        async def reply(self, request):
            return ModelReply(text="x", model="slow:", seconds=9.0, waited=3.0)

    asyncio.run(RecordedModel(path, Slow("x")).reply(ASKED))
    reply = asyncio.run(RecordedModel(path).reply(ASKED))
    assert (reply.seconds, reply.waited) == (0.0, 0.0)
