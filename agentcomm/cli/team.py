"""The team that `serve` hosts, from a file: who they are, what they always want, and which code speaks for them.

agents:
  bob:  {model: "ollama:qwen3:4b", goal: "Answer in one sentence."}
  ann:  {code: team.py}            # the Agent called ann in that file, beside this one
people: [lena]                     # their turns wait until `agentcomm conversations answer`
turns: 64
model_calls: 4                     # at once, of one model; {"ollama:qwen3:4b": 1, "*": 4} for each its own
"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec

from agentcomm.errors import InputError

__all__ = ("Team", "read_team")


_Count = Annotated[int, msgspec.Meta(ge=1)]


class _Member(msgspec.Struct, forbid_unknown_fields=True):
    model: str = ""
    goal: str = ""
    code: str = ""
    num_ctx: int = 4096


class Team(msgspec.Struct, forbid_unknown_fields=True):
    """What the file says."""

    agents: dict[str, _Member] = {}
    people: list[str] = []
    store: str = ""
    turns: _Count = 64
    model_calls: _Count | dict[str, _Count] = 4
    backlog: _Count = 1000
    attempts: _Count = 4
    lease: str = "30s"
    players: list[Any] = []
    """The agents themselves; not for the file."""


def read_team(path: Path) -> Team:
    """Return a team with its agents made.

    Raises:
        InputError: If the file cannot be read or does not say who they are.
    """
    from agentcomm.acts.content import parse_duration
    from agentcomm.agents.agent import Agent
    from agentcomm.protocol.source import read

    try:
        source = read(path.read_bytes(), str(path))
        if source.root is None or source.report.found:
            text = "; ".join(str(one).partition("\n")[0] for one in source.report.found)
            raise InputError(
                f"the team is no YAML that is read here: {text}",
                where=str(path),
                fix='write it as plain YAML: agents: {bob: {model: "ollama:qwen3:4b"}}',
            )
        team = msgspec.convert(_plain(source.root), Team)
    except OSError as error:
        raise InputError(
            f"the team cannot be read: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="name a file such as team.yaml with a map `agents`",
        ) from error
    except msgspec.ValidationError as error:
        raise InputError(
            f"the team is not of its form: {error}",
            where=str(path),
            fix='agents: {bob: {model: "ollama:qwen3:4b", goal: "…"}, ann: {code: team.py}}',
        ) from None
    try:
        parse_duration(team.lease)
    except ValueError as error:
        raise InputError(f"lease {team.lease!r}: {error}", where=str(path), fix="lease: 30s") from None
    if not team.agents:
        raise InputError("nobody is in the team", where=str(path), fix="agents: {bob: {model: …}}")
    for name, member in team.agents.items():
        if member.code:
            team.players.append(_from_code(path.parent / member.code, name))
        else:
            model = member.model or None
            team.players.append(Agent(name, model=model, goal=member.goal, num_ctx=member.num_ctx))
    return team


def _plain(node: Any) -> Any:
    """Return a value of a document as plain data."""
    if node.entries is not None:
        return {name: _plain(entry.node) for name, entry in node.entries.items()}
    if node.items is not None:
        return [_plain(item) for item in node.items]
    return node.value


def _from_code(path: Path, name: str) -> Any:
    """Return the agent of that name among the values of a Python file."""
    spec = importlib.util.spec_from_file_location(f"agentcomm_team_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"there is no code for {name!r}", where=str(path), fix="name a Python file")
    module = sys.modules.get(spec.name)
    if module is None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[spec.name]
            raise InputError(
                f"the code fails: {type(error).__name__}: {error}", where=str(path), fix="run it with python"
            ) from error
    for value in vars(module).values():
        if getattr(value, "name", None) == name and callable(value):
            return value
    raise InputError(
        f"nobody is called {name!r} in the code",
        where=str(path),
        fix=f'{name} = Agent("{name}") at its top level',
    )
