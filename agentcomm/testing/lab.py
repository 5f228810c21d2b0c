"""The laboratory: many seeded conversations with noise, with every way of grounding, and what that costs and saves.

    found = laboratory_run({"wrong-value": 0.2}, runs=2000, seed=7)

The speakers are scripts, so that thousands of conversations take seconds; the core is the one that enacts all others. Shares have
Wilson's 95 % interval, means the normal one. Source: grounding by stakes (Clark & Brennan), experiments by injected faults.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import msgspec

from agentcomm.errors import UsageError
from agentcomm.grounding.choice import LOSS
from agentcomm.protocol.graph import Protocol, Stakes
from agentcomm.testing.choices import Dice
from agentcomm.testing.lab_policies import POLICIES, Costs, Policy, policy_of
from agentcomm.testing.lab_row import Row
from agentcomm.testing.lab_scene import Scene, laboratory
from agentcomm.testing.lab_talk import Talk
from agentcomm.testing.noise_minds import Noise, rates_of
from agentcomm.testing.walking import members_for

__all__ = (
    "MEASURES",
    "Cell",
    "Estimate",
    "cell_of",
    "cost_of",
    "costs_of",
    "laboratory_run",
    "mean",
    "play",
    "wilson",
)

_Z = 1.959963984540054
"""Of the normal distribution, for 95 %."""

MEASURES: Mapping[str, str] = {
    "undetected": "conversations in which a deed was done on a misunderstanding",
    "caught": "of those with an error put in, the share without such a deed",
    "ungrounded": "deeds done below the evidence that the stakes ask for, and not by a choice of expected cost",
    "on_trust": "deeds done below it because reading back was expected to cost more",
    "extra_turns": "turns of agents above those of the same talk without grounding and noise",
    "extra_words": "words of content above those of the same talks without grounding",
    "false_alarms": "of the comparisons of what was understood as meant, those that found a difference",
    "needless": "questions of a hearer who had understood, for each conversation",
    "repair_success": "of the repairs, those that mended",
    "loops": "conversations in which the same was said again in one repair",
    "done": "conversations that ended well",
    "cost": "expected loss plus turns, for each conversation, in turns",
    "net_value": "what that is less than without grounding, on the same seeds",
    "tokens": "tokens of prompts and answers in a conversation; of models only",
}
"""What is measured, by name."""


class Estimate(msgspec.Struct, frozen=True):
    """A share or a mean with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Trials of a share, values of a mean."""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def wilson(hits: int, trials: int) -> Estimate:
    """Return a share with Wilson's 95 % score interval."""
    if not trials:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share, spread = hits / trials, _Z * _Z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return Estimate(
        share, 0.0 if not hits else max(0.0, middle - half), 1.0 if hits == trials else middle + half, trials
    )


def mean(values: Sequence[float]) -> Estimate:
    """Return a mean with its 95 % interval by the normal distribution."""
    if not values:
        return Estimate(math.nan, math.nan, math.nan, 0)
    middle = fmean(values)
    half = _Z * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Estimate(middle, middle - half, middle + half, len(values))


class Cell(msgspec.Struct, frozen=True):
    """What came of one way of grounding under one noise."""

    grounding: str
    noise: dict[str, float]
    stakes: str
    effect: str
    """Whether the values that are used are `seen` by the core, or used `outside`."""
    runs: int
    seed: int
    measures: dict[str, Estimate]
    outcomes: dict[str, int]
    injected: dict[str, int]
    """Errors put in, by kind."""
    beyond_bound: int
    costs: list[float] = []
    """Of each conversation, in order."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the single costs, for programs."""
        made = msgspec.to_builtins(self)
        del made["costs"]
        return made


LATE = 3.0
"""Turns of a repair where a value is to be used: a question, an answer, and the deed announced again."""


def costs_of(stakes: Stakes, *, is_seen: bool) -> Costs:
    """Return what things cost at these stakes; where what is used is compared, a misunderstanding costs a late repair."""
    return Costs(loss=LOSS[stakes], late=LATE if is_seen else None)


def cost_of(row: Row, costs: Costs) -> float:
    """Return what one conversation cost: its turns, a misunderstanding acted on, or nothing done."""
    lost = costs.loss if row.wrong else 0.0
    failed = 0.0 if row.well or row.wrong else costs.failed
    return row.turns * costs.turn + lost + failed


def play(
    scene: Scene,
    policy: Policy,
    rates: Mapping[str, float],
    *,
    runs: int,
    seed: int,
    restates: float = 0.5,
    notices: float = 0.0,
) -> tuple[list[Row], dict[str, int]]:
    """Hold seeded conversations one after the other; returns what came of each, and how often each error was put in.

    The n-th conversation of a seed has the same content under every way of grounding.

    Args:
        scene: The protocol as it is played.
        policy: The way of grounding; it learns from one conversation for the next.
        rates: Kind of noise -> probability.
        runs: How many conversations.
        seed: The same seed, the same conversations.
        restates: How often a value is read back in another written form that means the same.
        notices: How often a hearer notices that a name is ambiguous, and doubts.
    """
    rows: list[Row] = []
    injected: dict[str, int] = {}
    memory: dict[str, dict[str, Any]] = {}
    for number in range(runs):
        noise = Noise(rates, Dice(f"{seed}/{number}/noise"), restates=restates, notices=notices)
        choices = Dice(f"{seed}/{number}")
        rules = policy.rules()
        members = members_for(rules.protocol, choices)
        talk = Talk(scene, rules, noise, choices, memory=memory, members=members)
        row = talk.run()
        policy.learn(row.counted)
        memory = {label: values for (_, label), values in talk.meant.items()}
        for kind, count in noise.injected.items():
            injected[kind] = injected.get(kind, 0) + count
        rows.append(row)
    return rows, injected


