"""What a model is shown: labelled segments, and nothing else.

What does not change comes first (who the agent is, its brief, worked examples), then the record, then what was heard and what
can be said, then what tools gave and what went wrong: so a server that keeps the prefix of the last prompt reads little anew, and
a prompt that is asked again differs at its end alone. How the record is kept short is in `shown.py`, how moves are written in
`offered.py`; what is done to the segments on their way to the model is in `provenance.py`.

A model that judges is told the least that it needs; one that only copies gets what makes it copy rightly: examples, its rules in
full, a read-back as a form to fill, and what went wrong before what it is asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentcomm.acts.content import format_value, to_plain
from agentcomm.acts.message import Message, format_content
from agentcomm.agents.fence import fenced
from agentcomm.agents.ladder import AFRESH, restated, spent
from agentcomm.agents.offered import briefly, in_full
from agentcomm.agents.provenance import Prompt, Segment, digest
from agentcomm.agents.shown import shown
from agentcomm.agents.turn import Turn
from agentcomm.protocol.graph import Move

__all__ = ("Offer", "Prompt", "Segment", "build", "fenced")

READBACK_EXAMPLES: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    (
        {"host": "db-7", "port": 5432, "since": "2024-03-09T04:17:55Z", "load": "high"},
        {"host": "db-7", "port": 5432, "since": "2024-03-09T04:17:55Z", "load": "high"},
    ),
    (
        {"price": "85 EUR", "valid_until": "2025-07-14", "count": 12},
        {"price": "85 EUR", "valid_until": "2025-07-14", "count": 12},
    ),
)
"""A small model copies exactly when it has seen it done, and does not otherwise."""


RULES = "Answer with one JSON object and nothing else. Use exactly the values you were given."


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may answer, and what it is given besides the record."""

    moves: tuple[Move, ...]
    """The moves on offer."""
    asks: tuple[str, ...] | None = None
    """The fields it writes when code has chosen the act; None for a whole message."""
    known: Mapping[str, Any] = {}
    """Values that code has set, and facts it was given."""
    tools: Sequence[tuple[str, str]] = ()
    """Signature of each tool that it may call, and what the tool does."""
    results: Sequence[tuple[str, str]] = ()
    """Tool, and in one line its call and what it gave, of this turn."""
    left_out: tuple[str, ...] = ()
    """What of the results is not shown."""
    notes: str = ""
    """What it thought before."""


def build(turn: Turn, offer: Offer, last: Segment | None = None) -> Prompt:
    """Return the prompt for a turn; `last` stands at its end."""
    judges = turn.judges
    ends = [*_refusal(turn), *((last,) if last is not None else ())]
    moves = offer.moves
    parts = _role(turn)
    is_readback = turn.overlay is not None and turn.overlay.name == "read-back"
    if is_readback and not judges and "fields" in moves[0].act.fields:
        return _finished(turn, Prompt([*parts, *_readback(turn, moves[0]), *ends]))
    parts += _examples(turn, moves, offer.asks)
    if turn.brief and not offer.known:  # with facts, code has read the brief and says what follows from it
        told = turn.brief if isinstance(turn.brief, str) else _json(to_plain(turn.brief))
        parts.append(Segment(label="brief", role="user", data=told, by="author"))
    if judges and spent(turn) >= AFRESH and (told := restated(turn, moves)):
        before = "From the record, afresh:\n"
        parts.append(Segment(label="restated", role="user", before=before, data=told, by="record"))
        parts += [_moves(turn, offer, ()), *ends]
        return _finished(turn, Prompt(parts, left_out=("what was said before",)))
    record = shown(turn, moves)
    if record.record:
        parts.append(
            Segment(label="record", role="user", before="On record:\n", data=record.record, by="record")
        )
    parts += [_said(turn, message, "said") for message in record.said]
    if turn.heard is not None:
        parts.append(_said(turn, turn.heard, "heard"))
    if not judges:
        parts += _trouble(turn)
    if offer.known:
        facts = _json(to_plain(dict(offer.known)))
        parts.append(Segment(label="known", role="user", before="Facts: ", data=facts, by="code"))
    heard = (turn.heard,) if turn.heard is not None else ()
    parts.append(_moves(turn, offer, (*record.said, *heard)))
    parts += [
        Segment(label="results", role="user", before="A tool gave (data): ", data=gave, by=f"tool {tool}")
        for tool, gave in offer.results
    ]
    if offer.notes:
        parts.append(
            Segment(label="notes", role="user", before="Your thoughts: ", data=offer.notes, by="model")
        )
    if judges:
        parts += _trouble(turn)
    parts += ends
    return _finished(
        turn,
        Prompt(
            parts,
            (*record.left_out, *offer.left_out),
            digest(_in_full(parts, record.full)) if record.full else "",
        ),
    )


def _finished(turn: Turn, prompt: Prompt) -> Prompt:
    for editor in turn.prompt_edits:
        prompt.edit(editor)
    prompt.escape(fenced)  # last, so that nothing an edit brought in goes unescaped
    return prompt


