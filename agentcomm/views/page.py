"""A conversation as one HTML file that loads nothing: the dialogue beside the protocol's graph, step by step.

What agents said is packed as data and put in by the page's script as text; it can never become markup. The page's policy lets no
other script run, and nothing be loaded.
"""

import base64
import gzip
import hashlib
import html
import re
from importlib.resources import files
from typing import Any, cast

import msgspec

from agentcomm.conversation.transcript import ERASED, Transcript
from agentcomm.errors import AgentcommError, UsageError
from agentcomm.protocol.draw_svg import draw_svg
from agentcomm.protocol.picture import picture
from agentcomm.runtime.replay import rules_of
from agentcomm.views.prompts import pieces_of
from agentcomm.views.story import Call, Story, story_of
from agentcomm.views.why import why_of

__all__ = ("data_of", "page_of")


def page_of(transcript: Transcript, *, live: str = "") -> str:
    """Return a transcript as an HTML page, for a browser from 2023 on.

    Args:
        transcript: What `read_transcript` returned; of one that is cut, the page shows what is there.
        live: The version of it, for a page that goes on asking whoever served it for the next one, at `data?after=VERSION`.
    """
    story = story_of(transcript)
    script = _file("page.js")
    name = f"{story.protocol} {story.version}".strip()
    about = html.escape(f"{name}, {story.conversation}")
    parts = {
        "title": about,
        "heading": about,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "connect": "; connect-src 'self'" if live else "",
        "live": f' data-live="{html.escape(live)}"' if live else "",
        "style": _file("page.css"),
        "graph": _graph(transcript),
        "data": base64.b64encode(_packed(story)).decode(),
        "script": script,
    }
    # in one go: what is put in is not looked at again
    return re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], _file("page.html"))


def data_of(transcript: Transcript) -> bytes:
    """Return what a page shows of a transcript: JSON, packed with gzip."""
    return _packed(story_of(transcript))


def _packed(story: Story) -> bytes:
    return gzip.compress(_data(story), 6, mtime=0)


def _file(name: str) -> str:
    return files("agentcomm.views").joinpath(name).read_text(encoding="utf-8")


def _graph(transcript: Transcript) -> str:
    """Return the drawing of the protocol that the transcript carries, or why there is none."""
    try:
        protocol = rules_of(transcript).protocol
        return draw_svg(picture(protocol, expand=len(protocol.states) <= _EXPANDED), marked=True)
    except (AgentcommError, UsageError) as error:
        return f"<p>No drawing of the protocol: {html.escape(str(error))}</p>"


_EXPANDED = 24
"""Up to so many states, those of a protocol that a state runs are drawn one by one."""


def _data(story: Story) -> bytes:
    """Return the story as JSON; a piece of a prompt that was sent many times stands there once."""
    pieces: dict[str, str] = {}
    data = cast("dict[str, Any]", msgspec.to_builtins(story))
    for row, shown in zip(story.rows, data["rows"], strict=True):
        shown["trouble"] = row.is_trouble
        shown["calls"] = [_call(call, pieces) for call in row.calls]
    data |= {
        "messages": len(story.messages),
        "repairs": story.repairs,
        "duration": story.duration,
        "ok": story.has_ended_well,
        "first": _first(story),
        "pieces": pieces,
    }
    return msgspec.json.encode(data)


def _first(story: Story) -> int:
    """Return the place of the row that the end came of, for a page to begin at; -1 if there is none."""
    why = why_of(story)
    row = why.first.row if why.first else why.decisive
    return next((place for place, one in enumerate(story.rows) if one is row), -1)


def _call(call: Call, pieces: dict[str, str]) -> dict[str, Any]:
    shown = cast("dict[str, Any]", msgspec.to_builtins(call))
    request = shown.pop("request")
    body = request.get("body")
    content = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if call.kind == "tool":
        shown["arguments"] = ERASED if body == ERASED else _pretty(content)
        return shown
    segments = request.get("segments", [])
    for segment, text in zip(segments, pieces_of(request), strict=False):
        pieces.setdefault(segment["hash"], text)
    shown["segments"] = [
        {"label": segment["label"], "role": segment["role"], "hash": segment["hash"]} for segment in segments
    ]
    shown["schema"] = _pretty(content["schema"]) if content.get("schema") else ""
    return shown


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
