"""`agentcomm run`: let a conversation happen, and watch it."""

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from agentcomm.cli.codes import EXIT_ENDED, EXIT_STOPPED
from agentcomm.cli.words import note, print_json, style, width
from agentcomm.errors import ModelUnavailable, UsageError

__all__ = ("add_to",)

MODEL_VARIABLE = "AGENTCOMM_MODEL"
BETTER = "ollama:qwen3:4b"
"""A model that judges, in the hint for those who ran the demo model."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="enact an example or a protocol, with the live view",
        description="Enact an example or a protocol, with the live view.",
        epilog="agentcomm run incident-handoff --input /var/log/nginx/error.log --model ollama:qwen3:4b",
    )
    parser.add_argument(
        "name", metavar="EXAMPLE|FILE", help="an example, a protocol of the library, or a file"
    )
    parser.add_argument(
        "--model", help="ollama:NAME, embedded:, embedded:/path.gguf, or scripted (an example's replies)"
    )
    parser.add_argument(
        "--cast",
        action="append",
        default=[],
        metavar="ROLE=MODEL",
        help="another model for one role (repeat)",
    )
    parser.add_argument(
        "--brief",
        action="append",
        default=[],
        metavar="ROLE=TEXT",
        help="what a role is told; JSON or text (repeat)",
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="your own input for an example")
    parser.add_argument("--deadline", metavar="DURATION", help="for the whole conversation, such as 10m")
    parser.add_argument(
        "--transcript", type=Path, metavar="PATH", help="file or folder; default ./transcripts/"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object, and nothing else"
    )
    parser.add_argument(
        "--trace",
        metavar="URL",
        help="send spans, what was said included, to this OTLP/HTTP endpoint, such as http://127.0.0.1:4318",
    )
    parser.set_defaults(call=run)


def run(options: argparse.Namespace) -> int:
    """Enact, show, and say how it ended; returns 0 if it ended well."""
    from agentcomm.cli.examples import find_example, find_protocol
    from agentcomm.protocol.library import load

    example = find_example(options.name)
    protocol = load(find_protocol(options.name))
    if protocol.overlay is not None:
        raise UsageError(
            f"{protocol.name!r} is an overlay: it runs on top of a protocol, not alone",
            fix=f"look at it with: agentcomm show _overlays/{protocol.name}",
        )
    model = _Models(options, protocol.roles, example)
    brief: dict[str, Any] = _pairs(options.brief, "--brief", protocol.roles)
    if example is not None:
        module = example.module()
        cast = module.cast(model)
        if options.input is not None and model.is_scripted:
            raise UsageError(
                "--input needs a model that reads it",
                why="the scripted replies belong to the example's own input",
                fix=f"agentcomm run {example.name} --input {options.input} --model embedded:",
            )
        brief = {**module.brief(options.input), **brief}
    else:
        if options.input is not None:
            raise UsageError("--input is for examples", fix="tell a role with --brief role=…")
        from agentcomm.agents.agent import Agent

        cast = {role: Agent(role, model=model(role)) for role in protocol.roles}
    path = _transcript(options.transcript, example.name if example else protocol.name)
    if not options.json:
        _head(options.name, protocol, model)
    return asyncio.run(_enact(options, protocol, cast, brief, path))


async def _enact(
    options: argparse.Namespace, protocol: Any, cast: Mapping[str, Any], brief: Any, path: Path
) -> int:
    from agentcomm.conversation.render import View
    from agentcomm.errors import AgentcommError
    from agentcomm.runtime.enact import enact

    names = {role: agent.name for role, agent in cast.items()}
    view = View(names, style=style(), width=width())
    tracing = None
    if options.trace:
        from agentcomm.tracing.setup import setup

        tracing = setup(options.trace, content="full")
        note(f"spans go to {options.trace}, with what was said")

    def watch(event: Any) -> None:
        for line in view.feed(event):
            print(line, flush=True)

    try:
        result = await enact(
            protocol,
            cast=cast,
            brief=brief,
            deadline=options.deadline,
            transcript=path,
            watch=(lambda _event: None) if options.json else watch,
            note=note,
        )
    except asyncio.CancelledError:
        _say_where(path, "stopped; ")
        return EXIT_STOPPED
    except AgentcommError:
        _say_where(path)
        raise
    finally:
        for agent in cast.values():
            await agent.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.shutdown)
            note(tracing.report())
    if options.json:
        print_json(result.as_dict())
    else:
        print(style()("dim", f"transcript {path}"))
    return 0 if result.outcome_class in {"success", "partial"} else EXIT_ENDED


def _say_where(path: Path, before: str = "") -> None:
    if path.exists():
        note(f"{before}the transcript so far: {path}")


def _head(name: str, protocol: Any, model: "_Models") -> None:
    colour = style()
    print(
        colour("act", f"{protocol.name} {protocol.version}")
        + f": at most {protocol.bound} messages. {protocol.about}"
    )
    for text in model.described():
        print(colour("dim", text))
    if model.is_demo:
        print(colour("dim", "  it copies values but does not judge, so code judges; for a model that does:"))
        print(colour("dim", f"  agentcomm run {name} --model {BETTER}"))


class _Models:
    """Finds the model of each role that needs one: what was asked for, else what is there."""

    def __init__(self, options: argparse.Namespace, roles: tuple[str, ...], example: Any) -> None:
        self._own: dict[str, str] = _pairs(options.cast, "--cast", roles, parse=False)
        self._default: str = options.model or os.environ.get(MODEL_VARIABLE, "")
        self._example = example
        self.chosen: dict[str, str] = {}

    def __call__(self, role: str) -> str:
        """Return the model's string for a role."""
        from agentcomm.models.open import open_model

        if role not in self._own and not self._default:
            self._default = asyncio.run(_available())
        model = self._own.get(role, self._default)
        if model in {"scripted", "scripted:"}:
            if self._example is None or not self._example.replies.is_file():
                raise UsageError(
                    "there are no scripted replies here",
                    why="they belong to an example",
                    fix="agentcomm run incident-handoff --model scripted, or --model scripted:PATH#KEY",
                )
            model = f"scripted:{self._example.replies}#{role}"
        open_model(model)  # a wrong name shows before anything is said
        self.chosen[role] = model
        return model

    @property
    def is_scripted(self) -> bool:
        """Whether any role has recorded replies."""
        return any(model.startswith("scripted:") for model in self.chosen.values())

    @property
    def is_demo(self) -> bool:
        """Whether any role has the demo model."""
        return "embedded:" in self.chosen.values()

    def described(self) -> list[str]:
        """Return one line for each model, with the roles it plays."""
        by_model: dict[str, list[str]] = {}
        for role, model in self.chosen.items():
            if model == "embedded:":
                text = "embedded: the demo model SmolLM2-135M-Instruct"
            elif model.startswith("scripted:"):
                text = "none: the replies are recorded"
            else:
                text = model
            by_model.setdefault(text, []).append(role)
        return [f"model of {', '.join(roles)}: {model}" for model, roles in by_model.items()]


