"""What the protocols of the library are for: their families, and the words that people look for them by."""

from collections.abc import Mapping

__all__ = ("FAMILIES", "family_of", "words_for")

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "FIPA interaction protocols": {
        "request": "task command order delegate action",
        "query": "question lookup ask answer",
        "request-when": "trigger condition event wait",
        "subscribe": "notify publish events watch stream broadcast updates",
        "propose": "offer suggestion agreement",
        "contract-net": "tender bidding task allocation award negotiation procurement",
        "iterated-contract-net": "tender bidding task allocation award negotiation procurement rounds",
        "english-auction": "bidding sale negotiation",
        "dutch-auction": "bidding sale negotiation",
        "brokering": "matchmaking middleman proxy fan-out",
        "recruiting": "matchmaking referral introduction proxy",
    },
    "Closed loops": {
        "read-back-clearance": "aviation confirmation closed-loop communication command",
        "checklist": "verification preflight challenge response procedure",
        "sbar-handoff": "medical patient shift handover transfer",
        "i-pass-handoff": "medical patient shift handover transfer",
        "incident-command": "emergency outage on-call handover transfer broadcast",
    },
    "Dialogue games": {
        "information-seeking": "interview questions expert consultation",
        "inquiry": "investigation research root cause evidence proof",
        "persuasion": "argument dispute debate convince",
        "alternating-offers": "negotiation bargaining haggling price deal",
        "deliberation": "consensus group decision meeting planning",
        "sealed-vote": "ballot poll election consensus majority decision",
        "delphi": "estimation forecast consensus panel experts",
    },
    "Agents at work": {
        "delegate": "assignment subtask handoff approval",
        "supervisor-workers": "orchestrator map-reduce parallel fan-out team manager",
        "plan-execute-verify": "workflow test quality checker pipeline",
        "review-loop": "approval feedback critique code review revision",
        "handoff": "handover transfer escalate ownership customer",
        "ask-a-human": "approval permission confirmation escalate human-in-the-loop",
        "debate-then-vote": "consensus majority decision panel argument",
    },
}
"""By family, in the order of the index: each protocol with words that stand neither in its name nor in what it says of itself."""


def family_of(name: str) -> str:
    """Return the family of a protocol of the library; `Overlays` for an overlay."""
    return next((family for family, members in FAMILIES.items() if name in members), "Overlays")


def words_for(name: str) -> str:
    """Return more words that people look for a protocol by."""
    return next((members[name] for members in FAMILIES.values() if name in members), "")
