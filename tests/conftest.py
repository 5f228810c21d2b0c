import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ROOT = Path(__file__).resolve().parent.parent


def pytest_xdist_auto_num_workers(config) -> int | None:
    """Spread a run of everything over the cores; a file or two are faster, and read more easily, in one process."""
    given = config.invocation_params.args
    return None if not any(Path(str(word).split("::")[0]).exists() for word in given) else 0


@pytest.fixture(autouse=True)
def _no_model_by_accident(request, monkeypatch):
    monkeypatch.delenv("AGENTCOMM_MODEL", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    if "live" not in request.keywords:
        monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv(
            "AGENTCOMM_CAPABILITIES", "/nonexistent"
        )  # what was measured here is no test's matter


@pytest.fixture
def root() -> Path:
    return ROOT
