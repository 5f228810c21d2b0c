"""What an agent is handed when it has the floor, and what it can do with it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, overload

import msgspec

from agentcomm.acts.content import Content, entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.asides import asides
from agentcomm.conversation.events import Refused
from agentcomm.conversation.ground import CommonGround
from agentcomm.conversation.moves import Speak, given, signature
from agentcomm.conversation.reading import Unreadable, read
from agentcomm.conversation.state import Conversation
from agentcomm.errors import IllegalMove, UsageError
from agentcomm.grounding.compare import Difference
from agentcomm.models.base import Model
from agentcomm.protocol.graph import Move

__all__ = ("Handler", "Journal", "Overlaid", "Said", "Turn", "Unspoken")


class Journal(Protocol):
    """Where an agent's steps are kept: each model call and each tool call, before its result is used."""

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        """Keep one step; `body` holds what was said."""
        ...

    def note(self, text: str) -> None:
        """Tell the person who watches."""
        ...


class Unspoken(msgspec.Struct, frozen=True):
    """An agent's answer that is no message at all; it counts as a misfire."""

    reason: str
    lane: str = ""
    """The lane in which nothing was said, at a turn for several."""


class Overlaid(msgspec.Struct, frozen=True):
    """The overlay that a turn belongs to."""

    name: str
    state: str
    fields: Mapping[str, Any]
    """Critical fields as meant; only the one who meant them is given them."""
    trouble: tuple[Difference, ...]


