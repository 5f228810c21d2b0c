"""Decide which backend a model's name means; each is imported only when it is named.

A model is one string, `PREFIX:REST`. The prefix names the backend, the rest is the backend's own. Backends of others are known
by the entry points of their package in the group `agentcomm.models`, or by `register`.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from agentcomm.errors import UsageError
from agentcomm.models.base import Model, Progress

__all__ = ("GROUP", "Opener", "open_model", "register")

Opener = Callable[..., Model]
"""Is given what stands after the prefix, `progress=` and the options; returns a model and contacts nobody."""

GROUP = "agentcomm.models"
"""Group of entry points, by prefix."""

KNOWN = {
    "ollama": "ollama:NAME",
    "openai": "openai:NAME@http://127.0.0.1:8080/v1",
    "embedded": "embedded: or embedded:/path/to/model.gguf",
    "recorded": "recorded:PATH or recorded:PATH#MODEL",
    "scripted": "scripted:PATH#KEY",
}
"""Each prefix with its full form."""

LIKENESS = 0.85
"""From here on a prefix is a slip of the pen; `llama3` stays below, as it may well be a model."""

_registered: dict[str, Opener] = {}


def register(prefix: str, opener: Opener) -> None:
    """Let a prefix mean a backend of yours, in this process.

    Args:
        prefix: Letters, digits and `-`, in lower case.
        opener: `opener(rest, *, progress=None, **options)` returns the model; it contacts, loads and fetches nothing yet.

    Raises:
        UsageError: The prefix is one of the library's, or cannot be written before a colon.
    """
    if prefix in KNOWN or not prefix.replace("-", "").isalnum() or prefix != prefix.lower():
        raise UsageError(
            f"{prefix!r} cannot be the prefix of a backend",
            why="it is one of the library's"
            if prefix in KNOWN
            else "a prefix has letters, digits and -, in lower case",
            fix="take another one",
            code="U112",
        )
    _registered[prefix] = opener


def open_model(name: str, *, progress: Progress | None = None, **options: Any) -> Model:
    """Return the model that `name` means; nothing is contacted, loaded or fetched yet.

    Args:
        name: `ollama:NAME`, `ollama:NAME@ADDRESS`, `openai:NAME@ADDRESS`, `embedded:`, `embedded:/path/to/model.gguf`,
            `recorded:PATH`, `recorded:PATH#MODEL`, `scripted:PATH#KEY`, or that of another backend.
        progress: Told whatever takes longer than a second.
        options: Given to the backend, such as `host`, `timeout` (seconds) and `keep_alive`.

    Raises:
        UsageError: The name has no known prefix, or nothing after it.
        InputError: A script or a cassette cannot be read.
    """
    prefix, _, rest = name.partition(":")
    match prefix:
        case "ollama" if rest:
            from agentcomm.models.ollama import OllamaModel

            return OllamaModel(rest, progress=progress, **options)
        case "openai" if rest:
            from agentcomm.models.openai import OpenAIModel

            model, _, address = rest.rpartition("@") if "@" in rest else (rest, "", "")
            return OpenAIModel(model, address, progress=progress, **options)
        case "embedded" if name != prefix:
            from agentcomm.models.embedded import EmbeddedModel

            return EmbeddedModel(rest or None, progress=progress, **options)
        case "scripted" if rest:
            from agentcomm.models.scripted import ScriptedModel

            path, _, key = rest.rpartition("#") if "#" in rest else (rest, "", "")
            return ScriptedModel.from_file(path, key, **options)
        case "recorded" if rest:
            from agentcomm.models.recorded import RecordedModel

            path, _, inner = rest.partition("#")
            return RecordedModel(path, open_model(inner, progress=progress, **options) if inner else None)
        case _:
            if ":" in name and (opener := _registered.get(prefix) or _entry_points().get(prefix)):
                return opener(rest, progress=progress, **options)
            forms = (*KNOWN.values(), *(f"{other}:…" for other in (*_registered, *_entry_points())))
            raise UsageError(
                f"{name!r} names no model",
                why=f"a model is named {', '.join(forms)}",
                fix=_fix(name, prefix, rest),
                code="U110",
            )


@cache
def _entry_points() -> dict[str, Opener]:
    """Return the backends of installed packages; each is loaded when it is used."""
    from importlib.metadata import EntryPoint, entry_points

    def opener(point: EntryPoint) -> Opener:
        def opened(rest: str, **options: Any) -> Model:
            try:
                found = point.load()
            except (ImportError, AttributeError) as error:
                raise UsageError(
                    f"the backend {point.name!r} cannot be loaded",
                    why=str(error),
                    fix="reinstall the package it comes from",
                    where=point.value,
                    code="U112",
                ) from error
            return found(rest, **options)

        return opened

    return {point.name: opener(point) for point in entry_points(group=GROUP) if point.name not in KNOWN}


def _fix(name: str, prefix: str, rest: str) -> str:
    if prefix in KNOWN or not name:
        return f"write {KNOWN.get(prefix, 'ollama:NAME')}"
    if Path(name).suffix == ".gguf":
        return f"use embedded:{name}"
    near = get_close_matches(prefix.lower(), (*KNOWN, *_registered, *_entry_points()), n=1, cutoff=LIKENESS)
    if near and ":" in name:
        meant = f"{near[0]}:{rest}" if rest else KNOWN.get(near[0], f"{near[0]}:…")
        return f"did you mean {meant}? If {name} is a model of Ollama: ollama:{name}"
    if prefix.lower() in ("anthropic", "gemini", "google", "azure", "mistral"):
        return "models run locally here: ollama:NAME, openai:NAME@ADDRESS or embedded:; `agentcomm doctor` shows what is there"
    return f"write ollama:{name} for a model of Ollama; `agentcomm doctor` shows what is there"
