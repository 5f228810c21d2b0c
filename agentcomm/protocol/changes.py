"""What changed between two versions of a protocol, name by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from agentcomm.acts.content import format_duration
from agentcomm.protocol.graph import Act, Limits, Move, Protocol, State

__all__ = ("Change", "changes")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    kind: Literal["added", "removed", "changed"]
    where: str
    """Path in the document, such as `states.asked.propose`."""
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"+ {self.where}{f': {self.after}' if self.after else ''}"
            case "removed":
                return f"- {self.where}{f': {self.before}' if self.before else ''}"
            case "changed":
                return f"~ {self.where}: {self.before or 'nothing'} -> {self.after or 'nothing'}"

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON data."""
        return {"kind": self.kind, "where": self.where, "before": self.before, "after": self.after}


def changes(old: Protocol, new: Protocol) -> list[Change]:
    """Return what is different, in the order of a document; words about the protocol do not count."""
    found = [*_head(old, new)]
    found += _maps("acts", old.acts, new.acts, _act)
    found += _maps("states", _outer(old), _outer(new), _state)
    found += _maps("runs", old.runs, new.runs, _run)
    found += _values("outcomes", old.outcomes, new.outcomes)
    found += _one("settles", "; ".join(_settles(old)), "; ".join(_settles(new)))
    found += _limits(old.limits, new.limits)
    found += _values("overlays", _overlays(old), _overlays(new))
    found += _one("bound", f"{old.bound} messages", f"{new.bound} messages")
    return found


def _head(old: Protocol, new: Protocol) -> Iterable[Change]:
    yield from _one("version", old.version, new.version)
    yield from _values("roles", _members(old), _members(new))
    yield from _one("owner", old.owner, new.owner)
    yield from _one("start", old.start, new.start)
    if old.overlay or new.overlay:
        yield from _one("overlay", _overlay(old), _overlay(new))


def _members(protocol: Protocol) -> dict[str, str]:
    least, most = protocol.members
    return {role: f"{least}..{most}" if role == protocol.many else "" for role in protocol.roles}


def _overlay(protocol: Protocol) -> str:
    overlay = protocol.overlay
    return (
        f"{overlay.on}: {', '.join(f'{key} {value}' for key, value in overlay.then.items())}"
        if overlay
        else ""
    )


def _overlays(protocol: Protocol) -> dict[str, str]:
    return {name: own.hash if own else "off" for name, own in protocol.overlays.items()}


def _settles(protocol: Protocol) -> list[str]:
    return [f"{settle.outcome}: {settle}" for settle in protocol.settles]


def _outer(protocol: Protocol) -> dict[str, State]:
    """Return the states of the document itself; those of a run change with its protocol."""
    return {name: state for name, state in protocol.states.items() if not state.region}


def _one(where: str, before: str, after: str) -> Iterable[Change]:
    if before != after:
        yield Change("changed", where, before, after)


def _values(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Change]:
    for name in dict.fromkeys((*old, *new)):
        path = f"{where}.{name}"
        if name not in new:
            yield Change("removed", path, str(old[name]))
        elif name not in old:
            yield Change("added", path, after=str(new[name]))
        else:
            yield from _one(path, str(old[name]), str(new[name]))


def _maps(where: str, old: Mapping[str, Any], new: Mapping[str, Any], compare: Any) -> Iterable[Change]:
    for name in dict.fromkeys((*old, *new)):
        path = f"{where}.{name}"
        if name not in new:
            yield Change("removed", path)
        elif name not in old:
            yield Change("added", path)
        else:
            yield from compare(path, old[name], new[name])


def _act(where: str, old: Act, new: Act) -> Iterable[Change]:
    if "." in old.label:  # of a run: told there
        return
    yield from _one(f"{where}.act", old.performative, new.performative)
    yield from _values(f"{where}.content", _types(old), _types(new))
    yield from _one(f"{where}.critical", ", ".join(old.critical), ", ".join(new.critical))
    yield from _one(f"{where}.stakes", old.stakes, new.stakes)
    yield from _one(f"{where}.discharges", old.discharges, new.discharges)
    yield from _one(f"{where}.outlives", str(old.outlives).lower(), str(new.outlives).lower())
    yield from _one(f"{where}.when", _conditions(old), _conditions(new))
    yield from _one(f"{where}.criterion", old.criterion, new.criterion)
    yield from _one(f"{where}.readback", ", ".join(old.readback), ", ".join(new.readback))
    yield from _values(f"{where}.repeats", old.repeats, new.repeats)


def _types(act: Act) -> dict[str, str]:
    return {
        name: f"{kind}{''.join(f', {key} {value}' for key, value in kind.constraints.items())}"
        for name, kind in act.fields.items()
    }


def _conditions(what: Act | Move) -> str:
    return " and ".join(map(str, what.when))


def _state(where: str, old: State, new: State) -> Iterable[Change]:
    yield from _one(f"{where}.speaker", " or ".join(old.speakers), " or ".join(new.speakers))
    yield from _maps(where, old.moves, new.moves, _move)
    yield from _one(f"{where}.within", _time(old.within), _time(new.within))
    yield from _one(f"{where}.else", old.otherwise, new.otherwise)
    yield from _one(f"{where}.gather", _yes(old.gather), _yes(new.gather))
    yield from _one(f"{where}.first", old.first, new.first)


def _move(where: str, old: Move, new: Move) -> Iterable[Change]:
    yield from _one(f"{where}.speaker", old.speaker, new.speaker)
    yield from _one(f"{where}.next", old.next, new.next)
    yield from _one(f"{where}.to", ", ".join(old.to), ", ".join(new.to))
    yield from _one(f"{where}.max", _number(old.max), _number(new.max))
    yield from _one(f"{where}.then", old.then, new.then)
    yield from _one(f"{where}.owner", old.owner, new.owner)
    yield from _one(f"{where}.stakes", str(old.stakes or ""), str(new.stakes or ""))
    yield from _one(f"{where}.for", "all" if old.for_all else "", "all" if new.for_all else "")
    yield from _one(f"{where}.at_most", _number(old.at_most), _number(new.at_most))
    yield from _one(f"{where}.at_once", _number(old.at_once), _number(new.at_once))
    own = (
        set(map(str, old.when)) - set(map(str, old.act.when)),
        set(map(str, new.when)) - set(map(str, new.act.when)),
    )
    yield from _one(f"{where}.when", " and ".join(sorted(own[0])), " and ".join(sorted(own[1])))


def _run(where: str, old: Any, new: Any) -> Iterable[Change]:
    yield from _one(
        f"{where}.run", f"{old.protocol.name} {old.protocol.hash}", f"{new.protocol.name} {new.protocol.hash}"
    )
    yield from _values(f"{where}.as", old.roles, new.roles)
    yield from _values(f"{where}.then", old.then, new.then)
    yield from _one(f"{where}.within", _time(old.within), _time(new.within))
    yield from _one(f"{where}.else", old.otherwise, new.otherwise)


def _limits(old: Limits, new: Limits) -> Iterable[Change]:
    for item in fields(Limits):
        name = "else" if item.name == "otherwise" else item.name
        if name in ("reply_within", "else"):  # they stand in the states
            continue
        one, other = getattr(old, item.name), getattr(new, item.name)
        shown = _time if name == "whole" else _number
        yield from _one(f"limits.{name}", shown(one), shown(other))


def _time(seconds: float | None) -> str:
    from datetime import timedelta

    return "" if seconds is None else format_duration(timedelta(seconds=seconds))


def _number(value: Any) -> str:
    return "" if value is None else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else ""
