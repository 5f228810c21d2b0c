"""A conversation in Mermaid: who said what to whom, and the way it took through its protocol."""

import re
from collections import Counter
from collections.abc import Iterator

from agentcomm.protocol.draw_graph import draw_mermaid
from agentcomm.protocol.picture import Picture
from agentcomm.views.story import Row, Story

__all__ = ("path_diagram", "sequence_diagram")

_WORDS = re.compile(r"[\w-]+")
_SYNTAX = frozenset('#;<>"%&{}`\\')
_LONGEST = 60
"""Characters of content in a label."""


def sequence_diagram(story: Story) -> str:
    """Return the talk as a Mermaid sequence diagram: overlays as boxes, refusals as crossed arrows, repairs and ends as notes."""
    parties = _parties(story)
    ids = {name: f"p{number}" for number, name in enumerate(parties)}
    lines = ["sequenceDiagram", "    autonumber"]
    lines += [f"    participant {ids[name]} as {_text(label)}" for name, label in parties.items()]
    everybody = f"{next(iter(ids.values()), 'p0')}{f',{list(ids.values())[-1]}' if len(ids) > 1 else ''}"
    overlay = ""
    for row in story.rows:
        now = f"{row.overlay}, message {row.about}" if row.overlay else ""
        if row.kind == "said" and now != overlay:
            if overlay:
                lines.append("    end")
            if now:
                lines.append(f"    opt {_text(now)}")
            overlay = now
        lines += [f"    {line}" for line in _row(story, row, ids, everybody)]
    if overlay:
        lines.append("    end")
    return "\n".join(lines)


def path_diagram(story: Story, picture: Picture) -> str:
    """Return the protocol's graph in Mermaid, with the arrows taken (and how often) and the places it ended in.

    Args:
        story: What happened.
        picture: The protocol.
    """
    lines = draw_mermaid(picture).split("\n")
    ids = {name: f"s{number}" for number, name in enumerate(picture.boxes)}
    arrows = [n for n, line in enumerate(lines) if " --> " in line and "[*]" not in line]
    taken, been = _taken(story, picture)
    for at, arrow in zip(arrows, range(len(picture.arrows)), strict=True):
        if taken[arrow]:
            lines[at] += f" ✓{f' x{taken[arrow]}' if taken[arrow] > 1 else ''}"
    last: dict[str, str] = {}
    for row in story.rows:
        for lane, _, state, _ in row.moved:
            if lane:
                last.pop("", None)
            last[lane] = state
    here = {_box(state, picture) for state in last.values()}
    lines.append("    classDef been stroke:#2563c9,stroke-width:3px")
    lines.append("    classDef here stroke:#b3261e,stroke-width:5px")
    lines += [f"    class {ids[name]} been" for name in picture.boxes if name in been - here]
    lines += [f"    class {ids[name]} here" for name in picture.boxes if name in here]
    return "\n".join(lines)


def _taken(story: Story, picture: Picture) -> tuple[Counter[int], set[str]]:
    """Return how often each arrow was taken, by its place in the picture, and the boxes the talk was in."""
    ways: dict[tuple[str, str], list[int]] = {}
    for number, arrow in enumerate(picture.arrows):
        ways.setdefault((arrow.source, arrow.target), []).append(number)
    taken: Counter[int] = Counter()
    been = {picture.start}
    for row in story.rows:
        for _, before, after, act in row.moved:
            source, target = _box(before, picture), _box(after, picture)
            been.add(target)
            for number in ways.get((source, target), ()):
                arrow = picture.arrows[number]
                says = act in _WORDS.findall(arrow.words[0].text) if act else row.kind == "expired"
                if (arrow.kind == "deadline") == (row.kind == "expired") and (says or arrow.kind == "run"):
                    taken[number] += 1
    return taken, been


def _box(state: str, picture: Picture) -> str:
    """Return the box of a state; a state of a protocol that is drawn as one box is in that box."""
    return state if state in picture.boxes else state.partition("/")[0]


def _parties(story: Story) -> dict[str, str]:
    """Return label by role, or by member for the many-role, in order of appearance."""
    names = story.names()
    found: dict[str, str] = {}
    for row in story.rows:
        for role in (row.by, *row.to):
            party = _party(row, role, names)
            if party and party not in found:
                name = names.get(party, party)
                found[party] = name if name == party else f"{name} ({party})"
    return found


def _party(row: Row, role: str, names: dict[str, str]) -> str:
    return role if role in names or not row.lane else row.lane


def _row(story: Story, row: Row, ids: dict[str, str], everybody: str) -> Iterator[str]:
    names = story.names()
    by = ids.get(_party(row, row.by, names), "")
    match row.kind:
        case "said" if by:
            label = _text(f"{row.act} {_fields(row)}".strip())
            for role in row.to or [row.by]:
                yield f"{by}{'-->>' if row.overlay else '->>'}{ids[_party(row, role, names)]}: {label}"
        case "refused" | "late" | "superseded" if by:
            yield f"{by}-x{by}: {_text(f'{row.act} {row.kind}')}"
            yield f"Note over {by}: {_text(_short(row.text))}"
        case "expired" | "ended":
            yield f"Note over {everybody}: {_text(_short(row.text))}"
        case _:
            pass
    for note in row.notes:
        if note.kind == "bad" or note.code in {"repair-closed", "owner", "lane-ended"}:
            yield f"Note over {by or everybody}: {_text(_short(note.text))}"


def _fields(row: Row) -> str:
    return _short(", ".join(f"{name}={text}" for name, text in row.fields))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _text(text: str) -> str:
    """Return a label: what Mermaid reads as syntax, or a browser as markup, is written as an entity."""
    return "".join(f"#{ord(c)};" if c in _SYNTAX else c for c in " ".join(text.split()))
