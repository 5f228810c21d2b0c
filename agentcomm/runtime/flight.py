"""Turns one after the other in a conversation whose agents answer at once: no task, no queue, no look-up between two of them.

Whoever has to be waited for, fails, says what does not count, or meets somebody else's turn, is left to `Work`, in a task; what was
asked and answered by then goes with it.
"""

import asyncio
import contextvars
import inspect
from time import monotonic
from types import CoroutineType
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.conversation.plain import say_made
from agentcomm.errors import StoreError
from agentcomm.runtime.hosted import HERE, HostedTalk
from agentcomm.runtime.work import First, Parcel
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

    Attributes:
        loop: In which it is told what the store did.
    """

    __slots__ = (
        "_answer",
        "_context",
        "_cut",
        "_host",
        "_is_watched",
        "_parcel",
        "_plainly",
        "_turn",
        "claim",
        "loop",
        "talk",
    )

    def __init__(self, host: Any, talk: HostedTalk, claim: Claim) -> None:
        self._host, self.talk = host, talk
        self.claim = claim
        """What is held."""
        self._is_watched = talk.watch is not None or talk.happened is not None
        self._cut = host.cut
        self.loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._turn: Turn | None = None
        self._answer: Any = None
        self._parcel: Parcel | None = None
        """What was sent to the store last; None if that was a plain move."""
        self._plainly: Any = None
        """Of a plain move: what is appended, who goes on with what, and what a list says if it is the end."""

    def start(self) -> None:
        """Begin soon."""
        self.loop.call_soon(self._run, context=self._context)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Go on, now that the store has done what it was sent; see `store.base.Waits`."""
        self._context.run(self._told, value, error)

    def _told(self, value: Any, error: BaseException | None) -> None:
        if error is not None:
            self._land(self._sent())  # was it done? the same again tells
        elif self._seen(value):
            self._run()

    def _run(self) -> None:
        until = monotonic() + _SLICE
        while (done := self._take()) is not None and self._seen(done):
            if monotonic() > until:
                self.start()
                return

    def _sent(self) -> First:
        """Return what was sent to the store, for a task to see it through."""
        assert self._turn is not None  # noqa: S101
        parcel = self._parcel
        if parcel is None:
            entry, mailbox, note, closes = self._plainly
            out = () if closes is not None else (Delivery(mailbox, "", note, keep=True),)
            parcel = Parcel(out, entry, closes=closes)
        return First(self._turn, self._answer, parcel=parcel)

    def _land(self, first: First | None) -> None:
        self._host.landed(self, self.claim, first)

    def _take(self) -> Committed | Stale | None:
        """Let an agent speak, let it count, and have it kept; None if that is told later, or is not for here."""
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
        cut = self._cut
        if cut is not None:
            cut("claimed")
            cut("loaded")
            cut("before:ask")
        heard = talk.latest
        if heard is None or heard.id != here.latest or role not in heard.receivers:
            heard = None
        seat = talk.casting.roles[role]
        turn = self._turn = Turn(conversation, seat, talk, "", conversation, None, spot.moves, heard)
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
        stored, clock = talk.stored, talk.clock()
        now = int((clock - talk.begun) * 1e6) / 1e6
        made = turn.made
        if (
            made is None
            or made is not answer
            or turn.whole is not conversation
            or self._is_watched
            or talk.is_asked
            or now >= here.deadline
            or now >= conversation.whole
            or stored.waits
        ):
            return self._commit(turn, answer)
        talk.lock.is_held = True
        try:
            plainly = self._plain(turn, made, clock, now)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._undo(First(turn, error=error))
            return None
        if plainly is None:
            return self._commit(turn, answer)
        if not plainly:
            return self._send(turn)
        self._parcel, self._plainly = None, plainly
        try:
            return host.store.go_on(self.claim, *plainly, host.lease, self, is_alone=host.is_alone)
        except StoreError:
            self._land(self._sent())
            return None

    def _plain(
        self, turn: Turn, made: Message, clock: float, now: float
    ) -> tuple[Entry, str, str, bytes | None] | tuple[()] | None:
        """Let a plain move count that the turn itself has made.

        It comes to what `hear_made`, `deliveries` and `Parcel.of` make of it.

        Returns:
            What is appended, who goes on with what, and what a list says if it is the end; nothing of it if there is more to be kept;
            None if it is no plain move, and has not been heard.
        """
        host, talk = self._host, self.talk
        made_by = made.made_by or ("handler" if turn.seat.agent is not None else "")
        done = say_made(turn.whole, made, "", made_by, now)
        if done is None:
            return None
        given, after, told = done
        talk.conversation, talk.latest = after, given.message
        talk.sent += 1
        there = after.here
        spot = talk.stage.spots.get(there.name)
        if spot is None:
            if there.outcome is not None:
                entry = talk.stored.entry_of(given, told, clock, after)
                return entry, "", "", host.about(talk)
        elif (
            (role := spot.role)
            and after.shared.n < talk.snaps_at
            and there.deadline >= talk.limit
            and after.whole >= talk.limit
            and (mailbox := talk.casting.roles[role].name) in host.agents
            and (clock < host.has_room.get(mailbox, 0.0) or not host.is_full(mailbox))
        ):
            note = f"{role}/{there.name}/{after.shared.n}"
            talk.ahead = after, note
            return talk.stored.entry_of(given, told, clock), mailbox, note, None
        talk.stored.add(given, told, is_sealed=True)
        talk.stirred = HERE
        return ()

    def _commit(self, turn: Turn, answer: Any) -> Committed | Stale | None:
        """Let what was said count whatever it is, and have it kept."""
        talk = self.talk
        talk.lock.is_held = True
        try:
            if answer is not turn.made or not talk.hear_made(turn, answer):
                again = talk.hear(turn, answer)
                if again is not None:
                    self._undo(First(turn, answer))
                    return None
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._undo(First(turn, error=error))
            return None
        return self._send(turn)

    def _send(self, turn: Turn) -> Committed | Stale | None:
        """Have kept what became of the talk."""
        host, talk = self._host, self.talk
        try:
            parcel = self._parcel = Parcel.of(host, talk, host.deliveries(talk), is_used=True)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._undo(First(turn, error=error))
            return None
        try:
            doing = parcel.sent(host, talk, self.claim, is_alone=host.is_alone)
        except StoreError:
            self._land(self._sent())
            return None
        if isinstance(doing, Done):
            return doing.value
        if isinstance(doing, Doing):
            doing.then(self._done)
        else:
            asyncio.ensure_future(doing).add_done_callback(self._done)
        return None

    def _done(self, doing: "Doing[Committed | Stale] | asyncio.Future[Committed | Stale]") -> None:
        error = doing.exception()
        self.settle(doing.result() if error is None else None, error)

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
        if self._cut is not None:
            self._cut("after:commit")
        if parcel is None:
            talk.mark = talk.conversation, talk.stored.place, talk.latest, talk.sent
            closes = self._plainly[3]
            if host.followers:
                host.told(talk)
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
        self.claim = done.kept[0]
        return True
