"""What the words of another language stand for in ours: names that can be names, acts, classes of outcomes.

Other languages do not say what an act commits to, or whether an end is a good one. Both are read off the word, and told.
"""

import keyword
import re
from dataclasses import dataclass, field

from agentcomm.acts.content import Content
from agentcomm.acts.performative import Performative
from agentcomm.protocol.shape import is_name

__all__ = ("Names", "act_of", "as_field", "class_of", "parts")

_LONGEST = 56
"""Characters of a name, so that there is room for a number behind it."""
_ACTS: tuple[tuple[Performative, tuple[str, ...]], ...] = (
    (Performative.NOT_UNDERSTOOD, ("notunderstood", "misunderstood")),
    (Performative.FAILURE, ("fail", "error")),
    (Performative.REFUSE, ("refus", "deny")),
    (Performative.REJECT_PROPOSAL, ("reject", "declin")),
    (Performative.CANCEL, ("cancel", "abort", "withdraw", "rescind", "revok", "interrupt", "quit")),
    (Performative.ACCEPT_PROPOSAL, ("accept",)),
    (Performative.AGREE, ("agree",)),
    (Performative.CONFIRM, ("confirm",)),
    (Performative.CFP, ("cfp", "rfq", "callforproposals")),
    (Performative.PROPOSE, ("propos", "quot", "offer", "bid")),
    (Performative.SUBSCRIBE, ("subscrib",)),
    (Performative.INFORM, ("inform", "respon", "result", "answer", "reply")),
    (Performative.QUERY_REF, ("query", "get", "read", "ask", "search", "lookup")),
    (Performative.REQUEST, ("request", "order", "do", "buy", "create", "set", "update", "delete", "perform")),
)
"""Beginnings of words, the first that fits."""
_WHOLE = frozenset({"do", "get", "set", "ask", "bid", "read"})
"""Those that are whole words, for too many others begin with them."""
_CLASSES = (
    ("undecided", ("undecid", "unresolv", "unreach", "disagree", "incomplete")),
    (
        "failed",
        ("fail", "error", "invalid", "unsuccess", "wrong", "broke", "broken", "crash", "lost", "oops"),
    ),
    ("refused", ("refus", "deny", "denied")),
    ("rejected", ("reject", "declin")),
    ("cancelled", ("cancel", "abort", "withdraw", "rescind", "revok", "interrupt", "quit")),
    ("expired", ("expir", "timeout", "timed", "late", "overdue")),
)


def parts(text: str) -> list[str]:
    """Return the words of a name, small: `AgreementUn_reached` is agreement, un, reached."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", text)]


def act_of(label: str, otherwise: Performative = Performative.INFORM) -> Performative:
    """Return the act of the library that a label names or begins like."""
    if label in set(Performative):
        return Performative(label)
    words = parts(label)
    for act, stems in _ACTS:
        if any(_begins(word, stem) for word in (*words, "".join(words)) for stem in stems):
            return act
    return otherwise


def class_of(name: str) -> str:
    """Return the class of outcomes that a name sounds like: success, if nothing in it sounds otherwise."""
    words = parts(name)
    for kind, stems in _CLASSES:
        if any(word.startswith(stem) for word in words for stem in stems):
            return kind
    return "success"


def _begins(word: str, stem: str) -> bool:
    return word == stem if stem in _WHOLE else word.startswith(stem)


@dataclass(slots=True)
class Names:
    """Gives out names, each once."""

    barred: tuple[str, ...] = ()
    given: dict[str, str] = field(default_factory=dict[str, str])
    """Name here -> name there."""

    def fresh(self, text: str) -> str:
        """Return a name like `text` that is not given yet."""
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
        base = re.sub(r"\W+|_+", "-", spaced).strip("-").lower()[:_LONGEST].strip("-")
        base = base if is_name(base) else f"x-{base}".strip("-")
        name, number = base, 1
        while name in self.given or name in self.barred:
            number += 1
            name = f"{base}-{number}"
        self.given[name] = text
        return name


def as_field(text: str, taken: dict[str, str]) -> str:
    """Return a name for a field like `text`, not among those that are taken."""
    base = re.sub(r"\W", "_", text).lstrip("_") or "value"
    if not base.isidentifier() or keyword.iskeyword(base) or _is_barred(base):
        base = f"value_{base}" if not base.isidentifier() else f"{base}_value"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _is_barred(name: str) -> bool:
    protected = name.startswith(("model_validate", "model_dump"))
    return protected or name in {"is", "act", "content"} or hasattr(Content, name)
