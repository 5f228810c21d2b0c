"""A judge without a model: figures, names, yes and no, how many, when, on what condition, and the words themselves.

It passes what is said in nearly the same words and in the same order, says what is missing or added where code can see it, and
where words differ it cannot tell. Similarity of words is never agreement: `Monday` and `Tuesday` are as similar as words get.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast

import msgspec

from agentcomm.acts.content import entries_of, format_value
from agentcomm.agents.judge_figures import Figure
from agentcomm.agents.judge_words import Clause, clauses, is_english, stem
from agentcomm.agents.judgement import Judgement, restated_points
from agentcomm.grounding.polarity import reversal
from agentcomm.grounding.same import is_shallow

__all__ = ("CodeJudge", "Finding", "points_of", "seen_by_code")

_LONGEST = 20_000
"""Characters that are compared, and how many clauses on either side: each is compared with each."""
_CLAUSES = 100
_ABSENT = 0.34
"""The share of a clause's words from which on it may be there in other words."""
_NEAR = 0.25
"""From this likeness on, a clause few of whose words are there may be there in other words."""
_FAR = 0.2
"""Below this likeness, a clause some of whose words are there is about something else."""
_IN_ORDER = 0.75
"""The share of neighbouring words that must stand together again."""
_TIMES = ("#day:", "#time:", "#moment:", "#weekday:")
"""Figures that may stand anywhere in their clause."""
_RIVALS = (
    ("at most", "at least", "above", "below"), ("all", "some", "most"), ("if", "unless"), ("except", "including"),
    ("before", "after"), ("must", "may"), ("today", "tomorrow", "yesterday"),
)  # fmt: skip
_EXCEPTED = re.compile(r",? *\bexcept\b.*", re.IGNORECASE | re.DOTALL)
_WEAK = frozenset(["must", "should", "until", "all", "now"])
"""Marks that may come in where nothing of their kind was said: an instruction is a must."""
_GENERIC = frozenset([
    "start", "begin", "first", "next", "check", "verif", "ensur", "mak", "sure", "wait", "watch", "look", "step", "do", "go",
    "keep", "stay", "sta", "let", "whether", "him",
])  # fmt: skip
"""Stems of words with which a step can begin and change nothing; any other word that was not said may change everything."""


_Topic = Callable[[str, Sequence[str]], float | None]


class Finding(msgspec.Struct, frozen=True):
    """What code found."""

    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    """What code cannot tell."""


