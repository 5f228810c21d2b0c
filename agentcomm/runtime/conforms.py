"""Judge a recorded exchange, ours or anybody's, by a protocol: fold it through the core, and stop at the first step it refuses."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.checking import move_for
from agentcomm.conversation.events import (
    Duplicate,
    Event,
    Heard,
    Late,
    Refused,
    Say,
    Staged,
    Superseded,
    Tick,
    TroubleFound,
)
from agentcomm.conversation.moves import Make, due, wants_all
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import UsageError
from agentcomm.protocol.findings import near
from agentcomm.protocol.graph import Act, Criterion, Protocol, State
from agentcomm.protocol.shape import is_name
from agentcomm.runtime.enact import rules_for
from agentcomm.runtime.exchange import (
    Entry,
    entries_by_role,
    entries_of_lines,
    entries_of_messages,
    entries_of_transcript,
    hash_of,
    is_map,
    is_transcript,
    members_of,
    whole_of,
)
from agentcomm.runtime.verdict import (
    Floor,
    OpenCommitment,
    OpenRepair,
    Verdict,
    floors_of,
    gather_of,
    lanes_of,
    owed,
    repairs_of,
    words_of,
)
from agentcomm.store.jsonl import read_lines

__all__ = ("Floor", "OpenCommitment", "OpenRepair", "Verdict", "conforms", "conforms_file")

_PLAIN = (Criterion.NONE, Criterion.DELIVERED)


def conforms(
    protocol: Protocol,
    messages: Iterable[Message | Mapping[str, Any]] | Transcript,
    *,
    grounding: bool = True,
    members: Iterable[str] = (),
    cast: Mapping[str, str] | None = None,
) -> Verdict:
    """Return whether an exchange follows a protocol. What stands in the record is judged and raises nothing.

    Times count from the first one in the record; without times no deadline runs out. A move that code makes by itself (one is
    left, and it carries nothing) may be missing in the record.

    Args:
        protocol: What `load` returned.
        messages: Messages, or maps with `sender` and `act`, and if they are known `content`, `receivers`, `at` (seconds, or a
            time in RFC 3339), `lane`, `id` and `in_reply_to`; or a transcript of ours. `lane` is the member in whose lane
            something is said, and absent before lanes begin and for what is said for all.
        grounding: Whether read-backs and repairs belong to the exchange; False judges order, acts and content only.
        members: Who plays the many-role; without them, those who speak, hear or are named in a `lane` and are no role, and
            silent ones up to as many as there must be.
        cast: Name in the record -> role, where the record has the names of agents.

    Raises:
        UsageError: If the protocol is an overlay, or the members or the cast do not fit it.
    """
    if isinstance(messages, Transcript):
        return _judge_transcript(protocol, messages, None, grounding, tuple(members))
    return _judge_entries(protocol, entries_of_messages(messages), grounding, tuple(members), cast or {})


def conforms_file(
    protocol: Protocol,
    path: str | Path,
    *,
    grounding: bool = True,
    members: Iterable[str] = (),
    cast: Mapping[str, str] | None = None,
) -> Verdict:
    """Return whether the exchange in a file follows a protocol: JSON lines, or a transcript of ours.

    Args:
        protocol: What `load` returned.
        path: The file.
        grounding: As for `conforms`.
        members: As for `conforms`.
        cast: As for `conforms`; a transcript of ours names roles, and needs none.

    Raises:
        UsageError: As for `conforms`.
        StoreError: If the file cannot be read.
    """
    lines = list(read_lines(Path(path)))
    lines[:1] = [line.removeprefix(BOM_UTF8) for line in lines[:1]]
    if not is_transcript(lines):
        return _judge_entries(protocol, entries_of_lines(lines), grounding, tuple(members), cast or {})
    transcript = Transcript.from_lines(lines, where=str(path))
    return _judge_transcript(protocol, transcript, lines, grounding, tuple(members))


def _judge_entries(
    protocol: Protocol,
    entries: Iterable[Entry],
    grounding: bool,
    members: tuple[str, ...],
    cast: Mapping[str, str],
) -> Verdict:
    """Judge what others recorded.

    Raises:
        UsageError: If the cast names a role that is none.
    """
    if wrong := [role for role in cast.values() if role not in protocol.roles]:
        raise UsageError(
            f"{wrong[0]!r} is no role of {protocol.name!r}",
            why=f"its roles are {', '.join(protocol.roles)}",
            fix=near(wrong[0], protocol.roles),
            code="U411",
        )
    own = [name for name, role in cast.items() if role == protocol.many]
    known = entries_by_role(entries, {name: role for name, role in cast.items() if role != protocol.many})
    return _judge(protocol, grounding, known, (*members, *own)).judge(known)


def _judge_transcript(
    protocol: Protocol,
    transcript: Transcript,
    lines: Sequence[bytes] | None,
    grounding: bool,
    members: tuple[str, ...],
) -> Verdict:
    """Judge a transcript; one of this very protocol has all its times and all of code's moves on record."""
    is_own = hash_of(transcript) == protocol.hash
    entries = list(entries_of_transcript(transcript, lines))
    opened = members_of(transcript) if is_own and not members else None
    names = members if opened is None else opened
    return _judge(
        protocol, grounding, entries, names, is_whole=grounding and is_own, whole=whole_of(transcript)
    ).judge(entries)


