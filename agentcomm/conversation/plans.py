"""What a move does by its place in the protocol, so that it need not be worked out at each message."""

import math
from typing import Any

from agentcomm.acts.content import is_words
from agentcomm.acts.persistent import SMALL
from agentcomm.commitments.ledger import Effect
from agentcomm.conversation.events import Ended
from agentcomm.conversation.parts import Outcome
from agentcomm.protocol.graph import Criterion, Move, Protocol

__all__ = ("Plan",)


class Plan:
    """What a simple move does.

    Attributes:
        move: The move.
        speaker: Who makes it.
        is_plain: Nothing has to be checked but who makes it and what it carries; see `Rules.plain`.
        hearer: Who hears it, if that is one; else empty.
        budget: Its key among what is used up; empty without a budget.
        ended: What is told of its ending a talk that is no lane.
        after: What it does once its budget is used up.
        is_stageable: The same of a move at a gather, but for what bounds it together with other lanes.
        is_for_all: It is said once for all lanes, and nothing has to be checked but who makes it and what it carries.
        grounded: What the record says of its being grounded, but for the message.
        moved: What the record says of the move, but for the message.
        is_bounded: Other lanes' moves may close it.
        is_short: Its protocol has so few acts that what was said last of each is a map that is copied whole.
        is_free: Whoever speaks there may always make it.
        is_words: What it carries is JSON data as it is; see `content.is_words`.
        away: By how many more lanes stand away from a gather, if one makes it.
        tally: Where lanes are counted that end by it; empty if it ends none.
        words: How its records are written, worked out when the first is compared; see `spelling`.
    """

    __slots__ = (
        "after",
        "away",
        "budget",
        "content",
        "effect",
        "ended",
        "ends",
        "grounded",
        "grounds",
        "hearer",
        "is_bounded",
        "is_for_all",
        "is_free",
        "is_plain",
        "is_short",
        "is_stageable",
        "is_words",
        "key",
        "kind",
        "label",
        "max",
        "most",
        "move",
        "moved",
        "outcome",
        "races",
        "source",
        "speaker",
        "tally",
        "target",
        "to",
        "within",
        "words",
    )

    def __init__(
        self, protocol: Protocol, move: Move, *, is_plain: bool, is_capped: bool, then: bool = False
    ) -> None:
        target = move.then if then else move.next
        state = protocol.states.get(target)
        self.words: Any = None
        self.move, self.label, self.speaker, self.to = move, move.label, move.speaker, move.to
        self.hearer = move.to[0] if len(move.to) == 1 else ""
        self.source, self.target = move.state, target
        self.content = None if move.act.registered is not None else move.act.content
        self.is_words = is_words(move.act.content)
        self.grounds = move.act.criterion is not Criterion.NONE
        self.grounded = {"act": self.label, "criterion": "delivered", "evidence": ["delivered"]}
        self.moved = {"act": self.label, "by": self.speaker, "state": move.state, "next": target}
        self.effect = Effect(move.act) if move.act.promises else None
        self.races = len(protocol.states[move.state].speakers) > 1
        self.is_plain, self.is_short = is_plain, len(protocol.acts) < SMALL
        self.is_stageable = not (move.when or move.given or move.for_all)
        is_simple = not (move.when or move.given or protocol.states[move.state].gather or is_capped)
        self.is_for_all = move.for_all and is_simple and move.max is None and move.at_most is None
        self.is_bounded = move.at_most is not None or is_capped
        has_budget = move.max is not None and not move.then
        self.is_free = not (move.when or move.given or has_budget or self.is_bounded)
        self.away = int(state is not None and not state.gather) - (not protocol.states[move.state].gather)
        self.tally = f"={target}" if state is None else ""
        self.key, self.most = ("", 0) if move.at_most is None else (move.key, move.at_most)
        self.ends = None if state is not None else protocol.outcomes[target]
        self.kind = "" if self.ends is None else self.ends.value
        self.outcome: Outcome | None = None
        self.ended: tuple[Ended, ...] = ()
        if self.ends is not None:
            self.outcome = Outcome(target, self.ends, f"{move.speaker} said {move.label}")
            self.ended = (Ended(target, self.kind, self.outcome.cause),)
        self.within = math.inf if state is None or state.gather else state.within
        self.budget, self.max = ("", 0) if move.max is None or then else (move.key, move.max)
        self.after = self
        if self.budget and move.then:
            self.after = Plan(protocol, move, is_plain=is_plain, is_capped=is_capped, then=True)
