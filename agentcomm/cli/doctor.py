"""`agentcomm doctor`: what is there and what it can do."""

import argparse
import asyncio
import os
import platform
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from agentcomm.cli.words import note, print_json, style
from agentcomm.errors import EdgeError
from agentcomm.models.known import Measured, keep, recall

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="what is there: servers and their models, the embedded model, the library; what a model can do",
        description="Show what is there, and what each model was measured to be able to do.",
        epilog="agentcomm doctor --measure ollama:qwen3:4b",
    )
    parser.add_argument(
        "--measure",
        nargs="*",
        metavar="MODEL",
        help="ask these models some twenty short questions and keep what they can do; all that are found, if none is named",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=doctor)


class _Row(msgspec.Struct, kw_only=True):
    """One thing that was looked for."""

    what: str
    ok: bool | None
    """None where it is not needed."""
    found: str
    fix: str = ""
    model: str = ""
    """The model's string, if it is one that can chat."""
    digest: str = ""
    place: str = ""
    measured: Measured | None = None
    is_stale: bool = False


def doctor(options: argparse.Namespace) -> int:
    """Print what is there."""
    rows = asyncio.run(_examine(options.measure))
    if options.json:
        print_json([_as_dict(row) for row in rows])
        return 0
    colour = style()
    for row in rows:
        mark = {True: colour("good", "ok  "), False: colour("bad", "none"), None: colour("dim", "-   ")}[
            row.ok
        ]
        print(f"{mark} {row.what:<18} {row.found}")
        for line in _ability(row):
            print(colour("dim", f"{'':<24}{line}"))
        if row.fix:
            print(f"{'':<5}{'':<18} fix: {row.fix}")
    return 0


def _as_dict(row: _Row) -> dict[str, Any]:
    found = {"what": row.what, "ok": row.ok, "found": row.found, "fix": row.fix}
    if row.model:
        measured = msgspec.to_builtins(row.measured) if row.measured is not None else None
        found |= {"model": row.model, "measured": measured, "stale": row.is_stale}
    return found


def _ability(row: _Row) -> list[str]:
    """Return what a model was measured to be able to do, in words."""
    if not row.model:
        return []
    found = row.measured
    if found is None:
        return [f"not measured: agentcomm doctor --measure {shlex.quote(row.model)}"]
    lines = [
        "; ".join(f"{name} {right} of {tried}" for name, (right, tried) in found.counts.items()),
        _abilities(found),
        *found.notes,
    ]
    when = f"measured {found.at[:10]}"
    if row.is_stale:
        again = shlex.quote(row.model)
        when += f", when it was another model of this name: agentcomm doctor --measure {again}"
    return [when, *lines]


def _abilities(found: Measured) -> str:
    able = found.capabilities
    says = [
        "judges" if able.judges else able.note or "does not judge",
        "keeps to a schema"
        if able.follows_schema
        else "does not keep to a schema: every answer is checked, and asked again",
    ]
    if able.thinks is not None:
        with_schema = " also with a schema" if able.thinks_with_schema else " only without a schema"
        says.append(f"thinks{with_schema}" if able.thinks else "does not think")
    if able.tools is not None:
        says.append("has tools in its template" if able.tools else "has no tools in its template")
    says.append("log-probabilities" if able.logprobs else "no log-probabilities")
    says += [f"window {able.window}"] if able.window else []
    says += [f"{found.seconds:g} s a short answer"] if found.seconds is not None else []
    says += [f"{found.rate:g} tokens/s"] if found.rate is not None else []
    return "; ".join(says)


async def _examine(wanted: list[str] | None) -> list[_Row]:
    from agentcomm.cli.examples import example_names
    from agentcomm.protocol.library import names
    from agentcomm.version import VERSION

    rows = [
        _Row(
            what="agentcomm",
            ok=True,
            found=f"{VERSION} on Python {platform.python_version()}, {sys.platform}",
        ),
        *await _ollama(),
        *await _others(),
        *_embedded(),
    ]
    if wanted is not None:
        await _measure(rows, wanted)
    for row in rows:
        if row.model and row.measured is None:
            row.measured = recall(row.model, row.place)
        row.is_stale = row.measured is not None and row.digest not in ("", row.measured.digest)
    rows += [
        _Row(what="protocols", ok=True, found=f"{len(names())} in the library: `agentcomm protocols`"),
        _Row(what="examples", ok=True, found=", ".join(example_names())),
        _transcripts(Path("transcripts")),
    ]
    return rows


