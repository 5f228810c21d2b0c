"""The checks: what they cost on graphs of 1,000 to 100,000 states, and how that grows.

    python tests/benchmarks/bench_check.py [most states | documents]

Seconds are of the processor, best of several; every figure is a ratio to a bare walk over the arcs of the same graph, timed in
the same run, and `pace` says how fast the machine was just then: seconds to count to a million. A document may have 20,000 states;
bigger tables are made in memory. The walk grows as well: what no longer fits the processor's cache costs more a state.
"""

import gc
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from big_protocols import DOCUMENTS, SHAPES

from agentcomm.protocol.arcs import Arcs, breadth_first
from agentcomm.protocol.check import check_graph
from agentcomm.protocol.compile import draft
from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.project import project
from agentcomm.protocol.source import read

SIZES = (1_000, 2_000, 10_000, 20_000, 100_000)


def best(work: Callable[[], object], rounds: int) -> float:
    """Return seconds: the best of some rounds, so that what else runs does not count."""
    found: list[float] = []
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def pace() -> float:
    """Return how fast the machine is: seconds to count to a million."""

    def count() -> None:
        for _ in range(1_000_000):
            pass

    return best(count, 9)


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
            rounds = 4 if size > 20_000 else 7
            arcs = Arcs.of(protocol)
            found[shape][size] = {
                "moves": sum(len(state.moves) for state in protocol.states.values()),
                "findings": len(checked(protocol).found),
                "walk": best(lambda arcs=arcs: breadth_first(arcs.targets, arcs.start), rounds),
                "check": best(lambda protocol=protocol: checked(protocol), rounds),
                "project": best(lambda protocol=protocol: project(protocol, "judge"), 1)
                if size in (1_000, 10_000)
                else 0.0,
                "bound": best(lambda protocol=protocol: Protocol._bound.func(protocol), 1),
            }
    return found


def measure_text(written: str) -> dict[str, float]:
    """Return what a document costs, by step; `command` is a whole process."""
    source = read(written)
    made = draft(source)
    if made is None or source.report.found:
        raise ValueError("the document is to have no finding")

    def graph(*, distributed: bool) -> None:
        check_graph(Draft(made.protocol, Report()), distributed=distributed)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "big.yaml"
        file.write_text(written, encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [Path(sys.executable).with_name("agentcomm"), "check", file], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "pace": pace(),
        "states": len(made.protocol.states),
        "moves": sum(len(state.moves) for state in made.protocol.states.values()),
        "read": best(lambda: read(written), 5),
        "compile": best(lambda: draft(source), 7),
        "check": best(lambda: graph(distributed=False), 7),
        "check, distributed": best(lambda: graph(distributed=True), 7),
        "command": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def times(sizes: dict[int, dict[str, float]], size: int, what: str) -> str:
    """Return how many times what a tenth of the states cost these cost."""
    before = sizes.get(size // 10)
    return f"{sizes[size][what] / before[what]:.1f}x" if before else ""


def main() -> None:
    """Print the table and write it down."""
    costs = {name: measure_text(make(10_000)) for name, make in DOCUMENTS.items()}
    for name, cost in costs.items():
        print(f"{name}: {', '.join(f'{what} {value:.3g}' for what, value in cost.items())}")
    documents = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
        **{name: {what: round(value, 4) for what, value in cost.items()} for name, cost in costs.items()},
    }
    target = Path(__file__).parent / "results" / "check.json"
    if sys.argv[1:] == ["documents"]:
        kept = json.loads(target.read_text(encoding="utf-8"))
        target.write_text(
            json.dumps(kept | {"documents, seconds": documents}, indent=2) + "\n", encoding="utf-8"
        )
        return
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    found = measure(most)
    print(
        f"{'shape':<28}{'states':>9}{'moves':>9}{'findings':>9}{'check':>10}{'x walk':>9}{'10 x':>7}{'walk 10 x':>10}{'bound':>9}{'project':>9}"
    )
    for shape, sizes in found.items():
        for size, row in sizes.items():
            print(
                f"{shape:<28}{size:>9}{row['moves']:>9}{row['findings']:>9}{row['check'] * 1e3:>7.0f} ms"
                f"{row['check'] / row['walk']:>9.1f}{times(sizes, size, 'check'):>7}{times(sizes, size, 'walk'):>9}"
                f"{row['bound'] * 1e3:>6.0f} ms{row['project'] * 1e3:>6.0f} ms"
            )
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
        "load": os.getloadavg()[0],
        "documents, seconds": documents,
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
        **{
            f"{what}, ten times the states": {
                shape: {
                    str(size): round(sizes[size][what] / sizes[size // 10][what], 1)
                    for size in sizes
                    if size // 10 in sizes
                }
                for shape, sizes in found.items()
            }
            for what in ("check", "walk")
        },
    }
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
