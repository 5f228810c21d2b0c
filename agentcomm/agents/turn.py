"""What an agent is handed when it has the floor, and what it can do with it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, Protocol, overload

import msgspec

from agentcomm.acts.content import Content, entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.calls import By, Calls
from agentcomm.agents.tools import Tool
from agentcomm.conversation.asides import asides
from agentcomm.conversation.checking import why_not
from agentcomm.conversation.doubts import was_weighed
from agentcomm.conversation.events import Reading, Refused
from agentcomm.conversation.ground import CommonGround
from agentcomm.conversation.moves import Speak, exits, given, legal, signature
from agentcomm.conversation.parts import Position, key_of
from agentcomm.conversation.reading import Unreadable, read
from agentcomm.conversation.state import Conversation
from agentcomm.errors import IllegalMove, UsageError
from agentcomm.grounding.asking import Asking as Question
from agentcomm.grounding.asking import asked_with
from agentcomm.grounding.compare import Difference
from agentcomm.models.base import WINDOW, Model
from agentcomm.protocol.graph import Move

__all__ = (
    "Asking",
    "Handler",
    "Journal",
    "Overlaid",
    "Port",
    "PromptBudget",
    "Recalled",
    "Said",
    "Seat",
    "Turn",
    "Unclear",
    "Unspoken",
)


class Recalled(msgspec.Struct, frozen=True):
    """A step that an earlier attempt of the same turn put on record."""

    data: Mapping[str, Any]
    body: Any


class Journal(Protocol):
    """Where an agent's steps are kept: each model call and each tool call, before its result is used.

    A turn that a crash cut short is taken again, from its beginning. What it asked and was told then is on record, so it is not
    asked twice: a step has a `key` in its data, by which it is recalled.
    """

    @property
    def sinks(self) -> Sequence[str]:
        """Everything that keeps the text of prompts and answers, such as a transcript's path and a trace's address."""
        ...

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        """Keep one step; `body` holds what was said."""
        ...

    def note(self, text: str) -> None:
        """Tell the person who watches."""
        ...

    def recalled(self, kind: str, key: str) -> Recalled | None:
        """Return the step of this kind and key that an earlier attempt of this turn recorded, each only once."""
        ...

    async def kept(self) -> None:
        """Return once every step so far is safe from a crash."""
        ...


class PromptBudget(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a conversation a prompt shows. What a legal move refers to, and the message to answer, is always shown whole."""

    record: int = 1600
    """Characters of the record: values on common ground, what was said last first."""
    last: int = 2
    """How many of the last messages are looked at for free text, which is shown word for word."""
    said: int = 1600
    """Characters of these messages."""
    results: int = 2000
    """Characters of one tool's result."""
    notes: int = 1200
    """Characters of what the model thought before it answers."""
    calls: int = 4
    """Tool calls in one turn."""


class Unspoken(msgspec.Struct, frozen=True):
    """An agent's answer that is no message at all; it counts as a misfire."""

    reason: str
    lane: str = ""
    """The lane in which nothing was said, at a turn for several."""


class Unclear(msgspec.Struct, frozen=True):
    """An agent's answer that what it heard may mean several things; how it goes on is decided by expected cost."""

    about: str
    """Id of the message."""
    path: str
    readings: tuple[Reading, ...]
    lane: str = ""


class Overlaid(msgspec.Struct, frozen=True):
    """The overlay that a turn belongs to."""

    name: str
    state: str
    fields: Mapping[str, Any]
    """Critical fields as meant; only the one who meant them is given them."""
    trouble: tuple[Difference, ...]
    asks: Question | None = None
    """The question that is to be put, where that was decided for the one who speaks."""


class Seat:
    """Who plays a role, or one member of the many-role; the same for every conversation of a cast.

    Attributes:
        role: The role; for a member, the many-role.
        key: The role, or the member's name.
        name: How transcripts call whoever plays it.
        player: An `Agent`, or any async callable.
        agent: The player, if it is an `Agent`.
        ask: Takes a turn; returns what is said, or something to wait for that comes to it.
    """

    __slots__ = ("agent", "ask", "key", "name", "player", "role")

    def __init__(self, role: str, key: str, name: str, player: Any, agent: Any, ask: "Asking") -> None:
        self.role, self.key, self.name = role, key, name
        self.player, self.agent, self.ask = player, agent, ask


