"""Judge a recorded exchange, ours or anybody's, by a protocol: fold it through the core, and stop at the first step it refuses."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message, format_content
from agentcomm.commitments.ledger import Commitment
from agentcomm.conversation.events import (
    Duplicate,
    Event,
    Heard,
    Late,
    Refused,
    Say,
    Tick,
    TroubleFound,
)
from agentcomm.conversation.moves import Make, Over, bind, overlay_state, signature, wants
from agentcomm.conversation.state import Conversation, Rules
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act, Criterion, Protocol, State
from agentcomm.runtime.enact import rules_for
from agentcomm.runtime.exchange import (
    Entry,
    entries_of_lines,
    entries_of_messages,
    entries_of_transcript,
    hash_of,
    is_transcript,
    whole_of,
)
from agentcomm.store.jsonl import read_lines

__all__ = ("OpenCommitment", "OpenRepair", "Verdict", "conforms", "conforms_file")

_WIDEST = 200
"""Characters of what was said."""
_PLAIN = (Criterion.NONE, Criterion.DELIVERED)


@dataclass(frozen=True)
class OpenRepair:
    """A read-back or a repair that the record leaves open."""

    overlay: str
    """`read-back`, `repair` or `not-understood`."""
    act: str
    """What it is about."""
    line: int
    sender: str
    hearer: str
    speaker: str
    """Who is to speak in it."""


@dataclass(frozen=True)
class OpenCommitment:
    """Something that is owed where the record ends."""

    debtor: str
    creditor: str
    act: str
    """What made it."""
    line: int
    status: str


@dataclass(frozen=True)
class Verdict:
    """Whether an exchange follows a protocol, and where it ends or stops to."""

    ok: bool
    """Every message was legal where it was said."""
    messages: int
    """Those that were read and accepted."""
    state: str
    """Where it stands: at the end of the record, or at the first bad step; empty at an outcome."""
    speaker: str
    """Who may speak there."""
    legal: tuple[str, ...]
    """What may be said there, each with its fields."""
    outcome: str = ""
    """Name of the outcome, if one was reached."""
    outcome_class: str = ""
    cause: str = ""
    line: int = 0
    """Of the first bad step, from 1; 0 if there is none."""
    said: str = ""
    """What was said there."""
    code: str = ""
    """Why it is refused: a code of `Refused`, or broken-line, wrong-receivers, differs, late, after-end or reused-id."""
    reason: str = ""
    open_commitments: tuple[OpenCommitment, ...] = ()
    open_repairs: tuple[OpenRepair, ...] = ()
    after_end: tuple[int, ...] = ()
    """Lines of the messages that were said after the end."""
    repeated: tuple[int, ...] = ()
    """Lines of messages that are there already; they have no second effect."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))


def conforms(
    protocol: Protocol,
    messages: Iterable[Message | Mapping[str, Any]] | Transcript,
    *,
    grounding: bool = True,
) -> Verdict:
    """Return whether an exchange follows a protocol. What stands in the record is judged and raises nothing.

    Times count from the first one in the record; without times no deadline runs out. A move that code makes by itself (one is
    left, and it carries nothing) may be missing in the record.

    Args:
        protocol: What `load` returned.
        messages: Messages, or maps with `sender` and `act`, and if they are known `content`, `receivers`, `at` (seconds, or a
            time in RFC 3339), `lane`, `id` and `in_reply_to`; or a transcript of ours.
        grounding: Whether read-backs and repairs belong to the exchange; False judges order, acts and content only.

    Raises:
        UsageError: If the protocol is an overlay, or has what cannot be judged yet: a many-role, a race, or another protocol
            that it runs.
    """
    if isinstance(messages, Transcript):
        return _judge_transcript(protocol, messages, None, grounding)
    return _Judge(protocol, grounding).judge(entries_of_messages(messages))


def conforms_file(protocol: Protocol, path: str | Path, *, grounding: bool = True) -> Verdict:
    """Return whether the exchange in a file follows a protocol: JSON lines, or a transcript of ours.

    Args:
        protocol: What `load` returned.
        path: The file.
        grounding: As for `conforms`.

    Raises:
        UsageError: As for `conforms`.
        StoreError: If the file cannot be read.
    """
    lines = list(read_lines(Path(path)))
    lines[:1] = [line.removeprefix(BOM_UTF8) for line in lines[:1]]
    if not is_transcript(lines):
        return _Judge(protocol, grounding).judge(entries_of_lines(lines))
    return _judge_transcript(protocol, Transcript.from_lines(lines, where=str(path)), lines, grounding)


