import pytest

from agentcomm import enact_sync
from agentcomm.cli.main import main
from tests.tracing.traced_scenes import cast, sale


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Hold a sale and leave its transcript in ./transcripts; returns the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "transcripts").mkdir()

    def make(name="run", **how):
        path = tmp_path / "transcripts" / f"{name}.jsonl"
        players = how.pop("players", None) or cast(**how)
        enact_sync(sale(tmp_path), cast=players, transcript=path)
        return path

    return make


@pytest.fixture
def trace(capsys):
    """Run `agentcomm trace …`; returns exit code, output and errors."""

    def call(*arguments):
        capsys.readouterr()
        code = main(["trace", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call
