"""Small protocols with lanes, with a race, and with a run, each without a fault; «…» in an edit marks what a finding underlines."""

TENDER = """\
agentcomm: 1
protocol: tender
roles: {manager: 1, bidder: 1..20}
acts:
  cfp: {goal: text}
  propose: {content: {price: money}, outlives: true}
  refuse: {reason: text}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
grounding:
  accept-proposal: {repeats: {price: propose.price}}
states:
  calling:
    manager: {cfp: {next: bidding, for: all}}
  bidding:
    bidder: {propose: weighing, refuse: declined}
  weighing:
    gather: bidder
    manager:
      accept-proposal: {next: won, at_most: 1}
      reject-proposal: lost
outcomes: {won: success, lost: rejected, declined: refused}
settles: {success: any won, refused: all refused, rejected: otherwise}
"""

RACE = """\
agentcomm: 1
protocol: recall
roles: [sender, courier]
acts:
  request: {parcel: text}
  refuse: {reason: text}
  failure: {reason: text}
  delivered: {act: inform, content: {}, discharges: request}
  stop: {act: cancel, content: {}}
states:
  asking:
    sender: {request: riding}
  riding:
    first: sender
    sender: {stop: stopped}
    courier: {delivered: done, refuse: stopped, failure: failed}
outcomes: {done: success, stopped: cancelled, failed: failed}
"""

WORK = """\
agentcomm: 1
protocol: work
roles: [lead, worker]
acts:
  plan: {act: inform, content: {goal: text, cost: money}}
  thanks: {act: inform, content: {result: text}}
states:
  planning:
    lead: {plan: working}
  working:
    run: job
    as: {initiator: lead, participant: worker}
    with: {request.action: plan.goal}
    then: {success: thanking, otherwise: failed}
  thanking:
    lead: {thanks: done}
outcomes: {done: success, failed: failed}
"""

JOB = """\
agentcomm: 1
protocol: job
roles: [initiator, participant]
acts:
  request: {action: text}
  refuse: {reason: text}
  failure: {reason: text}
  result: {act: inform, content: {text: text}, discharges: request}
states:
  asking:
    initiator: {request: asked}
  asked:
    participant: {result: done, refuse: refused, failure: {next: asking, max: 2, then: failed}}
    within: 5m
    else: late
outcomes: {done: success, refused: refused, failed: failed, late: expired}
"""

RETRY = """\
agentcomm: 1
protocol: my-repair
overlay: {on: any}
roles: [sender, hearer]
acts:
  again: {act: query-ref, content: {}}
  value: {act: inform, content: {value: any}}
states:
  trouble:
    hearer: {again: asked}
  asked:
    sender: {value: mended}
outcomes: {mended: success, silent: expired}
then: {success: again, otherwise: aborted}
limits: {else: silent}
"""


def edited(text: str, *edits: tuple[str, str]) -> str:
    """Return a document with parts replaced; each must be there."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text
