"""One conversation on its way: the shell around the core.

It asks the core who has the floor, hands that agent a turn, and hands the core what is said; what comes back is recorded before
anybody hears of it. Nothing here waits: what takes time is returned, for whoever runs the talk to wait for.
"""

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import time_ns
from types import CoroutineType
from typing import Any, NoReturn, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.calibration import witnessed
from agentcomm.agents.calls import By, Calls
from agentcomm.agents.choose import choose
from agentcomm.agents.tools import Tool, ToolRefused
from agentcomm.agents.turn import Journal, Said, Seat, Turn, Unclear, Unspoken
from agentcomm.agents.using import turn_id, use
from agentcomm.conversation import lanes
from agentcomm.conversation.events import (
    Chose,
    Doubt,
    Event,
    Evidence,
    Heard,
    Input,
    Leave,
    Misfire,
    Moved,
    Refused,
    Say,
    Staged,
    Tick,
)
from agentcomm.conversation.moves import Appraise, Make, Speak, limit_of, wants
from agentcomm.conversation.parts import Position
from agentcomm.conversation.plain import Several, Told, say_made
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Chain, plain_bytes
from agentcomm.errors import AgentcommError, EdgeError, RecordError, StoreError, UsageError, doubt_in
from agentcomm.protocol.graph import Move
from agentcomm.runtime.casting import Casting
from agentcomm.runtime.recording import Recording
from agentcomm.runtime.result import Result
from agentcomm.runtime.span_late import begin_spans
from agentcomm.runtime.span_notes import LateTurn
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.waiting import forever
from agentcomm.store.jsonl import JsonlLog
from agentcomm.version import VERSION

__all__ = ("Pending", "Talk")

Pending = tuple[Turn, "Awaitable[Said | Evidence]"]
"""A turn, and what has to be waited for before it has an answer."""


