"""Where every piece of a prompt is from, and everything that was done to it on its way to the model.

A prompt is a list of labelled segments. Each operation on the list is an `Edit` with the hash before and after it, so that the
edits form a chain from what was given to the bytes that were sent; what is not in the chain did not happen to the prompt, and
`verified` says so from a record alone. The same is done for an answer, from the model's text to the message.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from agentcomm.models.base import ChatMessage

__all__ = (
    "Classifier",
    "Edit",
    "Editor",
    "Prompt",
    "Segment",
    "Trail",
    "classified",
    "digest",
    "name_of",
    "segments_of",
    "sent_as",
    "verified",
)

OURS = "agentcomm"
"""Who made a segment that nobody gave."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a prompt: words of ours around what somebody gave."""

    label: str
    """role, examples, brief, record, said, heard, trouble, known, results, notes, moves or refusal."""
    role: str
    """system, user or assistant."""
    data: str = ""
    """What was given; empty where all of it is ours."""
    before: str = ""
    after: str = ""
    by: str = OURS
    """Who gave `data`: author, code, `role NAME`, `tool NAME`, model, record or agentcomm."""

    @property
    def text(self) -> str:
        """The piece as it is shown."""
        return f"{self.before}{self.data}{self.after}"

    @property
    def hash(self) -> str:
        """SHA-256 of the text."""
        return "sha256:" + hashlib.sha256(self.text.encode()).hexdigest()


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on the whole list of segments, or on the messages made of them."""

    n: int
    op: str
    """render, escape, compact, insert, delete, replace, reorder, join, send; of an answer also parse."""
    by: str
    before: str = msgspec.field(name="in")
    """Hash of everything before it; the first is that of what was given."""
    after: str = msgspec.field(name="out")
    chars: int
    """Characters that it added; negative for fewer."""
    why: str


Editor = Callable[[tuple[Segment, ...]], Iterable[Segment]]
"""Takes the segments of a prompt and returns those that are sent instead."""

Classifier = Callable[[str], str]
"""Takes a text and returns its label; empty for nothing to say."""


class Prompt:
    """The segments of one prompt with the chain of what was done to them.

    Args:
        segments: What was given, with our words around it.
        left_out: Names of what is on record and not in the prompt.
        full: Hash of what was given before anything was left out; empty if nothing was.
    """

    def __init__(self, segments: Iterable[Segment], left_out: Sequence[str] = (), full: str = "") -> None:
        self.given = self.segments = tuple(segments)
        self.left_out = tuple(left_out)
        source = _source(self.segments)
        self.source = full or source
        self._edits: list[Edit] = []
        self._kept: dict[str, list[list[str]]] = {}
        if full:
            why = f"{len(self.left_out)} values or messages on record are outside the budget"
            self._link("compact", "agentcomm.record", full, source, 0, why)
        words = sum(len(s.before) + len(s.after) for s in self.segments)
        self._link(
            "render", "agentcomm.prompt", source, self._state(), words, "our words around what was given"
        )

    def escape(self, fence: Callable[[str], str]) -> None:
        """Write what was given so that nothing in it can pass for a mark of a chat template or a line of ours."""
        made = tuple(_escaped(segment, fence) for segment in self.segments)
        if made != self.segments:
            self._change(
                made, "escape", "agentcomm.fence", "marks and control characters in data", keep=False
            )

    def edit(self, editor: Editor) -> None:
        """Let somebody's function change the segments; that it did, and how, is on record."""
        made = tuple(editor(self.segments))
        if made != self.segments:
            self._change(made, _kind(self.segments, made), name_of(editor), "asked for by the agent's author")

    def messages(self) -> tuple[ChatMessage, ...]:
        """Return the chat messages: neighbours of one role are joined by a blank line."""
        return _joined((segment.role, segment.text) for segment in self.segments)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Everything that was done, up to the messages."""
        messages = digest(self.messages())
        joints = len(self.segments) - len(self.messages())
        last = self._edits[-1].after
        join = Edit(
            n=len(self._edits) + 1,
            op="join",
            by="agentcomm.prompt",
            before=last,
            after=messages,
            chars=2 * joints,
            why="neighbours of one role are one message",
        )
        return (*self._edits, join)

    def pieces(self) -> list[dict[str, Any]]:
        """Return label, role, giver, hash and length of each piece, and where in it stands what was given."""
        return [
            {
                "label": s.label,
                "role": s.role,
                "by": s.by,
                "hash": s.hash,
                "chars": len(s.text),
                "data": [len(s.before), len(s.data)],
            }
            for s in self.segments
        ]

    def kept(self) -> dict[str, Any]:
        """Return what a record needs beside the messages to go through the chain again; nothing where nothing was changed."""
        if self.given == self.segments:
            return {}
        return {"given": _rows(self.given), "edited": self._kept}

    def _state(self) -> str:
        return digest([[s.label, s.role, s.text] for s in self.segments])

    def _change(self, made: tuple[Segment, ...], op: str, by: str, why: str, *, keep: bool = True) -> None:
        chars = sum(len(s.text) for s in made) - sum(len(s.text) for s in self.segments)
        before = self._state()
        self.segments = made
        self._link(op, by, before, self._state(), chars, why)
        if keep:
            self._kept[str(len(self._edits))] = _rows(made)

    def _link(self, op: str, by: str, before: str, after: str, chars: int, why: str) -> None:
        n = len(self._edits) + 1
        self._edits.append(Edit(n=n, op=op, by=by, before=before, after=after, chars=chars, why=why))


class Trail:
    """What is done to an answer on its way from the model's text to a message; each value is hashed before and after.

    Args:
        text: What the model said.
    """

    def __init__(self, text: str) -> None:
        self.raw = self.hash = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        self._size = len(text)
        self.edits: list[Edit] = []
        self.is_read = False
        """Whether it was JSON, which changes nothing where the text is as we would write it."""

    def then(self, op: str, by: str, value: Any, why: str) -> None:
        """Note what the answer is now; nothing, where that is what it was."""
        after, size = digest(value), len(msgspec.json.encode(value))
        self.is_read |= op == "parse"
        if after != self.hash:
            n = len(self.edits) + 1
            chars = size - self._size
            self.edits.append(Edit(n=n, op=op, by=by, before=self.hash, after=after, chars=chars, why=why))
            self.hash, self._size = after, size


def digest(value: Any) -> str:
    """Return `sha256:` of a value's canonical JSON."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def name_of(function: Any) -> str:
    """Return how a record names a function of the author's."""
    kind = cast("type[Any]", type(function))
    own = getattr(function, "__qualname__", "") or kind.__qualname__
    return f"{getattr(function, '__module__', kind.__module__)}.{own}"


