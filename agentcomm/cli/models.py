"""Which model a role gets: what was asked for, else what is there."""

import asyncio
import os
from collections.abc import Iterable, Mapping

from agentcomm.cli.examples import Example
from agentcomm.cli.words import note
from agentcomm.errors import ModelUnavailable, UsageError

__all__ = ("MODEL_VARIABLE", "Models", "full_name")

MODEL_VARIABLE = "AGENTCOMM_MODEL"
"""Environment variable with the model to use where none is named."""


def full_name(name: str, example: Example | None, role: str) -> str:
    """Return a model's string, with the replies of an example where `scripted` stands alone.

    Raises:
        UsageError: There are no such replies.
    """
    if name not in {"scripted", "scripted:"}:
        return name
    if example is None or not example.replies.is_file():
        raise UsageError(
            "there are no scripted replies here",
            why="they belong to an example",
            fix="agentcomm run incident-handoff --model scripted, or --model scripted:PATH#KEY",
        )
    return f"scripted:{example.replies}#{role}"


class Models:
    """Finds the model of each role that needs one: what was asked for, else what is there."""

    def __init__(
        self,
        default: str | None,
        own: Mapping[str, str],
        example: Example | None,
        humans: Iterable[str] = (),
    ) -> None:
        self._own = own
        self._humans = frozenset(humans)
        self._default = default or os.environ.get(MODEL_VARIABLE, "")
        self._example = example
        self.chosen: dict[str, str] = {}

    def __call__(self, role: str) -> str | None:
        """Return the model's string for a role; None if a person plays it."""
        from agentcomm.models.open import open_model

        if role in self._humans:
            return None
        if role not in self._own and not self._default:
            self._default = asyncio.run(_available())
        model = full_name(self._own.get(role, self._default), self._example, role)
        open_model(model)  # a wrong name shows before anything is said
        self.chosen[role] = model
        return model

    @property
    def is_scripted(self) -> bool:
        """Whether any role has recorded replies."""
        return any(model.startswith("scripted:") for model in self.chosen.values())

    @property
    def is_demo(self) -> bool:
        """Whether any role has the demo model."""
        return "embedded:" in self.chosen.values()

    def described(self) -> list[str]:
        """Return one line for each model, with the roles it plays."""
        by_model: dict[str, list[str]] = {}
        for role, model in self.chosen.items():
            if model == "embedded:":
                text = "embedded: the demo model SmolLM2-135M-Instruct"
            elif model.startswith("scripted:"):
                text = "none: the replies are recorded"
            else:
                text = model
            by_model.setdefault(text, []).append(role)
        return [f"model of {', '.join(roles)}: {model}" for model, roles in by_model.items()]


async def _available() -> str:
    """Return a model of a running Ollama, else the embedded one."""
    from importlib.util import find_spec

    from agentcomm.models.ollama import probe

    status = await probe()
    chat = [m.name for m in status.models if not m.capabilities or "completion" in m.capabilities]
    if status.running and chat:
        note(f"Ollama answers at {status.address}; its model {chat[0]} is used (choose with --model)")
        return f"ollama:{chat[0]}"
    why = "Ollama has no chat model" if status.running else f"no Ollama answers at {status.address}"
    if find_spec("xllamacpp"):
        note(f"{why}, so the embedded demo model is used")
        return "embedded:"
    raise ModelUnavailable(
        f"there is no model to run: {why}, and the embedded one is not installed",
        fix="pip install xllamacpp; or start Ollama and `ollama pull qwen3:4b`; or use --model scripted",
    )
