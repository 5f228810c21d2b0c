"""`agentcomm lab` as a person or a pipeline uses it."""

import json

import pytest

from agentcomm.cli.main import main


@pytest.fixture
def lab(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*options):
        code = main(["lab", *options])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_table_with_intervals(lab):
    code, out, _ = lab("--noise", "wrong-value=0.2", "--runs", "20", "--grounding", "off,always")
    assert code == 0
    assert out.splitlines()[0] == "wrong-value=0.2; stakes high; values used seen; seed 7"
    assert "undetected" in out
    assert "Wilson's for shares" in out


def test_json_csv_and_a_drawing(lab, tmp_path):
    options = ("--noise", "wrong-value=0.2", "--runs", "10", "--grounding", "adaptive", "--json")
    code, out, _ = lab(*options, "--csv", "lab.csv", "--plot", "lab.svg")
    assert code == 0
    cell = json.loads(out)["cells"][0]
    assert (cell["grounding"], cell["stakes"], cell["runs"], cell["seed"]) == ("adaptive", "high", 10, 7)
    assert set(cell["measures"]["caught"]) == {"value", "low", "high", "n"}
    assert (tmp_path / "lab.csv").read_text().startswith("grounding,noise,")
    assert (tmp_path / "lab.svg").read_text().startswith("<svg ")


def test_the_kinds_are_listed(lab):
    code, out, _ = lab("--kinds")
    assert code == 0
    assert len(out.splitlines()) == 11


def test_adaptive_against_the_optimum(lab):
    code, out, _ = lab("--optimum", "--runs", "3")
    assert code == 0
    assert len(out.splitlines()) == 1 + 3 * 6
    code, out, _ = lab("--optimum", "--runs", "2", "--json", "--outside", "--calibration", "2")
    assert {cell["effect"] for cell in json.loads(out)["cells"]} == {"outside"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--noise", "wrong-value"), "has no rate"),
        (("--noise", "wrong-value=often"), "is not KIND=RATE"),
        (("--noise", "wrong=0.2"), "no kind of noise"),
        (("--grounding", "sometimes"), "no way of grounding"),
        (("--protocol", "request"), "nothing in 'request' is critical"),
        (("--runs", "0"), "are none"),
    ],
)
def test_wrong_use_says_what_to_do(lab, options, word):
    code, _, err = lab(*options)
    assert code == 2
    assert word in err


def test_a_path_that_cannot_be_written(lab):
    code, _, err = lab("--runs", "1", "--grounding", "off", "--csv", "nowhere/lab.csv")
    assert code == 4
    assert "cannot write" in err


def test_a_model_as_the_hearer(lab, monkeypatch):
    from agentcomm.models import open as opening
    from tests.testing.test_lab_models import hearer

    monkeypatch.setattr(opening, "open_model", lambda name, progress=None: hearer())
    code, out, err = lab("--model", "says:", "--runs", "3", "--grounding", "always")
    assert code == 0
    assert "tokens" in out
    assert "always …" in err
    code, _, err = lab("--model", "says:", "--protocol", "request")
    assert code == 2
    assert "U536" in err
