"""Many conversations in one process or a few, in a store that outlives them.

A conversation that waits is a row, not a task. Whoever has something to do in it has a delivery in the store; a runtime claims what
its agents have to do, lets them take their turns, and commits each turn as a whole.
"""

import asyncio
import contextlib
import json
import math
import secrets
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.agent import Agent
from agentcomm.agents.judges import Judge
from agentcomm.agents.turn import Turn
from agentcomm.conversation.entries import lines_of
from agentcomm.conversation.events import Cancel, Event, Evidence, Refused, Say
from agentcomm.conversation.moves import signature
from agentcomm.conversation.step import step
from agentcomm.errors import AgentcommError, RecordError, StoreError, UsageError, doubt_in
from agentcomm.grounding.choice import Choice
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.casting import Casting, Player
from agentcomm.runtime.enact import seconds, staged
from agentcomm.runtime.flight import Flight
from agentcomm.runtime.hosted import HERE, JUDGE, Go, HostedTalk, law_of
from agentcomm.runtime.inner import Asked
from agentcomm.runtime.quiet import Quiet
from agentcomm.runtime.recording import Stored, new_id
from agentcomm.runtime.result import Result
from agentcomm.runtime.resuming import Resumed, Resuming
from agentcomm.runtime.seldom import Seldom
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.standing import Standing, standing
from agentcomm.runtime.work import First, Lost, Work
from agentcomm.store.base import Claim, Delivery, Receipt, Store, Timer
from agentcomm.store.memory import MemoryStore

__all__ = ("Runtime",)

_JUMP = 5.0
"""Seconds between the wall clock and the steady one from which on the clock was set."""
_IDLE = 0.25
"""Seconds between looks for timers that are due."""
_SUSPECT = 2
"""Times that a turn may lose its process, among others, until it is taken when nothing else goes on: a process that dies often must not
use up the attempts of turns that did nothing to it."""
_WITHIN = "(within)"
"""Principal of conversations that are held within a turn of another."""
_SOON, _SELDOM = 0.1, 1.0
"""Seconds until who follows a conversation looks whether another process went on with it, at first and after a while."""
_LOOK = 1.0
"""Seconds between looks whether another process has ended a conversation that somebody waits for."""
_RESIDENT = 512
"""Conversations kept in memory when nobody works on them."""


