"""The main job with a real model in this process: `pytest -m live`."""

import os
import subprocess
import sys
import time

import pytest

from agentcomm import replay
from agentcomm.conversation.events import Heard, OwnerChanged

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.mark.parametrize("log", ["error.log", "postgresql.log", "access.log"])
def test_the_incident_is_handed_over(root, tmp_path, log):
    began = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "agentcomm.cli.main", "run", "incident-handoff", "--model", "embedded:"),
            *("--input", str(root / "examples/incident-handoff/input" / log), "--transcript", "talk.jsonl"),
        ],
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, f"{time.monotonic() - began:.1f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "transferred (success)" in done.stdout
    again = replay(tmp_path / "talk.jsonl")
    assert again.same
    ground = again.conversation.ground
    assert ground["handoff.service"] in {"nginx", "postgresql", "http"}
    assert again.conversation.owner == "oncall"
    from agentcomm.runtime.replay import read_transcript

    events = list(read_transcript(tmp_path / "talk.jsonl").events())
    [moved] = [event for event in events if isinstance(event, OwnerChanged)]
    said = {event.message.id: event.message for event in events if isinstance(event, Heard)}
    assert said[moved.message].act == "i-have-it"
    readbacks = [m for m in said.values() if m.act == "readback"]
    assert readbacks
    assert {m.made_by for m in readbacks} == {"model"}
