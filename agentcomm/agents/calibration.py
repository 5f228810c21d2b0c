"""How good a judge is: measured on pairs whose answer is known, and kept as base rates.

What a pass is worth follows from two rates: sensitivity, P(pass | right), and detection, P(no pass | wrong). A judge that nobody
has measured is worth nothing: with both at one half, a pass changes no belief (Paek & Horvitz 2000; Bayes).
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentcomm.agents.judgement import Judge, Judgement, judged
from agentcomm.errors import InputError
from agentcomm.version import VERSION

__all__ = (
    "Calibration",
    "Edge",
    "Half",
    "Pair",
    "Rates",
    "Row",
    "at_chance",
    "believed",
    "calibrate",
    "interval",
    "is_measured",
    "keep",
    "kept",
    "rates",
    "read_pairs",
    "witnessed",
)

Half = Literal["develop", "report", "both"]
SHIPPED = Path(__file__).with_name("judge_pairs.json")
RIGHT = ("close", "far", "detailed")
"""Kinds of restatements that keep the meaning; every other kind is wrong."""
_Z = 1.96
"""Standard deviations on either side of 95 %."""


class Pair(msgspec.Struct, frozen=True):
    """What was meant, a restatement of it, and what kind of restatement that is."""

    domain: str
    half: str
    kind: str
    meant: Mapping[str, Any]
    restated: Mapping[str, Any]

    @property
    def is_right(self) -> bool:
        """Whether it keeps the meaning."""
        return self.kind in RIGHT


class Row(msgspec.Struct, frozen=True):
    """What a judge said of the pairs of one kind."""

    kind: str
    n: int
    passed: int
    failed: int
    """Points are missing or added."""

    @property
    def unsure(self) -> int:
        """No verdict."""
        return self.n - self.passed - self.failed


class Rates(msgspec.Struct, frozen=True):
    """The base rates of a judge.

    Each is the mean of its Beta distribution that began with one pass and one failure, so that no finite test makes it 0 or 1.
    """

    sensitivity: float = 0.5
    """P(pass | right)."""
    detection: float = 0.5
    """P(no pass | wrong); no verdict is no pass."""
    n: int = 0
    """Pairs; 0 where nothing is calibrated."""
    when: str = ""
    """Day and time of the calibration, UTC."""


class Edge(msgspec.Struct, frozen=True):
    """How much oftener a judge passes what is right than what is wrong, with its 95 % interval (Newcombe 1998)."""

    share: float
    low: float
    high: float


class Calibration(msgspec.Struct, frozen=True):
    """A judge measured on pairs."""

    judge: str
    model: str
    """The model behind it with its version, as far as it is known; empty for code."""
    version: str
    """Of this library."""
    pairs: str
    """Hash of the pairs, so that rates of other ones are told apart."""
    half: str
    when: str
    rows: tuple[Row, ...]

    def count(self, *, right: bool) -> tuple[int, int, int]:
        """Return how many pairs there were, and of these how many passed and failed."""
        rows = [row for row in self.rows if (row.kind in RIGHT) is right]
        return sum(row.n for row in rows), sum(row.passed for row in rows), sum(row.failed for row in rows)

    @property
    def edge(self) -> Edge:
        """What its pass says: P(pass | right) - P(pass | wrong)."""
        right, passed, _ = self.count(right=True)
        wrong, slipped, _ = self.count(right=False)
        one, other = passed / right if right else 0.0, slipped / wrong if wrong else 0.0
        (low, high), (least, most) = interval(passed, right), interval(slipped, wrong)
        below, above = math.hypot(one - low, most - other), math.hypot(high - one, other - least)
        return Edge(one - other, one - other - below, one - other + above)

    @property
    def is_evidence(self) -> bool:
        """Whether its pass is any evidence: one that passes what is wrong as often as what is right is at chance."""
        return self.edge.low > 0

    @property
    def rates(self) -> Rates:
        """The base rates."""
        right, passed, _ = self.count(right=True)
        wrong, slipped, _ = self.count(right=False)
        return Rates(
            (passed + 1) / (right + 2), (wrong - slipped + 1) / (wrong + 2), right + wrong, self.when
        )


class _Base(msgspec.Struct, frozen=True):
    domain: str
    meant: dict[str, Any]
    restated: list[dict[str, Any]]
    half: Literal["develop", "report"] = "report"


def read_pairs(path: str | Path = SHIPPED, half: Half = "report") -> tuple[Pair, ...]:
    """Return labelled pairs; those that are shipped were written in two halves, and the judges were developed on one.

    Args:
        path: A JSON file `[{"domain", "half", "meant": {...}, "restated": [{"kind", "goal", "plan"}, ...]}, ...]`.
        half: Which half.

    Raises:
        InputError: The file cannot be read or is not of that form, or there is no pair.
    """
    fix = 'write [{"domain": "...", "meant": {...}, "restated": [{"kind": "close", "goal": "...", "plan": []}]}]'
    try:
        bases = msgspec.json.decode(Path(path).read_bytes(), type=list[_Base])
        found = tuple(
            Pair(
                base.domain,
                base.half,
                str(row["kind"]),
                base.meant,
                {k: v for k, v in row.items() if k != "kind"},
            )
            for base in bases
            for row in base.restated
            if half in ("both", base.half)
        )
    except OSError as error:
        raise InputError(
            f"the pairs cannot be read: {(error.strerror or str(error)).lower()}", fix=fix, where=str(path)
        ) from error
    except KeyError:
        raise InputError("a restatement has no `kind`", fix=fix, where=str(path)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(
            "the pairs are not of their form", why=str(error), fix=fix, where=str(path)
        ) from error
    if not found:
        raise InputError("there is no pair", why=f"no pair is of the half {half!r}", fix=fix, where=str(path))
    return found


async def calibrate(
    judge: Judge,
    pairs: Sequence[Pair],
    *,
    half: str = "report",
    timeout: float = 60.0,  # noqa: ASYNC109  (of each judgement, not of the whole)
    told: Callable[[int, Pair, Judgement], None] | None = None,
) -> Calibration:
    """Measure a judge on pairs, one after the other.

    Args:
        judge: Who is measured.
        pairs: What it is measured on.
        half: Which half of the shipped pairs they are.
        timeout: Seconds for each pair.
        told: Called after each pair with its number from 1, the pair and the judgement.
    """
    counts: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs, 1):
        found = await judged(judge, pair.meant, pair.restated, timeout)
        row = counts.setdefault(pair.kind, [0, 0, 0])
        row[0] += 1
        row[1] += found.understood
        row[2] += bool(found.missing or found.added)
        if told is not None:
            told(number, pair, found)
    kinds = sorted(counts, key=lambda kind: (RIGHT.index(kind) if kind in RIGHT else len(RIGHT), kind))
    return Calibration(
        judge.name,
        str(getattr(judge, "model", "")),
        VERSION,
        _hash(pairs),
        half,
        datetime.now(UTC).isoformat(timespec="seconds"),
        tuple(Row(kind, *counts[kind]) for kind in kinds),
    )


def _hash(pairs: Sequence[Pair]) -> str:
    encoded = msgspec.json.encode(list(pairs), order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:16]


def interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    share, z = hits / n, _Z
    middle = share + z * z / (2 * n)
    width = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    whole = 1 + z * z / n
    return max(0.0, (middle - width) / whole), min(1.0, (middle + width) / whole)


def believed(prior: float, of: Rates) -> float:
    """Return how probable it is that it was understood, once the judge let it pass."""
    passed = prior * of.sensitivity
    whole = passed + (1 - prior) * (1 - of.detection)
    return passed / whole if whole else prior


def rates(judge_name: str) -> Rates:
    """Return the base rates that were measured last for a judge; without any, rates with which a pass changes nothing.

    Rates of another version of this library do not count: the judge may be another one.
    """
    path = _path(judge_name)
    try:
        found = _read(path, path.stat().st_mtime_ns)
    except OSError:
        return Rates()
    return (
        found.rates
        if found is not None and found.judge == judge_name and found.version == VERSION
        else Rates()
    )


def at_chance(judge_name: str) -> str:
    """Return why a pass of a judge is no evidence, by the calibration that is kept; an empty text if it is, or none is kept."""
    path = _path(judge_name)
    try:
        found = _read(path, path.stat().st_mtime_ns)
    except OSError:
        return ""
    if found is None or found.judge != judge_name or found.version != VERSION or found.is_evidence:
        return ""
    right, passed, _ = found.count(right=True)
    wrong, slipped, _ = found.count(right=False)
    return f"measured, it passed {passed} of {right} that were right and {slipped} of {wrong} that were wrong: that is chance"


async def witnessed(judge: Judge, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
    """Ask a judge as `judged` does, unless it was measured to be at chance: what it says is no evidence then, and it is not asked."""
    try:
        reason = at_chance(str(judge.name))
    except Exception:  # noqa: BLE001  (whatever a judge does, the conversation goes on)
        reason = ""
    if reason:
        return Judgement(str(judge.name), error=reason)
    return await judged(judge, meant, restated)


def is_measured(judge_name: str) -> bool:
    """Say whether rates of a judge are kept that count."""
    return rates(judge_name).n > 0


@cache
def _read(path: Path, _changed: int) -> Calibration | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(calibration: Calibration) -> Path:
    """Keep a calibration in the user's cache, in place of an older one of the same judge; returns where.

    Raises:
        InputError: It cannot be written.
    """
    path = _path(calibration.judge)
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=1))
        part.replace(path)
    except OSError as error:
        raise InputError(
            "the calibration cannot be kept",
            why=(error.strerror or str(error)).lower(),
            fix="make the folder writable, or print it only: --no-keep",
            where=str(path),
        ) from error
    return path


def kept() -> tuple[Calibration, ...]:
    """Return every calibration that is kept; what cannot be read is left out."""
    found = [_read(path, path.stat().st_mtime_ns) for path in sorted(_folder().glob("*.json"))]
    return tuple(calibration for calibration in found if calibration is not None)


def _path(judge: str) -> Path:
    return _folder() / f"{hashlib.sha256(judge.encode()).hexdigest()[:24]}.json"


def _folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("agentcomm") / "judges"
