"""Decide which backend a model's name means; each is imported only when it is named."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agentcomm.errors import UsageError
from agentcomm.models.base import Model, Progress

__all__ = ("open_model",)

KNOWN = {
    "ollama": "ollama:NAME",
    "embedded": "embedded: or embedded:/path/to/model.gguf",
    "scripted": "scripted:PATH#KEY",
}
"""Each prefix with its full form."""

LIKENESS = 0.85
"""From here on a prefix is a slip of the pen; `llama3` stays below, as it may well be a model."""


def open_model(name: str, *, progress: Progress | None = None, **options: Any) -> Model:
    """Return the model that `name` means; nothing is contacted, loaded or fetched yet.

    Args:
        name: `ollama:NAME`, `embedded:`, `embedded:/path/to/model.gguf` or `scripted:PATH#KEY`.
        progress: Told whatever takes longer than a second.
        options: Given to the backend, such as `host` and `timeout` (seconds).

    Raises:
        UsageError: The name has no known prefix, or nothing after it.
        InputError: A script cannot be read.
    """
    prefix, _, rest = name.partition(":")
    match prefix:
        case "ollama" if rest:
            from agentcomm.models.ollama import OllamaModel

            return OllamaModel(rest, progress=progress, **options)
        case "embedded" if name != prefix:
            from agentcomm.models.embedded import EmbeddedModel

            return EmbeddedModel(rest or None, progress=progress, **options)
        case "scripted" if rest:
            from agentcomm.models.scripted import ScriptedModel

            path, _, key = rest.rpartition("#") if "#" in rest else (rest, "", "")
            return ScriptedModel.from_file(path, key, **options)
        case _:
            raise UsageError(
                f"{name!r} names no model",
                why=f"a model is named {', '.join(KNOWN.values())}",
                fix=_fix(name, prefix, rest),
                code="U110",
            )


def _fix(name: str, prefix: str, rest: str) -> str:
    if prefix in KNOWN or not name:
        return f"write {KNOWN.get(prefix, 'ollama:NAME')}"
    if Path(name).suffix == ".gguf":
        return f"use embedded:{name}"
    near = get_close_matches(prefix.lower(), KNOWN, n=1, cutoff=LIKENESS)
    if near and ":" in name:
        meant = f"{near[0]}:{rest}" if rest else KNOWN[near[0]]
        return f"did you mean {meant}? If {name} is a model of Ollama: ollama:{name}"
    if prefix.lower() in ("openai", "anthropic", "gemini", "google", "azure", "mistral"):
        return "models run locally here: ollama:NAME or embedded:; `agentcomm doctor` shows what is there"
    return f"write ollama:{name} for a model of Ollama; `agentcomm doctor` shows what is there"
