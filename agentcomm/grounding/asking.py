"""How to ask about what was not understood, and whether to ask at all.

A hearer that has readings of what was said, each with a weight, offers the likeliest one, lets choose between few, asks for the one
value where it knows the place, and says openly that it did not understand only where it knows nothing. Of the questions that fit and
were not asked yet, the one is asked that is expected to cost least; if acting on the likeliest reading costs less, none is.

Source: Dingemanse et al. 2015 (the most specific format one can); Paek & Horvitz 2000 (a question as a decision by expected cost).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from agentcomm.grounding.choice import Costs, Rung
from agentcomm.protocol.graph import Stakes

__all__ = ("RUNGS", "Action", "Asking", "Decision", "Rung", "asked_with", "decide", "question")

Action = Rung | Literal["accept", "escalate"]
RUNGS: tuple[Rung, ...] = ("offer", "choose", "specify", "open")
"""Ways to ask about a message, the most specific first (Dingemanse & Enfield 2015)."""
_OFFERS = 0.6
"""Weight from which on a reading is offered."""
_COVERS, _MOST = 0.9, 4
"""Weight that the readings to choose from have together, and how many they may be."""

Readings = Mapping[Any, float] | Iterable[tuple[Any, float]]


class Asking(msgspec.Struct, frozen=True):
    """A question about something said."""

    rung: Rung
    path: str = ""
    options: tuple[Any, ...] = ()
    """The one reading that is offered, or those to choose from, the likeliest first."""


def asked_with(asking: Asking) -> dict[str, Any]:
    """Return the content by which a question is put, but for what its words may say freely."""
    if asking.rung == "open":
        return {}
    if asking.rung == "offer":
        return {"path": asking.path, "candidate": asking.options[0]}
    if asking.rung == "choose":
        return {"path": asking.path, "options": list(asking.options)}
    return {"path": asking.path}


class Decision(msgspec.Struct, frozen=True):
    """What is done about something that may mean several things, and what that was decided by."""

    action: Action
    asking: Asking | None
    """The question, where one is asked."""
    p: float
    """The chance of the likeliest reading."""
    least: float
    """The chance from which on it is acted upon: where the best question costs as much as it saves."""
    costs: Mapping[str, float]
    """Action -> what it is expected to cost, in turns."""


def _ordered(readings: Readings) -> list[tuple[Any, float]]:
    """Return readings, the likeliest first; those that are the same are one.

    Raises:
        ValueError: If a weight is negative or no number.
    """
    pairs: Iterable[tuple[Any, float]] = (
        cast("Mapping[Any, float]", readings).items() if isinstance(readings, Mapping) else readings
    )
    found: list[tuple[Any, float]] = []
    for value, weight in pairs:
        if not weight >= 0:
            raise ValueError("a reading has a weight of 0 or more")
        for place, (other, sum_) in enumerate(found):
            if type(other) is type(value) and other == value:
                found[place] = other, sum_ + weight
                break
        else:
            found.append((value, weight))
    return sorted(found, key=lambda entry: -entry[1])


def question(path: str = "", readings: Readings | None = None) -> Asking:
    """Return the narrowest question that fits.

    Args:
        path: The field that is not clear; empty if the trouble has no place.
        readings: What it may mean, with weights of any scale.

    Raises:
        ValueError: If a weight is negative or no number.
    """
    return _question(path, _ordered(readings or ()))


def _question(path: str, ordered: list[tuple[Any, float]]) -> Asking:
    whole = sum(weight for _, weight in ordered)
    if not path:
        return Asking("open")
    if not whole:
        return Asking("specify", path)
    if ordered[0][1] / whole >= _OFFERS:
        return Asking("offer", path, (ordered[0][0],))
    options = _options(ordered, whole)
    return Asking("choose", path, options) if options else Asking("specify", path)


def _options(ordered: list[tuple[Any, float]], whole: float) -> tuple[Any, ...]:
    """Return the few readings that cover nearly all there are; none where it takes too many."""
    options: list[Any] = []
    covered = 0.0
    for value, weight in ordered[:_MOST]:
        options.append(value)
        covered += weight / whole
        if covered >= _COVERS and len(options) > 1:
            return tuple(options)
    return ()


def decide(
    path: str,
    readings: Readings,
    stakes: Stakes,
    costs: Costs | None = None,
    *,
    helps: Mapping[Rung, float] | None = None,
    may_escalate: bool = False,
) -> Decision:
    """Return what costs least in expectation: acting on the likeliest reading, a question, or whoever decides.

    With p the chance of the likeliest reading, L the loss, c what a question costs and g how often it mends: acting costs
    (1 - p) L, a question c + (1 - p) (1 - g) L. Of questions that cost the same the most specific is asked, and none that is more
    specific than the readings are. What cannot be undone is not done on a guess while there is anything else to do.

    Args:
        path: The field that is not clear; empty if the trouble has no place.
        readings: What it may mean, with weights of any scale.
        stakes: What is at stake.
        costs: What things cost.
        helps: Question that may still be asked -> how often it mends; without it, all of them, as far as `costs` knows them.
        may_escalate: Whether there is somebody who decides, and may be asked now.

    Raises:
        ValueError: If a weight is negative or no number.
    """
    price = costs or Costs()
    known = dict.fromkeys(RUNGS, price.believed.mean) if helps is None else helps
    ordered = _ordered(readings)
    whole = sum(weight for _, weight in ordered)
    p = ordered[0][1] / whole if whole else 0.0
    loss = price.loss[stakes]
    found: dict[str, float] = {"accept": (1 - p) * loss}
    least = 0.0
    narrowest = _question(path, ordered)
    for rung in RUNGS[RUNGS.index(narrowest.rung) :]:
        if rung not in known or (rung == "choose" and not _options(ordered, whole)):
            continue
        asks, saved = price.asking(rung), known[rung] * loss
        found[rung] = asks + (1 - p) * (1 - known[rung]) * loss
        least = max(least, 1 - asks / saved if saved > asks else 0.0)
    if may_escalate:
        found["escalate"] = price.escalate
    open_now = [action for action in found if action != "accept"]
    if stakes is Stakes.IRREVERSIBLE and open_now and p < 1:
        action = min(open_now, key=lambda each: found[each])
    else:
        action = min(found, key=lambda each: found[each])
    asking: Asking | None = None
    if action in RUNGS:
        options = {"offer": narrowest.options, "choose": _options(ordered, whole)}.get(action, ())
        asking = Asking(action, path if action != "open" else "", options)
    return Decision(action, asking, p, least, found)  # pyright: ignore[reportArgumentType]
