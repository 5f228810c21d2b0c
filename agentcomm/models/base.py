"""A model: messages and a schema in, text out.

Knows nothing about dialogue. A new backend is one file that fulfils `Model` and one line in `open_model`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

__all__ = ("Capabilities", "ChatMessage", "Model", "ModelReply", "ModelRequest", "Progress")

Progress = Callable[[str], None]
"""Called with one line of text whenever something takes longer than a second."""


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model: everything that may change its answer."""

    messages: tuple[ChatMessage, ...]
    schema: Mapping[str, Any] | None = None
    """JSON Schema the answer must fit; None asks for free text."""
    num_ctx: int = 4096
    """Window in tokens; one value per model, since another one reloads it. A model's own window is used where it is smaller."""
    num_predict: int = 800
    """Ceiling of the answer in tokens."""
    temperature: float = 0.0
    seed: int = 0


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered."""

    text: str
    model: str
    done_reason: str = "stop"
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    thinking: str = ""
    """Kept apart; never sent to a peer."""
    seconds: float = 0.0
    sent: bytes = b""
    """The bytes of the request body as they left, so that a prompt's record can be checked against them."""
    address: str = ""
    """Where it was sent; empty in process."""
    transport_retries: int = 0


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do; what it cannot do is done by code or refused."""

    judges: bool = True
    """False for models that copy values but choose at chance level."""
    note: str = ""


class Model(Protocol):
    """A backend."""

    @property
    def name(self) -> str:
        """The string that names it, such as `ollama:qwen3:4b`."""
        ...

    @property
    def provider(self) -> str:
        """The backend's name, such as `ollama`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            EdgeError: ModelUnavailable, ModelTimeout, ModelRefused, ContextOverflow or ModelBroken.
        """
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...
