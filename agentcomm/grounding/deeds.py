"""Whether words and deeds agree: nothing announced and not done, nothing done that nobody asked for.

Deeds are tool calls and acts as they are on record; what a text says of them is read by the words that name each action.
Source: MAST, the failures "reasoning-action mismatch" and "disobey task specification" (Cemri et al. 2025); English texts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from agentcomm.acts.content import FieldType
from agentcomm.grounding.compare import Difference, differences
from agentcomm.grounding.troubles import Unasked, Unperformed

__all__ = ("Claim", "Deed", "claims", "unasked", "unperformed")


class Deed(msgspec.Struct, frozen=True):
    """An action with its arguments: one that was announced, asked for, or performed."""

    action: str
    """Name of the tool or the act."""
    arguments: Mapping[str, Any] = {}
    by: str = ""
    """Who performs it; empty where anybody may."""
    source: str = ""
    """The message or record that says so."""


class Claim(msgspec.Struct, frozen=True):
    """What a text says of an action."""

    action: str
    tense: Literal["done", "announced"]
    quote: str


_DONE = r"(?:I|we)(?:['\u2019]ve| have| had)?(?: just| already| now| successfully)*|(?:has|have) been(?: \w+ly)?|(?:was|were)(?: \w+ly)?"
_COMING = r"(?:I|we)(?:['\u2019]ll| will| shall|['\u2019]m going to| am going to| are going to)(?: now| then| also)*|let me"
_NOT = re.compile(r"\b(?:not|never|cannot|unable|failed to|without)\b|n['\u2019]t\b", re.IGNORECASE)


def unperformed(
    announced: Iterable[Deed],
    performed: Iterable[Deed],
    kinds: Mapping[str, Mapping[str, FieldType]] | None = None,
) -> tuple[Unperformed, ...]:
    """Return what was announced or told as done, and is not on record as performed with these arguments.

    Args:
        announced: What was said, each with the arguments that were said of it and the message as `source`.
        performed: What is on record as performed.
        kinds: Types of arguments, by action.
    """
    done = list(performed)
    found: list[Unperformed] = []
    for deed in announced:
        nearest = _nearest(deed, done, kinds)
        if nearest is None:
            found.append(Unperformed(deed.action, deed.source))
        elif nearest:
            found.append(Unperformed(deed.action, deed.source, nearest))
    return tuple(found)


def unasked(
    performed: Iterable[Deed],
    asked: Iterable[Deed],
    kinds: Mapping[str, Mapping[str, FieldType]] | None = None,
    free: Iterable[str] = (),
) -> tuple[Unasked, ...]:
    """Return what was performed and nobody asked for, or asked for with other arguments; one request covers one deed.

    Args:
        performed: What is on record as performed.
        asked: Requests, plans and commitments, each with the arguments that were said.
        kinds: Types of arguments, by action.
        free: Actions that need no request, such as looking something up.
    """
    left, allowed = list(asked), set(free)
    found: list[Unasked] = []
    for deed in performed:
        if deed.action in allowed:
            continue
        exact = next((n for n, wish in enumerate(left) if _nearest(wish, [deed], kinds) == ()), None)
        if exact is not None:
            del left[exact]
            continue
        told = [differs for wish in left if (differs := _nearest(wish, [deed], kinds))]
        found.append(Unasked(deed.action, deed.by, min(told, key=len, default=())))
    return tuple(found)


def _nearest(
    wish: Deed, done: Sequence[Deed], kinds: Mapping[str, Mapping[str, FieldType]] | None
) -> tuple[Difference, ...] | None:
    """Return how the deed that fits best differs from what was wished: nothing if it fits, None if there is none."""
    types = (kinds or {}).get(wish.action, {})
    tried = [
        differences(types, wish.arguments, deed.arguments, restated=True)
        for deed in done
        if deed.action == wish.action and (not wish.by or not deed.by or deed.by == wish.by)
    ]
    return min(tried, key=len, default=None)


def claims(text: str, actions: Mapping[str, Sequence[str]]) -> tuple[Claim, ...]:
    """Return what a text says was done or will be done by its speaker; a sentence with a `not` says nothing of the kind.

    Args:
        text: What was said.
        actions: Action -> verbs for it; an irregular past stands after a slash: `send/sent`.
    """
    found: list[Claim] = []
    for sentence in re.split(r"(?<=[.!?])\s+|[;\n]", text):
        if _NOT.search(sentence):
            continue
        for action, verbs in actions.items():
            words = "|".join(re.escape(verb.partition("/")[0]) for verb in verbs)
            past = "|".join(form for verb in verbs for form in _past(verb))
            if re.search(rf"\b(?:{_COMING}) (?:{words})\b", sentence, re.IGNORECASE):
                found.append(Claim(action, "announced", sentence.strip()))
            elif re.search(rf"\b(?:{_DONE}) (?:{past})\b", sentence, re.IGNORECASE):
                found.append(Claim(action, "done", sentence.strip()))
    return tuple(found)


def _past(verb: str) -> tuple[str, ...]:
    """Return the forms in which a verb says that something was done."""
    verb, _, irregular = verb.partition("/")
    if irregular:
        forms: tuple[str, ...] = (irregular,)
    elif verb.endswith("e"):
        forms = (verb + "d",)
    elif verb.endswith("y") and verb[-2:-1] not in tuple("aeiou"):
        forms = (verb[:-1] + "ied",)
    else:
        forms = (verb + "ed", verb + verb[-1:] + "ed")
    return tuple(map(re.escape, forms))
