"""Noise between and within agents: seeded misunderstandings of every kind, to be put around any agent.

    ann = noisy(ann, seed=7, wrong_value=0.2, over_eager_clarifier=0.1)

The kinds are in `ABOUT`, with what each does; `UNSEEN` are those that comparing a read-back with what was said cannot see.
"""

from typing import Any

from agentcomm.testing.choices import Dice
from agentcomm.testing.noise_agents import around
from agentcomm.testing.noise_minds import ABOUT, UNSEEN, Kind, Mind, Noise, rates_of

__all__ = ("ABOUT", "UNSEEN", "Kind", "Mind", "Noise", "noisy", "rates_of")


def noisy(agent: Any, *, seed: int = 0, restates: float = 0.0, **rates: float) -> Any:
    """Return an agent that is now and then wrong: it mishears, loses, mixes up, insists, or asks again.

    Args:
        agent: An `Agent`, or any async callable that takes a `Turn`.
        seed: The same seed, the same noise.
        restates: How often it reads back a value in another written form that means the same.
        rates: Kind of noise -> probability: `wrong_value=0.2`; the kinds are in `ABOUT`.

    Raises:
        UsageError: If there is no such kind, or a rate is no probability.
    """
    return around(agent, Noise(rates, Dice(seed), restates=restates))
