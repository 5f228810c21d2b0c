"""`agentcomm trace`: read transcripts."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from agentcomm.acts.content import printable
from agentcomm.cli.words import fault, print_json, style, width

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("trace", help="read a transcript: show")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="the talk turn by turn, and what stands behind it")
    show.add_argument(
        "file", metavar="FILE", nargs="?", help="a transcript; without it the newest in ./transcripts"
    )
    show.add_argument("--steps", action="store_true", help="also each model call and tool call")
    show.add_argument(
        "--prompts", action="store_true", help="also what was sent to the models, piece by piece"
    )
    show.add_argument("--json", action="store_true", help="every record with its content as one JSON list")
    show.set_defaults(call=show_transcript)


def newest() -> Path:
    """Return the newest transcript in ./transcripts.

    Raises:
        UsageError: If there is none.
    """
    from agentcomm.errors import UsageError

    found = sorted(Path("transcripts").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError(
            "there is no transcript in ./transcripts",
            fix="name one, or make one: agentcomm run incident-handoff --model scripted",
        )
    return found[-1]


def show_transcript(options: argparse.Namespace) -> int:
    """Print a transcript; returns 1 if it is damaged."""
    from agentcomm.conversation.render import View
    from agentcomm.runtime.replay import read_transcript

    path = Path(options.file) if options.file else newest()
    transcript = read_transcript(path)
    if options.json:
        print_json(
            [
                {
                    "seq": record.seq,
                    "time": record.time,
                    "kind": record.kind,
                    "type": record.type,
                    **record.data,
                    "content": transcript.body(record),
                }
                for record in transcript.records
            ]
        )
    else:
        colour = style()
        opening = transcript.opening
        names: dict[str, str] = {}
        if opening is not None:
            data = opening.data
            names = {role: player["agent"] for role, player in data["cast"].items()}
            models = sorted({_short(player["model"]) for player in data["cast"].values() if player["model"]})
            title = f"{data['protocol']['name']} {data['protocol']['version']}, {data['conversation']}"
            print(printable(f"{title}, {opening.time}"))
            print(
                colour(
                    "dim", f"models: {', '.join(models) or 'none'}; protocol {data['protocol']['hash'][:19]}…"
                )
            )
        view = View(names, style=colour, width=width())
        events = transcript.events()
        for record in transcript.records:
            if record.kind == "event":
                for line in view.feed(next(events)):
                    print(line)
            elif record.kind == "step" and (options.steps or options.prompts):
                for line in _step(record, transcript.body(record), with_prompts=options.prompts):
                    print(colour("dim", printable(line)))
        if transcript.erased:
            print(colour("dim", f"erased: the content of {len(transcript.erased)} records"))
        if transcript.damage is None:
            sealed = "sealed" if transcript.seal else "not sealed: the end may be missing"
            print(colour("dim", f"{len(transcript.records)} records, the chain is whole, {sealed}; {path}"))
    if transcript.damage is not None:
        fault(str(transcript.damage))
        return 1
    return 0


def _short(model: str) -> str:
    """Return a model's name without the folders of its file."""
    backend, _, rest = model.partition(":")
    if backend == "ollama":
        return model
    return f"{backend}:{rest.rpartition('/')[2]}" if rest else backend


def _step(record: Any, body: Any, *, with_prompts: bool) -> list[str]:
    data = record.data
    body = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    match record.type:
        case "model.request":
            offered = ", ".join(data["offered"])
            lines = [f"         asked {_short(data['model'])} (try {data['attempt']}) for {offered}"]
            return lines + (_pieces(data, body) if with_prompts else [])
        case "model.result":
            counts = (data["prompt_tokens"], data["output_tokens"])
            tokens = "" if None in counts else f", {counts[0]} tokens in and {counts[1]} out"
            return [
                f"         {_short(data['model'])}, {data['seconds']} s{tokens}: {body.get('text', 'erased')}"
            ]
        case "model.error":
            return [f"         {_short(data['model'])}: {data['code']} {body.get('what', '')}"]
        case "tool.call":
            arguments = ", ".join(f"{name}={value!r}" for name, value in body.items())
            return [f"         called {data['tool']}({arguments})"]
        case "note":
            return [f"         {data['agent']}: {body.get('text', 'erased')}"]
        case "tool.error":
            return [f"         {data['tool']} failed: {body.get('error', 'erased')}"]
        case "tool.result":
            return [f"         {data['tool']} gave {body}"]
        case _:
            return [f"         {record.type}: {data}"]


def _pieces(data: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    """Return what was sent, piece by piece under its label, and the schema the answer had to fit."""
    if "messages" not in body:
        return ["           (erased)"]
    lines: list[str] = []
    messages = iter(body["messages"])
    role, left = "", ""
    for segment in data["segments"]:
        if segment["role"] != role or not left:
            message = next(messages)
            role, left = message["role"], str(message["content"])
        text, left = left[: segment["chars"]], left[segment["chars"] :].removeprefix("\n\n")
        lines.append(f"           [{role}] {segment['label']}, {segment['chars']} characters")
        lines += [f"           | {line}" for line in text.splitlines()]
    schema = json.dumps(body.get("schema"), ensure_ascii=False)
    return [*lines, "           [schema] the answer must fit", f"           | {schema}"]
