"""Check a protocol: text in, findings out; a bad document is a finding, never an exception.

The passes are source, spec, compile and, where the graph is all there, the checks of this module and of `ends.py`, `choice.py`,
`flow.py`, `debts.py`, `discharges.py`, `budgets.py`, `exits.py`, `answers.py`, `local.py` and `informed.py`. Each looks at every
arc a few times; the way that leads to a mistake is looked for only where there is one. Some mistakes hide others: what a first
mistake makes uncertain is not checked, so that one mistake makes one finding.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from agentcomm.acts.content import Content, format_duration
from agentcomm.protocol.answers import check_answered
from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.budgets import check_budgets
from agentcomm.protocol.choice import check_free_moves, check_races
from agentcomm.protocol.codes import CODES
from agentcomm.protocol.compile import Draft, draft
from agentcomm.protocol.debts import check_open
from agentcomm.protocol.discharges import check_discharges, check_outliving
from agentcomm.protocol.embed import tell_broken
from agentcomm.protocol.ends import Ends
from agentcomm.protocol.exits import check_exits
from agentcomm.protocol.findings import NOWHERE, Finding, Report, TooMany
from agentcomm.protocol.flow import check_known, check_owners
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.headers import tell_lost_header
from agentcomm.protocol.informed import check_informed
from agentcomm.protocol.local import check_escalation, check_grounding, check_sizes
from agentcomm.protocol.lookup import Resolve, resolver
from agentcomm.protocol.resting import resting
from agentcomm.protocol.settling import check_settles
from agentcomm.protocol.source import Source, read

__all__ = ("Checked", "check_graph", "examine")

_NAMELESS = ("syntax", "unknown_name", "unknown_role")
"""Kinds of findings that leave it open who says what: what is then not known may be what was misspelt."""
_BIG = 1_000
"""States of a graph that is big."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a document."""

    protocol: Protocol | None
    """None if it has errors."""
    findings: tuple[Finding, ...]
    """In the order of the file."""


def examine(
    source: bytes | str | Source,
    *,
    path: str = "",
    types: Mapping[str, type[Content]] | None = None,
    resolve: Resolve | None = None,
    distributed: bool = False,
    deep: bool = False,
    lanes: int = 2,
    queue: int = 2,
) -> Checked:
    """Return the protocol of a document together with what is wrong with it.

    Args:
        source: The document; bytes are UTF-8.
        path: Its name, for the findings.
        types: Content classes by the name that the document uses for them.
        resolve: Finds the documents that it runs or names as overlays; by default in the library.
        distributed: Each role is to run alone, without a runtime that holds the conversation.
        deep: Look through the runs of a few lanes as well, where nothing else is wrong (see `deep.py`).
        lanes: For `deep`: members of a many-role.
        queue: For `deep`: messages under way between two parties.
    """
    document = source if isinstance(source, Source) else read(source, path)
    made = draft(document, types=types, resolve=resolve or resolver())
    report = document.report
    if made:
        with suppress(TooMany):
            _check(made, distributed=distributed)
            if deep and not report.has_errors:
                from agentcomm.protocol.deep import check_deep

                check_deep(made.protocol, report, lanes=lanes, queue=queue)
    return Checked(
        made.protocol if made and not report.has_errors else None, tuple(map(_whole, report.sorted()))
    )


def _whole(finding: Finding) -> Finding:
    """Return a finding with the reason and the remedy of its code where it has none of its own."""
    if finding.why and finding.fix:
        return finding
    row = CODES[finding.code]
    return replace(finding, why=finding.why or row.why, fix=finding.fix or row.fix)


def _check(made: Draft, *, distributed: bool) -> None:
    """Check the documents within a document, each by itself, then its own graph."""
    for part in made.parts:
        inner = part.draft.report
        if not inner.has_errors:
            with suppress(TooMany):
                _check(part.draft, distributed=False)
            if inner.has_errors:
                tell_broken(part.name, inner.sorted(), part.at, made.report)
                made.sound = False
    if made.sound:
        check_graph(made, distributed=distributed)


