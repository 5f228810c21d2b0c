"""A collection of broken protocols: each has one mistake, and one finding of it, at its place."""

from collections import Counter
from pathlib import Path

import pytest
import whole_documents
import yaml
from sale_document import SALE
from test_lanes_language import BEFORE

from agentcomm.protocol.check import examine
from agentcomm.protocol.codes import CODES
from agentcomm.protocol.lookup import within

FOLDER = Path(__file__).parent / "broken"
BASES = {
    "sale": SALE,
    "tender": whole_documents.TENDER,
    "recall": whole_documents.RACE,
    "work": whole_documents.WORK,
    "job": whole_documents.JOB,
    "my-repair": whole_documents.RETRY,
    "before": BEFORE,
    **{name: (FOLDER / f"{name}.yaml").read_text(encoding="utf-8") for name in ("errand", "fork")},
}
"""Protocols without an error."""
CASES = {
    case["case"]: case
    for file in sorted(FOLDER.glob("cases-*.yaml"))
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))
}
FEWEST = 2
"""Cases of a code."""


def document(case):
    """Return the text of a case: its base, edited."""
    text = BASES[case["base"]]
    for old, new in case.get("edits", ()):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def found(case):
    """Return what the checker says of a case."""
    text = document(case)
    others = {
        name: text if other == "itself" else document(other)
        for name, other in case.get("documents", {}).items()
    }
    options = dict.fromkeys(case.get("options", ()), True)
    return text, examine(text, path="broken.yaml", resolve=within({**BASES, **others}), **options).findings


@pytest.mark.parametrize("title", CASES)
def test_a_broken_protocol_has_one_finding_at_its_place(title):
    text, findings = found(CASES[title])
    wanted = CASES[title]["finds"]
    assert [finding.code for finding in findings] == [wanted["code"]], "\n".join(map(str, findings))
    (finding,) = findings
    told = {"code": finding.code, "kind": finding.kind, "line": finding.line, "column": finding.column}
    assert told == wanted, str(finding)
    assert finding.what
    assert finding.why
    assert finding.fix
    assert (
        1 <= finding.column + finding.length - 1 <= len(text.splitlines()[finding.line - 1])
        or not finding.excerpt
    )


def test_every_code_has_its_cases():
    count = Counter(case["finds"]["code"] for case in CASES.values())
    assert not {code for code in CODES if count[code] < FEWEST}
    assert set(count) <= set(CODES)
    assert len(CASES) >= 120


@pytest.mark.parametrize("name", sorted(BASES))
def test_what_is_edited_has_no_error_itself(name):
    findings = examine(BASES[name], resolve=within(BASES)).findings
    assert not [finding for finding in findings if finding.severity == "error"]
