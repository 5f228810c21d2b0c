"""`agentcomm doctor`: what is there and what it can do."""

import argparse
import asyncio
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentcomm.cli.words import print_json, style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="what is there: Ollama and its models, the embedded model, the library"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=doctor)


def doctor(options: argparse.Namespace) -> int:
    """Print what is there."""
    rows = asyncio.run(_examine())
    if options.json:
        print_json([{"what": what, "ok": ok, "found": found, "fix": fix} for what, ok, found, fix in rows])
        return 0
    colour = style()
    for what, ok, found, fix in rows:
        mark = (
            colour("good", "ok  ") if ok else colour("bad", "none") if ok is False else colour("dim", "-   ")
        )
        print(f"{mark} {what:<18} {found}")
        if fix:
            print(f"{'':<5}{'':<18} fix: {fix}")
    return 0


async def _examine() -> list[tuple[str, bool | None, str, str]]:
    from agentcomm.cli.examples import example_names
    from agentcomm.models.fetch import demo_path
    from agentcomm.models.ollama import probe
    from agentcomm.protocol.library import names
    from agentcomm.version import VERSION

    rows: list[tuple[str, bool | None, str, str]] = [
        ("agentcomm", True, f"{VERSION} on Python {platform.python_version()}, {sys.platform}", "")
    ]
    status = await probe()
    if status.running:
        rows.append(("ollama", True, f"{status.version} at {status.address}", ""))
        for model in status.models:
            able = ", ".join(model.capabilities) or "capabilities unknown"
            rows.append(("  model", True, f"ollama:{model.name} ({able})", ""))
        if not status.models:
            rows.append(("  model", False, "no model is there", "ollama pull qwen3:4b"))
    else:
        rows.append(
            ("ollama", False, f"nobody answers at {status.address}", "install it and run `ollama serve`")
        )
    if find_spec("xllamacpp"):
        path = demo_path()
        found = f"xllamacpp; demo model {'at ' + str(path) if path.is_file() else 'not fetched yet (93 MB on first use)'}"
        rows.append(("embedded", True, f"{found}; it copies values but does not judge", ""))
    else:
        rows.append(("embedded", False, "xllamacpp is not installed", "pip install xllamacpp"))
    otlp = _is_installed("opentelemetry.exporter.otlp.proto.http")
    rows.append(
        (
            "otlp",
            otlp or None,
            "exporter installed" if otlp else "not installed",
            "" if otlp else "pip install opentelemetry-exporter-otlp-proto-http",
        )
    )
    rows.append(("protocols", True, ", ".join(names()), ""))
    rows.append(("examples", True, ", ".join(example_names()), ""))
    rows.append(_transcripts(Path("transcripts")))
    return rows


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


def _transcripts(folder: Path) -> tuple[str, bool | None, str, str]:
    writable = _is_writable(folder)
    fix = "" if writable else "run in another folder, or name one with --transcript"
    return "transcripts", writable, str(folder.resolve()), fix


def _is_writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
