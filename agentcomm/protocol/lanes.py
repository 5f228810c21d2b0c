"""Lanes: where each member of a many-role has a position of its own, and what may stand there.

Lanes begin at the first state in which a member speaks, is spoken to, or is named by a run; what follows is in lanes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agentcomm.protocol.findings import NOWHERE, Report, near, quoted
from agentcomm.protocol.graph import Mark, OutcomeClass, Protocol, Settle, State
from agentcomm.protocol.many import SettleSpec
from agentcomm.protocol.shape import Word
from agentcomm.protocol.turns import MoveSpec, StateSpec

__all__ = ("Lanes", "check_alone", "check_gather", "check_lanes", "settled")


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which states are in lanes."""

    inside: frozenset[str]
    first: frozenset[str]
    """Those at which lanes begin."""
    both: tuple[str, ...] = ()
    """Those that are reached before lanes begin, and in lanes."""

    @classmethod
    def of(cls, protocol: Protocol) -> "Lanes":
        """Look for the lanes of a protocol with a many-role."""
        states, many = protocol.states, protocol.many
        named = {name for name, run in protocol.runs.items() if many in run.roles.values()}

        def is_opened(state: State) -> bool:
            region = state.region.partition("/")[0]
            return (
                region in named
                or many in state.speakers
                or any(many in move.to for move in state.moves.values())
            )

        opened = {name for name, state in states.items() if is_opened(state)}
        before = _reached(states, [protocol.start], stop=opened)
        inside = _reached(states, opened)
        both = tuple(name for name in states if name in inside and name in before and name not in opened)
        return cls(frozenset(inside), frozenset(before & opened), both)


def _reached(states: Mapping[str, State], starts: Iterable[str], stop: Iterable[str] = ()) -> set[str]:
    """Return the states that are reached from some of them, themselves included, not going on from `stop`."""
    ends = set(stop)
    queue = [name for name in starts if name in states]
    seen = set(queue)
    for name in queue:
        if name in ends:
            continue
        state = states[name]
        targets = [place for move in state.moves.values() for place in (move.next, move.then)]
        for place in (*targets, state.otherwise):
            if place in states and place not in seen:
                seen.add(place)
                queue.append(place)
    return seen


def check_alone(states: Iterable[StateSpec], settles_at: Mark | None, report: Report) -> None:
    """Tell the first word of lanes in a protocol without a many-role, and which others there are."""
    words: dict[str, Mark] = {}
    for state in states:
        if state.gather:
            words.setdefault("gather", state.gather.at)
        for _, moves in state.speakers:
            for move in moves:
                for word in () if move.is_plain else _words(move):
                    words.setdefault(word, move.label.at)
    if settles_at:
        words["settles"] = settles_at
    if not words:
        return
    first, *others = words
    more = f"; so do {', '.join(f'`{word}`' for word in others)}" if others else ""
    report.add(
        "E704",
        "lanes",
        words[first],
        f"`{first}` without a role that several agents play",
        why=f"it speaks of lanes, one for each member of such a role{more}",
        fix="give a role a range, such as `roles: {bidder: 1..20}`, or remove "
        + ("them" if others else "it"),
    )


def _words(move: MoveSpec) -> tuple[str, ...]:
    """Return the words of lanes that a move uses."""
    if not move.for_all and move.at_most is None and move.at_once is None:
        return ()
    given = {"for: all": move.for_all, "at_most": move.at_most, "at_once": move.at_once}
    return tuple(word for word, value in given.items() if value)


def check_gather(spec: StateSpec, gather: Word, many: str, report: Report) -> None:
    """Tell what a gather cannot be."""

    def wrong(at: Mark, what: str, why: str, fix: str) -> None:
        report.add("E707", "lanes", at, what, why=why, fix=fix)

    if gather.text != many:
        wrong(
            gather.at,
            f"`gather` names '{gather}', and it is '{many}' that several agents play",
            "it waits for the lanes of that role",
            f"write `gather: {many}`",
        )
    elif len(spec.speakers) > 1:
        wrong(
            spec.speakers[1][0].at,
            f"at the gather '{spec.name}' {quoted(role.text for role, _ in spec.speakers)} would speak",
            "one role is handed all lanes, and makes one move in each",
            "let one of them speak",
        )
    elif spec.speakers and spec.speakers[0][0].text == many:
        wrong(
            spec.speakers[0][0].at,
            f"at the gather '{spec.name}' a member would speak",
            "a gather hands all lanes to one role; a member knows only its own",
            "let another role speak, or remove `gather`",
        )


