"""How to ask about what was not understood: the narrowest question that fits, and only if it is worth asking.

A hearer that has readings of what was said, each with a weight, offers the likeliest one, lets choose between few, asks for the one
value where it knows the place, and says openly that it did not understand only where it knows nothing.

Source: Dingemanse et al. 2015 (the most specific format one can); Paek & Horvitz 2000 (whether it pays).
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from agentcomm.grounding.choice import Costs
from agentcomm.protocol.graph import Stakes

__all__ = ("Asking", "Rung", "is_worth_asking", "question")

Rung = Literal["offer", "choose", "specify", "open"]
_OFFERS = 0.6
"""Weight from which on a reading is offered."""
_COVERS, _MOST = 0.9, 4
"""Weight that the readings to choose from have together, and how many they may be."""


class Asking(msgspec.Struct, frozen=True):
    """A question about something said."""

    rung: Rung
    path: str = ""
    options: tuple[Any, ...] = ()
    """The one reading that is offered, or those to choose from, the likeliest first."""


def question(path: str = "", readings: Mapping[Any, float] | None = None) -> Asking:
    """Return how to ask.

    Args:
        path: The field that is not clear; empty if the trouble has no place.
        readings: What it may mean, with weights of any scale.

    Raises:
        ValueError: If a weight is negative or no number.
    """
    weights = readings or {}
    if any(not weight >= 0 for weight in weights.values()):
        raise ValueError("a reading has a weight of 0 or more")
    whole = sum(weights.values())
    if not path:
        return Asking("open")
    if not whole:
        return Asking("specify", path)
    ordered = sorted(weights.items(), key=lambda entry: -entry[1])
    if ordered[0][1] / whole >= _OFFERS:
        return Asking("offer", path, (ordered[0][0],))
    options: list[Any] = []
    covered = 0.0
    for value, weight in ordered[:_MOST]:
        options.append(value)
        covered += weight / whole
        if covered >= _COVERS and len(options) > 1:
            return Asking("choose", path, tuple(options))
    return Asking("specify", path)


def is_worth_asking(
    readings: Mapping[Any, float],
    stakes: Stakes,
    costs: Costs | None = None,
    *,
    leads: Mapping[Any, Any] | None = None,
) -> bool:
    """Say whether a question costs less than acting on the likeliest reading.

    Args:
        readings: What it may mean, with weights of any scale.
        stakes: What is at stake.
        costs: What things cost.
        leads: Reading -> what would be done next; readings that lead to the same are one.
    """
    price = costs or Costs()
    masses: dict[Any, float] = {}
    for value, weight in readings.items():
        key = value if leads is None else leads.get(value, value)
        masses[key] = masses.get(key, 0.0) + weight
    whole = sum(masses.values())
    if len(masses) < 2 or not whole:  # noqa: PLR2004  (with one reading there is nothing to ask)
        return False
    doubt = 1 - max(masses.values()) / whole
    return doubt * price.removes * price.loss[stakes] > price.clarify
