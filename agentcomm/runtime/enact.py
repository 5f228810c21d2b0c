"""Let a cast of agents hold a conversation: the shell around the core.

The loop asks the core who has the floor, asks that agent for a message, and hands it to the core; what comes back is written
down before anybody hears of it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
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
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.conversation.events import Cancel, Event, Input, Leave, Misfire, Refused, Say, Tick
from agentcomm.conversation.moves import Make, Over, Speak, wants
from agentcomm.conversation.state import Conversation, Rules, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Chain
from agentcomm.errors import AgentcommError, EdgeError, StoreError, UsageError
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.library import load
from agentcomm.runtime.result import Result
from agentcomm.runtime.spans import ConversationSpans
from agentcomm.store.jsonl import JsonlLog, MemoryLog
from agentcomm.version import VERSION

__all__ = ("OVERLAYS", "Player", "enact", "enact_sync", "rules_for")

Player = Agent | Callable[[Turn], Awaitable[Message | Unspoken]]
"""Whoever takes turns: an `Agent` or any async callable."""

OVERLAYS = ("read-back", "repair", "not-understood")
"""Overlays that every protocol has unless it names its own."""


def rules_for(protocol: Protocol) -> Rules:
    """Return the protocol with the overlays that may run on it."""
    return Rules(protocol, _overlays())


@cache
def _overlays() -> dict[str, Protocol]:
    return {name: load(f"_overlays/{name}") for name in OVERLAYS}


def enact_sync(protocol: Protocol, **options: Any) -> Result:
    """Do what `enact` does, for scripts without an event loop; models opened by name are closed in the end."""

    async def run() -> Result:
        try:
            return await enact(protocol, **options)
        finally:
            for player in options.get("cast", {}).values():
                if isinstance(player, Agent):
                    await player.close()

    return asyncio.run(run())


async def enact(
    protocol: Protocol,
    *,
    cast: Mapping[str, Player],
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
        cast: Role -> agent.
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
    driver = _Driver(
        protocol,
        dict(cast),
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


def _seconds(deadline: str | float | None) -> float | None:
    if deadline is None or isinstance(deadline, int | float):
        return deadline
    try:
        return parse_duration(deadline).total_seconds()
    except ValueError as error:
        raise UsageError(f"deadline {deadline!r}: {error}", fix='deadline="60s"') from None


def _check_cast(protocol: Protocol, cast: Mapping[str, Any], brief: Mapping[str, Any]) -> None:
    for kind, given in (("cast", cast), ("brief", brief)):
        for role in given:
            if role not in protocol.roles:
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
    for player in cast.values():
        if isinstance(player, Agent):
            player.check(acts)


@dataclass
class _Steps:
    """The journal of one turn; see `agentcomm.agents.turn.Journal`."""

    driver: "_Driver"
    spans: Any

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        self.driver.write(self.driver.chain.record("step", kind, data, body))
        if self.spans is not None:
            self.spans.step(kind, data, body)

    def note(self, text: str) -> None:
        self.driver.note(text)


class _Driver:
    def __init__(
        self,
        protocol: Protocol,
        cast: dict[str, Player],
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
        self.brief = brief
        self.whole = whole
        self.log = log
        self.watch = watch
        self.note = note
        self.is_ending = False
        self.id = conversation_id
        self.names = {role: _name(role, player) for role, player in cast.items()}
        self.chain = Chain(now=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"), salt=_salt)
        self.conversation: Conversation
        self.loop = asyncio.get_running_loop()
        self.begun = self.loop.time()
        self.spans = ConversationSpans.begin(protocol, conversation_id, self.names)

    def now(self) -> float:
        return round(self.loop.time() - self.begun, 6)

    def write(self, lines: bytes) -> None:
        self.log.append(lines)

    async def run(self) -> Result:
        opened = self._open()
        try:
            self._tell(opened)
            while not isinstance(asked := wants(self.conversation), Over):
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

    def _open(self) -> tuple[Event, ...]:
        protocol = self.rules.protocol
        self.conversation, events = open_conversation(self.rules, self.id, whole=self.whole)
        cast = {
            role: {"agent": self.names[role], "model": getattr(player, "model_name", "")}
            for role, player in self.cast.items()
        }
        data = {
            "agentcomm": VERSION,
            "conversation": self.id,
            "protocol": {"name": protocol.name, "version": protocol.version, "hash": protocol.hash},
            "overlays": {name: overlay.hash for name, overlay in self.rules.overlays.items()},
            "cast": cast,
            "whole": self.whole,
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
            self.spans.happened(events)
        self._show(events)
        return events

    async def _turn(self, asked: Speak | Make) -> None:
        player = self.cast[asked.role]
        model = "" if isinstance(asked, Make) else getattr(player, "model_name", "")
        spans = self.spans.turn(self.conversation, asked.role, model) if self.spans else None
        events: tuple[Event, ...] = ()
        try:
            if isinstance(asked, Make):
                events = self._say(Message(act=asked.move.label, sender=asked.role, made_by="rule"))
            else:
                events = await self._ask(asked, player, spans)
        except BaseException as error:
            if spans is not None:
                spans.end(self.conversation, events, error=error)
            raise
        if spans is not None:
            spans.end(self.conversation, events)

    async def _ask(self, asked: Speak, player: Player, spans: Any) -> tuple[Event, ...]:
        """Ask one agent until it has said something that counts, its time is up, or its tries are."""
        refusal: Refused | None = None
        told: tuple[Event, ...] = ()
        while True:
            now = self.now()
            frame = self.conversation.frame
            until = min(frame.deadline if frame else self.conversation.deadline, self.conversation.whole)
            turn = self._make_turn(asked, player, refusal, spans)
            answer: Message | Unspoken | None = None
            scope = asyncio.timeout(max(0.0, until - now))
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
            if answer is None or self.now() >= until:
                if answer is not None:  # it never gave up control, so nobody could interrupt it
                    self.note(f"{self.names[asked.role]} answered after its time was up")
                return told + self._take(Tick(max(self.now(), until)))
            events = self._hear(asked, answer)
            told += events
            refused = next((e for e in events if isinstance(e, Refused)), None)
            if refused is None or self.conversation.outcome is not None:
                return told
            refusal = refused
            if not refused.left:
                return told + self._exit(asked, refused)

    def _failure(self, asked: Speak, turn: Turn, error: Exception) -> str:
        """Return why an agent could not take its turn, and tell the error where it happened."""
        who = self.names[asked.role]
        heard = f"hearing {turn.heard.act!r}" if turn.heard else "opening"
        where = f"in {turn.state!r}, {heard}"
        if isinstance(error, EdgeError):
            return f"{error.what} ({error.code})"
        error.add_note(f"{who} ({asked.role}) failed {where}")
        if isinstance(error, AgentcommError):
            return f"{error.what} ({error.code}), {where}"
        return f"its handler raised {type(error).__name__}: {error}, {where}"

    def _make_turn(self, asked: Speak, player: Player, refusal: Refused | None, spans: Any) -> Turn:
        agent = player if isinstance(player, Agent) else None
        return Turn(
            self.conversation,
            asked,
            agent=self.names[asked.role],
            goal=agent.goal if agent else "",
            brief=self.brief.get(asked.role),
            model=agent.open(self.note) if agent else None,
            journal=_Steps(self, spans),
            filler=choose,
            num_ctx=agent.num_ctx if agent else 4096,
            refusal=refusal,
            tools=agent.tools if agent else (),
            examples=agent.examples if agent else None,
        )

    def _hear(self, asked: Speak, answer: Message | Unspoken) -> tuple[Event, ...]:
        given = typed("object", answer)
        if isinstance(given, Unspoken):
            return self._take(Misfire(asked.role, given.reason, self.now()))
        if not isinstance(given, Message):
            raise UsageError(
                f"{self.names[asked.role]} answered with {type(given).__name__}",
                why="an agent answers with a message",
                fix='return turn.say("…", …)',
            )
        return self._say(
            Message(
                act=given.act,
                content=given.content,
                sender=asked.role,
                in_reply_to=given.in_reply_to,
                made_by=given.made_by if isinstance(self.cast[asked.role], Agent) else "",
            )
        )

    def _say(self, message: Message) -> tuple[Event, ...]:
        """Stamp a message and let it be heard: who speaks is what the core says, never what an agent says."""
        stamped = Message(
            act=message.act,
            content=message.content,
            id=f"{self.id}:{self.conversation.n + 1}",
            sender=message.sender,
            in_reply_to=message.in_reply_to,
            made_by=message.made_by,
        )
        return self._take(Say(stamped, self.now()))

    def _exit(self, asked: Speak, refused: Refused) -> tuple[Event, ...]:
        """Take an honest exit for a speaker whose tries are used up."""
        who = self.names[asked.role]
        reason = f"{who} found nothing to say that counts: {refused.reason}"[:280]
        floor = wants(self.conversation)
        open_now = (*floor.moves, *floor.exits) if isinstance(floor, Speak) else ()
        for wanted in ("not-understood", "failure", "refuse", "reject-proposal"):
            for move in open_now:
                if move.act.performative == wanted and (content := _only_reason(move, reason)) is not None:
                    self.note(f"{who} used up its tries; {move.label!r} was said for it")
                    events = self._say(
                        Message(act=move.label, content=content, sender=asked.role, made_by="rule")
                    )
                    if not any(isinstance(event, Refused) for event in events):
                        return events
        return self._take(Leave(asked.role, reason, self.now()))


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
