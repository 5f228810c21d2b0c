import pytest

from agentcomm.protocol import library


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Stamps of a test stay in the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library._LOADED.clear()
