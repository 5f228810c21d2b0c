"""What a model can do, found out by asking it; and where that is kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_ollama import FakeOllama, Installed, says

from agentcomm.errors import ModelBroken, ModelRefused, ModelUnavailable
from agentcomm.models.base import Capabilities, Declared, ModelReply, ModelRequest, Token
from agentcomm.models.known import Measured, keep, recall
from agentcomm.models.measure import measure
from agentcomm.models.ollama import OllamaModel


class Pupil:
    """A model that can do everything; its parts can be taken away."""

    name = "pupil:"
    provider = "pupil"
    capabilities = Capabilities()

    def __init__(self, **cannot: bool) -> None:
        self.cannot = cannot
        self.asked = 0

    async def declared(self) -> Declared:
        return Declared(tools=True, window=2048, digest="d1", server="pupil 1")

    async def close(self) -> None:
        pass

    async def reply(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        thinking = "hm" if request.think and "think" not in self.cannot else ""
        if request.think and request.schema is not None and "both" in self.cannot:
            return self.said("110 and 35 are 145.", request, "hm")
        if request.schema is None:
            return self.said("145 EUR", request, thinking)
        return self.said(json.dumps(self.answer(request)), request, thinking)

    def said(self, text: str, request: ModelRequest, thinking: str) -> ModelReply:
        tokens = (Token(text, -0.1),) if request.logprobs and "logprobs" not in self.cannot else ()
        return ModelReply(
            text=text, model=self.name, thinking=thinking, logprobs=tokens, seconds=0.5, output_tokens=20
        )

    def answer(self, request: ModelRequest) -> Any:
        fields = request.schema["properties"]  # type: ignore[index]
        text = request.messages[-1].content
        if "zone" in fields:
            return "Sunny." if "form" in self.cannot else {"zone": "Q7", "count": 4}
        if "host" in fields:
            pairs = re.findall(r"(\w+)=(.*?)(?= \w+=|$)", text)
            found: dict[str, Any] = {name: int(value) if name == "errors" else value for name, value in pairs}
            return found | ({"price": "1 EUR"} if "copy" in self.cannot else {})
        field, shape = next(iter(fields.items()))
        if "judge" in self.cannot:  # a coin with one side: the first on offer, or always the same word
            return {field: shape["enum"][0]}
        if field == "act":
            budget, price = map(int, re.findall(r"(\d+) EUR", text))
            return {field: "refuse" if price > budget else "accept"}
        contrary = any(word in text for word in ("Thursday", "running", "Everybody"))
        return {field: "contradict" if contrary else "can both be true"}


async def test_a_model_that_can_do_everything() -> None:
    lines: list[str] = []
    found = await measure(Pupil(), lines.append)
    assert found.capabilities == Capabilities(
        judges=True,
        follows_schema=True,
        thinks=True,
        thinks_with_schema=True,
        tools=True,
        logprobs=True,
        window=2048,
    )
    assert found.counts == {
        "schema": (3, 3),
        "values copied": (15, 15),
        "refusals": (6, 6),
        "contradictions": (6, 6),
    }
    assert (found.digest, found.server, found.seconds, found.rate) == ("d1", "pupil 1", 0.5, 40.0)
    assert lines[0] == "measuring pupil:, keeping to a schema"


@pytest.mark.parametrize(
    ("missing", "field", "value"),
    [
        ("form", "follows_schema", False),
        ("judge", "judges", False),
        ("think", "thinks", False),
        ("both", "thinks_with_schema", False),
        ("logprobs", "logprobs", False),
    ],
)
async def test_what_a_model_cannot_do_is_found(missing: str, field: str, value: object) -> None:
    found = await measure(Pupil(**{missing: True}))
    assert getattr(found.capabilities, field) is value


async def test_a_value_not_copied_is_counted() -> None:
    found = await measure(Pupil(copy=True, judge=True))
    assert found.counts["values copied"] == (12, 15)
    assert found.capabilities.note == "neither copies nor judges"


@pytest.mark.parametrize("answer", [0, 1])
async def test_always_the_same_place_or_word_is_no_judgement(answer: int) -> None:
    class Stubborn(Pupil):
        def answer(self, request: ModelRequest) -> Any:
            field, shape = next(iter(request.schema["properties"].items()))  # type: ignore[index]
            return (
                {field: shape["enum"][answer]}
                if "enum" in shape and field != "host"
                else super().answer(request)
            )

    class Sure(Pupil):
        def answer(self, request: ModelRequest) -> Any:
            field, shape = next(iter(request.schema["properties"].items()))  # type: ignore[index]
            return (
                {field: sorted(shape["enum"])[answer]}
                if field in ("act", "they")
                else super().answer(request)
            )

    for kind in (Stubborn, Sure):
        found = await measure(kind())
        assert not found.capabilities.judges
        assert found.counts["refusals"][0] <= 4


@pytest.mark.parametrize("error", [ModelBroken("it was cut off"), ModelRefused("no such schema")])
async def test_an_answer_that_is_none_counts_as_wrong_and_is_noted(error: Exception) -> None:
    class Broken(Pupil):
        async def reply(self, request: ModelRequest) -> ModelReply:
            raise error

    found = await measure(Broken())
    assert found.counts["schema"] == (0, 3)
    assert not found.capabilities.judges
    assert found.notes == (str(error.args[0]),)
    assert found.seconds is None


async def test_a_model_that_is_not_there_is_not_measured() -> None:
    class Gone(Pupil):
        async def reply(self, request: ModelRequest) -> ModelReply:
            raise ModelUnavailable("nobody answers")

    with pytest.raises(ModelUnavailable):
        await measure(Gone())


async def test_what_an_ollama_server_declares_is_taken() -> None:
    models = {"demo": Installed(capabilities=("completion", "tools"), context_length=4096)}
    async with FakeOllama(["{}"], repeat=True, models=models) as server:
        model = OllamaModel("demo", host=server.url)
        found = await measure(model)
        await model.close()
    able = found.capabilities
    assert (able.tools, able.thinks, able.window, able.follows_schema) == (True, False, 4096, False)
    assert found.server == "ollama 0.32.15"
    assert found.digest
    assert not any(chat.body.get("think") for chat in server.chats)


async def test_a_thinking_model_that_drops_the_schema_is_found_out() -> None:
    """As recorded: with thinking on, plain text comes back, status 200."""

    plain = says("Both cost 145 euros.", thinking="110 and 35")

    def answer(body: Any) -> Any:
        return plain if body["think"] else {"zone": "Q7", "count": 3}

    models = {"demo": Installed(capabilities=("completion", "thinking"))}
    async with FakeOllama([answer], repeat=True, models=models) as server:
        model = OllamaModel("demo", host=server.url)
        found = await measure(model)
        await model.close()
    able = found.capabilities
    assert (able.follows_schema, able.thinks, able.thinks_with_schema) == (True, True, False)


# --- kept on disk ---


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTCOMM_CAPABILITIES", str(tmp_path / "caps"))
    return tmp_path / "caps"


def test_what_was_measured_is_kept_by_model_and_place(folder: Path) -> None:
    found = Measured(model="ollama:demo", capabilities=Capabilities(judges=False), counts={"schema": (2, 3)})
    assert recall("ollama:demo", "here") is None
    assert keep(found, "here")
    assert recall("ollama:demo", "here") == found
    assert recall("ollama:demo", "there") is None
    assert [path.suffix for path in folder.iterdir()] == [".json"]


@pytest.mark.parametrize(
    "text", ["", "{", '{"model": 3}', '{"model":"ollama:demo","capabilities":{},"version":0}']
)
def test_what_cannot_be_used_is_as_good_as_not_measured(folder: Path, text: str) -> None:
    keep(Measured(model="ollama:demo", capabilities=Capabilities()))
    next(folder.iterdir()).write_text(text, encoding="utf-8")
    assert recall("ollama:demo") is None


def test_a_cache_that_cannot_be_written_is_no_failure(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    assert not keep(Measured(model="ollama:demo", capabilities=Capabilities()))


def test_a_model_knows_what_was_measured_of_it(folder: Path) -> None:
    keep(Measured(model="ollama:demo", capabilities=Capabilities(judges=False)), "http://127.0.0.1:1")
    assert not OllamaModel("demo", host="http://127.0.0.1:1").capabilities.judges
    assert OllamaModel("demo", host="http://127.0.0.1:2").capabilities.judges


def test_doctor_shows_what_was_measured_and_measures_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from agentcomm.cli.main import main

    with FakeOllama(["{}"], repeat=True) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert main(["doctor"]) == 0
        assert "not measured: agentcomm doctor --measure ollama:demo" in capsys.readouterr().out
        assert main(["doctor", "--measure", "ollama:demo"]) == 0
        shown = capsys.readouterr().out
        assert "schema 0 of 3; values copied 0 of 15; refusals 0 of 6; contradictions 0 of 6" in shown
        assert "does not keep to a schema: every answer is checked, and asked again" in shown
        assert main(["doctor", "--json"]) == 0
        rows = {row["found"]: row for row in json.loads(capsys.readouterr().out)}
        row = rows["ollama:demo (completion)"]
        assert row["measured"]["capabilities"]["judges"] is False
        assert row["stale"] is False
        kept = recall("ollama:demo", server.url)
        assert kept is not None
        keep(Measured(model="ollama:demo", capabilities=Capabilities(), digest="older"), server.url)
        main(["doctor"])
        assert "when it was another model of this name" in capsys.readouterr().out


def test_doctor_measures_nothing_if_a_name_is_wrong(folder: Path, capsys) -> None:
    from agentcomm.cli.main import main

    assert main(["doctor", "--measure", "qwen3"]) == 2
    assert "write ollama:qwen3" in capsys.readouterr().err


def test_doctor_says_of_a_model_that_is_not_there_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from agentcomm.cli.main import main

    with FakeOllama(["{}"], repeat=True) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert main(["doctor", "--measure", "ollama:qwen3:4b", "ollama:demo"]) == 0
        shown = capsys.readouterr().out
    assert "Ollama has no model 'qwen3:4b'" in shown
    assert "fix: ollama pull qwen3:4b" in shown
    assert "values copied 0 of 15" in shown
