"""One question to a model, on record from what was given to what was delivered."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from agentcomm.acts.message import Message
from agentcomm.agents.ladder import spent
from agentcomm.agents.prompt import Offer, build
from agentcomm.agents.provenance import Prompt, Segment, Trail, classified, digest, sent_as
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.errors import EdgeError, ModelBroken
from agentcomm.models.base import Model, ModelReply, ModelRequest

__all__ = ("Answer", "ask", "delivered", "think")


class Answer(msgspec.Struct, frozen=True):
    """What a model answered, read."""

    text: str
    data: dict[str, Any] | None
    """The JSON object; None if it is none."""
    fault: str = ""
    """Why it is none, in words for the model."""


async def ask(turn: Turn, prompt: Prompt, schema: Mapping[str, Any] | None, offered: Sequence[str]) -> Answer:
    """Ask the turn's model, and keep on record what it was asked and what it said, before anything is made of it.

    Args:
        turn: The turn.
        prompt: What it is shown.
        schema: What the answer must fit; None asks for thinking in free words.
        offered: Labels of what it may answer.

    Raises:
        ModelBroken: If the answer is cut off or empty; the next try may do better.
        EdgeError: If the model cannot be asked.
    """
    model = cast("Model", turn.model)
    messages = prompt.messages()
    attempt = (
        turn.conversation.here.misfires + 1 + spent(turn)
    )  # asked in the same way, it would say the same
    request = ModelRequest(
        messages=messages,
        schema=schema,
        num_ctx=turn.num_ctx,
        seed=attempt,
        temperature=0.0 if attempt == 1 else 0.4,
        think=schema is None,
        logprobs=turn.logprobs,
    )
    key = digest(request)
    if (before := turn.journal.recalled("model.result", key)) is not None:
        return _parsed(str(before.body["text"]))
    edits = prompt.edits
    data = {
        "agent": turn.agent,
        "model": model.name,
        "attempt": attempt,
        "temperature": request.temperature,
        "seed": request.seed,
        "num_ctx": request.num_ctx,
        "source": prompt.source,
        "segments": prompt.pieces(),
        "edits": [msgspec.to_builtins(edit) for edit in edits],
        "left_out": list(prompt.left_out),
        "prompt": digest(messages),
        "schema": digest(schema),
        "offered": list(offered),
        "classifiers": classified(turn.classifiers, "\n\n".join(message.content for message in messages)),
        "stored": list(turn.journal.sinks),
    }
    turn.journal.step("model.request", data, {"messages": messages, "schema": schema, **prompt.kept()})
    try:
        reply = await model.reply(request)
    except EdgeError as error:
        failed = {"agent": turn.agent, "model": model.name, "code": error.code}
        turn.journal.step("model.error", failed, error.as_dict())
        raise
    _record(turn, request, reply, key, model.provider, len(edits))
    await turn.journal.kept()
    return _parsed(reply.text)


def _record(
    turn: Turn, request: ModelRequest, reply: ModelReply, key: str, provider: str, links: int
) -> None:
    link, is_accounted = sent_as(request.messages, reply.sent, provider, links + 1)
    data = {
        "key": key,
        "agent": turn.agent,
        "model": reply.model,
        "done_reason": reply.done_reason,
        "prompt_tokens": reply.prompt_tokens,
        "output_tokens": reply.output_tokens,
        "seconds": round(reply.seconds, 3),
        "waited": round(reply.waited, 3),
        "num_ctx": reply.num_ctx,
        "transport_retries": reply.transport_retries,
        "address": reply.address,
        "sent": "sha256:" + hashlib.sha256(reply.sent).hexdigest() if reply.sent else "",
        "edits": [msgspec.to_builtins(link)] if link is not None else [],
        **({"unaccounted": True} if link is not None and not is_accounted else {}),
        "raw": "sha256:" + hashlib.sha256(reply.text.encode()).hexdigest(),
        "classifiers": classified(turn.classifiers, reply.text),
        "stored": list(turn.journal.sinks),
    }
    body: dict[str, Any] = {"text": reply.text, "thinking": reply.thinking}
    if reply.logprobs:
        body["logprobs"] = reply.logprobs
    turn.journal.step("model.result", data, body)
    if "unaccounted" in data:
        turn.note(f"{reply.model} was sent other messages than were made for it; see trace prompt")


def _parsed(text: str) -> Answer:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:  # a model that babbles brackets nests without end
        return Answer(text, None, f"the answer is not JSON ({error})")
    if not isinstance(found, dict):
        return Answer(text, None, "the answer is not a JSON object")
    return Answer(text, cast("dict[str, Any]", found))


async def think(turn: Turn, offer: Offer) -> str:
    """Return what the model thinks before it answers, in a call of its own; empty where that is not wanted.

    Many servers drop the schema where thinking is asked for, so the two are never in one request. What was thought is kept in the
    record and shown to this model alone, never to a peer.
    """
    if not turn.thinks:
        return ""
    wanted = Segment(
        label="think", role="user", before="First think it over, in a few sentences. Do not answer yet."
    )
    prompt = build(turn, offer, wanted)
    try:
        answer = await ask(turn, prompt, None, ())
    except ModelBroken:  # it can answer without
        return ""
    return _cut(answer.text.strip(), turn.budget.notes)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"[…] {text[-limit:]}"


def delivered(turn: Turn, trail: Trail, said: Message | Unspoken) -> None:
    """Keep what became of an answer on its way to a message, link by link, as for a prompt."""
    data = {
        "agent": turn.agent,
        "raw": trail.raw,
        "delivered": trail.hash if isinstance(said, Message) else "",
        "parse": "ok" if trail.is_read else "failed",
        "modified": any(edit.op != "parse" for edit in trail.edits),
        "edits": [msgspec.to_builtins(edit) for edit in trail.edits],
    }
    turn.journal.step("model.output", data, {"reason": said.reason} if isinstance(said, Unspoken) else None)
