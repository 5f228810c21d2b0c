"""The same conversations with one model and with another: may the new one take over?

Each run is a whole conversation. Runs differ in the seed given to the model, at a temperature above zero, and in the input where
there are several; so an interval says how far the next run may be from those that were seen, and nothing about other tasks.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import msgspec
from msgspec.structs import replace

from agentcomm.conversation.events import Event, Heard, Refused, TroubleFound
from agentcomm.errors import EdgeError, ModelBroken
from agentcomm.models.base import Capabilities, Model, ModelReply, ModelRequest
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.casting import Cast
from agentcomm.runtime.enact import enact
from agentcomm.testing.lab import Estimate, wilson

__all__ = ("MEASURES", "Metered", "Row", "Run", "Verdict", "play", "row_of", "verdict")

MEASURES = {
    "completed": "share that ended well, no honest exit forced by used-up tries",
    "refused": "messages that were refused, in a conversation",
    "asked again": "answers of the model that did not count and were asked for again, refused messages among them",
    "forced exits": "turns in which the tries were used up",
    "repairs": "repairs",
    "calls": "calls of the model",
    "tokens read": "tokens of prompts",
    "tokens written": "tokens of answers, those cut off not counted",
    "seconds": "seconds of the model, waiting in the queue not counted",
}
"""What is measured of a conversation; but for the first, all are means."""

SEEDS = 1000
"""Between the seeds of two runs, so that tries of one never meet those of another."""

_POINTS = (
    "12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145 2.131 "
    "2.120 2.110 2.101 2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048 2.045 2.042"
)
_T = tuple(map(float, _POINTS.split()))
"""97.5 % points of Student's distribution, from one degree of freedom on."""
_Z = 1.959964
_TAIL = 1.21
"""By how much Student's point is above the normal one, times the degrees of freedom, for many of them."""
_EXACT = 1e-12


class Metered:
    """A model that counts what passes, and takes another seed in every run.

    Args:
        model: Whoever answers.
        temperature: Of answers that would have none; 0 leaves them as they are.
    """

    def __init__(self, model: Model, temperature: float) -> None:
        self._model = model
        self._temperature = temperature
        self.run = 0
        self.replies: list[ModelReply] = []
        self.errors: list[EdgeError] = []

    @property
    def name(self) -> str:
        """That of the model."""
        return self._model.name

    @property
    def provider(self) -> str:
        """That of the model."""
        return self._model.provider

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model."""
        return self._model.capabilities

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Return the model's answer.

        Raises:
            EdgeError: Whatever the model raises.
        """
        asked = replace(
            request,
            seed=request.seed + self.run * SEEDS,
            temperature=request.temperature or self._temperature,
        )
        try:
            reply = await self._model.reply(asked)
        except EdgeError as error:
            self.errors.append(error)
            raise
        self.replies.append(reply)
        return reply

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    def begin(self, run: int) -> None:
        """Count anew."""
        self.run, self.replies, self.errors = run, [], []


class Run(msgspec.Struct, frozen=True):
    """What one conversation came to."""

    outcome: str
    kind: str
    """The outcome's class."""
    cause: str
    refused: int
    again: int
    forced: int
    repairs: int
    calls: int
    read: int
    written: int
    seconds: float
    wrong: Mapping[str, int] = {}
    """Field -> how often its value was not understood as meant."""
    acts: Mapping[str, int] = {}
    """Act -> how often an answer with it was asked for again; what could not be read is `unreadable`."""
    made_by: Mapping[str, int] = {}
    """model, handler or rule -> messages."""
    said: int = 0
    """Hash of everything that was said, to see whether runs differ."""

    @property
    def completed(self) -> bool:
        """Whether it ended well, and by itself."""
        return self.kind in {"success", "partial"} and not self.forced


class Row(msgspec.Struct, frozen=True):
    """All runs with one model."""

    model: str
    runs: int
    measures: dict[str, Estimate]
    outcomes: dict[str, int]
    causes: dict[str, int]
    """Why those did not end well that did not, and how often."""
    wrong: dict[str, int]
    acts: dict[str, int]
    made_by: dict[str, int]
    distinct: int
    """Runs in which not the same was said as in another."""
    error: dict[str, str] | None = None
    """Why it could not be run."""


class Verdict(msgspec.Struct, frozen=True):
    """What may be said of a model beside another."""

    model: str
    baseline: str
    difference: Estimate
    """In the share of completed conversations; below 0 where the model is worse."""
    says: str
    """`yes`, `no` or `not known`."""
    words: str


