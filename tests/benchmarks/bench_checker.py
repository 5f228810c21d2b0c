"""How much the checker finds, and what it stands: every mutant of every shipped protocol, and documents that nobody would write.

    python tests/benchmarks/bench_checker.py [seconds of fuzzing]

A slow explorer that reads the document by itself says which mutants are defective (`tests/protocol/explorer.py`); `told` is how many
of them have an error or a warning, `alone` how many have that one defect only, and `by name` how many of these are told by a code
of that defect. The fuzzing is of `tests/protocol/fuzzer.py`, with a seed of its own each second.
"""

import json
import platform
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

PROTOCOL_TESTS = Path(__file__).parents[1] / "protocol"
sys.path.insert(0, str(PROTOCOL_TESTS))

import fuzzer  # noqa: E402
import test_mutants  # noqa: E402
from mutants import mutants  # noqa: E402


def measure_mutants() -> test_mutants.Tally:
    """Return what is told of every mutant."""
    tally = test_mutants.Tally()
    for name, document in test_mutants.LIBRARY.items():
        for mutant in mutants(name, document):
            tally.add(mutant)
    return tally


def measure_fuzz(seconds: float) -> fuzzer.Tally:
    """Return what came of documents that nobody would write."""
    tally = fuzzer.Tally()
    start = time.monotonic()
    seed = 0
    while time.monotonic() - start < seconds:
        dice = random.Random(seed)  # noqa: S311  (the same each time)
        seed += 1
        until = time.monotonic() + 1
        while time.monotonic() < until:
            tally.once(dice)
    return tally


def main() -> None:
    """Print the tables and write them down."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    told = measure_mutants()
    print(told)
    fuzzed = measure_fuzz(seconds)
    print(f"\nfuzzed for {seconds:g} s: accepted {dict(fuzzed.accepted)}, refused {dict(fuzzed.refused)}")
    print(f"slowest {fuzzed.slowest:.2f} s of the processor, wrong {len(fuzzed.wrong)}")
    for kind, why, data in fuzzed.wrong:
        print(f"--- {kind}\n{why}\n{data!r}")
    sure = {kind: told.defective[kind] for kind in test_mutants.SURE}
    rest = [kind for kind in test_mutants.CODES if kind not in test_mutants.SURE]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=PROTOCOL_TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "protocols": len(test_mutants.LIBRARY),
        "mutants": sum(told.operators[operator].total() for operator in told.operators),
        "E1xx and E2xx": {
            "defects": sum(sure.values()),
            "told": sum(told.detected[kind] for kind in sure),
        },
        "the rest": {
            "defects": sum(told.defective[kind] for kind in rest),
            "told": sum(told.detected[kind] for kind in rest),
            "alone": sum(told.alone[kind] for kind in rest),
            "by name": sum(told.named[kind] for kind in rest),
        },
        "by kind": {
            kind: {
                "defective": told.defective[kind],
                "told": told.detected[kind],
                "alone": told.alone[kind],
                "by name": told.named[kind],
            }
            for kind in test_mutants.CODES
        },
        "fuzzed, seconds": seconds,
        "fuzzed, accepted": dict(fuzzed.accepted),
        "fuzzed, refused": dict(fuzzed.refused),
        "fuzzed, slowest in seconds of the processor": round(fuzzed.slowest, 2),
        "fuzzed, wrong": len(fuzzed.wrong),
    }
    target = Path(__file__).parent / "results" / "checker.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
