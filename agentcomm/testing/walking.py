"""Walk through a protocol, one legal input after the other: lanes, races, overlays and deadlines included."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agentcomm.acts.content import format_value
from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    Cancel,
    Doubt,
    Event,
    Evidence,
    Input,
    Join,
    Leave,
    Misfire,
    Reading,
    Refused,
    Say,
    Tick,
)
from agentcomm.conversation.moves import Appraise, Joint, Make, Speak, due, signature, wants_all
from agentcomm.conversation.render import View
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.errors import InternalError
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.runtime.enact import rules_for
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import Examples
from agentcomm.testing.speech import content_of_turn, meets, short_label

__all__ = (
    "PLAIN",
    "Manner",
    "Walk",
    "advance",
    "describe",
    "legal_moves",
    "members_for",
    "next_input",
    "walk",
)


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How those who talk behave, each as a probability per turn."""

    honest: float = 0.8
    """A read-back is right, and what must be repeated is."""
    asks: float = 0.1
    """Somebody says that it did not understand, where that is open."""
    slow: float = 0.05
    """Nobody says anything until a deadline is up."""
    quits: float = 0.05
    """Somebody gives up where an overlay lets it."""
    accidents: float = 0.0
    """Something comes from outside: a duplicate, nonsense, a member who leaves or wants to join, a cancellation."""


PLAIN = Manner()
"""As people talk who mostly understand each other."""


class Walk:
    """A conversation that is fed by hand, with everything that was put in and came out.

    Args:
        rules: A protocol, or one with its overlays.
        members: Who plays the many-role.
        whole: Seconds for the whole conversation.
    """

    def __init__(
        self, rules: Rules | Protocol, *, members: Iterable[str] = (), whole: float | None = None
    ) -> None:
        self.rules = rules if isinstance(rules, Rules) else rules_for(rules)
        self.members = tuple(members)
        self.whole = whole
        self.at = 0.0
        """Seconds since the opening."""
        self.sent = 0
        """Messages that were given an id."""
        self.conversation: Conversation
        self.conversation, self.opening = open_conversation(
            self.rules, "walk", whole=whole, members=self.members
        )
        self.steps: list[tuple[Input, tuple[Event, ...]]] = []
        """Every input with what came of it."""

    @property
    def protocol(self) -> Protocol:
        """The protocol that is walked."""
        return self.rules.protocol

    @property
    def inputs(self) -> list[Input]:
        """Every input, in order."""
        return [given for given, _ in self.steps]

    @property
    def events(self) -> list[Event]:
        """Everything that happened, the opening included."""
        return [*self.opening, *(event for _, events in self.steps for event in events)]

    @property
    def outcome(self) -> str:
        """Name of the outcome; empty while it goes on."""
        return self.conversation.outcome.name if self.conversation.outcome else ""

    def give(self, given: Input) -> tuple[Event, ...]:
        """Put in one input, and return what happened."""
        self.at = max(self.at, given.at) if given.at < math.inf else self.at
        self.conversation, events = step(self.conversation, given)
        self.steps.append((given, events))
        return events

    def say(self, sender: str, act: str, /, *, lane: str = "", **content: Any) -> tuple[Event, ...]:
        """Let a role say something, and return what happened."""
        return self.give(Say(self.message(sender, act, content, lane), self.at))

    def message(self, sender: str, act: str, content: Any, lane: str = "") -> Message:
        """Return a message with an id of its own."""
        self.sent += 1
        return Message(act=act, content=content, id=f"m{self.sent}", sender=sender, lane=lane)

    def __str__(self) -> str:
        names = {name: name for name in (*self.protocol.roles, *self.conversation.members)}
        return "\n".join(View(names).lines(iter(self.events)))

    def __repr__(self) -> str:
        at = self.outcome or self.conversation.position
        lines = [f"Walk({self.protocol.name}, {len(self.steps)} inputs, at {at})"]
        return "\n".join([*lines, *(f"  {_in_short(given)}" for given in self.inputs)])


def _in_short(given: Input) -> str:
    """Return one input in one line, as it would be written to do it again."""
    if isinstance(given, Say):
        it = given.message
        content = ", ".join(f"{name}={value!r}" for name, value in dict(it.content).items())
        return f"{given.at:.3g}s {it.sender}{f' [{it.lane}]' if it.lane else ''} {it.act}({content})"
    fields = [getattr(given, name) for name in given.__struct_fields__ if name != "at"]
    return f"{given.at:.3g}s {type(given).__name__.lower()} {' '.join(map(format_value, fields))}".rstrip()


def members_for(protocol: Protocol, choices: Choices, *, at_most: int = 3) -> tuple[str, ...]:
    """Return names for those who play the many-role: as few as may be, up to `at_most` more or less."""
    if not protocol.many:
        return ()
    least, most = protocol.members
    count = choices.integer(least, max(least, min(most, at_most)))
    return tuple(f"{protocol.many}-{n}" for n in range(1, count + 1))


def legal_moves(now: Conversation) -> Iterator[tuple[str, str, Move]]:
    """Yield everything that may be said now: role, lane, move."""
    for asked in wants_all(now):
        if isinstance(asked, Appraise):
            continue
        several = asked.lanes.values() if isinstance(asked, Joint) else [asked]
        for one in several:
            moves = (one.move,) if isinstance(one, Make) else (*one.moves, *one.exits)
            for move in moves:
                yield one.role, one.lane, move


