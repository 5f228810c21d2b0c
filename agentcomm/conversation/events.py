"""What goes into a conversation and what comes out: two closed lists.

Inputs carry the time as seconds since the conversation was opened; the core has no clock of its own.
"""

from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.grounding.compare import Difference

__all__ = (
    "Cancel",
    "Chose",
    "CommitmentChanged",
    "Counted",
    "DeadlineSet",
    "Doubt",
    "Duplicate",
    "Ended",
    "Event",
    "Evidence",
    "EvidenceWanted",
    "Expired",
    "GatherOpened",
    "GaveUp",
    "Grounded",
    "Heard",
    "Input",
    "Join",
    "Joined",
    "Judged",
    "LaneEnded",
    "LanesBegan",
    "Late",
    "Leave",
    "Left",
    "Misfire",
    "Moved",
    "Opened",
    "OverlayClosed",
    "OverlayOpened",
    "OwnerChanged",
    "Reading",
    "Refused",
    "RepairClosed",
    "RepairOpened",
    "Say",
    "Staged",
    "Superseded",
    "Tick",
    "TroubleFound",
)


class Say(msgspec.Struct, frozen=True, gc=False, tag="say"):
    """A message arrives."""

    message: Message
    at: float


class Tick(msgspec.Struct, frozen=True, gc=False, tag="tick"):
    """Time passes; what was due by `at` is due now."""

    at: float


class Misfire(msgspec.Struct, frozen=True, gc=False, tag="misfire"):
    """A speaker produced something that is no message at all."""

    role: str
    reason: str
    at: float
    lane: str = ""


class Cancel(msgspec.Struct, frozen=True, gc=False, tag="cancel"):
    """Somebody with the right to do so ends the conversation."""

    by: str
    reason: str
    at: float


class Leave(msgspec.Struct, frozen=True, gc=False, tag="leave"):
    """A role, or one member of the many-role, can no longer take part."""

    role: str
    reason: str
    at: float
    lane: str = ""
    """The member, where it is one."""


class Join(msgspec.Struct, frozen=True, gc=False, tag="join"):
    """One more agent wants to play the many-role."""

    member: str
    at: float


class Evidence(msgspec.Struct, frozen=True, gc=False, tag="evidence"):
    """A judge says whether a demonstration shows that something was understood."""

    about: str
    """Id of the demonstration."""
    judge: str
    missing: tuple[str, ...]
    """What was meant, and is not in it or is reversed."""
    added: tuple[str, ...]
    """What is in it, and was not meant."""
    at: float
    reason: str = ""
    """Why there is no verdict: it crashed, it stalled, it cannot tell."""
    lane: str = ""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What something may mean, and how likely that is beside the other readings."""

    value: Any
    weight: float = 1.0


class Doubt(msgspec.Struct, frozen=True, gc=False, tag="doubt"):
    """A hearer finds that what it is to answer may mean several things; whether it asks, and how, is chosen by expected cost."""

    role: str
    about: str
    """Id of the message."""
    path: str
    """The field that is not clear; empty if it is all of it."""
    readings: tuple[Reading, ...]
    at: float
    lane: str = ""


Input = Say | Tick | Misfire | Cancel | Leave | Join | Evidence | Doubt


class Opened(msgspec.Struct, frozen=True, gc=False, tag="opened"):
    """A conversation begins."""

    protocol: str
    hash: str
    state: str
    owner: str


class Heard(msgspec.Struct, frozen=True, gc=False, tag="heard"):
    """A message was legal and is on record; `overlay` names the overlay it belongs to."""

    n: int
    """Place among the messages, from 1."""
    message: Message
    overlay: str = ""


class Refused(msgspec.Struct, frozen=True, gc=False, tag="refused"):
    """What was said does not count; nothing changed but the count of misfires."""

    role: str
    act: str
    code: str
    """unreadable, wrong-party, wrong-evidence, wrong-name, no-room, too-late, differs, unexpected-act, asked-before, invalid-content, unknown-reference, condition-false or incomparable."""
    reason: str
    legal: tuple[str, ...]
    """The moves open to the speaker, with their fields."""
    left: int
    """Tries left in this turn."""
    lane: str = ""


class Moved(msgspec.Struct, frozen=True, gc=False, tag="moved"):
    """The position changed."""

    act: str
    """What was said; empty where a message is taken back, and the talk goes on where it was about to be said."""
    by: str
    state: str
    next: str
    message: str
    lane: str = ""


class Grounded(msgspec.Struct, frozen=True, gc=False, tag="grounded"):
    """A contribution is common ground."""

    message: str
    act: str
    criterion: str
    evidence: tuple[str, ...]
    fields: dict[str, Any] = {}
    """The values read back, as they now stand."""
    lane: str = ""


class Chose(msgspec.Struct, frozen=True, gc=False, tag="chose"):
    """What follows from what was said was weighed: acting, a read-back, a question, or whoever decides; by stakes and experience."""

    message: str
    act: str
    action: str
    """accept or confirm; offer, choose, specify or open: the question that is asked; escalate where nothing else is worth trying."""
    p: float
    """The chance that it is understood as meant: at least, as far as is known; of a question or an escalation, the likeliest."""
    least: float
    """The chance from which on it is accepted, or a repair is tried."""
    lane: str = ""
    path: str = ""
    """The field that was not clear, where its hearer doubted."""
    readings: tuple[Reading, ...] = ()
    """What it may mean."""
    costs: dict[str, float] = {}
    """What each action is expected to cost, in turns."""


class Counted(msgspec.Struct, frozen=True, gc=False, tag="counted"):
    """Something said was understood, or was not: experience for later choices."""

    key: str
    """Model of the hearer, act, sender, hearer."""
    understood: bool
    lane: str = ""


class EvidenceWanted(msgspec.Struct, frozen=True, gc=False, tag="evidence-wanted"):
    """A hearer has said what it will do; a judge is asked whether that is what was meant."""

    message: str
    """Id of the demonstration."""
    about: str
    """Id of what it is to show the understanding of."""
    hearer: str
    meant: dict[str, Any]
    restated: dict[str, Any]
    lane: str = ""


class Judged(msgspec.Struct, frozen=True, gc=False, tag="judged"):
    """A judge has said whether a demonstration shows understanding."""

    message: str
    judge: str
    understood: bool
    missing: tuple[str, ...]
    added: tuple[str, ...]
    reason: str
    lane: str = ""


class TroubleFound(msgspec.Struct, frozen=True, gc=False, tag="trouble"):
    """Code found that something was not understood as meant."""

    message: str
    act: str
    kind: str
    """readback, demonstration or repeats; no-progress or oscillation where what was taken back is said again as it was."""
    differs: tuple[Difference, ...]
    lane: str = ""


class OverlayOpened(msgspec.Struct, frozen=True, gc=False, tag="overlay-opened"):
    """A small protocol begins on top of a frozen state."""

    overlay: str
    about: str
    sender: str
    hearer: str
    lane: str = ""


class OverlayClosed(msgspec.Struct, frozen=True, gc=False, tag="overlay-closed"):
    """It ended, and what follows from that for the talk beneath."""

    overlay: str
    about: str
    outcome: str
    effect: str
    """resume, again, or an outcome class."""
    lane: str = ""


class RepairOpened(msgspec.Struct, frozen=True, gc=False, tag="repair-opened"):
    """A repair begins; it costs one of the contribution's repairs."""

    about: str
    kind: str
    left: int
    lane: str = ""


