"""The sandbox of the example fix-the-tests: what it stops, and what it takes for passed."""

import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples/fix-the-tests"
TESTS = "import unittest\nfrom thing import two\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(two(), 2)\n"


@pytest.fixture
def sandbox(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import sandbox

    monkeypatch.setattr(sandbox, "SECONDS", 4)
    yield sandbox
    sys.modules.pop("sandbox", None)


def ran(sandbox, code, tests=TESTS):
    return sandbox.run_tests({"thing.py": code, "test_thing.py": tests}, "test_thing")


def test_right_code_passes_and_wrong_code_does_not(sandbox):
    assert ran(sandbox, "def two(): return 2").passed
    wrong = ran(sandbox, "def two(): return 3")
    assert not wrong.passed
    assert "3 != 2" in wrong.output


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True: pass", "stopped after 4 s"),
        ("x = bytearray(3 * 10**9)", "MemoryError"),
        ("open('big', 'wb').write(bytes(10**8))", "File too large"),
        ("import os; os._exit(0)", ""),
        ("raise SystemExit(0)", ""),
        ("print('Ran 1 test in 0.1s')", "cannot import name"),
        ("two = lambda: open('/root/.profile-of-nobody').read()", "No such file"),
        ("import os; two = lambda: 100 + len(os.environ)", "!= 2"),
    ],
)
def test_what_goes_too_far_is_stopped_and_has_not_passed(sandbox, code, said):
    done = ran(sandbox, code)
    assert not done.passed
    assert said in done.output


def test_nothing_that_ran_is_no_pass(sandbox):
    assert not ran(sandbox, "def two(): return 2", tests="import unittest\n").passed


def test_where_namespaces_are_allowed_there_is_no_network_and_nobody_stays_behind(sandbox, tmp_path):
    if not sandbox.can_be_alone():
        pytest.skip("this system gives an ordinary user no namespaces")
    off = ran(sandbox, "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)")
    assert "Network is unreachable" in off.output
    mark = tmp_path / "alive"
    code = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3)\n    open({str(mark)!r}, 'w')\n    os._exit(0)\ndef two(): return 2"
    assert ran(sandbox, code).passed
    time.sleep(4)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../thing.py", "a/b.py", ".hidden"])
def test_files_stay_in_their_folder(sandbox, name):
    with pytest.raises(ValueError, match="no folders"):
        sandbox.run_tests({name: ""}, "test_thing")