def walk(
    talk: Walk,
    choices: Choices,
    manner: Manner = PLAIN,
    *,
    examples: Examples | None = None,
    length: int | None = None,
) -> Walk:
    """Go on with a walk to its end, or by so many inputs at most.

    Raises:
        InternalError: If a legal move is refused, or there is no end.
    """
    inputs = 10 * talk.rules.bound + 50 if length is None else length
    for _ in range(inputs):
        if talk.outcome:
            return talk
        advance(talk, choices, manner, examples=examples)
    if length is None and not talk.outcome:
        raise InternalError(
            f"{talk.protocol.name!r} does not end: {talk.conversation.n} messages, and its bound is {talk.rules.bound}",
            why=repr(talk),
            fix="please report this, with the protocol",
        )
    return talk


def advance(
    talk: Walk, choices: Choices, manner: Manner = PLAIN, *, examples: Examples | None = None
) -> tuple[Event, ...]:
    """Put one more input into a walk, and return what happened.

    Raises:
        InternalError: If a legal move is refused.
    """
    if choices.chance(manner.accidents):
        return talk.give(accident(talk, choices))
    given = next_input(talk, choices, manner, examples=examples)
    events = talk.give(given)
    if refused := next((event for event in events if isinstance(event, Refused)), None):
        raise InternalError(
            f"{refused.role} was offered {refused.act!r}, and it was refused: {refused.reason}",
            why=repr(talk),
            fix="please report this, with the protocol",
        )
    return events


def next_input(
    talk: Walk, choices: Choices, manner: Manner = PLAIN, *, examples: Examples | None = None
) -> Input:
    """Return a message that may be said now, or the time at which a deadline is up."""
    now = talk.conversation
    asked = choices.pick(wants_all(now))
    at = talk.at + choices.integer(0, 8) / 8
    if isinstance(asked, Make):
        return Say(talk.message(asked.role, asked.move.label, {}, asked.lane), at)
    if isinstance(asked, Appraise):
        missing = ("what was left out",) if choices.chance(0.3) else ()
        return Evidence(asked.wanted.message, now.rules.judge, missing, (), at, lane=asked.lane)
    if not choices.chance(manner.slow):
        message = _spoken(talk, asked, choices, manner, examples)
        if message is not None:
            return Say(message, at)
    over = choices.pick((0.0, 0.5, 100.0))
    return Tick(due(now) + over)


def _spoken(
    talk: Walk, asked: Speak | Joint, choices: Choices, manner: Manner, examples: Examples | None
) -> Message | None:
    """Return a message of somebody who has the floor, None if nothing was found that could be said."""
    speak = asked.lanes[choices.pick(sorted(asked.lanes))] if isinstance(asked, Joint) else asked
    now = talk.conversation.view(speak.lane) if speak.lane else talk.conversation
    moves = speak.exits if speak.exits and choices.chance(manner.asks) else speak.moves
    staying = tuple(move for move in moves if move.label not in {"unable", "give-up"})
    if staying and not choices.chance(manner.quits):
        moves = staying
    if not moves:
        return None
    move = choices.pick(moves)
    content = content_of_turn(now, move, choices, exits=speak.exits, honest=manner.honest, examples=examples)
    if content is None:
        return None
    if isinstance(asked, Joint) and move.for_all and not _fits_all(talk.conversation, asked, move, content):
        return None
    lane = "" if move.for_all else speak.lane
    message = talk.message(speak.role, short_label(now, move, choices), content, lane)
    heard = now.here.last.get(speak.role)
    if heard and now.frame is None and not move.for_all and choices.chance(0.1):
        return msgspec.structs.replace(message, in_reply_to=heard)
    return message


def _fits_all(now: Conversation, asked: Joint, move: Move, content: dict[str, Any]) -> bool:
    """Say whether content that is said once fits every lane that hears it."""
    for name, speak in asked.lanes.items():
        for one in speak.moves:
            if one.label == move.label and not meets(now.view(name), one, content):
                return False
    return True


def accident(talk: Walk, choices: Choices) -> Input:
    """Return something that comes from outside at any time."""
    now, at = talk.conversation, talk.at
    said = [given for given, _ in talk.steps if isinstance(given, Say)]
    kinds = ["nonsense", "late", "doubt"] + ["duplicate"] * bool(said) + ["leave", "join"] * bool(now.members)
    who = choices.pick(sorted({role for role, _, _ in legal_moves(now)} or set(talk.protocol.roles)))
    lanes = [lane for role, lane, _ in legal_moves(now) if role == who]
    match choices.pick([*kinds * 3, "cancel"]):
        case "doubt":
            lane = lanes[0] if lanes else ""
            here = (now.lanes.get(lane) if lane else None) or now.here
            fields = next((tuple(act.fields) for act in talk.protocol.acts.values() if act.fields), ("",))
            readings = (Reading("one", 1.0), Reading(2, choices.pick((0.2, 1.0, 5.0))))
            return Doubt(who, here.latest, choices.pick(("", *fields)), readings, at, lane)
        case "nonsense":
            return Misfire(who, "no message at all", at, lanes[0] if lanes else "")
        case "duplicate":
            return choices.pick(said)
        case "leave":
            return Leave(talk.protocol.many, "it is gone", at, choices.pick(now.members))
        case "join":
            return Join(f"late-{len(talk.steps)}", at)
        case "late":
            label = choices.pick(sorted(talk.protocol.acts))
            return Say(talk.message(choices.pick(talk.protocol.roles), label, {}), at)
        case _:
            return Cancel(choices.pick(talk.protocol.roles), "not needed any more", at)


def describe(now: Conversation) -> list[str]:
    """Return a line for each role that may speak now, with what it may say."""
    found: dict[str, list[str]] = {}
    for role, lane, move in legal_moves(now):
        found.setdefault(f"{role} [{lane}]" if lane else role, []).append(signature(move))
    return [f"{who}: {', '.join(moves)}" for who, moves in found.items()]