def check_lanes(protocol: Protocol, lanes: Lanes, specs: Iterable[StateSpec], report: Report) -> None:
    """Tell what stands where there are no lanes, and gathers of several speakers."""
    for name in lanes.both:
        report.add(
            "E702",
            "lanes",
            protocol.marks.get(f"states.{name}", NOWHERE),
            f"'{name}' is reached before lanes begin, and in lanes",
            why="before them there is one position, in them each member has its own",
            fix="give each its own state",
        )
    speakers: dict[str, Word] = {}
    for spec in specs:
        name = spec.name.text
        inside = name in lanes.inside
        if spec.gather:
            if not inside:
                _tell_outside(name, "gather", spec.gather.at, report)
            elif len(spec.speakers) == 1 and spec.speakers[0][0].text != protocol.many:
                speakers.setdefault(spec.speakers[0][0].text, spec.speakers[0][0])
        for role, moves in spec.speakers:
            for move in moves:
                if not inside:
                    for word in _words(move):
                        _tell_outside(name, word, move.label.at, report)
                elif move.for_all and role.text == protocol.many:
                    report.add(
                        "E706",
                        "lanes",
                        move.label.at,
                        f"a member cannot say '{move.label}' `for: all`",
                        why="a member speaks in its own lane, and no other lane hears it",
                        fix="remove `for: all`",
                    )
                elif move.for_all and not spec.gather and name not in lanes.first:
                    report.add(
                        "E706",
                        "lanes",
                        move.label.at,
                        f"'{move.label}' cannot be said `for: all` in '{name}'",
                        why="the lanes stand together only where they begin and at a gather",
                        fix=f"write `gather: {protocol.many}` in '{name}', or say it lane by lane",
                    )
    others = list(speakers.values())[1:]
    for role in others[:1]:
        first = next(iter(speakers))
        report.add(
            "E707",
            "lanes",
            role.at,
            f"'{role}' speaks at this gather, and '{first}' at another",
            why="a gather waits for the lanes at other gathers, too: two speakers would wait for each other",
            fix=f"let '{first}' speak at both, or write `to: {role}` and let it decide for '{first}'",
        )


def _tell_outside(state: str, word: str, at: Mark, report: Report) -> None:
    report.add(
        "E706",
        "lanes",
        at,
        f"`{word}` in '{state}', where no lanes are",
        why="lanes begin at the first state in which a member speaks or is spoken to",
        fix="remove it, or let it stand in a state after that",
    )


def settled(
    specs: Iterable[SettleSpec],
    at: Mark | None,
    many: Word | None,
    outcomes: Mapping[str, OutcomeClass],
    report: Report,
    marks: dict[str, Mark],
) -> tuple[Settle, ...]:
    """Return how lanes settle the conversation, all names checked.

    Args:
        specs: As the document says it.
        at: Where `settles` stands.
        many: The many-role.
        outcomes: Of a lane.
        report: Where findings go.
        marks: Where the places of its lines go.
    """
    found = list(specs)
    marks.update((f"settles.{number}", spec.at.at) for number, spec in enumerate(found))
    if many is None:
        return ()
    if at is None:
        report.add(
            "E708",
            "lanes",
            many.at,
            f"several agents may play '{many}', and nothing says what their ends make together",
            why="each lane has an outcome of its own; the conversation has one",
            fix="add `settles: {success: any done, failed: otherwise}`",
        )
        return ()
    known = (*outcomes, *(str(kind) for kind in OutcomeClass))
    for spec in found:
        if spec.settle.of and spec.settle.of not in known and report.is_news(spec.settle.of):
            report.add(
                "E102",
                "unknown_name",
                spec.at.at,
                f"'{spec.settle.of}' is not an outcome",
                why=f"`{spec.settle}` counts the lanes that ended so",
                fix=near(spec.settle.of, known),
            )
    last = [spec.settle.quantifier == "otherwise" for spec in found]
    if found and any(last[:-1]):
        early = found[last.index(True)]
        report.add(
            "E708",
            "lanes",
            early.at.at,
            "`otherwise` stands before other conditions, which are never read",
            fix="let it stand last",
        )
    elif not any(last):
        report.add(
            "E708",
            "lanes",
            found[-1].at.at if found else at,
            "`settles` does not say what the result is where nothing of it fits",
            fix="add a last line, such as `undecided: otherwise`",
        )
    return tuple(spec.settle for spec in found)