class Talk:
    """One conversation, its record, and how it is carried on.

    Args:
        stage: The protocol.
        casting: Who plays.
        conversation_id: Its id.
        clock: Returns seconds; only differences count.
        brief: Role or member -> what it is told.
        whole: Seconds for the whole conversation.
        log: A file for the record.
        watch: Called with every event, after it was recorded.
        note: Called with a line of text for whoever watches.
        recording: Where it is recorded, if not in `log`.
        opened: More for the record that opens it: what it is held `within`, or its `past`.
    """

    __slots__ = (
        "begun",
        "brief",
        "calls",
        "casting",
        "clock",
        "conversation",
        "depth",
        "errors",
        "for_all",
        "happened",
        "holds",
        "id",
        "inner",
        "is_ending",
        "latest",
        "note",
        "opened",
        "recording",
        "refusals",
        "sent",
        "spans",
        "stage",
        "watch",
    )

    def __init__(
        self,
        stage: Stage,
        casting: Casting,
        conversation_id: str,
        *,
        clock: Callable[[], float],
        brief: Mapping[str, Any],
        whole: float | None = None,
        log: JsonlLog | None = None,
        watch: Callable[[Event], None] | None = None,
        note: Callable[[str], None] | None = None,
        recording: Recording | None = None,
        opened: Mapping[str, Any] | None = None,
    ) -> None:
        self.stage, self.casting, self.id = stage, casting, conversation_id
        self.brief, self.watch, self.note = brief, watch, note
        self.clock, self.begun = clock, clock()
        self.recording = Recording(log) if recording is None else recording
        self.refusals: dict[str, Refused] | None = None
        """By lane: why the last try of a shared role did not count."""
        self.happened: Callable[[Iterable[Event]], None] | None = None
        """Told of every event, for whoever carries several lanes on."""
        self.calls: dict[tuple[str, str], Calls] | None = None
        """By role and lane: tool calls of the turn that is going on."""
        self.depth = int(opened["within"]["depth"]) if opened and "within" in opened else 0
        """Conversations that it is within."""
        self.inner: Any = None
        """By role and lane: conversations held within the turn that is going on."""
        self.holds: Callable[..., Awaitable[Any]] | None = None
        """Holds a conversation within a turn, where a store keeps them."""
        self.errors: tuple[AgentcommError, ...] = ()
        """What an agent could not do, and why."""
        self.sent = 0
        self.is_ending = False
        self.for_all: Message | None = None
        """The message that was said last for all lanes, as it is on record."""
        self.latest: Message | None = None
        """The message that counted last."""
        self.spans = self._open_spans()
        self.conversation, events = self._begin(whole, opened)
        self.opened = events if watch is not None else ()
        """What happened at the opening, for whoever watches."""

    def _open_spans(self) -> Any:
        """Return what draws and measures it; None if nobody wants that."""
        return begin_spans(self.stage.protocol, self.id, self.casting.names)

    def _begin(
        self, whole: float | None, opened: Mapping[str, Any] | None
    ) -> tuple[Conversation, tuple[Event, ...]]:
        """Return the conversation as it stands, and what happened just now."""
        begun, events = open_conversation(
            self.stage.rules, self.id, whole=whole, members=tuple(self.casting.members)
        )
        if self.brief or self.casting.members or whole is not None or opened:
            self.recording.defer(self._opening(whole, opened))
        else:
            self.recording.defer(_PlainOpening(self.stage.rules, self.casting, self.id))
        self.recording.add(None, events, is_sealed=True)
        return begun, events

    def _opening(self, whole: float | None, opened: Mapping[str, Any] | None) -> Callable[[Chain], bytes]:
        rules, players, name = self.stage.rules, self.casting.players, self.id
        members = list(self.casting.members)
        brief = plain_bytes(to_plain(self.brief), "conversation") if self.brief else b""

        def lines(chain: Chain) -> bytes:
            data, body = opening(rules, players(), name, whole, members, opened)
            made = chain.record("open", "conversation", data, body, salt="")
            return made + chain.record("open", "brief", {}, msgspec.Raw(brief)) if brief else made

        return lines

    def now(self) -> float:
        """Return seconds since the opening."""
        return int((self.clock() - self.begun) * 1e6) / 1e6

    def show_opening(self) -> None:
        """Let whoever watches see what happened at the opening."""
        if self.opened:
            self._show(self.opened)
            self.opened = ()

    def tell(self, text: str) -> None:
        """Tell whoever watches."""
        if self.note is not None:
            self.note(text)

    # --- inputs ---

    def take(self, given: Input, *, is_sealed: bool = False, spans: Any = None) -> tuple[Event, ...]:
        """Record an input and its events, then let them count.

        Args:
            given: The input.
            is_sealed: Whether what it holds is known to be immutable.
            spans: What draws the turn in which it was made.
        """
        after, events = step(self.conversation, given, is_read=is_sealed)
        if events or type(given) is Say:
            self.recording.add(given, events, is_sealed=is_sealed)
        self.conversation = after
        self._told(events, spans)
        return events

    def _told(self, events: Iterable[Event], spans: Any) -> None:
        """Tell everybody who wants to know what counts now."""
        if spans is not None and type(spans) is LateTurn and self.watch is None and self.happened is None:
            if type(events) is Told and spans.is_new:  # as it is nearly always: spared a call
                spans.at, spans.told, spans.is_new = time_ns(), events, False
            else:
                spans.happened(events)
            return
        if self.happened is not None:
            self.happened(events)
        if self.spans is not None or self.watch is not None:
            several = events if type(events) is Told else tuple(events)
            if self.spans is not None:
                self.spans.turn_now = spans
                self.spans.happened(several)
            if self.watch is not None:
                self._show(several)

    def _show(self, events: Iterable[Event]) -> None:
        """Let whoever watches see the events; once a talk has failed, a watcher that fails too must not leave it unsealed."""
        for event in events:
            try:
                cast("Callable[[Event], None]", self.watch)(event)
            except Exception:
                if not self.is_ending:
                    raise

    def stop(self, given: Input) -> None:
        """End it from outside, if it has not ended, and seal the record."""
        self.is_ending = True
        if self.conversation.outcome is None:
            self.take(given)
        self.seal()

    def seal(self) -> None:
        """Close the record."""
        self.recording.seal(self.conversation)
        if self.spans is not None:
            kept = self.recording.is_written  # a head is worth something only where there are lines
            head, count = (self.recording.head, self.recording.count) if kept else ("", 0)
            self.spans.end(self.conversation, head=head, count=count)

    def result(self) -> Result:
        """Return what it came to."""
        return Result(self.conversation, self.recording, self.casting.names, self.errors)

    # --- turns ---

    def advance(self, most: int) -> Pending | None:
        """Let agents speak in turn, at most so often, until one has to be waited for or it is over.

        Raises:
            UsageError: If an agent says what it may not.
            Exception: Whatever a handler raises.
        """
        spots, roles = self.stage.spots, self.casting.roles
        former: Message | None = None
        """What was said before the latest message."""
        for _ in range(most):
            conversation = self.conversation
            here = conversation.here
            spot = spots.get(here.name)
            if spot is None:  # an outcome
                return None
            role = spot.role
            if role and here.frame is None:
                heard = latest = self.latest
                if latest is None or latest.id != here.latest or role not in latest.receivers:
                    heard = None
                    if (
                        former is not None
                        and former.id == here.last.get(role)
                        and not conversation.shared.mended
                    ):
                        heard = former
                former = latest
                turn = Turn(conversation, roles[role], self, "", conversation, None, spot.moves, heard)
            else:
                asked = wants(conversation)
                if isinstance(asked, Make):
                    self.make(asked)
                    continue
                if isinstance(asked, Appraise):
                    return self.appraise(asked)
                if not isinstance(asked, Speak):
                    return None
                turn = Turn(conversation, roles[asked.role], self, _floor=asked)
                if not asked.moves and not asked.exits:
                    return turn, forever()
            pending = self.carry_plainly(turn) if self.spans is None else self.carry(turn)
            if pending is not None:
                return pending
        return None

    def appraise(self, asked: Appraise) -> Pending:
        """Ask the judge, whose answer is evidence."""
        wanted, judge = asked.wanted, self.casting.judge

        async def ask() -> Evidence:
            if judge is None:  # pragma: no cover  (the rules ask for one)
                return Evidence(wanted.message, "", (), (), 0.0, "nobody judges", asked.lane)
            found = await witnessed(judge, wanted.meant, wanted.restated)
            return Evidence(
                wanted.message, judge.name, found.missing, found.added, 0.0, found.error, asked.lane
            )

        floor = Speak("judge", (), (), asked.lane)
        return Turn(self.conversation, self.judge_seat(), self, asked.lane, _floor=floor), ask()

    def judge_seat(self) -> Seat:
        """Return the seat of whoever judges."""
        judge = self.casting.judge
        return Seat("judge", "judge", judge.name if judge is not None else "", judge, None, _silent)

    def seat(self, role: str, lane: str) -> Seat:
        """Return who speaks for a role in a lane."""
        return self.casting.members[lane] if role == self.stage.protocol.many else self.casting.roles[role]

    def place(self, lane: str) -> Conversation:
        """Return where a turn takes place: a lane, or the conversation."""
        return self.conversation.view(lane) if lane else self.conversation

    def carry(self, turn: Turn) -> Pending | None:
        """Let an agent take its turn, until it has to be waited for or has spoken."""
        if self.spans is None:
            return self.carry_plainly(turn)
        lane, seat = turn.lane, turn.seat
        before = turn.conversation if lane else turn.whole
        spans = turn.spans = self.spans.turn(before, seat.role, getattr(seat.player, "model_name", ""))
        try:
            pending = self.carry_plainly(turn)
        except BaseException as error:
            spans.end(self.place(lane), error=error)
            raise
        if pending is None:
            spans.end(self.place(lane) if lane else self.conversation)
        return pending

    def answered(self, turn: Turn, answer: Said | Evidence, until: float) -> Pending | None:
        """Let what was waited for be heard, and carry the turn on where it has to be tried again."""
        if type(answer) is Message and self.hear_made(turn, answer):
            return None
        again = self.hear(turn, answer, until)
        return None if again is None else self.carry_plainly(again)

    def carry_plainly(self, turn: Turn) -> Pending | None:
        """Do what `carry` does where nobody draws it."""
        trying: Turn | None = turn
        while trying is not None:
            turn = trying
            try:
                answer = turn.seat.ask(turn)
            except Exception as error:
                if self.could_not(turn, error):
                    return None
                self.failed(turn, error)
                raise
            if type(answer) is Message:
                if self.hear_made(turn, answer):
                    return None
            elif type(answer) is CoroutineType or inspect.isawaitable(answer):
                return turn, cast("Awaitable[Said]", answer)
            trying = self.hear(turn, answer)
        return None

    def until(self, turn: Turn) -> float:
        """Return when a turn's time is up, in seconds since the opening."""
        conversation = self.conversation
        if not turn.lane:
            return min(limit_of(conversation.here), conversation.whole)
        lanes = conversation.lanes
        if not turn.lanes:
            limit, whole = limit_of(lanes.at(turn.lane)[0]), conversation.whole
            return limit if limit < whole else whole  # noqa: FURB136  (a call costs more)
        return min(conversation.whole, *(limit_of(lanes.at(lane)[0]) for lane in turn.lanes))

    def left(self, until: float) -> float | None:
        """Return the seconds until some time since the opening; None if there is no limit."""
        return max(0.0, until - (self.clock() - self.begun)) if until < math.inf else None

    def expired(self, turn: Turn, until: float) -> None:
        """Let the time be up that a turn had."""
        self.take(Tick(max(self.now(), until)), spans=turn.spans)

    def could_not(self, turn: Turn, error: Exception) -> bool:
        """Take the protocol's own way where an agent's model or tool failed; False if it was something else that did."""
        error = doubt_in(error) or error
        if not isinstance(error, EdgeError | ToolRefused) or isinstance(error, StoreError | RecordError):
            return False
        self.errors = (*self.errors, error)
        told = {"agent": turn.agent, "role": turn.role, "code": error.code}
        self.journal_of(turn).step("agent.failed", told, error.as_dict())
        reason = f"{turn.agent}: {error.what} ({error.code})"
        for one in turn.lanes.values() or (turn,):
            if _outcome(self.conversation, one.lane) is None and self.conversation.outcome is None:
                self.give_up(one, reason, ("failure", "refuse", "reject-proposal"))
        return True

    def failed(self, turn: Turn, error: Exception) -> None:
        """Record that an agent could not take its turn, and tell the error where it happened."""
        heard = f"hearing {turn.heard.act!r}" if turn.heard else "opening"
        where = f"in {turn.state!r}, {heard}"
        if isinstance(error, EdgeError):
            reason = f"{error.what} ({error.code})"
        else:
            error.add_note(f"{turn.agent} ({turn.role}) failed {where}")
            reason = f"its handler raised {type(error).__name__}: {error}, {where}"
            if isinstance(error, AgentcommError):
                reason = f"{error.what} ({error.code}), {where}"
        self.take(Leave(turn.role, reason, self.now()), spans=turn.spans)

    # --- what was said ---

    def hear(self, turn: Turn, answer: Said | Evidence, until: float | None = None) -> Turn | None:
        """Let an answer count if it came in time; return the turn in which it is tried again, if it has to be."""
        now = int((self.clock() - self.begun) * 1e6) / 1e6
        if turn.lanes and self._say_in_lanes(turn, answer, now):
            return None
        if until is None:
            conversation = self.conversation
            here = conversation.here
            if turn.lane or here.frame is not None:
                until = self.until(turn)
            else:
                until = min(here.deadline, conversation.whole)
        if now >= until:  # whoever never gives up control cannot be interrupted
            self.tell(f"{turn.agent} answered after its time was up")
            self.expired(turn, until)
            return None
        if isinstance(answer, Evidence):
            self.take(msgspec.structs.replace(answer, at=now), spans=turn.spans)
            return None
        if turn.lanes:
            if turn.for_all and turn.seat.agent is not None:
                turn.seat.agent.check_answer(turn, answer)
            self._hear_joint(turn, answer)
            return None
        if type(answer) is Message:
            events = self._say(turn, answer, turn.lane, now, is_sealed=turn.made is answer)
        else:
            events = self._other(turn, answer, now)
        for event in events:
            if type(event) is Heard:
                self.latest = event.message
                return None
            if type(event) is Refused:
                return self._try_again(turn, event)
            if type(event) is Chose and type(answer) is Unclear and event.action == "accept":
                return turn.again(self.conversation, None)  # it goes on as it was
        return None

    def hear_made(self, turn: Turn, made: Message) -> bool:
        """Let a message be heard that the turn itself has made, if it makes a plain move and came in time."""
        if made is not turn.made or turn.lanes:
            return False
        conversation = self.conversation
        now = int((self.clock() - self.begun) * 1e6) / 1e6
        if turn.lane:
            here = turn.here()
            return (
                now < here.deadline and now < conversation.whole and self._say_in_lane(turn, here, made, now)
            )
        if turn.whole is not conversation or conversation.members:
            return False
        if now >= conversation.here.deadline or now >= conversation.whole:
            return False
        made_by = made.made_by or ("handler" if turn.seat.agent is not None else "")
        done = say_made(conversation, made, "", made_by, now)
        if done is None:
            return False
        given, self.conversation, told = done
        self.latest = given.message
        self.sent += 1
        self.recording.add(given, told, is_sealed=True)
        self._told(told, turn.spans)
        return True

    def _say_in_lane(self, turn: Turn, here: Position, made: Message, now: float) -> bool:
        """Let a message be heard in a lane that the turn itself has made, if it makes a plain move."""
        made_by = made.made_by or ("handler" if turn.seat.agent is not None else "")
        done = lanes.say_made(self.conversation, turn.lane, here, made, self.sent + 1, made_by, now)
        if done is None:
            return False
        given, self.conversation, events = done
        self.latest = given.message
        self.sent += 1
        self.recording.add(given, events, is_sealed=True)
        happened = self.happened
        if happened is not None and self.spans is None and self.watch is None:
            happened(events)
        else:
            self._told(events, turn.spans)
        return True

    def _say_in_lanes(self, turn: Turn, answer: object, now: float) -> bool:
        """Let an answer for several lanes be heard that came in time, if its turns have made it and it is plain."""
        made_by = "handler" if turn.seat.agent is not None else ""
        conversation, first = self.conversation, self.sent + 1
        said: list[tuple[Say, Iterable[Event]]]
        if type(answer) is Message:
            if not turn.for_all or turn.made is not answer or turn.whole is not conversation:
                return False
            made_by = answer.made_by or made_by
            one = lanes.say_for_all_made(conversation, answer, f"{self.id}:{first}", made_by, now)
            if one is None:
                return False
            given, self.conversation, events = one
            said, told = [(given, events)], events
            self.for_all = given.message
        elif (
            type(answer) is list and self.watch is None and self.spans is None
        ):  # who sees each as it happens
            turns, made = turn.lanes, list[tuple[Message, Position]]()
            for each in cast("list[Any]", answer):
                own = turns.get(each.lane) if type(each) is Message else None
                if own is None or own.made is not each:
                    return False
                made.append((each, own.here()))
            done = lanes.stage_made(conversation, made, first, made_by, now)
            if done is None:
                return False
            said, self.conversation = done
            parts: list[Any] = []
            for _, events in said:
                parts += events.parts if isinstance(events, Several) else events
            told = Several(parts)
        else:
            return False
        for given, events in said:
            self.recording.add(given, events, is_sealed=True)
        self.sent += len(said)
        self.latest = said[-1][0].message
        if self.refusals:
            for lane in turn.lanes:
                self.refusals.pop(lane, None)
        self._told(told, turn.spans)
        return True

    def _try_again(self, turn: Turn, refused: Refused) -> Turn | None:
        if _outcome(self.conversation, turn.lane) is not None:
            return None
        if refused.left:
            return turn.again(self.conversation, refused)
        self.exit_for(turn, refused)
        return None

    def _other(self, turn: Turn, answer: object, now: float) -> tuple[Event, ...]:
        """Let an answer count that is no plain message."""
        if isinstance(answer, Unspoken):
            lane = answer.lane or turn.lane
            return self.take(Misfire(turn.role, answer.reason, now, lane), spans=turn.spans)
        if isinstance(answer, Unclear):
            lane = answer.lane or turn.lane
            doubt = Doubt(turn.role, answer.about, answer.path, answer.readings, now, lane)
            return self.take(doubt, spans=turn.spans)
        if not isinstance(answer, Message):
            if turn.seat.agent is not None:
                turn.seat.agent.check_answer(turn, answer)
            raise UsageError(
                f"{turn.agent} answered with {type(answer).__name__}",
                why="an agent answers with a message",
                fix='return turn.say("…", …)',
            )
        return self._say(turn, answer, turn.lane, now)

    def _say(
        self, turn: Turn, message: Message, lane: str, now: float, *, is_sealed: bool = False
    ) -> tuple[Event, ...]:
        """Stamp a message and let it be heard: who speaks is what the core says, never what an agent says."""
        made_by = (message.made_by or "handler") if turn.seat.agent is not None else ""
        stamped = Message(
            act=message.act,
            content=message.content,
            id=self._id(turn.role, lane),
            sender=turn.role,
            in_reply_to=message.in_reply_to,
            made_by=made_by,
            lane=lane,
        )
        return self.take(Say(stamped, now), is_sealed=is_sealed, spans=turn.spans)

    def _id(self, role: str, lane: str) -> str:
        """Return the id of the next message of a role: the same if the same turn is taken again."""
        del role, lane
        self.sent += 1  # among lanes, some messages wait at a gather
        return f"{self.id}:{self.sent if self.casting.members else self.conversation.n + 1}"

    def make(self, asked: Make) -> None:
        """Make the one move that is left."""
        seat = self.seat(asked.role, asked.lane)
        turn = Turn(self.conversation, seat, self, asked.lane)
        if self.spans is not None:
            turn.spans = self.spans.turn(turn.conversation, asked.role, "")
        rule = Message(act=asked.move.label, made_by="rule")
        self._as_rule(turn, rule, asked.lane)
        if turn.spans is not None:
            turn.spans.end(self.place(asked.lane))

    def _as_rule(self, turn: Turn, message: Message, lane: str) -> tuple[Event, ...]:
        """Say for somebody what code says; it is marked so, whoever it is."""
        stamped = Message(
            act=message.act,
            content=message.content,
            id=self._id(turn.role, lane),
            sender=turn.role,
            made_by="rule",
            lane=lane,
        )
        return self.take(Say(stamped, self.now()), spans=turn.spans)

    def _hear_joint(self, turn: Turn, answer: Said) -> None:
        """Let the moves of a shared role in several lanes be heard; lanes left without one are asked for again."""
        refusals = self.refusals = self.refusals or {}
        several = (
            [answer]
            if isinstance(answer, Message | Unspoken | Unclear)
            else list(cast("Sequence[Any]", answer))
        )
        own_turns, now = turn.lanes, self.now()
        for one in several or [Unspoken("it gave no move")]:
            if type(one) is Message and one.lane in own_turns:
                own = own_turns[one.lane]
                if own.made is one and self._say_in_lane(own, own.here(), one, now):
                    if refusals:
                        refusals.pop(one.lane, None)
                    if self.conversation.here.outcome is not None:
                        break
                    continue
            for event in self._hear_one(turn, one):
                if isinstance(event, Refused):
                    lane = event.lane or turn.lane
                    refusals[lane] = event
                    if event.legal and not event.left and lane in turn.lanes:
                        self.exit_for(turn.lanes[lane], event)
                elif isinstance(event, Staged | Moved):
                    refusals.pop(event.lane, None)
            if self.conversation.outcome is not None:
                break

    def _hear_one(self, turn: Turn, said: object) -> tuple[Event, ...]:
        if not isinstance(said, Message):
            return self._other(turn, said, self.now())
        own = turn.lanes.get(said.lane)
        is_sealed = turn.made is said or (own is not None and own.made is said)
        lane = said.lane if own is not None or self._is_for_all(turn, said.act) else turn.lane
        return self._say(turn, said, lane, self.now(), is_sealed=is_sealed)

    def _is_for_all(self, turn: Turn, act: str) -> bool:
        """Say whether an act is said once, in every lane of a turn that it is for."""
        spots = self.stage.spots
        return any(act in spots[one.conversation.position].for_all for one in turn.lanes.values())

    def exit_for(self, turn: Turn, refused: Refused) -> None:
        """Take an honest exit for a speaker whose tries are used up."""
        self.give_up(turn, f"{turn.agent} found nothing to say that counts: {refused.reason}")

    def give_up(
        self,
        turn: Turn,
        why: str,
        exits: Sequence[str] = ("not-understood", "failure", "refuse", "reject-proposal"),
        *,
        leaves: bool = True,
    ) -> bool:
        """Say the first honest exit for a speaker who does not speak; leave for it if there is none.

        Args:
            turn: Whose.
            why: The reason that is said.
            exits: The library acts that will do, the best first.
            leaves: Whether it leaves if there is none.

        Returns:
            Whether something was said.
        """
        reason = why[:280]
        floor = wants(self.place(turn.lane), turn.role)
        open_now = (*floor.moves, *floor.exits) if isinstance(floor, Speak) else ()
        for wanted in exits:
            for move in open_now:
                if move.act.performative == wanted and (content := _only_reason(move, reason)) is not None:
                    self.tell(f"{reason}; {move.label!r} was said for it")
                    said = Message(act=move.label, content=content)
                    told = {"agent": turn.agent, "role": turn.role, "act": move.label}
                    self.journal_of(turn).step("exit.taken", told, {"reason": reason})
                    events = self._as_rule(turn, said, "" if move.for_all else turn.lane)
                    if not any(isinstance(event, Refused) for event in events):
                        return True
        if leaves:
            told = {"agent": turn.agent, "role": turn.role, "act": ""}
            self.journal_of(turn).step("exit.taken", told, {"reason": reason})
            self.take(Leave(turn.role, reason, self.now(), turn.lane), spans=turn.spans)
        return False

    # --- the port of turns ---

    def brief_of(self, seat: Seat) -> Any:
        """Return what a role was told for this conversation."""
        return self.brief.get(seat.key, self.brief.get(seat.role))

    def journal_of(self, turn: Turn) -> Journal:
        """Return where the steps of a turn are kept."""
        return _Steps(self, turn.spans)

    def calls_of(self, turn: Turn) -> Calls:
        """Return the tool calls of a turn; the same for every try of it."""
        name = turn_id(self.conversation, turn.conversation, turn.role, turn.lane)
        known = self.calls = self.calls or {}
        found = known.get((turn.role, turn.lane))
        if found is None or found.turn != name:
            found = known[turn.role, turn.lane] = Calls(name)
        return found

    async def use(self, turn: Turn, tool: Tool, arguments: Mapping[str, Any], by: By) -> Any:
        """Call a tool, if it may be called."""
        return await use(turn, tool, arguments, by, self.conversation)

    async def fill(
        self, turn: Turn, act: str, known: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> Message | Unspoken:
        """Let the agent's model make the move."""
        return await choose(turn, act, known, facts)

    async def wait(self) -> NoReturn:
        """Wait until the turn is over, without a word."""
        await forever()
        raise AssertionError("unreachable")  # pragma: no cover


class _Steps:
    """The journal of one turn; see `agentcomm.agents.turn.Journal`."""

    __slots__ = ("_spans", "_talk")

    def __init__(self, talk: Talk, spans: Any) -> None:
        self._talk, self._spans = talk, spans

    @property
    def sinks(self) -> list[str]:
        recording = self._talk.recording
        path = recording.path
        kept = f"transcript:{path}" if path is not None else "transcript:memory"
        found = [kept] if recording.keeps_content else []
        return found if self._spans is None else [*found, *self._spans.sinks]

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        self._talk.recording.put("step", kind, data, body)
        if self._spans is not None:
            self._spans.step(kind, data, body)

    def note(self, text: str) -> None:
        self._talk.tell(text)

    def recalled(self, kind: str, key: str) -> None:
        """Return nothing: no earlier attempt of this turn is on record."""

    async def kept(self) -> None:
        """Return at once: what is written is as safe here as it gets."""


class _PlainOpening(msgspec.Struct):
    """Gives the first lines of a talk of which nothing was told but its cast."""

    rules: Any
    casting: Casting
    name: str

    def __call__(self, chain: Chain) -> bytes:
        data, body = opening(self.rules, self.casting.players(), self.name, None, [])
        return chain.record("open", "conversation", data, body, salt="")


def opening(
    rules: Any,
    players: Mapping[str, Any],
    name: str,
    whole: float | None,
    members: list[str],
    opened: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return structure and content of the record that opens a conversation."""
    protocol = rules.protocol
    data = {
        "agentcomm": VERSION,
        "conversation": name,
        "protocol": {"name": protocol.name, "version": protocol.version, "hash": protocol.hash},
        "overlays": {name: overlay.hash for name, overlay in rules.overlays.items()},
        "cast": players,
        "whole": whole,
        **({"members": members} if members else {}),
        **(opened or {}),
        **({"human": True} if rules.human else {}),
        **({"judge": rules.judge} if rules.judge else {}),
        **({"choice": msgspec.to_builtins(rules.choice)} if rules.choice is not None else {}),
    }
    body = {
        "protocol": protocol.text,
        "overlays": {name: overlay.text for name, overlay in rules.overlays.items()},
        **({"protocols": dict(protocol.embedded)} if protocol.embedded else {}),
    }
    return data, body


def _silent(_turn: Turn) -> Said:
    return Unspoken("a judge takes no turns")


def _outcome(conversation: Conversation, lane: str) -> Any:
    return conversation.lanes[lane].outcome if lane else conversation.outcome


def _only_reason(move: Move, reason: str) -> dict[str, Any] | None:
    """Return content for a move that carries nothing but a reason, else None."""
    needed = [name for name, kind in move.act.fields.items() if not kind.optional]
    if all(move.act.fields[name].kind == "text" for name in needed) and len(needed) <= 1:
        return dict.fromkeys(needed, reason)
    return None
