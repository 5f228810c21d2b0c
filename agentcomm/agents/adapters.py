"""Agents of other kinds: whatever answers a prompt with text, or a turn with an act.

Any async callable from a `Turn` to a message is an agent already. These make one of what knows less than that.
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.errors import AgentcommError, IllegalMove, ModelUnavailable, UsageError
from agentcomm.models.base import Capabilities, ModelReply, ModelRequest

__all__ = ("TextModel", "acting")

Answering = Callable[[Sequence[Mapping[str, str]], Mapping[str, Any] | None], Awaitable[str] | str]
"""Takes chat messages (`role`, `content`) and a JSON Schema, and returns text."""


class TextModel:
    """A model that is somebody's function: an agent of another framework, a client of another server, a queue.

    Its prompts are built, recorded and checked like those of every other model; what it answers is parsed and validated.

    Args:
        answer: Takes chat messages (`role`, `content`) and a JSON Schema or None, and returns text; async or not.
        name: How records call it.
        judges: Whether it can choose.
    """

    def __init__(self, answer: Answering, *, name: str = "", judges: bool = True) -> None:
        self._answer = answer
        self._name = name or f"function:{getattr(answer, '__name__', type(answer).__name__)}"
        self._capabilities = Capabilities(judges=judges, note="a function of the caller's")

    @property
    def name(self) -> str:
        """The string that names it."""
        return self._name

    @property
    def provider(self) -> str:
        """What stands before the colon of its name."""
        return self._name.partition(":")[0]

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, as its maker says."""
        return self._capabilities

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return what the function answers.

        Raises:
            ModelUnavailable: Whatever it raises, told as a cause.
        """
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        begun = time.monotonic()
        sent = msgspec.json.encode({"messages": messages, "schema": request.schema})
        try:
            given = self._answer(messages, request.schema)
            text = await given if inspect.isawaitable(given) else given
        except AgentcommError:
            raise
        except Exception as error:
            raise ModelUnavailable(
                f"{self._name} raised {type(error).__name__}: {error}"[:500],
                fix="look at the function; it is yours",
            ) from error
        return ModelReply(text=str(text), model=self._name, seconds=time.monotonic() - begun, sent=sent)

    async def close(self) -> None:
        """Do nothing: what it holds is the caller's."""


def acting(
    function: Callable[..., Any], *, name: str = ""
) -> Callable[[Turn], Awaitable[Message | Unspoken]]:
    """Return an agent made of a function that knows nothing of turns.

    What it says and may not say is refused as a model's is: it is asked again, and told why. Read-backs and repairs are made by rule,
    since what has to be said there is on record.

    Args:
        function: Takes what was heard (`act` and `content` as JSON data, and `refused`, why its last try did not count; None at the
            opening) and the legal acts with their JSON Schemas, and returns `(act, content)`; async or not.
        name: How transcripts call it; the role's name without one.
    """
    from agentcomm.acts.content import to_plain
    from agentcomm.agents.agent import by_code
    from agentcomm.agents.schema import fields_schema

    async def take(turn: Turn) -> Message | Unspoken:
        if (said := by_code(turn, has_model=False)) is not None:
            return said
        heard, refusal = turn.heard, turn.refusal
        told: dict[str, Any] = {} if heard is None else {"act": heard.act, "content": to_plain(heard.content)}
        if refusal is not None:
            told["refused"] = refusal.reason
        legal = {move.label: fields_schema(move.act, None) for move in (*turn.moves, *turn.exits)}
        given = function(told or None, legal)
        if inspect.isawaitable(given):
            given = await given
        match given:
            case [str(act), {**content}]:
                pass
            case _:
                raise UsageError(
                    f"{turn.agent} returned {given!r:.200}",
                    why="what a function says is its act and the fields, such as `('refuse', {'reason': 'busy'})`",
                    fix="return a pair: a text and a map",
                )
        try:
            return turn.say(act, **{str(key): value for key, value in content.items()})
        except IllegalMove as error:
            return Unspoken(f"{error.what}: {error.why}; {error.fix}")

    take.name = name or getattr(function, "__name__", "")  # type: ignore[attr-defined]
    return take
