"""A person's answer comes days later, to processes that did not exist when it was asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples/release-approval/wait.py"


@pytest.mark.timeout(180)
def test_each_step_is_a_process_of_its_own(tmp_path):
    def step(*words):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    step("ask")
    assert "pending -> justifying" in step("answer", "ask-back", "question=Who is on call?")
    assert "agent speaks, not human" in step("answer", "permit", "action=deploy shop 4.2.0 to production")
    step("go-on")
    assert "pending -> permitted" in step("answer", "permit", "action=deploy shop 4.2.0 to production")
    told = step("show")
    assert "explain  answer='ops, until 18:00'" in told
    assert "permitted (success): human said permit; 4 messages, 0 repairs" in told
