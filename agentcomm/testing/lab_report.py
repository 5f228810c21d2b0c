"""What the laboratory found, for people and for other programs: a table, CSV, and a drawing."""

import csv
import io
import math
from collections.abc import Sequence
from html import escape

from agentcomm.testing.lab import MEASURES, Cell, Estimate

__all__ = ("as_csv", "as_svg", "as_table")

_SHOWN = (
    ("undetected", "undetected"),
    ("caught", "caught"),
    ("ungrounded", "ungrounded"),
    ("on_trust", "on trust"),
    ("extra_turns", "extra turns"),
    ("extra_words", "extra words"),
    ("false_alarms", "false alarms"),
    ("needless", "needless asks"),
    ("repair_success", "repairs mend"),
    ("loops", "loops"),
    ("done", "done"),
    ("cost", "cost"),
    ("net_value", "net value"),
    ("tokens", "tokens"),
)
_SHARES = frozenset(
    ["undetected", "caught", "ungrounded", "on_trust", "false_alarms", "repair_success", "loops", "done"]
)


def as_table(cells: Sequence[Cell]) -> str:
    """Return one row for each measure, and one column for each way of grounding, with 95 % intervals."""
    rows = [["", *(cell.grounding for cell in cells)]]
    for name, title in _SHOWN:
        if not any(name in cell.measures for cell in cells):
            continue
        rows.append([title, *(_shown(name, cell.measures[name]) for cell in cells)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _shown(name: str, found: Estimate) -> str:
    if math.isnan(found.value):
        return "-"
    if name in _SHARES:
        return f"{_percent(found.value)} [{_percent(found.low)}, {_percent(found.high)}]"
    if math.isnan(found.low):
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _percent(share: float) -> str:
    text = f"{100 * share:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def as_csv(cells: Sequence[Cell]) -> str:
    """Return one line for each measure of each cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["grounding", "noise", "stakes", "effect", "runs", "seed", "measure", "value", "low", "high", "n"]
    )
    for cell in cells:
        noise = " ".join(f"{kind}={rate:g}" for kind, rate in cell.noise.items())
        for name in filter(cell.measures.__contains__, MEASURES):
            found = cell.measures[name]
            writer.writerow(
                [cell.grounding, noise, cell.stakes, cell.effect, cell.runs, cell.seed, name]
                + ["" if math.isnan(one) else repr(one) for one in (found.value, found.low, found.high)]
                + [found.n]
            )
    return out.getvalue()


_LEFT, _BAR, _ROW, _TOP = 130, 420, 46, 64


_STYLE = """<style>
text { fill: #222 } .b { fill: #c0392b } .t { fill: #2471a3 } .w { stroke: #222 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .w { stroke: #ddd } }
</style>"""


def as_svg(cells: Sequence[Cell]) -> str:
    """Return a drawing: for each way of grounding the conversations with an undetected misunderstanding, and the extra turns."""
    bad = [cell.measures["undetected"] for cell in cells]
    extra = [cell.measures["extra_turns"] for cell in cells]
    most_bad = max([0.01, *(one.high for one in bad)])
    most_extra = max([0.1, *(_top(one) for one in extra)])
    height = _TOP + _ROW * len(cells) + 30
    noise = ", ".join(f"{kind}={rate:g}" for kind, rate in cells[0].noise.items()) or "no noise"
    title = f"{noise}; stakes {cells[0].stakes}; values {cells[0].effect}; {cells[0].runs} conversations each"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _BAR + 190} {height}" role="img" font-family="sans-serif" font-size="13">',
        _STYLE,
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>',
        '<rect class="b" x="8" y="32" width="12" height="12"/><text x="26" y="43">undetected misunderstandings</text>',
        '<rect class="t" x="250" y="32" width="12" height="12"/><text x="268" y="43">extra turns; lines: 95 % intervals</text>',
    ]
    for place, cell in enumerate(cells):
        y = _TOP + place * _ROW
        parts.append(f'<text x="8" y="{y + 22}">{escape(cell.grounding)}</text>')
        parts += _bar(bad[place], most_bad, y + 2, "b", f"{100 * bad[place].value:.2f} %")
        parts += _bar(extra[place], most_extra, y + 20, "t", f"{extra[place].value:.2f}")
    return "\n".join([*parts, "</svg>", ""])


def _top(found: Estimate) -> float:
    return found.value if math.isnan(found.high) else found.high


def _bar(found: Estimate, most: float, y: int, kind: str, text: str) -> list[str]:
    width = max(0.0, found.value) / most * _BAR
    low = width if math.isnan(found.low) else max(0.0, found.low) / most * _BAR
    high = _top(found) / most * _BAR
    return [
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="14" opacity="0.8"/>',
        f'<line class="w" x1="{_LEFT + low:.1f}" x2="{_LEFT + high:.1f}" y1="{y + 7}" y2="{y + 7}"/>',
        f'<text x="{_LEFT + max(width, high) + 8:.1f}" y="{y + 12}">{text}</text>',
    ]