def _in_full(parts: Sequence[Segment], record: str) -> list[list[str]]:
    return [[s.label, s.by, record if s.label == "record" else s.data] for s in parts if s.by != "agentcomm"]


def _role(turn: Turn) -> list[Segment]:
    goal = [Segment(label="goal", role="system", data=turn.goal, by="author")] if turn.goal else []
    rules = [] if _follows(turn) else [Segment(label="rules", role="system", before=RULES)]
    if turn.judges and goal:  # it says what the talk is about, for this agent, and of two, who it is
        is_plain = len(turn.conversation.protocol.roles) <= 2 or turn.role in turn.goal  # noqa: PLR2004
        role = Segment(label="role", role="system", before=f"You are the {turn.role}.")
        return [*(() if is_plain else (role,)), *goal, *rules]
    about = turn.conversation.protocol.about.strip() or turn.conversation.protocol.name
    who = f"You are {turn.agent}, the {turn.role} in a talk about: "
    role = Segment(label="role", role="system", before=who, data=about.rstrip("."), after=".", by="protocol")
    return [role, *goal, *rules]


def _follows(turn: Turn) -> bool:
    """Say whether the answer's form can be left to the schema that goes with the prompt."""
    model = turn.model
    return turn.judges and model is not None and model.capabilities.follows_schema is not False


def _said(turn: Turn, message: Message, label: str) -> Segment:
    who = "You" if message.sender == turn.role else f"> {message.sender}"  # as mails quote what others wrote
    content: Any = message.content
    if message.about and message.act == "offer":  # what is asked in a repair: is it this value?
        content = {content.path: content.candidate}
    data = f"{message.act} {format_content(content)}".rstrip()
    return Segment(label=label, role="user", before=f"{who}: ", data=data, by=f"role {message.sender}")


def _trouble(turn: Turn) -> list[Segment]:
    corrected = turn.overlay.trouble if turn.overlay is not None and turn.can("readback") else ()
    troubles = turn.troubles or corrected
    if not troubles:
        return []
    told = [f"{one.field}={format_value(one.meant)}, not {format_value(one.understood)}" for one in troubles]
    before = "Say it again with "
    return [Segment(label="trouble", role="user", before=before, data="; ".join(told), by="record")]


def _moves(turn: Turn, offer: Offer, shown: Sequence[Message]) -> Segment:
    if offer.asks is not None:
        text = f"Write {', '.join(offer.asks)} as JSON. Use only the facts."
    elif _follows(turn):
        text = briefly(offer.moves, shown)
    else:
        text = in_full(offer.moves)
    if offer.tools:
        tools = "\n".join(f"{sign}: {about}" if about else sign for sign, about in offer.tools)
        shape = "" if _follows(turn) else ', {"use": …, "with": {…}}'
        text += f"\nOr first call a tool{shape}:\n{tools}"
    return Segment(label="moves", role="user", before=text)


def _readback(turn: Turn, move: Move) -> list[Segment]:
    parts: list[Segment] = []
    for given, made in READBACK_EXAMPLES:
        answer = _json({"act": "readback", "content": {"fields": made}})
        parts.append(Segment(label="examples", role="user", before=f"Read back: {_json(given)}"))
        parts.append(Segment(label="examples", role="assistant", before=answer))
    content: dict[str, Any] = to_plain(turn.heard.content) if turn.heard else {}
    names = list(move.act.fields["fields"].fields or {}) or list(content)
    data = _json({name: content[name] for name in names if name in content})
    by = f"role {turn.heard.sender}" if turn.heard else "record"
    return [*parts, Segment(label="heard", role="user", before="Read back: ", data=data, by=by)]


def _examples(turn: Turn, moves: tuple[Move, ...], asks: tuple[str, ...] | None) -> list[Segment]:
    found: list[Segment] = []
    for move in moves:
        for given, made in turn.examples.get(move.label, ()):
            after = ""
            if asks is None:
                answer = _json({"act": move.label, "content": to_plain(dict(made))})
            else:
                after = f"\n\nWrite {', '.join(asks)} as JSON. Use only the facts."
                answer = _json({name: to_plain(made[name]) for name in asks if name in made})
            facts = _json(to_plain(dict(given)))
            found += [
                Segment(
                    label="examples", role="user", before="Facts: ", data=facts, after=after, by="author"
                ),
                Segment(label="examples", role="assistant", data=answer, by="author"),
            ]
    return found


def _refusal(turn: Turn) -> list[Segment]:
    if turn.refusal is None or not turn.judges:  # one that only copies would copy the refusal too
        return []
    reason, legal = turn.refusal.reason, turn.refusal.legal
    tried = [line for line in legal if line.startswith(f"{turn.refusal.act}(")]
    after = "" if _follows(turn) else f". Legal: {', '.join(tried or legal)}"
    return [
        Segment(
            label="refusal", role="user", before="Not valid: ", data=reason, after=after, by="agentcomm core"
        )
    ]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