async def _available() -> str:
    """Return a model of a running Ollama, else the embedded one."""
    from importlib.util import find_spec

    from agentcomm.models.ollama import probe

    status = await probe()
    chat = [m.name for m in status.models if not m.capabilities or "completion" in m.capabilities]
    if status.running and chat:
        note(f"Ollama answers at {status.address}; its model {chat[0]} is used (choose with --model)")
        return f"ollama:{chat[0]}"
    why = "Ollama has no chat model" if status.running else f"no Ollama answers at {status.address}"
    if find_spec("xllamacpp"):
        note(f"{why}, so the embedded demo model is used")
        return "embedded:"
    raise ModelUnavailable(
        f"there is no model to run: {why}, and the embedded one is not installed",
        fix="pip install 'agentcomm[embedded]'; or start Ollama and `ollama pull qwen3:4b`; or use --model scripted",
    )


def _pairs(given: list[str], option: str, roles: tuple[str, ...], *, parse: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in given:
        role, equals, value = entry.partition("=")
        if not equals or role not in roles:
            raise UsageError(
                f"{option} {entry!r} is not ROLE=…",
                why=f"the roles are {', '.join(roles)}",
                fix=f"{option} {roles[0]}=…",
            )
        if parse and value[:1] in "{[":
            try:
                found[role] = json.loads(value)
                continue
            except ValueError as error:
                raise UsageError(
                    f"{option} {role}: not JSON: {error}", fix="quote it for your shell"
                ) from None
        found[role] = value
    return found


def _transcript(given: Path | None, name: str) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    if given is None:
        return Path("transcripts") / f"{name}-{stamp}.jsonl"
    return given / f"{name}-{stamp}.jsonl" if given.is_dir() or given.suffix == "" else given
