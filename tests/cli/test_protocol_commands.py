"""The commands about protocols as a person uses them: a process of its own, its output, its exit code."""

import json
import os
import subprocess
import sys

import jsonschema
import pytest


@pytest.fixture
def agentcomm(tmp_path):
    def call(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "agentcomm.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def test_schema_is_printed_or_written(agentcomm, tmp_path):
    printed = agentcomm("schema")
    assert printed.returncode == 0, printed.stderr
    jsonschema.Draft7Validator.check_schema(json.loads(printed.stdout))
    written = agentcomm("schema", "-o", "agentcomm.schema.json")
    assert (tmp_path / "agentcomm.schema.json").read_text() == printed.stdout
    assert "# yaml-language-server: $schema=agentcomm.schema.json" in written.stderr
    assert agentcomm("schema", "-o", "no/where.json").returncode == 4
