"""`agentcomm trace prompt`: what a model was sent, piece by piece, what was done to it on the way, and what became of its answer."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import unified_diff
from typing import Any, cast

from agentcomm.cli.trace_read import add_file
from agentcomm.cli.transcripts import find
from agentcomm.cli.words import fault, print_json, style
from agentcomm.errors import UsageError

__all__ = ("add_to",)

_MARKS = {"same": ("=", "dim"), "changed": ("~", "name"), "new": ("+", "good"), "first": (" ", "name")}
"""How a piece differs from the agent's prompt before -> its mark and colour."""


def add_to(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "prompt", help="what a model was sent, piece by piece, and what became of its answer"
    )
    add_file(parser)
    parser.add_argument("--n", type=int, metavar="N", help="the Nth model call, from 1; without it the last")
    parser.add_argument("--agent", metavar="NAME", help="only calls for this agent")
    parser.add_argument("--all", action="store_true", help="every model call")
    parser.add_argument(
        "--changes", action="store_true", help="only pieces that are not as in the agent's prompt before"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(call=show_prompts)


def show_prompts(options: argparse.Namespace) -> int:
    """Print prompts; returns 1 if a chain does not close."""
    from agentcomm.runtime.replay import read_transcript

    path = find(options.file)
    transcript = read_transcript(path)
    calls = calls_of(
        (record.type, record.data, transcript.body(record))
        for record in transcript.records
        if record.kind == "step"
    )
    if options.agent:
        known = {call["request"]["agent"] for call in calls}
        calls = [call for call in calls if call["request"]["agent"] == options.agent]
        if not calls:
            raise UsageError(
                f"no model was asked for {options.agent!r}",
                why=f"there are {', '.join(sorted(known)) or 'none'}",
                fix="agentcomm trace prompt --all",
            )
    if not calls:
        raise UsageError(
            "no model was asked in this conversation",
            where=str(path),
            fix="agentcomm trace show shows what was said",
        )
    chosen: list[dict[str, Any]] = calls if options.all else calls[-1:]
    if options.n is not None:
        if not 1 <= options.n <= len(calls):
            raise UsageError(
                f"there is no model call {options.n}", why=f"there are {len(calls)}", fix=f"--n {len(calls)}"
            )
        chosen = [calls[options.n - 1]]
    if options.json:
        print_json(chosen)
    else:
        colour = style()
        for call in chosen:
            for kind, line in lines_of(call, only_changes=options.changes):
                print(colour(kind, line))
            print()
    faults = [f"call {call['n']}: {text}" for call in chosen for text in call["faults"]]
    for text in faults:
        fault(text)
    return 1 if faults else 0


def calls_of(steps: Iterable[tuple[str, dict[str, Any], Any]]) -> list[dict[str, Any]]:
    """Return each model call of a transcript with its segments, how they differ from the agent's prompt before, and its answer.

    Args:
        steps: Type, data and content of each step record, in order.
    """
    from agentcomm.agents.fence import fenced
    from agentcomm.agents.provenance import segments_of, verified

    calls: list[dict[str, Any]] = []
    before: dict[str, list[dict[str, Any]]] = {}
    open_: dict[str, dict[str, Any]] = {}
    for kind, data, body in steps:
        agent = str(data.get("agent", ""))
        if kind == "model.request":
            content = _map(body)
            has_text = "messages" in content
            texts = segments_of(data, content) if has_text else None
            segments = [
                {**s, "text": text} for s, text in zip(data.get("segments", ()), texts or (), strict=False)
            ]
            call: dict[str, Any] = {
                "n": len(calls) + 1,
                "request": data,
                "schema": content.get("schema"),
                "segments": _compared(segments, before.get(agent)),
                "gone": _gone(segments, before.get(agent)),
                "answer": None,
                "body": content,
                "faults": [],
            }
            calls.append(call)
            open_[agent] = call
            before[agent] = segments
        elif agent in open_ and kind in ("model.result", "model.error"):
            open_[agent]["answer"] = {**data, "content": body}
        elif agent in open_ and kind == "model.output":
            open_[agent]["output"] = {**data, "content": body}
    for call in calls:
        content = call.pop("body")
        if "messages" in content and "edits" in call["request"]:
            answer = call["answer"] if call["answer"] and "sent" in call["answer"] else None
            call["faults"] = verified(call["request"], content, answer, fenced)
    return calls


def _keyed(segments: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, int], Mapping[str, Any]]:
    """Return segments by label, role and place among those of that label: examples and results come several times."""
    counts: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for segment in segments:
        key = segment["label"], segment["role"]
        counts[key] = counts.get(key, 0) + 1
        found[*key, counts[key]] = segment
    return found


