"""What you need to test your protocols, your agents and your deadlines.

The names that tests need, loaded on first use; the strategies of hypothesis are in `agentcomm.testing.strategies`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentcomm.testing.choices import Dice
    from agentcomm.testing.clock import JumpingClock
    from agentcomm.testing.scripts import SILENCE, Scripted, scripted
    from agentcomm.testing.survival import Report, survives
    from agentcomm.testing.walking import Manner, Walk, members_for, walk

__all__ = (
    "SILENCE",
    "Dice",
    "JumpingClock",
    "Manner",
    "Report",
    "Scripted",
    "Walk",
    "members_for",
    "scripted",
    "survives",
    "walk",
)

_HOMES = {
    "SILENCE": "agentcomm.testing.scripts",
    "Dice": "agentcomm.testing.choices",
    "JumpingClock": "agentcomm.testing.clock",
    "Manner": "agentcomm.testing.walking",
    "Report": "agentcomm.testing.survival",
    "Scripted": "agentcomm.testing.scripts",
    "Walk": "agentcomm.testing.walking",
    "members_for": "agentcomm.testing.walking",
    "scripted": "agentcomm.testing.scripts",
    "survives": "agentcomm.testing.survival",
    "walk": "agentcomm.testing.walking",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentcomm.testing' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
