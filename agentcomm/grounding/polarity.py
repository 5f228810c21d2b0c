"""What a text says yes or no to: two texts that differ by a `not`, or by one word for its opposite.

English words. Only what can be seen in the words is found: a paraphrase that turns the intent is the judge's matter.
"""

import re
from collections import Counter

from agentcomm.acts.glossary import fold

__all__ = ("expanded", "reversal")

_CONTRACTED = re.compile(r"\b(\w+?)n['\u2019]t\b")
_IRREGULAR = {"ca": "can", "wo": "will", "sha": "shall"}
_NEGATORS = frozenset(
    ["not", "no", "never", "without", "none", "nothing", "nobody", "neither", "nor", "except", "nowhere"]
)
_PAIRS = (
    "enable disable", "enabled disabled", "include exclude", "including excluding", "allow deny", "allowed denied",
    "allow forbid", "permit forbid", "on off", "start stop", "before after", "above below", "over under", "more less",
    "most least", "minimum maximum", "min max", "increase decrease", "raise lower", "open close", "opened closed",
    "accept reject", "accepted rejected", "add remove", "lock unlock", "with without", "first last", "up down",
    "approve reject", "approved rejected", "buy sell", "left right", "true false", "yes no", "possible impossible",
    "safe unsafe", "required optional", "always never", "all none", "keep delete", "encrypt decrypt", "read write",
)  # fmt: skip
_OPPOSITES = frozenset(frozenset(pair.split()) for pair in _PAIRS)
_SHARED = 0.5
"""The share of words that two texts have in common, from which one is taken for the other turned round."""


def expanded(text: str) -> str:
    """Return a text without case, spacing, contraction of `not`, and full stop at the end."""
    words = _CONTRACTED.sub(lambda found: f"{_IRREGULAR.get(found[1], found[1])} not", fold(text))
    return re.sub(r"\bcannot\b", "can not", words).removesuffix(".")


def reversal(meant: str, understood: str) -> str:
    """Return why one text turns the other round, empty if that cannot be seen."""
    one, other = _words(meant), _words(understood)
    gone, new = one - other, other - one
    left, right = " ".join(gone), " ".join(new)
    if gone.total() == new.total() == 1 and frozenset((left, right)) in _OPPOSITES:
        return f"{left!r} was meant, its opposite {right!r} was understood"
    before, after = _negators(one), _negators(other)
    common, whole = (one & other).total(), (one | other).total()
    if before.total() % 2 == after.total() % 2 or common < _SHARED * (
        whole - abs(before.total() - after.total())
    ):
        return ""
    if before.total() > after.total():
        return f"{' '.join(before - after)!r} was meant and is not said"
    return f"{' '.join(after - before)!r} was not meant and is said"


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[\w'-]+", expanded(text)))


def _negators(words: Counter[str]) -> Counter[str]:
    return Counter({word: count for word, count in words.items() if word in _NEGATORS})
