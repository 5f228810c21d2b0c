"""Read BSPL, the Blindingly Simple Protocol Language: words with their places, into roles, parameters, messages, references.

Source: Singh 2011, Information-driven interaction-oriented programming; the grammar as the language's tools take it today.
"""

import re
from dataclasses import dataclass, field

from agentcomm.protocol.findings import Report, near
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.imports.imported import refuse
from agentcomm.protocol.shape import Word
from agentcomm.protocol.source import ReadLimits, decoded

__all__ = ("Adorned", "BsplMessage", "BsplProtocol", "BsplReference", "read_bspl")

_TOKEN = re.compile(r"\s+|(?:#|//)[^\n]*|(->|→|↦|[\w@]+(?:-(?!>)[\w@]*)*|[{}()\[\],:|])")
_ADORNMENTS = ("in", "out", "nil", "any", "opt")
_SIGNS = frozenset("{}()[],:|")
_ARROWS = ("->", "→", "↦")
_MOST = 2_000
"""Messages, references and parameters in one file."""


@dataclass(frozen=True, slots=True)
class Adorned:
    """A parameter with what is said about it."""

    name: Word
    adornment: str
    key: bool = False


@dataclass(slots=True)
class BsplMessage:
    """A message schema."""

    sender: Word
    recipient: Word
    name: Word
    parameters: list[Adorned]


@dataclass(slots=True)
class BsplReference:
    """Another protocol, with what stands for its roles and parameters, in their order."""

    name: Word
    given: list[Word]


@dataclass(slots=True)
class BsplProtocol:
    """A protocol as it is written."""

    name: Word
    roles: list[Word] = field(default_factory=list[Word])
    parameters: list[Adorned] = field(default_factory=list[Adorned])
    private: list[Adorned] = field(default_factory=list[Adorned])
    messages: list[BsplMessage | BsplReference] = field(default_factory=list["BsplMessage | BsplReference"])


def read_bspl(data: bytes | str, path: str) -> tuple[list[BsplProtocol], Report]:
    """Return the protocols of a file, at least one.

    Raises:
        ProtocolError: If it cannot be read; its `findings` list why.
    """
    report = Report(path)
    text = decoded(data, report, ReadLimits())
    refuse(report)
    report.lines = (text or "").splitlines()
    try:
        return _Parser(_tokens(text or "", report), report).document(), report
    except _Stop:
        refuse(report)
        raise


class _Stop(Exception):
    """The finding is made, reading goes no further."""


def _stop(report: Report, at: Mark, what: str, *, why: str = "", fix: str = "") -> _Stop:
    report.add("E100", "syntax", at, what, why=why, fix=fix)
    return _Stop()


def _tokens(text: str, report: Report) -> list[Word]:
    found: list[Word] = []
    line, begins, at = 1, 0, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise _stop(
                report,
                Mark(line, at - begins + 1),
                f"'{text[at]}' cannot stand in BSPL",
                fix="remove it; comments begin with // or #",
            )
        if match[1]:
            found.append(Word(match[1], Mark(line, at - begins + 1, len(match[1]))))
        breaks = match[0].count("\n")
        if breaks:
            line, begins = line + breaks, at + match[0].rindex("\n") + 1
        at = match.end()
    found.append(Word("", Mark(max(1, len(report.lines)), len(report.lines[-1]) + 1 if report.lines else 1)))
    return found


