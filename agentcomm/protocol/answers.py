"""Whether what is accepted, agreed to or refused was asked or proposed before, and who hears the answer took part in that."""

from collections.abc import Mapping

from agentcomm.acts.performative import PERFORMATIVES, LedgerOp, Performative
from agentcomm.protocol.arcs import Arcs, move_mark, steps, way
from agentcomm.protocol.findings import Report, quoted
from agentcomm.protocol.following import after
from agentcomm.protocol.graph import Move, Protocol

__all__ = ("check_answered",)

_ASKING = frozenset(
    performative for performative, info in PERFORMATIVES.items() if info.op is LedgerOp.DIRECT
)
_OFFERS = frozenset({Performative.PROPOSE})
_ANSWERED: Mapping[Performative, frozenset[Performative]] = {
    Performative.ACCEPT_PROPOSAL: _OFFERS,
    Performative.REJECT_PROPOSAL: _OFFERS,
    Performative.AGREE: _ASKING,
    Performative.REFUSE: _ASKING | _OFFERS | {Performative.CFP},
}
"""By answer: what it may answer."""
_INSTEAD: Mapping[Performative, Performative] = {
    Performative.ACCEPT_PROPOSAL: Performative.AGREE,
    Performative.REJECT_PROPOSAL: Performative.REFUSE,
    Performative.AGREE: Performative.ACCEPT_PROPOSAL,
}
"""By answer: the one for what is asked rather than proposed, or the other way round."""
_Fact = tuple[frozenset[Performative], str, str]
"""What may be answered, who took part in it, who heard it."""


def check_answered(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W505: an answer none of whose hearers can have said or heard what it answers, on any way to it.

    A hearer is enough: who is asked may be told to answer somebody else. An overlay answers a message that is not its own.
    """
    if protocol.overlay is not None:
        return
    wanted: dict[_Fact, int] = {}
    masks: dict[int, int] = {}
    """By kind of an answer: the bits of which one is enough."""
    for kind, act in enumerate(arcs.said.acts):
        move = arcs.said.kinds[kind] if act in _ANSWERED else None
        if move and not protocol.states[move.state].region:
            masks[kind] = 0
            for fact in _facts(move):
                masks[kind] |= wanted.setdefault(fact, 1 << len(wanted))
    if not masks:
        return
    bits = after(arcs, _said(arcs, wanted)) if wanted else [0] * len(arcs.names)
    answers = arcs.said.each(lambda row: [kind for kind in row if kind in masks])
    for place in arcs.order:
        here = bits[place]
        for kind in answers[place]:
            if kind in masks and not here & masks[kind]:
                del masks[kind]
                position = arcs.said.row(place).index(kind)
                if move := arcs.moves[place][position]:
                    _tell(protocol, arcs, report, move)


def _facts(move: Move) -> list[_Fact]:
    kinds = _ANSWERED[move.act.performative]
    return [(kinds, other, move.speaker) for other in move.to]


def _said(arcs: Arcs, wanted: Mapping[_Fact, int]) -> list[list[int] | None]:
    """Return, by place and for each of its arcs, what is said there that may be answered."""
    kinds = {fact[0] for fact in wanted}

    def come(move: Move) -> int:
        bits = 0
        for kind in kinds:
            if move.act.performative in kind:
                for heard in move.to:
                    for other in (move.speaker, *move.to):
                        bits |= wanted.get((kind, other, heard), 0)
        return bits

    return arcs.said.lists(arcs.said.worth(come, 0, among=frozenset[Performative]().union(*kinds)))


def _tell(protocol: Protocol, arcs: Arcs, report: Report, move: Move) -> None:
    kinds = _ANSWERED[move.act.performative]
    verb = "asked" if kinds == _ASKING else "proposed" if kinds == _OFFERS else "asked or proposed"
    before = f"{verb} {move.speaker} anything" if verb == "asked" else f"{verb} anything to {move.speaker}"
    place = arcs.number[move.state]
    other = _meant(arcs, move, kinds)
    report.add(
        "W505",
        "orphan_message",
        move_mark(protocol, move),
        f"'{move.label}' answers '{other.label}', and goes to {quoted(move.to)}, who took no part in that"
        if other
        else f"'{move.label}' answers nothing: nobody has {before} before '{move.state}'",
        why=f"it is the act `{move.act.performative}`, which answers {_listed(kinds)}",
        fix=f"add {other.speaker}, who says '{other.label}', to its `to`"
        if other
        else f"let it be {verb} before, or {_instead(arcs, move)}",
        witness=steps(arcs.to(place)),
    )


def _instead(arcs: Arcs, move: Move) -> str:
    instead = _INSTEAD.get(move.act.performative)
    asked = _meant(arcs, move, _ANSWERED[instead]) if instead else None
    if asked:
        return f"make it the act `{instead}`, which answers '{asked.label}'"
    return "take another act, such as `inform` or `confirm`"


def _meant(arcs: Arcs, move: Move, kinds: frozenset[Performative]) -> Move | None:
    """Return what of some kinds is said to the speaker of a move on a way to it."""
    place = arcs.number[move.state]
    for targets, row in zip(arcs.targets, arcs.moves, strict=True):
        for target, by in zip(targets, row, strict=True):
            if (
                by
                and by.act.performative in kinds
                and move.speaker in by.to
                and way(arcs, target, place) is not None
            ):
                return by
    return None


def _listed(kinds: frozenset[Performative]) -> str:
    if kinds == _OFFERS:
        return "a `propose`"
    return "a `request`, a `query-ref` or the like" + (", a `cfp` or a `propose`" if kinds != _ASKING else "")
