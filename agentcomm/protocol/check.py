"""Check a protocol."""

from collections.abc import Mapping
from dataclasses import dataclass

from agentcomm.acts.content import Content
from agentcomm.protocol.compile import draft
from agentcomm.protocol.findings import Finding, Report
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.source import Source, read
from agentcomm.protocol.spec import shape

__all__ = ("Checked", "check", "examine")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a document."""

    protocol: Protocol | None
    findings: tuple[Finding, ...]


def check(source: bytes | str | Source, *, path: str = "", types: Mapping[str, type[Content]] | None = None) -> list[Finding]:
    return list(examine(source, path=path, types=types).findings)


def examine(source: bytes | str | Source, *, path: str = "", types: Mapping[str, type[Content]] | None = None) -> Checked:
    document = source if isinstance(source, Source) else read(source, path)
    spec = shape(document)
    made = draft(spec, document, types=types) if spec else None
    report: Report = document.report
    return Checked(made.protocol if made and not report.has_errors else None, tuple(report.sorted()))
