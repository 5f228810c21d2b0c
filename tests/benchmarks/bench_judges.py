"""The judges of free text, each measured on the labelled pairs, and whether an answer is seen to address its question.

    python tests/benchmarks/bench_judges.py code embedding relevance      # a minute
    python tests/benchmarks/bench_judges.py demo                          # the demo model: the better part of an hour

Each part is written to results/judges.json when it is done; the others stay as they are there.
"""

import asyncio
import json
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentcomm.agents.calibration import calibrate, interval, read_pairs
from agentcomm.agents.judge_model import ModelJudge
from agentcomm.agents.judges import open_judge
from agentcomm.agents.relevance import about
from agentcomm.models.base import Capabilities, ModelReply, ModelRequest
from agentcomm.models.embedding import Embedding

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results/judges.json"
SLOW = 300.0
"""Seconds for a pair: a busy machine is no mistake of a judge."""


def told(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def share(hits: int, n: int) -> dict[str, Any]:
    low, high = interval(hits, n)
    return {
        "hits": hits,
        "n": n,
        "rate": round(hits / n, 4) if n else None,
        "interval": [round(low, 4), round(high, 4)],
    }


async def measured(judge: Any, half: str) -> dict[str, Any]:
    def progress(number: int, _pair: Any, _found: Any) -> None:
        if number % 10 == 0:
            told(f"{judge.name} {half}: {number}")

    found = await calibrate(judge, read_pairs(half=half), half=half, timeout=SLOW, told=progress)
    if hasattr(judge, "close"):
        await judge.close()
    right, passed, alarms = found.count(right=True)
    wrong, slipped, named = found.count(right=False)
    return {
        "judge": found.judge,
        "model": found.model,
        "half": half,
        "pairs": found.pairs,
        "sensitivity": share(passed, right),
        "detection": share(wrong - slipped, wrong),
        "named": share(named, wrong),
        "false_alarms": share(alarms, right),
        "no_verdict": share(right + wrong - passed - alarms - slipped - named, right + wrong),
        "edge": [round(found.edge.low, 4), round(found.edge.high, 4)],
        "is_evidence": found.is_evidence,
        "kinds": [[row.kind, row.n, row.passed, row.failed] for row in found.rows],
    }


class _Yes:
    """A model that says yes to everything."""

    name = "yes"
    provider = "none"
    capabilities = Capabilities(judges=True)

    async def reply(self, request: ModelRequest) -> ModelReply:
        offered = request.schema["properties"]["answer"]["enum"]
        answer = next(one for one in offered if one in {"said", "asked-or-follows"})
        return ModelReply(text=json.dumps({"answer": answer}), model=self.name)

    async def close(self) -> None:
        """Hold nothing."""


def relevance() -> list[dict[str, Any]]:
    """Return what is said of answers to their own question, and to each other question of the half."""
    rows = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = []
    for name, embedding in (("code", None), ("embedding", Embedding())):
        for half in ("develop", "report"):
            of = [row for row in rows if row["half"] == half]
            own = [about([row["asked"]], answer, embedding) for row in of for answer in row["answers"]]
            other = [
                about([row["asked"]], answer, embedding)
                for row in of
                for one in of
                if one is not row
                for answer in one["answers"]
            ]
            found.append({
                "judge": name,
                "model": embedding.name if embedding else "",
                "half": half,
                "false_alarms": share(own.count(False), len(own)),
                "detection": share(other.count(False), len(other)),
                "said_relevant_of_own": share(own.count(True), len(own)),
                "said_relevant_of_others": share(other.count(True), len(other)),
            })  # fmt: skip
    return found


PARTS: dict[str, Any] = {
    "code": lambda: [asyncio.run(measured(open_judge("code"), half)) for half in ("develop", "report")],
    "embedding": lambda: [
        asyncio.run(measured(open_judge("embedding"), half)) for half in ("develop", "report")
    ],
    "yes": lambda: [asyncio.run(measured(ModelJudge(_Yes()), "report"))],
    "demo": lambda: [asyncio.run(measured(open_judge("model:embedded:", measured=True), "report"))],
    "relevance": relevance,
}


def main() -> None:
    """Measure the parts that are named and write each down."""
    names = sys.argv[1:] or ["code", "embedding", "yes", "relevance"]
    for name in names:
        began = time.process_time()
        rows = PARTS[name]()
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
        )
        kept[name] = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
            "commit": commit.stdout.strip(),
            "cpu_seconds": round(time.process_time() - began),
            "rows": rows,
        }
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        told(f"{name}: written")


if __name__ == "__main__":
    main()
