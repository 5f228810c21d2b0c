"""A turn under a claim: asked, heard, kept; and what becomes of it where something goes wrong."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, Self, cast

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Recalled, Turn
from agentcomm.conversation.events import Tick
from agentcomm.conversation.snapshot import Kept
from agentcomm.conversation.tape import Step
from agentcomm.errors import AgentcommError, StoreError
from agentcomm.runtime.hosted import DEADLINE, HERE, Go, HostedTalk, Waits
from agentcomm.runtime.measures import Measured
from agentcomm.runtime.span_late import CONTEXT
from agentcomm.runtime.waiting import Late, answer_within
from agentcomm.store.base import Claim, Committed, Delivery, Entry, Snapshot, Stale, Store, Timer
from agentcomm.store.doing import Doing, Done

__all__ = ("ONE", "First", "Hosting", "Lost", "Parcel", "Work")

_HASH = b'{"hash":"'
"""What a record's line begins with."""


class Hosting(Protocol):
    """What work needs of whoever hosts it."""

    store: Store
    lease: float
    cut: Callable[[str], None] | None

    def deliveries(self, talk: HostedTalk) -> list[Delivery]:
        """Return who has something to do where something happened."""
        ...

    def about(self, talk: HostedTalk) -> bytes:
        """Return what a list says of a conversation."""
        ...

    def wall(self, at: float) -> float:
        """Return a time as the store's clock shows it."""
        ...

    def told(self, talk: HostedTalk) -> None:
        """Wake those who follow it."""
        ...

    def closed(self, talk: HostedTalk) -> None:
        """Tell those who wait for the end."""
        ...

    def catch_up(self, talk: HostedTalk) -> None:
        """Take up what others wrote."""
        ...

    def lose(self, claim: Claim) -> None:
        """Stop what is done under a claim that is there no more."""
        ...

    async def forsake(self, conversation: str, reason: str) -> None:
        """Cancel a conversation that nobody waits for any more."""
        ...


class Lost(Exception):
    """The claim is somebody else's by now, or the talk is over: what was done under it does not count."""


class Parcel:
    """What one commit keeps.

    Args:
        out: Who has something to do now.
        entry: What is appended.
        is_used: Whether the claim is used up.
        groups: In which something happened.
        due: When something is due that the store does not yet know of.
        timers: Of that.
        snapped: A snapshot, and what it becomes here.
        closes: What a list says of a conversation that has ended.
    """

    __slots__ = ("_due", "_entry", "_snap", "_timers", "closes", "groups", "is_used", "out")

    def __init__(
        self,
        out: Sequence[Delivery],
        entry: Entry | None,
        *,
        is_used: bool = True,
        groups: tuple[str, ...] = ("",),
        due: float | None = None,
        timers: tuple[Timer, ...] = (),
        snap: tuple[Snapshot, Kept] | None = None,
        closes: bytes | None = None,
    ) -> None:
        self.out, self.is_used, self.groups, self.closes = out, is_used, groups, closes
        self._entry, self._due, self._timers, self._snap = entry, due, timers, snap

    @classmethod
    def of(
        cls,
        host: "Hosting",
        talk: HostedTalk,
        out: Sequence[Delivery],
        *,
        is_used: bool,
        beside: Callable[[], tuple[Step, ...]] = tuple,
    ) -> Self:
        """Return what is to be kept of a talk.

        Args:
            host: Who hosts it.
            talk: What became of it is in it; its entry is made here.
            out: Who has something to do now.
            is_used: Whether the claim is used up.
            beside: Returns what is on record of turns that go on beside this one.
        """
        conversation, stored, armed = talk.conversation, talk.stored, talk.armed
        closes = snap = entry = None
        if conversation.outcome is not None:
            stored.seal(conversation)
            closes = host.about(talk)
        here, stirred = conversation.here, talk.stirred
        if armed is not None and stirred is HERE and here.frame is None:
            due = min(here.deadline, conversation.whole)
        else:
            due = talk.next_due(stirred if armed is not None else talk.groups())
        is_sooner = due < math.inf and (armed is None or due < armed - 0.001)
        timers = (Timer(DEADLINE, host.wall(talk.begun + due)),) if is_sooner else ()
        if not stored.is_empty:
            entry = stored.entry()
            if is_used and closes is None:
                snap = talk.snapshot(entry.seq, beside)
        return cls(
            out,
            entry,
            is_used=is_used,
            groups=ONE if stirred is HERE else tuple(stirred),
            due=due if is_sooner else None,
            timers=timers,
            snap=snap,
            closes=closes,
        )

    def sent(
        self, host: "Hosting", talk: HostedTalk, claim: Claim | None, *, is_alone: bool = False
    ) -> Awaitable[Committed | Stale]:
        """Give it to the store; the same again is the same."""
        return host.store.commit(
            talk.id,
            claim,
            self._entry,
            self.out,
            self._timers,
            replace=self.groups,
            consume=self.is_used,
            closes=self.closes,
            snapshot=self._snap and self._snap[0],
            lease=host.lease,
            is_alone=is_alone,
        )

    def counts(self, host: "Hosting", talk: HostedTalk) -> None:
        """Let it count, now that the store has it."""
        if self._due is not None:
            talk.arm(self._due)
        if self._snap is not None:
            talk.snap(self._snap[1])
        try:
            talk.kept()
        finally:
            host.told(talk)