class CodeJudge:
    """Judges without a model. It never claims understanding where it cannot tell."""

    @property
    def name(self) -> str:
        """`code`."""
        return "code"

    async def judge(self, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
        """Return what is missing and added, as far as it can tell; worked out in a thread, so that nothing waits for it."""
        return await asyncio.to_thread(self._judge, meant, restated)

    def _judge(self, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
        points, said = points_of(meant), restated_points(restated, "goal", "plan")
        open_points = restated_points(restated, "missing")
        assumed = restated_points(restated, "assumed")
        if sum(map(len, (*points, *said, *open_points, *assumed))) > _LONGEST:
            return Judgement(self.name, error=f"more than {_LONGEST:,} characters are not compared by code")
        if not points:
            return Judgement(self.name, error="nothing was meant that could be compared")
        one, other = _Text(points, meant), _Text(said)
        if max(len(one.clauses), len(other.clauses)) > _CLAUSES:
            return Judgement(self.name, error=f"more than {_CLAUSES} clauses are not compared by code")
        found = self._compare(one, other)
        missing = [*found.missing, *(f"the hearer lacks: {point}" for point in open_points)]
        added = [*found.added, *_contradicting(points, assumed)]
        unsure = (
            found.unsure if is_english((*points, *said)) else ("the words are not English", *found.unsure)
        )
        error = "" if missing or added else "; ".join(unsure[:3])
        return Judgement(self.name, tuple(missing), tuple(added), error and f"cannot tell: {error}")

    def _compare(self, one: "_Text", other: "_Text") -> Finding:
        """Return what differs."""
        missing = dict.fromkeys((*_figures(one, other), *_names(one, other)))
        added = dict.fromkeys((*_figures(other, one), *_names(other, one)))
        unsure: dict[str, None] = {}
        for found in (
            *(compare(one, other) for compare in (_marks, _bounds, _negations, _order)),
            _covered(one, other, self._topic),
            _steps(one, other, self._topic),
        ):
            missing |= dict.fromkeys(found.missing)
            added |= dict.fromkeys(found.added)
            unsure |= dict.fromkeys(found.unsure)
        return Finding(tuple(missing), tuple(added), tuple(unsure))

    def _topic(self, _text: str, _others: Sequence[str]) -> float | None:
        """Return how far some text is about the same thing, None if that is not known."""
        return None


class _Text:
    """What was said, clause by clause, and all of it together."""

    def __init__(self, texts: Sequence[str], fields: Iterable[str] = ()) -> None:
        self.clauses: tuple[Clause, ...] = tuple(clause for text in texts for clause in clauses(text))
        self.words = {word for clause in self.clauses for word in clause.order}
        self.known = self.words | {stem(word) for name in fields for word in name.replace("_", " ").split()}
        """Its words, and the names of the fields that it stands in."""
        self.figures = [figure for clause in self.clauses for figure in clause.figures]
        self.said = {word for clause in self.clauses for word in clause.said}
        self.marks = {mark for clause in self.clauses for mark in clause.marks}
        self.bounds = {bound for clause in self.clauses for bound in clause.bounds}


def points_of(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a content says, each value as a text; yes and no with the name of their field."""
    return tuple(_leaves("", content)) if is_shallow(content) else ()


def _leaves(name: str, value: Any) -> Iterator[str]:
    fields = entries_of(value)
    if fields is not None:
        for key, item in fields.items():
            yield from _leaves(str(key), item)
    elif isinstance(value, list | tuple):
        for item in cast("Iterable[Any]", value):
            yield from _leaves(name, item)
    elif isinstance(value, bool):
        yield f"{'' if value else 'not '}{name.replace('_', ' ')}"
    elif value is not None and value != "":
        yield value if isinstance(value, str) else format_value(value)


def seen_by_code(meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Finding:
    """Return what code can tell whoever judges the rest: figures, names, rival words, and a clause with the other sign."""
    one, other = _Text(points_of(meant)), _Text(restated_points(restated, "goal", "plan"))
    rivals = _marks(one, other)
    missing = (*_figures(one, other), *_names(one, other), *rivals.missing, *_denied(one, other))
    added = (*_figures(other, one), *_names(other, one), *rivals.added, *_denied(other, one))
    return Finding(tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(added)))


def _figures(one: _Text, other: _Text) -> Iterator[str]:
    """Yield the figures of one text that have no reading in common with any of the other."""
    theirs = [readings for _, readings in other.figures]
    for clause in one.clauses:
        for written, readings in clause.figures:
            if not any(readings & known for known in theirs) and not _is_said_of_day(readings, theirs):
                yield f"{written} ({clause.text})" if clause.text != written else written


def _is_said_of_day(readings: Figure, theirs: Sequence[Figure]) -> bool:
    """Say whether a weekday is that of a day, or the day of a moment stands apart from its time."""
    from datetime import date, datetime

    mine = dict(readings)
    for known in theirs:
        for kind, value in known:
            if kind == "day" and date.fromisoformat(value).strftime("%A").casefold() == mine.get("weekday"):
                return True
            if kind == "moment":
                moment = datetime.fromisoformat(value)
                if moment.date().isoformat() == mine.get("day") or f"{moment:%H:%M}" == mine.get("time"):
                    return True
    return False


def _names(one: _Text, other: _Text) -> Iterator[str]:
    for clause in one.clauses:
        for name in clause.names:
            if name not in other.said:
                yield f"{name} ({clause.text})" if clause.text.casefold() != name else clause.text


def _marks(one: _Text, other: _Text) -> Finding:
    """Compare the words that say how many, when and on what condition."""
    missing: list[str] = []
    added: list[str] = []
    unsure: list[str] = []
    gone, new = one.marks - other.marks, other.marks - one.marks
    for rivals in _RIVALS:
        lost, come = gone & {*rivals}, new & {*rivals}
        if lost and come:
            missing += [f"{mark} ({_where(one, mark)})" for mark in sorted(lost)]
            added += [f"{mark} ({_where(other, mark)})" for mark in sorted(come)]
    unsure += [
        f"{mark!r} is not said again ({_where(one, mark)})" for mark in sorted(gone - {"must", "should"})
    ]
    unsure += [f"{mark!r} was not said ({_where(other, mark)})" for mark in sorted(new - _WEAK)]
    return Finding(tuple(missing), tuple(added), tuple(unsure))


def _where(text: _Text, mark: str) -> str:
    return next(clause.text for clause in text.clauses if mark in clause.marks)


def _bounds(one: _Text, other: _Text) -> Finding:
    """Compare what stands before each figure: `at most 5` is not `5`, and not `at least 5`."""
    unsure: list[str] = []
    for mark, figure in one.bounds - other.bounds:
        said = sorted(name for name, of in other.bounds if of == figure)
        unsure.append(f"{mark!r} was said of {_shown(figure)}" + (f", not {said[0]!r}" if said else ""))
    unsure += [
        f"{mark!r} was not said of {_shown(figure)}"
        for mark, figure in other.bounds - one.bounds
        if mark not in _WEAK and any(of == figure for _, of in one.bounds)
    ]
    return Finding(unsure=tuple(sorted(unsure)))


def _shown(figure: str) -> str:
    return figure.partition(":")[2].replace("_", " ")


def _negations(one: _Text, other: _Text) -> Finding:
    """Compare yes and no: words of a negated clause that the other side says without a negation, and the reverse."""
    return Finding(
        tuple(_turned(one, other)), tuple(_turned(other, one)), (*_unclear(one, other), *_unclear(other, one))
    )


def _turned(one: _Text, other: _Text) -> Iterator[str]:
    """Yield the clauses that the other side has only with the other sign, or nearly so."""
    for clause in one.clauses:
        if _is_denied(clause, other) or (
            any(_turns(clause.text, their.text) for their in other.clauses)
            and not any(_is_near(clause, their) for their in other.clauses)
        ):
            yield clause.text


def _denied(one: _Text, other: _Text) -> Iterator[str]:
    return (clause.text for clause in one.clauses if _is_denied(clause, other))


def _is_denied(clause: Clause, other: _Text) -> bool:
    """Say whether the other side has all words of a clause, and only with the other sign."""
    words = {word for word in clause.words if word not in _GENERIC}
    theirs = [their for their in other.clauses if words and words <= {*their.words}]
    return bool(theirs) and all(their.negated != clause.negated for their in theirs)


def _is_near(clause: Clause, their: Clause) -> bool:
    """Say whether the other side has a clause in the same sense."""
    words = {*clause.words}
    return words <= {*their.words} and clause.negated == their.negated and not _turns(clause.text, their.text)


def _unclear(one: _Text, other: _Text) -> Iterator[str]:
    negated = {word for clause in other.clauses if clause.negated for word in clause.words}
    for clause in one.clauses:
        if clause.negated and not negated & {*clause.words}:
            yield f"whether not: {clause.text}"


def _covered(one: _Text, other: _Text, topic: _Topic) -> Finding:
    """Look for each clause of the message among what was said."""
    missing: list[str] = []
    unsure: list[str] = []
    theirs = [clause.text for clause in other.clauses]
    for clause in one.clauses:
        share, absent = _share(clause, other)
        if not absent and share >= _ABSENT:
            continue
        about = topic(clause.text, theirs)
        few = share < _ABSENT
        is_missing = few if about is None else about < (_NEAR if few else _FAR)
        if is_missing:
            missing.append(clause.text)
        else:
            unsure.append(f"{', '.join(absent)} ({clause.text})")
    return Finding(tuple(missing), (), tuple(unsure))


def _share(clause: Clause, other: _Text) -> tuple[float, tuple[str, ...]]:
    """Return the share of a clause's words that the other side says, and those that it does not."""
    wanted = [word for word in clause.order if not word.startswith("#")]
    figures = sum(any(readings & known for _, known in other.figures) for _, readings in clause.figures)
    absent = tuple(word for word in wanted if word not in other.words)
    whole = len(wanted) + len(clause.figures)
    return (1.0 if not whole else (len(wanted) - len(absent) + figures) / whole), absent


def _steps(one: _Text, other: _Text, topic: _Topic) -> Finding:
    """Look for each step among what was meant; one word more (`pretend to`, `part of`) and code cannot tell."""
    added: list[str] = []
    unsure: list[str] = []
    meant = [clause.text for clause in one.clauses]
    for clause in other.clauses:
        words = [word for word in clause.order if word not in _GENERIC]
        new = [word for word in words if word not in one.known and not _is_figure_of(word, clause, one)]
        if not new:
            continue
        foreign = len(new) == len(words)
        about = topic(clause.text, meant)
        is_added = foreign if about is None else about < (_NEAR if foreign else _FAR)
        if is_added:
            added.append(clause.text)
        else:
            unsure.append(f"whether it was asked: {clause.text} ({', '.join(map(_shown_word, new))})")
    return Finding((), tuple(added), tuple(unsure))


def _is_figure_of(word: str, clause: Clause, text: _Text) -> bool:
    return word.startswith("#") and any(
        readings & known for _, readings in clause.figures for _, known in text.figures
    )


def _order(one: _Text, other: _Text) -> Finding:
    """Look whether words that stand together stand together again, in the same order: who does what to whom."""
    places = [_places(clause) for clause in other.clauses]
    near = [
        pair
        for clause in one.clauses
        for pair in (*pairwise(clause.order), *zip(clause.order, clause.order[2:], strict=False))
    ]
    pairs = [pair for pair in near if pair[0] != pair[1]]
    known = [(a, b) for a, b in pairs if a in other.words and b in other.words]
    kept = [pair for pair in known if any(_is_in_order(pair, place) for place in places)]
    turned = [
        f"{_shown_word(b)} … {_shown_word(a)} was said, {_shown_word(a)} … {_shown_word(b)} was meant"
        for a, b in known
        if (a, b) not in kept
        and not any(word.startswith(_TIMES) for word in (a, b))
        and any(_is_in_order((b, a), place) for place in places)
    ]
    if not turned and len(kept) < _IN_ORDER * len(known):
        turned = ["the words are the same, and not what stands with what"]
    return Finding(unsure=tuple(dict.fromkeys((*turned, *_led_otherwise(one, other)))))


def _led_otherwise(one: _Text, other: _Text) -> Iterator[str]:
    """Yield the words to which other prepositions lead: `from savings` is not `to savings`."""
    mine, theirs = _led(one), _led(other)
    for word, prepositions in mine.items():
        said = theirs.get(word, prepositions)
        if (
            prepositions != said
            and {*prepositions} - {""}
            and {*said} - {""}
            and not {*said} - {""} <= prepositions
        ):
            yield (
                f"{'/'.join(sorted(prepositions - {''}))} {_shown_word(word)} was meant, "
                f"{'/'.join(sorted(said - {''}))} {_shown_word(word)} was said"
            )


def _led(text: _Text) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for clause in text.clauses:
        for word, preposition in zip(clause.order, clause.joined, strict=True):
            found.setdefault(word, set()).add(preposition)
    return found


def _places(clause: Clause) -> Mapping[str, tuple[int, int]]:
    """Return where each word of a clause stands first and last."""
    found: dict[str, tuple[int, int]] = {}
    for at, word in enumerate(clause.order):
        found[word] = (found.get(word, (at, at))[0], at)
    return found


def _is_in_order(pair: tuple[str, str], places: Mapping[str, tuple[int, int]]) -> bool:
    a, b = pair
    return a in places and b in places and places[a][0] < places[b][1]


def _shown_word(word: str) -> str:
    return _shown(word) if word.startswith("#") else word


def _contradicting(points: Sequence[str], assumed: Sequence[str]) -> Iterator[str]:
    """Yield the assumptions that turn round what was meant; one that is merely new is for the sender to see."""
    meant = [clause.text for point in points for clause in clauses(point)]
    for text in assumed:
        if any(_turns(one, text) for one in meant):
            yield f"assumed: {text}"


@lru_cache(maxsize=1024)
def _turns(meant: str, understood: str) -> bool:
    """Say whether one text turns the other round; what is excepted is compared as a mark."""
    return bool(reversal(_EXCEPTED.sub("", meant), _EXCEPTED.sub("", understood)))