def _judge_transcript(
    protocol: Protocol, transcript: Transcript, lines: Sequence[bytes] | None, grounding: bool
) -> Verdict:
    """Judge a transcript; one of this very protocol has all its times and all of code's moves on record."""
    is_whole = grounding and hash_of(transcript) == protocol.hash
    judge = _Judge(protocol, grounding, is_whole=is_whole, whole=whole_of(transcript))
    return judge.judge(entries_of_transcript(transcript, lines))


def _rules(protocol: Protocol, grounding: bool) -> Rules:
    """Return the rules to judge by.

    Raises:
        UsageError: If the core cannot hold such a conversation yet.
    """
    for what, has in (
        (f"the many-role {protocol.many!r}", bool(protocol.many)),
        (f"a protocol that it runs, {next(iter(protocol.runs), '')!r}", bool(protocol.runs)),
        ("a race", any(len(state.speakers) > 1 for state in protocol.states.values())),
    ):
        if has:
            raise UsageError(
                f"{protocol.name!r} has {what}",
                why="exchanges of such protocols cannot be judged yet",
                fix="judge by a protocol of single roles that take turns",
                code="U410",
            )
    return rules_for(protocol) if grounding else Rules(_without_grounding(protocol))


def _without_grounding(protocol: Protocol) -> Protocol:
    """Return the protocol with messages that count as they are said: no evidence is asked for, `repeats` still compares."""
    acts = {label: _as_said(act) for label, act in protocol.acts.items()}
    states: dict[str, State] = {}
    for name, state in protocol.states.items():
        moves = {
            label: msgspec.structs.replace(move, act=acts[move.act.label], stakes=None)
            for label, move in state.moves.items()
        }
        states[name] = replace_dataclass(state, moves=moves)
    return replace_dataclass(protocol, acts=acts, states=states)


def _as_said(act: Act) -> Act:
    criterion = act.criterion if act.criterion in _PLAIN else Criterion.DELIVERED
    return replace_dataclass(act, criterion=criterion, readback=(), critical=())


@dataclass(frozen=True)
class _Bad:
    code: str
    reason: str


