"""`agentcomm trace verify`, `erase` and `push`: what a transcript proves, taking content out of it, sending it elsewhere."""

import argparse
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.codes import EXIT_FINDINGS
from agentcomm.cli.trace_read import add_file
from agentcomm.cli.transcripts import find
from agentcomm.cli.words import note, print_json, style

__all__ = ("add_to",)


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    verify = verbs.add_parser("verify", help="what the record proves; exit 1 if it is broken or not sealed")
    add_file(verify, count="*", what="transcripts; without one the newest in ./transcripts")
    verify.add_argument(
        "--head", default="", metavar="HASH", help="the chain's head as it is known from elsewhere"
    )
    verify.add_argument("--replay", action="store_true", help="also compute every event anew, and compare")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(call=verify_transcripts)

    erase = verbs.add_parser("erase", help="delete content from a sealed transcript; its chain stays valid")
    add_file(erase, count=None, what="a transcript, or the beginning of its name or of its conversation's id")
    what = erase.add_mutually_exclusive_group(required=True)
    what.add_argument("--records", metavar="N,N", help="the content of these records, by seq")
    what.add_argument("--all", action="store_true", help="all content")
    erase.add_argument("--why", required=True, metavar="TEXT", help="the reason, which is kept in the record")
    erase.add_argument("--json", action="store_true")
    erase.set_defaults(call=erase_content)

    push = verbs.add_parser(
        "push", help="send stored transcripts to an OTLP endpoint, with their own times and ids"
    )
    add_file(push, count="*", what="transcripts; without one the newest in ./transcripts")
    push.add_argument(
        "--to", metavar="URL", help="such as http://127.0.0.1:4318; else OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    push.add_argument(
        "--content",
        choices=("full", "hash", "none"),
        default="full",
        help="what spans show of what was said (full: you name who gets it)",
    )
    push.add_argument("--detail", choices=("turn", "steps", "full"), default="steps")
    push.add_argument("--scope", choices=("turn", "conversation"), default="turn", help="what is one trace")
    push.add_argument("--service", default="agentcomm", metavar="NAME", help="service.name of the resource")
    push.set_defaults(call=push_transcripts)


def verify_transcripts(options: argparse.Namespace) -> int:
    """Print what each transcript proves; returns 1 if one does not hold."""
    from agentcomm.conversation.audit import prove
    from agentcomm.errors import AgentcommError, UsageError
    from agentcomm.runtime.replay import replay
    from agentcomm.store.jsonl import read_lines

    paths = [find(name) for name in options.file] or [find(None)]
    if options.head and len(paths) > 1:
        raise UsageError("one head for several transcripts", fix="verify them one by one", code="U562")
    colour, rows, bad = style(), list[dict[str, Any]](), 0
    for path in paths:
        proof = prove(read_lines(path), head=options.head)
        same, difference = None, ""
        if options.replay and not proof.problem:
            try:
                played = replay(path)
                same, difference = played.same, played.first_difference
            except AgentcommError as error:
                difference = error.what
        holds = proof.holds and same is not False
        bad += not holds
        rows.append(
            {
                "file": str(path),
                **proof.as_dict(),
                "holds": holds,
                "replayed_same": same,
                "difference": difference or None,
            }
        )
        if options.json:
            continue
        print(
            f"{colour('good' if holds else 'bad', 'holds' if holds else 'does not hold')}  {printable(str(path))}"
        )
        for kind, text in _words(proof):
            print(f"  {colour(kind, text)}")
        if same is not None or difference:
            words = (
                "replayed: every event comes out as recorded" if same else f"not as replayed: {difference}"
            )
            print(f"  {colour('good' if same else 'bad', words)}")
    if options.json:
        print_json(rows)
    return EXIT_FINDINGS if bad else 0