def laboratory_run(
    rates: Mapping[str, float],
    *,
    groundings: Iterable[str] = tuple(POLICIES),
    protocol: Protocol | None = None,
    stakes: Stakes = Stakes.HIGH,
    is_seen: bool = True,
    runs: int = 500,
    seed: int = 7,
    restates: float = 0.5,
    notices: float = 0.0,
    told: Callable[[str], None] | None = None,
) -> list[Cell]:
    """Return one cell for each way of grounding.

    Args:
        rates: Kind of noise -> probability, such as `{"wrong-value": 0.2}`.
        groundings: Names from `POLICIES`.
        protocol: Any; without it, the laboratory's own exchange.
        stakes: What a misunderstanding costs.
        is_seen: Whether the values that are used pass through an act that is compared.
        runs: Conversations in each cell.
        seed: The same seed, the same conversations.
        restates: How often a value is read back in another written form.
        notices: How often a hearer notices that a name is ambiguous, and doubts; whether it asks, the core decides.
        told: Called with the name of each way of grounding before it begins.

    Raises:
        UsageError: If there is no such noise or way of grounding, or nothing in the protocol is critical.
    """
    names = list(groundings)
    if unknown := [name for name in names if name not in POLICIES]:
        raise UsageError(
            f"{unknown[0]!r} is no way of grounding",
            why=f"there are {', '.join(POLICIES)}",
            fix="use one of these",
            code="U532",
        )
    if runs < 1:
        raise UsageError(f"{runs} conversations are none", fix="--runs 500", code="U533")
    known = {kind.value: rate for kind, rate in rates_of(rates).items()}
    scene = Scene(protocol or laboratory(), stakes, is_seen)
    _check(scene)
    costs = costs_of(stakes, is_seen=is_seen)
    bare, _ = play(scene, policy_of("off", scene.declared), {}, runs=runs, seed=seed)
    off, spoiled = play(scene, policy_of("off", scene.declared), known, runs=runs, seed=seed)
    cells: list[Cell] = []
    for name in names:
        if told is not None:
            told(name)
        rows, injected = off, spoiled
        if name != "off":
            policy = policy_of(name, scene.declared)
            rows, injected = play(
                scene, policy, known, runs=runs, seed=seed, restates=restates, notices=notices
            )
        cells.append(
            cell_of(name, rows, off, bare, costs, known, stakes, injected, seed=seed, is_seen=is_seen)
        )
    return cells


def cell_of(
    grounding: str,
    rows: Sequence[Row],
    off: Sequence[Row],
    bare: Sequence[Row],
    costs: Costs,
    noise: Mapping[str, float],
    stakes: Stakes,
    injected: Mapping[str, int],
    *,
    seed: int,
    is_seen: bool,
) -> Cell:
    """Return the figures of conversations held under one way of grounding.

    Args:
        grounding: Its name.
        rows: What came of each conversation.
        off: The same seeds without grounding, with the noise.
        bare: The same without the noise.
        costs: What things cost.
        noise: Kind -> probability.
        stakes: What a misunderstanding costs.
        injected: Errors put in, by kind.
        seed: Of the conversations.
        is_seen: Whether the values that are used are compared.
    """
    return Cell(
        grounding,
        dict(noise),
        stakes.value,
        "seen" if is_seen else "outside",
        len(rows),
        seed,
        _measured(grounding, rows, off, bare, costs),
        _counted(row.outcome for row in rows),
        dict(injected),
        sum(row.beyond > 0 for row in rows),
        [cost_of(row, costs) for row in rows],
    )


def _check(scene: Scene) -> None:
    protocol = scene.protocol
    if protocol.overlay is not None:
        raise UsageError(
            f"{protocol.name!r} is an overlay", why="it runs on top of another protocol", fix="play that one"
        )
    if not any(scene.critical(act) for act in protocol.acts.values()):
        raise UsageError(
            f"nothing in {protocol.name!r} is critical",
            why="the laboratory spoils critical fields, and sees whether that is found out",
            fix="name them in the file: propose: {content: Offer, critical: [price]}",
            code="U534",
        )


def _counted(values: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def _measured(
    name: str, rows: Sequence[Row], off: Sequence[Row], bare: Sequence[Row], costs: Costs
) -> dict[str, Estimate]:
    spoiled = [row for row in rows if row.noise]
    deeds, lacking = sum(row.deeds for row in rows), sum(row.ungrounded for row in rows)
    chosen = name == "adaptive"
    spent = [cost_of(row, costs) for row in rows]
    saved = [cost_of(one, costs) - cost for one, cost in zip(off, spent, strict=True)]
    return {
        "undetected": wilson(sum(row.wrong > 0 for row in rows), len(rows)),
        "caught": wilson(sum(row.wrong == 0 for row in spoiled), len(spoiled)),
        "ungrounded": wilson(0 if chosen else lacking, deeds),
        "on_trust": wilson(lacking if chosen else 0, deeds),
        "extra_turns": mean([float(row.turns - one.turns) for row, one in zip(rows, bare, strict=True)]),
        "extra_words": mean([float(row.words - one.words) for row, one in zip(rows, off, strict=True)]),
        "false_alarms": wilson(sum(row.alarms for row in rows), sum(row.checks_right for row in rows)),
        "needless": mean([float(row.needless) for row in rows]),
        "repair_success": wilson(sum(row.mended for row in rows), sum(row.repairs for row in rows)),
        "loops": wilson(sum(row.loops > 0 for row in rows), len(rows)),
        "done": wilson(sum(row.well for row in rows), len(rows)),
        "cost": mean(spent),
        "net_value": mean(saved),
    }
