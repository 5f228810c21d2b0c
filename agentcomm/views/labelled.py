"""Measures that need to be told what was true: which messages were misunderstood, which were clear, which answers were right.

What is true of messages is in a file of JSON lines: `{"conversation": "conv-1", "message": 4, "is": "misunderstood"}`. `message` is a
message's place on record, from 1, or its id; `is` is one of `LABELS`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from agentcomm.conversation.events import Chose, Heard, Moved, RepairOpened, TroubleFound
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import UsageError

__all__ = ("LABELLED", "LABELS", "Labels", "marks_of", "read_labels", "unknown_to")

LABELS = {
    "understood": "its hearer understood it as it was meant",
    "misunderstood": "its hearer did not",
    "clear": "it could be understood in one way only",
    "ambiguous": "it could not",
    "right": "it is a right answer",
    "wrong": "it is a wrong one",
    "fault": "it is where the fault came in that decided the end",
}

LABELLED = {
    "detected": "misunderstood messages whose trouble was found before they took effect",
    "false_alarms": "understood messages in which trouble was found",
    "clarified": "ambiguous messages that were asked about",
    "over_clarified": "clear messages that were asked about",
    "flipped_to_wrong": "right answers after which the same agent gave a wrong one",
    "flipped_to_right": "wrong answers after which the same agent gave a right one",
    "right_at_first": "conversations in which the first answer of some agent was right",
    "right_at_last": "conversations in which the last answer was right",
    "attributed": "conversations whose first fault (trace show --why) is the one that came in",
}
"""Measures that are shares, and what they count."""

_QUESTIONS = frozenset({"offer", "choose", "specify", "open"})

Labels = Mapping[str, Mapping[str, set[str]]]
"""Conversation -> message, by place or id -> what is true of it."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    conversation: str
    message: int | str
    is_: str = msgspec.field(name="is")


def read_labels(lines: Iterable[bytes], where: str) -> Labels:
    """Return what a file says is true.

    Raises:
        UsageError: If a line is no such line.
    """
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise _wrong(where, number, str(error)) from None
        if one.is_ not in LABELS:
            raise _wrong(where, number, f"{one.is_!r} is none of {', '.join(LABELS)}")
        found[one.conversation][str(one.message)].add(one.is_)
    return found


def _wrong(where: str, number: int, why: str) -> UsageError:
    return UsageError(
        f"{where}, line {number}: not what is true of a message",
        why=why,
        fix='write lines like {"conversation": "conv-1", "message": 4, "is": "misunderstood"}',
        code="U564",
    )


def marks_of(
    transcript: Transcript, true: Mapping[str, set[str]], first_fault: int | None
) -> list[tuple[str, bool]]:
    """Return measures and whether each hit, in one conversation.

    Args:
        transcript: Its record.
        true: What is true of its messages.
        first_fault: Place of the message of the first fault that nobody mended, or None.
    """
    said: dict[str, str] = {}
    """Message -> who said it."""
    caught: set[str] = set()
    late: set[str] = set()
    asked: set[str] = set()
    known: dict[str, set[str]] = {}
    for event in transcript.events():
        match event:
            case Heard(message=message):
                said[message.id] = f"{message.sender} {message.lane}"
                known[message.id] = true.get(str(event.n), set()) | true.get(message.id, set())
            case Moved(message=name, act=act) if act:
                late.add(name)
            case TroubleFound(message=name) if name not in late:
                caught.add(name)
            case RepairOpened(about=name):
                asked.add(name)
                if name not in late:
                    caught.add(name)
            case Chose(message=name, action=action) if action in _QUESTIONS:
                asked.add(name)
            case _:
                pass
    found: list[tuple[str, bool]] = []
    answers: dict[str, list[bool]] = defaultdict(list)
    last: bool | None = None
    for name, labels in known.items():
        for label, measure, hit in (
            ("misunderstood", "detected", name in caught),
            ("understood", "false_alarms", name in caught),
            ("ambiguous", "clarified", name in asked),
            ("clear", "over_clarified", name in asked),
        ):
            if label in labels:
                found.append((measure, hit))
        if labels & {"right", "wrong"}:
            last = "right" in labels
            answers[said[name]].append(last)
    for given in answers.values():
        for before, after in pairwise(given):
            found.append(("flipped_to_wrong", not after) if before else ("flipped_to_right", after))
    if last is not None:
        found += (("right_at_first", any(given[0] for given in answers.values())), ("right_at_last", last))
    places = [place for place, (_, labels) in enumerate(known.items(), 1) if "fault" in labels]
    if places:
        found.append(("attributed", first_fault in places))
    return found


def unknown_to(labels: Labels, conversations: Iterable[str]) -> list[str]:
    """Return the labelled conversations that are not among these."""
    return sorted(set(labels) - set(conversations))
