from pathlib import Path

import pytest

from agentcomm.errors import UsageError
from agentcomm.models.open import open_model


def test_each_prefix_opens_its_backend(tmp_path: Path) -> None:
    script = tmp_path / "a#b.json"
    script.write_text('{"buyer": []}', encoding="utf-8")
    for name, provider in (
        ("ollama:qwen3:4b", "ollama"),
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
        ("", "write ollama:NAME"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_the_one_meant(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(name)
    assert caught.value.code == "U110"
    assert caught.value.fix.startswith(fix)
    assert "scripted:PATH#KEY" in caught.value.why
