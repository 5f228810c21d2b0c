"""The checks: what they cost on graphs of 1,000, 10,000 and 100,000 states, and how that grows.

    python tests/benchmarks/bench_check.py [most states]

Every figure is a ratio to a bare walk over the arcs of the same graph, timed in the same run, best of several.
"""

import gc
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from big_protocols import SHAPES

from agentcomm.protocol.arcs import Arcs, breadth_first
from agentcomm.protocol.check import check_graph
from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.project import project

SIZES = (1_000, 10_000, 100_000)


def best(work: Callable[[], object], rounds: int) -> float:
    """Return seconds: the best of some rounds, so that what else runs does not count."""
    found: list[float] = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def checked(protocol: Protocol) -> Report:
    """Return what the checks say of a protocol."""
    report = Report()
    check_graph(Draft(protocol, report))
    return report


def measure(most: int) -> dict[str, dict[int, dict[str, float]]]:
    """Return, by shape and size, seconds by what was measured."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for shape, make in SHAPES.items():
        found[shape] = {}
        for size in SIZES:
            if size > most:
                continue
            protocol = make(size)
            rounds = 3 if size > 10_000 else 7
            arcs = Arcs.of(protocol)
            found[shape][size] = {
                "moves": sum(len(state.moves) for state in protocol.states.values()),
                "findings": len(checked(protocol).found),
                "walk": best(lambda arcs=arcs: breadth_first(arcs.targets, arcs.start), rounds),
                "check": best(lambda protocol=protocol: checked(protocol), rounds),
                "project": best(lambda protocol=protocol: project(protocol, "judge"), 1)
                if size <= 10_000
                else 0.0,
                "bound": best(lambda protocol=protocol: Protocol._bound.func(protocol), 1),
            }
    return found


def main() -> None:
    """Print the table and write it down."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    found = measure(most)
    print(
        f"{'shape':<28}{'states':>9}{'moves':>9}{'findings':>9}{'check':>10}{'x walk':>9}{'10 x':>7}{'bound':>9}{'project':>9}"
    )
    for shape, sizes in found.items():
        before = None
        for size, row in sizes.items():
            growth = f"{row['check'] / before:6.1f}x" if before else ""
            print(
                f"{shape:<28}{size:>9}{row['moves']:>9}{row['findings']:>9}{row['check'] * 1e3:>7.0f} ms"
                f"{row['check'] / row['walk']:>9.1f}{growth:>7}{row['bound'] * 1e3:>6.0f} ms{row['project'] * 1e3:>6.0f} ms"
            )
            before = row["check"]
    if most < SIZES[-1]:
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "seconds": {
            shape: {
                str(size): {what: round(cost, 4) for what, cost in row.items()} for size, row in sizes.items()
            }
            for shape, sizes in found.items()
        },
        "check, times a bare walk": {
            shape: {str(size): round(row["check"] / row["walk"], 1) for size, row in sizes.items()}
            for shape, sizes in found.items()
        },
        "check, ten times the states": {
            shape: [round(sizes[b]["check"] / sizes[a]["check"], 1) for a, b in pairwise(SIZES)]
            for shape, sizes in found.items()
        },
    }
    target = Path(__file__).parent / "results" / "check.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
