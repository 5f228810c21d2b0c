"""A model's turn: one JSON schema over the legal acts in, one message out.

What comes back is data: parsed and validated, never executed; sender, role and receivers are never taken from it. Tools may be
called first, one at a time, until the model chooses an act or has no call left; each call goes through the gate of every call.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message, format_content
from agentcomm.agents.ask import Answer, ask, delivered, think
from agentcomm.agents.calls import Call
from agentcomm.agents.prompt import Offer, build
from agentcomm.agents.provenance import Trail, name_of
from agentcomm.agents.schema import fields_schema, moves_schema
from agentcomm.agents.tools import ToolInDoubt, ToolRefused
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.agents.using import is_open
from agentcomm.conversation.moves import given, on_record
from agentcomm.errors import AgentcommError, EdgeError, ModelBroken, UsageError
from agentcomm.grounding.consistency import unfilled
from agentcomm.grounding.sourced import unsourced
from agentcomm.grounding.troubles import Unfilled
from agentcomm.protocol.graph import Move

__all__ = ("choose",)

PLACE = "agentcomm.choose"
SHAPE = '{"act": …, "content": {…}}'
OFFERED_EXITS = ("specify", "not-understood")
"""Exits a model is shown: the plain word, and where a field is critical, the question for one. People may use all."""


async def choose(
    turn: Turn, act: str, known: Mapping[str, Any], facts: Mapping[str, Any]
) -> Message | Unspoken:
    """Return what the turn's model says; see `Turn.fill`."""
    if turn.model is None:
        raise UsageError(
            f"{turn.agent} has no model", fix=f'Agent("{turn.agent}", model="ollama:…")', code="U330"
        )
    moves = (
        tuple(m for m in (*turn.moves, *turn.exits) if act in (m.label, m.act.name))
        if act
        else _offered(turn)
    )
    asks: tuple[str, ...] | None = None
    if act:
        act = moves[0].label
        known = {**known, **given(turn.conversation, moves[0])}
        asks = tuple(name for name in moves[0].act.fields if name not in known)
        if not asks:
            return turn.say(act, **known)
    offer = Offer(moves=moves, asks=asks, known={**known, **facts})
    try:
        offer = msgspec.structs.replace(offer, notes=await think(turn, offer))
        answer = await _asked(turn, offer)
    except ModelBroken as error:
        return Unspoken(error.what)
    trail = Trail(answer.text)
    said = _read(turn, answer, trail, act, known, facts, asks)
    delivered(turn, trail, said)
    return said


async def _asked(turn: Turn, offer: Offer) -> Answer:
    """Return the model's answer to what is on offer, once it calls no tool any more."""
    if offer.asks is not None:
        schema = fields_schema(offer.moves[0].act, offer.asks)
        return await ask(turn, build(turn, offer), schema, [offer.moves[0].label])
    fixed = {} if turn.judges else _on_record(turn, offer.moves)
    refused: list[tuple[str, str]] = []
    tries = 0
    while True:
        made = turn.calls.of_model() if turn.tools else []
        has_left = turn.judges and max(len(made), tries) < turn.budget.calls
        tools = {name: one for name, one in turn.tools.items() if has_left and is_open(turn, one)}
        results, cut = _results(made, turn.budget.results)
        given = msgspec.structs.replace(
            offer,
            tools=[(one.signature, one.about) for one in tools.values()],
            results=[*results, *refused],
            left_out=cut,
        )
        schema = moves_schema(
            offer.moves,
            fixed,
            {name: one.parameters for name, one in tools.items()},
            lambda ref: on_record(turn.conversation, ref),
            exact=not turn.judges,
        )
        labels = [move.label for move in offer.moves]
        answer = await ask(turn, build(turn, given), schema, [*labels, *tools])
        data = answer.data
        if data is None or "use" not in data or not tools:
            return answer
        tries += 1
        name, arguments = data["use"], data.get("with", {})
        if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict):
            return Answer(answer.text, None, f"there is no such tool; there is {', '.join(tools)}")
        try:
            await turn.use_as("model", name, cast("dict[str, Any]", arguments))
        except ToolRefused as error:
            refused.append((name, f"{_call(name, arguments)} was stopped: {error.what}"))
        except ToolInDoubt:
            raise
        except EdgeError:  # what it says is among the results
            continue


