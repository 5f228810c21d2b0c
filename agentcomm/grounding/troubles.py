"""What code can find wrong with something said: a closed list, each with its place and a sentence to act on."""

from typing import Any

import msgspec

from agentcomm.grounding.compare import Difference
from agentcomm.grounding.same import shown

__all__ = (
    "Contradiction",
    "InDoubt",
    "Irrelevant",
    "NoReferent",
    "SeveralReferents",
    "Trouble",
    "Unasked",
    "Unfilled",
    "Ungrounded",
    "Unperformed",
    "Unsourced",
)


class Contradiction(msgspec.Struct, frozen=True, tag="contradiction"):
    """A value differs from what is common ground."""

    name: str
    """Name in the common ground."""
    differs: Difference

    @property
    def sentence(self) -> str:
        """What differs and what to do."""
        return f"{self.name} is grounded otherwise. {self.differs.sentence}"


class Unfilled(msgspec.Struct, frozen=True, tag="unfilled"):
    """A required slot that nobody filled, or that holds a placeholder."""

    slot: str
    value: Any = None

    @property
    def sentence(self) -> str:
        """What is missing and what to do."""
        what = "nobody has said it" if self.value is None else f"{shown(self.value)} is a placeholder"
        return f"{self.slot} is required and {what}; ask for it before going on."


class Ungrounded(msgspec.Struct, frozen=True, tag="ungrounded"):
    """Something that is to be acted on, and for which there is not the evidence yet that it was understood."""

    name: str
    """Of the value on record, or of the act that waits."""
    standing: str
    """private, proposed or disputed."""

    @property
    def sentence(self) -> str:
        """What is not settled and what to do."""
        what = {
            "private": "nobody has said it",
            "disputed": "there is trouble with it that is not mended",
        }.get(self.standing, "it waits for the evidence that it was understood")
        return f"{self.name} is not common ground: {what}; settle that in the talk before acting on it."


class SeveralReferents(msgspec.Struct, frozen=True, tag="several-referents"):
    """A phrase that fits more than one thing."""

    field: str
    phrase: str
    candidates: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What it could be and what to do."""
        return (
            f"{self.field}: {self.phrase!r} may be {', '.join(self.candidates)}; say which one by its name."
        )


class NoReferent(msgspec.Struct, frozen=True, tag="no-referent"):
    """A phrase that fits nothing that is known."""

    field: str
    phrase: str

    @property
    def sentence(self) -> str:
        """What is not known and what to do."""
        return f"{self.field}: {self.phrase!r} fits nothing that is known here; say what it is by its name."


class Irrelevant(msgspec.Struct, frozen=True, tag="irrelevant"):
    """An answer that addresses no open issue."""

    message: str
    open: tuple[str, ...]
    """What is open for this speaker."""

    @property
    def sentence(self) -> str:
        """What is open and what to do."""
        if not self.open:
            return f"{self.message} answers nothing: nothing is open; say what it is about."
        return f"{self.message} answers none of what is open ({', '.join(self.open)}); answer one of them."


class Unperformed(msgspec.Struct, frozen=True, tag="unperformed"):
    """An act that was announced or told as done, and was not performed; or was, with other arguments."""

    action: str
    said_in: str
    """The message that says so."""
    differs: tuple[Difference, ...] = ()

    @property
    def sentence(self) -> str:
        """What was not done and what to do."""
        if self.differs:
            told = "; ".join(map(str, self.differs))
            return f"{self.said_in} says {self.action}, which was performed otherwise: {told}; correct what was said."
        return f"{self.said_in} says {self.action}, and it was not performed; perform it or take it back."


class InDoubt(msgspec.Struct, frozen=True, tag="in-doubt"):
    """An action that was begun, and of which nothing on record tells whether it was completed."""

    action: str
    by: str
    key: str
    """Of the call."""

    @property
    def sentence(self) -> str:
        """What is not known and what to do."""
        told = f"{self.by}'s call of {self.action} was begun, and nothing tells whether it was done"
        return f"{told}; look what became of {self.key}."


class Unasked(msgspec.Struct, frozen=True, tag="unasked"):
    """An action that was completed and that nobody asked for; or was asked for with other arguments."""

    action: str
    by: str
    differs: tuple[Difference, ...] = ()

    @property
    def sentence(self) -> str:
        """What nobody asked for and what to do."""
        if self.differs:
            told = "; ".join(map(str, self.differs))
            return f"{self.by} performed {self.action} otherwise than asked: {told}; say so and undo it if it can be undone."
        return f"{self.by} performed {self.action}, and nobody asked for it; say so and undo it if it can be undone."


class Unsourced(msgspec.Struct, frozen=True, tag="unsourced"):
    """A value that no one ever said."""

    field: str
    value: Any
    why: str = ""

    @property
    def sentence(self) -> str:
        """What has no source and what to do."""
        why = self.why or "it stands in no message, tool result or brief"
        return f"{self.field}: {shown(self.value)} has no source ({why}); use a value that was given, or ask."


Trouble = (
    Contradiction
    | Unfilled
    | Ungrounded
    | SeveralReferents
    | NoReferent
    | Irrelevant
    | Unperformed
    | InDoubt
    | Unasked
    | Unsourced
)
