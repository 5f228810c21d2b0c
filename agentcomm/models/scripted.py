"""A model that says what it was told to say: deterministic, without I/O once it is made."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self, cast

import msgspec

from agentcomm.errors import InputError, ModelBroken
from agentcomm.models.base import Capabilities, ModelReply, ModelRequest

__all__ = ("ScriptedModel",)


class ScriptedModel:
    """Hands out replies in order, whatever it is asked.

    Args:
        replies: A string is said as it stands, also if it is garbage; any other JSON value as compact JSON.
        name: The string that names it.
    """

    def __init__(self, replies: Sequence[Any], *, name: str = "scripted:") -> None:
        self._replies = tuple(
            reply if isinstance(reply, str) else msgspec.json.encode(reply).decode() for reply in replies
        )
        self._used = 0
        self._name = name

    @classmethod
    def from_file(cls, path: str | Path, key: str) -> Self:
        """Read the replies under `key` of a JSON file `{"key": [reply, ...], ...}`.

        Raises:
            InputError: The file cannot be read, is not of that form, or has no such key.
        """
        scripts = _read(path)
        if key not in scripts:
            near = get_close_matches(key, scripts, n=1)
            raise InputError(
                f"no replies under {key!r}" if key else "it is not said whose replies to use",
                why=f"the file has {', '.join(map(repr, scripts)) or 'no keys'}",
                fix=f"did you mean {f'scripted:{path}#{near[0]}'!r}?" if near else f"use scripted:{path}#KEY",
                where=str(path),
            )
        return cls(scripts[key], name=f"scripted:{path}#{key}")

    @property
    def name(self) -> str:
        """The string that names it."""
        return self._name

    @property
    def provider(self) -> str:
        """`scripted`."""
        return "scripted"

    @property
    def capabilities(self) -> Capabilities:
        """It judges as well as whoever wrote the script."""
        return Capabilities(note="says what was written beforehand")

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the next reply.

        Raises:
            ModelBroken: All replies are used.
        """
        if self._used == len(self._replies):
            raise ModelBroken(
                f"{self._name} has nothing left to say",
                why=f"all {self._used} replies are used, and one more was asked for",
                fix="add a reply to the script, or look why the conversation took another turn than expected",
            )
        text = self._replies[self._used]
        self._used += 1
        return ModelReply(text=text, model=self._name, sent=msgspec.json.encode(request))

    async def close(self) -> None:
        """Do nothing: nothing is held."""


def _read(path: str | Path) -> dict[str, list[Any]]:
    form = 'write {"key": [reply, ...]}; a reply is a JSON value, or a string to be said as it stands'
    try:
        found: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "the script cannot be read",
            why=(error.strerror or str(error)).lower(),
            fix="check the path: scripted:PATH#KEY",
            where=str(path),
        ) from error
    except ValueError as error:
        place = (
            f"{path}:{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else str(path)
        )
        raise InputError("the script is not JSON", why=str(error), fix=form, where=place) from error
    if not isinstance(found, dict):
        raise InputError("the script is not a JSON object", fix=form, where=str(path))
    scripts = cast("dict[str, Any]", found)
    for key, replies in scripts.items():
        if not isinstance(replies, list):
            raise InputError(f"the replies under {key!r} are not a list", fix=form, where=str(path))
    return scripts