def _results(made: list[Call], limit: int) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Return what a prompt shows of calls, a line each, and what of it is left out."""
    lines: list[tuple[str, str]] = []
    cut: list[str] = []
    for call in made:
        if call.error is not None:
            told = call.error.what if isinstance(call.error, AgentcommError) else str(call.error)
            lines.append((call.tool, f"{_call(call.tool, call.arguments)} failed: {told}"))
            continue
        gave = msgspec.json.encode(to_plain(call.result)).decode()
        if len(gave) > limit:
            cut.append(f"{len(gave) - limit:,} of {len(gave):,} characters of what {call.tool} gave")
            gave = f"{gave[:limit]} [{len(gave) - limit} more characters are not shown]"
        lines.append((call.tool, f"{_call(call.tool, call.arguments)} = {gave}"))
    return lines, tuple(cut)


def _call(name: str, arguments: Any) -> str:
    return f"{name}({format_content(arguments)})"


def _offered(turn: Turn) -> tuple[Move, ...]:
    exits = tuple(move for move in turn.exits if move.label in OFFERED_EXITS)
    heard = turn.conversation.protocol.acts.get(turn.heard.act) if exits and turn.heard else None
    has_critical = heard is not None and bool(heard.critical or heard.readback)
    return (*turn.moves, *(move for move in exits if has_critical or move.label != "specify"))


def _read(
    turn: Turn,
    answer: Answer,
    trail: Trail,
    act: str,
    known: Mapping[str, Any],
    facts: Mapping[str, Any],
    asks: tuple[str, ...] | None,
) -> Message | Unspoken:
    """Return the message in an answer; sender, role and receivers are never taken from it."""
    data = answer.data
    if data is None:
        shape = SHAPE if asks is None else f"{{{', '.join(asks)}}}"
        return Unspoken(f"{answer.fault}; answer with one JSON object, {shape}, and nothing else")
    trail.then("parse", PLACE, data, "read as JSON")
    if asks is not None:
        written = {name: value for name, value in data.items() if name in asks}
        trail.then("delete", PLACE, written, "only what was asked for is taken")
        if invented := unsourced(
            _texts(written.values()), _sources(turn, known, facts), _borrowed(turn, act)
        ):
            shown = ", ".join(repr(word[:40]) for word in invented[:3])
            return Unspoken(f"{shown} stands in none of the facts; use only what was given")
        label, content = act, {**to_plain(dict(known)), **written}
        trail.then("insert", PLACE, {"act": label, "content": content}, "the act and what code has set")
    else:
        label, content = data.get("act"), data.get("content", {})
        if not isinstance(label, str) or not isinstance(content, dict):
            return Unspoken(f"the answer must be {SHAPE}")
        trail.then("delete", PLACE, {"act": label, "content": content}, "act and content alone are taken")
    for editor in turn.answer_edits:
        content = editor(label, content)
        what = {"act": label, "content": to_plain(content)}
        trail.then("replace", name_of(editor), what, "asked for by the agent's author")
    move = next((move for move in turn.moves if label in (move.label, move.act.name)), None)
    written = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    if move is not None and (open_slots := _placeholders(move, written, _given(turn, known, facts))):
        return Unspoken(
            f"{open_slots[0].slot}: {open_slots[0].value!r} is a placeholder; say the value, or refuse or ask"
        )
    lane = "" if move is not None and move.for_all else turn.lane
    return Message(act=label, content=content, sender=turn.role, made_by="model", lane=lane)


def _placeholders(move: Move, content: Mapping[str, Any], told: Iterable[Any]) -> tuple[Unfilled, ...]:
    """Return what the act must carry and where a word stands for a value that is still to come; what the model was told is a value."""
    kinds = move.act.fields
    held = [name for name, kind in kinds.items() if not kind.optional and isinstance(content.get(name), str)]
    choices = [choice for name in held for choice in kinds[name].choices]
    return unfilled(held, {}, content, {*choices, *_leaves(list(told))})


def _leaves(value: Any) -> Iterator[str]:
    """Yield the texts in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _leaves(list(cast("dict[str, Any]", value).values()))
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _leaves(item)


def _texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _borrowed(turn: Turn, act: str) -> list[str]:
    """Return what the worked examples are about: none of it belongs into an answer."""
    return [text for given, _made in turn.examples.get(act, ()) for text in _texts(given.values())]


def _sources(turn: Turn, known: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Return everything the model was given that it may repeat."""
    return [msgspec.json.encode(item).decode() for item in _given(turn, known, facts)]


def _given(turn: Turn, known: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Any]:
    """Return the same as JSON data."""
    given = (known, facts, turn.brief, turn.content, turn.ground.as_dict())
    return [to_plain(item) for item in given if item]


def _on_record(turn: Turn, moves: tuple[Move, ...]) -> dict[str, dict[str, Any]]:
    """Return the values that a message must repeat: what a model that only copies is not left to get wrong."""
    found: dict[str, dict[str, Any]] = {}
    for move in moves:
        values = {name: on_record(turn.conversation, ref) for name, ref in move.act.repeats.items()}
        found[move.label] = {name: to_plain(value) for name, value in values.items() if value is not None}
    return found
