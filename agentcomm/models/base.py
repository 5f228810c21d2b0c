"""A model: messages and a schema in, text out.

Knows nothing about dialogue. A new backend is one file that fulfils `Model`, and the prefix it is registered under.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

__all__ = (
    "WINDOW",
    "Capabilities",
    "ChatMessage",
    "Model",
    "ModelReply",
    "ModelRequest",
    "Progress",
    "Token",
)

WINDOW = 8192
"""The most tokens of a window, unless somebody says otherwise."""

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
    num_ctx: int = WINDOW
    """The largest window, in tokens. Within it, and within the model's own, a backend takes what the prompt is measured to need,
    in few steps, since another window loads a model again."""
    num_predict: int = 800
    """Ceiling of the answer in tokens."""
    temperature: float = 0.0
    seed: int = 0
    think: bool = False
    """Ask for thinking. With a schema in the same request many servers drop the schema: think in a call of its own."""
    logprobs: bool = False
    """Ask for the log-probability of each token; servers that have none answer without."""


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A token as it was drawn."""

    text: str
    logprob: float
    """Natural logarithm of its probability."""


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered."""

    text: str
    model: str
    done_reason: str = "stop"
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    thinking: str = ""
    """Kept apart; never sent to a peer."""
    logprobs: tuple[Token, ...] = ()
    """Empty where none were asked for, or the server has none."""
    seconds: float = 0.0
    """From sending to the last token."""
    waited: float = 0.0
    """Seconds in the queue for the model, before it was sent."""
    num_ctx: int = 0
    """The window it was answered in; 0 where that is not known."""
    sent: bytes = b""
    """The bytes of the request body as they left, so that a prompt's record can be checked against them."""
    address: str = ""
    """Where it was sent; empty in process."""
    transport_retries: int = 0


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do; what it cannot do is done by code or refused.

    Measured by `agentcomm doctor --measure`; what was not measured is None.
    """

    judges: bool = True
    """False for models that copy values but choose at chance level."""
    note: str = ""
    follows_schema: bool | None = None
    """Whether the answer has the form that was asked for, also where the words of the prompt ask for another."""
    thinks: bool | None = None
    thinks_with_schema: bool | None = None
    """Whether it thinks and keeps to the schema in one call."""
    tools: bool | None = None
    """Whether its template has tools, as the server says."""
    logprobs: bool | None = None
    window: int | None = None
    """Tokens it was trained for."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of a model; None and empty where it says nothing."""

    thinks: bool | None = None
    tools: bool | None = None
    window: int | None = None
    digest: str = ""
    server: str = ""
    """Backend and version."""


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


@runtime_checkable
class Declares(Protocol):
    """A backend whose server says something of its models."""

    async def declared(self) -> Declared:
        """Return what it says.

        Raises:
            EdgeError: Nobody answers, or the model is not there.
        """
        ...
