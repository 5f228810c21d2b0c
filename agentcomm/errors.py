"""The words we fail with.

One tree; each error says where, what, why and how to fix it, and carries a stable code:

    AgentcommError
    ├── ProtocolError          the document is wrong    author
    ├── UsageError             the program is wrong     developer
    │   └── IllegalMove        said out of turn
    ├── EdgeError              the world failed         operator
    │   ├── ModelUnavailable   nobody answers, or the model is not there
    │   ├── ModelTimeout       no answer in time
    │   ├── ModelRefused       the server rejects the request
    │   ├── ContextOverflow    the prompt does not fit the model's window
    │   ├── ModelBroken        an answer that is cut off, empty or no answer at all
    │   ├── InputError         a file given by the user cannot be read or used
    │   ├── StoreError         the record cannot be written or read
    │   ├── RecordError        a record is damaged
    │   └── EffectInDoubt      nobody knows whether a tool did its work
    └── InternalError          we are wrong             please report
"""

from collections.abc import Sequence
from typing import Any

__all__ = (
    "AgentcommError",
    "ContextOverflow",
    "EdgeError",
    "EffectInDoubt",
    "IllegalMove",
    "InputError",
    "InternalError",
    "ModelBroken",
    "ModelRefused",
    "ModelTimeout",
    "ModelUnavailable",
    "ProtocolError",
    "RecordError",
    "StoreError",
    "UsageError",
    "doubt_in",
)


class AgentcommError(Exception):
    """Anything that goes wrong here.

    Args:
        what: What is wrong, in one line.
        why: The reason, where it is not plain from `what`.
        fix: What to do about it.
        where: A file with line and column, a path or an address.
        code: Stable code; the class has a default.
    """

    code = "X000"

    def __init__(self, what: str, *, why: str = "", fix: str = "", where: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.where = where
        if code:
            self.code = code

    def __str__(self) -> str:
        head = f"{self.where}: {self.code} {self.what}" if self.where else f"{self.code} {self.what}"
        return "\n".join(
            [head, *(f"  {word}  {text}" for word, text in (("why", self.why), ("fix", self.fix)) if text)]
        )

    def as_dict(self) -> dict[str, Any]:
        """Return code, what, why, fix and where, for programs."""
        return {"code": self.code, "what": self.what, "why": self.why, "fix": self.fix, "where": self.where}


class ProtocolError(AgentcommError):
    """A protocol is wrong; `findings` lists every reason with its place and its fix."""

    code = "E000"

    def __init__(self, what: str, *, findings: Sequence[Any] = (), fix: str = "", where: str = "") -> None:
        super().__init__(what, fix=fix, where=where)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n\n".join(str(finding) for finding in self.findings) or super().__str__()


class UsageError(AgentcommError):
    """The calling program is wrong."""

    code = "U100"


class IllegalMove(UsageError):
    """A program asked for a move that is not legal now."""

    code = "U200"


class EdgeError(AgentcommError):
    """Something outside failed."""

    code = "X100"


class ModelUnavailable(EdgeError):
    """Nobody answers, or the model is not there."""

    code = "X201"


class ModelTimeout(EdgeError):
    """The model gave no answer in time."""

    code = "X202"


class ModelRefused(EdgeError):
    """The model's server rejects the request."""

    code = "X203"


class ContextOverflow(EdgeError):
    """The prompt does not fit the model's window.

    Args:
        what: What is wrong, in one line.
        tokens: How many the prompt has, where the server counted; else 0.
        words: As for every error.
    """

    code = "X204"

    def __init__(self, what: str, *, tokens: int = 0, **words: str) -> None:
        super().__init__(what, **words)
        self.tokens = tokens


class ModelBroken(EdgeError):
    """An answer that is cut off, empty, or no answer at all."""

    code = "X205"


class InputError(EdgeError):
    """A file given by the user cannot be read or used."""

    code = "X301"


class StoreError(EdgeError):
    """The record cannot be written or read."""

    code = "X401"


class RecordError(EdgeError):
    """A record is damaged; everything before it is usable."""

    code = "X402"


class EffectInDoubt(EdgeError):
    """A tool was about to be called when the process ended, and nobody knows whether it did its work; `key` names the call."""

    code = "X411"

    def __init__(self, what: str, *, key: str, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.key = key


def doubt_in(error: BaseException) -> EffectInDoubt | None:
    """Return the effect in doubt that an error is, or that is in a group of errors, as a group of tasks raises them."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(doubt_in, error.exceptions)), None)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return error if isinstance(error, EffectInDoubt) else None


class InternalError(AgentcommError):
    """We are wrong: please report it, with the transcript."""

    code = "X900"
