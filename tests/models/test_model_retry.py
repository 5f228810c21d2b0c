import json
import subprocess
import sys

import pytest

from agentcomm.errors import ModelBroken, ModelRefused
from agentcomm.models.retry import Passing, Patience, again, reduced_schema


def failing(times: int):
    calls: list[int] = []

    async def call() -> int:
        calls.append(len(calls))
        if len(calls) <= times:
            raise Passing(ModelBroken(f"failure {len(calls)}"))
        return len(calls)

    return call


async def test_the_result_comes_with_the_number_of_failures() -> None:
    assert await again(failing(0), Patience(first_wait=0)) == (1, 0)
    assert await again(failing(2), Patience(first_wait=0)) == (3, 2)


async def test_the_last_failure_is_raised() -> None:
    with pytest.raises(ModelBroken, match="failure 3"):
        await again(failing(3), Patience(first_wait=0))


async def test_what_will_not_pass_ends_it() -> None:
    calls: list[int] = []

    async def refuse() -> None:
        calls.append(1)
        raise ModelRefused("no")

    with pytest.raises(ModelRefused):
        await again(refuse, Patience(first_wait=0))
    assert len(calls) == 1


async def test_waits_double() -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    began = loop.time()
    await again(failing(2), Patience(first_wait=0.05))
    assert 0.14 < loop.time() - began < 1.0


def test_a_reduced_schema_keeps_names_and_data() -> None:
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "x", "maxLength": 2000},
            "not": {"enum": ["if", True]},
            "any": True,
            "list": {"type": "array", "items": False, "prefixItems": [{"type": "string", "pattern": "y"}]},
        },
        "required": ["pattern"],
        "additionalProperties": False,
        "if": {"type": "object"},
        "$defs": {"maxLength": {"type": "string", "maxLength": 100}},
        "oneOf": [{"const": {"pattern": 1}}],
    }
    before = json.dumps(schema)
    assert reduced_schema(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "not": {"enum": ["if", True]},
            "any": {},
            "list": {"type": "array", "prefixItems": [{"type": "string"}]},
        },
        "required": ["pattern"],
        "additionalProperties": False,
        "$defs": {"maxLength": {"type": "string", "maxLength": 100}},
        "oneOf": [{"const": {"pattern": 1}}],
    }
    assert json.dumps(schema) == before


@pytest.mark.parametrize("module", ["base", "retry", "scripted", "open", "fetch"])
def test_light_modules_import_no_client(module: str) -> None:
    program = (
        f"import sys, agentcomm.models.{module}\n"
        "print([name for name in ('tenacity', 'ollama', 'httpx', 'xllamacpp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_simple_pattern_may_stay_and_any_other_may_not() -> None:
    schema = {
        "properties": {
            "a": {"pattern": r"^-?[0-9]+(\.[0-9]+)? [A-Z]$"},
            "b": {"pattern": r"^\S+$"},
            "c": {"pattern": "[a-z]"},
        }
    }
    kept = {"properties": {"a": schema["properties"]["a"], "b": {}, "c": {}}}
    assert reduced_schema(schema, simple_patterns=True) == kept
    assert reduced_schema(schema) == {"properties": {"a": {}, "b": {}, "c": {}}}
