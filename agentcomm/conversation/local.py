"""The second way to run: one role alone, on its view of a protocol, as where agents exchange messages without a mediator.

The laws do not know who "we" are, so the same `step` runs both. A role's conversation takes only what that role says or hears. One
that says or hears everything runs the protocol itself. Another runs the tables of its projection: what passes unseen is behind
it, the deadlines of others among it.

What nobody can know alone is not claimed: how often *other* lanes made a move (`at_most`, `at_once`), when a run or the whole
conversation is over, and whether a hearer may still take back what others have heard, too. So a role that does not hear everything
asks for no repair, nor does one of several hearers, and a message to several that is to be read back needs a mediator.

Source: projection of global types, Honda, Yoshida & Carbone 2008; its check in `agentcomm.protocol.project`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from agentcomm.conversation.commit import Step
from agentcomm.conversation.rules import Rules, is_demonstrated
from agentcomm.conversation.step import open_conversation
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act, Condition, Move, OutcomeClass, Protocol, Ref, State
from agentcomm.protocol.view import LocalMove, LocalProtocol, LocalState

__all__ = ("hears_all", "local_rules", "open_local")

_BETWEEN_TWO = ("read-back", "demonstrate")
"""Overlays that two can hold though others take part in the talk."""


def open_local(
    rules: Rules,
    local: LocalProtocol,
    conversation_id: str,
    *,
    whole: float | None = None,
    members: Iterable[str] = (),
) -> Step:
    """Return a new conversation as one role knows it, and its first events.

    Args:
        rules: The protocol with its overlays, as for `open_conversation`.
        local: What `project(rules.protocol, role)` returned.
        conversation_id: Unique; the same for all roles of a conversation.
        whole: Seconds for the whole conversation.
        members: Those who play the many-role, for the role that holds all lanes.

    Raises:
        UsageError: If the view is of another protocol, or cannot be run alone.
    """
    mine = local_rules(rules, local)
    names = tuple(members) if mine.protocol.many else ()
    return open_conversation(mine, conversation_id, whole=whole, members=names)


def hears_all(protocol: Protocol, role: str) -> bool:
    """Say whether a role says or hears everything that can be said."""
    moves = (move for state in protocol.states.values() for move in state.moves.values())
    return role != protocol.many and all(role == move.speaker or role in move.to for move in moves)


def local_rules(rules: Rules, local: LocalProtocol) -> Rules:
    """Return the laws by which one role takes part alone.

    Args:
        rules: The protocol with its overlays.
        local: A view of it.

    Raises:
        UsageError: If the view is of another protocol, has doubts, or cannot be run alone.
    """
    protocol, role = rules.protocol, local.role
    if local.whole is None or local.whole != protocol:
        raise UsageError(f"{local!r} is no view of {protocol!r}", fix="project(rules.protocol, role)")
    if local.doubts:
        doubt = local.doubts[0]
        raise UsageError(
            f"{role} cannot take part in {protocol.name!r} alone: {doubt.what}", why=doubt.why, fix=doubt.fix
        )
    moves = [move for state in protocol.states.values() for move in state.moves.values()]
    several = [move for move in moves if len(move.to) > 1]
    for move in several:
        if (role == move.speaker or role in move.to) and (rules.may_read_back(move) or is_demonstrated(move)):
            raise UsageError(
                f"{move.label!r} is to be grounded by {', '.join(move.to)}",
                why="each would have to know what the others answered",
                fix="run it mediated: enact(protocol, …)",
            )
    between_two = {name: rules.overlays[name] for name in _BETWEEN_TWO if name in rules.overlays}
    if hears_all(protocol, role):
        return replace(rules, overlays=between_two, kept={}, _fitted={}, _exits={}) if several else rules
    lanes = [state for state in protocol.states.values() if state.in_lane]
    if role != protocol.many and any(
        role == move.speaker or role in move.to for state in lanes for move in state.moves.values()
    ):
        raise UsageError(
            f"{role} takes part in the lane of each {protocol.many}, and does not hear all that is said there",
            why="how often which lane has been where is known to nobody else",
            fix="run it mediated: enact(protocol, …)",
        )
    return replace(
        rules,
        protocol=_tables(protocol, local, rules),
        overlays=between_two,
        role=role,
        _fitted={},
        _exits={},
        kept={},
    )


def _tables(protocol: Protocol, local: LocalProtocol, rules: Rules) -> Protocol:
    ends = dict(local.outcomes)
    for state in local.states.values():
        if not state.moves:  # its part is over, whatever the others still do
            ends[state.name] = " or ".join(
                dict.fromkeys(
                    protocol.outcomes[one] for one in sorted(state.places) if one in protocol.outcomes
                )
            )
    outcomes = {name: _class(kinds) for name, kinds in ends.items()}
    states = {
        state.name: _state(protocol, local, state)
        for state in local.states.values()
        if state.name not in ends
    }
    limits = replace(protocol.limits, repairs_in_all=rules.repairs_in_all, escalate_to="")
    return replace(
        protocol,
        states=states,
        start=local.start,
        outcomes=outcomes,
        limits=limits,
        many="",
        members=(1, 1),
        settles=(),
        runs={},
    )


def _class(kinds: str) -> OutcomeClass:
    """Return how it ended, as far as the role can know."""
    known = kinds in {kind.value for kind in OutcomeClass}
    return OutcomeClass(kinds) if known else OutcomeClass.UNDECIDED


def _state(protocol: Protocol, local: LocalProtocol, state: LocalState) -> State:
    moves: dict[str, Move] = {}
    for one in state.moves.values():
        if one.act.label in moves:
            raise UsageError(
                f"{local.role} cannot tell apart who says {one.act.label!r}",
                why=f"in {state.name!r} it may hear it of {moves[one.act.label].speaker} and of {one.speaker}",
                fix="give each its own label",
            )
        moves[one.act.label] = _move(protocol, local.role, one)
    return State(
        name=state.name,
        speakers=tuple(dict.fromkeys(move.speaker for move in moves.values())),
        moves=moves,
        within=state.within if state.otherwise else math.inf,
        otherwise=state.otherwise,
    )


def _move(protocol: Protocol, role: str, one: LocalMove) -> Move:
    first = one.moves[0]
    knows = _known_to(protocol, role)
    act = first.act if one.is_sent else _as_heard(first.act, knows)
    when = [move.when for move in one.moves]
    shared = tuple(condition for condition in when[0] if all(condition in other for other in when))
    return msgspec.structs.replace(
        first,
        state=one.state,
        act=act,
        next=one.next,
        max=one.max,
        then=one.then,
        owner=one.owner,
        when=shared if one.is_sent else tuple(filter(lambda each: _is_known(each, knows), shared)),
        at_most=None,
        at_once=None,
        for_all=False,
        given=first.given if one.is_sent or _all_known(first.given, knows) else {},
    )


def _known_to(protocol: Protocol, role: str) -> frozenset[str]:
    """Return the acts that a role says or hears whenever they are said."""
    moves = [move for state in protocol.states.values() for move in state.moves.values()]
    unheard = {move.label for move in moves if role != move.speaker and role not in move.to}
    return frozenset(move.label for move in moves) - unheard


def _as_heard(act: Act, knows: frozenset[str]) -> Act:
    """Return an act as its hearer can check it: values that it has not heard are its speaker's to repeat."""
    repeats = {name: ref for name, ref in act.repeats.items() if ref.act in knows}
    return act if repeats == dict(act.repeats) else replace(act, repeats=repeats)


def _all_known(refs: Mapping[str, Ref], knows: frozenset[str]) -> bool:
    return all(ref.act in knows for ref in refs.values())


def _is_known(condition: Condition, knows: frozenset[str]) -> bool:
    """Say whether all that a condition compares was heard."""
    sides = (condition.left, condition.right)
    return all(side.act in knows for side in sides if isinstance(side, Ref))
