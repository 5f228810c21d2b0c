"""Which of MAST's failure modes code saw in a conversation, those that it stopped included.

A mode is counted once for each time it shows. Only what a record can tell is here: `docs/pages/failure-modes.md` says for all fourteen
what is seen and what is not.

Source: MAST, Cemri et al. 2025.
"""

from collections import Counter

from agentcomm.conversation.events import Duplicate, Late, Refused, TroubleFound
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import AgentcommError
from agentcomm.grounding.troubles import Irrelevant, Unasked, Unperformed, Unsourced
from agentcomm.runtime.troubles import look_at

__all__ = ("MODES", "modes_of")

TASK = "1.1 disobey task specification"
ROLE = "1.2 disobey role specification"
AGAIN = "1.3 step repetition"
HISTORY = "1.4 loss of conversation history"
END = "1.5 unaware of termination conditions"
DERAILED = "2.3 task derailment"
IGNORED = "2.5 ignored other agent's input"
MISMATCH = "2.6 reasoning-action mismatch"

MODES = (TASK, ROLE, AGAIN, HISTORY, END, DERAILED, IGNORED, MISMATCH)
"""The modes that are counted."""

_REFUSED = {
    "condition-false": TASK,
    "wrong-party": ROLE,
    "unexpected-act": DERAILED,
    "unknown-reference": IGNORED,
    "too-late": END,
}
_TROUBLES = {"repeats": IGNORED, "no-progress": AGAIN, "oscillation": AGAIN}


def modes_of(transcript: Transcript) -> Counter[str]:
    """Return how often each mode shows in a transcript; of one whose content is gone, what its events tell."""
    found: Counter[str] = Counter()
    for event in transcript.events():
        match event:
            case Refused() if event.code in _REFUSED:
                found[_REFUSED[event.code]] += 1
            case TroubleFound() if event.kind in _TROUBLES:
                found[_TROUBLES[event.kind]] += 1
            case Duplicate():
                found[AGAIN] += 1
            case Late():
                found[END] += 1
            case _:
                pass
    try:
        troubles = look_at(transcript).shown
    except AgentcommError:
        return found
    for one in troubles:
        match one.trouble:
            case Unperformed() | Unasked():
                found[MISMATCH] += 1
            case Unsourced():
                found[HISTORY] += 1
            case Irrelevant():
                found[DERAILED] += 1
            case _:
                pass
    return found
