"""Replay a transcript: fold its inputs through the core again, and see whether the same comes out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from agentcomm.acts.content import Content
from agentcomm.conversation.replaying import Replay, replay_inputs
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.transcript import ERASED, Transcript
from agentcomm.errors import RecordError
from agentcomm.grounding.choice import Choice
from agentcomm.protocol.library import loads
from agentcomm.store.jsonl import read_lines

__all__ = ("read_transcript", "replay", "rules_from", "rules_of")


class _Protocol(msgspec.Struct):
    name: str
    version: str
    hash: str


class _Player(msgspec.Struct):
    agent: str
    model: str


class _Opening(msgspec.Struct):
    conversation: str
    protocol: _Protocol
    cast: dict[str, _Player]


def read_transcript(path: str | Path) -> Transcript:
    """Return the transcript in a file; its `damage` says where it is broken.

    Raises:
        StoreError: If the file cannot be read.
        RecordError: If it is no transcript at all.
    """
    transcript = Transcript.from_lines(read_lines(Path(path)), where=str(path))
    if not transcript.records:
        raise transcript.damage or RecordError(
            "the transcript is empty", where=str(path), fix="check the path"
        )
    try:
        opening = transcript.opening
        if opening is not None:
            msgspec.convert(opening.data, type=_Opening)
        for _event in transcript.events():
            pass
    except (KeyError, TypeError, ValueError) as error:  # the chain is whole, so somebody else wrote it
        raise RecordError(
            "a record is not of the form that this version writes",
            why=f"{type(error).__name__}: {error}".partition("\n")[0],
            where=str(path),
            fix="take the transcript as agentcomm wrote it",
        ) from error
    return transcript


def rules_of(transcript: Transcript, *, types: Mapping[str, type[Content]] | None = None) -> Rules:
    """Return the protocol and overlays that a transcript carries with it.

    Raises:
        RecordError: If they were erased or cut off.
        ProtocolError: If this version no longer accepts them.
    """
    opening = transcript.opening
    if opening is None:
        raise RecordError("the transcript has no opening record", fix="take an intact copy")
    return rules_from(opening.data, transcript.body(opening), types=types)


def rules_from(
    data: Mapping[str, Any], body: Any, *, types: Mapping[str, type[Content]] | None = None
) -> Rules:
    """Return the protocol and overlays in the record that opens a conversation.

    Raises:
        RecordError: If they were erased or cut off.
        ProtocolError: If this version no longer accepts them.
    """
    if body == ERASED or not isinstance(body, dict):
        raise RecordError("the protocol was erased from the transcript", fix="read its events instead")
    texts = cast("dict[str, Any]", body)
    if not isinstance(texts.get("overlays"), dict) or "protocol" not in texts:
        raise RecordError(
            "the transcript does not carry its protocol", fix="take the transcript as agentcomm wrote it"
        )
    overlays = {
        str(name): loads(str(text), path=f"{name} (in the transcript)")
        for name, text in texts["overlays"].items()
    }
    within = {str(name): str(text) for name, text in texts.get("protocols", {}).items()}
    whole = loads(str(texts["protocol"]), path="protocol (in the transcript)", types=types, protocols=within)
    choice = msgspec.convert(data["choice"], Choice) if "choice" in data else None
    return Rules(whole, overlays, choice, str(data.get("judge", "")), human=bool(data.get("human", False)))


def replay(source: str | Path | Transcript, *, types: Mapping[str, type[Content]] | None = None) -> Replay:
    """Return what a transcript gives when its inputs are folded through the core again. No model is called.

    Args:
        source: A file, or a transcript that was read.
        types: The content classes that the protocol was loaded with.

    Raises:
        StoreError: If the file cannot be read.
        RecordError: If the record is broken before its end, or an input was erased.
    """
    transcript = source if isinstance(source, Transcript) else read_transcript(source)
    if transcript.damage is not None:
        raise transcript.damage
    return replay_inputs(rules_of(transcript, types=types), transcript)