class Turn:
    """One agent's go.

    Attributes:
        role: The role it plays.
        heard: The message to answer, with typed content; None for the one who opens.
        state: Name of the state.
        brief: What this role was told for this conversation.
        moves: The legal moves.
        exits: Honest exits: first moves of the overlays that may be opened.
        overlay: The overlay this turn belongs to, or None.
        refusal: Why the last try in this turn did not count, or None.
        troubles: What the last repair was about, for the one who speaks again.
        ground: The common ground.
        lane: The member in whose lane it is; empty outside lanes.
        lanes: Where one turn is for several lanes: each of them as a turn of its own, by member; else empty.
    """

    def __init__(
        self,
        conversation: Conversation,
        floor: Speak,
        *,
        agent: str,
        goal: str = "",
        brief: Any = None,
        model: Model | None = None,
        journal: Journal,
        filler: "Filler",
        num_ctx: int = 4096,
        refusal: Refused | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        examples: Mapping[str, Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]] | None = None,
        lanes: "Mapping[str, Turn] | None" = None,
    ) -> None:
        frame = conversation.frame
        self.conversation = conversation
        self.lane = conversation.lane
        self.lanes: Mapping[str, Turn] = lanes or {}
        self.agent = agent
        self.goal = goal
        self.role = floor.role
        self.moves = floor.moves
        self.exits = floor.exits
        self.brief = brief
        self.model = model
        self.journal = journal
        self._filler = filler
        self.num_ctx = num_ctx
        self.refusal = refusal
        self.troubles = conversation.here.troubles
        self.tools = tools
        self.examples = examples or {}
        self.overlay: Overlaid | None = None
        self.state = conversation.position
        heard = conversation.here.last.get(floor.role)
        self.heard: Message | None = conversation.seen[heard] if heard else None
        if frame is not None:
            meant = dict(frame.fields) if floor.role == frame.sender else {}
            self.state = frame.position
            self.overlay = Overlaid(frame.overlay, frame.position, meant, frame.trouble)
            self.heard = frame.it
            if frame.said and floor.role == frame.sender:
                label, content = list(frame.said.items())[-1]
                self.heard = Message(act=label, content=content, sender=frame.hearer, about=frame.it.id)

    @property
    def ground(self) -> CommonGround:
        """The common ground so far."""
        return self.conversation.ground

    @property
    def content(self) -> dict[str, Any]:
        """Fields of the message to answer, typed; empty for the one who opens."""
        return (entries_of(self.heard.content) if self.heard else None) or {}

    @property
    def judges(self) -> bool:
        """Whether the agent has a model that can choose; one that only copies leaves choices to code."""
        return self.model is not None and self.model.capabilities.judges

    def can(self, act: str) -> bool:
        """Say whether an act is legal now."""
        return any(act in (move.label, move.act.name) for move in (*self.moves, *self.exits))

    @overload
    def say(self, act: str, /, **content: Any) -> Message: ...
    @overload
    def say(self, act: Content, /) -> Message: ...
    def say(self, act: str | Content, /, **content: Any) -> Message:
        """Return the message that says `act` with this content.

        Raises:
            IllegalMove: If the act may not be said now, or its content does not fit.
        """
        if isinstance(act, Content):
            for move in self.moves:
                if move.act.content is type(act):
                    return self._message(move, act)
            raise self._illegal(type(act).__name__)
        for move in (*self.moves, *self.exits):
            if act in (move.label, move.act.name):
                try:
                    filled = {name: to_plain(value) for name, value in given(self.conversation, move).items()}
                    return self._message(move, read(move.act, {**content, **filled}))
                except Unreadable as error:
                    raise IllegalMove(
                        f"{self.role} may say {act!r} in {self.state!r}, but not like this",
                        why=str(error),
                        fix=f"it is {signature(move)}",
                    ) from None
        for move in asides(self.conversation, self.role):
            if move.label == act:
                return self._message(move, read(move.act, content))
        raise self._illegal(act)

    def _illegal(self, act: str) -> IllegalMove:
        legal = ", ".join(signature(move) for move in self.moves) or "nothing"
        after = f"after {self.heard}" if self.heard else "this is the first turn"
        states = self.conversation.protocol.states.values()
        elsewhere = [s.name for s in states if act in s.moves and s.moves[act].speaker == self.role]
        if elsewhere and self.heard and not self.overlay:
            after += (
                f"; {act!r} is for {' and '.join(map(repr, elsewhere))}, so if a handler said it: it answers"
                f" {self.heard.act!r} in every state, unless it is registered with state={elsewhere[0]!r}"
            )
        return IllegalMove(
            f"{self.role} may not say {act!r} in {self.state!r}", why=after, fix=f"legal now: {legal}"
        )

    def _message(self, move: Move, content: Content) -> Message:
        lane = "" if move.for_all else self.lane
        return Message(act=move.label, content=content, sender=self.role, lane=lane)

    def note(self, text: str) -> None:
        """Tell whoever watches, and keep it on record: for what was done for an agent rather than by it."""
        self.journal.step("note", {"agent": self.agent}, {"text": text})
        self.journal.note(text)

    async def use(self, tool: Callable[..., Any], /, **arguments: Any) -> Any:
        """Call one of the agent's tools; the call and its result are on record before the result is used.

        A tool that is no coroutine runs in a thread, so that a slow one does not hold up deadlines and other conversations.

        Raises:
            UsageError: If the agent was not given this tool.
        """
        name = getattr(tool, "__name__", str(tool))
        if tool not in self.tools:
            raise UsageError(
                f"{self.agent} has no tool {name!r}",
                fix=f"Agent({self.agent!r}, tools=[{name}])",
                code="U310",
            )
        self.journal.step("tool.call", {"tool": name}, to_plain(arguments))
        try:
            if inspect.iscoroutinefunction(tool):
                result = await tool(**arguments)
            else:
                result = await asyncio.to_thread(tool, **arguments)
                if inspect.isawaitable(result):
                    result = await result
        except Exception as error:
            self.journal.step(
                "tool.error", {"tool": name, "type": type(error).__name__}, {"error": str(error)}
            )
            raise
        self.journal.step("tool.result", {"tool": name}, to_plain(result))
        return result

    async def fill(
        self, act: str = "", *, known: Mapping[str, Any] | None = None, facts: Mapping[str, Any] | None = None
    ) -> "Message | Unspoken":
        """Let the agent's model make the move.

        Args:
            act: The act; without it the model also chooses among the legal moves.
            known: Fields of the act that code sets; the model writes the others and cannot change these.
            facts: More that the model may use.

        Raises:
            UsageError: If the agent has no model.
            IllegalMove: If the act may not be said now.
            EdgeError: If the model cannot be asked.
        """
        if act and not self.can(act):
            raise self._illegal(act)
        return await self._filler(self, act, known or {}, facts or {})


Filler = Callable[[Turn, str, Mapping[str, Any], Mapping[str, Any]], Awaitable[Message | Unspoken]]
"""Asks a model: turn, act, fields set by code, further facts."""

Said = Message | Unspoken | Sequence[Message | Unspoken]
"""What an agent answers with; several at once only where its turn is for several lanes."""

Handler = Callable[[Turn], Awaitable[Said] | Said]