class First:
    """What was done of a turn before it came to be a task: it was asked, and answered or failed; perhaps that was sent to the store.

    Attributes:
        turn: The turn.
    """

    __slots__ = ("_answer", "_error", "_parcel", "turn")

    def __init__(
        self, turn: Turn, answer: Any = None, error: BaseException | None = None, parcel: Parcel | None = None
    ) -> None:
        self.turn, self._answer, self._error, self._parcel = turn, answer, error, parcel

    def answered(self) -> Any:
        """Return the answer, or raise what the agent raised."""
        if self._error is not None:
            raise self._error
        answer, self._answer = self._answer, None
        return answer

    def taken(self) -> Parcel | None:
        """Return what was sent to the store, with the lock of its talk, which is held."""
        parcel, self._parcel = self._parcel, None
        return parcel

    def close(self, talk: HostedTalk) -> None:
        """Give back what nobody has taken."""
        if self.taken() is not None:
            talk.back()
            talk.lock.leave()
        if inspect.iscoroutine(self._answer):
            self._answer.close()


def _uncut(_place: str) -> None:
    return


class Work:
    """What is done under one claim; it is the journal of its turn.

    Args:
        runtime: Who does it.
        talk: In which talk.
        claim: Under which claim.
    """

    def __init__(self, runtime: Hosting, talk: HostedTalk, claim: Claim | None) -> None:
        self.runtime, self.talk, self.claim = runtime, talk, claim
        self.go = claim.note if claim is not None else ""
        self._steps: list[tuple[str, dict[str, Any], Any]] = []
        self._kept: list[Step] = []
        self._cut: Callable[[str], None] = runtime.cut or _uncut
        self._spans: Any = None
        """What draws the turn."""
        self._is_over = False
        """Whether the conversation ended by it."""
        self.task = asyncio.current_task()

    # --- the journal ---

    @property
    def sinks(self) -> list[str]:
        """Return everything that keeps the text of prompts."""
        spans = self.talk.spans
        return [f"store:{self.runtime.store.name}", *(spans.sinks if spans is not None else ())]

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        """Keep one step, with the next commit."""
        self._steps.append((kind, {**data, "go": self.go}, body))
        if self._spans is not None:
            self._spans.step(kind, data, body)

    def note(self, text: str) -> None:
        """Tell whoever watches."""
        self.talk.tell(text)

    def recalled(self, kind: str, key: str) -> Recalled | None:
        """Return what an earlier attempt of this turn recorded."""
        return self.talk.recalled(kind, key, self.go)

    def count(self, kind: str) -> int:
        """Return how many steps of a kind earlier attempts of this turn recorded."""
        return sum(one.type == kind and one.data.get("go") == self.go for one in self.talk.steps)

    def attempts(self, kind: str) -> set[int]:
        """Return which earlier attempts of this turn recorded a step of a kind."""
        return {
            int(one.data["attempt"])
            for one in self.talk.steps
            if one.type == kind and one.data.get("go") == self.go
        }

    def waits(self, conversation: str) -> None:
        """Keep, with the next commit, that this attempt came to where it waits for another conversation."""
        attempt = self.claim.attempt if self.claim is not None else 0
        self.step("turn.waits", {"conversation": conversation, "attempt": attempt}, None)

    async def kept(self) -> None:
        """Commit the steps so far; the turn goes on."""
        if not self._steps:
            return
        kind = self._steps[-1][0]
        self._cut(f"before:{kind}")
        await self.commit(lambda: False)
        self._cut(f"after:{kind}")

    def leave(self) -> None:
        """Leave what was done and kept to the next attempt of this turn."""
        self.talk.take_up(self._kept)
        self._kept = []

    # --- committing ---

    async def commit(self, do: Callable[[], bool], first: "First | None" = None) -> tuple[Claim, ...]:
        """Let something happen and keep it; where others were faster, it happens again, after what they did.

        Args:
            do: Changes the talk; returns whether the claim is used up.
            first: What was done already.

        Returns:
            Claims on what this process goes on with.

        Raises:
            Lost: If the claim is lost, or the conversation is over.
            StoreError: If the store takes no more.
        """
        talk, runtime = self.talk, self.runtime
        parcel = first.taken() if first is not None else None
        if parcel is None:
            await talk.lock.__aenter__()
        try:
            while True:
                parcel = parcel or self._parcel(do)
                done = await self._commit(parcel)
                if isinstance(done, Committed):
                    self._kept += [Step(*one) for one in self._steps]
                    self._steps.clear()
                    parcel.counts(runtime, talk)
                    if parcel.is_used or parcel.closes is not None:
                        left = self._left(is_over=parcel.closes is not None)
                        for one in self._outrun(parcel) if talk.working else ():
                            left += one._left(is_over=False)  # noqa: SLF001
                            runtime.lose(cast("Claim", one.claim))
                        for name in left:
                            await runtime.forsake(name, f"{talk.id} went on without it")
                    if parcel.closes is not None:
                        runtime.closed(talk)
                        self._is_over = True
                        if self._spans is None:
                            self._drawn()
                    return done.kept
                parcel = None
                talk.back()
                if done.reason != "seq":
                    raise Lost(done.reason)
                runtime.catch_up(talk)
                if talk.conversation.outcome is not None:
                    raise Lost("closed")
        finally:
            talk.lock.leave()

    def _parcel(self, do: Callable[[], bool]) -> "Parcel":
        talk, runtime = self.talk, self.runtime
        for kind, data, body in self._steps:
            talk.stored.put("step", kind, data, body)
        is_used = do()
        out = runtime.deliveries(talk)
        came: list[Step] = []
        if self._spans is not None and (parent := self._spans.traceparent):
            came = [Step(CONTEXT, {"go": one.note, "traceparent": parent}, None) for one in out]
            for one in came:
                talk.stored.put("step", one.type, one.data)
        return Parcel.of(runtime, talk, out, is_used=is_used, beside=lambda: self._of_others(came))

    def _outrun(self, parcel: "Parcel") -> list["Work"]:
        """Return the other turns of this process whose go has passed with this one, such as that of a role which lost a race."""
        goes = {(one.group, one.note) for one in parcel.out}
        works = {id(one): one for one in self.talk.working.values() if isinstance(one, Work)}
        return [
            one
            for one in works.values()
            if one is not self
            and one.claim is not None
            and (parcel.closes is not None or one.claim.group in parcel.groups)
            and (one.claim.group, one.go) not in goes
        ]

    def _left(self, *, is_over: bool) -> list[str]:
        """Return the conversations within this turn, or any if the talk is over, of which nobody took the outcome."""
        works = {id(one): one for one in (self, *self.talk.working.values()) if isinstance(one, Work)}
        steps = [*self.talk.steps, *(step for one in works.values() for step in one._kept)]  # noqa: SLF001
        names = [
            str(one.data["conversation"])
            for one in steps
            if one.type == "turn.waits" and (is_over or one.data.get("go") == self.go)
        ]
        if not names:
            return []
        taken = {
            one.data.get("conversation") for one in steps if one.type == "note" and "outcome" in one.data
        }
        return [name for name in dict.fromkeys(names) if name not in taken]

    def _of_others(self, came: list[Step]) -> tuple[Step, ...]:
        """Return what is on record of turns that go on beside this one, here or elsewhere."""
        talk = self.talk
        going = {one.note for one in self.runtime.store.waiting(talk.id)}
        beside = {id(one): one for one in talk.working.values() if isinstance(one, Work) and one is not self}
        here = [step for one in beside.values() for step in one._kept]  # noqa: SLF001
        return tuple(one for one in (*talk.steps, *here) if one.data.get("go") in going) + tuple(came)

    async def _commit(self, parcel: "Parcel") -> Committed | Stale:
        for wait in (0.05, 0.5, None):
            try:
                return await self._seen_through(parcel.sent(self.runtime, self.talk, self.claim))
            except StoreError as error:
                if wait is None or error.code not in _AGAIN:
                    self.talk.back()
                    raise
                await asyncio.sleep(wait)  # was it done? the same again tells
        raise AssertionError("unreachable")  # pragma: no cover

    async def _seen_through(self, doing: Awaitable[Committed | Stale]) -> Committed | Stale:
        """Wait for a commit; if this is cancelled meanwhile, nobody goes on with what it keeps."""
        if isinstance(doing, Done):
            return doing.value
        future = asyncio.ensure_future(doing)
        try:
            return await (future if isinstance(doing, Doing) else asyncio.shield(future))
        except asyncio.CancelledError:
            done = await future
            store = self.runtime.store
            for claim in done.kept if isinstance(done, Committed) else ():
                await store.give_back(claim, not_before=store.now(), reason="")
            raise

    # --- what a claim is on ---

    async def timer(self) -> tuple[Claim, ...]:
        """Let the time be up, if it is."""
        talk = self.talk
        talk.arm(None)

        def do() -> bool:
            now = talk.now()
            if talk.next_due(talk.groups()) <= now + 0.001:
                spot = talk.stage.spots.get(talk.conversation.position)
                role = spot.role if spot is not None else ""
                if talk.spans is not None and role:
                    self._spans = talk.spans.turn(talk.conversation, role, "")
                talk.take(Tick(now + 0.001), spans=self._spans)
            return True

        try:
            return await self.commit(do)
        finally:
            if self._spans is not None:
                self._spans.end(talk.conversation)
                self._drawn()

    async def turn(self, go: Go, first: "First | None" = None) -> tuple[Claim, ...]:
        """Let somebody take a turn, until it has spoken or has no more time.

        Args:
            go: Whose turn it is.
            first: What was done of it already.

        Raises:
            Lost: If the claim is lost.
            Exception: Whatever the agent raises.
        """
        talk = self.talk
        if go.asked is not None:
            found = await talk.verdict(go.asked)
            turn = Turn(talk.conversation, talk.judge_seat(), talk, go.asked.lane)

            def judged() -> bool:
                talk.hear(turn, found, math.inf)
                return True

            return await self.commit(judged)
        turn = first.turn if first is not None else go.made()
        key = turn.role, go.group
        talk.working[key] = self
        if talk.spans is not None:
            came = next((str(one.data["traceparent"]) for one in talk.steps if self._is_context(one)), "")
            model = getattr(turn.seat.player, "model_name", "")
            heard = turn.heard
            self._spans = turn.spans = talk.spans.turn(turn.conversation, turn.role, model, heard, came)
        failed: BaseException | None = None
        try:
            return await self._turn(go, turn, first)
        except Lost:
            raise
        except BaseException as error:
            failed = error
            raise
        finally:
            if self._spans is not None:
                self._spans.end(talk.place(turn.lane), error=failed)
                self._drawn()
            if talk.working.get(key) is self:
                del talk.working[key]

    def _drawn(self) -> None:
        """Mark the end of the conversation, if it ended, once its last turn is drawn."""
        talk = self.talk
        if self._is_over and talk.spans is not None:
            self._is_over = False
            talk.spans.end(talk.conversation, head=self._head(), count=talk.stored.place[0])

    def _head(self) -> str:
        """Return the head of the transcript, if somebody draws that; empty if it cannot be read."""
        spans = self.talk.spans
        if isinstance(spans, Measured) and spans.spans is None:
            return ""
        try:
            lines = self.talk.stored.lines()
        except AgentcommError:  # what cannot be read is told where somebody wants to read it
            return ""
        last = next((line for line in reversed(lines) if line.startswith(_HASH)), _HASH)
        return last[len(_HASH) :].partition(b'"')[0].decode()

    def _is_context(self, one: Step) -> bool:
        return one.type == CONTEXT and one.data.get("go") == self.go

    async def _turn(self, go: Go, turn: Turn, first: "First | None") -> tuple[Claim, ...]:
        talk = self.talk
        while True:
            until = talk.until(turn)
            answer: Any
            if first is None:
                self._cut("before:ask")
                answer = turn.seat.ask(turn)
            else:
                answer = first.answered()
            try:
                if type(answer) is not Message and inspect.isawaitable(answer):
                    left = max(0.0, until - talk.now()) if until < math.inf else None
                    answer = await answer_within(answer, left)
            except Waits:
                return await self.commit(lambda: True)
            except Late:

                def late(until: float = until) -> bool:
                    talk.take(Tick(max(talk.now(), until)))
                    return True

                return await self.commit(late)
            self._cut("after:ask")
            again: list[Turn] = []

            def hear(turn: Turn = turn, answer: Any = answer, again: list[Turn] = again) -> bool:
                more = talk.hear(turn, answer)
                again[:] = [] if more is None else [more]
                return more is None

            self._cut("before:commit")
            kept = await self.commit(hear, first)
            first = None
            self._cut("after:commit")
            if not again:
                return kept
            turn = again[0]
            talk.working[turn.role, go.group] = self


ONE = ("",)
_AGAIN = frozenset({"X410", "X412"})
"""Codes of a store that may have done what was asked: busy, or its answer was lost."""
