"""`agentcomm compare`: the same conversations with several models, side by side."""

import argparse
import asyncio
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.cli.codes import EXIT_OUTSIDE
from agentcomm.cli.words import note, print_json, style
from agentcomm.errors import EdgeError, UsageError

if TYPE_CHECKING:
    from agentcomm.cli.examples import Example
    from agentcomm.testing.comparing import Row, Verdict

__all__ = ("add_to",)

RUNS = 20
TEMPERATURE = 0.3
MARGIN = 0.1


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="run an example with several models: may the new one take over?",
        description="Run an example with each of several models, and print what each needed, with 95 % intervals.",
        epilog="agentcomm compare incident-handoff --models ollama:qwen3:4b,ollama:gemma3:4b --runs 40",
    )
    parser.add_argument(
        "name", metavar="EXAMPLE", help="an example, or a protocol in which every role has the model"
    )
    parser.add_argument(
        "--models",
        required=True,
        metavar="A,B,…",
        help="the one in place first; the others are judged beside it. `scripted` plays an example's replies",
    )
    parser.add_argument(
        "--runs", type=int, default=RUNS, help=f"conversations with each model (default {RUNS})"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=TEMPERATURE,
        help=f"of answers that would have none (default {TEMPERATURE}); at 0 the runs differ in their input alone",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=MARGIN,
        help=f"how much less often conversations may complete, as a share (default {MARGIN})",
    )
    parser.add_argument(
        "--input",
        type=Path,
        action="append",
        metavar="FILE",
        help="input of an example; several take turns (repeat)",
    )
    parser.add_argument(
        "--brief",
        action="append",
        default=[],
        metavar="ROLE=TEXT",
        help="what a role is told; JSON or text (repeat)",
    )
    parser.add_argument("--deadline", metavar="DURATION", help="for each conversation, such as 10m")
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one JSON object, and nothing else"
    )
    parser.set_defaults(call=compare)


def compare(options: argparse.Namespace) -> int:
    """Run, count, and say whether one may take the place of the first; returns 0 if every model could be run."""
    from agentcomm.testing.comparing import verdict

    names = [name.strip() for name in options.models.split(",") if name.strip()]
    _check(options, names)
    rows = asyncio.run(_rows(options, names))
    ran = [row for row in rows if row.error is None]
    verdicts: list[Verdict] = []
    if rows[0].error is None:
        verdicts = [verdict(row, rows[0], options.margin) for row in ran[1:]]
    if options.json:
        print_json(
            {
                "example": options.name,
                "temperature": options.temperature,
                "margin": options.margin,
                "models": [_plain(msgspec.to_builtins(row)) for row in rows],
                "verdicts": [_plain(msgspec.to_builtins(one)) for one in verdicts],
            }
        )
    else:
        _print(options, rows, verdicts)
    return 0 if len(ran) == len(rows) else EXIT_OUTSIDE


def _check(options: argparse.Namespace, names: list[str]) -> None:
    if not names:
        raise UsageError("--models names none", fix="--models ollama:qwen3:4b,embedded:", code="U540")
    if len(set(names)) < len(names):
        raise UsageError("--models names one twice", fix="name each once", code="U540")
    if options.runs < 1:
        raise UsageError(f"--runs {options.runs}: it takes at least one", fix=f"--runs {RUNS}", code="U540")
    if not 0 <= options.temperature <= 2:  # noqa: PLR2004
        raise UsageError(
            f"--temperature {options.temperature:g} is not between 0 and 2",
            fix="--temperature 0.3",
            code="U540",
        )
    if not 0 < options.margin < 1:
        raise UsageError(
            f"--margin {options.margin:g} is not a share between 0 and 1", fix="--margin 0.1", code="U540"
        )


