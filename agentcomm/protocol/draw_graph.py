"""A protocol in the drawing languages of mermaid and of graphviz: every arrow of its own, every deadline shown."""

from agentcomm.protocol.picture import Arrow, Box, Picture

__all__ = ("draw_dot", "draw_mermaid")

FILLS = {
    "success": "#d9f2df",
    "partial": "#d8f1ef",
    "refused": "#fdecc8",
    "rejected": "#fdecc8",
    "failed": "#fbdcd9",
    "aborted": "#fbdcd9",
    "expired": "#e6e8ec",
    "cancelled": "#e6e8ec",
    "undecided": "#e2e3fb",
}
"""Of outcomes, by class."""


def draw_mermaid(picture: Picture) -> str:
    """Return a picture as a mermaid state diagram."""
    ids = {name: f"s{number}" for number, name in enumerate(picture.boxes)}
    lines = ["stateDiagram-v2"]
    lines += [
        f"    state {_quoted(_mermaid_name(box))} as {ids[name]}" for name, box in picture.boxes.items()
    ]
    lines.append(f"    [*] --> {ids[picture.start]}")
    lines += [
        f"    {ids[arrow.source]} --> {ids[arrow.target]} : {_plain(', '.join(_words(arrow, picture)))}"
        for arrow in picture.arrows
    ]
    ends = [name for name, box in picture.boxes.items() if box.kind == "outcome"]
    lines += [f"    {ids[name]} --> [*]" for name in ends]
    classes = dict.fromkeys(picture.boxes[name].outcome_class for name in ends)
    lines += [f"    classDef {kind} fill:{FILLS[kind]},color:#1b2330" for kind in classes]
    lines += [f"    class {ids[name]} {picture.boxes[name].outcome_class}" for name in ends]
    return "\n".join(lines)


def draw_dot(picture: Picture) -> str:
    """Return a picture as a graphviz graph."""
    ids = {name: f"s{number}" for number, name in enumerate(picture.boxes)}
    lines = [
        f"digraph {_quoted(picture.name)} {{",
        "  rankdir=TB;",
        '  node [shape=box, style="rounded,filled", fillcolor="#f4f6f9", fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=11];',
        "  start [shape=point];",
    ]
    lines += [f"  {ids[name]} [{_dot_box(box)}];" for name, box in picture.boxes.items()]
    lines.append(f"  start -> {ids[picture.start]};")
    for arrow in picture.arrows:
        style = ", style=dashed" if arrow.kind == "deadline" else ""
        label = _quoted("\n".join(_words(arrow, picture)))
        lines.append(f"  {ids[arrow.source]} -> {ids[arrow.target]} [label={label}{style}];")
    return "\n".join([*lines, "}"])


def _words(arrow: Arrow, picture: Picture) -> list[str]:
    """Return the words of an arrow; of a move, with who says it."""
    box = picture.boxes[arrow.source]
    first, *rest = [word.text for word in arrow.words]
    if arrow.kind == "move" and ": " not in first and box.lines:
        first = f"{first} ({box.lines[0].partition(',')[0]})"
    return [first, *rest]


def _mermaid_name(box: Box) -> str:
    if box.kind == "outcome":
        return f"{box.name} ({box.outcome_class})"
    runs = f": {', '.join(box.lines)}" if box.kind == "run" else ""
    lanes = " (each)" if box.many else ""
    gathers = " (gather)" if box.gather else ""
    return f"{box.name}{runs}{gathers or lanes}"


def _dot_box(box: Box) -> str:
    if box.kind == "outcome":
        label = _quoted(f"{box.name} ({box.outcome_class})")
        return f'label={label}, shape=oval, style=filled, fillcolor="{FILLS[box.outcome_class]}"'
    label = _quoted("\n".join([box.name, *box.lines]))
    extra = ", peripheries=2" if box.kind == "run" or box.many else ""
    extra += ', fillcolor="#dcebff"' if box.own else ""
    return f"label={label}{extra}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _plain(text: str) -> str:
    """Return text that mermaid takes as a label: what it reads as syntax is written as an entity."""
    return "".join(f"#{ord(character)};" if character in '#;:{}<>"%' else character for character in text)
