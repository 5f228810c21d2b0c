"""Evidence that a judge gives: whether what a hearer says it will do is what was meant, nothing missing and nothing added.

The judge is outside: the core asks by an event and waits, and the verdict comes back as an input; so a replay asks nobody. A
judge that crashes or cannot tell gives no evidence: what it was asked about does not count, and is shown again while repairs
are left. One that stalls is not waited for longer than the overlay says.

Source: demonstration as evidence of understanding, Clark & Brennan 1991.
"""

import msgspec

from agentcomm.conversation.commit import Step
from agentcomm.conversation.events import (
    Event,
    Evidence,
    Judged,
    Refused,
    RepairClosed,
)
from agentcomm.conversation.overlays import mishearing
from agentcomm.conversation.reading import clean
from agentcomm.conversation.state import Conversation, altered
from agentcomm.grounding.compare import Difference

__all__ = ("take_evidence",)

_replace = msgspec.structs.replace


def take_evidence(conversation: Conversation, given: Evidence, at: float) -> Step:
    """Return what becomes of a verdict: one about another message, or by another judge, is refused and changes nothing."""
    here = conversation.here
    frame, judge = here.frame, clean(given.judge)
    if frame is None or frame.awaits != given.about or not given.about:
        reason = "nobody asked for a verdict on that"
        return conversation, (Refused(judge, "evidence", "wrong-evidence", reason, (), 0, here.lane),)
    if given.judge != conversation.rules.judge:
        reason = f"{conversation.rules.judge} is the judge here"
        return conversation, (Refused(judge, "evidence", "wrong-evidence", reason, (), 0, here.lane),)
    missing, added = tuple(map(clean, given.missing)), tuple(map(clean, given.added))
    reason = clean(given.reason)
    understood = not (missing or added or reason)
    events: list[Event] = [Judged(given.about, judge, understood, missing, added, reason, here.lane)]
    frame = _replace(frame, awaits="", verdict=understood)
    if understood:
        if frame.repairing:
            events.append(RepairClosed(frame.it.id, mended=True, lane=here.lane))
        frame = _replace(frame, repairing=False, trouble=(), repeated=True)
        return altered(conversation, frame=frame, at=at), tuple(events)
    differs = (
        *(Difference("goal", point, None, "missing") for point in missing),
        *(Difference("goal", None, point, "added") for point in added),
        *((Difference("verdict", "one", None, "missing", reason),) if reason else ()),
    )
    return mishearing(conversation, frame, differs, frame.position, at, events)