class _Absent:
    """Somebody whose turns are taken elsewhere: a person, or another process."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, turn: Any) -> Any:
        raise UsageError(f"{self.name} is not here to take {turn}", fix="answer for it: Runtime.answer(…)")


class Runtime:
    """Hosts conversations.

        async with Runtime(store="talks.db", agents=[ann, bob]) as runtime:
            name = await runtime.open(load("request"), cast={"initiator": ann, "participant": bob})
            result = await runtime.outcome(name)

    From `start` to `drain` the garbage collector looks less often (`gc.set_threshold`), unless the program has told it when to: what is
    in many hands at once makes no circles, and it would look through all of it again and again.

    Args:
        store: Where they are kept: a store, or the path of a file, which is opened here and closed by `drain`; in memory without one.
        agents: Who takes turns here. Whoever else is cast is elsewhere: a person, or an agent of another process.
        judge: Who says whether a demonstration shows understanding.
        turns: Turns at once.
        model_calls: Calls at once of one model; or by the model's name, with `*` for the others.
        backlog: Turns that may wait for one agent or person, in the store and so in all processes; beyond that it refuses as busy, where
            the protocol lets it.
        attempts: How often a turn is tried that fails, or takes the process with it when nothing else goes on there, until the agent
            says that it cannot.
        retry: Seconds until a failed turn is tried again; twice as long each time.
        lease: Seconds after which a turn of a process that is gone is taken up by another.
        watch: Called with the conversation's id and every event, once it is kept.
        note: Called with a line of text when something is out of the ordinary.
    """

    def __init__(
        self,
        *,
        store: Store | str | Path | None = None,
        agents: Iterable[Player] = (),
        judge: Judge | None = None,
        turns: int = 64,
        model_calls: int | Mapping[str, int] = 4,
        backlog: int = 1000,
        attempts: int = 4,
        retry: float = 1.0,
        lease: float = 30.0,
        watch: Callable[[str, Event], None] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._is_mine = isinstance(store, str | Path)
        if isinstance(store, str | Path):
            from agentcomm.store.sqlite import SQLiteStore

            store = SQLiteStore(store)
        self.store: Store = MemoryStore() if store is None else store
        self.agents: dict[str, Player] = {}
        for agent in agents:
            self._host(agent)
        self.judge = judge
        self.lease, self.attempts = lease, attempts
        self._most, self._backlog, self._retry = turns, backlog, retry
        self._calls = {"*": model_calls} if isinstance(model_calls, int) else dict(model_calls)
        self._watch, self._note = watch, note
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._talks: dict[str, HostedTalk] = {}
        self._loading: dict[str, asyncio.Task[HostedTalk]] = {}
        self._resuming = Resuming(self.store, self.say)
        self._castings: dict[Any, Casting] = {}
        self._claims: dict[str, tuple[Claim, asyncio.Task[Any] | None]] = {}
        self._flights: set[Flight] = set()
        self._opening = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._holding: Counter[asyncio.Task[Any] | None] = Counter()
        """Those of them whose turn waits for other conversations, and for how many."""
        self._waiters: dict[str, list[asyncio.Future[HostedTalk | None]]] = {}
        self._looking: asyncio.TimerHandle | None = None
        """Due when those who wait look again."""
        self.followers: dict[str, list[asyncio.Future[None]]] = {}
        self._full: dict[str, float] = {}
        """Mailbox -> until when it is taken to be full, as found last."""
        self.has_room: dict[str, float] = {}
        """Mailbox -> until when it is taken not to be."""
        self._room = asyncio.Event()
        self._seated: tuple[Any, ...] = (), [], 0, None
        """Protocol and agents that were cast last, the roles, how many handlers there were, and what came of it."""
        self.quiet = Quiet()
        self.is_draining = self._is_over = False
        self._dispatcher: asyncio.Task[None] | None = None
        self._beat: threading.Thread | None = None
        self._seldom = Seldom()
        self._stop_beat = threading.Event()
        self._offset = self.store.now() - monotonic()
        self._drift = 0.0
        self.cut: Callable[[str], None] | None = None
        """Called at every step of a turn, for tests that end the process there."""

    def _host(self, player: Player) -> str:
        name = getattr(player, "name", "")
        if not isinstance(name, str) or not name:
            raise UsageError(
                f"{player!r} has no name", why="turns wait for an agent by its name", fix='Agent("ann")'
            )
        if self.agents.setdefault(name, player) is not player:
            raise UsageError(
                f"two agents are called {name!r}", fix="give each a name of its own", code="U403"
            )
        return name

    # --- time ---

    def now(self) -> float:
        """Return seconds since 1970 that never jump while this process runs; the store's clock may be set."""
        return self._offset + monotonic()

    def wall(self, at: float) -> float:
        """Return a time as the store's clock shows it."""
        return at + self._drift

    async def _look_at_the_clock(self) -> None:
        jump = self.store.now() - self.now() - self._drift
        if abs(jump) < _JUMP:
            return
        self._drift += jump
        self.say(
            f"the clock was set by {jump:+.0f} s; deadlines and records go on as if it had not been,"
            " until this process ends"
        )
        for row in self.store.rows(closed=False):
            if row.due is not None:
                timer = Timer("deadline", row.due + jump)
                await self.store.commit(row.conversation, None, None, (), (timer,))

    def say(self, text: str) -> None:
        """Tell whoever looks after it."""
        if self._note is not None:
            self._note(text)

    # --- its life ---

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain(0.0 if error is not None else 30.0)

    def start(self) -> None:
        """Begin to take turns."""
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
            self._beat = threading.Thread(
                target=self._renew, args=(asyncio.get_running_loop(),), name="agentcomm-lease", daemon=True
            )
            self._beat.start()
            self._seldom.begin()

    async def drain(self, grace: float = 30.0) -> None:
        """Take no more turns, wait for those that go on, and give back what is not done in time.

        Args:
            grace: Seconds to wait.
        """
        self.is_draining = True
        self._room.set()
        while self._flights:  # they land with what they are doing now
            self._room.clear()
            await self._room.wait()
        await asyncio.sleep(0)  # what was to begin has begun, and so knows how to end
        until = monotonic() + grace
        while (left := until - monotonic()) > 0:
            tasks = self._tasks - self._holding.keys()  # what waits for other turns waits in vain now
            if not tasks:
                break
            self._room.clear()  # it is set by whoever is done, or begins to wait for other turns
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), min(left, _IDLE))
        self._is_over = True
        tasks = [*self._tasks, *([self._dispatcher] if self._dispatcher is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dispatcher = None
        self._stop_beat.set()
        if self._beat is not None:
            await asyncio.to_thread(self._beat.join)
            self._beat = None
        for waiters in (*self._waiters.values(), *self.followers.values()):
            for waiter in waiters:
                waiter.cancel()
        self._seldom.end()
        if self._is_mine:
            self.store.close()

    @property
    def is_busy(self) -> bool:
        """Whether turns are going on."""
        return bool(self._tasks or self._flights)

    def _mailboxes(self) -> list[str]:
        return [*self.agents, *([JUDGE] if self.judge is not None else [])]

    async def _dispatch(self) -> None:
        store = self.store
        while not self.is_draining:
            try:
                await self._look_at_the_clock()
                free = self._most - len(self._tasks) - len(self._flights)
                found = await store.claim(self._mailboxes(), free, self.lease) if free > 0 else []
                due = await store.due(max(1, free - len(found)), self.lease)
            except StoreError as error:
                self.say(f"the store does not answer: {error.what}; trying again")
                await asyncio.sleep(1.0)
                continue
            for claim in (*found, *due):
                self._spawn(claim)
            if len(self._tasks) + len(self._flights) >= self._most:
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), _IDLE)
            elif not found and not due:
                await store.wait(self._mailboxes(), _IDLE)

    def _go_on(self, claim: Claim) -> None:
        """Go on with a claim that was kept: where nobody has to be waited for, without a task."""
        talk = self._talks.get(claim.conversation)
        if (
            talk is None
            or claim.group
            or talk.ahead[1] != claim.note
            or talk.spans is not None
            or talk.casting.members
            or self.quiet.wanted
        ):
            self._spawn(claim, is_fresh=True)
            return
        flight = Flight(self, talk, claim)
        self._flights.add(flight)
        talk.users += 1
        self.quiet.enter()
        flight.start()

    def landed(self, flight: Flight, claim: Claim | None, first: First | None) -> None:
        """Go on with a claim in a task, or with nothing."""
        self._flights.discard(flight)
        self.quiet.exit()
        talk = flight.talk
        if claim is not None:
            self._spawn(claim, is_fresh=True, first=first, talk=talk)
        else:
            talk.users -= 1
            self._tidy(talk)
        self._room.set()

    @property
    def is_alone(self) -> bool:
        """Whether one turn goes on, and nothing else."""
        return len(self._flights) == 1 and not self._claims and not self._opening

    def keeps(self, mailbox: str) -> bool:
        """Say whether whoever commits a turn goes on with the next one, of somebody."""
        return mailbox in self.agents and self._dispatcher is not None and not self.is_draining

    def _spawn(
        self,
        claim: Claim,
        *,
        is_fresh: bool = False,
        first: First | None = None,
        talk: HostedTalk | None = None,
    ) -> None:
        task = asyncio.create_task(self._deal(claim, first, talk, is_fresh=is_fresh))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(f"a turn was lost to an error of ours: {type(error).__name__}: {error}")

    def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hold the claims of turns that go on; a thread of its own, so that code which blocks the loop costs no lease."""

        async def renew() -> list[Claim]:
            claims = [flight.claim for flight in tuple(self._flights)]
            claims += [claim for claim, _ in tuple(self._claims.values())]
            return await self.store.renew(claims, self.lease) if claims else []

        while not self._stop_beat.wait(self.lease / 3):
            try:
                lost = asyncio.run(renew())
            except (AgentcommError, OSError):
                continue
            for claim in lost:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._lose, claim.token)

    def _lose(self, token: str) -> None:
        """Stop working on what somebody else has by now."""
        held = self._claims.pop(token, None)
        if held is not None and held[1] is not None:
            held[1].cancel()

    # --- work ---

    def _cut(self, place: str) -> None:
        if self.cut is not None:
            self.cut(place)

    async def _deal(
        self, claim: Claim, first: First | None, talk: HostedTalk | None, *, is_fresh: bool
    ) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._claims[claim.token] = claim, task
        try:
            if first is None:
                self._cut("claimed")
            if self.is_draining and is_fresh and first is None:
                await self.store.give_back(claim, not_before=self.store.now(), reason="")
                return
            if talk is None:
                talk = await self._talk(claim.conversation)
                talk.users += 1
            if not is_fresh:
                async with talk.lock:
                    self.catch_up(talk)
            for kept in await self._take(talk, claim, first):
                self._go_on(kept)
        except Lost:
            return
        except asyncio.CancelledError:
            if claim.token in self._claims:
                with contextlib.suppress(StoreError):
                    await self.store.give_back(claim, not_before=self.store.now(), reason="")
            raise
        except StoreError as error:
            self.say(f"{claim.conversation}: {error.what}; it is tried again")
            with contextlib.suppress(StoreError):
                await self.store.give_back(claim, not_before=self.store.now() + 5.0, reason="")
        except AgentcommError as error:  # it cannot even be looked at
            self.say(f"{claim.conversation} is left as it is: {error.what}")
            with contextlib.suppress(StoreError):
                await self.store.give_back(claim, not_before=None, reason=f"{error.code} {error.what}")
        finally:
            self._claims.pop(claim.token, None)
            if first is not None and talk is not None:
                first.close(talk)
            if talk is not None:
                talk.users -= 1
                self._tidy(talk)

    async def _take(self, talk: HostedTalk, claim: Claim, first: First | None) -> tuple[Claim, ...]:
        if first is None:
            self._cut("loaded")
        work = Work(self, talk, claim)
        if not claim.mailbox:
            return await work.timer()
        if first is not None:
            go = Go(claim.group, claim.mailbox, first.turn.role, claim.note)
        else:
            go = self._go(talk, claim)
        if go is None:  # the talk has moved on since
            return await work.commit(lambda: True)
        waited = work.attempts("turn.waits")
        failed, alone = work.count("turn.failed"), len(work.attempts("turn.alone") - waited)
        if failed + alone >= self.attempts:
            why = f"it was begun {claim.attempt - 1} times, {alone} of them alone, and never came to an end"
            return await self._give_up(work, go, why)
        try:
            if claim.attempt - 1 - failed - len(waited) < _SUSPECT:
                await self.quiet.come_in()
                try:
                    return await work.turn(go, first)
                finally:
                    self.quiet.leave()
            async with self.quiet.alone():  # if its process dies now, it is by this turn
                work.step("turn.alone", {"agent": go.mailbox, "attempt": claim.attempt}, None)
                await work.kept()
                return await work.turn(go)
        except (StoreError, RecordError, Lost):
            raise
        except Exception as error:  # noqa: BLE001  (a handler may raise anything, and the talk goes on)
            work.leave()
            if (doubt := doubt_in(error)) is not None:
                work.step("effect.in_doubt", {"agent": go.mailbox, "key": doubt.key}, doubt.as_dict())
                await work.commit(lambda: False)
                why = f"in doubt: {doubt.what} ({doubt.key})"
                await self.store.give_back(claim, not_before=None, reason=why)
                self.say(f"{talk.id}: {doubt.what}")
                return ()
            return await self._failed(work, go, error)

    def _go(self, talk: HostedTalk, claim: Claim) -> Go | None:
        wanted = claim.mailbox, claim.note, claim.group
        seen, known = talk.floor
        if seen is talk.conversation and known is not None and known.place == wanted:
            return known
        some = (
            go for go in talk.goes((claim.group,)) if go.mailbox == claim.mailbox and go.group == claim.group
        )
        return next((go for go in some if talk.is_note(claim.note, go)), None)

    async def _failed(self, work: Work, go: Go, error: Exception) -> tuple[Claim, ...]:
        claim = cast("Claim", work.claim)
        if isinstance(error, AgentcommError):
            what = f"{error.what}{': ' if error.why else ''}{error.why} ({error.code})"
        else:
            what = repr(error)
        tried = work.count("turn.failed") + 1
        data = {"agent": go.mailbox, "role": go.role, "attempt": tried, "type": type(error).__name__}
        work.step("turn.failed", data, {"error": what})
        if tried >= self.attempts:
            return await self._give_up(work, go, what)
        await work.commit(lambda: False)
        work.leave()
        wait = min(60.0, self._retry * 2 ** (tried - 1))
        await self.store.give_back(claim, not_before=self.store.now() + wait, reason=what)
        self.say(f"{work.talk.id}: {go.mailbox} failed ({what}); it is tried again in {wait:g} s")
        return ()

    async def _give_up(self, work: Work, go: Go, why: str) -> tuple[Claim, ...]:
        claim, talk = cast("Claim", work.claim), work.talk
        work.step("dead-letter", {"agent": go.mailbox, "attempts": claim.attempt}, {"reason": why})
        self.say(f"{talk.id}: {go.mailbox} cannot take its turn: {why}")

        def do() -> bool:
            if go.asked is not None:
                wanted = go.asked.wanted
                talk.take(Evidence(wanted.message, "", (), (), talk.now(), why, go.asked.lane))
            elif go.turn is not None:
                turn = go.turn()
                for one in turn.lanes.values() or (turn,):
                    talk.give_up(
                        one,
                        f"{go.mailbox}: {why}",
                        ("failure", "not-understood", "refuse", "reject-proposal"),
                    )
            return True

        return await work.commit(do)

    def deliveries(self, talk: HostedTalk) -> list[Delivery]:
        """Return who has something to do where something happened; who has too much to do refuses as busy."""
        conversation = talk.conversation
        spot = talk.stage.spots.get(conversation.here.name)
        if spot is None and conversation.outcome is not None:
            return []
        if (
            spot is not None
            and spot.role
            and talk.stirred is HERE
            and conversation.here.frame is None
            and not self.is_full(mailbox := talk.casting.roles[spot.role].name)
        ):
            note = talk.note_of(conversation, spot.role)
            talk.ahead = conversation, note
            return [Delivery(mailbox, "", note, keep=self.keeps(mailbox))]
        while True:
            goes = talk.goes(tuple(talk.stirred))
            before = talk.conversation
            for go in goes:
                if go.turn is not None and self.is_full(go.mailbox):
                    talk.give_up(go.turn(), f"{go.mailbox} is busy", ("refuse",), leaves=False)
            if talk.conversation is before:
                break
        only = goes[0] if len(goes) == 1 else None
        talk.floor = talk.conversation, only
        talk.ahead = talk.conversation, only.note if only is not None else ""
        keeps = only is not None and self.keeps(only.mailbox)
        return [Delivery(go.mailbox, go.group, go.note, keep=keeps) for go in goes]

    def is_full(self, mailbox: str) -> bool:
        """Say whether too much waits for somebody, here or elsewhere; what was found holds for a moment."""
        now = self.now()
        if now < self.has_room.get(mailbox, 0.0):
            return False
        if now < self._full.get(mailbox, 0.0):
            return True
        is_full = self.store.backlog(mailbox, self._backlog) >= self._backlog
        (self._full if is_full else self.has_room)[mailbox] = now + 0.2
        return is_full

    @contextlib.asynccontextmanager
    async def _slot(self, model: str) -> AsyncGenerator[None]:
        most = self._calls.get(model, self._calls.get("*", 4))
        slot = self._slots.get(model)
        if slot is None:
            slot = self._slots[model] = asyncio.Semaphore(most)
        async with slot:
            yield

    # --- conversations ---

    async def _talk(self, conversation: str) -> HostedTalk:
        """Return a conversation, from memory or from the store."""
        talk = self._talks.get(conversation)
        if talk is not None:
            return talk
        task = self._loading.get(conversation)
        if task is None:
            task = self._loading[conversation] = asyncio.create_task(self._load(conversation))
            task.add_done_callback(lambda _: self._loading.pop(conversation, None))
        return await asyncio.shield(task)

    async def _load(self, conversation: str) -> HostedTalk:
        found = await self._resuming.take_up(conversation)
        tape = found.tape
        assert tape.opening is not None  # noqa: S101
        talk = HostedTalk(
            found.stage,
            self._casting(found.stage, tape.opening[0].data),
            conversation,
            clock=self.now,
            brief=tape.brief or {},
            recording=Stored(lambda: self.lines(conversation), self.now, (tape.seq, tape.link)),
            slot=self._slot,
            resumed=(found.conversation, tape.begun),
            watch=self._watcher(conversation),
            note=self.say if self._note is not None else None,
        )
        talk.steps = found.steps
        talk.snap(found.kept)
        talk.holds = self._hold
        talk.depth = int(tape.opening[0].data.get("within", {}).get("depth", 0))
        self._talks[conversation] = talk
        return talk

    def _casting(self, stage: Stage, data: Mapping[str, Any]) -> Casting:
        names = {key: str(player["agent"]) for key, player in data["cast"].items()}
        key = stage, tuple(names.items())
        found = self._castings.get(key)
        if found is None:
            many = stage.protocol.many
            members = [str(name) for name in data.get("members", ())]
            cast: dict[str, Any] = {role: self._player(names[role]) for role in names if role not in members}
            if many:
                cast[many] = {member: self._player(names[member]) for member in members}
            judge = self.judge if stage.rules.judge else None
            found = stage.casting(cast, {}, judge)
            while len(self._castings) >= _RESIDENT:  # names come and go, such as those of customers
                del self._castings[next(iter(self._castings))]
            self._castings[key] = found
        return found

    def _player(self, name: str) -> Player:
        return self.agents.get(name) or _Absent(name)

    def lines(self, conversation: str) -> list[bytes]:
        """Return the transcript of a conversation, line by line, as it would stand in a file.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        lines, damage = lines_of(entry.data for entry in self.store.read(conversation))
        if damage is not None:
            raise damage
        return lines

    def catch_up(self, talk: HostedTalk) -> None:
        """Take up what others wrote in a conversation."""
        entries = list(self.store.read(talk.id, talk.stored.place[0] - 1))
        if entries:
            talk.arm(None)
            try:
                talk.catch_up(entry.data for entry in entries)
            except RecordError:
                self._talks.pop(talk.id, None)
                raise

    def _watcher(self, conversation: str) -> Callable[[Event], None] | None:
        watch = self._watch
        return None if watch is None else lambda event: watch(conversation, event)

    def _tidy(self, talk: HostedTalk) -> None:
        """Let go of conversations that nobody works on, the longest unused first."""
        talks = self._talks
        if talk.users:
            return
        if talk.conversation.outcome is not None:
            talks.pop(talk.id, None)
            return
        if len(talks) > _RESIDENT and talks.pop(talk.id, None) is not None:
            talks[talk.id] = talk
            for name in [name for name, one in talks.items() if not one.users][: len(talks) - _RESIDENT]:
                del talks[name]

    def about(self, talk: HostedTalk) -> bytes:
        """Return what a list says of a conversation."""
        conversation, protocol, casting = talk.conversation, talk.stage.protocol, talk.casting
        told = casting.told
        if not told:
            told = casting.told = msgspec.json.encode(
                {"protocol": protocol.name, "version": protocol.version, "cast": casting.names}
            )
        outcome = conversation.outcome
        if outcome is None:
            return told
        ended = {"outcome": outcome.name, "class": outcome.kind.value, "messages": conversation.n}
        return told[:-1] + b"," + msgspec.json.encode(ended)[1:]

    def told(self, talk: HostedTalk) -> None:
        """Wake those who follow it."""
        for one in self.followers.pop(talk.id, ()):
            if not one.done():
                one.set_result(None)

    def closed(self, talk: HostedTalk) -> None:
        """Tell those who wait for the end."""
        for waiter in self._waiters.pop(talk.id, ()):
            if not waiter.done():
                waiter.set_result(talk)

    def lose(self, claim: Claim) -> None:
        """Stop what is done under a claim that is there no more."""
        self._lose(claim.token)

    async def forsake(self, conversation: str, reason: str) -> None:
        """Cancel a conversation that was held within a turn which waits for it no more, if it still goes on."""
        with contextlib.suppress(AgentcommError):
            await self.cancel(conversation, by="the turn it was held in", reason=reason)

    # --- what users do ---

    async def open(
        self,
        protocol: Protocol,
        *,
        cast: Mapping[str, Any],
        brief: Mapping[str, Any] | None = None,
        deadline: str | float | None = None,
        choice: Choice | None = None,
        conversation_id: str = "",
        key: str = "",
        principal: str = "",
    ) -> str:
        """Open a conversation and return its id; it is carried on by whoever hosts its agents.

        Args:
            protocol: What `load` returned; the conversation keeps it, whatever becomes of the file.
            cast: Role -> agent, or the name of one who is elsewhere; for a many-role a list of them, or member -> agent.
            brief: Role -> what it is told for this conversation.
            deadline: For the whole conversation: seconds, or text such as `3d`.
            choice: How to choose whether something is read back.
            conversation_id: Unique id; one is made if it is empty.
            key: Of whoever asks: the same key again gives the conversation that is there.
            principal: Whose key it is.

        Raises:
            UsageError: If the cast does not fit the protocol.
            StoreError: If the store takes no more, or the key was used for something else; X413 if whoever begins is busy.
        """
        told = dict(brief) if brief else {}
        stage, casting = self._seats(protocol, cast, told, choice)
        receipt = None
        if key:
            asked = json.dumps(
                [protocol.hash, casting.names, to_plain(told), deadline], default=str, sort_keys=True
            )
            receipt = Receipt(principal, key, asked)
        name = conversation_id or f"conv-{new_id()}"
        return await self._open(name, stage, casting, told, seconds(deadline), receipt)

    def _seats(
        self, protocol: Protocol, cast: Mapping[str, Any], told: dict[str, Any], choice: Choice | None
    ) -> tuple[Stage, Casting]:
        """Return a protocol ready to be enacted, and who plays in it; those who were cast last are known again."""
        is_plain = not told and choice is None and self.judge is None
        place = (id(protocol), *cast.values()) if is_plain else ()
        last = self._seated
        if is_plain and last[0] == place and last[1] == [*cast] and last[2] == Agent.registered:
            return last[3]
        players = {role: self._cast(given) for role, given in cast.items()}
        stage = staged(protocol, players, self.judge, choice)
        found = stage, stage.casting(players, told, self.judge)
        if is_plain and all(type(one) is Agent for one in players.values()):
            self._seated = (
                place,
                [*cast],
                Agent.registered,
                found,
            )  # it holds the protocol, so that no other has this id
        return found

    async def _hold(self, name: str, asked: Asked, opened: Mapping[str, Any], work: Work) -> Result:
        """Hold a conversation within a turn; the turn gives its place to others while it waits.

        That it came to wait is on record: whatever ends its process then is not its doing, and takes no attempt from it.
        """
        players = {role: self._cast(given) for role, given in asked.cast.items()}
        told = dict(asked.brief or {})
        stage = staged(asked.stage.protocol, players, self.judge, asked.choice)
        casting = stage.casting(players, told, self.judge)
        receipt = Receipt(_WITHIN, name, name)  # the name follows from what is asked
        conversation = await self._open(name, stage, casting, told, asked.deadline, receipt, opened)
        if self.store.rows(conversation=conversation)[0].closed is None:
            work.waits(conversation)
        await work.kept()
        task = work.task
        self._most += 1
        self._room.set()
        self._holding[task] += 1
        try:
            async with self.quiet.aside():
                return await self.outcome(conversation)
        finally:
            self._most -= 1
            self._holding[task] -= 1
            if not self._holding[task]:
                del self._holding[task]

    async def _open(
        self,
        name: str,
        stage: Stage,
        casting: Casting,
        told: dict[str, Any],
        whole: float | None,
        receipt: Receipt | None,
        within: Mapping[str, Any] | None = None,
    ) -> str:
        talk = HostedTalk(
            stage,
            casting,
            name,
            clock=self.now,
            brief=told,
            whole=whole,
            opened=within,
            recording=Stored(lambda: self.lines(name), self.now),
            slot=self._slot,
            watch=self._watcher(name),
            note=self.say if self._note is not None else None,
        )
        talk.holds = self._hold
        talk.stirred = dict.fromkeys(talk.groups()) if casting.members else HERE
        out = self.deliveries(talk)
        for one in out:
            if self.is_full(one.mailbox):
                raise StoreError(
                    f"{one.mailbox} is busy: {self._backlog} turns wait for it already",
                    why="what waits must not grow without end",
                    fix="open it later, or raise Runtime(backlog=…)",
                    code="X413",
                )
        here = talk.conversation.here
        due = talk.next_due(talk.groups()) if casting.members else min(here.deadline, talk.conversation.whole)
        timers = (Timer("deadline", self.wall(talk.begun + due)),) if due < float("inf") else ()
        self._opening += 1
        try:
            opened = await self.store.open(
                name,
                talk.stored.entry(),
                out,
                timers,
                about=self.about(talk),
                receipt=receipt,
                shared=dict([law_of(stage)]),
                lease=self.lease,
            )
        finally:
            self._opening -= 1
        if not opened.is_new:
            return opened.conversation
        talk.arm(due if timers else None)
        talk.kept()
        talk.show_opening()
        if opened.kept or len(self._talks) < _RESIDENT:
            self._talks[name] = talk
        for claim in opened.kept:
            self._go_on(claim)
        return name

    def _cast(self, given: Any) -> Any:
        if isinstance(given, str):
            return self._player(given)
        if isinstance(given, Mapping):
            return {member: self._cast(one) for member, one in cast("Mapping[str, Any]", given).items()}
        if isinstance(given, list | tuple):
            return [self._cast(one) for one in cast("list[Any]", given)]
        self._host(given)
        return given

    async def outcome(self, conversation: str) -> Result:
        """Wait until a conversation is over, and return what it came to.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        loop = asyncio.get_running_loop()
        is_known = conversation in self._talks
        while True:
            if not is_known:  # it may be over already
                rows = self.store.rows(conversation=conversation)
                if not rows or rows[0].closed is not None:
                    talk = await self._talk(conversation)
                    self.catch_up(talk)
                    self._tidy(talk)
                    return talk.result()
            is_known = False  # another process may end it
            waiter: asyncio.Future[HostedTalk | None] = loop.create_future()
            waiters = self._waiters.get(conversation)
            if waiters is None:
                self._waiters[conversation] = [waiter]
            else:
                waiters.append(waiter)
            if self._looking is None:
                self._looking = loop.call_later(_LOOK, self._look_again)
            try:
                ended = await waiter
            except BaseException:
                self._forget(conversation, waiter)
                raise
            if ended is not None:
                return ended.result()

    def _forget(self, conversation: str, waiter: "asyncio.Future[HostedTalk | None]") -> None:
        waiters = self._waiters.get(conversation, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[conversation]

    def _look_again(self) -> None:
        """Let those who wait for the end of a conversation look whether another process brought it."""
        self._looking = None
        every, self._waiters = self._waiters, {}
        for waiters in every.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def follow(self, conversation: str, *, after: int = 0) -> AsyncGenerator[tuple[int, Event]]:
        """Give the events of a conversation with their numbers, from 1, as they are kept; until it is over, or this drains.

        The numbers are the same for everybody, whichever process takes the turns: who has seen 7 goes on with `after=7`.

        Args:
            conversation: Which.
            after: How many were seen before.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        loop = asyncio.get_running_loop()
        found: Resumed | None = None
        number, pause = 0, _SOON
        while True:
            news: asyncio.Future[None] = loop.create_future()  # before it is read, so that nothing is missed
            followers = self.followers.setdefault(conversation, [])
            followers.append(news)
            try:
                found = await self._resuming.read(conversation, found)
                for event in found.events or ():
                    number += 1
                    if number > after:
                        yield number, event
                if found.conversation.outcome is not None or self._is_over:
                    return
                pause = _SOON if found.events else min(_SELDOM, pause * 1.5)
                await asyncio.wait((news,), timeout=pause)  # another process may have written
            finally:
                if news in followers:
                    followers.remove(news)
                if not followers and self.followers.get(conversation) is followers:
                    del self.followers[conversation]

    async def waiting(self, by: str, *, conversation: str = "", limit: int = 100) -> list[Turn]:
        """Return the turns that wait for somebody who is elsewhere, such as a person, the oldest first.

        What they were told and may say stands in each: `turn.conversation.id`, `turn.heard`, `turn.content`, `turn.moves`,
        `turn.why_not(…)`. They speak by `answer`; what a turn says does not change when the conversation goes on.

        Args:
            by: Who.
            conversation: Only in this one.
            limit: In how many conversations at most.

        Raises:
            StoreError: If the store does not answer.
        """
        found: list[Turn] = []
        rows = self.store.waiting(conversation, mailbox=by, limit=limit)
        for name in dict.fromkeys(row.conversation for row in rows):
            try:
                talk = await self._talk(name)
                async with talk.lock:
                    self.catch_up(talk)
                    goes = talk.goes(talk.groups())
                    talk.back()
            except (RecordError, UsageError) as error:
                self.say(f"{name} is left as it is: {error.what}")
                continue
            found += [go.turn() for go in goes if go.turn is not None and go.mailbox == by]
            self._tidy(talk)
        return found

    def conversations(
        self, *, conversation: str = "", closed: bool | None = False, limit: int = 0
    ) -> list[Standing]:
        """Return where conversations stand, the newest first.

        Args:
            conversation: Only this one.
            closed: Only those that are over, or that are not; None for both.
            limit: How many at most; 0 for all.
        """
        rows = self.store.rows(closed=closed, conversation=conversation, limit=limit)
        return [standing(row, self.store) for row in rows]

    async def due(self, conversation: str) -> float | None:
        """Return when the time is up for what a conversation waits for, in seconds since 1970; None if it has no limit, or is over.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        talk = await self._talk(conversation)
        async with talk.lock:
            self.catch_up(talk)
            due = talk.next_due(talk.groups()) if talk.conversation.outcome is None else math.inf
        self._tidy(talk)
        return self.wall(talk.begun + due) if due < math.inf else None

    async def run(self, protocol: Protocol, **options: Any) -> Result:
        """Do what `open` and `outcome` do."""
        return await self.outcome(await self.open(protocol, **options))

    async def cancel(self, conversation: str, *, by: str, reason: str) -> None:
        """End a conversation from outside.

        Raises:
            StoreError: If there is none of that id.
            UsageError: If it is over.
        """
        talk = await self._current(conversation)
        work = Work(self, talk, None)

        def do() -> bool:
            talk.take(Cancel(by, reason, talk.now()))
            return False

        try:
            await work.commit(do)
        except Lost:
            raise _over(talk) from None
        finally:
            self._tidy(talk)

    async def answer(
        self,
        conversation: str,
        role: str,
        act: str,
        content: Any = None,
        *,
        by: str,
        lane: str = "",
        in_reply_to: str = "",
    ) -> tuple[Event, ...]:
        """Say something for somebody who is elsewhere, such as a person; returns what happened once it is kept.

        What would not count is not said: `Refused` comes back alone, with the reason and what is legal, and costs no try; a value that
        must be repeated and differs is told in the same way (`differs`), and opens no repair. The attempt is on record.

        Args:
            conversation: In which.
            role: The role that speaks.
            act: What is said.
            content: Its fields.
            by: Who says it, as whoever calls this knows it: never taken from what was sent.
            lane: The member in whose lane it is said.
            in_reply_to: Id of the message that is answered, if it is named.

        Raises:
            UsageError: U421 if `by` does not play the role; it is on record. U422 if the conversation is over.
            StoreError: If there is no such conversation.
        """
        talk = await self._current(conversation)
        try:
            return await self._answer(
                talk, role, Message(act=act, content=content or {}, in_reply_to=in_reply_to), by, lane
            )
        except Lost:
            raise _over(talk) from None
        finally:
            self._tidy(talk)

    async def _answer(
        self, talk: HostedTalk, role: str, message: Message, by: str, lane: str
    ) -> tuple[Event, ...]:
        seats = {
            **talk.casting.roles,
            **({lane: talk.casting.members[lane]} if lane in talk.casting.members else {}),
        }
        seat = next((one for one in seats.values() if one.role == role and one.name == by), None)
        if seat is None:
            work = Work(self, talk, None)
            reason = f"{by} does not play {role}"
            work.step(
                "turn.rejected", {"principal": by, "role": role, "act": message.act}, {"reason": reason}
            )
            await work.commit(lambda: False)
            players = ", ".join(f"{one.role}: {one.name}" for one in seats.values())
            raise UsageError(
                reason, why=f"the cast is {players}", fix="speak for the role you play", code="U421"
            )
        go = next(
            (one for one in talk.goes(talk.groups()) if one.role == role and one.group in ("*", lane)), None
        )
        unfit = _unfit(talk, go.turn(), message) if go is not None and go.turn is not None else None
        if unfit is not None:
            work = Work(self, talk, None)
            told = {"principal": by, "role": role, "act": message.act}
            work.step("turn.rejected", told, {"reason": unfit.reason})
            await work.commit(lambda: False)
            return (unfit,)
        claim: Claim | None = None
        if go is not None:
            claims = await self.store.claim([by], 1000, self.lease, conversation=talk.id)
            claim = next((one for one in claims if one.note == go.note), None)
            for one in claims:
                if one is not claim:
                    await self.store.give_back(one, not_before=self.store.now(), reason="")
        work = Work(self, talk, claim)
        events: list[Event] = []
        is_used = False

        def do() -> bool:
            nonlocal is_used
            before = len(talk.fresh)
            if go is not None and go.turn is not None and claim is not None:
                is_used = talk.hear(go.turn(), message) is None
            else:
                name = f"{talk.id}:{secrets.token_hex(4)}"
                said = msgspec.structs.replace(message, id=name, sender=role, lane=lane)
                talk.take(Say(said, talk.now()))
                is_used = True
            events[:] = [event for some, _ in talk.fresh[before:] for event in some]
            return is_used

        talk.is_asked = True
        try:
            kept = await work.commit(do)
        finally:
            talk.is_asked = False
        if claim is not None and not is_used:
            await self.store.give_back(claim, not_before=self.store.now(), reason="")
        for one in kept:
            self._go_on(one)
        return tuple(events)

    async def decide(
        self, conversation: str, key: str, *, was_done: bool, result: Any = None, by: str
    ) -> None:
        """Say what became of a tool call that is in doubt, and let the turn go on.

        Args:
            conversation: In which.
            key: Of the call.
            was_done: Whether the tool did its work; if not, it is called again.
            result: What it gave, if it did.
            by: Who says so.
        """
        talk = await self._current(conversation)
        found = next((one for one in self.store.dead(conversation) if f"({key})" in one.reason), None)
        if found is None:
            raise UsageError(
                f"no tool call {key!r} is in doubt in {conversation}",
                fix="look: agentcomm conversations show ID",
                code="U423",
            )
        work = Work(self, talk, None)
        work.go = found.note
        kind = "tool.result" if was_done else "tool.again"
        work.step(kind, {"key": key, "by": by}, to_plain(result))
        await work.commit(lambda: False)
        self._talks.pop(conversation, None)
        await self.store.revive(conversation)

    async def resume(self, conversation: str) -> int:
        """Try again what was given up; returns how much that is."""
        self._talks.pop(conversation, None)
        return await self.store.revive(conversation)

    async def _current(self, conversation: str) -> HostedTalk:
        """Return an open conversation as it stands in the store."""
        talk = await self._talk(conversation)
        async with talk.lock:
            self.catch_up(talk)
        if talk.conversation.outcome is not None:
            raise _over(talk)
        return talk


def _unfit(talk: HostedTalk, turn: Turn, message: Message) -> Refused | None:
    """Return why something would not count, before it is said: whoever fills in a form shall not lose their turn by a slip."""
    content = to_plain(message.content)
    if turn.lanes or not isinstance(content, dict):
        return None
    why = turn.why_not(message.act, **cast("dict[str, Any]", content))
    if not why:
        return None
    said = msgspec.structs.replace(message, id="-", sender=turn.role, lane=turn.lane)
    _, events = step(talk.conversation, Say(said, talk.now()))
    found = next((event for event in events if isinstance(event, Refused)), None)
    if found is not None:
        return msgspec.structs.replace(found, left=found.left + 1)
    left = talk.conversation.protocol.limits.misfires - turn.actual.here.misfires
    return Refused(turn.role, message.act, "differs", why, tuple(map(signature, turn.moves)), left, turn.lane)


def _over(talk: HostedTalk) -> UsageError:
    return UsageError(f"{talk.id} is over", fix="open another conversation", code="U422")
