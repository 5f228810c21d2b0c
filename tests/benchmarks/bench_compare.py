"""Comparing values: what a comparison of plain values costs, beside the bare `==` of the same values, and a restatement beside it.

    python tests/benchmarks/bench_compare.py

Every figure is a ratio to `==`, timed in the same run, best of several. With `--module NAME` another `is_same` is timed.
"""

import argparse
import importlib
import timeit
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from agentcomm.acts.content import FieldType, Money

ROUNDS = 7
TIMES = 50_000
PAIRS = {
    "int": (FieldType("int"), 4711, int("4711")),
    "number": (FieldType("number"), 0.25, float("0.25")),
    "id": (FieldType("id"), "db-1", " db-1"[1:]),
    "text": (FieldType("text"), "disk is full", " disk is full"[1:]),
    "text in another case": (FieldType("text"), "Disk is full", "disk is full"),
    "money": (FieldType("money"), Money(Decimal(110), "EUR"), Money(Decimal("110.00"), "EUR")),
    "moment": (FieldType("datetime"), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    "duration": (FieldType("duration"), timedelta(minutes=1), timedelta(seconds=60)),
    "choice": (FieldType("choice", choices=("low", "high")), "low", " low"[1:]),
    "list of 5 ids": (FieldType("list", item=FieldType("id")), list("abcde"), list("abcde")),
}


def best(function, times=TIMES):
    """Return microseconds of one call, best of several rounds."""
    return min(timeit.repeat(function, number=times, repeat=ROUNDS)) / times * 1e6


def main():
    """Print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--module", default="agentcomm.grounding.same")
    is_same = importlib.import_module(options.parse_args().module).is_same
    print(f"{'value':24}{'==':>9}{'is_same':>9}   ratio")
    for name, (kind, one, other) in PAIRS.items():
        bare, full = (
            best(lambda a=one, b=other: a == b),
            best(lambda k=kind, a=one, b=other: is_same(k, a, b)),
        )
        print(f"{name:24}{bare:9.3f}{full:9.3f}{full / bare:8.1f}")


if __name__ == "__main__":
    main()
