"""The laboratory with a model as the hearer: real agents, held together by `enact`, with the same noise and the same measures.

    rows = await play_with(model, scene, policy_of("always", scene.declared), {"wrong-value": 0.2}, runs=20, seed=7)

The asker is code, so it is known what was meant. The doer is an agent with the model: it reads back what it understood, and says with
which values it acts; that it agrees and that it is done, code says. What it hears is spoilt before it is asked, as `noisy` does it. A
difference that the model makes by itself is an error like another: how many there are without noise is what `--noise` with nothing
shows. Whether a difference that was found is a false alarm cannot be known of a model, so none are counted.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.agent import Agent
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.conversation.events import Counted, Heard, Moved, Refused, RepairClosed, RepairOpened
from agentcomm.errors import UsageError
from agentcomm.models.base import Model
from agentcomm.protocol.graph import Stakes
from agentcomm.runtime.enact import enact
from agentcomm.runtime.result import Result
from agentcomm.testing.choices import Dice
from agentcomm.testing.contents import content_of
from agentcomm.testing.lab import Cell, cell_of, costs_of, mean
from agentcomm.testing.lab_policies import Policy, policy_of
from agentcomm.testing.lab_row import Row
from agentcomm.testing.lab_scene import Scene, laboratory
from agentcomm.testing.noise_agents import around
from agentcomm.testing.noise_minds import Kind, Noise, rates_of
from agentcomm.testing.noise_values import plain_content

__all__ = ("GROUNDINGS", "model_run", "play_with")

GROUNDINGS = ("off", "never", "always", "declared", "adaptive")
"""Ways of grounding that need no word the agents do not know."""

_EXAMPLE = (
    {
        "item": "lamp-4", "amount": "20 mg", "price": "85 EUR", "at": "2025-07-14T10:00:00Z", "wait": "5m", "express": False,
        "sites": ["a1", "b2"],
    },
)  # fmt: skip


async def play_with(
    model: Model, scene: Scene, policy: Policy, rates: Mapping[str, float], *, runs: int, seed: int
) -> tuple[list[Row], dict[str, int], list[float]]:
    """Hold seeded conversations one after the other.

    Args:
        model: The hearer's.
        scene: The laboratory's own exchange.
        policy: The way of grounding; it learns from one conversation for the next.
        rates: Kind of noise -> probability.
        runs: How many conversations.
        seed: The same seed, the same content and noise; a model has chances of its own.

    Returns:
        What came of each, how often each error was put in, and the tokens of each.
    """
    rows: list[Row] = []
    injected: dict[str, int] = {}
    tokens: list[float] = []
    for number in range(runs):
        noise = Noise(rates, Dice(f"{seed}/{number}/noise"))
        rules = policy.rules()
        request = rules.protocol.acts["request"]
        meant = plain_content(request, content_of(request.fields, _Plain(f"{seed}/{number}")))
        cast = {"asker": _asker(meant), "doer": around(_doer(model), noise)}
        result = await enact(rules.protocol, cast=cast, choice=rules.choice)
        row = _row(result, scene, meant)
        row.noise = sum(
            count for kind, count in noise.injected.items() if kind is not Kind.OVER_EAGER_CLARIFIER
        )
        policy.learn(row.counted)
        rows.append(row)
        for kind, count in noise.injected.items():
            injected[kind] = injected.get(kind, 0) + count
        steps = [record.data for record in result.transcript.records if record.type == "model.result"]
        tokens.append(float(sum((s["prompt_tokens"] or 0) + (s["output_tokens"] or 0) for s in steps)))
    return rows, injected, tokens


class _Plain(Dice):
    """Choices in whose texts nothing has to be quoted: what is measured is understanding, not the writing of escapes."""

    def text(self, shortest: int, longest: int, /) -> str:
        """Return a text with so many characters."""
        return "".join(
            self.choices("bcdfghjk23456789", k=self.integer(max(1, shortest), max(1, min(longest, 8))))
        )


def _asker(meant: Mapping[str, Any]) -> Agent:
    asker = Agent("asker")
    asker.opens(lambda turn: turn.say("request", **meant))
    return asker


def _doer(model: Model) -> Agent:
    doer = Agent("doer", model=model, examples={"perform": [(one, one) for one in _EXAMPLE]})

    @doer.on("request", state="asked")
    def agree(turn: Turn) -> Message:
        return turn.say("agree")

    @doer.on("request", state="agreed")
    async def perform(turn: Turn) -> Message | Unspoken:
        heard = to_plain(turn.content)
        fields = turn.conversation.protocol.acts["perform"].fields
        return await turn.fill("perform", facts={name: heard[name] for name in fields if name in heard})

    @doer.on("offer", overlay="repair")
    async def confirm(turn: Turn) -> Message | Unspoken:
        return await turn.fill() if turn.judges else turn.say("confirm")

    @doer.on("request", state="performed")
    def done(turn: Turn) -> Message:
        return turn.say("done")

    return doer


def _row(result: Result, scene: Scene, meant: Mapping[str, Any]) -> Row:
    """Count what came of a conversation from its record."""
    row = Row()
    said: dict[str, Message] = {}
    asked: set[tuple[str, str, str]] = set()
    for event in result.transcript.events():
        match event:
            case Heard(message=message):
                said[message.id] = message
                row.turns += message.made_by != "rule"
                content = to_plain(message.content)
                row.words += 1 + len(str(content).split())
                if message.act == "readback":
                    row.read_back += 1
                if event.overlay and message.act not in ("right", "confirm"):
                    signature = (message.about, message.act, repr(content))
                    row.loops += signature in asked
                    asked.add(signature)
            case Moved(act="perform", message=id_) if id_ in said:
                row.deeds += 1
                used = to_plain(said[id_].content)
                row.wrong += any(used.get(name) != meant.get(name) for name in used)
                item = result.ground.item("request.item")
                is_read_back = item is not None and "readback" in str(item.evidence)
                row.ungrounded += "request" in scene.guarded and not is_read_back
            case Counted():
                row.counted.append((event.key, event.understood))
            case RepairOpened():
                row.repairs += 1
            case RepairClosed():
                row.mended += event.mended
            case Refused():
                row.refused += 1
            case _:
                pass
    row.outcome, row.messages = result.outcome_class, result.messages
    row.well = result.outcome_class in ("success", "partial")
    row.beyond = max(0, result.messages - result.conversation.rules.bound)
    return row


def model_run(
    model: Model,
    rates: Mapping[str, float],
    *,
    groundings: Iterable[str] = GROUNDINGS,
    stakes: Stakes = Stakes.HIGH,
    is_seen: bool = True,
    runs: int = 20,
    seed: int = 7,
    told: Callable[[str], None] | None = None,
) -> list[Cell]:
    """Return one cell for each way of grounding, with a model as the hearer; `tokens` is measured beside the others.

    Raises:
        UsageError: If there is no such noise, or a way of grounding that a model cannot play.
        EdgeError: If the model cannot be asked.
    """
    names = list(groundings)
    if unknown := [name for name in names if name not in GROUNDINGS]:
        raise UsageError(
            f"{unknown[0]!r} is no way of grounding for a model",
            why=f"there are {', '.join(GROUNDINGS)}",
            code="U532",
        )
    known = {kind.value: rate for kind, rate in rates_of(rates).items()}
    scene = Scene(laboratory(), stakes, is_seen)
    costs = costs_of(stakes, is_seen=is_seen)

    async def all_of_them() -> list[Cell]:
        cells: list[Cell] = []
        off: list[Row] = []
        for name in dict.fromkeys(("off", *names)):
            if told is not None:
                told(name)
            policy = policy_of(name, scene.declared)
            rows, injected, tokens = await play_with(model, scene, policy, known, runs=runs, seed=seed)
            off = off or rows
            if name in names:
                cell = cell_of(
                    name, rows, off, off, costs, known, stakes, injected, seed=seed, is_seen=is_seen
                )
                cells.append(cell)
                cell.measures["tokens"] = mean(tokens)
        await model.close()
        return cells

    return asyncio.run(all_of_them())
