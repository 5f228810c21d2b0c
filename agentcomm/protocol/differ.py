"""Whether peers of two versions of a protocol understand each other: a simulation over both graphs at once.

A pair of states is where a peer of each version may be after the same messages. Whatever one may say there, the other must take:
the same act, from the same role, to the same roles, with content, conditions and budgets that let every such message pass.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from agentcomm.protocol.accepts import misfits
from agentcomm.protocol.changes import Change, changes
from agentcomm.protocol.graph import Criterion, Move, Protocol, State

__all__ = ("NOT_COMPARED", "Break", "Difference", "compare")

NOT_COMPARED = (
    "overlays",
    "deadlines that run out for one peer and not yet for the other",
    "how lanes settle",
)
"""What `compare` says nothing of."""
MOST = 20
"""Messages that are told."""

_DEMONSTRATED = (Criterion.DEMONSTRATED, Criterion.READBACK_AND_DEMONSTRATED)

Side = Literal["old", "new"]


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where two peers no longer understand each other."""

    by: Literal["old", "new", "both"]
    """The version of the peer that says it; `both` where one has ended and the other goes on."""
    role: str
    act: str
    why: str
    path: tuple[str, ...]
    """How they came there: steps `state --act--> state`."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"by": self.by, "role": self.role, "act": self.act, "why": self.why, "path": list(self.path)}


@dataclass(frozen=True, slots=True)
class Difference:
    """What comparing two versions gave."""

    changes: tuple[Change, ...]
    breaks: tuple[Break, ...]
    """The nearest first."""

    @property
    def is_compatible(self) -> bool:
        """Whether every message that one peer may send is taken by the other."""
        return not self.breaks


def compare(old: Protocol, new: Protocol) -> Difference:
    """Return what changed, and where peers of the two would no longer understand each other."""
    found = tuple(changes(old, new))
    if set(old.roles) != set(new.roles):
        names = sorted(set(old.roles) ^ set(new.roles))
        why = f"{', '.join(names)}: a role of one of them only"
        return Difference(found, (Break("both", "", "", why, ()),))
    return Difference(found, tuple(_Pairs(old, new).breaks()))


@dataclass(slots=True)
class _Pairs:
    old: Protocol
    new: Protocol
    found: dict[tuple[str, str, str], Break] = field(default_factory=dict[tuple[str, str, str], Break])
    """By who says what, so that each message is told once."""

    def breaks(self) -> Iterable[Break]:
        """Return where they part, nearest first."""
        first = (self.old.start, self.new.start)
        came: dict[tuple[str, str], tuple[tuple[str, str], str] | None] = {first: None}
        waiting = deque([first])
        while waiting and len(self.found) < MOST:
            pair = waiting.popleft()
            for step, after in self._after(pair, came):
                if after not in came:
                    came[after] = (pair, step)
                    waiting.append(after)
        return self.found.values()

    def _after(self, pair: tuple[str, str], came: Any) -> Iterable[tuple[str, tuple[str, str]]]:
        one, other = self.old.states.get(pair[0]), self.new.states.get(pair[1])
        if one is None or other is None:
            self._tell_end(pair, came)
            return
        self._tell_moves(one, other, "old", pair, came)
        self._tell_moves(other, one, "new", pair, came)
        theirs = _by_name(other)
        for name, move in _by_name(one).items():
            if name in theirs and not _refused(move, theirs[name]) and not _refused(theirs[name], move):
                for after in _ways(move, theirs[name]):
                    yield name, after
        yield "deadline", (one.otherwise, other.otherwise)

    def _tell_end(self, pair: tuple[str, str], came: Any) -> None:
        one, other = self.old.outcomes.get(pair[0]), self.new.outcomes.get(pair[1])
        if one is not None and one == other:
            return
        shown = [
            f"{side} has ended as {kind}" if kind is not None else f"{side} goes on in '{name}'"
            for side, kind, name in (("the old", one, pair[0]), ("the new", other, pair[1]))
        ]
        self._tell("both", "", f"{pair[0]}/{pair[1]}", ", ".join(shown), pair, came)

    def _tell_moves(self, mine: State, theirs: State, side: Side, pair: tuple[str, str], came: Any) -> None:
        known = _by_name(theirs)
        for name, move in _by_name(mine).items():
            if name not in known:
                why = f"it may not be said there in '{theirs.name}'"
            elif not (why := _refused(move, known[name])):
                continue
            self._tell(side, move.speaker, name, why, pair, came)

    def _tell(
        self,
        by: Literal["old", "new", "both"],
        role: str,
        act: str,
        why: str,
        pair: tuple[str, str],
        came: Any,
    ) -> None:
        shown = act if by != "both" else ""
        self.found.setdefault((by, act, why), Break(by, role, shown, why, tuple(_path(pair, came))))


def _by_name(state: State) -> dict[str, Move]:
    return {move.act.name: move for move in state.moves.values()}


def _refused(sent: Move, taken: Move) -> str:
    """Return why what one version may say is not always taken by the other, empty if it is."""
    if sent.speaker != taken.speaker:
        return f"{taken.speaker} says it there, not {sent.speaker}"
    if set(sent.to) != set(taken.to):
        return f"it is said to {', '.join(taken.to)} there, not to {', '.join(sent.to)}"
    if sent.act.performative != taken.act.performative:
        return f"it means {taken.act.performative} there, not {sent.act.performative}"
    if sent.for_all != taken.for_all:
        return "it is said for all lanes at once by one of them only"
    if problem := misfits(sent.act.fields, taken.act.fields):
        return problem
    if _shown(sent) != _shown(taken):
        return f"{_understood(taken)} there, and {_understood(sent)} here"
    more = [str(item) for item in taken.when if str(item) not in {str(own) for own in sent.when}]
    more += [
        f"{name} = {ref}" for name, ref in taken.act.repeats.items() if sent.act.repeats.get(name) != ref
    ]
    if more:
        return f"it has the condition {more[0]} there"
    return _scarcer(sent, taken)


def _shown(move: Move) -> tuple[frozenset[str], bool]:
    """Return what the hearer has to show before the talk goes on: fields read back, and whether it demonstrates."""
    act = move.act
    return frozenset(act.readback), act.criterion in _DEMONSTRATED


def _understood(move: Move) -> str:
    fields, demonstrated = _shown(move)
    shown = [f"{', '.join(sorted(fields))} read back"] if fields else []
    shown += ["its understanding demonstrated"] if demonstrated else []
    return f"it must have {' and '.join(shown)}" if shown else "nothing is read back"


def _scarcer(sent: Move, taken: Move) -> str:
    if taken.max is not None and not taken.then and (sent.max is None or sent.then or sent.max > taken.max):
        return f"it may be said {taken.max} times only there"
    if taken.at_most is not None and (sent.at_most is None or sent.at_most > taken.at_most):
        return f"no more than {taken.at_most} lanes may say it there"
    if taken.at_once is not None and (sent.at_once is None or sent.at_once > taken.at_once):
        return f"no more than {taken.at_once} lanes at once may say it there"
    return ""


def _ways(one: Move, other: Move) -> Iterable[tuple[str, str]]:
    """Return where a message leads in both: with the same budget in step, else in any combination."""
    yield one.next, other.next
    if one.then and other.then:
        yield one.then, other.then
    if one.max != other.max:
        if one.then:
            yield one.then, other.next
        if other.then:
            yield one.next, other.then


def _path(pair: tuple[str, str], came: Any) -> list[str]:
    steps: list[str] = []
    while (before := came[pair]) is not None:
        source, step = before
        steps.append(f"{_both(source)} --{step}--> {_both(pair)}")
        pair = source
    return steps[::-1]


def _both(pair: tuple[str, str]) -> str:
    return pair[0] if pair[0] == pair[1] else f"{pair[0]}|{pair[1]}"
