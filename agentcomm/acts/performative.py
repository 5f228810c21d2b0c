"""What can be done by saying something: the closed library of communicative acts.

Source: FIPA SC00037J (22 acts; the macro acts inform-if and inform-ref are never sent). What an act means is what it does
to the ledger of commitments (Singh 1998; Fornara & Colombetti 2002), never what its speaker believes.
"""

from enum import StrEnum

import msgspec

__all__ = ("PERFORMATIVES", "LedgerOp", "Performative", "PerformativeInfo")


class LedgerOp(StrEnum):
    """What an act does to the ledger."""

    NONE = "none"
    DIRECT = "direct"
    """The hearer is asked to commit itself: `proposed`, debtor is the hearer."""
    OFFER = "offer"
    """The speaker commits itself on a condition: `conditional`, debtor is the speaker."""
    ACTIVATE = "activate"
    """The speaker takes on what it was asked for: `detached`."""
    ACCEPT = "accept"
    """The condition of the hearer's offer comes true: `detached`."""
    REJECT = "reject"
    """The speaker does not take on what it was asked for: `rejected`."""
    RELEASE = "release"
    """The speaker frees the hearer from its offer: `released`."""
    EXCUSE = "excuse"
    """The speaker could not do it, and says why: `cancelled`."""


class Performative(StrEnum):
    """The act that is done, whatever label a protocol gives it."""

    ACCEPT_PROPOSAL = "accept-proposal"
    AGREE = "agree"
    CANCEL = "cancel"
    CFP = "cfp"
    CONFIRM = "confirm"
    DISCONFIRM = "disconfirm"
    FAILURE = "failure"
    INFORM = "inform"
    NOT_UNDERSTOOD = "not-understood"
    PROPAGATE = "propagate"
    PROPOSE = "propose"
    PROXY = "proxy"
    QUERY_IF = "query-if"
    QUERY_REF = "query-ref"
    REFUSE = "refuse"
    REJECT_PROPOSAL = "reject-proposal"
    REQUEST = "request"
    REQUEST_WHEN = "request-when"
    REQUEST_WHENEVER = "request-whenever"
    SUBSCRIBE = "subscribe"


class PerformativeInfo(msgspec.Struct, frozen=True):
    """One row of the library."""

    about: str
    """What the act does, in words a model can use."""
    op: LedgerOp = LedgerOp.NONE
    directive: bool = False
    """It calls for an answer."""


PERFORMATIVES: dict[Performative, PerformativeInfo] = {
    Performative.ACCEPT_PROPOSAL: PerformativeInfo("accept what was proposed", LedgerOp.ACCEPT),
    Performative.AGREE: PerformativeInfo("agree to do what was asked", LedgerOp.ACTIVATE),
    Performative.CANCEL: PerformativeInfo("take back what was asked"),
    Performative.CFP: PerformativeInfo("ask for proposals", directive=True),
    Performative.CONFIRM: PerformativeInfo("say that it is so"),
    Performative.DISCONFIRM: PerformativeInfo("say that it is not so"),
    Performative.FAILURE: PerformativeInfo(
        "say that it was tried and did not work, and why", LedgerOp.EXCUSE
    ),
    Performative.INFORM: PerformativeInfo("tell a fact"),
    Performative.NOT_UNDERSTOOD: PerformativeInfo("say that the last message was not understood, and why"),
    Performative.PROPAGATE: PerformativeInfo(
        "ask to pass a message on to others", LedgerOp.DIRECT, directive=True
    ),
    Performative.PROPOSE: PerformativeInfo("offer to do something on conditions", LedgerOp.OFFER),
    Performative.PROXY: PerformativeInfo(
        "ask to speak to others on one's behalf", LedgerOp.DIRECT, directive=True
    ),
    Performative.QUERY_IF: PerformativeInfo("ask whether something is so", LedgerOp.DIRECT, directive=True),
    Performative.QUERY_REF: PerformativeInfo("ask for a value", LedgerOp.DIRECT, directive=True),
    Performative.REFUSE: PerformativeInfo("decline to do what was asked, and say why", LedgerOp.REJECT),
    Performative.REJECT_PROPOSAL: PerformativeInfo("decline what was proposed", LedgerOp.RELEASE),
    Performative.REQUEST: PerformativeInfo("ask for something to be done", LedgerOp.DIRECT, directive=True),
    Performative.REQUEST_WHEN: PerformativeInfo(
        "ask for something to be done once a condition holds", LedgerOp.DIRECT, directive=True
    ),
    Performative.REQUEST_WHENEVER: PerformativeInfo(
        "ask for something to be done each time a condition holds", LedgerOp.DIRECT, directive=True
    ),
    Performative.SUBSCRIBE: PerformativeInfo("ask to be told of changes", LedgerOp.DIRECT, directive=True),
}