async def play(
    protocol: Protocol,
    cast: Cast,
    models: Sequence[Metered],
    run: int,
    *,
    brief: Mapping[str, Any],
    deadline: str | float | None = None,
    note: Callable[[str], None] | None = None,
) -> Run:
    """Let one conversation happen, and return what it came to; a model that fails ends it, and that is counted.

    Args:
        protocol: The protocol.
        cast: Role -> who plays it, with `models` in it.
        models: What the cast asks.
        run: Number of the run.
        brief: Role -> what it is told.
        deadline: For the whole conversation.
        note: Told what takes long.

    Raises:
        EdgeError: A model was not there before anybody had answered: there is nothing to measure.
    """
    for model in models:
        model.begin(run)
    events: list[Event] = []
    outcome, kind, cause, repairs = "aborted", "aborted", "", 0
    try:
        result = await enact(
            protocol, cast=cast, brief=brief, deadline=deadline, watch=events.append, note=note
        )
        outcome, kind, cause, repairs = result.outcome, result.outcome_class, result.cause, result.repairs
        if result.errors:
            cause = "; ".join(f"{error.what} ({error.code})" for error in result.errors)
    except EdgeError as error:
        cause = f"{error.what} ({error.code})"
    errors = [error for model in models for error in model.errors]
    if errors and not any(model.replies for model in models) and not isinstance(errors[0], ModelBroken):
        raise errors[0]
    refused = [event for event in events if isinstance(event, Refused)]
    wrong = Counter(
        item.field for event in events if isinstance(event, TroubleFound) for item in event.differs
    )
    heard = [event.message for event in events if isinstance(event, Heard)]
    replies = [reply for model in models for reply in model.replies]
    return Run(
        outcome=outcome,
        kind=kind,
        cause=cause,
        refused=sum(event.code != "unreadable" for event in refused),
        again=sum(event.left > 0 for event in refused),
        forced=sum(not event.left for event in refused),
        repairs=repairs,
        calls=len(replies) + sum(len(model.errors) for model in models),
        read=sum(reply.prompt_tokens or 0 for reply in replies),
        written=sum(reply.output_tokens or 0 for reply in replies),
        seconds=sum(reply.seconds for reply in replies),
        wrong=dict(wrong),
        acts=dict(Counter(event.act or "unreadable" for event in refused if event.left > 0)),
        made_by=dict(Counter(message.made_by or "other" for message in heard)),
        said=hash(tuple(reply.text for reply in replies)),
    )


def row_of(model: str, runs: Sequence[Run]) -> Row:
    """Return the figures of all runs with one model."""
    counts: dict[str, list[float]] = {
        "refused": [run.refused for run in runs],
        "asked again": [run.again for run in runs],
        "forced exits": [run.forced for run in runs],
        "repairs": [run.repairs for run in runs],
        "calls": [run.calls for run in runs],
        "tokens read": [run.read for run in runs],
        "tokens written": [run.written for run in runs],
        "seconds": [run.seconds for run in runs],
    }
    completed = wilson(sum(run.completed for run in runs), len(runs))
    failed = Counter(f"{run.outcome}: {run.cause}" for run in runs if not run.completed)
    return Row(
        model=model,
        runs=len(runs),
        measures={"completed": completed, **{name: student(values) for name, values in counts.items()}},
        outcomes=dict(Counter(run.outcome for run in runs).most_common()),
        causes=dict(failed.most_common(5)),
        wrong=_sum(run.wrong for run in runs),
        acts=_sum(run.acts for run in runs),
        made_by=_sum(run.made_by for run in runs),
        distinct=len({run.said for run in runs}),
    )


def _sum(maps: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in maps:
        total.update(one)
    return dict(total.most_common())


def student(values: Sequence[float]) -> Estimate:
    """Return a mean with its 95 % interval by Student's distribution; without an interval for fewer than two values."""
    n = len(values)
    if not n:
        return Estimate(math.nan, math.nan, math.nan, 0)
    middle = fmean(values)
    if n == 1:
        return Estimate(middle, math.nan, math.nan, 1)
    half = (_T[n - 2] if n - 2 < len(_T) else _Z * (1 + _TAIL / (n - 1))) * stdev(values) / math.sqrt(n)
    return Estimate(middle, middle - half, middle + half, n)


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Return how much larger the first share is, with its 95 % interval (Newcombe 1998, method 10)."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, low, high, min(one.n, other.n))


def verdict(row: Row, baseline: Row, margin: float) -> Verdict:
    """Say whether a model may take the place of another.

    Args:
        row: The model.
        baseline: The one in place.
        margin: How much less often conversations may complete; a share.
    """
    found = difference(row.measures["completed"], baseline.measures["completed"])
    worst, best = -100 * found.low, 100 * found.high
    if found.low >= -margin - _EXACT:
        says = "yes"
        how = f"at most {worst:.0f} points less often than" if worst > 0 else "no less often than"
        words = f"it completes {how} {baseline.model} (95 %)"
    elif found.high < 0:
        says = "no"
        words = f"it completes at least {-best:.0f} points less often than {baseline.model} (95 %)"
    else:
        says = "not known"
        words = (
            f"with {found.n} runs each it may complete up to {worst:.0f} points less often than {baseline.model}; "
            f"{margin * 100:.0f} are allowed"
        )
        if needed := _needed(row, baseline, margin):
            words += f"; if it goes on like this, {needed} runs will tell"
        else:
            words += "; if it goes on like this, no number of runs will show that it may"
    return Verdict(row.model, baseline.model, found, says, words)


def _needed(row: Row, baseline: Row, margin: float) -> int:
    """Return how many runs each would show that the margin is kept if the shares stay as they are; 0 if none would."""
    one, other = row.measures["completed"].value, baseline.measures["completed"].value
    if one - other <= -margin:
        return 0
    n = max(row.runs, 2)
    while n < 100_000:  # noqa: PLR2004 - further than anybody will run
        n += max(1, n // 10)
        if difference(wilson(round(one * n), n), wilson(round(other * n), n)).low >= -margin - _EXACT:
            return n
    return 0
