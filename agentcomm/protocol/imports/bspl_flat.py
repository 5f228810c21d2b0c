"""One BSPL protocol without references: the messages of those it is composed of stand in their place."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentcomm.protocol.findings import Report
from agentcomm.protocol.imports.bspl_text import Adorned, BsplMessage, BsplProtocol, BsplReference
from agentcomm.protocol.imports.imported import Parts, refuse
from agentcomm.protocol.shape import Word, unknown

__all__ = ("FlatMessage", "FlatProtocol", "flatten")

_MOST = 64
"""Messages of one protocol: more of them have too many orders to write down."""


@dataclass(slots=True)
class FlatMessage:
    """A message schema with the names of the outermost protocol."""

    name: Word
    sender: str
    recipient: str
    parameters: dict[str, str]
    """Name -> adornment."""

    def having(self, *adornments: str) -> frozenset[str]:
        """Return the parameters with one of these adornments."""
        return frozenset(name for name, adornment in self.parameters.items() if adornment in adornments)

    @property
    def shown(self) -> frozenset[str]:
        """What sender and recipient know after it."""
        return self.having("in", "out", "any")


@dataclass(slots=True)
class FlatProtocol:
    """A protocol that is its messages."""

    name: Word
    roles: list[Word]
    known: frozenset[str]
    """Parameters that come from outside."""
    wanted: frozenset[str]
    """Parameters that a complete enactment has."""
    keys: frozenset[str]
    messages: list[FlatMessage] = field(default_factory=list[FlatMessage])


def flatten(given: Sequence[BsplProtocol], report: Report, parts: Parts) -> FlatProtocol:
    """Return the protocol that no other refers to, with everything that it refers to in this file.

    Raises:
        ProtocolError: If a role is unknown, or there are too many messages.
    """
    by_name = {protocol.name.text: protocol for protocol in given}
    used = {item.name.text for protocol in given for item in _references(protocol)}
    chosen = next((protocol for protocol in given if protocol.name.text not in used), given[0])
    made = _Flattening(by_name, report, parts)
    flat = FlatProtocol(
        chosen.name,
        chosen.roles,
        _names(chosen, "in"),
        _names(chosen, "out", "any", ""),
        frozenset(item.name.text for protocol in given for item in _all(protocol) if item.key),
        made.messages(chosen, {}, (chosen.name.text,)),
    )
    refuse(report)
    for protocol in given:
        if protocol.name.text not in made.used and protocol is not chosen:
            parts.lose(
                f"the protocol '{protocol.name}' is left out: one is brought in", protocol.name.at.line
            )
    for parameter in chosen.parameters:
        if parameter.adornment == "in":
            parts.lose(f"'{parameter.name}' comes from outside: every role knows it", parameter.name.at.line)
    return flat


def _references(protocol: BsplProtocol) -> list[BsplReference]:
    return [item for item in protocol.messages if isinstance(item, BsplReference)]


def _names(protocol: BsplProtocol, *adornments: str) -> frozenset[str]:
    return frozenset(item.name.text for item in protocol.parameters if item.adornment in adornments)


def _all(protocol: BsplProtocol) -> list[Adorned]:
    messages = [item for item in protocol.messages if isinstance(item, BsplMessage)]
    said = [parameter for message in messages for parameter in message.parameters]
    return [*protocol.parameters, *protocol.private, *said]


@dataclass(slots=True)
class _Flattening:
    """Follows references."""

    by_name: dict[str, BsplProtocol]
    report: Report
    parts: Parts
    used: set[str] = field(default_factory=set[str])
    count: int = 0

    def messages(
        self, protocol: BsplProtocol, names: dict[str, str], within: tuple[str, ...]
    ) -> list[FlatMessage]:
        """Return a protocol's messages, with the names that its roles and parameters have outside."""
        found: list[FlatMessage] = []
        for item in protocol.messages:
            if isinstance(item, BsplReference):
                found += self._referred(item, protocol, names, within)
            elif made := self._message(item, protocol, names):
                found.append(made)
            self.count += 1
            if self.count > _MOST:
                self._too_many(item.name)
                break
        return found

    def _too_many(self, name: Word) -> None:
        if not self.report.has_errors:
            self.report.add(
                "E101",
                "other",
                name.at,
                f"more than {_MOST} messages",
                why="every order in which they can be said becomes a state",
                fix="bring in its parts one by one",
            )

    def _message(
        self, message: BsplMessage, protocol: BsplProtocol, names: dict[str, str]
    ) -> FlatMessage | None:
        roles = [role.text for role in protocol.roles]
        for role in (message.sender, message.recipient):
            if role.text not in roles:
                unknown(self.report, role, f"a role of '{protocol.name}'", roles)
        if message.sender.text == message.recipient.text:
            what = f"'{message.name}' is left out: {message.sender} says it to itself"
            self.parts.lose(what, message.name.at.line)
            return None
        for item in message.parameters:
            if not item.adornment:
                self.parts.lose(
                    f"'{item.name}' in '{message.name}' has no adornment: read as `out`", item.name.at.line
                )
        outer = {item.name.text: item.adornment or "out" for item in message.parameters}
        return FlatMessage(
            message.name,
            names.get(message.sender.text, message.sender.text),
            names.get(message.recipient.text, message.recipient.text),
            {names.get(name, name): adornment for name, adornment in outer.items()},
        )

    def _referred(
        self, reference: BsplReference, outer: BsplProtocol, names: dict[str, str], within: tuple[str, ...]
    ) -> list[FlatMessage]:
        line, name = reference.name.at.line, reference.name.text
        inner = self.by_name.get(name)
        if inner is None:
            self.parts.lose(f"the protocol '{name}' is left out: it is not in this file", line)
            return []
        if name in within:
            self.parts.lose(f"the protocol '{name}' is left out: it refers to itself", line)
            return []
        theirs = [word.text for word in (*inner.roles, *(item.name for item in inner.parameters))]
        if len(theirs) != len(reference.given):
            self.parts.lose(
                f"the protocol '{name}' is left out: it has {len(theirs)} roles and parameters, "
                f"and {len(reference.given)} stand here",
                line,
            )
            return []
        self.used.add(name)
        roles = [role.text for role in outer.roles]
        for word in reference.given[: len(inner.roles)]:
            if word.text not in roles:
                unknown(self.report, word, f"a role of '{outer.name}'", roles)
        self.parts.lose(f"the messages of '{name}' stand in '{outer.name}' itself", line)
        here = [names.get(word.text, word.text) for word in reference.given]
        private = {item.name.text: f"{name}_{item.name}".replace(" ", "_") for item in inner.private}
        renamed = {**private, **dict(zip(theirs, here, strict=True))}
        return self.messages(inner, renamed, (*within, name))
