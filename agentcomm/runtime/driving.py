"""Carrying a conversation on to its end: whose go it is, and waiting where somebody takes time.

One position: turn by turn. Several, or a race: everybody who has the floor at the same time, and a task only for those who take
time. What an input changed is told by its events, so that nobody looks at a hundred lanes because one of them moved.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import CoroutineType
from typing import Any

from agentcomm.agents.turn import Turn
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Event,
    GatherOpened,
    Grounded,
    Heard,
    LanesBegan,
    Refused,
    Staged,
)
from agentcomm.conversation.moves import Appraise, Joint, Make, Speak, floors, wants, wants_all
from agentcomm.conversation.parts import ROW
from agentcomm.conversation.plain import Several, Told
from agentcomm.conversation.state import Conversation
from agentcomm.errors import InternalError
from agentcomm.runtime.talk import Pending, Talk
from agentcomm.runtime.waiting import Alarm, Late, forever

__all__ = ("Plural", "Turns", "run_alone", "settle")

_FOLLOWING = frozenset({Grounded, CommitmentChanged, DeadlineSet, Staged})
"""Events that change nobody's go: another tells what did, or the go of a lane is over until its gather's turn is."""

TURNS = 100
"""Turns that a conversation may take before others get a go."""


async def run_alone(talk: Talk) -> None:
    """Carry on a conversation in which one role at a time has the floor."""
    alarm: Alarm | None = None
    spans = talk.spans
    if spans is not None:
        spans.share()
    try:
        while True:
            pending = talk.advance(TURNS)
            if pending is None:
                if talk.conversation.here.outcome is not None:
                    return
                await asyncio.sleep(0)
                continue
            alarm = alarm or Alarm()
            if spans is not None:
                await settle(talk, pending, alarm)
                continue
            while pending is not None:  # as `settle` does it, where nobody draws
                turn, answer = pending
                until = talk.until(turn)
                try:
                    said = await alarm.wait(answer, talk.left(until))
                except Exception as error:
                    if not _missed(talk, turn, error, until):
                        raise
                    break
                pending = talk.answered(turn, said, until)
    finally:
        if alarm is not None:
            alarm.stop()
        if spans is not None:
            spans.part()


def _missed(talk: Talk, turn: Turn, error: Exception, until: float) -> bool:
    """Say whether the talk goes on though nothing came of a turn: the time was up, or there is a way on from what failed."""
    if isinstance(error, Late):
        talk.expired(turn, until)
        return True
    if talk.could_not(turn, error):
        return True
    talk.failed(turn, error)
    return False


async def settle(talk: Talk, waited: Pending, alarm: Alarm | None = None) -> None:
    """Wait for an answer, let it count, and try again where it does not, until the turn is over."""
    spans, lane = waited[0].spans, waited[0].lane
    own = alarm or Alarm()
    pending: Pending | None = waited
    if spans is not None:
        spans.waits()
    try:
        while pending is not None:
            turn, answer = pending
            until = talk.until(turn)
            try:
                said = await own.wait(answer, talk.left(until))
            except Exception as error:
                if not _missed(talk, turn, error, until):
                    raise
                break
            pending = talk.answered(turn, said, until)
    except BaseException as error:
        if spans is not None:
            spans.end(talk.place(lane), error=error)
        raise
    finally:
        if own is not alarm:
            own.stop()
    if spans is not None:
        spans.end(talk.place(lane))


class Turns(Mapping[str, Turn]):
    """The turns of a turn for several lanes, each made when somebody looks at it."""

    __slots__ = ("_made", "_make", "_names")

    def __init__(self, names: Sequence[str], make: Callable[[str], Turn]) -> None:
        self._names = dict.fromkeys(names)
        self._make = make
        self._made: dict[str, Turn] = {}

    def __getitem__(self, name: str) -> Turn:
        turn = self._made.get(name)
        if turn is None:
            if name not in self._names:
                raise KeyError(name)
            turn = self._made[name] = self._make(name)
        return turn

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Plural:
    """Lets everybody who has the floor speak at the same time: several lanes, and those who race."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._running: dict[str, dict[Any, asyncio.Task[None]]] = {}
        """Lane -> what tells one go from the next -> who takes time for it; of a turn for several lanes under `*`."""
        self._done: list[tuple[str, Any, asyncio.Task[None]]] = []
        self._woken = asyncio.Event()
        self._stirred: dict[str, None] = {}
        """Lanes in which something happened, in order; `` is the conversation."""
        self._opened: Conversation | None = None
        """As of when a turn for several lanes was opened."""
        self._joint: tuple[str, ...] | None = None
        """Lanes that have one turn, just opened; empty where the core has to be asked which."""
        talk.happened = self._happened

    async def run(self) -> None:
        """Carry it on to its end."""
        talk = self._talk
        self._look_all()
        try:
            while talk.conversation.outcome is None:
                self._carry()
                if talk.conversation.outcome is None:
                    if self._stirred or self._joint is not None:
                        await asyncio.sleep(0)
                    else:
                        await self._wait()
        finally:
            talk.happened = None
            tasks = [task for running in self._running.values() for task in running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self) -> None:
        """Wait until somebody who took time is done."""
        if not any(self._running.values()):
            self._look_all()
            self._carry()
            if self._talk.conversation.outcome is None and not any(self._running.values()):
                raise InternalError(
                    "nobody has the floor, and nothing is waited for", fix="please report this"
                )
            return
        if not self._done:
            self._woken.clear()
            await self._woken.wait()
        done, self._done = self._done, []
        for lane, key, task in done:
            if self._running.get(lane, {}).get(key) is task:
                del self._running[lane][key]
            if not task.cancelled():
                task.result()

    # --- what happened ---

    def _happened(self, events: Iterable[Event]) -> None:
        stirred, running, spots = self._stirred, self._running, self._talk.stage.spots
        kind: Any = type(events)
        parts: Any = events
        if kind is Told:
            parts = (events,)
        elif kind is Several:
            parts = parts.parts
        part: Any
        for part in parts:
            kind = type(part)  # pyright: ignore[reportUnknownVariableType]
            if kind is Told:  # a simple move: whoever has the floor now has it in this lane alone
                lane, spot = part.lane, spots.get(part.plan.target)
                if not lane or not (spot is None or spot.is_joint) or (running and running.get(lane)):
                    stirred[lane] = None
            elif kind in _FOLLOWING:
                continue
            elif kind is Heard:
                stirred[part.message.lane] = None
            elif kind is LanesBegan:
                self._began(part.lanes)
            elif kind is GatherOpened:
                self._joint, self._opened = part.lanes, self._talk.conversation
            else:
                stirred[getattr(part, "lane", "")] = None
        if running and running.get("*"):
            self._joint = self._joint or ()

    def _began(self, lanes: Sequence[str]) -> None:
        spot = self._talk.stage.spots[self._talk.conversation.view(lanes[0]).position]
        if spot.is_joint:
            self._joint, self._opened = tuple(lanes), self._talk.conversation
        else:
            self._stirred.update(dict.fromkeys(lanes))

    def _look_all(self) -> None:
        conversation = self._talk.conversation
        if not conversation.begun:
            self._stirred[""] = None
        elif conversation.n == 0 and conversation.turn is None:
            self._began(conversation.members)
        else:
            self._stirred.update(dict.fromkeys(conversation.members))
            self._joint = ()

    # --- who has the floor ---

    def _carry(self) -> None:
        """Let those speak in whose lanes something happened, and what follows from that."""
        talk = self._talk
        for _ in range(TURNS):
            if talk.conversation.here.outcome is not None:
                return
            if self._stirred:
                lane = next(iter(self._stirred))
                del self._stirred[lane]
                self._look(lane)
            elif self._joint is not None:
                lanes, self._joint = self._joint, None
                self._look_joint(lanes)
            else:
                return

    def _look(self, lane: str) -> None:
        """Ask who has the floor in a lane; a go that has passed is over."""
        talk = self._talk
        conversation = talk.conversation
        lanes = conversation.lanes
        if lane:
            at = lanes.places[lane]
            here = lanes.rows[at // ROW][at % ROW][0]
        elif lanes.places:
            return
        else:
            here = conversation.here
        going, spot = self._running.get(lane), talk.stage.spots.get(here.name)
        if spot is None or (lane and spot.is_joint and here.frame is None):
            if going:
                self._end(going)
            return
        if here.frame is None and spot.role and not going:
            seat = talk.seat(spot.role, lane)
            heard = talk.for_all
            if heard is not None and (
                here.latest != heard.id or here.last.get(spot.role) != heard.id or conversation.shared.mended
            ):
                heard = None
            turn = Turn(conversation, seat, talk, lane, None, None, spot.moves, heard, _here=here)
            if talk.spans is not None:
                self._start(lane, None, turn)
            elif (pending := talk.carry_plainly(turn)) is not None:
                self._await(lane, self._key(turn.conversation, turn.role), pending)
            return
        place = talk.place(lane)
        roles = sorted(floors(place), key=lambda role: role != self._first(place)) or [""]
        wanted = {self._key(place, role): role for role in roles}
        self._end(going, wanted)
        for key, role in wanted.items():
            if not going or key not in going:
                self._ask(place, role, lane, key)
                if talk.conversation is not conversation:  # somebody was faster
                    return

    def _first(self, place: Conversation) -> str:
        """Return the role in a race whose move counts, of two made from the same place."""
        return place.state.first if place.frame is None else ""

    def _ask(self, place: Conversation, role: str, lane: str, key: Any) -> None:
        talk = self._talk
        asked = wants(place, role)
        if isinstance(asked, Make):
            talk.make(asked)
        elif isinstance(asked, Appraise):
            self._keep(lane, key, asyncio.create_task(settle(talk, talk.appraise(asked))))
        elif isinstance(asked, Speak):
            seat = talk.seat(role, lane)
            turn = Turn(talk.conversation, seat, talk, lane, _place=place, _floor=asked)
            self._start(lane, key, turn, has_moves=bool(asked.moves or asked.exits))

    def _look_joint(self, lanes: tuple[str, ...]) -> None:
        """Let a shared role take its turn for several lanes."""
        conversation = self._talk.conversation
        if lanes and conversation is self._opened:  # else one of them may have ended since
            view = conversation.view(lanes[0])
            self._start_joint(self._talk.stage.spots[view.position].speaker, lanes, {})
            return
        asked = {(one.role, *one.lanes): one for one in wants_all(conversation) if isinstance(one, Joint)}
        going = self._running.get("*")
        self._end(going, asked)
        for key, one in asked.items():
            if not going or key not in going:
                self._start_joint(one.role, tuple(one.lanes), one.lanes)

    def _start_joint(self, role: str, lanes: tuple[str, ...], floor: Mapping[str, Speak]) -> None:
        talk = self._talk
        conversation, seat, spots = talk.conversation, talk.seat(role, ""), talk.stage.spots
        refusals: Mapping[str, Refused] = talk.refusals or {}
        rows, places = conversation.lanes.rows, conversation.lanes.places
        first = lanes[0]
        spot = spots[conversation.lanes[first].name]
        for_all = spot.is_for_all
        if for_all:
            for lane in lanes:
                place = places[lane]
                if spots[rows[place // ROW][place % ROW][0].name] is not spot:
                    for_all = False
                    break

        def make(lane: str) -> Turn:
            place = places[lane]
            here = rows[place // ROW][place % ROW][0]
            moves = spots[here.name].moves
            return Turn(
                conversation,
                seat,
                talk,
                lane,
                None,
                floor.get(lane),
                moves,
                None,
                refusals.get(lane),
                _here=here,
            )

        turn = make(first)
        turn.lanes = Turns(lanes, make) if for_all else {lane: make(lane) for lane in lanes}
        turn.for_all = for_all
        self._start("*", (role, *lanes), turn)
        if not self._running.get("*") and talk.conversation.turn is not None and self._joint is None:
            self._joint = ()  # lanes that are left without a move

    # --- those who take time ---

    def _key(self, place: Conversation, role: str) -> Any:
        """Return what tells one go from the next."""
        frame = place.frame
        about = frame and (frame.overlay, frame.position, frame.heard, frame.awaits)
        return role, place.position, place.here.latest, about

    def _start(self, lane: str, key: Any, turn: Turn, *, has_moves: bool = True) -> None:
        """Let an agent take its turn; in a task, if it takes time."""
        talk = self._talk
        if talk.spans is not None:  # a span is current in one task
            task = asyncio.create_task(self._whole(turn, has_moves=has_moves))
        else:
            pending = talk.carry(turn) if has_moves else (turn, forever())
            if pending is not None:
                self._await(lane, self._key(turn.conversation, turn.role) if key is None else key, pending)
            return
        self._keep(lane, self._key(turn.conversation, turn.role) if key is None else key, task)

    def _await(self, lane: str, key: Any, pending: Pending) -> None:
        task = asyncio.create_task(settle(self._talk, pending))
        if type(pending[1]) is CoroutineType:  # somebody may be faster than its first step
            task.add_done_callback(partial(_closed, pending[1]))
        self._keep(lane, key, task)

    def _keep(self, lane: str, key: Any, task: asyncio.Task[None]) -> None:
        self._running.setdefault(lane, {})[key] = task
        task.add_done_callback(lambda task: self._wake(lane, key, task))

    async def _whole(self, turn: Turn, *, has_moves: bool) -> None:
        pending = self._talk.carry(turn) if has_moves else (turn, forever())
        if pending is not None:
            await settle(self._talk, pending)

    def _wake(self, lane: str, key: Any, task: asyncio.Task[None]) -> None:
        self._done.append((lane, key, task))
        self._woken.set()

    def _end(self, going: dict[Any, asyncio.Task[None]] | None, wanted: Mapping[Any, object] = {}) -> None:
        """Cancel those whose go has passed."""
        for key in [key for key in going or () if key not in wanted]:
            (going or {}).pop(key).cancel()


def _closed(coroutine: "CoroutineType[Any, Any, Any]", _task: object) -> None:
    coroutine.close()
