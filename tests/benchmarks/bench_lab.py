"""The laboratory's figures: every kind of noise with every way of grounding, clean talk, and adaptive against the optimum.

    python tests/benchmarks/bench_lab.py                    # 2,000 conversations in each cell: the better part of an hour
    python tests/benchmarks/bench_lab.py 200                # fewer
    python tests/benchmarks/bench_lab.py 5000 values       # some parts only; the others stay as they are in their files

Everything is seeded, so that the same commit gives the same figures on any machine. Each part is written when it is done, with the
commit it was made at.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agentcomm.grounding.choice import Beta
from agentcomm.protocol.graph import Stakes
from agentcomm.testing.lab import laboratory_run
from agentcomm.testing.lab_optimum import GRID, excess
from agentcomm.testing.noise import UNSEEN, Kind

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "tests/benchmarks/results"
SEED = 7
RATE = 0.2
GROUNDINGS = ("off", "acknowledge", "always", "adaptive")
CALIBRATION = 1000


def told(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def cell(kind: Kind, runs: int, *, is_seen: bool) -> list[dict]:
    told(f"{kind}, values {'seen' if is_seen else 'outside'}")
    cells = laboratory_run(
        {kind: RATE}, groundings=GROUNDINGS, is_seen=is_seen, runs=runs, seed=SEED, stakes=Stakes.HIGH
    )
    return [one.as_dict() for one in cells]


def values(runs: int) -> list[dict]:
    """Wrong values at high stakes: the first figure to reach."""
    return [*cell(Kind.WRONG_VALUE, runs, is_seen=True), *cell(Kind.WRONG_VALUE, runs, is_seen=False)]


def unseen(runs: int) -> list[dict]:
    """What comparing a read-back with what was said cannot see."""
    return [one for kind in UNSEEN for is_seen in (True, False) for one in cell(kind, runs, is_seen=is_seen)]


def others(runs: int) -> list[dict]:
    """Every other kind, where the values are used outside, so that nothing is compared at their use."""
    kinds = [kind for kind in Kind if kind not in (*UNSEEN, Kind.WRONG_VALUE)]
    return [one for kind in kinds for one in cell(kind, runs, is_seen=False)]


def clean(runs: int) -> list[dict]:
    found = []
    for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
        told(f"clean, stakes {stakes}")
        cells = laboratory_run({}, groundings=GROUNDINGS, runs=runs, seed=SEED, stakes=stakes)
        found += [one.as_dict() for one in cells]
    return found


def irreversible(runs: int) -> list[dict]:
    told("reversed paraphrases where nothing can be undone")
    cells = laboratory_run(
        {Kind.REVERSED_PARAPHRASE: RATE},
        groundings=GROUNDINGS,
        runs=runs,
        seed=SEED,
        stakes=Stakes.IRREVERSIBLE,
    )
    return [one.as_dict() for one in cells]


def grid(runs: int, calibration: int = 0) -> list[dict]:
    found = []
    for is_seen in (False, True):
        for noise in GRID:
            told(
                f"grid: noise {noise:g}, values {'seen' if is_seen else 'outside'}, calibration {calibration}"
            )
            for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
                one = excess(noise, stakes, is_seen=is_seen, runs=runs, seed=SEED, calibration=calibration)
                found.append({**one.as_dict(), "calibration": calibration})
    return found


PRIORS = ((0.8, 0.2), (1, 1), (9, 1), (95, 5), (99, 1), (999, 1))
"""Good and bad that are believed of a pair that has not talked: as `Choice` does, none, and ever more trusting."""


def priors(runs: int) -> list[dict]:
    """Adaptive against the better of never and always from a cold start, with other beliefs to begin with."""
    found = []
    for stakes in (Stakes.NORMAL, Stakes.HIGH):
        for noise in GRID:
            told(f"priors: noise {noise:g}, stakes {stakes}")
            for good, bad in PRIORS:
                one = excess(
                    noise, stakes, is_seen=False, runs=runs, seed=SEED, prior=Beta(float(good), float(bad))
                )
                found.append({**one.as_dict(), "prior": [good, bad]})
    return found


def doubts(runs: int) -> list[dict]:
    """Names that may be somebody else's, of which the hearer notices none, half or all: whether it asks, the core decides."""
    found = []
    for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
        for notices in (0.0, 0.5, 1.0):
            told(f"doubts: stakes {stakes}, noticed {notices:g}")
            cells = laboratory_run(
                {Kind.AMBIGUOUS_REFERENT: RATE},
                groundings=("never", "always", "adaptive"),
                is_seen=False,
                runs=runs,
                seed=SEED,
                stakes=stakes,
                notices=notices,
            )
            found += [{**one.as_dict(), "notices": notices} for one in cells]
    return found


PARTS: dict[str, Callable[[int], list[dict]]] = {
    "values": values,
    "clean": clean,
    "unseen": unseen,
    "irreversible": irreversible,
    "grid": grid,
    "calibrated": lambda runs: grid(runs, CALIBRATION),
    "others": others,
    "priors": priors,
    "doubts": doubts,
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for name in sys.argv[2:] or PARTS:
        since = time.process_time()
        found = PARTS[name](runs)
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        result = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {platform.system()}",
            "python": platform.python_version(),
            "commit": commit.stdout.strip(),
            "command": f"python tests/benchmarks/bench_lab.py {runs} {name}",
            "runs": runs,
            "seed": SEED,
            "cpu_seconds": round(time.process_time() - since),
            "cells": found,
        }
        path = RESULTS / f"lab-{name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        told(f"written to {path}")


if __name__ == "__main__":
    main()