async def _ollama() -> list[_Row]:
    from agentcomm.models.ollama import probe

    status = await probe()
    if not status.running:
        found = f"nobody answers at {status.address}"
        return [_Row(what="ollama", ok=False, found=found, fix="install it and run `ollama serve`")]
    rows = [_Row(what="ollama", ok=True, found=f"{status.version} at {status.address}")]
    for model in status.models:
        able = ", ".join(model.capabilities) or "capabilities unknown"
        can_chat = not model.capabilities or "completion" in model.capabilities
        name = f"ollama:{model.name}"
        rows.append(
            _Row(
                what="  model",
                ok=True,
                found=f"{name} ({able})",
                model=name if can_chat else "",
                digest=model.digest,
                place=os.environ.get("OLLAMA_HOST", ""),
            )
        )
    if not status.models:
        rows.append(_Row(what="  model", ok=False, found="no model is there", fix="ollama pull qwen3:4b"))
    return rows


async def _others() -> list[_Row]:
    """Look where servers with OpenAI's routes usually listen."""
    from agentcomm.models.openai import ADDRESS_VARIABLE, ADDRESSES, served_at

    named = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/")
    places = {**ADDRESSES, **({ADDRESS_VARIABLE: named} if named else {})}
    answers = await asyncio.gather(*(served_at(address) for address in places.values()))
    rows: list[_Row] = []
    for (who, address), models in zip(places.items(), answers, strict=True):
        if models is None:
            continue
        rows.append(_Row(what="openai", ok=True, found=f"a server answers at {address}, usual for {who}"))
        for model in models:
            name = f"openai:{model.name}@{address}"
            rows.append(
                _Row(what="  model", ok=True, found=name, model=name, digest=model.name, place=address)
            )
    if not rows:
        where = ", ".join(f"{address} ({who})" for who, address in places.items())
        rows.append(_Row(what="openai", ok=None, found=f"no compatible server at {where}"))
    return rows


def _embedded() -> list[_Row]:
    from agentcomm.models.fetch import demo_path

    if not find_spec("xllamacpp"):
        return [
            _Row(what="embedded", ok=False, found="xllamacpp is not installed", fix="pip install xllamacpp")
        ]
    path = demo_path()
    where = f"at {path}" if path.is_file() else "not fetched yet (93 MB on first use)"
    found = f"xllamacpp; demo model {where}; it copies values but does not judge"
    return [_Row(what="embedded", ok=True, found=found, model="embedded:")]


async def _measure(rows: list[_Row], wanted: list[str]) -> None:
    """Measure models, and keep what was found."""
    from agentcomm.models.measure import measure
    from agentcomm.models.open import open_model

    names = wanted or [row.model for row in rows if row.model]
    models = {
        name: open_model(name, progress=note) for name in names
    }  # a wrong name shows before the first is asked
    for name, model in models.items():
        row = next((row for row in rows if row.model == name), None)
        if row is None:
            row = _Row(what="model", ok=True, found=name, model=name)
            rows.append(row)
        row.place = getattr(model, "place", "")
        try:
            row.measured = await measure(model, note)
        except EdgeError as error:
            row.ok, row.found, row.fix = False, f"{name}: {error.what}", error.fix
            continue
        finally:
            await model.close()
        if not keep(row.measured, row.place):
            note(f"what {name} can do could not be kept: the cache cannot be written")


def _transcripts(folder: Path) -> _Row:
    writable = _is_writable(folder)
    fix = "" if writable else "run in another folder, or name one with --transcript"
    return _Row(what="transcripts", ok=writable, found=str(folder.resolve()), fix=fix)


def _is_writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
