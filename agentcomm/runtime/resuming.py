"""Taking up a conversation from what a store has: from its last snapshot where that fits, else from its beginning."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.conversation.entries import Short, link_of
from agentcomm.conversation.events import Event, Input, Say
from agentcomm.conversation.parts import Key
from agentcomm.conversation.rerun import Rerun, heard_again, messages
from agentcomm.conversation.snapshot import Kept, restored
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.tape import Step, Tape
from agentcomm.errors import RecordError
from agentcomm.protocol.resting import resting
from agentcomm.runtime.replay import rules_from
from agentcomm.runtime.stage import Stage
from agentcomm.store.base import Entry, Store

__all__ = ("Resumed", "Resuming", "latest")

_STEPS = 400
"""Steps that are remembered, at least, of turns that may still be taken up."""
_SLICE = 512
"""Entries until others get their turn."""


def latest(steps: list[Step]) -> list[Step]:
    """Return the latest steps, and every call of a tool in the turns that they are of: a turn must find all that it has done."""
    if len(steps) <= 2 * _STEPS:  # cut seldom, since a long turn is looked through each time
        return steps
    late = steps[-_STEPS:]
    turns = {one.data.get("turn") for one in late}
    return [
        one for one in steps[:-_STEPS] if one.type.startswith("tool.") and one.data.get("turn") in turns
    ] + late


class Resumed:
    """A conversation as it stands, as far as its record was read.

    Attributes:
        kept: The snapshot from which it was taken up.
    """

    def __init__(self, stage: Stage, tape: Tape, conversation: Conversation) -> None:
        self.stage, self.tape = stage, tape
        self._conversation = conversation
        self._rerun: Rerun | None = None
        """It is ahead of the conversation, as long as one plain move follows another."""
        self.steps: list[Step] = []
        self.kept: Kept | None = None
        self.events: list[Event] | None = None
        """What happened, if somebody wants to know."""

    @property
    def conversation(self) -> Conversation:
        """Where it stands."""
        if self._rerun is not None:
            self._conversation, self._rerun = self._rerun.conversation, None
        return self._conversation

    @conversation.setter
    def conversation(self, conversation: Conversation) -> None:
        self._conversation, self._rerun = conversation, None

    def feed(self, entry: Entry) -> None:
        """Read one more entry."""
        data, tape = entry.data, self.tape
        if self.events is not None or data.startswith(b"{") or self._conversation.members:
            self.take(tape.feed(data))
            return
        for part in tape.parts(data):
            if type(part) is Short and (self._rerun or self._run_on()).take(part):
                tape.seq += part.count()
            else:
                self.take(tape.given(part))

    def _run_on(self) -> Rerun:
        self._rerun = Rerun(self._conversation)
        return self._rerun

    def take(self, given: Iterable[Input | Step]) -> None:
        """Take what was read."""
        for one in given:
            if isinstance(one, Step):
                self.steps.append(one)
            else:
                again = heard_again(self.conversation, one) if type(one) is Say else None
                self.conversation, events = again or step(self.conversation, one)
                if self.events is not None:
                    self.events += events


class Resuming:
    """Takes conversations up.

    Args:
        store: Where they are.
        say: Called with a line of text when something is out of the ordinary.
    """

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self._store, self._say = store, say
        self._stages: dict[Any, Stage] = {}

    async def take_up(self, conversation: str) -> Resumed:
        """Return a conversation as it stands.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        entries = self._store.read(conversation)
        found = self._opened(conversation, entries)
        snapshot = self._store.snapshot(conversation)
        if snapshot is not None:
            try:
                entries = self._skipped(conversation, found, snapshot.data)
            except RecordError as error:
                self._say(f"{conversation}: {error.what} ({error.why}); it is read from its beginning")
        with resting(big=True):  # what is made here stays
            for count, entry in enumerate(entries, 1):
                found.feed(entry)
                if count % _SLICE == 0:
                    await asyncio.sleep(0)
        found.steps = latest(found.steps)
        return found

    def _skipped(self, conversation: str, found: Resumed, data: bytes) -> Iterator[Entry]:
        """Put a conversation where its snapshot says that it stands; return the entries behind that."""

        def as_of() -> Conversation:
            entries = self._store.read(conversation)
            then = self._opened(conversation, entries)
            for entry in entries:
                if entry.seq > kept.seq:
                    break
                then.feed(entry)
            return then.conversation

        def heard() -> dict[Key, tuple[int, Message]] | None:
            entries = self._store.read(conversation)
            tape = self._opened(conversation, entries).tape
            some = takewhile(lambda entry: entry.seq <= kept.seq, entries)
            with resting(big=True):
                return messages(conversation, tape, (entry.data for entry in some), found.stage.rules)

        made, kept = restored(data, found.stage.rules, conversation, as_of, heard)
        entries = self._store.read(conversation, kept.seq - 1)
        last = next(entries, None)
        if last is None or last.seq != kept.seq or link_of(last.data) != kept.link:
            raise RecordError(
                "a snapshot does not fit its conversation",
                why="the record is not the one that it was made of",
                fix="nothing: the record is read from its beginning",
            )
        found.conversation, found.kept, found.steps = made, kept, list(kept.steps)
        found.tape.seq, found.tape.link = last.seq + last.count, kept.link
        return entries

    async def read(self, conversation: str, found: Resumed | None) -> Resumed:
        """Return a conversation with the events that came since it was read last, in `events`; all of them if it was not.

        Raises:
            StoreError: If there is none of that id.
            RecordError: If its record is damaged.
        """
        if found is None:
            entries = self._store.read(conversation)
            found = self._opened(conversation, entries, is_told=True)
        else:
            entries = self._store.read(conversation, found.tape.seq - 1)
            found.events = []
        for count, entry in enumerate(entries, 1):
            found.feed(entry)
            if count % _SLICE == 0:
                await asyncio.sleep(0)
        found.steps.clear()
        return found

    def _opened(self, conversation: str, entries: Iterator[Entry], *, is_told: bool = False) -> Resumed:
        tape = Tape()
        first = next(entries, None)
        given = list(tape.feed(first.data)) if first is not None else []
        if tape.opening is None:
            raise RecordError("the record has no opening", fix="restore the store from a backup")
        opening, body = tape.opening
        data = opening.data
        key = opening.body, str(data.get("judge", "")), bool(data.get("human")), repr(data.get("choice"))
        stage = self._stages.get(key)
        if stage is None:
            stage = self._stages[key] = Stage(rules_from(data, body))
        members = tuple(map(str, data.get("members", ())))
        begun, events = open_conversation(stage.rules, conversation, whole=data.get("whole"), members=members)
        found = Resumed(stage, tape, begun)
        found.events = list(events) if is_told else None
        found.take(given)
        return found
