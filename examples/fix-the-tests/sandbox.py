"""Run somebody else's Python with little to lose: a process of its own, in an empty folder, with limits.

What holds: limits on time, CPU time, memory, file size and open files; Python's isolated mode; no environment; a temporary folder as
home, removed afterwards. Where Linux lets an ordinary user make namespaces (`unshare`), it also has no network at all, and all
processes that it started end with it.

What does not hold: it is the same user on the same kernel. Code that means harm can read what you can read; where namespaces are not
allowed it can open connections and leave processes behind (`Ran.alone` says which it was); and tests that run in one process with the
code they test can be lied to by it. For code that you do not trust, use a container or a virtual machine with nothing in it.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ("Ran", "can_be_alone", "run_tests")

SECONDS = 20
CPU_SECONDS = 10
MEMORY_BYTES = 1_000_000_000
FILE_BYTES = 10_000_000
FILES = 64
SHOWN = 2_000
"""Characters of the output that are kept: its end, where a test says what was wrong."""


PRELUDE = """\
import resource, sys
for what, most in {limits!r}:
    try:
        resource.setrlimit(getattr(resource, what), (most, most))
    except (AttributeError, ValueError, OSError):
        pass
sys.path.insert(0, {folder!r})
import unittest
unittest.main(module={module!r}, argv=["tests"])
"""
LIMITS = (
    ("RLIMIT_CPU", CPU_SECONDS),
    ("RLIMIT_AS", MEMORY_BYTES),
    ("RLIMIT_FSIZE", FILE_BYTES),
    ("RLIMIT_NOFILE", FILES),
    ("RLIMIT_CORE", 0),
)
NAMESPACES = ("--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    passed: bool
    output: str
    alone: bool
    """Whether it had no network, and all that it started has ended."""


def run_tests(files: Mapping[str, str], module: str) -> Ran:
    """Write files into an empty folder and run one of them as a module of unittest there.

    Args:
        files: Name -> text; plain names, without folders.
        module: The test module.

    Raises:
        ValueError: If a name is no plain name.
    """
    if any(Path(name).name != name or name.startswith(".") for name in files):
        raise ValueError("a file's name has no folders in it")
    with tempfile.TemporaryDirectory(prefix="sandbox-") as folder, tempfile.TemporaryFile() as heard:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        code = PRELUDE.format(limits=LIMITS, folder=folder, module=module)
        process = subprocess.Popen(
            [*_alone(), sys.executable, "-I", "-B", "-c", code],
            cwd=folder,
            env={"HOME": folder, "TMPDIR": folder, "PATH": "/nowhere"},
            stdin=subprocess.DEVNULL,
            stdout=heard,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        late = ""
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            late = f"\nstopped after {SECONDS} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        heard.seek(0)
        text = heard.read(FILE_BYTES).decode(errors="replace") + late
        shown = text.replace(folder, "…")[-SHOWN:].strip()
        counted = re.search(r"^Ran [1-9]\d* tests? in .*\n\nOK$", shown, re.MULTILINE)
        return Ran(process.returncode == 0 and counted is not None, shown, alone=can_be_alone())


def _alone() -> list[str]:
    return [str(shutil.which("unshare")), *NAMESPACES] if can_be_alone() else []


@cache
def can_be_alone() -> bool:
    """Say whether a process can be given namespaces of its own here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    tried = [unshare, *NAMESPACES, sys.executable, "-I", "-c", ""]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0
