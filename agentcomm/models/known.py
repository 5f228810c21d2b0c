"""What was measured of models, kept in the user's cache."""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from agentcomm.models.base import Capabilities

__all__ = ("FOLDER_VARIABLE", "Measured", "keep", "recall")

FOLDER_VARIABLE = "AGENTCOMM_CAPABILITIES"
"""Environment variable with another folder than the user's cache."""

VERSION = 1
"""Of the measurement; what an older one found is not used."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement found."""

    model: str
    capabilities: Capabilities
    counts: dict[str, tuple[int, int]] = {}
    """What was tried -> how often it was right, of how many."""
    digest: str = ""
    """Of the model at that time, where the server tells; empty else."""
    server: str = ""
    """Backend and version."""
    at: str = ""
    """Date, RFC 3339."""
    seconds: float | None = None
    """Of a short answer, as a rule."""
    rate: float | None = None
    """Tokens of answers per second, reading the prompts included."""
    notes: tuple[str, ...] = ()
    """What could not be measured, and why."""
    version: int = VERSION


def _folder() -> Path:
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    import platformdirs

    return platformdirs.user_cache_path("agentcomm") / "capabilities"


def _file(model: str, address: str) -> Path:
    name = hashlib.sha256(f"{model}\n{address}".encode()).hexdigest()[:24]
    return _folder() / f"{name}.json"


def recall(model: str, address: str = "") -> Measured | None:
    """Return what was measured of a model at an address; None if nothing was, or by another version of the measurement."""
    try:
        found = msgspec.json.decode(_file(model, address).read_bytes(), type=Measured)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.version == VERSION else None


def keep(found: Measured, address: str = "") -> bool:
    """Keep it on disk; returns whether that could be done."""
    file = _file(found.model, address)
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.encode(found))
        part.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return False
    return True
