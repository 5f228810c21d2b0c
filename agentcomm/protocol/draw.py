"""Draw a protocol as a table, as a mermaid state diagram, as a graphviz graph or as a picture, from the tables the engine obeys."""

from typing import TypeGuard, cast

from agentcomm.errors import UsageError
from agentcomm.protocol.draw_graph import draw_dot, draw_mermaid
from agentcomm.protocol.draw_svg import draw_svg
from agentcomm.protocol.draw_table import draw_table
from agentcomm.protocol.draw_view import DrawnView, view_picture, view_table
from agentcomm.protocol.drawn import Drawn
from agentcomm.protocol.layout import Layout, lay_out
from agentcomm.protocol.picture import Picture, picture

__all__ = ("FORMS", "draw")

FORMS = ("table", "mermaid", "dot", "svg")


def draw(drawn: Drawn | DrawnView, spec: str, *, expand: bool = False, layout: Layout = lay_out) -> str:
    """Return a protocol, or a role's view of one, as text, without a line end at its end.

    Args:
        drawn: What to draw.
        spec: `table`, `mermaid`, `dot` or `svg`.
        expand: Draw the states of the protocols that it runs; a view has them always.
        layout: Decides where everything stands in an `svg`.

    Raises:
        UsageError: If `spec` is none of these.
    """
    if _is_view(drawn):
        return view_table(drawn) if spec == "table" else _draw(view_picture(drawn), spec, layout)
    whole = cast("Drawn", drawn)
    return (
        draw_table(whole, expand=expand)
        if spec == "table"
        else _draw(picture(whole, expand=expand), spec, layout)
    )


def _is_view(drawn: Drawn | DrawnView) -> TypeGuard[DrawnView]:
    return hasattr(drawn, "doubts")


def _draw(drawn: Picture, spec: str, layout: Layout) -> str:
    match spec:
        case "mermaid":
            return draw_mermaid(drawn)
        case "dot":
            return draw_dot(drawn)
        case "svg":
            return draw_svg(drawn, layout)
        case _:
            raise UsageError(f"a protocol cannot be drawn as '{spec}'", fix=f"say {', '.join(FORMS)}")
