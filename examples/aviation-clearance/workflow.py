"""A controller clears a flight over a channel that garbles values, and no garbled value is flown.

The pilot understands what the channel made of the words. It reads back what it understood, code compares that with what was meant,
and the controller's correction is read back in turn. Run it with `agentcomm run aviation-clearance`; a worse channel, and other dice:
`NOISE=0.9 SEED=7 agentcomm run aviation-clearance`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentcomm import Agent, Message, Turn
from agentcomm.errors import UsageError
from agentcomm.testing.noise import noisy

CLEARANCE = {"flight": "DLH4PM", "level": 120, "heading": 245, "squawk": "4371"}
SEED = int(os.environ.get("SEED", "3"))
NOISE = float(os.environ.get("NOISE", "0.6"))
"""How often a clearance or a correction arrives with another value."""
SLIPS = 0.5
"""How often the pilot flies another value than the one that it read back."""


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    tower = Agent("Langen")
    crew = Agent("DLH4PM", model=model("pilot"), goal="Read back what you heard, and nothing else.")

    @tower.opens
    def clear(turn: Turn) -> Message:
        return turn.say("clearance", **turn.brief)

    @crew.on("clearance")
    def fly(turn: Turn) -> Message:
        heard = turn.content
        return turn.say("complied", level=heard["level"], heading=heard["heading"], squawk=heard["squawk"])

    channel = noisy(crew, seed=SEED, wrong_value=NOISE, right_readback_wrong_use=SLIPS)
    return {"controller": tower, "pilot": channel}


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told."""
    if source is not None:
        raise UsageError(
            "aviation-clearance reads no file", fix="--brief 'controller={\"level\": 90}' for another level"
        )
    return {"controller": dict(CLEARANCE)}