async def _rows(options: argparse.Namespace, names: list[str]) -> "list[Row]":
    from agentcomm.cli.examples import find_example, find_protocol
    from agentcomm.cli.models import full_name
    from agentcomm.cli.run import brief_of, cast_of
    from agentcomm.models.open import open_model
    from agentcomm.protocol.library import load
    from agentcomm.testing.comparing import Metered, Row, Run, play, row_of

    example = find_example(options.name)
    protocol = load(find_protocol(options.name))
    inputs: list[Path | None] = list(options.input or [None])
    for name in names:  # a wrong name shows before the first conversation
        if full_name(name, example, "") == name:
            open_model(name)
    briefs = [brief_of(protocol, example, options.brief, source) for source in inputs]
    rows: list[Row] = []
    for name in names:
        runs: list[Run] = []
        kept: dict[str, Metered] = {}
        try:
            for number in range(options.runs):
                note(f"{name}: run {number + 1} of {options.runs}")
                give, used = _giver(name, example, options.temperature, kept)
                cast = cast_of(protocol, example, give)
                runs.append(
                    await play(
                        protocol,
                        cast,
                        used,
                        number,
                        brief=briefs[number % len(briefs)],
                        deadline=options.deadline,
                    )
                )
        except EdgeError as error:
            rows.append(msgspec.structs.replace(row_of(name, runs), error=error.as_dict()))
            note(str(error))
            continue
        finally:
            for model in kept.values():
                await model.close()
        rows.append(row_of(name, runs))
    return rows


def _giver(
    name: str, example: "Example | None", temperature: float, kept: "dict[str, Any]"
) -> "tuple[Callable[[str], Any], list[Any]]":
    """Return who gives a role its model, and the list of those given; a model stays open from run to run, a script begins anew."""
    from agentcomm.cli.models import full_name
    from agentcomm.models.open import open_model
    from agentcomm.testing.comparing import Metered

    used: list[Metered] = []

    def give(role: str) -> Metered:
        key = f"{role}:{name}" if name.startswith("scripted") else name
        model = kept.get(key)
        if model is None or name.startswith("scripted"):
            model = kept[key] = Metered(
                open_model(full_name(name, example, role), progress=note), temperature
            )
        if model not in used:
            used.append(model)
        return model

    return give, used


def _print(options: argparse.Namespace, rows: "list[Row]", verdicts: "list[Verdict]") -> None:
    from agentcomm.testing.comparing import MEASURES

    colour = style()
    ran = [row for row in rows if row.error is None]
    wide = max([16, *(len(row.model) for row in ran)]) + 2
    print(colour("act", f"{options.name}: {options.runs} conversations with each model"))
    if ran:
        print(f"{'':<16}" + "".join(f"{row.model:<{max(wide, 26)}}" for row in ran))
    for measure in MEASURES if ran else ():
        cells = "".join(f"{_cell(row, measure):<{max(wide, 26)}}" for row in ran)
        print(f"{measure:<16}{cells}".rstrip())
    for row in ran:
        print(f"\n{row.model}")
        print(f"  ended    {_counted(row.outcomes)}")
        print(f"  said by  {_counted(row.made_by)}")
        if row.acts:
            print(f"  again    {_counted(row.acts)}")
        if row.wrong:
            print(f"  wrong    {_counted(row.wrong)}")
        for cause, times in row.causes.items():
            print(f"  {times} x      {cause}")
        if row.distinct < row.runs:
            told = f"{row.distinct} of {row.runs} runs differ in what the model said; the others tell nothing new"
            print(colour("dim", f"  {told}"))
    for row in rows:
        if row.error is not None:
            print(f"\n{colour('bad', row.model)}  could not be run: {row.error['what']}")
            print(f"  fix  {row.error['fix']}")
    for one in verdicts:
        kind = {"yes": "good", "no": "bad"}.get(one.says, "dim")
        print(f"\nmay {one.model} take over?  {colour(kind, one.says)}: {one.words}")
    print(
        colour(
            "dim",
            "\nmeans of a conversation with 95 % intervals: Wilson's for completed, Student's for the others",
        )
    )


def _cell(row: "Row", measure: str) -> str:
    found = row.measures[measure]
    if measure == "completed":
        done = round(found.value * found.n)
        return f"{done}/{found.n} [{100 * found.low:.0f}, {100 * found.high:.0f}] %"
    if math.isnan(found.low):
        return f"{found.value:.4g}"
    return f"{found.value:.4g} [{max(0.0, found.low):.4g}, {found.high:.4g}]"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.items()) or "-"


def _plain(value: Any) -> Any:
    """Return a value in which what is no number is None, as JSON has none."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return value
