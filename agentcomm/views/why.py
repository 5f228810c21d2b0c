"""Why a conversation ended as it did: what went wrong, in order, and whether it was put right."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from agentcomm.views.story import Row, Story

__all__ = ("Fault", "Repeated", "Why", "repeated", "why_of")


class Fault(msgspec.Struct, frozen=True):
    """Something that went wrong."""

    row: Row
    what: str
    mended: Row | None
    """The row that put it right."""


class Repeated(msgspec.Struct):
    """The same fault of the same agent, once or again and again."""

    first: Fault
    what: str
    """Without what differs from time to time."""
    times: int
    last: Fault

    @property
    def mended(self) -> str:
        """Whether, and by what, it was put right."""
        first, last = self.first.mended, self.last.mended
        if first is None or last is None:
            return "not put right"
        each = "" if first is last else "each time, the last "
        return f"put right {each}by message {last.n}"


class Why(msgspec.Struct, frozen=True):
    """What a conversation's end came of."""

    ended_well: bool
    end: str
    """Outcome, class and cause; empty while it is open."""
    first: Fault | None
    """The first fault that nobody put right; of a conversation that ended well, none."""
    faults: list[Fault]
    """All of them, in order."""
    decisive: Row | None
    """What was said, or due, last before the end."""


def why_of(story: Story) -> Why:
    """Return what the end of a conversation came of."""
    faults = list(_faults(story))
    end = f"{story.outcome} ({story.outcome_class}): {story.cause}" if story.outcome else ""
    lost = None if story.has_ended_well else next((fault for fault in faults if fault.mended is None), None)
    last = next((row for row in reversed(story.rows) if row.kind in {"said", "expired"}), None)
    return Why(story.has_ended_well, end, lost, faults, last)


_TRIES = re.compile(r" \(\d+ more tr(y|ies)\)$")


def repeated(faults: Iterable[Fault]) -> list[Repeated]:
    """Return faults with those that are the same as one: who made them, what they were, and whether they were put right."""
    found: dict[tuple[str, str, str, str, bool], Repeated] = {}
    for fault in faults:
        row, what = fault.row, _TRIES.sub("", fault.what)
        key = row.by, row.lane, row.act, what, fault.mended is None
        known = found.get(key)
        if known is None:
            found[key] = Repeated(fault, what, 1, fault)
        else:
            known.times, known.last = known.times + 1, fault
    return list(found.values())


def _faults(story: Story) -> Iterator[Fault]:
    rows = story.rows
    for at, row in enumerate(rows):
        if row.kind in {"refused", "late"}:
            yield Fault(row, f"{row.kind}: {row.text}", _said_right(rows, at))
        elif row.kind == "expired":
            yield Fault(row, row.text, None)
        for note in row.notes:
            if note.kind == "bad" and note.code in {"trouble", "judged"}:
                yield Fault(row, note.text, _repaired(rows, at))
            elif note.kind == "bad" and note.code in {"overlay-closed", "commitment"}:
                yield Fault(row, note.text, None)


def _said_right(rows: list[Row], at: int) -> Row | None:
    """Return the row in which who was refused said what counts; what a rule said in its place is not that."""
    row = rows[at]
    for later in islice(rows, at + 1, None):
        if later.lane != row.lane:
            continue
        if later.by == row.by and later.kind == "said":
            return None if later.made_by == "rule" else later
        if later.kind == "expired":
            return None
    return None


def _repaired(rows: list[Row], at: int) -> Row | None:
    for later in islice(rows, at, None):
        closed = next((note for note in later.notes if note.code == "repair-closed"), None)
        if closed is not None and later.lane == rows[at].lane:
            return later if closed.kind == "good" else None
    return None
