from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traced_scenes import Spans

from agentcomm.tracing.setup import Tracing, setup


@pytest.fixture
def traced() -> Iterator[Callable[..., Callable[[], Spans]]]:
    """Switch tracing on, and hand out what returns the spans once it is off again."""
    on: list[Tracing] = []

    def start(**options: Any) -> Callable[[], Spans]:
        exporter = InMemorySpanExporter()
        tracing = setup(exporter=exporter, **options)
        on.append(tracing)

        def finish() -> Spans:
            assert tracing.shutdown() == 0
            return Spans(exporter.get_finished_spans())

        return finish

    yield start
    for tracing in on:
        tracing.shutdown()
