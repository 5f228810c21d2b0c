"""One conversation of many: a talk whose every turn is one transaction of a store, and who has something to do in it.

It is carried on by whoever holds a claim on one of its deliveries. What was heard counts here once the store has it; where somebody
else was faster, what he wrote is read first, and what was said is heard again, as of then.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.agents.calibration import witnessed
from agentcomm.agents.calls import Calls
from agentcomm.agents.choose import choose
from agentcomm.agents.turn import Journal, Recalled, Seat, Turn
from agentcomm.conversation.entries import put, took
from agentcomm.conversation.events import Event, Evidence, GatherOpened, Heard, LanesBegan
from agentcomm.conversation.moves import Appraise, Joint, Make, Speak, due, floors, limit_of, wants, wants_all
from agentcomm.conversation.plain import Told
from agentcomm.conversation.snapshot import Kept, taken
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.tape import Step, Tape
from agentcomm.conversation.transcript import blob_name, dump
from agentcomm.protocol.graph import Move
from agentcomm.runtime.casting import Casting
from agentcomm.runtime.driving import Turns
from agentcomm.runtime.quiet import Lock
from agentcomm.runtime.recording import Stored
from agentcomm.runtime.resuming import latest
from agentcomm.runtime.span_late import begin_spans
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.talk import Talk, opening
from agentcomm.store.base import Snapshot

__all__ = ("DEADLINE", "HERE", "JUDGE", "Go", "HostedTalk", "Waits", "law_of")

JUDGE = "@judge"
"""Mailbox of whoever says whether a demonstration shows understanding."""
DEADLINE = "deadline"
"""The timer of a conversation."""
ALL = "*"
"""Group of turns that are for several lanes."""
_EACH = 256
"""Messages between snapshots."""


_NONE: Mapping[str, Move] = {}
HERE: Mapping[str, None] = {"": None}
"""The only group of a conversation without members."""
_NOWHERE: Mapping[str, None] = {}


class Waits(BaseException):
    """Somebody who has the floor leaves it to the others; no error, so that no handler takes it for one."""


class Go:
    """Somebody has the floor.

    Attributes:
        group: The lane; empty outside lanes, `*` for a turn for several lanes.
        mailbox: Who.
        note: What tells it from every other go: role, state and a hash of where the talk stands.
        turn: Makes the turn; None for a judge.
        asked: What a judge is asked.
    """

    __slots__ = ("asked", "group", "mailbox", "note", "role", "turn")

    def __init__(
        self,
        group: str,
        mailbox: str,
        role: str,
        note: str,
        turn: Callable[[], Turn] | None = None,
        asked: Appraise | None = None,
    ) -> None:
        self.group, self.mailbox, self.role, self.note = group, mailbox, role, note
        self.turn, self.asked = turn, asked

    def made(self) -> Turn:
        """Make the turn."""
        assert self.turn is not None  # noqa: S101
        return self.turn()

    @property
    def place(self) -> tuple[str, str, str]:
        """Return what a claim on it names: mailbox, note and group."""
        return self.mailbox, self.note, self.group


def law_of(stage: Stage) -> tuple[str, bytes]:
    """Return the content of the record that opens a conversation, as its name and its line: the same for all by some rules."""
    kept: dict[str, Any] = stage.rules.kept
    found = kept.get("law")
    if found is None:
        _, body = opening(stage.rules, {}, "", None, [])
        text = dump(body)
        name = blob_name("", text)
        line = dump({"blob": name, "salt": "", "body": msgspec.Raw(text)}) + b"\n"
        found = kept["law"] = name, line
    return found


def _plainly_opened(
    stage: Stage, casting: Casting, name: str, at: float, events: tuple[Event, ...]
) -> msgspec.Raw:
    """Return the parts of an opening of which nothing was told but its cast: the same for all but for its id and its time."""
    rules = stage.rules
    kept: dict[int, tuple[Casting, bytes, bytes, bytes]] = rules.kept.setdefault("openings", {})
    found = kept.get(id(casting))
    if found is None or found[0] is not casting:
        data, _ = opening(rules, casting.players(), _NAMELESS, None, [])
        first = put(0.0, "open", "conversation", data, blob=law_of(stage)[0])
        head, _, tail = dump(first).partition(b'"conversation":' + dump(_NAMELESS))
        then = dump(took(0.0, None, events, is_sealed=True))
        while len(kept) >= _CASTINGS:
            kept.pop(next(iter(kept)))
        begin = len(b'["p",0.0')
        found = kept[id(casting)] = casting, head[begin:] + b'"conversation":', tail, then[begin:]
    time = dump(at)
    _, head, tail, then = found
    return msgspec.Raw(b"".join((b'["p",', time, head, dump(name), tail, b',["t",', time, then)))


_NAMELESS = "\ufdd0"
"""No text; stands for an id."""
_CASTINGS = 64


class HostedTalk(Talk):
    """A talk that a store keeps.

    Args:
        *given: As of `Talk`.
        resumed: The conversation as it stands and when it was opened, for one that was there before.
        slot: Waits for a free call of a model, by its name.
        **more: As of `Talk`.
    """

    __slots__ = (
        "_resumed",
        "ahead",
        "armed",
        "floor",
        "fresh",
        "is_asked",
        "limit",
        "lock",
        "mark",
        "slot",
        "snapped",
        "snaps_at",
        "steps",
        "stirred",
        "stored",
        "users",
        "working",
    )

    def __init__(
        self,
        *given: Any,
        recording: Stored,
        slot: Callable[[str], Any],
        resumed: tuple[Conversation, float] | None = None,
        **more: Any,
    ) -> None:
        self.fresh: list[tuple[Told | tuple[Event, ...], Any]] = []
        """What is not yet kept: told to whoever watches once it is."""
        self.stirred: Mapping[str, None] = {}
        """Groups in which something happened since the last commit."""
        self.is_asked = False
        """Whether somebody wants to know what happens now."""
        self.steps: list[Step] = []
        """What was done within turns that may still be taken up."""
        self.lock = Lock()
        self.slot = slot
        self.armed: float | None = None
        """When the store's timer is due, in seconds since the opening, as far as it is known here."""
        self.limit = math.inf
        """What is due earlier has to be told to the store."""
        self.snapped: Kept | None = None
        """The snapshot that the store has."""
        self.snaps_at = _EACH
        """Messages from which on it is time for the next."""
        self.users = 0
        """Who works on it in this process."""
        self.working: dict[tuple[str, str], Journal] = {}
        """By role and lane: the journal of a turn that is going on."""
        self.mark: Any = None
        self.ahead: tuple[Conversation | None, str] = None, ""
        """Where it stood when the last commit was made, and the note of the only delivery in it; empty if there were others."""
        self.floor: tuple[Conversation | None, Go | None] = None, None
        """Who got the floor by the last commit, if it was one."""
        self._resumed = resumed
        self.stored = recording
        """The record."""
        super().__init__(*given, recording=recording, **more)
        if resumed is not None:
            self.conversation, self.begun = resumed
            self.opened = ()
            self.stirred = _NOWHERE
            self.mark = self.conversation, recording.place, self.latest, self.sent

    def _open_spans(self) -> Any:
        before = 0 if self._resumed is None else self.stored.place[0]
        return begin_spans(self.stage.protocol, self.id, self.casting.names, before=before)

    def _begin(
        self, whole: float | None, opened: Mapping[str, Any] | None
    ) -> tuple[Conversation, tuple[Event, ...]]:
        if self._resumed is not None:
            return self._resumed[0], ()
        rules, members = self.stage.rules, list(self.casting.members)
        begun, events = open_conversation(rules, self.id, whole=whole, members=members)
        if not (members or opened or self.brief or whole is not None):
            made = _plainly_opened(self.stage, self.casting, self.id, round(self.begun, 3), events)
            self.stored.opens(made, 1 + len(events))
            return begun, events
        data, _ = opening(rules, self.casting.players(), self.id, whole, members, opened)
        self.stored.put("open", "conversation", data, blob=law_of(self.stage)[0])
        if self.brief:
            self.stored.put("open", "brief", {}, to_plain(self.brief))
        self.stored.add(None, events, is_sealed=True)
        return begun, events

    def recalled(self, kind: str, key: str, go: str) -> Recalled | None:
        """Return a step that an earlier attempt of a turn recorded; it is handed out once."""
        for place, one in enumerate(self.steps):
            if one.type == kind and one.data.get("key") == key and one.data.get("go") == go:
                del self.steps[place]
                return Recalled(one.data, one.body)
        return None

    def take_up(self, steps: Sequence[Step]) -> None:
        """Remember what an attempt of a turn put on record, for the next one."""
        if steps:
            self.steps = latest([*self.steps, *steps])
            self.calls = None

    async def wait(self) -> NoReturn:
        """Leave the turn without a word; nothing runs while others may speak."""
        raise Waits

    def calls_of(self, turn: Turn) -> Calls:
        """Return the tool calls of a turn, those of earlier attempts among them."""
        is_new = self.calls is None or (turn.role, turn.lane) not in self.calls
        before = None if is_new else (self.calls or {})[turn.role, turn.lane]
        found = super().calls_of(turn)
        if found is not before:
            found.restore((one.type, one.data, one.body) for one in self.steps)
        return found

    def _told(self, events: Iterable[Event], spans: Any) -> None:
        is_watched = self.watch is not None or self.spans is not None or self.happened is not None
        if is_watched or self.is_asked or self.casting.members:
            events = events if type(events) is Told else tuple(events)
            self.fresh.append((events, spans))
        self._stir(events)

    def _stir(self, events: Iterable[Event]) -> None:
        if not self.casting.members:
            self.stirred = HERE
            return
        stirred = dict(self.stirred)
        for event in events:
            if isinstance(event, LanesBegan):
                stirred.update(dict.fromkeys(("", ALL, *event.lanes)))
            elif isinstance(event, GatherOpened):
                stirred[ALL] = None
            elif isinstance(event, Heard):
                stirred[event.message.lane] = None
            else:
                stirred[getattr(event, "lane", "")] = None
        if stirred and self.conversation.turn is not None:
            stirred[ALL] = None
        self.stirred = stirred

    def kept(self) -> None:
        """Let what was committed count: from here on it is what the talk goes back to."""
        self.mark = self.conversation, self.stored.place, self.latest, self.sent
        self.stirred = _NOWHERE
        if not self.fresh:
            return
        fresh, self.fresh = self.fresh, []
        if self.watch is not None or self.spans is not None or self.happened is not None:
            for events, spans in fresh:
                super()._told(events, spans)

    def back(self) -> None:
        """Forget what was not kept."""
        self.conversation, place, self.latest, self.sent = self.mark
        self.stored.back(place)
        self.fresh = []
        self.stirred = _NOWHERE

    def catch_up(self, entries: Iterator[bytes]) -> None:
        """Take up what others wrote.

        Raises:
            RecordError: If the chain is broken.
        """
        tape = Tape()
        tape.seq, tape.link = self.stored.place
        found = [one for data in entries for one in tape.feed(data)]
        conversation = self.conversation
        every: list[Event] = []
        for one in found:
            if not isinstance(one, Step):
                conversation, events = step(conversation, one)
                every += events
        self.conversation = conversation
        self.take_up([one for one in found if isinstance(one, Step)])
        self.stored.back((tape.seq, tape.link))
        self.mark = conversation, self.stored.place, self.latest, self.sent
        if self.watch is not None or self.spans is not None:
            super()._told(tuple(every), None)

    def arm(self, due: float | None) -> None:
        """Note when the store's timer is due, in seconds since the opening; None if that is not known here."""
        self.armed = due
        self.limit = math.inf if due is None else due - 0.001

    def snap(self, kept: Kept | None) -> None:
        """Note the snapshot that the store has."""
        self.snapped = kept
        self.snaps_at = _EACH + (kept.shared.n if kept is not None else 0)

    def snapshot(self, seq: int, steps: Callable[[], tuple[Step, ...]]) -> tuple[Snapshot, Kept] | None:
        """Return a snapshot, if it is time for one and it can be had.

        Args:
            seq: Place of the entry that was just made.
            steps: Returns what was done within turns that go on.
        """
        if self.conversation.n < self.snaps_at:
            return None
        head, link = self.stored.place
        found = taken(self.conversation, seq, link, steps(), self.snapped)
        return None if found is None else (Snapshot(head, found[0]), found[1])

    # --- who has something to do ---

    def groups(self) -> tuple[str, ...]:
        """Return every group in which somebody may have something to do."""
        if not self.casting.members:
            return ("",)
        return ("", ALL, *self.conversation.lanes)

    def goes(self, groups: Mapping[str, None] | tuple[str, ...]) -> list[Go]:
        """Return who has the floor in some groups; where only one move is left, it is made."""
        found: list[Go] = []
        waiting = list(groups)
        while waiting:
            group = waiting.pop(0)
            if self.conversation.outcome is not None:
                return []
            before = self.conversation
            some = list(self._joint() if group == ALL else self._alone(group))
            if self.conversation is not before:  # a move was made: look again, at everything it touched
                waiting += [name for name in (group, *self.stirred) if name not in waiting]
                found = [go for go in found if go.group not in waiting]
            else:
                found += some
        return found

    def _alone(self, lane: str) -> Iterator[Go]:
        conversation = self.conversation
        if (lane and not conversation.begun) or (not lane and conversation.begun):
            return
        place = self.place(lane)
        spot = self.stage.spots.get(place.position)
        if spot is None:
            return
        if place.frame is None:
            if spot.is_joint and lane:
                return
            if spot.role:
                yield self._go(place, spot.role, lane, None)
                return
        for role in floors(place) or [""]:
            asked = wants(place, role)
            if isinstance(asked, Make):
                self.make(asked)
                return
            if isinstance(asked, Appraise):
                yield Go(lane, JUDGE, "", self.note_of(place, "judge"), asked=asked)
            elif isinstance(asked, Speak) and (asked.moves or asked.exits):
                yield self._go(place, asked.role, lane, asked)

    def _go(self, place: Conversation, role: str, lane: str, floor: Speak | None) -> Go:
        seat = self.seat(role, lane)
        whole = self.conversation
        moves = self.stage.spots[place.position].moves if floor is None else _NONE
        refusal = (self.refusals or {}).get(f"{lane}/{role}")

        def turn() -> Turn:
            return Turn(whole, seat, self, lane, _place=place, _floor=floor, _open=moves, refusal=refusal)

        return Go(lane, seat.name, role, self.note_of(place, role), turn)

    def _joint(self) -> Iterator[Go]:
        conversation = self.conversation
        if not conversation.begun:
            return
        for one in wants_all(conversation):
            if isinstance(one, Joint):
                seat = self.seat(one.role, "")
                yield Go(ALL, seat.name, one.role, self._joint_note(one), self._joint_turn(one, seat))

    def _joint_note(self, one: Joint) -> str:
        latest = [conversation.here.latest for conversation in map(self.conversation.view, one.lanes)]
        digest = hashlib.blake2s("|".join((one.role, *one.lanes, *latest)).encode(), digest_size=6)
        return f"{one.role}/{len(one.lanes)} lanes/{digest.hexdigest()}"

    def _joint_turn(self, one: Joint, seat: Seat) -> Callable[[], Turn]:
        conversation, spots = self.conversation, self.stage.spots
        floor = one.lanes

        def of(lane: str) -> Turn:
            place = conversation.view(lane)
            moves = spots[place.position].moves
            return Turn(conversation, seat, self, lane, _place=place, _open=moves, _floor=floor.get(lane))

        def turn() -> Turn:
            lanes = tuple(floor)
            first = conversation.view(lanes[0])
            spot = spots[first.position]
            is_one = spot.is_for_all and all(
                spots[conversation.view(lane).position] is spot for lane in lanes[1:]
            )
            return Turn(
                conversation,
                seat,
                self,
                lanes[0],
                _place=first,
                _open=spot.moves,
                _floor=floor.get(lanes[0]),
                lanes=Turns(lanes, of),
                for_all=is_one,
            )

        return turn

    def note_of(self, place: Conversation, role: str) -> str:
        """Return what tells the go of a role from every other one."""
        if place.frame is None and not self.casting.members:
            return f"{role}/{place.position}/{place.shared.n}"
        return self._digested(place, role)

    def is_note(self, note: str, go: Go) -> bool:
        """Say whether a note is that of a go, or was in version 3 of the store."""
        return note == go.note or (not go.group and note == self._digested(self.conversation, go.role))

    def _digested(self, place: Conversation, role: str) -> str:
        frame = place.frame
        about = f"{frame.overlay}.{frame.position}.{frame.heard}.{frame.awaits}" if frame is not None else ""
        here = place.here
        latest = (
            f"{here.latest}~{here.voided}" if here.voided else here.latest
        )  # what was taken back is said anew
        key = f"{role}|{place.position}|{latest}|{about}"
        digest = hashlib.blake2s(key.encode(), digest_size=6).hexdigest()
        where = place.position if frame is None else f"{place.position}+{frame.overlay}"
        return f"{role}/{where}/{digest}"

    def _id(self, role: str, lane: str) -> str:
        if not self.casting.members:
            return super()._id(role, lane)
        place = self.place(lane)
        if not lane and self.conversation.begun:  # said for all
            stands = f"{self.conversation.shared.n}"
        else:
            stands = f"{self.note_of(place, role)}|{place.here.misfires}"
        digest = hashlib.blake2s(f"{lane}|{role}|{stands}".encode(), digest_size=8).hexdigest()
        return f"{self.id}:{lane or ALL}:{digest}"

    # --- turns ---

    def next_due(self, groups: Mapping[str, None] | tuple[str, ...]) -> float:
        """Return when the next deadline in some groups is, in seconds since the opening; infinity if there is none."""
        conversation = self.conversation
        if not conversation.begun or ALL in groups:
            return due(conversation)
        turn, lanes = conversation.turn, conversation.lanes
        limits = [
            limit_of(lanes[name])
            for name in groups
            if name in lanes and lanes[name].outcome is None and (turn is None or turn.move(name) is None)
        ]
        return min(limits, default=math.inf)

    async def verdict(self, asked: Appraise) -> Evidence:
        """Ask the judge."""
        judge, wanted = self.casting.judge, asked.wanted
        if judge is None:
            return Evidence(wanted.message, "", (), (), 0.0, "nobody judges", asked.lane)
        found = await witnessed(judge, wanted.meant, wanted.restated)
        return Evidence(wanted.message, judge.name, found.missing, found.added, 0.0, found.error, asked.lane)

    def journal_of(self, turn: Turn) -> Journal:
        """Return where the steps of a turn are kept."""
        found = self.working.get((turn.role, turn.lane)) or self.working.get((turn.role, ALL))
        return found or super().journal_of(turn)

    async def fill(self, turn: Turn, act: str, known: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
        """Let the agent's model make the move, once one of its calls is free."""
        async with self.slot(getattr(turn.seat.player, "model_name", "")):
            return await choose(turn, act, known, facts)
