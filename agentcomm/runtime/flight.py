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
from agentcomm.errors import StoreError
from agentcomm.runtime.hosted import HostedTalk
from agentcomm.runtime.work import First, Parcel
from agentcomm.store.base import Claim, Committed, Done, Stale

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

    __slots__ = ("_answer", "_claim", "_context", "_host", "_loop", "_parcel", "_turn", "talk")

    def __init__(self, host: Any, talk: HostedTalk, claim: Claim) -> None:
        self._host, self.talk, self._claim = host, talk, claim
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._turn: Turn | None = None
        self._answer: Any = None
        self._parcel: Parcel | None = None

    def start(self) -> None:
        """Begin soon."""
        self._loop.call_soon(self._run, context=self._context)

    def _run(self) -> None:
        until = monotonic() + _SLICE
        while self._ask():
            doing = self._commit()
            if isinstance(doing, asyncio.Future):
                doing.add_done_callback(self._done, context=self._context)
                return
            if doing is None or not self._seen(doing.value):
                return
            if monotonic() > until:
                self.start()
                return

    def _done(self, doing: "asyncio.Future[Committed | Stale]") -> None:
        try:
            done = doing.result()
        except StoreError:  # was it done? the same again tells
            assert self._turn is not None  # noqa: S101
            self._land(First(self._turn, self._answer, parcel=self._parcel))
            return
        if self._seen(done):
            self._run()

    def _land(self, first: First | None) -> None:
        self._host.landed(self, self._claim, first)

    def _ask(self) -> bool:
        """Let an agent speak; False if that is not for here."""
        host, talk = self._host, self.talk
        conversation = talk.conversation
        spot = talk.stage.spots.get(conversation.here.name)
        ahead = talk.ahead
        if (
            host.is_draining
            or host.quiet.is_wanted
            or talk.lock.is_held
            or talk.steps
            or spot is None
            or not spot.role
            or conversation.here.frame is not None
            or ahead[0] is not conversation
            or ahead[1] != self._claim.note
        ):
            self._land(None)
            return False
        host.cut("claimed")
        host.cut("loaded")
        latest = talk.latest
        if latest is None or latest.id != conversation.here.latest or spot.role not in latest.receivers:
            latest = None
        seat = talk.casting.roles[spot.role]
        turn = self._turn = Turn(conversation, seat, talk, "", conversation, None, spot.moves, latest)
        host.cut("before:ask")
        try:
            answer = self._answer = seat.ask(turn)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._land(First(turn, error=error))
            return False
        if type(answer) is not Message and (type(answer) is CoroutineType or inspect.isawaitable(answer)):
            self._land(First(turn, answer))
            return False
        host.cut("after:ask")
        return True

    def _commit(self) -> "Done[Committed | Stale] | asyncio.Future[Committed | Stale] | None":
        """Let what was said count, and have it kept; None if that is not for here."""
        host, talk, turn = self._host, self.talk, self._turn
        assert turn is not None  # noqa: S101
        host.cut("before:commit")
        talk.lock.hold()
        try:
            answer = self._answer
            if type(answer) is Message and talk.hear_made(turn, answer):
                again = None
            else:
                again = talk.hear(turn, answer)
            parcel = None if again is not None else Parcel(host, talk, host.deliveries(talk), is_used=True)
        except BaseException as error:  # noqa: BLE001  (raised again where it can be dealt with)
            self._undo(First(turn, error=error))
            return None
        if parcel is None:
            self._undo(First(turn, self._answer))
            return None
        self._parcel = parcel
        try:
            doing = parcel.sent(host, talk, self._claim, is_alone=host.is_alone)
        except StoreError:
            self._land(First(turn, self._answer, parcel=parcel))
            return None
        return doing if isinstance(doing, Done | asyncio.Future) else asyncio.ensure_future(doing)

    def _undo(self, first: First) -> None:
        self.talk.back()
        self.talk.lock.leave()
        self._land(first)

    def _seen(self, done: Committed | Stale) -> bool:
        """Take note of what became of a turn; say whether there is another one for here."""
        host, talk, parcel = self._host, self.talk, self._parcel
        assert parcel is not None  # noqa: S101
        assert self._turn is not None  # noqa: S101
        if type(done) is not Committed:
            self._undo(First(self._turn, self._answer))
            return False
        host.cut("after:commit")
        try:
            parcel.counts(host, talk)
        except Exception as error:  # noqa: BLE001  (whoever watches may raise anything, and it is kept all the same)
            host.say(f"{talk.id}: whoever watches failed: {type(error).__name__}: {error}")
        if parcel.closes is not None:
            host.closed(talk)
        talk.lock.leave()
        kept = done.kept
        if not kept:
            host.landed(self, None, None)
            return False
        host.holds(kept[0], self._claim)
        self._claim = kept[0]
        return True

    @property
    def claim(self) -> Claim:
        """What is held."""
        return self._claim
