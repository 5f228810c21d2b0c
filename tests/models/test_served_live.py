"""The main job with a real model behind real servers with OpenAI's interface, as a user runs it: `pytest -m live`.

llama.cpp's own server runs wherever xllamacpp is installed. The server of llama-cpp-python is another program with the same interface;
it is compiled on installation, so it is used only where AGENTCOMM_TEST_LLAMA_CPP names the Python that has it:

    python -m venv elsewhere && elsewhere/bin/pip install 'llama-cpp-python[server]'
    AGENTCOMM_TEST_LLAMA_CPP=elsewhere/bin/python pytest -m live -n0 tests/models/test_served_live.py
"""

import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from agentcomm import replay
from agentcomm.models.fetch import demo_model
from agentcomm.runtime.replay import read_transcript

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

LLAMA_CPP = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.n_ctx, settings.n_parallel, settings.verbosity, settings.ui = 8192, 1, -1, False
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.readline()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module", params=["llama.cpp", "llama-cpp-python"])
def address(request):
    model = str(demo_model())
    if request.param == "llama.cpp":
        pytest.importorskip("xllamacpp")
        command = [sys.executable, "-c", LLAMA_CPP, model]
    else:
        python = os.environ.get("AGENTCOMM_TEST_LLAMA_CPP")
        if not python:
            pytest.skip("AGENTCOMM_TEST_LLAMA_CPP names no Python with llama-cpp-python[server]")
        port = str(free_port())
        command = [
            *(python, "-m", "llama_cpp.server", "--model", model, "--model_alias", "demo"),
            *("--host", "127.0.0.1", "--port", port, "--n_ctx", "8192", "--n_threads", "1"),
        ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            if request.param == "llama.cpp":
                found = f"{server.stdout.readline().strip()}/v1"
            else:
                found = f"http://127.0.0.1:{port}/v1"
                until = time.monotonic() + 120
                while time.monotonic() < until and server.poll() is None:
                    try:
                        if httpx.get(f"{found}/models").is_success:
                            break
                    except httpx.TransportError:
                        time.sleep(0.5)
            yield found
        finally:
            server.kill()


def run(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "agentcomm.cli.main", *words],
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "AGENTCOMM_CAPABILITIES": str(folder / "capabilities")},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    return done


def test_what_it_can_do_is_measured_and_then_the_incident_is_handed_over(address, tmp_path):
    model = f"openai:@{address}"
    measured = run(tmp_path, "doctor", "--measure", model)
    assert "does not judge" in measured.stdout or "judges" in measured.stdout
    done = run(tmp_path, "run", "incident-handoff", "--model", model, "--transcript", "talk.jsonl")
    assert done.returncode == 0
    assert "transferred (success)" in done.stdout
    again = replay(tmp_path / "talk.jsonl")
    assert again.same
    records = read_transcript(tmp_path / "talk.jsonl").records
    results = [record.data for record in records if record.type == "model.result"]
    assert results
    assert all(data["address"] == address for data in results)
    counted = [data["prompt_tokens"] and data["output_tokens"] for data in results]
    assert all(counted) or not any(counted)  # llama-cpp-python counts nothing in a stream
    assert not any("unaccounted" in data for data in results)


def test_a_model_that_was_not_measured_ends_in_a_named_outcome_all_the_same(address, tmp_path):
    done = run(
        tmp_path, "run", "incident-handoff", "--model", f"openai:@{address}", "--transcript", "t.jsonl"
    )
    assert done.returncode in {0, 3}
    again = replay(tmp_path / "t.jsonl")
    assert again.same
    assert again.conversation.outcome is not None