@dataclass(slots=True)
class _Parser:
    """Tokens to protocols; stops at the first mistake."""

    tokens: list[Word]
    report: Report
    at: int = 0
    read: int = 0

    def document(self) -> list[BsplProtocol]:
        """Return every protocol."""
        found: list[BsplProtocol] = []
        while self.peek():
            found.append(self.protocol())
        if not found:
            raise _stop(
                self.report,
                Mark(1, 1),
                "there is no protocol",
                fix="write `Name { roles ... parameters ... }`",
            )
        return found

    def peek(self, ahead: int = 0) -> str:
        """Return a token without taking it; nothing at the end."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)].text

    def take(self) -> Word:
        """Return the next token."""
        word = self.tokens[min(self.at, len(self.tokens) - 1)]
        self.at += 1
        return word

    def expect(self, *signs: str, after: str) -> Word:
        """Return the next token, which is one of these."""
        word = self.take()
        if word.text not in signs:
            wanted = " or ".join(f"`{sign}`" for sign in signs)
            raise _stop(
                self.report,
                word.at,
                f"{self.said(word)} where {wanted} should stand",
                why=after,
                fix=near(word.text, signs) if word.text.isalpha() else f"write {wanted}",
            )
        return word

    def said(self, word: Word) -> str:
        """Return what a token is, for a finding."""
        return f"'{word}'" if word.text else "the end of the file"

    def word(self, what: str) -> Word:
        """Return the next token, which is a name."""
        word = self.take()
        if not word.text or word.text in _SIGNS or word.text in _ARROWS:
            raise _stop(
                self.report, word.at, f"{self.said(word)} where {what} should stand", fix=f"name {what}"
            )
        self.read += 1
        if self.read > _MOST:
            raise _stop(self.report, word.at, f"more than {_MOST} words", fix="bring in a smaller protocol")
        return word

    def name(self, what: str, end: str) -> Word:
        """Return a name that may have spaces, up to a sign."""
        words = [self.word(what)]
        while self.peek() not in (end, "") and self.peek() not in _SIGNS and self.peek() not in _ARROWS:
            words.append(self.word(what))
        return Word(" ".join(word.text for word in words), words[0].at)

    def protocol(self) -> BsplProtocol:
        """Return one protocol."""
        if self.peek() == "protocol" and self.peek(1) != "{":
            self.take()
        found = BsplProtocol(self.name("a protocol's name", "{"))
        self.expect("{", after="a protocol is a name, then braces")
        self.expect("roles", after="a protocol begins with its roles")
        found.roles = [self.word("a role")]
        while self.peek() == ",":
            self.take()
            found.roles.append(self.word("a role"))
        self.expect("parameters", after="after the roles stand the parameters; between roles stand commas")
        found.parameters = self.parameters()
        if self.peek() == "private":
            self.take()
            found.private = self.parameters()
        while self.peek() not in ("}", ""):
            found.messages.append(self.reference())
        self.expect("}", after="a protocol ends with a brace")
        return found

    def parameters(self) -> list[Adorned]:
        """Return parameters with commas between them."""
        if self.peek() in ("}", "]", ")", "private"):
            return []
        found = [self.parameter()]
        while self.peek() == ",":
            self.take()
            found.append(self.parameter())
        return found

    def parameter(self) -> Adorned:
        """Return one parameter."""
        adorned = self.peek() in _ADORNMENTS and self.peek(1) not in ("", *_SIGNS, *_ARROWS)
        adornment = self.take().text if adorned else ""
        name = self.word("a parameter")
        key = self.peek() == "key"
        if key:
            self.take()
        return Adorned(name, adornment, key)

    def reference(self) -> BsplMessage | BsplReference:
        """Return a message, or another protocol that stands for its messages."""
        if self.peek(1) in _ARROWS:
            return self.message()
        name = self.name("a message or a protocol", "(")
        if self.peek() != "(":
            word = self.take()
            raise _stop(
                self.report,
                word.at,
                f"{self.said(word)} after '{name}'",
                why="here stands a message, `Sender -> Receiver: name[...]`, or a protocol, `Name(...)`",
                fix="write one of them",
            )
        self.take()
        given: list[Word] = []
        while self.peek() not in (")", ""):
            given.append(self.parameter().name)
            if self.peek() in (",", "|"):
                self.take()
            elif self.peek() != ")":
                self.expect(",", ")", after="what stands for roles and parameters has commas between")
        self.expect(")", after="a reference ends with `)`")
        return BsplReference(name, given)

    def message(self) -> BsplMessage:
        """Return a message schema."""
        sender = self.word("a role")
        self.take()
        recipient = self.word("a role")
        if self.peek() == ":":
            self.take()
        name = self.word("a message's name")
        parameters: list[Adorned] = []
        if self.peek() == "[":
            self.take()
            parameters = self.parameters()
            self.expect("]", after="between parameters stand commas, and `]` ends them")
        return BsplMessage(sender, recipient, name, parameters)
