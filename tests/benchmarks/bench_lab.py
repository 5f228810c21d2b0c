"""The laboratory's figures: every kind of noise with every way of grounding, clean talk, and adaptive against the optimum.

    python tests/benchmarks/bench_lab.py            # 2,000 conversations in each cell
    python tests/benchmarks/bench_lab.py 200        # fewer

Everything is seeded, so that the same commit gives the same figures on any machine.
"""

import json
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from agentcomm.protocol.graph import Stakes
from agentcomm.testing.lab import laboratory_run
from agentcomm.testing.lab_optimum import GRID, excess
from agentcomm.testing.noise import Kind

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = 7
RATE = 0.2
GROUNDINGS = ("off", "acknowledge", "always", "declared", "adaptive")
CALIBRATION = 500


def told(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def noises(runs: int) -> list[dict]:
    found = []
    for kind in Kind:
        for is_seen in (True, False):
            told(f"{kind}, values {'seen' if is_seen else 'outside'}")
            cells = laboratory_run(
                {kind: RATE}, groundings=GROUNDINGS, is_seen=is_seen, runs=runs, seed=SEED, stakes=Stakes.HIGH
            )
            found += [cell.as_dict() for cell in cells]
    return found


def clean(runs: int) -> list[dict]:
    found = []
    for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
        told(f"clean, stakes {stakes}")
        cells = laboratory_run({}, groundings=GROUNDINGS, runs=runs, seed=SEED, stakes=stakes)
        found += [cell.as_dict() for cell in cells]
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
    return [cell.as_dict() for cell in cells]


def every_message(runs: int) -> list[dict]:
    told("errors in hearing and in using")
    rates = {Kind.WRONG_VALUE: RATE, Kind.RIGHT_READBACK_WRONG_USE: RATE}
    cells = laboratory_run(rates, groundings=GROUNDINGS, runs=runs, seed=SEED)
    return [cell.as_dict() for cell in cells]


def grid(runs: int, calibration: int) -> list[dict]:
    found = []
    for is_seen in (False, True):
        for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
            told(
                f"grid: stakes {stakes}, values {'seen' if is_seen else 'outside'}, calibration {calibration}"
            )
            for noise in GRID:
                one = excess(noise, stakes, is_seen=is_seen, runs=runs, seed=SEED, calibration=calibration)
                found.append({**one.as_dict(), "calibration": calibration})
    return found


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    since = time.monotonic()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "runs": runs,
        "seed": SEED,
        "noise": noises(runs),
        "every message": every_message(runs),
        "clean": clean(runs),
        "irreversible": irreversible(runs),
        "grid, cold": grid(runs, 0),
        "grid, calibrated": grid(runs, CALIBRATION),
    }
    result["seconds"] = round(time.monotonic() - since)
    path = ROOT / "tests/benchmarks/results/lab.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    told(f"written to {path}")


if __name__ == "__main__":
    main()
