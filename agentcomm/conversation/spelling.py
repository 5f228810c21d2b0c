"""What the record says of a plain move, spelt out as it stands in its lines, so that a replay compares text and decodes nothing.

It is what `transcript.Chain` writes, from the type of each record on. Where it were anything else, a replay would find no line to
be as it should, and compare event by event; so this can make a replay slower, but not wrong.
"""

import math

import msgspec

from agentcomm.conversation.plain import Told
from agentcomm.conversation.plans import Plan

__all__ = ("Speller",)

_encode = msgspec.json.Encoder().encode
_NOBODY = ',"body":""}'


class _Words:
    """What is the same in the records of all messages that make a move, between what differs."""

    __slots__ = ("deadline", "grounded", "heard", "moved")

    def __init__(self, plan: Plan) -> None:
        act, speaker, to = _quoted(plan.label), _quoted(plan.speaker), _encode(plan.to).decode()
        source, target = _quoted(plan.source), _quoted(plan.target)
        self.heard = f',"overlay":"","act":{act},"sender":{speaker},"receivers":{to},"in_reply_to":'
        grounds = f',"act":{act},"criterion":"delivered","evidence":["delivered"],"lane":""}}{_NOBODY}'
        self.grounded = grounds if plan.grounds else ""
        moved = f',"type":"moved","data":{{"act":{act},"by":{speaker},"state":{source},"next":{target}'
        self.moved = f'{moved},"message":'
        self.deadline = f',"lane":""}}{_NOBODY},"type":"deadline","data":{{"state":{target},"at":'


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return _encode(text).decode()


class Speller:
    """Spells out what happened by one plain move after another, in a talk with one position."""

    __slots__ = ("_changed", "_name", "_names", "_said")

    def __init__(self) -> None:
        self._name, self._said = "", '""'
        self._names: dict[str, str] = {}
        """What tells how messages were made -> the same as it is written."""
        self._changed: dict[tuple[str, ...], str] = {}
        """Act, debtor, creditor, status before and now -> the record of a commitment, behind its id."""

    def tails(self, told: Told, body: str) -> tuple[int, str]:
        """Return how many records tell what happened, and these from their types on; 0 where not all are of this kind.

        Args:
            told: What happened, by a message that is not said in a lane.
            body: Name of the message's content, as the input has it; a hash.
        """
        plan, it = told.plan, told.message
        if told.lane or told.ending or not told.is_first:
            return 0, ""
        words = plan.words
        if words is None:
            words = plan.words = _Words(plan)
        before, was_said = self._name, self._said
        reply = it.in_reply_to
        self._name = it.id
        name = self._said = _quoted(it.id)
        reply = (was_said if reply == before else _quoted(reply)) if reply else '""'
        made_by = self._names.get(it.made_by)
        if made_by is None:
            made_by = self._names[it.made_by] = _quoted(it.made_by)
        count, changes = 2, ""
        for change in told.changes:
            now, was = change.now, change.was
            key = now.act, now.debtor, now.creditor, "" if was is None else was.status, now.status
            changed = self._changed.get(key)
            if changed is None:
                changed = self._changed[key] = _changed(*key)
            about = name if now.id == it.id else _quoted(now.id)
            changes = f'{changes},"type":"commitment","data":{{"id":{about}{changed}'
            count += 1
        grounded = words.grounded
        if grounded:
            grounded = f',"type":"grounded","data":{{"message":{name}{grounded}'
            count += 1
        if told.deadline < math.inf:
            end = f'{words.deadline}{_encode(told.deadline).decode()},"lane":""}},"body":""}}'
            count += 1
        else:
            end = ',"lane":""},"body":""}'
        return count, (
            f',"type":"heard","data":{{"n":{told.n},"message":{name}{words.heard}{reply},"about":"","made_by":{made_by}'
            f',"lane":""}},"body":"{body}"}}{grounded}{changes}{words.moved}{name}{end}'
        )


def _changed(act: str, debtor: str, creditor: str, was: str, now: str) -> str:
    about = f',"act":{_quoted(act)},"debtor":{_quoted(debtor)},"creditor":{_quoted(creditor)}'
    return f'{about},"was":{_quoted(was)},"now":{_quoted(now)},"lane":""}}{_NOBODY}'
