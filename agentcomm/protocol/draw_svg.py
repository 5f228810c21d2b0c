"""A protocol as a picture in SVG: without fonts, scripts or anything else from outside, for light and dark."""

from collections.abc import Iterable, Sequence
from textwrap import wrap
from unicodedata import east_asian_width

from agentcomm.acts.content import printable
from agentcomm.errors import UsageError
from agentcomm.protocol.layout import Layout, Line, Rect, Size, lay_out
from agentcomm.protocol.picture import Arrow, Box, Picture

__all__ = ("draw_svg",)

BODY, SMALL, HEAD = 13.0, 11.5, 17.0
MARGIN = 24.0
LEADING = 1.35
PADDING = (14.0, 9.0)
NARROW, WIDE = "iljI.,:;'|!", "mwMW@%…→"

_STYLE = """\
:root{color-scheme:light dark}
svg{--bg:#fff;--ink:#1b2330;--faint:#5b6675;--line:#8793a3;--box:#f4f6f9;--edge:#aab4c2;--own:#dcebff;--ownedge:#4a86d8;
--good:#d9f2df;--goodedge:#3f9a58;--part:#d8f1ef;--partedge:#2f8f88;--no:#fdecc8;--noedge:#b98118;--bad:#fbdcd9;
--badedge:#c5483d;--late:#e6e8ec;--lateedge:#7b8696;--open:#e2e3fb;--openedge:#6468c9}
@media (prefers-color-scheme:dark){svg{--bg:#14181f;--ink:#e8ecf2;--faint:#9ba6b5;--line:#77849a;--box:#222935;--edge:#4a5568;
--own:#1d3557;--ownedge:#5b96e6;--good:#173d24;--goodedge:#4fb56d;--part:#123c39;--partedge:#3fb0a7;--no:#43330f;
--noedge:#d19a2b;--bad:#4a1f1c;--badedge:#e0665b;--late:#2a303a;--lateedge:#8a95a5;--open:#2a2b52;--openedge:#8387e0}}
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:var(--ink)}
.s{font-size:11.5px;fill:var(--faint)}.h{font-size:17px;font-weight:600}.m{text-anchor:middle}.b{font-weight:600}
.bg{fill:var(--bg)}.box{fill:var(--box);stroke:var(--edge);stroke-width:1.2}.own{fill:var(--own);stroke:var(--ownedge)}
.a{fill:none;stroke:var(--line);stroke-width:1.3}.d{stroke-dasharray:5 4}.tip{fill:var(--line)}
.gather{stroke:var(--edge);stroke-width:4}
""" + "".join(
    f".{kinds}{{fill:var(--{colour});stroke:var(--{colour}edge)}}"
    for kinds, colour in (
        ("success", "good"),
        ("partial", "part"),
        ("refused,.rejected", "no"),
        ("failed,.aborted", "bad"),
        ("expired,.cancelled", "late"),
        ("undecided", "open"),
    )
)

Point = tuple[float, float]
_ROLE = 'role="img" aria-labelledby="t"'
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 .6 8 4 0 7.4z"/></marker></defs>'
)
MOST = 250
"""Boxes in a picture."""
PORT = 16.0
"""Room for one arrow at the edge of a box."""
STACK = 6.0
"""How far the boxes behind one reach out."""