def check_graph(made: Draft, *, distributed: bool = False) -> None:
    """Add to its report what is wrong with the graph of a draft.

    Args:
        made: The draft.
        distributed: Each role is to run alone.

    Raises:
        TooMany: If there is more than anybody reads.
    """
    with resting(big=len(made.protocol.states) > _BIG):
        _check_graph(made, distributed=distributed)


def _check_graph(made: Draft, *, distributed: bool) -> None:
    protocol, report = made.protocol, made.report
    arcs = Arcs.of(protocol, made.holes)
    ends = Ends(made, protocol, report, arcs)
    ends.check()
    check_races(made, arcs)
    _check_roles(protocol, report)
    check_escalation(protocol, report)
    check_settles(protocol, arcs, report)
    check_grounding(protocol, arcs, report)
    if made.races and made.holes:
        tell_lost_header(made, report)
    unknown: set[str] = set()
    if not any(found.kind in _NAMELESS for found in report.found):
        unknown = check_known(protocol, arcs, report)
        check_owners(protocol, arcs, report)
        check_discharges(protocol, arcs, report)
    check_free_moves(made, arcs, ends.trapped | unknown)
    if report.has_errors:  # a warning is often the shadow of an error
        return
    _check_unused(made, arcs)
    _check_deadlines(protocol, report)
    check_sizes(protocol, arcs, report)
    check_budgets(protocol, arcs, report)
    check_exits(protocol, arcs, report)
    check_answered(protocol, arcs, report)
    check_outliving(protocol, report)
    owed = check_open(protocol, arcs, report)
    check_informed(protocol, arcs, report, distributed=distributed, owed=owed)


def _check_unused(made: Draft, arcs: Arcs) -> None:
    protocol = made.protocol
    said = set(arcs.said.labels)
    targets = {name for run in protocol.runs.values() for name in (*run.then.values(), run.otherwise)}
    targets |= {name for name in protocol.outcomes if arcs.before[arcs.number[name]]}
    unused = [
        *(
            (f"the act '{name}' is never said", f"acts.{name}")
            for name in protocol.acts
            if name not in said and "." not in name
        ),
        *((f"the type '{name}' is never used", f"types.{name}") for name in made.unused_types),
        *(
            (f"the outcome '{name}' is never reached", f"outcomes.{name}")
            for name in protocol.outcomes
            if name not in targets and f"outcomes.{name}" in protocol.marks
        ),
    ]
    for what, place in unused:
        made.report.add(
            "W201", "unreachable", protocol.marks.get(place, NOWHERE), what, fix="use it, or remove it"
        )


def _check_deadlines(protocol: Protocol, report: Report) -> None:
    whole = protocol.limits.whole
    if whole is None:
        return
    for name, state in protocol.states.items():
        at = protocol.marks.get(f"states.{name}.within", NOWHERE)
        if at != NOWHERE and state.within > whole:
            report.add(
                "W206",
                "missing_deadline",
                at,
                f"the deadline of '{name}' can never run out",
                why=f"the whole conversation has {_seconds(whole)}",
                fix="shorten it, or lengthen `whole`",
            )


def _check_roles(protocol: Protocol, report: Report) -> None:
    if any(found.kind in ("unknown_role", "role_not_informed") for found in report.found):
        return
    part: set[str] = set()
    for state in protocol.states.values():
        part.update(_parties(state.moves.values()))
        if len(part) == len(protocol.roles):
            return
    for role in protocol.roles:
        if role not in part and role != protocol.limits.escalate_to:
            report.add(
                "E103",
                "role_not_informed",
                protocol.marks.get(f"roles.{role}", NOWHERE),
                f"the role '{role}' takes part in nothing",
                why="it neither speaks nor hears",
                fix="give it a move, add it to a `to`, or remove it",
            )


def _parties(moves: Iterable[Move]) -> set[str]:
    return {role for move in moves for role in (move.speaker, *move.to)}


def _seconds(value: float) -> str:
    from datetime import timedelta

    return format_duration(timedelta(seconds=value))
