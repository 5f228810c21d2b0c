"""`agentcomm judge`: how good the judges of free text are."""

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from agentcomm.cli.words import note, print_json, style

if TYPE_CHECKING:
    from agentcomm.agents.calibration import Calibration, Row

__all__ = ("add_to",)

_EVERY = 1.0
"""Seconds between two lines of progress."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("judge", help="how good the judges of free text are: calibrate, show")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    measure = verbs.add_parser(
        "calibrate", help="measure a judge on pairs whose answer is known, and keep its base rates"
    )
    measure.add_argument(
        "--judge",
        default="code",
        metavar="NAME",
        help="code, embedding, model:MODEL such as model:ollama:qwen3:4b, or two joined: code+model:MODEL",
    )
    measure.add_argument(
        "--half",
        choices=("report", "develop", "both"),
        default="report",
        help="which half of the pairs; the judges were developed on the half `develop`",
    )
    measure.add_argument("--pairs", metavar="FILE", help="pairs of your own, as JSON")
    measure.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each pair")
    measure.add_argument("--wrong", action="store_true", help="also print each pair that was judged wrongly")
    measure.add_argument("--no-keep", action="store_true", help="print only")
    measure.add_argument("--json", action="store_true")
    measure.set_defaults(call=calibrate_judge)
    show = verbs.add_parser("show", help="the base rates that are kept")
    show.add_argument("--json", action="store_true")
    show.set_defaults(call=show_rates)


def calibrate_judge(options: argparse.Namespace) -> int:
    """Measure a judge and print its rates; returns 4 if it never came to a verdict."""
    from agentcomm.agents.calibration import SHIPPED, keep, read_pairs
    from agentcomm.agents.judges import open_judge
    from agentcomm.cli.codes import EXIT_OUTSIDE
    from agentcomm.errors import UsageError

    if not options.timeout > 0:
        raise UsageError("a judge needs some time", fix="write --timeout 60")
    judge = open_judge(options.judge, measured=True)
    half = options.half if options.pairs is None else "both"
    pairs = read_pairs(options.pairs or SHIPPED, half)
    mistakes: list[str] = []
    errors: list[str] = []
    found = asyncio.run(_measure(judge, pairs, half, options.timeout, mistakes, errors))
    if len(errors) == len(pairs):
        note(f"no verdict at all: {errors[0]}")
    path = None if options.no_keep or len(errors) == len(pairs) else keep(found)
    if options.json:
        print_json(_as_data(found))
    else:
        _print(found)
        if options.wrong:
            print("\n".join(["", *mistakes]))
    if path is not None:
        note(f"kept in {path}")
    return EXIT_OUTSIDE if len(errors) == len(pairs) else 0


async def _measure(
    judge: Any,
    pairs: Any,
    half: str,
    timeout: float,  # noqa: ASYNC109
    mistakes: list[str],
    errors: list[str],
) -> "Calibration":
    from agentcomm.agents.calibration import calibrate

    last = time.monotonic()

    def told(number: int, pair: Any, found: Any) -> None:
        nonlocal last
        if found.error and not (found.missing or found.added):
            errors.append(found.error)
        if found.understood != pair.is_right:
            said = "; ".join([str(pair.restated.get("goal", "")), *map(str, pair.restated.get("plan", ()))])
            mistakes.append(f"{pair.kind} ({pair.domain}): {said}\n  {found}")
        if time.monotonic() - last >= _EVERY and number < len(pairs) and sys.stderr.isatty():
            last = time.monotonic()
            note(f"{number} of {len(pairs)} pairs")

    try:
        return await calibrate(judge, pairs, half=half, timeout=timeout, told=told)
    finally:
        if hasattr(judge, "close"):
            await judge.close()


def _print(found: "Calibration") -> None:
    from agentcomm.agents.calibration import RIGHT, interval

    colour = style()
    behind = f" ({found.model})" if found.model and found.model not in found.judge else ""
    print(f"{found.judge}{behind}, agentcomm {found.version}; pairs {found.pairs}, half {found.half}\n")
    print(
        colour(
            "dim",
            f"{'kind':<14}{'pairs':>6}{'passed':>8}{'failed':>8}{'no verdict':>12}   judged rightly, 95 %",
        )
    )
    for row in found.rows:
        good = row.passed if row.kind in RIGHT else row.n - row.passed
        low, high = interval(good, row.n)
        line = f"{row.kind:<14}{row.n:>6}{row.passed:>8}{row.failed:>8}{row.unsure:>12}   {good / row.n:.2f}"
        print(f"{line} [{low:.2f}, {high:.2f}]{'' if row.kind in RIGHT else '  (not passed)'}")
    print()
    for line in _summary(found):
        print(line)


def _summary(found: "Calibration") -> list[str]:
    from agentcomm.agents.calibration import interval

    right, passed, alarms = found.count(right=True)
    wrong, slipped, named = found.count(right=False)
    rows = (
        ("sensitivity", "P(pass | right)", passed, right),
        ("detection", "P(no pass | wrong)", wrong - slipped, wrong),
        ("named", "P(fail | wrong)", named, wrong),
        ("false alarms", "P(fail | right)", alarms, right),
    )
    lines: list[str] = []
    for name, what, hits, n in rows:
        low, high = interval(hits, n)
        share = f"{hits / n:.2f}" if n else "-"
        lines.append(f"{name:<14}{what:<20}{share:>6} [{low:.2f}, {high:.2f}]  {hits} of {n}")
    edge = found.edge
    what = "its pass is evidence" if found.is_evidence else "at chance: its pass is no evidence"
    lines.append(
        f"{'edge':<14}{'right - wrong':<20}{edge.share:>6.2f} [{edge.low:.2f}, {edge.high:.2f}]  {what}"
    )
    return lines


def show_rates(options: argparse.Namespace) -> int:
    """Print the base rates that are kept."""
    from agentcomm.agents.calibration import kept
    from agentcomm.version import VERSION

    found = kept()
    if options.json:
        print_json([_as_data(one) for one in found])
        return 0
    if not found:
        print("no judge was measured yet: that one of them is satisfied counts as no evidence")
        note("to measure one: agentcomm judge calibrate --judge code")
    for one in found:
        base = one.rates
        stale = "" if one.version == VERSION else f"; of agentcomm {one.version}, so it does not count"
        model = f" ({one.model})" if one.model and one.model not in one.judge else ""
        print(
            f"{one.judge}{model}: sensitivity {base.sensitivity:.2f}, detection {base.detection:.2f}, "
            f"{base.n} pairs, {base.when}{'' if one.is_evidence else '; at chance, so its pass is no evidence'}{stale}"
        )
    return 0


def _as_data(found: "Calibration") -> dict[str, Any]:
    from agentcomm.agents.calibration import interval

    right, passed, _ = found.count(right=True)
    wrong, slipped, _ = found.count(right=False)
    base = found.rates
    return {
        "judge": found.judge,
        "model": found.model,
        "version": found.version,
        "pairs": found.pairs,
        "half": found.half,
        "when": found.when,
        "sensitivity": {"rate": base.sensitivity, "interval": interval(passed, right), "n": right},
        "detection": {"rate": base.detection, "interval": interval(wrong - slipped, wrong), "n": wrong},
        "edge": {"difference": found.edge.share, "interval": (found.edge.low, found.edge.high)},
        "is_evidence": found.is_evidence,
        "kinds": [_row(row) for row in found.rows],
    }


def _row(row: "Row") -> dict[str, Any]:
    return {
        "kind": row.kind,
        "pairs": row.n,
        "passed": row.passed,
        "failed": row.failed,
        "no_verdict": row.unsure,
    }
