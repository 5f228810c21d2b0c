"""Let a cast of agents hold a conversation: the shell around the core.

The loop asks the core who has the floor, asks that agent for a message, and hands it to the core; what comes back is written
down before anybody hears of it.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from typing import cast as typed

from agentcomm.acts.content import parse_duration, to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.agent import Agent
from agentcomm.agents.choose import choose
from agentcomm.agents.turn import Said, Turn, Unspoken
from agentcomm.conversation.events import (
    Cancel,
    Event,
    Input,
    Leave,
    Misfire,
    Moved,
    Refused,
    Say,
    Staged,
    Tick,
)
from agentcomm.conversation.moves import Appraise, Joint, Make, Over, Speak, limit_of, wants, wants_all
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Chain
from agentcomm.errors import AgentcommError, EdgeError, StoreError, UsageError
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.library import load
from agentcomm.runtime.result import Result
from agentcomm.runtime.spans import ConversationSpans
from agentcomm.store.jsonl import JsonlLog, MemoryLog
from agentcomm.version import VERSION

__all__ = ("OVERLAYS", "Driver", "Player", "enact", "enact_sync", "rules_for")

Player = Agent | Callable[[Turn], Awaitable[Said]]
"""Whoever takes turns: an `Agent` or any async callable."""

Cast = Mapping[str, Player | Sequence[Player] | Mapping[str, Player]]
"""Role -> who plays it; for a many-role a list of agents, called by their names, or member -> agent."""

OVERLAYS = ("read-back", "repair", "not-understood", "cancel", "standby", "escalate")
"""Overlays that every protocol has unless it names its own."""


def rules_for(protocol: Protocol, *, human: bool = False) -> Rules:
    """Return the protocol with the overlays that may run on it; `human` says that one is there to decide what two cannot mend."""
    overlays = dict(_overlays())
    for name, own in protocol.overlays.items():
        if own is None:
            overlays.pop(name, None)
        elif name in overlays:
            overlays[name] = own
    return Rules(protocol, overlays, human=human)


@cache
def _overlays() -> dict[str, Protocol]:
    return {name: load(f"_overlays/{name}") for name in OVERLAYS}


def enact_sync(protocol: Protocol, **options: Any) -> Result:
    """Do what `enact` does, for scripts without an event loop; models opened by name are closed in the end."""

    async def run() -> Result:
        try:
            return await enact(protocol, **options)
        finally:
            for player in players_of(options.get("cast", {})):
                if isinstance(player, Agent):
                    await player.close()

    return asyncio.run(run())


async def enact(
    protocol: Protocol,
    *,
    cast: Cast,
    brief: Mapping[str, Any] | None = None,
    deadline: str | float | None = None,
    transcript: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
    note: Callable[[str], None] | None = None,
    conversation_id: str = "",
) -> Result:
    """Let a cast of agents hold a conversation, and return what it came to.

    An ending that the protocol knows never raises. Where something outside fails, or a handler does, the conversation ends as
    `aborted`, its transcript is kept, and the error is raised as it is, with the transcript's path in `error.transcript`.

    Args:
        protocol: What `load` returned.
        cast: Role -> agent; for a many-role a list of agents, or member -> agent.
        brief: Role -> what it is told for this conversation.
        deadline: For the whole conversation: seconds, or text such as `60s`.
        transcript: File to write; without it the record stays in memory.
        watch: Called with every event, after it was written down.
        note: Called with a line of text when something takes long or is done for an agent.
        conversation_id: Unique id; one is made if it is empty.

    Raises:
        UsageError: If the cast does not fit the protocol, or an agent says what it may not.
        EdgeError: If a model or the transcript fails.
        Exception: Whatever a handler raises.
    """
    _check_cast(protocol, cast, brief or {})
    roles, members = _split(protocol, cast)
    driver = Driver(
        protocol,
        roles,
        members,
        dict(brief or {}),
        whole=_seconds(deadline),
        log=JsonlLog(Path(transcript)) if transcript is not None else MemoryLog(),
        watch=watch or (lambda _event: None),
        note=note or (lambda _text: None),
        conversation_id=conversation_id or f"conv-{secrets.token_hex(6)}",
    )
    try:
        return await driver.run()
    except Exception as error:
        if driver.log.path is not None:
            error.transcript = driver.log.path  # type: ignore[attr-defined]
            error.add_note(f"the transcript so far: {driver.log.path}")
        raise
    finally:
        driver.log.close()


def _split(protocol: Protocol, cast: Cast) -> tuple[dict[str, Player], dict[str, Player]]:
    """Return who plays the roles, and who the members of the many-role are."""
    roles = {role: typed("Player", player) for role, player in cast.items() if role != protocol.many}
    given = cast.get(protocol.many)
    if given is None:
        return roles, {}
    if isinstance(given, Mapping):
        return roles, dict(typed("Mapping[str, Player]", given))
    several = list(typed("Sequence[Player]", given)) if isinstance(given, Sequence) else [given]
    members = {
        _name(f"{protocol.many}-{number}", player): player for number, player in enumerate(several, start=1)
    }
    if len(members) < len(several):
        raise UsageError(
            f"two who play {protocol.many!r} have one name",
            fix="give each agent a name of its own",
            code="U403",
        )
    return roles, members


def players_of(cast: Cast) -> list[Any]:
    """Return everybody who is cast."""
    found: list[Any] = []
    for given in cast.values():
        if isinstance(given, Mapping):
            found += list(typed("Mapping[str, Player]", given).values())
        else:
            found += typed("Sequence[Any]", given) if isinstance(given, Sequence) else [given]
    return found


def _seconds(deadline: str | float | None) -> float | None:
    if deadline is None or isinstance(deadline, int | float):
        return deadline
    try:
        return parse_duration(deadline).total_seconds()
    except ValueError as error:
        raise UsageError(f"deadline {deadline!r}: {error}", fix='deadline="60s"') from None


def _check_cast(protocol: Protocol, cast: Cast, brief: Mapping[str, Any]) -> None:
    several = cast.get(protocol.many)
    members = tuple(typed("Mapping[str, Any]", several)) if isinstance(several, Mapping) else ()
    if isinstance(several, Sequence):
        members = tuple(_name("", player) for player in typed("Sequence[Any]", several))
    for kind, given in (("cast", cast), ("brief", brief)):
        for role in given:
            if role not in protocol.roles and not (kind == "brief" and role in members):
                close = get_close_matches(role, protocol.roles, 1)
                raise UsageError(
                    f"{kind}: {protocol.name!r} has no role {role!r}",
                    why=f"its roles are {', '.join(protocol.roles)}",
                    fix=f"did you mean {close[0]!r}?" if close else "use one of these",
                    code="U401",
                )
    if missing := [role for role in protocol.roles if role not in cast]:
        raise UsageError(
            f"nobody plays {', '.join(missing)}",
            why=f"{protocol.name!r} needs {', '.join(protocol.roles)}",
            fix=f"cast={{…, {missing[0]!r}: Agent(…)}}",
            code="U402",
        )
    acts = {*protocol.acts, *(act for overlay in _overlays().values() for act in overlay.acts)}
    acts |= {act.name for act in protocol.acts.values()}
    for player in players_of(cast):
        if isinstance(player, Agent):
            player.check(acts)


@dataclass
class _Steps:
    """The journal of one turn; see `agentcomm.agents.turn.Journal`."""

    driver: "Driver"
    spans: Any

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        self.driver.write(self.driver.chain.record("step", kind, data, body))
        if self.spans is not None:
            self.spans.step(kind, data, body)

    def note(self, text: str) -> None:
        self.driver.note(text)


_SPANS: ContextVar[Any] = ContextVar("agentcomm_turn_spans", default=None)
"""The spans of the turn that goes on in this task."""


class Driver:
    """Whoever lets one conversation go on; `enact` makes one. What subclasses in our own testing room override begins with `_`."""

    def __init__(
        self,
        protocol: Protocol,
        cast: dict[str, Player],
        members: dict[str, Player],
        brief: dict[str, Any],
        *,
        whole: float | None,
        log: JsonlLog | MemoryLog,
        watch: Callable[[Event], None],
        note: Callable[[str], None],
        conversation_id: str,
    ) -> None:
        self.rules = rules_for(protocol)
        self.cast = cast
        self.members = members
        self.refusals: dict[str, Refused] = {}
        """By lane: why the last try of a shared role did not count."""
        self.sent = 0
        self.brief = brief
        self.whole = whole
        self.log = log
        self.watch = watch
        self.note = note
        self.is_ending = False
        self.id = conversation_id
        self.names = {role: _name(role, player) for role, player in (cast | members).items()}
        self.chain = Chain(now=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"), salt=_salt)
        self.conversation: Conversation
        self.loop = asyncio.get_running_loop()
        self.begun = self.loop.time()
        self.spans = ConversationSpans.begin(protocol, conversation_id, self.names)

    def now(self) -> float:
        """Return the seconds since the opening."""
        return round(self.loop.time() - self.begun, 6)

    def write(self, lines: bytes) -> None:
        """Put lines on record."""
        self.log.append(lines)

    async def run(self) -> Result:
        """Let the conversation go on to its end."""
        opened = self._open()
        try:
            self._tell(opened)
            if self.members or any(len(state.speakers) > 1 for state in self.rules.protocol.states.values()):
                await self._run_all()
            else:
                while not isinstance(asked := wants(self.conversation), Over | Appraise):
                    await self._turn(asked)
        except asyncio.CancelledError:
            self.is_ending = True
            self._take(Cancel("the caller", "stopped from outside", self.now()))
            self._close()
            raise
        except StoreError:
            raise
        except BaseException as error:
            self.is_ending = True
            if self.conversation.outcome is None:
                self._take(Leave("the runtime", f"{type(error).__name__}: {error}", self.now()))
            self._close()
            raise
        self._close()
        return Result(self.conversation, self.log, self.names)

    async def _run_all(self) -> None:
        """Let everybody who has the floor speak at the same time: several lanes, and those who race."""
        running: dict[Any, asyncio.Task[None]] = {}
        try:
            while self.conversation.outcome is None:
                every = wants_all(self.conversation)
                wanted = {self._key(asked): asked for asked in every if not isinstance(asked, Appraise)}
                for key in [key for key in running if key not in wanted]:  # their go has passed
                    running.pop(key).cancel()
                for key, asked in wanted.items():
                    if key not in running:
                        running[key] = asyncio.create_task(self._go(key, asked))
                await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
                for key, task in list(running.items()):
                    if task.done():
                        del running[key]
                        task.result()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def _go(self, key: Any, asked: Speak | Make | Joint) -> None:
        """Let a turn be taken, unless what another one did in the meantime has ended it."""
        if self._key(asked) == key:
            await self._turn(asked)

    def _key(self, asked: Speak | Make | Joint) -> Any:
        """Return what tells one go from the next."""
        if isinstance(asked, Joint):
            return asked.role, tuple(asked.lanes), self.conversation.turn and self.conversation.turn.left
        place = self._place(asked.lane)
        frame = place.frame
        return (
            asked.role,
            asked.lane,
            place.position,
            place.here.latest,
            frame and (frame.overlay, frame.position, frame.heard),
        )

    def _place(self, lane: str) -> Conversation:
        """Return where a go takes place: a lane, or the conversation."""
        return self.conversation.view(lane) if lane else self.conversation

    def _player(self, role: str, lane: str) -> tuple[str, Player]:
        """Return the name by which a speaker is known, and who it is."""
        key = lane if role == self.rules.protocol.many else role
        return key, (self.members if role == self.rules.protocol.many else self.cast)[key]

    def _open(self) -> tuple[Event, ...]:
        protocol = self.rules.protocol
        self.conversation, events = open_conversation(
            self.rules, self.id, whole=self.whole, members=tuple(self.members)
        )
        cast = {
            role: {"agent": self.names[role], "model": getattr(player, "model_name", "")}
            for role, player in (self.cast | self.members).items()
        }
        data = {
            "agentcomm": VERSION,
            "conversation": self.id,
            "protocol": {"name": protocol.name, "version": protocol.version, "hash": protocol.hash},
            "overlays": {name: overlay.hash for name, overlay in self.rules.overlays.items()},
            "cast": cast,
            "whole": self.whole,
            **({"members": list(self.members)} if self.members else {}),
        }
        body = {
            "protocol": protocol.text,
            "overlays": {name: overlay.text for name, overlay in self.rules.overlays.items()},
            **({"protocols": dict(protocol.embedded)} if protocol.embedded else {}),
            "brief": to_plain(self.brief),
        }
        self.write(self.chain.record("open", "conversation", data, body))
        return events

    def _close(self) -> None:
        outcome = self.conversation.outcome
        data = {
            "count": self.chain.seq,
            "state": state_hash(self.conversation),
            "outcome": outcome.name if outcome else None,
            "class": outcome.kind.value if outcome else None,
        }
        self.write(self.chain.record("seal", "conversation", data))
        if self.spans is not None:
            self.spans.end(self.conversation, head=self.chain.head, count=self.chain.seq)

    def _tell(self, events: tuple[Event, ...]) -> None:
        if events:
            self.write(b"".join(self.chain.event(event) for event in events))
        self._show(events)

    def _show(self, events: tuple[Event, ...]) -> None:
        """Let whoever watches see the events; once a talk has failed, a watcher that fails too must not leave it unsealed."""
        for event in events:
            try:
                self.watch(event)
            except Exception:
                if not self.is_ending:
                    raise

    def _take(self, given: Input) -> tuple[Event, ...]:
        """Write an input and its events down, then let them count."""
        after, events = step(self.conversation, given)
        if events or isinstance(given, Say):
            self.write(self.chain.input(given) + b"".join(self.chain.event(event) for event in events))
        self.conversation = after
        if self.spans is not None:
            self.spans.turn_now = _SPANS.get()
            self.spans.happened(events)
        self._show(events)
        return events

    async def _turn(self, asked: Speak | Make | Joint) -> None:
        lane = next(iter(asked.lanes)) if isinstance(asked, Joint) else asked.lane
        _, player = self._player(asked.role, lane)
        model = "" if isinstance(asked, Make) else getattr(player, "model_name", "")
        spans = self.spans.turn(self._place(lane), asked.role, model) if self.spans else None
        _SPANS.set(spans)
        events: tuple[Event, ...] = ()
        try:
            if isinstance(asked, Make):
                made = Message(act=asked.move.label, sender=asked.role, made_by="rule", lane=asked.lane)
                events = self._say(made)
            elif isinstance(asked, Joint):
                events = await self._ask_joint(asked, player, spans)
            else:
                events = await self._ask(asked, player, spans)
        except BaseException as error:
            if spans is not None:
                spans.end(self._place(lane), events, error=error)
            raise
        if spans is not None:
            spans.end(self._place(lane), events)

    async def _ask(self, asked: Speak, player: Player, spans: Any) -> tuple[Event, ...]:
        """Ask one agent until it has said something that counts, its time is up, or its tries are."""
        refusal: Refused | None = None
        told: tuple[Event, ...] = ()
        while True:
            until = self._until(self._place(asked.lane))
            turn = self._make_turn(asked, player, refusal, spans)
            answer = await self._answer(asked, player, turn, until)
            if answer is None:
                return told + self._take(Tick(max(self.now(), until)))
            events = self._hear(asked, typed("Message | Unspoken", answer))
            told += events
            refused = next((e for e in events if isinstance(e, Refused)), None)
            if refused is None or self._place(asked.lane).outcome is not None:
                return told
            refusal = refused
            if not refused.left:
                return told + self._exit(asked, refused)

    async def _ask_joint(self, asked: Joint, player: Player, spans: Any) -> tuple[Event, ...]:
        """Ask a shared role for its moves in several lanes; lanes that are left without one are asked for again."""
        turns = {
            name: self._make_turn(one, player, self.refusals.get(name), spans)
            for name, one in asked.lanes.items()
        }
        first = next(iter(asked.lanes.values()))
        turn = self._make_turn(first, player, self.refusals.get(first.lane), spans, lanes=turns)
        until = min(self._until(self._place(name)) for name in asked.lanes)
        answer = await self._answer(first, player, turn, until)
        if answer is None:
            return self._take(Tick(max(self.now(), until)))
        told: tuple[Event, ...] = ()
        moves = [move for one in asked.lanes.values() for move in one.moves if move.for_all]
        for_all = {name for move in moves for name in (move.label, move.act.name)}
        several = [answer] if isinstance(answer, Message | Unspoken) else list(answer)
        for one in several or [Unspoken("it gave no move")]:
            given = one
            if isinstance(given, Unspoken) and not given.lane:
                given = Unspoken(given.reason, first.lane)
            events = self._hear(asked.lanes.get(given.lane, first), given, for_all)
            told += events
            for event in events:
                if isinstance(event, Refused):
                    lane = event.lane or first.lane
                    self.refusals[lane] = event
                    if event.legal and not event.left and lane in asked.lanes:
                        told += self._exit(asked.lanes[lane], event)
                elif isinstance(event, Staged | Moved):
                    self.refusals.pop(event.lane, None)
            if self.conversation.outcome is not None:
                break
        return told

    async def _answer(self, asked: Speak, player: Player, turn: Turn, until: float) -> Said | None:
        """Return what an agent says, or None if its time is up."""
        answer: Said | None = None
        scope = asyncio.timeout(max(0.0, until - self.now()) if until < math.inf else None)
        try:
            async with scope:
                if asked.moves or asked.exits:
                    answer = await player(turn)
                else:
                    await asyncio.Event().wait()
        except Exception as error:
            if not (isinstance(error, TimeoutError) and scope.expired()):
                self._take(Leave(asked.role, self._failure(asked, turn, error), self.now()))
                raise
        if (
            answer is not None and self.now() >= until
        ):  # it never gave up control, so nobody could interrupt it
            self.note(f"{self._named(asked)} answered after its time was up")
            return None
        return answer

    def _until(self, place: Conversation) -> float:
        return min(limit_of(place.here), self.conversation.whole)

    def _named(self, asked: Speak) -> str:
        return self.names[self._player(asked.role, asked.lane)[0]]

    def _failure(self, asked: Speak, turn: Turn, error: Exception) -> str:
        """Return why an agent could not take its turn, and tell the error where it happened."""
        who = self._named(asked)
        heard = f"hearing {turn.heard.act!r}" if turn.heard else "opening"
        where = f"in {turn.state!r}, {heard}"
        if isinstance(error, EdgeError):
            return f"{error.what} ({error.code})"
        error.add_note(f"{who} ({asked.role}) failed {where}")
        if isinstance(error, AgentcommError):
            return f"{error.what} ({error.code}), {where}"
        return f"its handler raised {type(error).__name__}: {error}, {where}"

    def _make_turn(
        self,
        asked: Speak,
        player: Player,
        refusal: Refused | None,
        spans: Any,
        *,
        lanes: Mapping[str, Turn] | None = None,
    ) -> Turn:
        agent = player if isinstance(player, Agent) else None
        key, _ = self._player(asked.role, asked.lane)
        return Turn(
            self._place(asked.lane),
            asked,
            agent=self.names[key],
            goal=agent.goal if agent else "",
            brief=self.brief.get(key, self.brief.get(asked.role)),
            model=agent.open(self.note) if agent else None,
            journal=_Steps(self, spans),
            filler=choose,
            num_ctx=agent.num_ctx if agent else 4096,
            refusal=refusal,
            tools=agent.tools if agent else (),
            examples=agent.examples if agent else None,
            lanes=lanes,
        )

    def _hear(
        self, asked: Speak, answer: Message | Unspoken, for_all: Collection[str] = ()
    ) -> tuple[Event, ...]:
        given = typed("object", answer)
        if isinstance(given, Unspoken):
            return self._take(Misfire(asked.role, given.reason, self.now(), given.lane or asked.lane))
        if not isinstance(given, Message):
            raise UsageError(
                f"{self._named(asked)} answered with {type(given).__name__}",
                why="an agent answers with a message",
                fix='return turn.say("…", …)',
            )
        is_agent = isinstance(self._player(asked.role, asked.lane)[1], Agent)
        is_member = asked.role == self.rules.protocol.many
        lane = asked.lane if is_member or given.act not in for_all else given.lane
        return self._say(
            Message(
                act=given.act,
                content=given.content,
                sender=asked.role,
                in_reply_to=given.in_reply_to,
                made_by=given.made_by if is_agent else "",
                lane=lane,
            )
        )

    def _say(self, message: Message) -> tuple[Event, ...]:
        """Stamp a message and let it be heard: who speaks is what the core says, never what an agent says."""
        stamped = Message(
            act=message.act,
            content=message.content,
            id=self._next_id(),
            sender=message.sender,
            in_reply_to=message.in_reply_to,
            made_by=message.made_by,
            lane=message.lane,
        )
        return self._take(Say(stamped, self.now()))

    def _next_id(self) -> str:
        """Return the id of the next message: its place on record; among lanes, where some wait at a gather, a number."""
        self.sent += 1
        return f"{self.id}:{self.sent if self.members else self.conversation.n + 1}"

    def _exit(self, asked: Speak, refused: Refused) -> tuple[Event, ...]:
        """Take an honest exit for a speaker whose tries are used up."""
        who = self._named(asked)
        reason = f"{who} found nothing to say that counts: {refused.reason}"[:280]
        floor = wants(self._place(asked.lane), asked.role)
        open_now = (*floor.moves, *floor.exits) if isinstance(floor, Speak) else ()
        for wanted in ("not-understood", "failure", "refuse", "reject-proposal"):
            for move in open_now:
                if move.act.performative == wanted and (content := _only_reason(move, reason)) is not None:
                    self.note(f"{who} used up its tries; {move.label!r} was said for it")
                    events = self._say(
                        Message(
                            act=move.label,
                            content=content,
                            sender=asked.role,
                            made_by="rule",
                            lane="" if move.for_all else asked.lane,
                        )
                    )
                    if not any(isinstance(event, Refused) for event in events):
                        return events
        return self._take(Leave(asked.role, reason, self.now(), asked.lane))


def _only_reason(move: Move, reason: str) -> dict[str, Any] | None:
    """Return content for a move that carries nothing but a reason, else None."""
    needed = [name for name, kind in move.act.fields.items() if not kind.optional]
    if all(move.act.fields[name].kind == "text" for name in needed) and len(needed) <= 1:
        return dict.fromkeys(needed, reason)
    return None


def _name(role: str, player: Player) -> str:
    return player.name if isinstance(player, Agent) else getattr(player, "name", role)


def _salt() -> str:
    return secrets.token_hex(8)
