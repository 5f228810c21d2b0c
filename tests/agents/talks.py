"""Long talks with scripted models, for what must hold however long a talk is."""

import json

from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.protocol.library import loads


class Says:
    """A model that answers by a function of what it is asked, and keeps what it was asked."""

    name = "says:"
    provider = "says"

    def __init__(self, answer, *, judges=True):
        self.answer = answer
        self.capabilities = Capabilities(judges=judges)
        self.asked = []

    async def reply(self, request):
        self.asked.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelReply):
            return answer
        body = {"messages": [{"role": m.role, "content": m.content} for m in request.messages]}
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return ModelReply(text=text, model=self.name, sent=json.dumps(body).encode())

    async def close(self):
        pass


def text_of(request):
    return "\n\n".join(message.content for message in request.messages)


def ping_pong(turns):
    """Two who say a line in turn; each sees the other's words."""
    return loads(f"""
agentcomm: 1
protocol: chat
version: 1
about: Two who talk.
roles: [ann, bob]
acts:
  line: {{act: inform, content: {{words: text, n: int}}}}
  word: {{act: inform, content: {{words: text, n: int}}}}
  bye: {{act: inform, content: {{}}}}
states:
  one: {{ann: {{line: {{next: two, max: {turns}, then: over}}, bye: over}}}}
  two: {{bob: {{word: {{next: one, max: {turns}, then: over}}}}}}
outcomes: {{over: success}}
limits: {{reply_within: 60s, else: over}}
""")


def growing(turns):
    """A talk in which every turn puts one more value on record, and the last must repeat the first."""
    acts = [f"  fact-{n}: {{act: inform, content: {{key: id, count: int}}}}" for n in range(turns)]
    states = [
        f"  s{n}: {{{'bob' if n % 2 else 'ann'}: {{fact-{n}: {f's{n + 1}' if n + 1 < turns else 'closing'}}}}}"
        for n in range(turns)
    ]
    speaker = "bob" if turns % 2 else "ann"
    return loads("\n".join([
        "agentcomm: 1", "protocol: facts", "version: 1", "about: Facts are told.", "roles: [ann, bob]",
        "acts:", *acts, "  sum: {act: inform, content: {key: id}}",
        "grounding: {sum: {repeats: {key: fact-0.key}}}",
        "states:", *states, f"  closing: {{{speaker}: {{sum: over}}}}",
        "outcomes: {over: success}", "limits: {reply_within: 60s, else: over}",
    ]))  # fmt: skip
