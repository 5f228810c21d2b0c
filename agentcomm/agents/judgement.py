"""What a judge says of a restatement, and how it is asked so that it can do no harm.

A judge compares what was meant with what was restated, in a fresh context and in both directions: nothing missing, nothing
added. It stands outside the core: the core asks with an event, and the verdict returns as an input.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

__all__ = ("Both", "Judge", "Judgement", "judged", "restated_points")

_POINTS = 20
"""Points that a judgement carries in each direction."""
_LONGEST = 300
"""Characters of a point."""
_NOTHING = frozenset(["", "none", "nothing", "n/a", "no", "-", "nothing is missing", "nothing missing"])
_left: set[asyncio.Task[Any]] = set()
"""Judges that did not answer in time and have not ended yet."""


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a judge says of a restatement."""

    judge: str
    """Name of the judge."""
    missing: tuple[str, ...] = ()
    """Points of the original that the restatement lacks or reverses."""
    added: tuple[str, ...] = ()
    """Points of the restatement that the original does not carry."""
    error: str = ""
    """It crashed, stalled or could not tell: no evidence in either direction."""

    @property
    def understood(self) -> bool:
        """Nothing is missing, nothing is added, and the judge could tell."""
        return not (self.missing or self.added or self.error)

    def __str__(self) -> str:
        parts = [f"missing: {'; '.join(self.missing)}"] if self.missing else []
        parts += [f"added: {'; '.join(self.added)}"] if self.added else []
        parts += [f"no verdict: {self.error}"] if self.error else []
        return f"{self.judge}: {', '.join(parts) or 'understood'}"


class Judge(Protocol):
    """Compares what was meant with what was restated."""

    @property
    def name(self) -> str:
        """How verdicts and base rates call it."""
        ...

    async def judge(self, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
        """Return a judgement.

        Args:
            meant: Content of the act, as plain data.
            restated: Content of the demonstration: goal, plan, missing, assumed.
        """
        ...


class Both:
    """Two judges: it is understood only if both say so. The second is asked only if the first found nothing.

    Args:
        first: The cheaper one.
        second: The other.
    """

    def __init__(self, first: Judge, second: Judge) -> None:
        self._judges = (first, second)

    @property
    def name(self) -> str:
        """Both names."""
        return "+".join(judge.name for judge in self._judges)

    async def judge(self, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
        """Return what both found together."""
        missing: dict[str, None] = {}
        added: dict[str, None] = {}
        errors: list[str] = []
        for judge in self._judges:
            found = await _tried(judge, meant, restated)
            missing |= dict.fromkeys(found.missing)
            added |= dict.fromkeys(found.added)
            errors += [found.error] if found.error else []
            if missing or added:
                break
        return Judgement(self.name, tuple(missing), tuple(added), "; ".join(errors))


async def judged(
    judge: Judge,
    meant: Mapping[str, Any],
    restated: Mapping[str, Any],
    timeout: float = 60.0,  # noqa: ASYNC109  (what stalls is left behind, which a cancel scope does not do)
) -> Judgement:
    """Ask a judge; never raises, and never waits longer than `timeout`.

    A judge that crashes, stalls or returns something else is a judgement with an error: no evidence. One that does not let
    itself be cancelled is left behind. Only a judge that blocks the event loop can hold it up; such work belongs in a thread.

    Args:
        judge: Who is asked.
        meant: Content of the act, as plain data.
        restated: Content of the demonstration.
        timeout: Seconds.
    """
    task = asyncio.ensure_future(_tried(judge, meant, restated))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if not done:
        _leave(task)
        return Judgement(_name(judge), error=f"no verdict within {timeout:g} s")
    if task.cancelled():
        return Judgement(_name(judge), error="it was cancelled")
    return task.result()


def _leave(task: "asyncio.Task[Judgement]") -> None:
    _left.add(task)
    task.add_done_callback(_left.discard)
    task.cancel()


async def _tried(judge: Judge, meant: Mapping[str, Any], restated: Mapping[str, Any]) -> Judgement:
    try:
        found: Any = await judge.judge(meant, restated)
        if not isinstance(found, Judgement):
            return Judgement(_name(judge), error=f"it returned {type(found).__name__}, which is no judgement")
        return Judgement(
            str(found.judge), _bounded(found.missing), _bounded(found.added), _cut(str(found.error))
        )
    except Exception as error:  # noqa: BLE001  (whatever a judge does, the conversation goes on)
        return Judgement(_name(judge), error=_cut(f"{type(error).__name__}: {error}"))


def _bounded(points: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_cut(str(point)) for point in points[:_POINTS])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _name(judge: Judge) -> str:
    try:
        return str(judge.name)
    except Exception:  # noqa: BLE001  (a judge without a name has that of its class)
        return type(judge).__name__


def restated_points(restated: Mapping[str, Any], *fields: str) -> tuple[str, ...]:
    """Return the texts under some fields of a demonstration, without those that say `none`."""
    found: list[str] = []
    for field in fields:
        value = restated.get(field)
        items = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (value,)
        found += [str(item) for item in items if item is not None]
    return tuple(text for text in found if text.strip().casefold().rstrip(".") not in _NOTHING)
