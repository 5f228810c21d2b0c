"""The house: its face, its import budget, its walls."""

import ast
import subprocess
import sys
from pathlib import Path

import agentcomm

HEAVY = {"pydantic", "yaml", "networkx", "ollama", "httpx", "tenacity", "opentelemetry", "asyncio", "msgspec"}


def loaded(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_face_loads_nothing_heavy():
    bare = loaded("import sys; print(*sys.modules)")
    face = loaded("import sys, agentcomm; print(*sys.modules)")
    assert not HEAVY & face
    assert len(face - bare) <= 40


def test_the_face_is_sorted_complete_and_what_type_checkers_see():
    assert list(agentcomm.__all__) == sorted(agentcomm.__all__)
    for name in agentcomm.__all__:
        assert getattr(agentcomm, name) is not None
    tree = ast.parse(Path(agentcomm.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == agentcomm._HOMES


def test_enacting_with_code_alone_loads_no_checker_no_client_and_no_tracing(root, tmp_path):
    program = f"""
import sys
from pathlib import Path
from agentcomm import Agent, enact_sync, load
from agentcomm.models.scripted import ScriptedModel
load({str(root / "protocols/request.yaml")!r})
sys.modules.pop("networkx", None)
ask, do = Agent("ask"), Agent("do")
@ask.opens
def say(turn): return turn.say("request", action="sing")
@do.on("request")
def done(turn): return turn.say("refuse", reason="hoarse")
print(enact_sync(load({str(root / "protocols/request.yaml")!r}), cast={{"initiator": ask, "participant": do}}).outcome)
print(*sys.modules)
"""
    loaded(program)  # stamps the protocols, if nothing has yet
    names = loaded(program)
    assert "refused" in names
    assert not {"networkx", "ollama", "httpx", "tenacity", "opentelemetry"} & names