class RepairClosed(msgspec.Struct, frozen=True, gc=False, tag="repair-closed"):
    """A repair ended."""

    about: str
    mended: bool
    lane: str = ""


class GaveUp(msgspec.Struct, frozen=True, gc=False, tag="gave-up"):
    """What was said could not be grounded: no repair is left, and nobody decides. What depends on it falls with that excuse."""

    message: str
    act: str
    tried: tuple[str, ...]
    """What was asked about it, in order: `offer price`, `open`, …; `read-back` and `demonstrate` for what was shown in vain."""
    repairs: int
    """Spent on it."""
    differs: tuple[Difference, ...]
    lane: str = ""


class CommitmentChanged(msgspec.Struct, frozen=True, gc=False, tag="commitment"):
    """A commitment was made or changed its status."""

    id: str
    act: str
    debtor: str
    creditor: str
    was: str
    now: str
    lane: str = ""


class OwnerChanged(msgspec.Struct, frozen=True, gc=False, tag="owner"):
    """Ownership of the matter moved."""

    was: str
    now: str
    message: str
    lane: str = ""


class DeadlineSet(msgspec.Struct, frozen=True, gc=False, tag="deadline"):
    """The state just entered ends at `at` at the latest."""

    state: str
    at: float
    lane: str = ""


class Expired(msgspec.Struct, frozen=True, gc=False, tag="expired"):
    """A deadline passed."""

    state: str
    next: str
    lane: str = ""


class Duplicate(msgspec.Struct, frozen=True, gc=False, tag="duplicate"):
    """A message with an id that is on record arrived again; it has no second effect, and its answer is the same."""

    message: str
    reply: str = ""
    """Id of the message on record that answers it; empty if there is none yet."""


class Late(msgspec.Struct, frozen=True, gc=False, tag="late"):
    """A message arrived after its place in the talk had passed."""

    message: str
    act: str
    role: str
    reason: str
    lane: str = ""


class Superseded(msgspec.Struct, frozen=True, gc=False, tag="superseded"):
    """A message lost a race: another role's move was first. It is not held against its speaker."""

    message: str
    act: str
    role: str
    lane: str = ""


class Joined(msgspec.Struct, frozen=True, gc=False, tag="joined"):
    """One more agent plays the many-role."""

    member: str


class Left(msgspec.Struct, frozen=True, gc=False, tag="left"):
    """A member left before lanes began."""

    member: str
    reason: str


class LanesBegan(msgspec.Struct, frozen=True, gc=False, tag="lanes-began"):
    """From here on each member has its own position."""

    state: str
    lanes: tuple[str, ...]


class GatherOpened(msgspec.Struct, frozen=True, gc=False, tag="gather-opened"):
    """Every living lane stands at a gather; its speaker has one turn for all of them."""

    lanes: tuple[str, ...]


class Staged(msgspec.Struct, frozen=True, gc=False, tag="staged"):
    """At a gather, a lane has its move; all are committed together once each lane has one."""

    message: str
    act: str
    lane: str


class LaneEnded(msgspec.Struct, frozen=True, gc=False, tag="lane-ended"):
    """A lane is over."""

    lane: str
    outcome: str
    outcome_class: str
    cause: str


class Ended(msgspec.Struct, frozen=True, gc=False, tag="ended"):
    """The conversation is over."""

    outcome: str
    outcome_class: str
    cause: str


Event = (
    Opened
    | Heard
    | Refused
    | Moved
    | Grounded
    | TroubleFound
    | Chose
    | Counted
    | EvidenceWanted
    | Judged
    | OverlayOpened
    | OverlayClosed
    | RepairOpened
    | RepairClosed
    | GaveUp
    | CommitmentChanged
    | OwnerChanged
    | DeadlineSet
    | Expired
    | Duplicate
    | Late
    | Superseded
    | Joined
    | Left
    | LanesBegan
    | GatherOpened
    | Staged
    | LaneEnded
    | Ended
)
