"""A transcript carries the protocols that its protocol runs."""

from agentcomm import Agent, enact_sync, replay
from agentcomm.protocol.library import loads

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
    participant: {result: done, refuse: refused, failure: failed}
outcomes: {done: success, refused: refused, failed: failed}
"""

WORK = """\
agentcomm: 1
protocol: work
roles: [lead, worker]
acts:
  thanks: {act: inform, content: {result: text}}
states:
  working:
    run: job
    as: {initiator: lead, participant: worker}
    then: {success: thanking, otherwise: failed}
  thanking:
    lead: {thanks: done}
outcomes: {done: success, failed: failed}
"""


def test_a_run_is_enacted_and_replayed_from_its_transcript():
    ann, bob = Agent("ann"), Agent("bob")

    @ann.opens
    async def ask(turn):
        return turn.say("working.request", action="dig")

    @bob.on("working.request")
    async def do(turn):
        return turn.say("working.result", text="dug")

    @ann.on("working.result")
    async def thank(turn):
        return turn.say("thanks", result=turn.heard.content.text)

    protocol = loads(WORK, protocols={"job": JOB})
    result = enact_sync(protocol, cast={"lead": ann, "worker": bob})
    assert result.outcome == "done"
    again = replay(result.transcript)
    assert again.same
    assert again.conversation.rules.protocol == protocol
