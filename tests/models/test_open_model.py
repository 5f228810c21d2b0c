import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentcomm.errors import UsageError
from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.models.open import open_model, register


def test_each_prefix_opens_its_backend(tmp_path: Path) -> None:
    script = tmp_path / "a#b.json"
    script.write_text('{"buyer": []}', encoding="utf-8")
    for name, provider in (
        ("ollama:qwen3:4b", "ollama"),
        ("ollama:qwen3:4b@http://127.0.0.1:1", "ollama"),
        ("openai:Qwen/Qwen3-4B@http://127.0.0.1:8000/v1", "openai"),
        ("openai:@http://127.0.0.1:8080/v1", "openai"),
        (f"recorded:{tmp_path}/c.jsonl#embedded:", "recorded"),
        ("embedded:", "embedded"),
        ("embedded:/some/model.gguf", "embedded"),
        (f"scripted:{script}#buyer", "scripted"),
    ):
        model = open_model(name)
        assert (model.name, model.provider) == (name, provider)


def test_options_reach_the_backend() -> None:
    lines: list[str] = []
    model = open_model("ollama:demo", progress=lines.append, host="http://127.0.0.1:1", timeout=1.0)
    assert vars(model)["_timeout"] == 1.0


class Parrot:
    """A backend in one file, as a user writes it."""

    provider = "parrot"
    capabilities = Capabilities(judges=False, note="says what it heard")

    def __init__(self, rest, *, progress=None, loud=False):
        self.name = f"parrot:{rest}"
        self.loud = loud

    async def reply(self, request):
        return ModelReply(text=request.messages[-1].content, model=self.name)

    async def close(self):
        pass


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentcomm.models.open._registered", {})
    register("parrot", Parrot)


def test_a_backend_of_the_users_is_named_like_any_other(parrot: None) -> None:
    model = open_model("parrot:green", loud=True)
    assert (model.name, model.loud) == ("parrot:green", True)
    with pytest.raises(UsageError) as caught:
        open_model("parot:green")
    assert "did you mean parrot:green?" in caught.value.fix
    assert "parrot:…" in caught.value.why


@pytest.mark.parametrize("prefix", ["ollama", "My", "a b", "", "a:b"])
def test_a_prefix_that_cannot_be_one_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError) as caught:
        register(prefix, Parrot)
    assert caught.value.code == "U112"


def test_a_backend_of_a_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """In a process of its own, as entry points are read once."""
    (tmp_path / "parrots.py").write_text(
        "class Parrot:\n    def __init__(self, rest, progress=None): self.name = rest\n", encoding="utf-8"
    )
    info = tmp_path / "parrots-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrots\nVersion: 1\n", encoding="utf-8")
    points = "[agentcomm.models]\nparrot = parrots:Parrot\nbroken = nothing:Here\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    program = (
        "from agentcomm.models.open import open_model\n"
        "print(open_model('parrot:green').name)\n"
        "try: open_model('broken:x')\n"
        "except Exception as error: print(type(error).__name__, error.code, error.where)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.splitlines() == ["green", "UsageError U112 nothing:Here"]


def test_only_the_demo_model_does_not_judge() -> None:
    assert not open_model("embedded:").capabilities.judges
    assert "does not judge" in open_model("embedded:").capabilities.note
    assert open_model("embedded:/some/model.gguf").capabilities.judges


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("qwen3:4b", "write ollama:qwen3:4b"),
        ("qwen3", "write ollama:qwen3"),
        ("llama3:8b", "write ollama:llama3:8b"),
        ("hf.co/me/model:Q4", "write ollama:hf.co/me/model:Q4"),
        ("olama:qwen3:4b", "did you mean ollama:qwen3:4b?"),
        ("Ollama:qwen3", "did you mean ollama:qwen3?"),
        ("scriptd:a.json#x", "did you mean scripted:a.json#x?"),
        ("embeded:", "did you mean embedded: or"),
        ("/models/a.gguf", "use embedded:/models/a.gguf"),
        ("embedded", "write embedded:"),
        ("ollama:", "write ollama:NAME"),
        ("ollama", "write ollama:NAME"),
        ("scripted:", "write scripted:PATH#KEY"),
        ("openai:", "write openai:NAME@http"),
        ("recorded:", "write recorded:PATH"),
        ("", "write ollama:NAME"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_the_one_meant(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(name)
    assert caught.value.code == "U110"
    assert caught.value.fix.startswith(fix)
    assert "scripted:PATH#KEY" in caught.value.why
