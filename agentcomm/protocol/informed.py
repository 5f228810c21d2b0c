"""Who knows that it is his turn, and what for: the checks on roles that do not hear everything.

Where a runtime holds the conversation, it tells each role when it may speak and that the conversation has ended, so that nobody
waits for ever; who has to speak without having heard what came before does so badly, though, and that is a warning. Where each
role runs alone, the same and more are errors: there a role knows only what it said and heard.
"""

from collections.abc import Container

from agentcomm.acts.performative import PERFORMATIVES
from agentcomm.protocol.arcs import Arc, Arcs, move_mark, state_mark, steps, way
from agentcomm.protocol.findings import Kind, Report, quoted
from agentcomm.protocol.graph import Move, OutcomeClass, Protocol
from agentcomm.protocol.merging import is_unsure, knowing
from agentcomm.protocol.project import doubts_of
from agentcomm.protocol.view import Doubt, DoubtKind

__all__ = ("check_informed",)

_DIRECTIVES = frozenset(act for act, info in PERFORMATIVES.items() if info.directive)
_CODES: dict[DoubtKind, tuple[str, str, Kind]] = {
    "turn": ("W304", "E304", "role_not_informed"),
    "obligations": ("W305", "E305", "ambiguous_choice"),
    "crossing": ("W305", "E305", "ambiguous_choice"),
    "race": ("W305", "E305", "race"),
    "size": ("W305", "E305", "other"),
    "end": ("W306", "E306", "starvation"),
}
"""By kind of doubt: the code where a runtime holds the conversation, and where each role runs alone."""


def check_informed(
    protocol: Protocol, arcs: Arcs, report: Report, *, distributed: bool, owed: Container[str] = ()
) -> None:
    """Add W304, W305 and W306, or, where each role runs alone, E304, E305 and E306; not of what is told to stay owed."""
    if distributed:
        knows = knowing(protocol, arcs)
        unsure = [role for role in protocol.roles if role not in knows]
        told: set[str] = set()
        for doubt in (doubt for role in unsure for doubt in doubts_of(protocol, role, arcs)):
            if doubt.what in told:  # each who races has the same doubt, and the first place is the nearest
                continue
            told.add(doubt.what)
            _tell_doubt(protocol, report, doubt, distributed=True)
        return
    if len(protocol.roles) > 2:  # noqa: PLR2004
        _check_turns(protocol, arcs, report)
        for role in _unsure(protocol, arcs):
            for doubt in doubts_of(protocol, role, arcs):
                if doubt.kind == "obligations":
                    _tell_doubt(protocol, report, doubt, distributed=False)
    if not any(found.code == "W503" for found in report.found):  # who cannot answer does not answer
        _check_answers(protocol, arcs, report, owed)


def _tell_doubt(protocol: Protocol, report: Report, doubt: Doubt, *, distributed: bool) -> None:
    warning, error, kind = _CODES[doubt.kind]
    named = next((place for place in doubt.places if place in protocol.states), protocol.start)
    report.add(
        error if distributed else warning,
        kind,
        state_mark(protocol, named),
        doubt.what,
        why=doubt.why,
        fix=doubt.fix,
        witness=doubt.witness,
    )


