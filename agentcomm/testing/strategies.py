"""Strategies of hypothesis that walk any protocol; what they find shrinks to the shortest talk and the plainest values.

hypothesis is an optional dependency: `pip install 'agentcomm[testing]'`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Say
from agentcomm.conversation.rules import Rules
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act, Move, Protocol
from agentcomm.runtime.enact import rules_for
from agentcomm.testing.contents import Examples, content_for_act
from agentcomm.testing.deviations import Deviation, deviations_from
from agentcomm.testing.documents import document, made_protocol
from agentcomm.testing.walking import PLAIN, Manner, Walk, members_for, next_input, walk

if TYPE_CHECKING:
    from hypothesis import strategies as st

__all__ = ("contents", "deviations", "documents", "messages", "protocols", "walks")

T = TypeVar("T")


def _strategies() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise UsageError(
            "strategies need hypothesis, and it is not installed", fix="pip install agentcomm[testing]"
        ) from None
    return strategies


class _Drawn:
    """Choices that hypothesis draws."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.st = _strategies()

    def pick(self, options: Sequence[T], /) -> T:
        if len(options) == 1:
            return options[0]
        index: int = self.draw(self.st.integers(0, len(options) - 1))
        return options[index]

    def integer(self, low: int, high: int, /) -> int:
        return self.draw(self.st.integers(low, high))

    def number(self, low: float, high: float, /) -> float:
        return self.draw(self.st.floats(low, high, allow_nan=False, allow_infinity=False))

    def text(self, shortest: int, longest: int, /) -> str:
        return self.draw(self.st.text(self.st.characters(codec="utf-8"), min_size=shortest, max_size=longest))

    def chance(self, likelihood: float, /) -> bool:
        if likelihood <= 0 or likelihood >= 1:
            return likelihood >= 1
        return self.draw(self.st.integers(0, 999)) >= 1000 * (1 - likelihood)


def _drawn(make: Callable[[_Drawn], T]) -> "st.SearchStrategy[T]":
    """Return the strategy of what is made from drawn choices."""

    def drawn(draw: Callable[[Any], Any]) -> T:
        return make(_Drawn(draw))

    made: st.SearchStrategy[T] = _strategies().composite(drawn)()
    return made


def contents(act: Act | Move, *, examples: Examples | None = None) -> "st.SearchStrategy[dict[str, Any]]":
    """Return the strategy of valid contents of an act, as data that a peer might send; its conditions are not looked at.

    Args:
        act: `protocol.acts["propose"]`, or a move.
        examples: Act -> contents to use as they are.
    """
    wanted = act.act if isinstance(act, Move) else act
    return _drawn(lambda choices: content_for_act(wanted, choices, examples))


def walks(
    protocol: Protocol | Rules,
    *,
    manner: Manner = PLAIN,
    members: int = 3,
    to_end: bool = True,
    examples: Examples | None = None,
) -> "st.SearchStrategy[Walk]":
    """Return the strategy of walks through a protocol: every input is legal; deadlines pass, and repairs are asked for.

    Args:
        protocol: Any protocol.
        manner: How those who talk behave.
        members: How many play the many-role, at most.
        to_end: Whether a walk goes on until it ends; else it stops anywhere.
        examples: Act -> contents to say as they are.
    """
    rules = _rules(protocol)

    def make(choices: _Drawn) -> Walk:
        talk = Walk(rules, members=members_for(rules.protocol, choices, at_most=members))
        length = None if to_end else choices.integer(0, 2 * min(rules.bound, 15))
        return walk(talk, choices, manner, examples=examples, length=length)

    return _drawn(make)


def messages(talk: Walk, *, examples: Examples | None = None) -> "st.SearchStrategy[Message | None]":
    """Return the strategy of messages that may be said where a walk stands; None where only time can pass."""

    def make(choices: _Drawn) -> Message | None:
        given = next_input(talk, choices, Manner(slow=0.0), examples=examples)
        return given.message if isinstance(given, Say) else None

    return _drawn(make)


def deviations(
    protocol: Protocol | Rules,
    *,
    manner: Manner = PLAIN,
    members: int = 3,
    examples: Examples | None = None,
) -> "st.SearchStrategy[tuple[Walk, Deviation]]":
    """Return the strategy of walks that stop somewhere, each with a message that may not be said there.

    The message differs from a legal one in one respect: role, act, a field, the lane, what it replies to.
    """
    rules = _rules(protocol)

    def make(choices: _Drawn) -> tuple[Walk, Deviation]:
        talk = Walk(rules, members=members_for(rules.protocol, choices, at_most=members))
        for _ in range(choices.integer(0, 2 * min(rules.bound, 15))):
            if _is_at_its_last(talk, choices, manner, examples):
                break
        return talk, choices.pick(deviations_from(talk.conversation, choices, examples=examples))

    return _drawn(make)


def _is_at_its_last(talk: Walk, choices: _Drawn, manner: Manner, examples: Examples | None) -> bool:
    """Take one more step, unless that would end the conversation."""
    before, steps = talk.conversation, len(talk.steps)
    walk(talk, choices, manner, examples=examples, length=1)
    if not talk.outcome:
        return False
    talk.conversation = before
    del talk.steps[steps:]
    return True


def documents(*, lanes: bool | None = None) -> "st.SearchStrategy[dict[str, Any]]":
    """Return the strategy of documents of protocols; some have errors.

    Args:
        lanes: With a many-role or without; both if it is not said.
    """
    return _drawn(lambda choices: document(choices, lanes=lanes))


def protocols(*, lanes: bool | None = None) -> "st.SearchStrategy[Protocol]":
    """Return the strategy of valid protocols: budgets, deadlines, read-backs, races and runs, lanes and gathers.

    Args:
        lanes: With a many-role or without; both if it is not said.
    """
    made = _drawn(lambda choices: made_protocol(choices, lanes=lanes))
    return made.filter(lambda protocol: protocol is not None)  # pyright: ignore[reportReturnType]


def _rules(protocol: Protocol | Rules) -> Rules:
    return protocol if isinstance(protocol, Rules) else rules_for(protocol)
