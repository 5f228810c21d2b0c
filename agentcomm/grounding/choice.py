"""Whether to act on what was said or to have it read back first: the cheaper of the two in expectation.

Not a model's own confidence counts but what became of earlier messages: how often the same model understood the same act of the
same speaker. A conversation opens with a snapshot of these counts, what it adds to them are events, and the next one opens
with the sum; so a replay decides the same.

Source: Paek & Horvitz 2000 (grounding as a decision under uncertainty); Beta-Bernoulli counts.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from agentcomm.protocol.graph import Stakes

__all__ = ("LOSS", "Beta", "Choice", "Costs", "Rung", "Weighed")

Rung = Literal["offer", "choose", "specify", "open"]
"""A way to ask about a message."""
_Z = 1.6449


class Beta(msgspec.Struct, frozen=True, gc=False):
    """How often something was understood, and how often not; both count what was believed before the first time."""

    good: float
    bad: float

    @property
    def mean(self) -> float:
        """The chance that the next one is understood."""
        return self.good / (self.good + self.bad)

    @property
    def least(self) -> float:
        """The chance that it has at least, as far as is known: the lower end of Wilson's interval, one-sided at 95 %."""
        n, z = self.good + self.bad, _Z
        p = self.good / n
        return (p + z * z / (2 * n) - z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)

    def after(self, understood: bool) -> "Beta":
        """Return the counts with one more."""
        return Beta(self.good + understood, self.bad + (not understood))


LOSS: Mapping[Stakes, float] = {
    Stakes.LOW: 2.0,
    Stakes.NORMAL: 20.0,
    Stakes.HIGH: 200.0,
    Stakes.IRREVERSIBLE: 20_000.0,
}
"""What acting on a misunderstanding costs, in turns."""


_BELIEVED = 5.0
_ASKED = "?"


class Costs(msgspec.Struct, frozen=True):
    """What things cost, in turns of an agent, and how good a read-back is."""

    confirm: float = 1.0
    """One read-back; that it is right, code says."""
    repair: float = 2.0
    """The correction, and the read-back of it."""
    detects: float = 0.98
    """Chance that a read-back shows a misunderstanding."""
    alarms: float = 0.005
    """Chance that it shows one where there is none."""
    late: float = 3.0
    """A misunderstanding that code finds when the value is used: the repair, and what was said in vain."""
    clarify: float = 2.0
    """A question about one place, and the answer to it."""
    removes: float = 0.8
    """Share of the misunderstandings that a question removes, as long as nothing is known of those asked."""
    anew: float = 1.0
    """What an open question costs on top: all of it is said anew."""
    escalate: float = 20.0
    """Laying a matter before somebody else."""
    loss: Mapping[Stakes, float] = msgspec.field(default_factory=lambda: LOSS)

    def asking(self, rung: Rung) -> float:
        """Return what a question costs, and the answer to it."""
        return self.clarify + (self.anew if rung == "open" else 0.0)

    @property
    def believed(self) -> Beta:
        """What is believed of a kind of question before one was asked: as much as five of them would show."""
        return Beta(_BELIEVED * self.removes, _BELIEVED - _BELIEVED * self.removes)

    def least(self, stakes: Stakes, *, compared: bool = False) -> float:
        """Return the chance of being understood from which on a read-back does not pay: 0 where it never does.

        With L the loss, c the cost of a read-back and r that of a repair, d and f its rates: accepting costs (1 - p) L, a
        read-back c + (1 - p) ((1 - d) L + d r) + p f r; they cost the same at p = (d (L - r) - c) / (d (L - r) + f r).

        Args:
            stakes: What is at stake.
            compared: Whether code compares the value again before anything is done with it.
        """
        loss = min(self.late, self.loss[stakes]) if compared else self.loss[stakes]
        saved = self.detects * (loss - self.repair)
        if saved <= self.confirm:
            return 0.0
        return (saved - self.confirm) / (saved + self.alarms * self.repair)

    def mends(self, stakes: Stakes) -> float:
        """Return the chance of being understood from which on a repair pays, rather than laying the matter before the authority.

        The correction is read back again; what it shows then is laid before the authority. With L the loss, r the cost of a
        repair, e that of the authority and d what a read-back detects: r + (1 - p) ((1 - d) L + d e) = e.
        """
        missed = (1 - self.detects) * self.loss[stakes] + self.detects * self.escalate
        if missed <= 0:
            return 0.0 if self.repair <= self.escalate else 1.0
        return min(1.0, max(0.0, 1 - (self.escalate - self.repair) / missed))


class Weighed(msgspec.Struct, frozen=True, gc=False):
    """A choice, and what it was made from."""

    confirms: bool
    p: float
    """The chance that it is understood as meant, at least, as far as is known."""
    least: float
    """The chance from which on it is acted upon without a read-back."""


class Choice(msgspec.Struct, frozen=True):
    """The rule, with what was known when the conversation opened."""

    counters: Mapping[str, Beta] = {}
    """By `key`."""
    models: Mapping[str, str] = {}
    """Role -> the model that plays it; a role that is not here is played by code."""
    costs: Costs = Costs()
    prior: Beta = Beta(0.8, 0.2)
    """What is believed of a pair that has not talked yet."""

    def key(self, act: str, sender: str, hearer: str) -> str:
        """Return what is counted together: one act between two roles, understood by one model."""
        return f"{self.models.get(hearer, '')}|{act}|{sender}|{hearer}"

    def asked(self, act: str, rung: Rung, hearer: str, sender: str) -> str:
        """Return what questions of a kind are counted under that a hearer asks about an act: whether they helped."""
        return self.key(f"{act}{_ASKED}{rung}", hearer, sender)

    def known(self, key: str, counted: Mapping[str, Beta]) -> Beta:
        """Return the counts of a key: those of this conversation, those it opened with, or the prior."""
        return counted.get(key) or self.counters.get(key) or self._prior(key)

    def _prior(self, key: str) -> Beta:
        act = key.split("|")[1] if key.count("|") > 1 else ""
        return self.costs.believed if _ASKED in act else self.prior

    def weigh(self, stakes: Stakes, known: Beta, *, compared: bool = False) -> Weighed:
        """Return whether a contribution is read back before it counts. What cannot be undone always is.

        What is not known well is taken for the worse: whoever stops asking after a few good answers learns nothing any more.

        Args:
            stakes: What is at stake.
            known: How often such a thing was understood.
            compared: Whether code compares the value again before anything is done with it.
        """
        p, least = known.least, self.costs.least(stakes, compared=compared)
        return Weighed(p < least or stakes is Stakes.IRREVERSIBLE, p, least)

    def learned(self, counted: Iterable[tuple[str, bool]]) -> "Choice":
        """Return the rule for the next conversation: with what was counted in one, key by key in its order."""
        counters = dict(self.counters)
        for key, understood in counted:
            counters[key] = (counters.get(key) or self._prior(key)).after(understood)
        return msgspec.structs.replace(self, counters=counters)