def classified(classifiers: Sequence[Classifier], text: str) -> list[dict[str, str]]:
    """Return what each classifier says of a text; an empty list says that none ran.

    One that raises says `error: …`: a classifier looks, and must not be able to end a conversation.
    """
    found: list[dict[str, str]] = []
    for classifier in classifiers:
        try:
            label = str(classifier(text))
        except Exception as error:  # noqa: BLE001  (it is the author's, and may raise anything)
            label = f"error: {type(error).__name__}: {error}"
        found.append({"by": name_of(classifier), "label": label})
    return found


def sent_as(messages: Sequence[ChatMessage], sent: bytes, by: str, n: int) -> tuple[Edit | None, bool]:
    """Return the last link of a prompt's chain, and whether the bytes that left hold these messages and no others.

    Args:
        messages: What the builder made.
        sent: The bytes of the request as they left; empty where a backend does not tell.
        by: The backend.
        n: Number of the link.
    """
    if not sent:
        return None, False
    try:
        body = msgspec.json.decode(sent)
        found = [(m["role"], m["content"]) for m in body["messages"]]
    except (msgspec.DecodeError, KeyError, TypeError):
        found = []
    shown = sum(len(message.content) for message in messages)
    link = Edit(
        n=n,
        op="send",
        by=by,
        before=digest(messages),
        after="sha256:" + hashlib.sha256(sent).hexdigest(),
        chars=len(sent) - shown,
        why="the request around the messages",
    )
    return link, found == [(message.role, message.content) for message in messages]


