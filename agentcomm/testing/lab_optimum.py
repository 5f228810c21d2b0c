"""The best that any way of grounding could do where the noise is known: dynamic programming over one critical contribution.

The problem: a request is understood as meant with probability 1 - p. Before the deed it can be accepted, or read back at the price
of a turn; a read-back that differs is corrected at the price of another, and the correction is understood with the same
probability. A deed on a misunderstanding costs the loss, or where what is used is compared, a late repair. Budgets are those of
the core. Source: the choice by expected cost of Paek & Horvitz, made sequential.
"""

from dataclasses import replace
from functools import cache, lru_cache
from statistics import fmean
from typing import Any

import msgspec

from agentcomm.grounding.choice import Beta, Choice
from agentcomm.grounding.choice import Costs as _Costs
from agentcomm.protocol.graph import Stakes
from agentcomm.testing.lab import Estimate, cost_of, costs_of, mean, play
from agentcomm.testing.lab_policies import Adaptive, Costs, Policy, policy_of
from agentcomm.testing.lab_row import Row
from agentcomm.testing.lab_scene import Scene, laboratory

__all__ = ("GRID", "Excess", "excess", "optimum")

GRID = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4)
"""Rates of noise that are compared."""
_REPAIRS, _IN_ALL = 2, 3
_BEFORE, _AFTER = 1.0, 1.0
"""Turns before the choice (the request), and after the deed (done)."""
_ASK_AND_ANSWER = 2.0
"""Turns of a late repair before the deed is announced again."""


def optimum(noise: float, costs: Costs, *, only: str = "") -> float:
    """Return the least expected cost of a conversation of the laboratory, in turns.

    Args:
        noise: Probability that something heard is understood otherwise.
        costs: What things cost.
        only: `accept` or `confirm` for the cost of doing always that.
    """
    turn, failed = costs.turn, costs.failed

    @cache
    def choose(doubt: float, left: int, in_all: int) -> float:
        """Return the least cost from where something was heard, with a doubt whether as it was meant."""
        accept = turn + use(doubt, _REPAIRS, in_all)
        again = failed if not left or not in_all else turn + choose(noise, left - 1, in_all - 1)
        confirm = turn + (1 - doubt) * (turn + use(0.0, _REPAIRS, in_all)) + doubt * again
        if only:
            return accept if only == "accept" else confirm
        return min(accept, confirm, failed)

    @cache
    def use(doubt: float, left: int, in_all: int) -> float:
        """Return the cost from where the deed is announced with its values."""
        if costs.late is None:
            return turn + _AFTER * turn + doubt * costs.loss
        spent = not left or not in_all
        late = failed if spent else _ASK_AND_ANSWER * turn + use(noise, left - 1, in_all - 1)
        return turn + (1 - doubt) * _AFTER * turn + doubt * late

    return _BEFORE * turn + choose(noise, _REPAIRS, _IN_ALL)


class Excess(msgspec.Struct, frozen=True):
    """What adaptive grounding costs above others, for one noise and one stakes; each in turns for a conversation."""

    noise: float
    stakes: str
    effect: str
    never: float
    always: float
    adaptive: float
    optimum: float
    over_better: Estimate
    """Above the better of never and always, on the same seeds."""
    over_optimum: Estimate
    """Above the optimum, as a share of it."""
    read_back: float
    """Share of conversations that adaptive grounding read back."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return msgspec.to_builtins(self)


def excess(
    noise: float,
    stakes: Stakes,
    *,
    is_seen: bool,
    runs: int,
    seed: int,
    calibration: int = 0,
    prior: Beta | None = None,
) -> Excess:
    """Return what adaptive grounding costs above the better of never and always, and above the optimum.

    Args:
        noise: Rate of `wrong-value`.
        stakes: What a misunderstanding costs.
        is_seen: Whether what is used is compared.
        runs: Conversations.
        seed: The same seed, the same conversations.
        calibration: Conversations that were read back before, from which the counters come; 0 is a cold start.
        prior: What is believed of a pair that has not talked yet; without it, what `Choice` believes.
    """
    scene = Scene(laboratory(), stakes, is_seen)
    costs = costs_of(stakes, is_seen=is_seen)
    rates = {"wrong-value": noise}

    never, always = (
        [cost_of(row, costs) for row in _rows(name, noise, is_seen, runs, seed)]
        for name in ("never", "always")
    )
    policy = policy_of("adaptive", scene.declared)
    if prior is not None and isinstance(policy, Adaptive):
        policy.given = replace(policy.given, choice=Choice(prior=prior))
    if calibration:
        _calibrate(scene, policy, rates, calibration, seed)
    rows, _ = play(scene, policy, rates, runs=runs, seed=seed)
    adaptive = [cost_of(row, costs) for row in rows]
    better = never if fmean(never) <= fmean(always) else always
    best = optimum(noise, costs)
    return Excess(
        noise,
        stakes.value,
        "seen" if is_seen else "outside",
        fmean(never),
        fmean(always),
        fmean(adaptive),
        best,
        mean([one - other for one, other in zip(adaptive, better, strict=True)]),
        mean([one / best - 1 for one in adaptive]),
        fmean([row.read_back > 0 for row in rows]),
    )


@lru_cache(maxsize=4)
def _rows(name: str, noise: float, is_seen: bool, runs: int, seed: int) -> tuple[Row, ...]:
    """Return what came of conversations with fixed rules: what is said does not depend on the stakes, only its cost does."""
    scene = Scene(laboratory(), Stakes.HIGH, is_seen)
    return tuple(
        play(scene, policy_of(name, scene.declared), {"wrong-value": noise}, runs=runs, seed=seed)[0]
    )


def _calibrate(scene: Scene, policy: Policy, rates: dict[str, float], runs: int, seed: int) -> None:
    """Let a policy learn from conversations in which everything was read back."""
    asks = policy_of("adaptive", scene.declared)
    if isinstance(asks, Adaptive):  # at such a price of a misunderstanding everything is read back
        dear = _Costs(late=1e12, loss=dict.fromkeys(Stakes, 1e12))
        asks.given = replace(asks.given, choice=Choice(costs=dear))
    rows: list[Row] = play(scene, asks, rates, runs=runs, seed=seed + 1)[0]
    for row in rows:
        policy.learn(row.counted)
