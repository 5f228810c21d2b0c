"""The table of codes is whole: what the checker says stands in it, what stands in it is said, and the page shows it."""

import ast
from pathlib import Path
from typing import get_args

import pytest

from agentcomm.protocol import informed
from agentcomm.protocol.codes import CODES, markdown
from agentcomm.protocol.findings import Kind, Report
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.sarif import sarif

ROOT = Path(__file__).parents[2]
KINDS = set(get_args(Kind))


def texts(node):
    return {
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    }


def is_code(text):
    return len(text) == 4 and text[0] in "EWI" and text[1:].isdigit()


def branches(code, kind):
    """Return code and kind, one pair for each way where both depend on the same condition."""
    if (
        isinstance(code, ast.IfExp)
        and isinstance(kind, ast.IfExp)
        and ast.dump(code.test) == ast.dump(kind.test)
    ):
        return [(code.body, kind.body), (code.orelse, kind.orelse)]
    return [(code, kind)]


def said():
    """Return code and kinds of every place that adds a finding."""
    for path in sorted((ROOT / "agentcomm" / "protocol").glob("*.py")):
        if path.name == "codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            for code, kind in branches(*node.args[:2]):
                yield from (
                    (path.name, text, texts(kind) & KINDS) for text in sorted(texts(code)) if is_code(text)
                )


@pytest.mark.parametrize(("place", "code", "kinds"), list(said()))
def test_what_is_said_stands_in_the_table(place, code, kinds):
    assert code in CODES
    assert kinds <= set(CODES[code].kinds), place


def test_what_stands_in_the_table_is_said():
    projected = {code for _, code, _ in informed._CODES.values()} | {"W305"}
    assert {code for _, code, _ in said()} | projected == set(CODES)


def test_what_projection_says_has_its_kind():
    for _, code, kind in informed._CODES.values():
        assert kind in CODES[code].kinds
        assert CODES[code].found_by == "projection"


def test_the_table_is_in_order_and_in_the_list_of_kinds():
    assert list(CODES) == sorted(CODES, key=lambda code: ("EWI".index(code[0]), code))
    assert all(set(row.kinds) <= KINDS for row in CODES.values())


def test_the_page_shows_the_table():
    page = (ROOT / "docs/pages/checks.md").read_text()
    shown = page.partition("<!-- codes: begin -->\n")[2].partition("\n<!-- codes: end -->")[0]
    assert shown == markdown(), "write what `agentcomm.protocol.codes.markdown()` returns into the page"


def log():
    report = Report("a folder/sale.yaml", ["  refuse: clsoed"])
    report.add(
        "E102",
        "unknown_name",
        Mark(1, 11, 6),
        "'clsoed' is not a state",
        why="w",
        fix="f",
        witness=["a --x--> b"],
    )
    report.add("W604", "other", Mark(1, 1), "too many")
    return sarif(report.found, unchecked=["free text"])


def test_sarif_has_what_the_standard_asks_for():
    whole = log()
    assert whole["version"] == "2.1.0"
    [run] = whole["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "agentcomm"
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"]) == len(CODES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        [location] = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20folder/sale.yaml"
        assert 1 <= place["region"]["startColumn"] < place["region"]["endColumn"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["invocations"][0]["executionSuccessful"] is True
    assert (
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "not checked: free text"
    )


def test_sarif_has_the_content_of_a_finding():
    result = log()["runs"][0]["results"][0]
    assert result["level"] == "error"
    assert result["message"]["text"] == "'clsoed' is not a state\nvia: a --x--> b\nwhy: w\nfix: f"
    assert result["properties"]["witness"] == ["a --x--> b"]
    assert log()["runs"][0]["results"][1]["level"] == "warning"


def test_absolute_paths_are_file_addresses(tmp_path):
    report = Report(str(tmp_path / "x.yaml"), [""])
    report.add("E100", "syntax", Mark(1, 1), "empty")
    [result] = sarif(report.found)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == (tmp_path / "x.yaml").as_uri()
