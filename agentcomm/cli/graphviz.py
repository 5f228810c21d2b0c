"""Let Graphviz, where it is installed, decide where everything stands in a drawing."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from agentcomm.errors import InputError
from agentcomm.protocol.layout import Line, Placed, Rect, Size

__all__ = ("has_graphviz", "lay_out")

_POINTS = 72.0
"""Points in an inch: Graphviz counts in inches."""
_PATIENCE = 60.0

Point = tuple[float, float]


def has_graphviz() -> bool:
    """Whether the command `dot` is there."""
    return shutil.which("dot") is not None


def lay_out(sizes: Mapping[str, Size], arrows: Sequence[tuple[str, str, Size]], start: str) -> Placed:
    """Return where everything stands; the words on an arrow are a node on its way, so that nothing covers them.

    Raises:
        InputError: If Graphviz is not there, or fails.
    """
    ids = {
        name: f"n{number}" for number, name in enumerate((start, *(name for name in sizes if name != start)))
    }
    graph = ["digraph {", "nodesep=0.3; ranksep=0.25; node [shape=box, fixedsize=true]; edge [dir=none];"]
    graph += [_node(key, sizes[name]) for name, key in ids.items()]
    for number, (source, target, size) in enumerate(arrows):
        graph.append(_node(f"w{number}", size))
        graph.append(f"{ids[source]} -> w{number} -> {ids[target]};")
    return _read(_run("\n".join([*graph, "}"])), sizes, ids, arrows)


def _node(key: str, size: Size) -> str:
    width, height = size
    return f"{key} [width={width / _POINTS:.3f}, height={height / _POINTS:.3f}];"


def _run(graph: str) -> str:
    command = shutil.which("dot") or "dot"
    try:
        done = subprocess.run(  # noqa: S603  (Graphviz; what goes in is numbers)
            [command, "-Tplain"], input=graph, capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(
            "Graphviz does not lay the drawing out", why=str(error), where="dot", fix="add --layout own"
        ) from error
    return done.stdout


def _read(
    text: str, sizes: Mapping[str, Size], ids: Mapping[str, str], arrows: Sequence[tuple[str, str, Size]]
) -> Placed:
    """Read Graphviz's plain output; its origin is at the lower left."""
    nodes: dict[str, Point] = {}
    edges: dict[tuple[str, str], list[Point]] = {}
    width = height = 0.0
    for line in text.splitlines():
        word, *rest = line.split()
        if word == "graph":
            width, height = float(rest[1]) * _POINTS, float(rest[2]) * _POINTS
        elif word == "node":
            nodes[rest[0]] = (float(rest[1]) * _POINTS, height - float(rest[2]) * _POINTS)
        elif word == "edge":
            count = int(rest[2])
            numbers = [float(part) * _POINTS for part in rest[3 : 3 + 2 * count]]
            edges[rest[0], rest[1]] = [
                (x, height - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)
            ]
    boxes = {name: _rect(nodes[key], sizes[name]) for name, key in ids.items()}
    lines = [
        Line(
            (tuple(edges[ids[source], f"w{number}"]), tuple(edges[f"w{number}", ids[target]])),
            _rect(nodes[f"w{number}"], size),
            curved=True,
        )
        for number, (source, target, size) in enumerate(arrows)
    ]
    return Placed(width, height, boxes, lines)


def _rect(middle: Point, size: Size) -> Rect:
    return Rect(middle[0], middle[1] - size[1] / 2, *size)