class Port(Protocol):
    """What a turn needs of the conversation that it belongs to."""

    def brief_of(self, seat: Seat) -> Any:
        """Return what a role was told for this conversation."""
        ...

    def journal_of(self, turn: "Turn") -> Journal:
        """Return where the steps of a turn are kept."""
        ...

    def calls_of(self, turn: "Turn") -> Calls:
        """Return the tool calls of a turn; the same for every try of it."""
        ...

    async def use(self, turn: "Turn", tool: Tool, arguments: Mapping[str, Any], by: By) -> Any:
        """Call a tool, if it may be called."""
        ...

    async def fill(
        self, turn: "Turn", act: str, known: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> "Message | Unspoken":
        """Let the agent's model make the move."""
        ...

    async def wait(self) -> NoReturn:
        """Wait until the turn is over, without a word."""
        ...


_NO_LANES: "Mapping[str, Turn]" = {}
_NO_MOVES: Mapping[str, Move] = {}


class Turn(msgspec.Struct, eq=False):
    """One agent's go. What it offers is worked out when somebody looks at it."""

    whole: Conversation
    """The conversation, with all its lanes."""
    seat: Seat
    """Who has the floor."""
    _port: Port
    """Where it takes place."""
    lane: str = ""
    """The member in whose lane it is; empty outside lanes."""
    _place: Conversation | None = None
    """The view of the lane, or what the agent is shown instead."""
    _floor: Speak | None = None
    """What may be said, where it is known already."""
    _open: Mapping[str, Move] = _NO_MOVES
    """By label and by name: moves that are legal whatever the counts are."""
    _heard: Message | None = None
    """The message to answer, where it is known already."""
    refusal: Refused | None = None
    """Why the last try in this turn did not count, or None."""
    lanes: "Mapping[str, Turn]" = _NO_LANES
    """Where one turn is for several lanes: each of them as a turn of its own, by member; else empty."""
    for_all: bool = False
    """Everything that can be said is said for all lanes."""
    spans: Any = None
    """What draws the turn."""
    _calls: Calls | None = None
    made: Message | None = None
    """The message that `say` made last: its content was read, and cannot be changed."""
    _here: Position | None = None
    """Where it takes place, where that is known already."""

    def __repr__(self) -> str:
        return f"Turn({self.role!r}, {self.state!r})"

    @property
    def role(self) -> str:
        """The role it plays."""
        return self.seat.role

    @property
    def port(self) -> Port:
        """Where it takes place."""
        return self._port

    def again(self, whole: Conversation, refusal: Refused | None) -> "Turn":
        """Return the turn in which the same is tried again."""
        return Turn(
            whole,
            self.seat,
            self._port,
            self.lane,
            _floor=self._floor,
            _open=self._open,
            _heard=self._heard,
            refusal=refusal,
            spans=self.spans,
        )

    def show(self, conversation: Conversation, heard: Message | None) -> None:
        """Let the agent see something else than what is the case, for tests of how it copes; the core is not deceived."""
        self._place, self._here, self._heard = conversation, conversation.here, heard

    @property
    def conversation(self) -> Conversation:
        """The conversation as it stands; of a turn in a lane, the view of the lane."""
        if self._place is None:
            self._place = self.whole.view(self.lane) if self.lane else self.whole
        return self._place

    def here(self) -> Position:
        """Return where it takes place."""
        here = self._here
        if here is None:
            here = self._here = self.conversation.here
        return here

    def key(self, only: str) -> tuple[str, str, str, str]:
        """Return what a handler is found by: overlay, state, act heard, and `only`, which is given."""
        here, heard = self._here, self._heard
        if here is None:
            place = self._place
            here = self._here = self.conversation.here if place is None else place.here
        if heard is None:
            heard = self._heard = self._find_heard()
        frame, act = here.frame, "" if heard is None else heard.act
        return ("", here.name, act, only) if frame is None else (frame.overlay, frame.position, act, only)

    @property
    def actual(self) -> Conversation:
        """The conversation as it stands, also for an agent that is shown something else."""
        return self.whole.view(self.lane) if self.lane else self.whole

    @property
    def floor(self) -> Speak:
        """What the role may say now."""
        if self._floor is None:
            place, role = self.conversation, self.role
            self._floor = Speak(role, legal(place, role), exits(place, role), self.lane)
        return self._floor

    @property
    def moves(self) -> tuple[Move, ...]:
        """The legal moves."""
        return self.floor.moves

    @property
    def exits(self) -> tuple[Move, ...]:
        """Honest exits: first moves of the overlays that may be opened."""
        return self.floor.exits

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self.seat.name

    @property
    def goal(self) -> str:
        """What the agent always wants."""
        return self.seat.agent.goal if self.seat.agent else ""

    @property
    def brief(self) -> Any:
        """What this role was told for this conversation."""
        return self._port.brief_of(self.seat)

    @property
    def model(self) -> Model | None:
        """The agent's model, opened when it is first asked for."""
        return self.seat.agent.open(self.journal.note) if self.seat.agent else None

    @property
    def num_ctx(self) -> int:
        """The largest window that its model may take, in tokens."""
        return self.seat.agent.num_ctx if self.seat.agent else WINDOW

    @property
    def budget(self) -> PromptBudget:
        """How much of the conversation a prompt shows."""
        return self.seat.agent.budget if self.seat.agent else PromptBudget()

    @property
    def prompt_edits(self) -> Sequence[Callable[..., Any]]:
        """Functions of the author's that change a prompt."""
        return self.seat.agent.prompt_edits if self.seat.agent else ()

    @property
    def answer_edits(self) -> Sequence[Callable[..., Any]]:
        """Functions of the author's that change what a model said."""
        return self.seat.agent.answer_edits if self.seat.agent else ()

    @property
    def classifiers(self) -> Sequence[Callable[[str], str]]:
        """Functions that look at prompts and answers."""
        return self.seat.agent.classifiers if self.seat.agent else ()

    @property
    def thinks(self) -> bool:
        """Whether the model thinks in a call of its own before it answers."""
        return bool(self.seat.agent and self.seat.agent.thinks)

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        return bool(self.seat.agent and self.seat.agent.logprobs)

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Tools that the agent has, by name."""
        return self.seat.agent.tools if self.seat.agent else {}

    @property
    def examples(self) -> Mapping[str, Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]]:
        """Act -> worked examples for the model."""
        return self.seat.agent.examples if self.seat.agent else {}

    @property
    def journal(self) -> Journal:
        """Where the steps of this turn are kept."""
        return self._port.journal_of(self)

    @property
    def troubles(self) -> tuple[Difference, ...]:
        """What the last repair was about, for the one who speaks again."""
        return self.conversation.here.troubles

    @property
    def state(self) -> str:
        """Name of the state."""
        place = self.conversation
        return place.position if place.frame is None else place.frame.position

    @property
    def overlay(self) -> Overlaid | None:
        """The overlay this turn belongs to, or None."""
        frame = self.conversation.frame
        if frame is None:
            return None
        meant = dict(frame.fields) if self.role == frame.sender else {}
        asks = None if frame.said else frame.asks
        return Overlaid(frame.overlay, frame.position, meant, frame.trouble, asks)

    @property
    def heard(self) -> Message | None:
        """The message to answer, with typed content; None for the one who opens."""
        if self._heard is None:
            self._heard = self._find_heard()
        return self._heard

    def _find_heard(self) -> Message | None:
        here, place = self._here, self._place
        if here is None:
            here = self.here()
        frame = here.frame
        if frame is None:
            heard = here.last.get(self.seat.role)
            if not heard:
                return None
            shared = self.whole.shared if place is None else place.shared
            if (
                not shared.mended
            ):  # what was said last of each act is as it is on record, but for what was said for all
                lane = here.lane
                for entry in here.said.values():
                    message = entry.message
                    if message.id == heard and message.lane == lane:
                        return message
            elif heard in shared.mended:
                return shared.mended[heard]
            found = shared.seen.get(key_of(self.whole.id, heard, shared.n - 1))
            return found[1] if found is not None and found[0] <= shared.n else None
        if frame.said and self.role == frame.sender:
            label, content = list(frame.said.items())[-1]
            return Message(act=label, content=content, sender=frame.hearer, about=frame.it.id)
        return frame.it

    @property
    def ground(self) -> CommonGround:
        """The common ground so far, as far as the role has said or heard it."""
        return self.conversation.ground.heard_by(self.role)

    @property
    def content(self) -> dict[str, Any]:
        """Fields of the message to answer, typed, as corrected so far; empty for the one who opens."""
        content = (entries_of(self.heard.content) if self.heard else None) or {}
        frame = self.conversation.frame
        if frame is not None and frame.trouble and self.role == frame.hearer:
            told = [
                item.field for item in frame.trouble if item.field in frame.fields and item.field in content
            ]
            content = {**content, **{name: frame.fields[name] for name in told}}
        return content

    @property
    def plan(self) -> Mapping[str, Any]:
        """What the agent will act with, by the plan registered for the act heard (`Agent.plans`); empty without one."""
        if self.seat.agent is None or self.heard is None:
            return {}
        return self.seat.agent.plan_for(self.heard.act, self.content, self.whole.rules.protocol.name)

    @property
    def judges(self) -> bool:
        """Whether the agent has a model that can choose; one that only copies leaves choices to code."""
        return self.model is not None and self.model.capabilities.judges

    def can(self, act: str, /, **content: Any) -> bool:
        """Say whether an act is legal now; with content, whether it would count like this."""
        if content:
            return not self.why_not(act, **content)
        return any(act in (move.label, move.act.name) for move in (*self.moves, *self.exits))

    def why_not(self, act: str, /, **content: Any) -> str:
        """Return why a message would not count now, or nothing if it would; it is not said, and costs no try.

        Its conditions (`when`) and what it must repeat are looked at, too.
        """
        made = self.made
        try:
            return why_not(self.conversation, self.say(act, **content))
        except IllegalMove as error:
            return f"{error.what}: {error.why}" if error.why else error.what
        finally:
            self.made = made

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
                    lane = "" if move.for_all else self.lane
                    return Message(act=move.label, content=act, sender=self.role, lane=lane)
            raise self._illegal(type(act).__name__)
        known = self._open.get(act)
        if known is not None and not known.given:
            try:
                said = read(known.act, content)
            except Unreadable as error:
                raise self._not_like_this(act, known, error) from None
            lane = "" if known.for_all else self.lane
            made = self.made = Message(known.act.label, said, "", self.seat.role, (), "", "", "", lane)
            return made
        for move in (known,) if known is not None else (*self.moves, *self.exits):
            if move is known or act in (move.label, move.act.name):
                try:
                    if not move.given:
                        return self._message(move, read(move.act, content))
                    filled = {name: to_plain(value) for name, value in given(self.conversation, move).items()}
                    return self._message(move, read(move.act, {**content, **filled}))
                except Unreadable as error:
                    raise self._not_like_this(act, move, error) from None
        for move in asides(self.conversation, self.role):
            if move.label == act:
                return self._message(move, read(move.act, content))
        raise self._illegal(act)

    def _not_like_this(self, act: str, move: Move, error: Unreadable) -> IllegalMove:
        return IllegalMove(
            f"{self.role} may say {act!r} in {self.state!r}, but not like this",
            why=str(error),
            fix=f"it is {signature(move)}",
        )

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
        close = get_close_matches(act, [move.label for move in self.moves], 1)
        meant = f"did you mean {close[0]!r}? Legal now" if close and not elsewhere else "legal now"
        return IllegalMove(
            f"{self.role} may not say {act!r} in {self.state!r}", why=after, fix=f"{meant}: {legal}"
        )

    def _message(self, move: Move, content: Content) -> Message:
        lane = "" if move.for_all else self.lane
        made = self.made = Message(move.act.label, content, "", self.seat.role, (), "", "", "", lane)
        return made

    def unclear(self, path: str, readings: Mapping[Any, float] | Sequence[tuple[Any, float]]) -> Unclear:
        """Return the answer that what was heard may mean several things: the conversation decides whether that is asked about.

        The decision is by expected cost, on record with its reasons. Where it is a question, the same agent is given the turn to put
        it, and code does that for it; else it is given its turn again, and `is_weighed` says so.

        Args:
            path: The field that is not clear; empty if it is all of it.
            readings: What it may mean, with weights of any scale.

        Raises:
            UsageError: If nothing was heard that could be unclear.
        """
        if self.heard is None or self.overlay is not None:
            raise UsageError(
                f"{self.role} has heard nothing in {self.state!r} that could be unclear",
                fix="return turn.unclear(…) where a message is to be answered",
            )
        pairs = readings.items() if isinstance(readings, Mapping) else readings
        found = tuple(Reading(to_plain(value), weight) for value, weight in pairs)
        return Unclear(self.heard.id, path, found, self.lane)

    def is_weighed(self, path: str) -> bool:
        """Say whether it was decided how to go on though a field of what was heard is not clear."""
        return self.heard is not None and was_weighed(self.conversation, self.heard.id, path)

    def put(self) -> Message | None:
        """Return the question that was decided on for the one who speaks now, in words; None where there is none."""
        overlay = self.overlay
        if overlay is None or overlay.asks is None:
            return None
        asks = overlay.asks
        more = {"specify": {"wh": "which"}, "open": {"level": "understanding"}}.get(asks.rung, {})
        said = self.say(asks.rung, **asked_with(asks), **more)
        return msgspec.structs.replace(said, made_by="rule")

    def note(self, text: str) -> None:
        """Tell whoever watches, and keep it on record: for what was done for an agent rather than by it."""
        self.journal.step("note", {"agent": self.agent}, {"text": text})
        self.journal.note(text)

    @property
    def calls(self) -> Calls:
        """The tool calls of this turn, those of earlier tries of it among them."""
        if self._calls is None:
            self._calls = self._port.calls_of(self)
            self._calls.begin()
        return self._calls

    @property
    def gave(self) -> list[Any]:
        """What the tools gave that were called in this turn."""
        return [call.result for call in self.calls.made if call.is_done and call.error is None]

    async def use(self, tool: Callable[..., Any] | Tool | str, /, **arguments: Any) -> Any:
        """Call one of the agent's tools; the call and its result are on record before the result is used.

        The same call in another try of this turn gives the same result and is not made again. A tool that is no coroutine runs in
        a thread, so that a slow one does not hold up deadlines and other conversations.

        Args:
            tool: The tool, its function or its name.
            arguments: By name.

        Raises:
            UsageError: If the agent was not given this tool.
            ToolRefused: If it may not be called now, or not like this: by role, arguments, evidence or common ground.
            ToolFailed: If it raises, takes too long or gives too much.
            ToolInDoubt: If it was begun, its result was lost, and nobody can tell whether it was done.
        """
        return await self.use_as("handler", tool, arguments)

    async def use_as(
        self,
        by: By,
        tool: Callable[..., Any] | Tool | str,
        arguments: Mapping[str, Any],
    ) -> Any:
        """Do what `use` does, for a handler or for the model."""
        own = next((one for one in self.tools.values() if tool in (one, one.function, one.name)), None)
        if own is None:
            name = (
                tool
                if isinstance(tool, str)
                else getattr(tool, "__name__", "") or getattr(tool, "name", "it")
            )
            raise UsageError(
                f"{self.agent} has no tool {name!r}",
                fix=f"Agent({self.agent!r}, tools=[{name}])",
                code="U310",
            )
        return await self._port.use(self, own, arguments, by)

    async def wait(self) -> NoReturn:
        """Say nothing in a race, and leave it to the others: for a role that has nothing to say yet.

        It never returns; the turn is over when somebody else speaks, or the time is up. Where a `Runtime` hosts it, nothing runs
        meanwhile, and what the role has to say later is said by `Runtime.answer`.

        Raises:
            UsageError: If nobody else may speak here.
        """
        place = self.conversation
        if place.frame is not None or not place.state.speakers[1:]:
            raise UsageError(
                f"{self.agent} waits in {self.state!r}, where nobody else may speak",
                why="the conversation would only run out of time",
                fix=f"say something: {', '.join(map(signature, self.moves)) or 'nothing is legal'}",
                code="U323",
            )
        await self.port.wait()

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
        return await self._port.fill(self, act, known or {}, facts or {})


Said = Message | Unspoken | Unclear | Sequence[Message | Unspoken | Unclear]
"""What an agent answers with; several at once only where its turn is for several lanes."""

Handler = Callable[[Turn], Awaitable[Said] | Said]

Asking = Callable[[Turn], Awaitable[Said] | Said]
"""Takes a turn; returns what is said, or something to wait for that comes to it."""
