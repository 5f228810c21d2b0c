"""`agentcomm lab`: seeded conversations with noise, with every way of grounding, and what that costs and saves."""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentcomm.cli.words import note, print_json, style
from agentcomm.errors import InputError, UsageError

if TYPE_CHECKING:
    from agentcomm.testing.lab import Cell

__all__ = ("add_to",)

EVERY = "off,acknowledge,always,declared,adaptive"
"""Ways of grounding that are compared where none are named."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "lab",
        help="measure what grounding catches and costs, in seeded conversations with noise",
        description="Hold many scripted conversations in which something is misunderstood, with every way of grounding.",
        epilog="agentcomm lab --noise wrong-value=0.2 --runs 2000 --grounding always,adaptive --stakes high",
    )
    parser.add_argument(
        "--noise",
        action="append",
        default=[],
        metavar="KIND=RATE",
        help="what goes wrong, such as wrong-value=0.2 (repeat); --kinds lists them; without it, nothing does",
    )
    parser.add_argument("--kinds", action="store_true", help="list the kinds of noise and stop")
    parser.add_argument("--runs", type=int, default=500, help="conversations for each way of grounding")
    parser.add_argument("--seed", type=int, default=7, help="the same seed, the same conversations")
    parser.add_argument(
        "--grounding",
        default=EVERY,
        metavar="NAMES",
        help="off, acknowledge, never, always, declared, adaptive, or all",
    )
    parser.add_argument(
        "--stakes",
        default="high",
        choices=["low", "normal", "high", "irreversible"],
        help="of what is critical",
    )
    parser.add_argument(
        "--outside",
        action="store_true",
        help="the values that are used pass through no act, so that the core cannot compare them",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model hears, reads back and acts, in the laboratory's own exchange; begin with few --runs",
    )
    parser.add_argument("--protocol", metavar="FILE", help="your own protocol, or one of the library")
    parser.add_argument(
        "--optimum",
        action="store_true",
        help="adaptive grounding against the best there is, over noise and stakes",
    )
    parser.add_argument(
        "--calibration",
        type=int,
        default=0,
        metavar="N",
        help="with --optimum: talks read back before, that the counters come from; 0 is a cold start",
    )
    parser.add_argument(
        "--notices",
        type=float,
        default=0.0,
        metavar="RATE",
        help="how often a hearer notices an ambiguous-referent, and doubts; whether it asks, is decided by expected cost",
    )
    parser.add_argument("--csv", type=Path, metavar="PATH", help="write every figure")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="write a drawing (SVG)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=lab)


def lab(options: argparse.Namespace) -> int:
    """Hold the conversations, and print what came of them."""
    if options.kinds:
        return _list_kinds()
    if options.optimum:
        return _compare_with_optimum(options)
    from agentcomm.testing.lab_report import as_csv, as_svg

    since = time.monotonic()
    cells = _with_model(options) if options.model else _scripted(options)
    for path, text in ((options.csv, as_csv), (options.plot, as_svg)):
        if path is not None:
            _write(path, text(cells))
    if options.json:
        print_json(
            {"seconds": round(time.monotonic() - since, 1), "cells": [cell.as_dict() for cell in cells]}
        )
    else:
        _print(cells, options)
    return 0


def _scripted(options: argparse.Namespace) -> "list[Cell]":
    from agentcomm.protocol.graph import Stakes
    from agentcomm.testing.lab import laboratory_run
    from agentcomm.testing.lab_policies import POLICIES

    return laboratory_run(
        _rates(options.noise),
        groundings=_names(options.grounding, POLICIES),
        protocol=_protocol(options.protocol),
        stakes=Stakes(options.stakes),
        is_seen=not options.outside,
        runs=options.runs,
        seed=options.seed,
        notices=_share(options.notices),
        told=lambda name: note(f"{name} …") if options.runs >= _MANY else None,
    )


def _with_model(options: argparse.Namespace) -> "list[Cell]":
    from agentcomm.models.open import open_model
    from agentcomm.protocol.graph import Stakes
    from agentcomm.testing.lab_models import GROUNDINGS, model_run

    if options.protocol is not None:
        raise UsageError(
            "--model plays the laboratory's own exchange, and no other protocol",
            fix="agentcomm compare PROTOCOL --models …, or noisy(agent) around agents of yours",
            code="U536",
        )
    given = "all" if options.grounding == EVERY else options.grounding
    return model_run(
        open_model(options.model, progress=note),
        _rates(options.noise),
        groundings=_names(given, GROUNDINGS),
        stakes=Stakes(options.stakes),
        is_seen=not options.outside,
        runs=options.runs,
        seed=options.seed,
        told=lambda name: note(f"{name} …"),
    )


def _share(given: float) -> float:
    if not 0 <= given <= 1:
        raise UsageError(f"--notices {given:g} is no probability", fix="a number from 0 to 1: --notices 0.5")
    return given


def _names(given: str, every: Iterable[str]) -> list[str]:
    return list(every) if given == "all" else [name.strip() for name in given.split(",")]


_MANY = 1000
"""Conversations from which on it is said what is going on."""


def _print(cells: "list[Cell]", options: argparse.Namespace) -> None:
    from agentcomm.testing.lab_report import as_table

    noise = ", ".join(f"{kind}={rate:g}" for kind, rate in cells[0].noise.items()) or "no noise"
    colour = style()
    print(
        colour(
            "act", f"{noise}; stakes {cells[0].stakes}; values used {cells[0].effect}; seed {options.seed}"
        )
    )
    print(as_table(cells))
    print(
        colour(
            "dim",
            f"{options.runs} conversations each; 95 % intervals: Wilson's for shares, the normal one for means;"
            " cost and net value in turns",
        )
    )
    beyond = sum(cell.beyond_bound for cell in cells)
    if beyond:
        print(colour("bad", f"{beyond} conversations were longer than their computed bound"))


def _list_kinds() -> int:
    from agentcomm.testing.noise import ABOUT

    for kind, about in ABOUT.items():
        print(f"{kind:<26}{about}")
    return 0


def _compare_with_optimum(options: argparse.Namespace) -> int:
    from agentcomm.protocol.graph import Stakes
    from agentcomm.testing.lab_optimum import GRID, excess

    found = [
        excess(
            noise,
            Stakes(stakes),
            is_seen=not options.outside,
            runs=options.runs,
            seed=options.seed,
            calibration=options.calibration,
        )
        for stakes in ("low", "normal", "high")
        for noise in GRID
    ]
    if options.json:
        print_json({"cells": [one.as_dict() for one in found]})
        return 0
    print(
        f"{'stakes':<8}{'noise':>6}{'never':>9}{'always':>9}{'adaptive':>10}{'optimum':>9}  {'above the better':<26}{'above the optimum':<28}read back"
    )
    for one in found:
        above, over = one.over_better, one.over_optimum
        print(
            f"{one.stakes:<8}{one.noise:>6g}{one.never:>9.2f}{one.always:>9.2f}{one.adaptive:>10.2f}{one.optimum:>9.2f}  "
            f"{f'{above.value:.3f} [{above.low:.3f}, {above.high:.3f}]':<26}"
            f"{f'{100 * over.value:.1f} % [{100 * over.low:.1f}, {100 * over.high:.1f}]':<28}{100 * one.read_back:.0f} %"
        )
    return 0


def _rates(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in (one for text in given for one in text.split(",")):
        name, equals, rate = entry.partition("=")
        try:
            found[name.strip()] = float(rate)
        except ValueError:
            raise UsageError(
                f"--noise {entry!r} is not KIND=RATE" if equals else f"--noise {entry!r} has no rate",
                fix="--noise wrong-value=0.2",
                code="U535",
            ) from None
    return found


def _protocol(given: str | None) -> Any:
    if given is None:
        return None
    from agentcomm.cli.examples import find_protocol
    from agentcomm.protocol.library import load

    return load(find_protocol(given))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"cannot write: {reason}", where=str(path), fix="name a file that can be written"
        ) from error
