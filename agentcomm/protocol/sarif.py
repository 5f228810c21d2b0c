"""Findings in SARIF 2.1.0, which continuous integration and editors read."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agentcomm.protocol.codes import CODES
from agentcomm.protocol.findings import Finding
from agentcomm.version import VERSION

__all__ = ("sarif",)

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(
    findings: Sequence[Finding], *, unchecked: Sequence[str] = (), tokens: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return one run of the checker as a SARIF log.

    Args:
        findings: What was found, in any number of files.
        unchecked: What was not checked; stands in the log as notifications of the tool.
        tokens: The token ceilings that were asked for; each has its `words`.
    """
    order = {code: number for number, code in enumerate(CODES)}
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "agentcomm",
                        "semanticVersion": VERSION,
                        "rules": [_rule(code) for code in CODES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "note", "message": {"text": text}}
                            for text in (
                                *(str(ceiling["words"]) for ceiling in tokens),
                                *(f"not checked: {text}" for text in unchecked),
                            )
                        ],
                    }
                ],
                "results": [_result(finding, order) for finding in findings],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    row = CODES[code]
    return {
        "id": code,
        "name": "".join(word.title() for word in row.kinds[0].split("_")),
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": f"{row.title}: {row.why}"},
        "help": {"text": f"why: {row.why}\nfix: {row.fix}"},
        "defaultConfiguration": {"level": _LEVELS[row.severity]},
        "properties": {"tags": list(row.kinds), "foundBy": row.found_by},
    }


def _result(finding: Finding, order: dict[str, int]) -> dict[str, Any]:
    known = {"ruleIndex": order[finding.code]} if finding.code in order else {}
    return {
        "ruleId": finding.code,
        **known,
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {
                        "startLine": finding.line,
                        "startColumn": finding.column,
                        "endColumn": finding.column + finding.length,
                        "snippet": {"text": finding.excerpt},
                    },
                }
            }
        ],
        "partialFingerprints": {"agentcomm/v1": _fingerprint(finding)},
        "properties": {
            "kind": finding.kind,
            "what": finding.what,
            "why": finding.why,
            "fix": finding.fix,
            "witness": list(finding.witness),
        },
    }


def _message(finding: Finding) -> str:
    parts = [finding.what]
    parts += [f"via: {'; '.join(finding.witness)}"] if finding.witness else []
    parts += [f"{word}: {text}" for word, text in (("why", finding.why), ("fix", finding.fix)) if text]
    return "\n".join(parts)


def _uri(path: str) -> str:
    """Return a path as a relative reference, or as `file:` where it is absolute."""
    parts = Path(path)
    if parts.is_absolute():
        return parts.as_uri()
    return quote(parts.as_posix()) if path else "text"


def _fingerprint(finding: Finding) -> str:
    """Return what stays when lines move: the file's name, the code and the words."""
    words = f"{Path(finding.path).name}\n{finding.code}\n{finding.what}"
    return hashlib.sha256(words.encode()).hexdigest()[:32]
