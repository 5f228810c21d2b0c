"""A transcript as lines on a terminal: the live view's words, with the time before and what it took and allowed behind."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from agentcomm.acts.content import printable
from agentcomm.conversation.render import Style, View
from agentcomm.conversation.transcript import Record, Transcript
from agentcomm.views.prompts import pieces_of
from agentcomm.views.story import Row, Teller, past_of, within_of

__all__ = ("Terminal", "clock", "short_model")

GUTTER = 8
"""Columns for the time."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """Turns a transcript, whole or part by part, into lines.

    Args:
        style: Puts colour on pieces.
        width: Columns; 0 does not fold.
        steps: Also each model call and tool call.
        prompts: Also what was sent to models, piece by piece.
    """

    def __init__(self, style: Style, width: int, *, steps: bool = False, prompts: bool = False) -> None:
        self._style = style
        self._width = width
        self._steps = steps or prompts
        self._prompts = prompts
        self._view: View | None = None
        self._teller = Teller()
        self._rows = 0

    @property
    def teller(self) -> Teller:
        """Knows what happened so far."""
        return self._teller

    def feed(self, transcript: Transcript) -> Iterator[str]:
        """Yield the lines for a transcript, or for the part of it that came since."""
        teller = self._teller
        teller.feed(transcript)
        if self._view is None:
            width = max(40, self._width - GUTTER) if self._width else 0
            self._view = View(teller.agents, style=self._style, width=width)
            yield from self._head()
        rows = {row.seq: row for row in teller.rows[self._rows :]}
        self._rows = len(teller.rows)
        events = transcript.events()
        for record in transcript.records:
            row = rows.get(record.seq)
            if record.kind == "event":
                lines = self._view.feed(next(events))
                if row is None:
                    yield from (f"{'':{GUTTER}}{line}" for line in lines)
                elif lines:
                    yield from self._row(row, lines)
            elif record.kind == "step" and (self._steps or record.type == "note"):
                for line in _step(record, transcript.body(record), with_prompts=self._prompts):
                    yield self._style("dim", f"{'':{GUTTER}}{printable(line)}")

    def _head(self) -> Iterator[str]:
        opening = self._teller.opening
        if opening is None:
            return
        data = opening.data
        title = f"{data['protocol']['name']} {data['protocol']['version']}, {data['conversation']}"
        yield printable(f"{title}, {opening.time}")
        models = sorted({short_model(player["model"]) for player in data["cast"].values() if player["model"]})
        facts = f"models: {', '.join(models) or 'none'}; protocol {data['protocol']['hash'][:19]}…"
        yield self._style("dim", printable(facts))
        if within := within_of(data):
            yield self._style("dim", f"within {within}")
        if past := past_of(data):
            yield self._style("dim", past)

    def _row(self, row: Row, lines: list[str]) -> Iterator[str]:
        """Yield the lines of something said, with what it took and until when the next may be said at the right."""
        facts = "; ".join(_facts(row))
        first = f"{self._style('dim', f'{clock(row.at):>{GUTTER - 1}} ')}{lines[0]}"
        if facts and not self._width:
            first += self._style("dim", f"  ({facts})")
            facts = ""
        used = len(_COLOURS.sub("", first))
        if facts and len(lines) == 1 and used + len(facts) + 2 <= self._width:
            first += " " * (self._width - used - len(facts)) + self._style("dim", facts)
            facts = ""
        yield first
        yield from (f"{'':{GUTTER}}{line}" for line in lines[1:])
        if facts:
            yield self._style("dim", f"{facts:>{self._width}}")


def _facts(row: Row) -> Iterator[str]:
    seconds = sum(call.seconds or 0 for call in row.calls)
    counted = [call for call in row.calls if call.tokens_in is not None]
    tools = [call.name for call in row.calls if call.kind == "tool"]
    asked = len(row.calls) - len(tools)
    if asked > 1:
        yield f"{asked} calls"
    if tools:
        yield f"used {', '.join(dict.fromkeys(tools))}"
    if seconds:
        yield f"{clock(seconds)} s" if seconds < 60 else clock(seconds)  # noqa: PLR2004
    if counted:
        tokens = sum(call.tokens_in or 0 for call in counted), sum(call.tokens_out or 0 for call in counted)
        yield f"{tokens[0]}+{tokens[1]} tokens"
    ends = sorted({f"until {clock(at)}" for _, _, at in row.deadlines})
    if len(ends) == 1:
        yield ends[0]


def clock(seconds: float) -> str:
    """Return seconds as `4.21`, `12:04` or `1:00:07`."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.2f}"
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def short_model(model: str) -> str:
    """Return a model's name without the folders of its file."""
    backend, _, rest = model.partition(":")
    if backend == "ollama":
        return model
    return f"{backend}:{rest.rpartition('/')[2]}" if rest else backend


def _step(record: Record, body: Any, *, with_prompts: bool) -> list[str]:
    data = record.data
    body = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    match record.type:
        case "model.request":
            offered = ", ".join(data["offered"])
            lines = [f"  asked {short_model(data['model'])} (try {data['attempt']}) for {offered}"]
            return lines + (_pieces(data, body) if with_prompts else [])
        case "model.result":
            counts = (data["prompt_tokens"], data["output_tokens"])
            tokens = "" if None in counts else f", {counts[0]} tokens in and {counts[1]} out"
            return [
                f"  {short_model(data['model'])}, {data['seconds']} s{tokens}: {body.get('text', 'erased')}"
            ]
        case "model.output":
            done = "; ".join(edit["why"] for edit in data["edits"] if edit["op"] != "parse")
            if data["parse"] != "ok":
                return [f"  that could not be taken ({data['parse']}){f': {done}' if done else ''}"]
            return [f"  changed by code before it was said: {done}"] if data["modified"] else []
        case "model.error":
            return [f"  {short_model(data['model'])}: {data['code']} {body.get('what', '')}"]
        case "tool.call":
            arguments = ", ".join(f"{name}={value!r}" for name, value in body.items())
            return [f"  called {data['tool']}({arguments})"]
        case "note":
            return [f"  {data['agent']}: {body.get('text', 'erased')}"]
        case "tool.error":
            return [f"  {data['tool']} failed: {body.get('error', 'erased')}"]
        case "tool.result":
            return [f"  {data['tool']} gave {body}"]
        case _:
            return [f"  {record.type}: {data}"]


def _pieces(data: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """Return what was sent, piece by piece under its label, and the schema the answer had to fit."""
    if "messages" not in body:
        return ["    (erased)"]
    lines: list[str] = []
    for segment, text in zip(data["segments"], pieces_of({**data, "body": body}), strict=False):
        lines.append(f"    [{segment['role']}] {segment['label']}, {segment['chars']} characters")
        lines += [f"    | {line}" for line in text.splitlines()]
    schema = json.dumps(body.get("schema"), ensure_ascii=False)
    return [*lines, "    [schema] the answer must fit", f"    | {schema}"]
