"""What stands in a drawing, before it is decided how it looks: boxes, arrows and the words on them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from agentcomm.acts.content import format_duration
from agentcomm.protocol.drawn import Drawn, DrawnMove, DrawnRun, DrawnState

__all__ = (
    "Arrow",
    "Box",
    "Picture",
    "Word",
    "classes",
    "details",
    "head",
    "limit",
    "overlays",
    "picture",
    "roles_of",
    "settling",
)


Place = Callable[[str], str]
"""From a state of the tables to the box it stands in."""


@dataclass(frozen=True, slots=True)
class Word:
    """A line on an arrow."""

    text: str
    faint: bool = False
    """It adds to the line before."""


@dataclass(frozen=True, slots=True)
class Box:
    """A state, a run or an outcome."""

    name: str
    lines: tuple[str, ...] = ()
    """Below its name."""
    kind: Literal["state", "run", "outcome"] = "state"
    outcome_class: str = ""
    many: bool = False
    """Each member of the many-role has its own position here."""
    gather: bool = False
    own: bool = False
    """The role whose view it is may speak here."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """What leads from one box to another."""

    source: str
    target: str
    words: tuple[Word, ...]
    kind: Literal["move", "deadline", "run"] = "move"
    usual: bool = False
    """A deadline that leads where deadlines lead when nothing else is said."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn."""

    name: str
    about: str
    notes: tuple[str, ...]
    """Lines below the drawing."""
    start: str
    boxes: Mapping[str, Box] = field(default_factory=dict[str, Box])
    arrows: tuple[Arrow, ...] = ()

    def plain(self) -> "Picture":
        """Return it without the usual deadlines, whose boxes tell them, and with one arrow between two boxes for all moves."""
        merged: dict[tuple[str, str, str], Arrow] = {}
        for arrow in self.arrows:
            if arrow.usual:
                continue
            key = (arrow.source, arrow.target, arrow.kind)
            before = merged[key].words if key in merged else ()
            merged[key] = Arrow(arrow.source, arrow.target, (*before, *arrow.words), arrow.kind)
        met = {self.start, *(arrow.target for arrow in merged.values())}
        boxes = {name: box for name, box in self.boxes.items() if box.kind != "outcome" or name in met}
        return Picture(self.name, self.about, self.notes, self.start, boxes, tuple(merged.values()))


def picture(protocol: Drawn, *, expand: bool = False) -> Picture:
    """Return what is drawn of a protocol.

    Args:
        protocol: What to draw.
        expand: Draw the states of a run; else a run is one box.
    """
    shown = {name: state for name, state in protocol.states.items() if expand or not state.region}
    runs = {} if expand else {name: run for name, run in protocol.runs.items() if "/" not in name}

    def place(name: str) -> str:
        region = name.partition("/")[0]
        return region if region in runs else name

    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    for name in dict.fromkeys(place(name) for name in protocol.states):
        if run := runs.get(name):
            boxes[name] = _run_box(name, run, protocol)
            arrows += _run_arrows(name, run, place)
        else:
            boxes[name] = _state_box(shown[name], protocol)
            arrows += _arrows(shown[name], protocol, place)
    for name, kind in protocol.outcomes.items():
        boxes[name] = Box(name, (str(kind),) if name != kind else (), "outcome", str(kind))
    return Picture(
        head(protocol),
        protocol.about,
        tuple(_notes(protocol, boxes, arrows)),
        place(protocol.start),
        boxes,
        tuple(arrows),
    )


def head(protocol: Drawn) -> str:
    """Return name, version and roles in one line."""
    return f"{protocol.name} {protocol.version}: {', '.join(roles_of(protocol))}"


def roles_of(protocol: Drawn) -> list[str]:
    """Return the roles, the many-role with how many play it."""
    least, most = protocol.members
    return [f"{role} ({least}..{most})" if role == protocol.many else role for role in protocol.roles]


def settling(protocol: Drawn) -> list[str]:
    """Return how the lanes settle the conversation, in order."""
    return [f"{settle.outcome}: {settle}" for settle in protocol.settles]


def classes(kinds: list[str]) -> str:
    """Return the classes of a run's outcomes that lead to one place; many of them are the rest."""
    return "otherwise" if len(kinds) > 2 else " or ".join(kinds)  # noqa: PLR2004


def limit(seconds: float) -> str:
    """Return a time in words."""
    return format_duration(timedelta(seconds=seconds))


