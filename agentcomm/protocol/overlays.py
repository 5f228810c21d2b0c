"""Overlays in a document: what makes a protocol one, and which of them a protocol switches off or names itself."""

from collections.abc import Collection, Mapping
from typing import Literal

from agentcomm.protocol.embed import Embedder
from agentcomm.protocol.findings import Report, quoted
from agentcomm.protocol.graph import OutcomeClass, Overlay, Protocol
from agentcomm.protocol.many import RoleSpec
from agentcomm.protocol.shape import Word, unknown
from agentcomm.protocol.spec import OverlaySpec

__all__ = ("NAMES", "overlay_of", "own_overlays")

_Occasion = Literal["any", "readback", "demonstrated"]
_OCCASIONS: tuple[_Occasion, ...] = ("any", "readback", "demonstrated")
_ROLES: Mapping[str, Collection[str]] = {
    "cancel": {"canceller", "other"},
    "escalate": {"sender", "hearer", "authority"},
}
"""By overlay; the roles of all others are `_PAIR`."""
_PAIR: Collection[str] = {"sender", "hearer"}
NAMES: Mapping[str, _Occasion] = {
    "cancel": "any",
    "not-understood": "any",
    "repair": "any",
    "standby": "any",
    "correct": "any",
    "escalate": "any",
    "read-back": "readback",
    "demonstrate": "demonstrated",
}
"""The overlays that every conversation has, and their occasions."""


def overlay_of(
    spec: OverlaySpec, roles: list[RoleSpec], kinds: Collection[OutcomeClass], report: Report
) -> Overlay | None:
    """Return what makes a document an overlay.

    Args:
        spec: As the document says it.
        roles: Its roles.
        kinds: The classes of its outcomes.
        report: Where findings go.
    """
    if spec.on.text not in _OCCASIONS:
        unknown(report, spec.on, "an occasion for an overlay", _OCCASIONS)
        return None
    if {role.name.text for role in roles} not in (_PAIR, *_ROLES.values()) and not any(
        found.kind == "unknown_role" for found in report.found
    ):
        report.add(
            "E102",
            "unknown_role",
            roles[0].name.at if roles else spec.at,
            "the roles of an overlay are [sender, hearer], [sender, hearer, authority], or [canceller, other]",
            why="they are bound to the message it is about: who said it, who heard it, and who decides where the two cannot",
            fix="rename the roles",
        )
    for role in roles:
        if role.members:
            report.add(
                "E704",
                "lanes",
                role.name.at,
                f"the role '{role}' of an overlay is played by one agent",
                why="it is bound to who said or heard one message",
                fix=f"write `{role}: 1`",
            )
    classes = [str(item) for item in OutcomeClass]
    then: dict[str, str] = {}
    for key, value in spec.then:
        if key.text not in (*classes, "otherwise"):
            unknown(report, key, "a class of outcomes", [*classes, "otherwise"])
        elif value.text not in (*classes, "resume", "again"):
            unknown(report, value, "`resume`, `again` or a class of outcomes", ["resume", "again", *classes])
        then[key.text] = value.text
    missing = {str(kind) for kind in kinds} - set(then)
    if missing and then.keys() <= {*classes, "otherwise"} and "otherwise" not in then:
        report.add(
            "E703",
            "composition",
            spec.at,
            f"`then` does not say what follows from {quoted(sorted(missing))}",
            fix="add `otherwise: aborted`",
        )
    return Overlay(spec.on.text, then)


def own_overlays(
    pairs: tuple[tuple[Word, Word], ...], embedder: Embedder, report: Report
) -> dict[str, Protocol | None]:
    """Return the overlays that a protocol names itself, and those that it switches off (None)."""
    found: dict[str, Protocol | None] = {}
    for key, value in pairs:
        if key.text not in NAMES:
            unknown(report, key, "an overlay that conversations have", NAMES)
        elif value.text == "off":
            found[key.text] = None
        elif made := embedder.part(value, report):
            if problem := _misfit(key.text, made.protocol):
                report.add(
                    "E804",
                    "composition",
                    value.at,
                    f"'{value}' cannot be the overlay '{key}'",
                    why=problem,
                    fix=f"write `{key}: off`, or name an overlay for it",
                )
            else:
                found[key.text] = made.protocol
    return found


def _misfit(name: str, protocol: Protocol) -> str:
    """Return why a protocol cannot be that overlay, an empty text if it can."""
    if protocol.overlay is None:
        return "it is not an overlay: it has no `overlay: {on: ...}`"
    if protocol.overlay.on != NAMES[name]:
        return f"it is an overlay on `{protocol.overlay.on}`, not on `{NAMES[name]}`"
    wanted = _ROLES.get(name, _PAIR)
    return "" if set(protocol.roles) == wanted else f"its roles are not {quoted(sorted(wanted))}"