def _judge(
    protocol: Protocol,
    grounding: bool,
    entries: Sequence[Entry],
    members: tuple[str, ...],
    *,
    is_whole: bool = False,
    whole: float | None = None,
) -> "_Judge":
    """Return a judge of these entries; a human takes part if one speaks, or is asked to decide."""
    said = [entry.given.message for entry in entries if isinstance(entry.given, Say)]
    human = any(message.sender == "human" or message.act == "escalate" for message in said)
    rules = rules_for(protocol, human=human) if grounding else Rules(_without_grounding(protocol))
    names = _members(protocol, entries, members)
    return _Judge(rules, grounding, names, is_whole=is_whole, whole=whole)


def _members(protocol: Protocol, entries: Iterable[Entry], given: tuple[str, ...]) -> tuple[str, ...]:
    """Return who plays the many-role.

    Raises:
        UsageError: If fewer are given than there must be.
    """
    if not protocol.many:
        return given
    least, most = protocol.members
    if given:
        if len(given) < least:
            raise UsageError(
                f"{len(given)} play {protocol.many!r}",
                why=f"{protocol.name!r} needs from {least} to {most}",
                fix="name all of them, also those who said nothing",
                code="U410",
            )
        return given
    named = dict.fromkeys(name for entry in entries for name in _named(entry))
    others = {*protocol.roles, "human"}
    found = [name for name in named if is_name(name) and name not in others][:most]
    numbers = count(1)
    while len(found) < least:
        silent = f"{protocol.many}{next(numbers)}"
        if silent not in found and silent not in protocol.roles:
            found.append(silent)
    return tuple(found)


def _named(entry: Entry) -> tuple[str, ...]:
    """Return who speaks and hears in an entry, and in whose lane."""
    if not isinstance(entry.given, Say):
        return ()
    message = entry.given.message
    return message.lane, message.sender, *(entry.receivers or ())


def _without_grounding(protocol: Protocol) -> Protocol:
    """Return the protocol with messages that count as they are said: no evidence is asked for, `repeats` still compares."""
    acts = {label: _as_said(act) for label, act in protocol.acts.items()}
    states: dict[str, State] = {}
    for name, state in protocol.states.items():
        moves = {
            label: msgspec.structs.replace(move, act=acts[move.act.label], stakes=None)
            for label, move in state.moves.items()
        }
        states[name] = msgspec.structs.replace(state, moves=moves)
    return replace_dataclass(protocol, acts=acts, states=states)


def _as_said(act: Act) -> Act:
    criterion = act.criterion if act.criterion in _PLAIN else Criterion.DELIVERED
    return replace_dataclass(act, criterion=criterion, readback=(), critical=())


@dataclass(frozen=True)
class _Bad:
    code: str
    reason: str
    lane: str = ""


