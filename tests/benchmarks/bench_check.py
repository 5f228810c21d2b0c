"""The checks: what they cost on graphs of 1,000 to 100,000 states, and how that grows.

    python tests/benchmarks/bench_check.py [most states | documents]

Seconds are of the processor. Each is taken once in a process of its own, as `agentcomm check` does it, the least of several
processes: in one that does the same again and again, small tables stay in the processor's cache and in memory that is at hand, and
big ones do not. Every figure is a ratio to a bare walk over the arcs of the same graph, timed in the same process, and `pace` says
how fast the machine was just then: seconds to count to a million. A document may have 20,000 states; bigger tables are made in memory.
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


def once(work: Callable[[], object]) -> float:
    """Return the seconds that something takes the first time."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def graph_once(shape: str, size: int) -> dict[str, float]:
    """Return what a graph costs in this process; another has been walked and checked before, so that everything is loaded."""
    checked(SHAPES[shape](60))
    protocol = SHAPES[shape](size)
    arcs = Arcs.of(protocol)
    walk = once(lambda: breadth_first(arcs.targets, arcs.start))
    found: list[Report] = []
    check = once(lambda: found.append(checked(protocol)))
    moves = sum(len(state.moves) for state in protocol.states.values())
    return {"moves": moves, "findings": len(found[0].found), "walk": walk, "check": check}


def document_once(name: str, size: int) -> dict[str, float]:
    """Return what a document costs in this process, from its tree on; a small one has been checked before."""
    made = draft(read(DOCUMENTS[name](60)))
    assert made is not None
    check_graph(Draft(made.protocol, Report()), distributed=True)
    source = read(DOCUMENTS[name](size))
    drafts: list[Draft | None] = []
    compiled = once(lambda: drafts.append(draft(source)))
    made = drafts[0]
    if made is None or source.report.found:
        raise ValueError("the document is to have no finding")
    checks = once(lambda: check_graph(Draft(made.protocol, Report()), distributed=True))
    return {
        "states": len(made.protocol.states),
        "moves": sum(len(state.moves) for state in made.protocol.states.values()),
        "compile": compiled,
        "check, distributed": checks,
        "both": compiled + checks,
    }


def least(what: str, name: str, size: int, rounds: int) -> dict[str, float]:
    """Return the least of each cost in several processes."""
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, __file__, what, name, str(size)], check=True, capture_output=True, text=True
        )
        rows.append(json.loads(done.stdout))
    return {key: min(row[key] for row in rows) for key in rows[0]}


def measure(most: int) -> dict[str, dict[int, dict[str, float]]]:
    """Return, by shape and size, seconds by what was measured."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for shape, make in SHAPES.items():
        found[shape] = {}
        for size in SIZES:
            if size > most:
                continue
            protocol = make(size)
            found[shape][size] = {
                **least("graph", shape, size, 3 if size > 20_000 else 7),
                "project": best(lambda protocol=protocol: project(protocol, "judge"), 1)
                if size in (1_000, 10_000)
                else 0.0,
                "bound": best(lambda protocol=protocol: Protocol._bound.func(protocol), 1),
            }
    return found


def measure_text(name: str) -> dict[str, float]:
    """Return what a document of 10,000 states costs, by step, and how that grew; `command` is a whole process."""
    written = DOCUMENTS[name](10_000)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "big.yaml"
        file.write_text(written, encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [Path(sys.executable).with_name("agentcomm"), "check", file], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    small, big = (least("document", name, size, rounds) for size, rounds in ((1_000, 15), (10_000, 9)))
    return {
        "pace": pace(),
        **big,
        "read": best(lambda: read(written), 5),
        "command": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        **{
            f"{what}, ten times the states": big[what] / small[what]
            for what in ("compile", "check, distributed", "both")
        },
    }


def times(sizes: dict[int, dict[str, float]], size: int, what: str) -> str:
    """Return how many times what a tenth of the states cost these cost."""
    before = sizes.get(size // 10)
    return f"{sizes[size][what] / before[what]:.1f}x" if before else ""


def main() -> None:
    """Print the table and write it down."""
    if len(sys.argv) == 4:
        do = {"graph": graph_once, "document": document_once}[sys.argv[1]]
        print(json.dumps(do(sys.argv[2], int(sys.argv[3]))))
        return
    costs = {name: measure_text(name) for name in DOCUMENTS}
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
