"""Draw a protocol as a table, as a mermaid state diagram, as a graphviz graph or as a picture, from the tables the engine obeys."""

from agentcomm.errors import UsageError
from agentcomm.protocol.draw_graph import draw_dot, draw_mermaid
from agentcomm.protocol.draw_svg import draw_svg
from agentcomm.protocol.draw_table import draw_table
from agentcomm.protocol.drawn import Drawn
from agentcomm.protocol.layout import Layout, lay_out
from agentcomm.protocol.picture import Picture, picture
from agentcomm.protocol.view import DrawnView, view_picture, view_table

__all__ = ("FORMS", "draw", "draw_view")

FORMS = ("table", "mermaid", "dot", "svg")


def draw(protocol: Drawn, spec: str, *, expand: bool = False, layout: Layout = lay_out) -> str:
    """Return a protocol as text, without a line end at its end.

    Args:
        protocol: What to draw.
        spec: `table`, `mermaid`, `dot` or `svg`.
        expand: Draw the states of the protocols that it runs.
        layout: Decides where everything stands in an `svg`.

    Raises:
        UsageError: If `spec` is none of these.
    """
    return (
        draw_table(protocol, expand=expand)
        if spec == "table"
        else _draw(picture(protocol, expand=expand), spec, layout)
    )


def draw_view(view: DrawnView, spec: str, *, layout: Layout = lay_out) -> str:
    """Return a protocol as one role sees it, as text without a line end at its end.

    Args:
        view: What to draw (`project`).
        spec: `table`, `mermaid`, `dot` or `svg`.
        layout: Decides where everything stands in an `svg`.

    Raises:
        UsageError: If `spec` is none of these.
    """
    return view_table(view) if spec == "table" else _draw(view_picture(view), spec, layout)


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