def details(move: DrawnMove) -> list[str]:
    """Return what is to be known of a move beside its label and where it leads."""
    act, found = move.act, list[str]()
    if act.readback:
        found.append(f"read back: {', '.join(act.readback)}")
    if "demonstrated" in act.criterion:
        found.append("to be demonstrated")
    elif act.criterion == "relevant":
        found.append("to be answered")
    found += [f"{name} = {value}" for name, value in act.repeats.items()]
    found += [f"when {condition}" for condition in move.when]
    if move.at_most is not None:
        found.append(f"at most {move.at_most} {'lane' if move.at_most == 1 else 'lanes'}")
    if move.at_once is not None:
        found.append(f"{move.at_once} at once")
    if move.owner:
        found.append(f"owner: {move.owner}")
    return found


def _state_box(state: DrawnState, protocol: Drawn) -> Box:
    who = " or ".join(state.speakers)
    if state.first and len(state.speakers) > 1:
        who += f" (tie: {state.first})"
    if state.gather:
        who += f", gathers {protocol.many}"
    return Box(
        state.name,
        (*((who,) if who else ()), f"within {limit(state.within)}"),
        many=state.in_lane,
        gather=state.gather,
    )


def _run_box(name: str, run: DrawnRun, protocol: Drawn) -> Box:
    cast = [f"{ours} as {theirs}" for theirs, ours in run.roles.items()]
    within = [f"within {limit(run.within)}"] if run.within is not None else []
    lanes = any(state.in_lane for state in protocol.states.values() if state.region.split("/")[0] == name)
    return Box(name, (f"runs {run.protocol.name}", *cast, *within), "run", many=lanes)


def _run_arrows(name: str, run: DrawnRun, place: Place) -> Iterable[Arrow]:
    by_target: dict[str, list[str]] = {}
    for kind, target in run.then.items():
        by_target.setdefault(place(target), []).append(str(kind))
    for target, kinds in by_target.items():
        yield Arrow(name, target, (Word(classes(kinds)),), "run")
    if run.within is not None and run.otherwise:
        yield Arrow(name, place(run.otherwise), (Word(f"after {limit(run.within)}"),), "deadline")


def _arrows(state: DrawnState, protocol: Drawn, place: Place) -> Iterable[Arrow]:
    others = len(protocol.roles) > 2  # noqa: PLR2004  (with two roles, who hears is plain)
    race = len(state.speakers) > 1
    for move in state.moves.values():
        ways = [(move.next, f", max {move.max}" if move.max is not None else "")]
        ways += [(move.then, f", after {move.max}")] if move.then else []
        for number, (target, times) in enumerate(ways):
            said = f"{move.speaker}: {move.label}" if race else move.label
            said += " for all" if move.for_all else ""
            more = [f"to {', '.join(move.to)}"] if others else []
            more += details(move) if number == 0 else []
            words = (Word(f"{said}{times}"), *(Word(text, faint=True) for text in more))
            yield Arrow(state.name, place(target), words)
    usual = state.otherwise == protocol.limits.otherwise
    words = (Word(f"after {limit(state.within)}"),)
    yield Arrow(state.name, place(state.otherwise), words, "deadline", usual=usual)


def _notes(protocol: Drawn, boxes: Mapping[str, Box], arrows: Iterable[Arrow]) -> Iterable[str]:
    if any(arrow.usual for arrow in arrows):
        usual = protocol.limits.otherwise
        kind = protocol.outcomes.get(usual, "")
        yield f"a deadline without an arrow leads to {usual}{f' ({kind})' if kind and kind != usual else ''}"
    if protocol.limits.whole is not None:
        yield f"the whole conversation: within {limit(protocol.limits.whole)}"
    if protocol.owner:
        yield f"owner at the beginning: {protocol.owner}"
    if protocol.overlays:
        yield f"overlays of its own: {overlays(protocol)}"
    if protocol.limits.escalate_to:
        yield f"where repair fails, {protocol.limits.escalate_to} decides"
    if any(box.many for box in boxes.values()):
        yield f"stacked boxes: each {protocol.many} has its own position there"
    if protocol.settles:
        yield f"settled by the lanes, the first that fits: {'; '.join(settling(protocol))}"
    plural = "" if protocol.bound == 1 else "s"
    yield f"at most {protocol.bound} message{plural}, without read-backs and repairs"


def overlays(protocol: Drawn) -> str:
    """Return the overlays that a protocol switches off, or names itself."""
    return ", ".join(f"{name}: {own.name if own else 'off'}" for name, own in protocol.overlays.items())