def _check_turns(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W304: who speaks next took no part in the message before."""
    speakers = [state.speakers for state in protocol.states.values()]
    others = len(protocol.roles) - 1
    partial = arcs.said.worth(lambda move: len(move.to) < others, nothing=False)
    unheard = arcs.said.each(lambda row: any(partial[kind] for kind in row))
    told: set[int] = set()
    for place in arcs.order:
        if not unheard[place]:
            continue
        for position, (target, move) in enumerate(zip(arcs.targets[place], arcs.moves[place], strict=True)):
            if move is None or target >= len(speakers):
                continue
            for role in speakers[target]:
                if role == move.speaker or role in move.to or target in told:
                    continue
                told.add(target)
                found = [*arcs.to(place), arcs.arc(place, position)]
                report.add(
                    "W304",
                    "role_not_informed",
                    move_mark(protocol, move),
                    f"{role} speaks in '{arcs.names[target]}', and does not hear '{move.label}', which leads there",
                    why="only the runtime can tell it to speak; what was said before, it does not know",
                    fix=_addressed(protocol, move, role),
                    witness=steps(found),
                )


def _addressed(protocol: Protocol, move: Move, role: str) -> str:
    region = protocol.states[move.state].region.partition("/")[0]
    if region and role not in protocol.runs[region].roles.values():
        return f"let somebody who takes part in '{region}' tell {role} before"
    return f"write `to: [{', '.join((*move.to, role))}]` on '{move.label}' in '{move.state}'"


def _unsure(protocol: Protocol, arcs: Arcs) -> list[str]:
    """Return the roles that may take one state for another in which they have other things to say."""
    deaf = {
        role
        for move in arcs.said.kinds
        if move and len(move.to) + 1 < len(protocol.roles)
        for role in protocol.roles
        if role != move.speaker and role not in move.to
    }
    return [role for role in protocol.roles if role in deaf and is_unsure(protocol, arcs, role, alone=False)]


def _check_answers(protocol: Protocol, arcs: Arcs, report: Report, owed: Container[str]) -> None:
    """Add W306: who asked hears nothing, and nobody who was asked says anything, on a way that ends well."""
    asks = arcs.said.lists(arcs.said.worth(lambda _: True, nothing=False, among=_DIRECTIVES))
    asking = [
        (place, position, move)
        for place in arcs.order
        for position, is_asked in enumerate(asks[place] or ())
        if is_asked and (move := arcs.moves[place][position])
    ]
    silent: dict[tuple[str, tuple[str, ...]], list[bool]] = {}
    for place, position, move in asking:
        role, asked = key = move.speaker, move.to
        if key not in silent:
            silent[key] = _ends_unheard(protocol, arcs, role, asked)
        target = arcs.targets[place][position]
        if silent[key][target] and move.label not in owed:
            ends = arcs.names[target] in protocol.outcomes
            report.add(
                "W306",
                "orphan_message",
                move_mark(protocol, move),
                f"{role} may ask '{move.label}' and hear nothing, though the conversation ends well",
                why=f"it leads to '{arcs.names[target]}', where nobody can answer any more"
                if ends
                else f"on this way nobody speaks to {role} after it, and nothing is said by {quoted(asked)}",
                fix=_let_answer(arcs, place, position)
                if ends
                else f"let an answer follow, or add {role} to a `to` on this way",
                witness=steps(
                    [
                        *arcs.to(place),
                        arcs.arc(place, position),
                        *_unheard(protocol, arcs, target, role, asked),
                    ]
                ),
            )
            return


def _let_answer(arcs: Arcs, place: int, position: int) -> str:
    if arcs.arc(place, position).kind == "then":
        return "remove `then`, so that it is no longer offered, or let it lead to where it is answered"
    return "let it lead to a state where it is answered, or take another act, such as `inform`"


def _answers(move: Move | None, role: str, asked: tuple[str, ...]) -> bool:
    return move is not None and (role in move.to or move.speaker in asked)


def _ends_unheard(protocol: Protocol, arcs: Arcs, role: str, asked: tuple[str, ...]) -> list[bool]:
    """Return, by place, whether a success can be reached from it without a message to a role or from those it asked."""
    found = [protocol.outcomes.get(name) is OutcomeClass.SUCCESS for name in arcs.names]
    queue = [place for place, is_success in enumerate(found) if is_success]
    for place in queue:
        for source in arcs.before[place]:
            if not found[source] and any(
                target == place and not _answers(move, role, asked)
                for target, move in zip(arcs.targets[source], arcs.moves[source], strict=True)
            ):
                found[source] = True
                queue.append(source)
    return found


def _unheard(protocol: Protocol, arcs: Arcs, start: int, role: str, asked: tuple[str, ...]) -> list[Arc]:
    """Return the shortest way to a success on which nobody answers a role."""
    goals = [arcs.number[name] for name, kind in protocol.outcomes.items() if kind is OutcomeClass.SUCCESS]
    ways = (way(arcs, start, goal, avoid=lambda arc: _answers(arc.move, role, asked)) for goal in goals)
    return min((found for found in ways if found is not None), key=len)
