"""A backend that nobody here wrote: `pip install trace-view==0.1.0`, then `pytest -m live tests/tracing`."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest
from traced_scenes import cast, sale

from agentcomm import Agent, enact_sync
from agentcomm.models.scripted import ScriptedModel
from agentcomm.tracing.setup import setup


def get(url):
    with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (our own http address)
        return json.load(answer)


def wait_for(fetch, enough, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = fetch()
        except OSError:
            found = []
        if enough(found):
            return found
        time.sleep(0.2)
    return pytest.fail("the backend did not get there in time")


@pytest.fixture
def backend(tmp_path):
    program = shutil.which("tv")
    if program is None:
        pytest.skip("trace-view is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "-p", str(port), "-d", str(tmp_path / "t.db"), "serve"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: [get(f"{url}/api/sessions")], bool)
            yield url
        finally:
            process.terminate()


@pytest.mark.live
def test_trace_view_shows_the_conversation_as_one_session(tmp_path, backend):
    bob = Agent("bob", model=ScriptedModel([{"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    with setup(backend, content="full") as tracing:
        enact_sync(sale(tmp_path), cast={**cast(), "seller": bob}, conversation_id="conv-live")
    assert tracing.report() == f"traces: 31 of 31 spans sent to {backend}/v1/traces"
    spans = wait_for(lambda: get(f"{backend}/api/sessions/conv-live/spans"), lambda found: len(found) == 31)
    assert len({span["trace_id"] for span in spans}) == 8
    assert [session["id"] for session in get(f"{backend}/api/sessions")] == ["conv-live"]
