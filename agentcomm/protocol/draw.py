"""Draw a protocol as a table, as a mermaid state diagram, as a graphviz graph or as a picture, from the tables the engine obeys."""

from agentcomm.errors import UsageError
from agentcomm.protocol.draw_graph import draw_dot, draw_mermaid
from agentcomm.protocol.draw_svg import draw_svg
from agentcomm.protocol.draw_table import draw_table
from agentcomm.protocol.drawn import Drawn
from agentcomm.protocol.layout import Layout, lay_out
from agentcomm.protocol.picture import picture

__all__ = ("FORMS", "draw")

FORMS = ("table", "mermaid", "dot", "svg")


def draw(
    protocol: Drawn, spec: str, *, role: str = "", expand: bool = False, layout: Layout = lay_out
) -> str:
    """Return a protocol as text, without a line end at its end.

    Args:
        protocol: What to draw.
        spec: `table`, `mermaid`, `dot` or `svg`.
        role: Only what this role says and hears.
        expand: Draw the states of the protocols that it runs.
        layout: Decides where everything stands in an `svg`.

    Raises:
        UsageError: If `spec` is none of these, or there is no such role.
    """
    if role and role not in protocol.roles:
        raise UsageError(
            f"{protocol.name} has no role '{role}'",
            fix=f"its roles are {', '.join(protocol.roles)}",
            code="U420",
        )
    match spec:
        case "table":
            return draw_table(protocol, role=role, expand=expand)
        case "mermaid":
            return draw_mermaid(picture(protocol, role=role, expand=expand))
        case "dot":
            return draw_dot(picture(protocol, role=role, expand=expand))
        case "svg":
            return draw_svg(picture(protocol, role=role, expand=expand), layout)
        case _:
            raise UsageError(f"a protocol cannot be drawn as '{spec}'", fix=f"say {', '.join(FORMS)}")