def verified(
    data: Mapping[str, Any],
    body: Mapping[str, Any],
    result: Mapping[str, Any] | None,
    fence: Callable[[str], str],
) -> list[str]:
    """Return what does not add up in the record of a prompt; nothing if the chain closes.

    Args:
        data: Data of the `model.request` record.
        body: Its content.
        result: Data of the `model.result` record that follows, if there is one.
        fence: How data is escaped.
    """
    faults: list[str] = []
    edits = [msgspec.convert(edit, Edit) for edit in data.get("edits", ())]
    if not edits or edits[0].before != data.get("source"):
        faults.append("the chain does not begin with what was given")
    for one, other in itertools.pairwise(edits):
        if one.after != other.before:
            faults.append(f"edit {other.n} does not begin where edit {one.n} ends")
    messages = [ChatMessage(m["role"], m["content"]) for m in body["messages"]]
    texts = _split(data.get("segments", ()), messages)
    if texts is None:
        return [*faults, "the segments are not the messages"]
    final = [
        Segment(
            label=s["label"],
            role=s["role"],
            by=s["by"],
            before=text[: s["data"][0]],
            data=text[s["data"][0] : sum(s["data"])],
            after=text[sum(s["data"]) :],
        )
        for s, text in zip(data["segments"], texts, strict=True)
    ]
    segments = _read_rows(body["given"]) if "given" in body else final
    source = _source(segments)
    edited = cast("Mapping[str, Any]", body.get("edited", {}))
    for edit in edits:
        match edit.op:
            case "compact":
                reached = source
            case "join":
                reached = digest(_joined((s.role, s.text) for s in segments))
                if reached != digest(messages):
                    faults.append("the messages are not those of the segments")
            case "render":
                if edit.before != source:
                    faults.append("what was given is not what the chain begins with")
                reached = digest([[s.label, s.role, s.text] for s in segments])
            case "escape":
                segments = [_escaped(segment, fence) for segment in segments]
                reached = digest([[s.label, s.role, s.text] for s in segments])
            case _:
                segments = _read_rows(edited.get(str(edit.n), []))
                reached = digest([[s.label, s.role, s.text] for s in segments])
        if reached != edit.after:
            faults.append(f"edit {edit.n} ({edit.op} by {edit.by}) does not give what the record says")
    if not edits or edits[-1].op != "join":
        faults.append("the chain does not reach the messages")
    elif result is not None and result.get("edits"):
        send = msgspec.convert(result["edits"][0], Edit)
        if send.before != edits[-1].after or send.after != result.get("sent"):
            faults.append("what was sent does not begin with these messages")
    if result is not None and result.get("unaccounted"):
        faults.append("the backend sent other messages than these")
    return faults


def segments_of(data: Mapping[str, Any], body: Mapping[str, Any]) -> list[str] | None:
    """Return the text of each segment of a recorded prompt, or None if its messages are not made of them."""
    return _split(data.get("segments", ()), [ChatMessage(m["role"], m["content"]) for m in body["messages"]])


def _split(segments: Iterable[Mapping[str, Any]], messages: Sequence[ChatMessage]) -> list[str] | None:
    """Return the text of each segment, or None if they are not these messages."""
    texts: list[str] = []
    left = iter(messages)
    role, rest = "", ""
    for segment in segments:
        if segment["role"] != role:
            if rest:
                return None
            message = next(left, None)
            if message is None or message.role != segment["role"]:
                return None
            role, rest = message.role, message.content
        elif not rest.startswith("\n\n"):
            return None
        else:
            rest = rest[2:]
        texts.append(rest[: segment["chars"]])
        rest = rest[segment["chars"] :]
    return None if rest or next(left, None) is not None else texts


def _joined(pieces: Iterable[tuple[str, str]]) -> tuple[ChatMessage, ...]:
    made: list[ChatMessage] = []
    for role, text in pieces:
        if made and made[-1].role == role:
            made[-1] = ChatMessage(made[-1].role, f"{made[-1].content}\n\n{text}")
        else:
            made.append(ChatMessage(role, text))  # type: ignore[arg-type]
    return tuple(made)


def _source(segments: Iterable[Segment]) -> str:
    return digest([[s.label, s.by, s.data] for s in segments if s.by != OURS])


def _escaped(segment: Segment, fence: Callable[[str], str]) -> Segment:
    if segment.by == OURS:
        return segment
    data = fence(segment.data)
    return segment if data == segment.data else msgspec.structs.replace(segment, data=data)


def _kind(before: Sequence[Segment], after: Sequence[Segment]) -> str:
    """Return in which way a list was changed."""
    if len(after) > len(before):
        return "insert"
    if len(after) < len(before):
        return "delete"
    return "reorder" if sorted(s.hash for s in before) == sorted(s.hash for s in after) else "replace"


def _rows(segments: Iterable[Segment]) -> list[list[str]]:
    return [[s.label, s.role, s.by, s.before, s.data, s.after] for s in segments]


def _read_rows(rows: Iterable[Sequence[str]]) -> list[Segment]:
    return [
        Segment(label=label, role=role, by=by, before=before, data=data, after=after)
        for label, role, by, before, data, after in rows
    ]