def _compared(segments: list[dict[str, Any]], before: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if before is None:
        return [{**s, "change": "first"} for s in segments]
    old = _keyed(before)
    found: list[dict[str, Any]] = []
    for key, segment in _keyed(segments).items():
        was = old.get(key)
        change = "new" if was is None else "same" if was["hash"] == segment["hash"] else "changed"
        found.append(
            {
                **segment,
                "change": change,
                **({"was": was["text"]} if was is not None and change == "changed" else {}),
            }
        )
    return found


def _gone(segments: list[dict[str, Any]], before: list[dict[str, Any]] | None) -> list[str]:
    now = _keyed(segments)
    return [
        f"{key[0]} ({len(str(s['text']))} characters)"
        for key, s in _keyed(before or ()).items()
        if key not in now
    ]


def lines_of(call: Mapping[str, Any], *, only_changes: bool) -> list[tuple[str, str]]:
    """Return a model call as lines, each with the kind of its colour."""
    request = call["request"]
    pieces = request["segments"]
    asked = ", ".join(request["offered"]) or "its thoughts"
    lines = [
        (
            "act",
            f"call {call['n']}: {request['agent']} asks {request['model']}, try {request['attempt']}, for {asked}",
        ),
        (
            "dim",
            f"  {sum(s['chars'] for s in pieces)} characters in {len(pieces)} pieces, window {request['num_ctx']} tokens",
        ),
    ]
    if not call["segments"]:
        lines.append(("bad", "  (the content was erased)"))
    for segment in call["segments"]:
        if not only_changes or segment["change"] != "same":
            lines += _piece(segment)
    lines += [("bad", f"  - gone: {name}") for name in call["gone"]]
    return [*lines, *_chain(call, only_changes=only_changes), *_answer(call)]


def _piece(segment: Mapping[str, Any]) -> list[tuple[str, str]]:
    change = segment["change"]
    mark, kind = _MARKS[change]
    told = "" if change == "first" else f", {change}"
    head = f"  {mark} [{segment['role']}] {segment['label']}, by {segment['by']}, {segment['chars']} characters{told}"
    if change == "same":
        return [(kind, head)]
    if change == "changed":
        return [
            (kind, head),
            *(("field", f"    {line}") for line in _difference(segment["was"], segment["text"])),
        ]
    return [(kind, head), *(("field", f"    | {line}") for line in str(segment["text"]).splitlines())]


def _chain(call: Mapping[str, Any], *, only_changes: bool) -> list[tuple[str, str]]:
    request: dict[str, Any] = call["request"]
    answer: dict[str, Any] = call["answer"] or {}
    lines = [("act", "  what was done to it")]
    for edit in (*request.get("edits", ()), *answer.get("edits", ())):
        lines += [
            (
                "field",
                f"    {edit['n']}. {edit['op']} by {edit['by']}, {edit['chars']:+} characters: {edit['why']}",
            ),
            ("dim", f"       {_short(edit['in'])} -> {_short(edit['out'])}"),
        ]
    if call["faults"]:
        lines += [("bad", f"    {text}") for text in call["faults"]]
    else:
        reach = (
            " at the bytes sent"
            if answer.get("edits")
            else " at the messages; the backend does not tell what it sent"
        )
        lines.append(("good", f"    the chain closes{reach}"))
    lines += [
        ("field", f"  left out: {', '.join(request.get('left_out', ())) or 'nothing'}"),
        ("field", f"  classifiers: {_labels(request)}"),
        ("field", f"  kept in: {', '.join(request.get('stored', ())) or 'nothing'}"),
    ]
    if call["schema"] is not None and not only_changes:
        lines.append(("dim", f"  the answer must fit {json.dumps(call['schema'], ensure_ascii=False)}"))
    return lines


def _answer(call: Mapping[str, Any]) -> list[tuple[str, str]]:
    answer = call["answer"]
    if answer is None:
        return [("bad", "  no answer came")]
    content = _map(answer["content"])
    if "code" in answer:
        return [("bad", f"  no answer: {answer['code']} {content.get('what', '')}")]
    counts = answer["prompt_tokens"], answer["output_tokens"]
    tokens = "" if None in counts else f", {counts[0]} tokens in and {counts[1]} out"
    waited = f" after {answer['waited']} s in the queue" if answer.get("waited") else ""
    window = f", window {answer['num_ctx']}" if answer.get("num_ctx") else ""
    told = f"{answer['done_reason']}, {answer['seconds']} s{waited}{tokens}{window}"
    lines = [("act", f"  the answer ({told})")]
    lines += [("dim", f"    thought: {line}") for line in str(content.get("thinking", "")).splitlines()]
    lines += [("field", f"    | {line}") for line in str(content.get("text", "(erased)")).splitlines()]
    if drawn := content.get("logprobs"):
        lines.append(("dim", f"    the log-probabilities of {len(drawn)} tokens are kept"))
    if (output := call.get("output")) is not None:
        lines += [
            (
                "field",
                f"    {edit['n']}. {edit['op']} by {edit['by']}, {edit['chars']:+} characters: {edit['why']}",
            )
            for edit in output["edits"]
        ]
        reason = _map(output["content"]).get("reason", "")
        if output["delivered"]:
            lines.append(("good", f"    delivered as {_short(output['delivered'])}"))
        else:
            lines.append(("bad", f"    not delivered: {reason or '(erased)'}"))
    return [
        *lines,
        ("field", f"  classifiers: {_labels(answer)}"),
        ("field", f"  kept in: {', '.join(answer.get('stored', ())) or 'nothing'}"),
    ]


def _map(value: Any) -> dict[str, Any]:
    """Return the content of a record; nothing where it was erased."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _labels(data: Mapping[str, Any]) -> str:
    found = data.get("classifiers", ())
    return ", ".join(f"{c['by']} says {c['label'] or 'nothing'}" for c in found) or "none ran"


def _short(hash_: str) -> str:
    return hash_[:19] + "…"


def _difference(was: str, now: str) -> list[str]:
    lines = list(unified_diff(was.splitlines(), now.splitlines(), lineterm="", n=1))
    return [line for line in lines[2:] if not line.startswith("@@")]