def _words(proof: Any) -> list[tuple[str, str]]:
    """Return what was proven, and what was not."""
    found: list[tuple[str, str]] = []
    if proof.problem:
        where = f"line {proof.line}: " if proof.line else ""
        found.append(("bad", f"{where}{proof.problem}"))
        found.append(("field", f"{proof.records} records before it are as they were written"))
        return found
    found.append(("good", f"{proof.records} records: none edited, none missing between them, none put in"))
    if proof.is_sealed:
        found.append(("good", "sealed: nothing is missing at the end"))
    else:
        found.append(("bad", "not sealed: the conversation goes on, broke off, or its end was cut off"))
    if proof.level != "full":
        hashes = ", only its hashes" if proof.level == "hash" else ""
        found.append(("field", f"what was said is not kept{hashes}, as the record says"))
    elif told := len(proof.erased) - len(proof.unaccounted):
        found.append(("field", f"content erased from {told} records, as the record says"))
    if proof.unaccounted:
        listed = ", ".join(map(str, proof.unaccounted[:8]))
        found.append(("bad", f"content is gone from records {listed} without a word about it"))
    match proof.is_anchored:
        case True:
            found.append(("good", "the head given is in the chain: it was not written anew"))
        case False:
            found.append(("bad", "the head given is not in the chain: another record stands here"))
        case _:
            found.append(
                (
                    "dim",
                    "not shown: that it was not written anew as a whole; compare its head with one kept elsewhere",
                )
            )
    found.append(("dim", f"head sha256:{proof.head}"))
    return found


def erase_content(options: argparse.Namespace) -> int:
    """Rewrite a transcript without some content."""
    from agentcomm.conversation.audit import erase_lines, prove
    from agentcomm.conversation.transcript import Transcript
    from agentcomm.errors import UsageError
    from agentcomm.store.jsonl import read_lines

    path = find(options.file)
    lines = list(read_lines(path))
    if options.all:
        records = [record.seq for record in Transcript.from_lines(lines).records if record.body]
    else:
        try:
            records = [int(text) for text in options.records.split(",")]
        except ValueError as error:
            raise UsageError(
                f"{options.records!r} are no records", fix="write their seq, such as 7,8", code="U563"
            ) from error
    left = erase_lines(
        lines,
        records,
        options.why,
        now=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
        salt=lambda: secrets.token_hex(8),
    )
    _replace(path, b"".join(left))
    proof = prove(left)
    if options.json:
        print_json({"file": str(path), "erased": records, "head": proof.head, "holds": proof.holds})
    else:
        print(f"erased the content of {len(records)} records; the chain holds, head sha256:{proof.head}")
    return 0


def push_transcripts(options: argparse.Namespace) -> int:
    """Send transcripts; returns 4 if spans were lost."""
    from agentcomm.cli.codes import EXIT_OUTSIDE
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.runtime.span_push import push_transcript
    from agentcomm.tracing.setup import pushing

    paths = [find(name) for name in options.file] or [find(None)]
    tracing, tracer = pushing(
        options.to,
        content=options.content,
        detail=options.detail,
        scope=options.scope,
        service_name=options.service,
        request_seconds=_PATIENCE / 2,  # MLflow takes many for its first spans
    )
    try:
        for path in paths:
            push_transcript(read_transcript(path), tracer, tracing.submit)
    finally:
        lost = tracing.shutdown(_PATIENCE)
    shown = {
        "full": "what was said included",
        "hash": "hashes of what was said",
        "none": "without what was said",
    }
    print(f"{printable(tracing.report())}, {shown[options.content]}")
    if lost:
        note(f"an OTLP/HTTP receiver must listen at {tracing.where}; --to names another one")
    return EXIT_OUTSIDE if lost else 0


_PATIENCE = 60.0
"""Seconds that a backend has to take what is pushed."""


def _replace(path: Path, data: bytes) -> None:
    """Put a file in place of another: whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        from agentcomm.errors import StoreError

        beside.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write the transcript: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="free some space, or make the folder writable; the transcript is as it was",
        ) from error
