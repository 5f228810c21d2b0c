"""Two runs, turn by turn: what was said in both, what was said otherwise, and what only one of them has."""

from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from agentcomm.views.story import Row, Story

__all__ = ("Change", "Difference", "diff_stories")

_LONG = 2000
"""Beyond so many rows, the usual ones no longer count as anchors: comparing each with each takes too long."""


class Change(msgspec.Struct, frozen=True):
    """One row of the comparison."""

    kind: Literal["same", "changed", "removed", "added"]
    """Changed: the same act by the same speaker, with other fields or another course."""
    left: Row | None
    right: Row | None
    fields: list[tuple[str, str, str]] = []
    """Name, left and right, of every field that differs; empty where a side has none."""
    course: list[tuple[str, str]] = []
    """What came of it, left and right, where it differs: notes and positions."""
    prompt: list[str] = []
    """Labels of the pieces of the last prompt that differ."""


class Difference(msgspec.Struct, frozen=True):
    """How two runs differ."""

    facts: list[tuple[str, str, str]]
    """Protocol, cast, outcome and the like, left and right, where they differ."""
    changes: list[Change]
    """All rows, in order."""

    @property
    def first(self) -> Change | None:
        """The first row that is not the same."""
        return next((change for change in self.changes if change.kind != "same"), None)

    @property
    def same(self) -> bool:
        """Whether the same was said, with the same outcome, by the same cast."""
        return not self.facts and self.first is None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "same": self.same,
            "facts": [{"what": what, "left": left, "right": right} for what, left, right in self.facts],
            "changes": [_plain(change) for change in self.changes],
        }


def diff_stories(left: Story, right: Story) -> Difference:
    """Return how two runs differ; ids, times and salts do not count, for no two runs share them."""
    rows = [[row for row in story.rows if row.kind not in {"note", "ended"}] for story in (left, right)]
    keys = [[_key(row) for row in side] for side in rows]
    changes: list[Change] = []
    largest = max(map(len, keys))
    for tag, a, b, c, d in SequenceMatcher(None, *keys, autojunk=largest > _LONG).get_opcodes():
        if tag == "equal":
            changes += [_paired(one, other) for one, other in zip(rows[0][a:b], rows[1][c:d], strict=True)]
        else:
            changes += [Change("removed", row, None) for row in rows[0][a:b]]
            changes += [Change("added", None, row) for row in rows[1][c:d]]
    return Difference(list(_facts(left, right)), changes)


def _key(row: Row) -> tuple[str, ...]:
    return row.kind, row.by, row.lane, row.act, row.overlay


def _facts(left: Story, right: Story) -> list[tuple[str, str, str]]:
    pairs = [
        ("protocol", f"{left.protocol} {left.version}", f"{right.protocol} {right.version}"),
        ("protocol's hash", left.hash, right.hash),
        ("outcome", *(f"{story.outcome} ({story.outcome_class})" for story in (left, right))),
        ("cause", left.cause, right.cause),
        ("members", ", ".join(left.members), ", ".join(right.members)),
    ]
    casts = [{p.role: f"{p.agent} {p.model}".rstrip() for p in story.players} for story in (left, right)]
    pairs += [
        (f"who plays {role}", casts[0].get(role, ""), casts[1].get(role, ""))
        for role in dict.fromkeys((*casts[0], *casts[1]))
    ]
    return [(what, one, other) for what, one, other in pairs if one != other]


def _paired(left: Row, right: Row) -> Change:
    one, other = dict(left.fields), dict(right.fields)
    fields = [
        (name, one.get(name, ""), other.get(name, ""))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) != other.get(name)
    ]
    if left.text != right.text:
        fields.append(("", left.text, right.text))
    courses = _course(left), _course(right)
    course = (
        []
        if courses[0] == courses[1]
        else [("; ".join(courses[0]) or "nothing", "; ".join(courses[1]) or "nothing")]
    )
    kind = "changed" if fields or course else "same"
    return Change(kind, left, right, fields, course, _prompt(left, right))


def _course(row: Row) -> list[str]:
    moves = [f"{before} → {after}" for _, before, after, _ in row.moved]
    return [*moves, *(note.text for note in row.notes if note.kind != "dim")]


def _prompt(left: Row, right: Row) -> list[str]:
    """Return the labels of pieces that only one of the two last prompts has."""
    sides: list[dict[str, str]] = []
    for row in (left, right):
        asked = [call for call in row.calls if call.kind == "model"]
        segments = asked[-1].request.get("segments", ()) if asked else ()
        sides.append({segment["hash"]: segment["label"] for segment in segments})
    only = [*(sides[0].keys() - sides[1].keys()), *(sides[1].keys() - sides[0].keys())]
    return sorted({(sides[0] | sides[1])[piece] for piece in only})


def _plain(change: Change) -> dict[str, Any]:
    row = change.left or change.right
    return {
        "kind": change.kind,
        "left": change.left.n if change.left else None,
        "right": change.right.n if change.right else None,
        "by": row.by if row else "",
        "act": row.act if row else "",
        "lane": row.lane if row else "",
        "what": row.kind if row else "",
        "fields": [{"name": name, "left": one, "right": other} for name, one, other in change.fields],
        "course": [{"left": one, "right": other} for one, other in change.course],
        "prompt": change.prompt,
    }
