"""What one role understood, with seeded noise of every kind.

What is misunderstood stays misunderstood until it is put right: the one who misheard answers, reads back and acts on what it
understood. Source: experiments by injected faults (communication-science: wrong value, wrong referent, dropped constraint).
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act
from agentcomm.testing.choices import Choices
from agentcomm.testing.noise_values import LOST, Change, changed, fewer, near, other_unit, reversed_text, same

__all__ = ("ABOUT", "UNSEEN", "Kind", "Mind", "Noise", "rates_of")


class Kind(StrEnum):
    """What can go wrong between two who talk."""

    WRONG_VALUE = "wrong-value"
    SWAPPED_UNIT = "swapped-unit"
    DROPPED_CONSTRAINT = "dropped-constraint"
    STALE_VALUE = "stale-value"
    AMBIGUOUS_REFERENT = "ambiguous-referent"
    FALSE_ACKNOWLEDGEMENT = "false-acknowledgement"
    OVER_EAGER_CLARIFIER = "over-eager-clarifier"
    CONFIDENT_WRONG_PEER = "confident-wrong-peer"
    RIGHT_READBACK_WRONG_USE = "right-readback-wrong-use"
    REVERSED_PARAPHRASE = "reversed-paraphrase"
    SHARED_ERROR = "shared-error"


ABOUT: Mapping[Kind, str] = {
    Kind.WRONG_VALUE: "the hearer understands another value, near the right one",
    Kind.SWAPPED_UNIT: "the hearer understands the figure in another unit, currency or zone",
    Kind.DROPPED_CONSTRAINT: "the hearer loses an item, a clause, a yes, or a field that may be absent",
    Kind.STALE_VALUE: "the hearer takes the value of an earlier message for the one of this",
    Kind.AMBIGUOUS_REFERENT: "the hearer takes a name for somebody else's; half the time it still says the name as it heard it",
    Kind.FALSE_ACKNOWLEDGEMENT: "the hearer says that it understood and took in none of the values: all of them are guesses",
    Kind.OVER_EAGER_CLARIFIER: "the hearer asks again though it understood",
    Kind.CONFIDENT_WRONG_PEER: "the hearer has another value in mind, and no correction changes it",
    Kind.RIGHT_READBACK_WRONG_USE: "the hearer reads back what was meant, and uses another value",
    Kind.REVERSED_PARAPHRASE: "the hearer understands a text as its opposite",
    Kind.SHARED_ERROR: "the speaker says another value than it was told to, so both share the error",
}
"""What each kind does."""

UNSEEN = (Kind.RIGHT_READBACK_WRONG_USE, Kind.REVERSED_PARAPHRASE, Kind.SHARED_ERROR)
"""What comparing a read-back with what was said cannot see."""

_NAMES = ("text", "id", "choice")
_HEARING: tuple[tuple[Kind, Change], ...] = (
    (Kind.WRONG_VALUE, near),
    (Kind.SWAPPED_UNIT, other_unit),
    (Kind.DROPPED_CONSTRAINT, fewer),
    (
        Kind.AMBIGUOUS_REFERENT,
        lambda kind, value, dice: near(kind, value, dice) if kind.kind in _NAMES else None,
    ),
    (Kind.CONFIDENT_WRONG_PEER, near),
    (Kind.REVERSED_PARAPHRASE, reversed_text),
)


def rates_of(given: Mapping[str, float]) -> dict[Kind, float]:
    """Return how often each kind happens, by names with `-` or `_`.

    Raises:
        UsageError: If a name is no kind, or a rate no probability.
    """
    found: dict[Kind, float] = {}
    for name, rate in given.items():
        try:
            kind = Kind(name.replace("_", "-"))
        except ValueError:
            raise UsageError(
                f"{name!r} is no kind of noise",
                why=f"there are {', '.join(Kind)}",
                fix="use one of these",
                code="U530",
            ) from None
        if not 0 <= rate <= 1:
            raise UsageError(
                f"{kind}: {rate} is no probability", fix=f"a number from 0 to 1: {kind}=0.2", code="U531"
            )
        if rate:
            found[kind] = float(rate)
    return found


class Noise:
    """How often what goes wrong, and where chance comes from.

    Args:
        rates: Kind -> probability: for each message that is heard, value that is used, or turn that is taken.
        choices: Where chance comes from, such as `Dice(seed)`.
        restates: How often a value is read back in another written form that means the same.
        notices: How often a hearer notices that a name may be somebody else's, too, and doubts; else it takes one.
    """

    def __init__(
        self, rates: Mapping[str, float], choices: Choices, *, restates: float = 0.0, notices: float = 0.0
    ) -> None:
        self.rates = rates_of(rates)
        self.choices = choices
        self.restates = restates
        self.notices = notices
        self.injected: dict[Kind, int] = {}
        """How often each kind has happened."""

    def strikes(self, kind: Kind) -> bool:
        """Say whether it happens now."""
        rate = self.rates.get(kind)
        return rate is not None and self.choices.chance(rate)

    def count(self, kind: Kind) -> None:
        """Note that it happened."""
        self.injected[kind] = self.injected.get(kind, 0) + 1

    def alter(
        self, act: Act, content: Mapping[str, Any], names: Iterable[str], change: Change
    ) -> dict[str, Any]:
        """Return one field with another value, or nothing where no field can have one."""
        left = [name for name in names if content.get(name) is not None]
        while left:
            name = self.choices.pick(left)
            value = changed(act, content, name, self.choices, change)
            if value is not None:
                return {name: value}
            left.remove(name)
        return {}


class Taken(msgspec.Struct):
    """What one hearer made of one message."""

    act: Act
    values: dict[str, Any]
    """As it understands them."""
    shown: dict[str, Any] = {}
    """What it reads back otherwise than it understands it."""
    stuck: set[str] = set()
    """Fields that no correction changes."""


def _all_fields(act: Act) -> tuple[str, ...]:
    return tuple(act.fields)


class Mind:
    """What one role understood, with noise: it hears, reads back, is corrected, and uses.

    Args:
        noise: What goes wrong.
        relevant: Act -> the fields that matter; without it all fields do.
    """

    def __init__(self, noise: Noise, relevant: Callable[[Act], tuple[str, ...]] | None = None) -> None:
        self.noise = noise
        self.relevant = relevant or _all_fields
        self.taken: dict[str, Taken] = {}
        """Act -> what was made of its latest saying."""
        self.earlier: dict[str, dict[str, Any]] = {}
        """Act -> values of an earlier saying, or of an earlier conversation."""
        self.doubts: dict[str, tuple[str, tuple[Any, Any]]] = {}
        """Act -> a field of its latest saying that may mean either of two things, as it noticed itself."""

    def hear(self, act: Act, content: Mapping[str, Any]) -> bool:
        """Take in a message as plain data; returns whether something went wrong."""
        before = self.taken.get(act.label)
        if before is not None:
            self.earlier[act.label] = before.values
        taken = self.taken[act.label] = Taken(act, dict(content))
        self.doubts.pop(act.label, None)
        return self._mishear(taken, self.relevant(act))

    def correct(self, act: Act, values: Mapping[str, Any]) -> bool:
        """Take in a correction of a message; returns whether something went wrong."""
        taken = self.taken.get(act.label)
        if taken is None:
            return self.hear(act, values)
        told = {name: value for name, value in values.items() if name not in taken.stuck}
        taken.values.update(told)
        for name in told:
            taken.shown.pop(name, None)
        return self._mishear(taken, tuple(told))

    def values(self, act: str) -> dict[str, Any] | None:
        """Return what it understands of an act, or None if it did not hear it."""
        taken = self.taken.get(act)
        return None if taken is None else taken.values

    def read_back(self, act: str, names: Iterable[str]) -> dict[str, Any]:
        """Return what it says that it understood."""
        taken = self.taken[act]
        said = {name: taken.shown.get(name, taken.values.get(name)) for name in names}
        if self.noise.restates:
            for name, value in said.items():
                if value is not None and self.noise.choices.chance(self.noise.restates):
                    said[name] = same(taken.act.fields[name], value, self.noise.choices)
        return {name: value for name, value in said.items() if value is not None}

    def use(self, act: Act, content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """Return content as it uses it: `names` are the fields that it took from others."""
        return self._slip(Kind.RIGHT_READBACK_WRONG_USE, act, content, names)

    def formulate(self, act: Act, content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """Return content as it says it: `names` are the fields that are its own."""
        return self._slip(Kind.SHARED_ERROR, act, content, names)

    def asks(self) -> bool:
        """Say whether it asks though it understood."""
        if self.noise.strikes(Kind.OVER_EAGER_CLARIFIER):
            self.noise.count(Kind.OVER_EAGER_CLARIFIER)
            return True
        return False

    def _slip(self, kind: Kind, act: Act, content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        if not self.noise.strikes(kind):
            return dict(content)
        altered = self.noise.alter(act, content, names, near)
        if altered:
            self.noise.count(kind)
        return {**content, **altered}

    def _mishear(self, taken: Taken, names: tuple[str, ...]) -> bool:
        noise, went_wrong = self.noise, False
        if not noise.rates:
            return False
        for kind, change in _HEARING:
            if noise.strikes(kind):
                among = taken.act.fields if kind is Kind.REVERSED_PARAPHRASE else names
                altered = noise.alter(taken.act, taken.values, among, change)
                self._take_in(kind, taken, altered)
                went_wrong |= bool(altered)
        if noise.strikes(Kind.STALE_VALUE):
            stale = self._stale(taken, names)
            self._take_in(Kind.STALE_VALUE, taken, stale)
            went_wrong |= bool(stale)
        if noise.strikes(Kind.FALSE_ACKNOWLEDGEMENT):
            guesses: dict[str, Any] = {}
            for name in names:
                guesses |= noise.alter(taken.act, taken.values, (name,), near)
            self._take_in(Kind.FALSE_ACKNOWLEDGEMENT, taken, guesses)
            went_wrong |= bool(guesses)
        return went_wrong

    def _stale(self, taken: Taken, names: tuple[str, ...]) -> dict[str, Any]:
        before = self.earlier.get(taken.act.label, {})
        among = [name for name in names if before.get(name) is not None]
        return (
            self.noise.alter(
                taken.act, taken.values, among[:1], lambda _kind, _value, _dice: before[among[0]]
            )
            if among
            else {}
        )

    def _take_in(self, kind: Kind, taken: Taken, altered: Mapping[str, Any]) -> None:
        if not altered:
            return
        self.noise.count(kind)
        for name, value in altered.items():
            notices = self.noise.notices if kind is Kind.AMBIGUOUS_REFERENT else 0.0
            if notices and self.noise.choices.chance(notices):
                self.doubts[taken.act.label] = name, (taken.values[name], value)
            if kind is Kind.AMBIGUOUS_REFERENT and self.noise.choices.chance(0.5):
                taken.shown = {**taken.shown, name: taken.values[name]}
            if kind is Kind.CONFIDENT_WRONG_PEER:
                taken.stuck = {*taken.stuck, name}
            if value is LOST:
                taken.values.pop(name)
            else:
                taken.values[name] = value