class _Judge:
    """Folds a record through the core."""

    def __init__(
        self, protocol: Protocol, grounding: bool, *, is_whole: bool = False, whole: float | None = None
    ) -> None:
        self.now, _ = open_conversation(_rules(protocol, grounding), "record", whole=whole)
        self.grounding = grounding
        self.is_whole = is_whole
        """The record has every time and every move of code: none is added."""
        self.said: dict[str, Message] = {}
        self.lines: dict[str, int] = {}
        self.repeated: list[int] = []
        self.messages = 0

    def judge(self, entries: Iterable[Entry]) -> Verdict:
        """Return the verdict on all entries."""
        bad: Verdict | None = None
        after: list[int] = []
        for entry in entries:
            if bad is not None:
                if self.now.outcome is not None and self._is_new(entry):
                    after.append(entry.line)
                continue
            found = self._take(entry)
            if found is None:
                continue
            bad = self._verdict(entry, found)
            if found.code == "after-end":
                after.append(entry.line)
        if bad is None:
            self._let_code_speak(None)
            return self._verdict()
        return replace_dataclass(bad, after_end=tuple(after))

    def _is_new(self, entry: Entry) -> bool:
        return isinstance(entry.given, Say) and entry.given.message.id not in self.said

    def _take(self, entry: Entry) -> _Bad | None:
        """Let one entry happen, or say why it may not."""
        given = entry.given
        if given is None:
            return _Bad("broken-line", entry.fault)
        if isinstance(given, Say):
            return self._hear(entry, given)
        if isinstance(given, Tick):
            self._pass_time(given.at, None)
        self.now, _ = step(self.now, given)
        return None

    def _hear(self, entry: Entry, given: Say) -> _Bad | None:
        message = given.message
        if (earlier := self.said.get(message.id)) is not None:
            if (earlier.sender, earlier.act, to_plain(earlier.content)) == (
                message.sender,
                message.act,
                to_plain(message.content),
            ):
                self.repeated.append(entry.line)
                return None
            return _Bad(
                "reused-id",
                f"line {self.lines[message.id]} has the id {message.id!r}, and says something else",
            )
        if entry.has_time:
            self._pass_time(given.at, message)
        else:
            self._let_code_speak(message)
        if entry.lane:
            return _Bad(
                "wrong-party", f"{self.now.protocol.name!r} has no lanes, so nobody speaks in {entry.lane!r}"
            )
        name = message.id or f"line {entry.line}"
        stamped = msgspec.structs.replace(message, id=name, receivers=())
        after, events = step(self.now, Say(stamped, given.at if entry.has_time else self.now.at))
        bad = self._fault(events) or _misdirected(entry, events)
        if bad is None:
            self.now = after
            self.said[name], self.lines[name] = message, entry.line
            self.messages += 1
        return bad

    def _fault(self, events: tuple[Event, ...]) -> _Bad | None:
        """Return what is wrong with a message, from what came of it."""
        for event in events:
            match event:
                case Refused():
                    return _Bad(event.code, event.reason)
                case Late():
                    return _Bad("late" if self.now.outcome is None else "after-end", event.reason)
                case TroubleFound() if not self.grounding:
                    return _Bad("differs", f"differs from the record: {'; '.join(map(str, event.differs))}")
                case Duplicate():  # of a move that code made
                    return _Bad("reused-id", f"there is a message {event.message!r} already")
                case _:
                    pass
        return None

    def _pass_time(self, at: float, heard: Message | None) -> None:
        """Let what was due by `at` happen, each thing at its time, and what code says of itself."""
        self._let_code_speak(heard)
        while not self.is_whole and self.now.outcome is None and (due := self._due()) <= at:
            self.now, _ = step(self.now, Tick(due))
            self._let_code_speak(heard)

    def _due(self) -> float:
        frame = self.now.frame
        return min(self.now.deadline if frame is None else frame.deadline, self.now.whole)

    def _let_code_speak(self, heard: Message | None) -> None:
        """Make the moves that a runtime makes by itself, unless the message that comes next is that move."""
        while not self.is_whole and isinstance(asked := wants(self.now), Make):
            if heard is not None and (heard.sender, heard.act) == (asked.role, asked.move.label):
                return
            message = Message(act=asked.move.label, sender=asked.role, id=f"after message {self.now.n}")
            after, _ = step(self.now, Say(message, self.now.at))
            if after.n == self.now.n:  # it is refused, so whoever speaks next is told
                return
            self.now = after

    def _verdict(self, entry: Entry | None = None, bad: _Bad | None = None) -> Verdict:
        now = self.now
        outcome = now.outcome
        speaker, legal = _open_now(now)
        return Verdict(
            ok=bad is None,
            messages=self.messages,
            state="" if outcome else now.position,
            speaker=speaker,
            legal=legal,
            outcome=outcome.name if outcome else "",
            outcome_class=outcome.kind.value if outcome else "",
            cause=outcome.cause if outcome else "",
            line=entry.line if entry else 0,
            said=_words(entry) if entry else "",
            code=bad.code if bad else "",
            reason=bad.reason if bad else "",
            open_commitments=tuple(map(self._owed, now.ledger.open())),
            open_repairs=self._open_repairs(),
            repeated=tuple(self.repeated),
        )

    def _owed(self, entry: Commitment) -> OpenCommitment:
        line = self.lines.get(entry.message, 0)
        return OpenCommitment(entry.debtor, entry.creditor, entry.act, line, entry.status.value)

    def _open_repairs(self) -> tuple[OpenRepair, ...]:
        frame = self.now.frame
        if frame is None:
            return ()
        speaker = bind(frame, overlay_state(self.now, frame).speaker)
        line = self.lines.get(frame.it.id, 0)
        return (OpenRepair(frame.overlay, frame.it.act, line, frame.sender, frame.hearer, speaker),)


def _misdirected(entry: Entry, events: tuple[Event, ...]) -> _Bad | None:
    """Say whom a message should have reached, if the record names others."""
    for event in events:
        if isinstance(event, Heard) and entry.receivers is not None:
            right = event.message.receivers
            if set(entry.receivers) != set(right):
                given = ", ".join(entry.receivers) or "nobody"
                return _Bad("wrong-receivers", f"it goes to {', '.join(right)}, not to {given}")
    return None


def _open_now(now: Conversation) -> tuple[str, tuple[str, ...]]:
    """Return who may speak, and the moves with their fields."""
    asked = wants(now)
    if isinstance(asked, Over):
        return "", ()
    moves = (asked.move,) if isinstance(asked, Make) else (*asked.moves, *asked.exits)
    return asked.role, tuple(map(signature, moves))


def _words(entry: Entry) -> str:
    """Return what was said, in one line."""
    given = entry.given
    if not isinstance(given, Say):
        return ""
    words = f"{given.message.sender}: {given.message.act} {format_content(given.message.content)}".rstrip()
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"