class _Judge:
    """Folds a record through the core."""

    def __init__(
        self,
        rules: Rules,
        grounding: bool,
        members: tuple[str, ...],
        *,
        is_whole: bool = False,
        whole: float | None = None,
    ) -> None:
        self.now, _ = open_conversation(rules, "record", whole=whole, members=members)
        self.grounding = grounding
        self.is_whole = is_whole
        """The record has every time and every move of code: none is added."""
        self.said: dict[str, Message] = {}
        self.lines: dict[str, int] = {}
        self.repeated: list[int] = []
        self.superseded: list[int] = []
        self.messages = 0
        self.latest: Entry | None = None
        """The last entry that had a time."""

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
        if bad := self._backwards(entry):
            return bad
        if isinstance(given, Say):
            return self._hear(entry, given)
        if isinstance(given, Tick):
            self._pass_time(given.at, None)
        self.now, _ = step(self.now, given)
        return None

    def _backwards(self, entry: Entry) -> _Bad | None:
        """Say where time runs backwards: which deadlines had run out is then not known."""
        before = self.latest
        if not entry.has_time or entry.given is None:
            return None
        if before is not None and before.given is not None and entry.given.at < before.given.at:
            earlier = before.given.at - entry.given.at
            return _Bad(
                "time-backwards",
                f"it is {earlier:g} s before line {before.line}: sort the record by time, or leave `at` out",
            )
        self.latest = entry
        return None

    def _hear(self, entry: Entry, given: Say) -> _Bad | None:
        message = self._by_role(given.message)
        if (earlier := self.said.get(message.id)) is not None:
            if _content_of(earlier) == _content_of(message):
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
        message = self._in_lane(message, entry.receivers)
        if message.lane and not self.now.protocol.many:
            return _Bad(
                "wrong-party",
                f"{self.now.protocol.name!r} has no lanes, so nobody speaks in {message.lane!r}",
            )
        name = message.id or f"line {entry.line}"
        stamped = msgspec.structs.replace(message, id=name, receivers=())
        after, events = step(self.now, Say(stamped, given.at if entry.has_time else self.now.at))
        bad = self._fault(events, stamped) or self._misdirected(entry, after, stamped, events)
        if bad is not None:
            return replace_dataclass(bad, lane=message.lane if self.now.begun else "")
        self.now = after
        self.said[name], self.lines[name] = message, entry.line
        if any(isinstance(event, Superseded) for event in events):
            self.superseded.append(entry.line)
        else:
            self.messages += 1
        return None

    def _by_role(self, message: Message) -> Message:
        """Return what a member says by its own name as said by the many-role in that member's lane."""
        many = self.now.protocol.many
        if message.sender not in self.now.members or message.lane not in ("", message.sender):
            return message
        return msgspec.structs.replace(message, sender=many, lane=message.sender)

    def _in_lane(self, message: Message, receivers: tuple[str, ...] | None) -> Message:
        """Return a message to one member, by its own name, as said in that member's lane."""
        named = [name for name in receivers or () if name in self.now.lanes]
        if message.lane or len(named) != 1 or message.sender == self.now.protocol.many:
            return message
        lane = self.now.view(named[0])
        move = move_for(lane.state, message.act) if lane.outcome is None and lane.frame is None else None
        if move is not None and move.for_all:
            return message
        return msgspec.structs.replace(message, lane=named[0])

    def _fault(self, events: tuple[Event, ...], message: Message) -> _Bad | None:
        """Return what is wrong with a message, from what came of it."""
        for event in events:
            match event:
                case Refused():
                    return _Bad(event.code, event.reason + self._meant(event, message))
                case Late():
                    return _Bad("late" if self.now.outcome is None else "after-end", event.reason)
                case TroubleFound() if not self.grounding:
                    # what was said at a gather is compared once every lane has its move
                    where = "" if event.message == message.id else f"line {self.lines.get(event.message, 0)} "
                    return _Bad(
                        "differs", f"{where}differs from the record: {'; '.join(map(str, event.differs))}"
                    )
                case Duplicate():  # of a move that code made
                    return _Bad("reused-id", f"there is a message {event.message!r} already")
                case _:
                    pass
        return None

    def _meant(self, event: Refused, message: Message) -> str:
        """Return what helps where a name is misspelt, or a record has the names of agents for roles."""
        protocol = self.now.protocol
        match event.code:
            case "wrong-party" if event.role not in (*protocol.roles, "human"):
                known = [*protocol.roles, *self.now.members]
                close = _close(event.role, known)
                cast = (
                    ""
                    if protocol.many
                    else f"{' Else' if close else ';'} a cast says who plays which: {event.role}=ROLE"
                )
                return f" ({', '.join(known)}){close}{cast}"
            case "unexpected-act":
                own = {act.name for act in protocol.acts.values()}
                legal = [move.partition("(")[0] for floor in floors_of(self.now) for move in floor.legal]
                if event.act not in (*own, *protocol.acts, *legal):
                    return _close(event.act, [*legal, *sorted(own)])
                others = [role for role in protocol.roles if role != protocol.many]
                taken = _close(message.lane, others) if message.sender == protocol.many else ""
                return f"; {message.lane!r} is taken for a {protocol.many}{taken}" if taken else ""
            case "invalid-content" if is_map(message.content):
                names = (
                    message.act,
                    *(act.label for act in protocol.acts.values() if act.name == message.act),
                )
                act = next((protocol.acts[name] for name in names if name in protocol.acts), None)
                missing = [name for name in act.fields if name not in message.content] if act else []
                return "".join(
                    _close(key, missing) for key in message.content if act and key not in act.fields
                )
            case _:
                return ""

    def _misdirected(
        self, entry: Entry, after: Conversation, message: Message, events: tuple[Event, ...]
    ) -> _Bad | None:
        """Say whom a message should have reached, if the record names others."""
        right = _receivers(after, message, events)
        if entry.receivers is None or right is None:
            return None
        own = (message.lane,) if message.lane else after.members
        heard = {after.protocol.many if name in own else name for name in entry.receivers}
        if heard == set(right):
            return None
        given = ", ".join(entry.receivers) or "nobody"
        known = [*after.protocol.roles, *after.members]
        hints = "".join(_close(name, known) for name in entry.receivers if name not in known)
        lane = f" in the lane of {message.lane}" if message.lane and after.protocol.many in right else ""
        return _Bad("wrong-receivers", f"it goes to {', '.join(right)}{lane}, not to {given}{hints}")

    def _pass_time(self, at: float, heard: Message | None) -> None:
        """Let what was due by `at` happen, each thing at its time, and what code says of itself."""
        self._let_code_speak(heard)
        while not self.is_whole and self.now.outcome is None and (limit := due(self.now)) <= at:
            self.now, _ = step(self.now, Tick(limit))
            self._let_code_speak(heard)

    def _let_code_speak(self, heard: Message | None) -> None:
        """Make the moves that a runtime makes by itself, unless the message that comes next is that move."""
        refused: set[tuple[str, str]] = set()
        while not self.is_whole and (asked := self._made_by_code(heard, refused)):
            name = f"after message {self.now.n}"
            message = Message(act=asked.move.label, sender=asked.role, id=name, lane=asked.lane)
            after, _ = step(self.now, Say(message, self.now.at))
            if after.n == self.now.n:  # whoever speaks next is told why
                refused.add((asked.lane, asked.move.key))
            else:
                self.now = after

    def _made_by_code(self, heard: Message | None, refused: set[tuple[str, str]]) -> Make | None:
        for asked in wants_all(self.now):
            if (
                isinstance(asked, Make)
                and (asked.lane, asked.move.key) not in refused
                and not (heard is not None and _is_made(asked, heard))
            ):
                return asked
        return None

    def _verdict(self, entry: Entry | None = None, bad: _Bad | None = None) -> Verdict:
        now = self.now
        outcome = now.outcome
        lane = bad.lane if bad and bad.lane in now.lanes else ""
        floors, lanes = floors_of(now), lanes_of(now)
        here = next((floor for floor in floors if lane in ("", floor.lane)), None)
        state = lanes.get(lane, "") if now.begun else now.position
        return Verdict(
            ok=bad is None,
            messages=self.messages,
            state="" if outcome else state,
            speaker=here.speaker if here else "",
            legal=here.legal if here else (),
            floors=floors,
            lanes=lanes,
            outcome=outcome.name if outcome else "",
            outcome_class=outcome.kind.value if outcome else "",
            cause=outcome.cause if outcome else "",
            line=entry.line if entry else 0,
            lane=bad.lane if bad else "",
            said=words_of(entry.given) if entry else "",
            code=bad.code if bad else "",
            reason=bad.reason if bad else "",
            open_commitments=owed(now, self.lines),
            open_repairs=repairs_of(now, self.lines),
            open_gather=gather_of(now),
            superseded=tuple(self.superseded),
            repeated=tuple(self.repeated),
        )


def _close(word: str, known: Iterable[str]) -> str:
    """Return which known name was meant, if one is like it."""
    hint = near(word, known)
    return f"; {hint}" if hint.startswith("did") else ""


def _content_of(message: Message) -> tuple[Any, ...]:
    return message.sender, message.act, message.lane, to_plain(message.content)


def _is_made(asked: Make, heard: Message) -> bool:
    """Say whether a message is the move that code would make."""
    names = (asked.move.label, asked.move.label.rpartition(".")[2])
    return heard.sender == asked.role and heard.act in names and asked.lane in ("", heard.lane)


def _receivers(after: Conversation, message: Message, events: tuple[Event, ...]) -> tuple[str, ...] | None:
    """Return whom a message was for; None if it had no effect."""
    for event in events:
        if isinstance(event, Heard) and event.message.id == message.id:
            return event.message.receivers
        if isinstance(event, Staged) and after.turn is not None:
            staged = after.turn.move(event.lane)
            return None if staged is None else staged.receivers
    return None
