"""Turns one after the other in a conversation whose agents answer at once: no task, no queue, no look-up between two of them.

Whoever has to be waited for, fails, says what does not count, or meets somebody else's turn, is left to `Work`, in a task; what was
asked and answered by then goes with it.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable
from time import monotonic
from types import CoroutineType
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.conversation.plain import say_made
from agentcomm.errors import StoreError
from agentcomm.runtime.hosted import HERE, HostedTalk
from agentcomm.runtime.work import ONE, First, Parcel
from agentcomm.store.base import Claim, Committed, Delivery, Entry, Stale
from agentcomm.store.doing import Doing, Done

__all__ = ("Flight",)

_SLICE = 0.005
"""Seconds after which others get their turn, where nothing is waited for."""


class Flight:
    """Goes on in a conversation as long as it can.

    Args:
        host: The runtime.
        talk: The conversation.
        claim: On what is to be done in it.
    """

    __slots__ = (
        "_answer",
        "_context",
        "_host",
        "_is_watched",
        "_loop",
        "_parcel",
        "_plainly",
        "_turn",
        "claim",
        "talk",
    )

    def __init__(self, host: Any, talk: HostedTalk, claim: Claim) -> None:
        self._host, self.talk = host, talk
        self.claim = claim
        """What is held."""
        self._is_watched = talk.watch is not None or talk.happened is not None
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._turn: Turn | None = None
        self._answer: Any = None
        self._parcel: Parcel | None = None
        """What was sent to the store last; None if that was a plain move."""
        self._plainly: tuple[tuple[Delivery, ...], Entry | None, bytes | None] = (), None, None
        """Of a plain move: who goes on, what is appended, and what a list says if it is the end."""

    def start(self) -> None:
        """Begin soon."""
        self._loop.call_soon(self._run, context=self._context)

    def _run(self) -> None:
        until = monotonic() + _SLICE
        while (turn := self._ask()) is not None:
            doing = self._commit(turn, self._answer)
            if isinstance(doing, Doing):
                doing.then(self._told)
                return
            if not isinstance(doing, Done):
                if doing is not None:
                    asyncio.ensure_future(doing).add_done_callback(self._done, context=self._context)
                return
            if not self._seen(doing.value):
                return
            if monotonic() > until:
                self.start()
                return

    def _told(self, doing: "Doing[Committed | Stale]") -> None:
        self._context.run(self._done, doing)

    def _done(self, doing: "Doing[Committed | Stale] | asyncio.Future[Committed | Stale]") -> None:
        try:
            done = doing.result()
        except StoreError:  # was it done? the same again tells
            self._land(self._sent())
            return
        if self._seen(done):
            self._run()

    def _sent(self) -> First:
        """Return what was sent to the store, for a task to see it through."""
        assert self._turn is not None  # noqa: S101
        out, entry, closes = self._plainly
        return First(self._turn, self._answer, parcel=self._parcel or Parcel(out, entry, closes=closes))

    def _land(self, first: First | None) -> None:
        self._host.landed(self, self.claim, first)

    def _ask(self) -> Turn | None:
        """Let an agent speak; None if that is not for here."""
        host, talk = self._host, self.talk
        conversation = talk.conversation
        here = conversation.here
        spot = talk.stage.spots.get(here.name)
        ahead, note = talk.ahead
        if (
            host.is_draining
            or host.quiet.wanted
            or talk.lock.is_held
            or talk.steps
            or spot is None
            or not (role := spot.role)
            or here.frame is not None
            or ahead is not conversation
            or note != self.claim.note
        ):
            self._land(None)
            return None
        cut = host.cut
        if cut is not None:
            cut("claimed")
            cut("loaded")
            cut("before:ask")
        latest = talk.latest
        if latest is None or latest.id != here.latest or role not in latest.receivers:
            latest = None
        seat = talk.casting.roles[role]
        turn = self._turn = Turn(conversation, seat, talk, "", conversation, None, spot.moves, latest)
        try:
            answer = self._answer = seat.ask(turn)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._land(First(turn, error=error))
            return None
        if type(answer) is not Message and (type(answer) is CoroutineType or inspect.isawaitable(answer)):
            self._land(First(turn, answer))
            return None
        if cut is not None:
            cut("after:ask")
            cut("before:commit")
        return turn

    def _commit(self, turn: Turn, answer: Any) -> Awaitable[Committed | Stale] | None:
        """Let what was said count, and have it kept; None if that is not for here."""
        host, talk = self._host, self.talk
        talk.lock.is_held = True
        self._parcel = parcel = None
        try:
            if self._plain(turn, answer):
                parcel = self._parcel
            else:
                if answer is not turn.made or not talk.hear_made(turn, answer):
                    again = talk.hear(turn, answer)
                    if again is not None:
                        self._undo(First(turn, answer))
                        return None
                self._parcel = parcel = Parcel.of(host, talk, host.deliveries(talk), is_used=True)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._undo(First(turn, error=error))
            return None
        try:
            if parcel is not None:
                return parcel.sent(host, talk, self.claim, is_alone=host.is_alone)
            out, entry, closes = self._plainly
            return host.store.commit(
                talk.id,
                self.claim,
                entry,
                out,
                replace=ONE,
                closes=closes,
                lease=host.lease,
                is_alone=host.is_alone,
            )
        except StoreError:
            self._land(self._sent())
            return None

    def _plain(self, turn: Turn, made: Any) -> bool:
        """Let a plain move count that the turn itself has made, and say so; else nothing has changed.

        It comes to what `hear_made`, `deliveries` and `Parcel.of` make of it.
        """
        talk = self.talk
        conversation, stored = talk.conversation, talk.stored
        if (
            self._is_watched
            or made is not turn.made
            or made is None
            or turn.whole is not conversation
            or talk.is_asked
            or not stored.is_empty
        ):
            return False
        here, clock = conversation.here, talk.clock()
        now = int((clock - talk.begun) * 1e6) / 1e6
        if now >= here.deadline or now >= conversation.whole:
            return False
        made_by = made.made_by or ("handler" if turn.seat.agent is not None else "")
        done = say_made(conversation, made, f"{talk.id}:{conversation.shared.n + 1}", made_by, now)
        if done is None:
            return False
        given, after, told = done
        talk.conversation, talk.latest, talk.stirred = after, given.message, HERE
        talk.sent += 1
        host, here = self._host, after.here
        spot = talk.stage.spots.get(here.name)
        if spot is None:
            if after.outcome is not None:
                self._plainly = (), stored.entry_of(given, told, clock, after), host.about(talk)
                return True
        elif (
            (role := spot.role)
            and not talk.is_due(after)
            and not host.is_full(mailbox := talk.casting.roles[role].name)
        ):
            note = f"{role}/{here.name}/{after.shared.n}"
            talk.ahead = after, note
            out = Delivery(mailbox, "", note, host.keeps(mailbox))
            self._plainly = (out,), stored.entry_of(given, told, clock), None
            return True
        stored.add(given, told, is_sealed=True)
        self._parcel = Parcel.of(host, talk, host.deliveries(talk), is_used=True)
        return True

    def _undo(self, first: First) -> None:
        self.talk.back()
        self.talk.lock.leave()
        self._land(first)

    def _seen(self, done: Committed | Stale) -> bool:
        """Take note of what became of a turn; say whether there is another one for here."""
        host, talk, parcel = self._host, self.talk, self._parcel
        if type(done) is not Committed:
            assert self._turn is not None  # noqa: S101
            self._undo(First(self._turn, self._answer))
            return False
        if host.cut is not None:
            host.cut("after:commit")
        if parcel is None:
            talk.kept_plainly()
            host.told(talk)
            closes = self._plainly[2]
        else:
            closes = parcel.closes
            try:
                parcel.counts(host, talk)
            except Exception as error:  # noqa: BLE001  (whoever watches may raise anything, and it is kept all the same)
                host.say(f"{talk.id}: whoever watches failed: {type(error).__name__}: {error}")
        if closes is not None:
            host.closed(talk)
        talk.lock.leave()
        if not done.kept:
            host.landed(self, None, None)
            return False
        claim = done.kept[0]
        host.holds(claim, self.claim)
        self.claim = claim
        return True
