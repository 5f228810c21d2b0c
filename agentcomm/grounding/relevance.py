"""Whether an answer addresses something that is open: a question, a request, a proposal that waits.

Source: questions under discussion (Ginzburg 1996, Larsson 2002): an answer that addresses none of them is a sign of derailment.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agentcomm.grounding.consistency import unfilled
from agentcomm.grounding.troubles import Irrelevant, Unfilled

__all__ = ("Issue", "check_answer")


class Issue(msgspec.Struct, frozen=True):
    """Something that waits for an answer."""

    message: str
    """The message that raised it."""
    label: str
    """What it is called, such as `request` or a question."""
    to: tuple[str, ...]
    """The roles that owe the answer."""
    fields: tuple[str, ...] = ()
    """What an answer must say."""


def check_answer(
    message: str,
    speaker: str,
    in_reply_to: str,
    content: Mapping[str, Any],
    issues: Iterable[Issue],
) -> tuple[Irrelevant | Unfilled, ...]:
    """Return what is wrong with an answer: it addresses nothing that is open, or leaves out what it must say.

    Args:
        message: The answer, for the sentence.
        speaker: The role that answers.
        in_reply_to: The message it answers; empty where it does not say, then any issue with the same fields will do.
        content: What it says, by field.
        issues: What is open.
    """
    owed = [issue for issue in issues if speaker in issue.to]
    if in_reply_to:
        addressed = [issue for issue in owed if issue.message == in_reply_to]
    else:
        said = {name for name, value in content.items() if value is not None}
        addressed = [issue for issue in owed if said.intersection(issue.fields)]
    if not addressed:
        return (Irrelevant(message, tuple(issue.label for issue in owed)),)
    return min((unfilled(issue.fields, {}, content) for issue in addressed), key=len)