def draw_svg(picture: Picture, layout: Layout = lay_out, *, marked: bool = False) -> str:
    """Return a picture as SVG.

    Args:
        picture: What to draw.
        layout: Decides where everything stands.
        marked: Name each box and arrow (`data-state`, `data-from`, `data-to`), for a page that lights them.

    Raises:
        UsageError: If there is too much to be drawn.
    """
    shown = picture.plain()
    if len(shown.boxes) > MOST:
        raise UsageError(
            f"{len(shown.boxes)} states and outcomes are too many for a picture",
            why=f"with more than {MOST} nobody sees anything",
            fix="draw one role with --role, or take --as table",
            code="U443",
        )
    sizes = {name: _box_size(box, _most(shown, name)) for name, box in shown.boxes.items()}
    arrows = [(arrow.source, arrow.target, _words_size(arrow)) for arrow in shown.arrows]
    placed = layout(sizes, arrows, shown.start)
    head = _head(shown, max(placed.width, 420.0))
    top = MARGIN + head[0] + 38
    width = 2 * MARGIN + max(placed.width, head[2])
    foot = [line for note in shown.notes for line in wrap(note, max(56, int((width - 2 * MARGIN) / 6.6)))]
    width = max(width, *(2 * MARGIN + _long(line, SMALL) for line in foot), 0.0)
    left = (width - placed.width) / 2
    height = top + placed.height + 20 + len(foot) * SMALL * LEADING + MARGIN
    across, down = f'width="{width:.0f}"', f'height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {across} {down} {_ROLE}>',
        f'<title id="t">{_text(shown.name)}</title>',
        f"<style>{_STYLE}</style>",
        _TIP,
        f'<rect class="bg" {across} {down}/>',
        head[1],
        f'<g transform="translate({left:.1f} {top:.1f})">',
        *(_arrow(arrow, line, marked) for arrow, line in zip(shown.arrows, placed.lines, strict=True)),
        _begin(placed.boxes[shown.start]),
        *(_mark(name, _box(box, placed.boxes[name]), marked) for name, box in shown.boxes.items()),
        *(_words(arrow, line) for arrow, line in zip(shown.arrows, placed.lines, strict=True)),
        "</g>",
        *_lines(foot, MARGIN, top + placed.height + 20, SMALL, ("s",)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


# --- sizes ---


def _text(text: str) -> str:
    safe = printable(text)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _long(text: str, size: float) -> float:
    """Return the width of a text, with room for a broad font."""
    return sum(_broad(character) for character in printable(text)) * size


def _broad(character: str) -> float:
    if character in NARROW:
        return 0.33
    if character in 'ftr()[]/-" ':
        return 0.41
    if character in WIDE:
        return 0.93
    if east_asian_width(character) in "WF":
        return 1.05
    return 0.72 if character.isupper() else 0.61


def _most(picture: Picture, name: str) -> int:
    """Return how many arrows may stand side by side at one edge of a box."""
    out = sum(arrow.source == name != arrow.target for arrow in picture.arrows)
    return max(out, sum(arrow.target == name != arrow.source for arrow in picture.arrows))


def _box_size(box: Box, arrows: int) -> Size:
    long = max([_long(box.name, BODY) * 1.06, *(_long(line, SMALL) for line in box.lines)])
    extra = 10 if box.kind != "state" else 0
    height = BODY * LEADING + len(box.lines) * SMALL * LEADING + 2 * PADDING[1]
    stack = STACK if box.many else 0
    return max(64.0, long + 2 * PADDING[0] + extra, 24.0 + arrows * PORT) + stack, height + stack


def _words_size(arrow: Arrow) -> Size:
    long = max((_long(word.text, SMALL if word.faint else BODY) for word in arrow.words), default=0.0)
    return long + 8, sum((SMALL if word.faint else BODY) * LEADING for word in arrow.words) + 2


# --- parts ---


def _head(picture: Picture, width: float) -> tuple[float, str, float]:
    """Return height, text and width of what stands above the drawing."""
    about = wrap(picture.about, max(50, int(width / 6.8)))
    lines = [
        f'<text class="h" x="{MARGIN:.0f}" y="{MARGIN + HEAD:.0f}">{_text(picture.name)}</text>',
        *_lines(about, MARGIN, MARGIN + HEAD + 8, BODY, ()),
    ]
    long = max([_long(picture.name, HEAD) * 1.08, *(_long(line, BODY) for line in about)])
    return HEAD + 8 + len(about) * BODY * LEADING, "\n".join(lines), long


def _lines(texts: Iterable[str], x: float, y: float, size: float, classes: Iterable[str]) -> Iterable[str]:
    kinds = " ".join(classes)
    for number, text in enumerate(texts):
        base = y + size + number * size * LEADING
        yield f'<text{f" class={chr(34)}{kinds}{chr(34)}" if kinds else ""} x="{x:.1f}" y="{base:.1f}">{_text(text)}</text>'


def _begin(rect: Rect) -> str:
    x, y = rect.x, rect.y
    return (
        f'<circle class="tip" cx="{x:.1f}" cy="{y - 24:.1f}" r="5"/>'
        f'<path class="a" marker-end="url(#tip)" d="M{x:.1f} {y - 19:.1f}V{y - 1:.1f}"/>'
    )


def _box(box: Box, rect: Rect) -> str:
    stack = STACK if box.many else 0
    x, y, width, height = rect.x - rect.width / 2, rect.y + stack, rect.width - stack, rect.height - stack
    middle = x + width / 2
    kind = box.outcome_class if box.kind == "outcome" else "own" if box.own else ""
    radius = height / 2 if box.kind == "outcome" else 7
    classes = f"box {kind}".strip()

    def outline(dx: float, dy: float) -> str:
        place = f'x="{x + dx:.1f}" y="{y + dy:.1f}" width="{width:.1f}" height="{height:.1f}"'
        return f'<rect class="{classes}" {place} rx="{radius:.1f}"/>'

    parts = [outline(STACK, -STACK), outline(STACK / 2, -STACK / 2)] if box.many else []
    parts.append(outline(0, 0))
    if box.kind == "run":
        sides = (x + 6, x + width - 6)
        parts += [f'<path class="box" d="M{side:.1f} {y:.1f}v{height:.1f}"/>' for side in sides]
    if box.gather:
        parts.append(f'<path class="gather" d="M{x + 7:.1f} {y:.1f}h{width - 14:.1f}"/>')
    parts += _lines([box.name], middle, y + PADDING[1] - 2, BODY, ("m", "b"))
    parts += _lines(box.lines, middle, y + PADDING[1] - 2 + BODY * LEADING, SMALL, ("m", "s"))
    return "".join(parts)


def _mark(name: str, box: str, marked: bool) -> str:
    return f'<g data-state="{_text(name)}">{box}</g>' if marked else box


def _arrow(arrow: Arrow, line: Line, marked: bool) -> str:
    style = "a d" if arrow.kind == "deadline" else "a"
    path = "".join(_curve(way) if line.curved else _steps(way) for way in line.ways)
    ends = f' data-from="{_text(arrow.source)}" data-to="{_text(arrow.target)}"' if marked else ""
    return f'<path class="{style}"{ends} marker-end="url(#tip)" d="{path}"/>'


def _curve(way: Sequence[Point]) -> str:
    (x, y), *rest = way
    return f"M{x:.1f} {y:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)


def _steps(way: Sequence[Point]) -> str:
    (x, y), *rest = way
    path = [f"M{x:.1f} {y:.1f}"]
    for nx, ny in rest:
        middle = (y + ny) / 2
        straight = abs(nx - x) < 0.5  # noqa: PLR2004  (half a pixel)
        curve = f"C{x:.1f} {middle:.1f} {nx:.1f} {middle:.1f} {nx:.1f} {ny:.1f}"
        path.append(f"V{ny:.1f}" if straight else curve)
        x, y = (x if straight else nx), ny
    return "".join(path)


def _words(arrow: Arrow, line: Line) -> str:
    if not arrow.words:
        return ""
    parts, rect = list[str](), line.words
    if not line.curved:
        place = f'x="{rect.x - rect.width / 2:.1f}" y="{rect.y:.1f}" width="{rect.width:.1f}" height="{rect.height:.1f}"'
        parts.append(f'<rect class="bg" {place} rx="3"/>')
    y = rect.y
    for word in arrow.words:
        size = SMALL if word.faint else BODY
        faint = word.faint or arrow.kind != "move"
        parts += _lines([word.text], rect.x, y, size, ("m", "s") if faint else ("m",))
        y += size * LEADING
    return "".join(parts)
