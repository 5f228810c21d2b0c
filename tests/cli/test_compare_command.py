"""`agentcomm compare`: figures, intervals, and what may be said of a model beside another."""

import json
import math

import pytest
from msgspec.structs import replace

from agentcomm.cli.main import main
from agentcomm.errors import ModelBroken, ModelUnavailable
from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.models.open import register
from agentcomm.testing.comparing import Run, difference, row_of, student, verdict
from agentcomm.testing.lab import wilson

CFP = {"act": "cfp", "content": {"item": "city bike", "budget": "120 EUR"}}
RUN = Run("sold", "success", "", 0, 0, 0, 0, 3, 300, 60, 1.5)


class Buyer:
    """Plays Ann in `purchase` by reading what is asked; every third conversation it babbles, if it is a bad one."""

    provider = "buyer"
    capabilities = Capabilities()

    def __init__(self, rest, *, progress=None):
        self.name = f"buyer:{rest}"
        self.seeds = []
        self.temperatures = []

    async def reply(self, request):
        self.seeds.append(request.seed)
        self.temperatures.append(request.temperature)
        fields = request.schema.get("properties", {})
        text = request.messages[-1].content
        if "item" in fields:
            answer = {"item": "city bike"}
        elif "Say readback" in text:
            fields = {"price": "110 EUR", "valid_until": "2026-12-14"}
            answer = {"act": "readback", "content": {"fields": fields}}
        else:
            answer = {"act": "accept-proposal", "content": {"price": "110 EUR"}}
        if self.name == "buyer:dead" and len(self.seeds) > 1:
            raise ModelUnavailable("the server has gone")
        if self.name == "buyer:bad" and request.seed // 1000 % 3 == 2:
            raise ModelBroken("it babbles")
        return ModelReply(
            text=json.dumps(answer), model=self.name, prompt_tokens=100, output_tokens=20, seconds=0.5
        )

    async def close(self):
        pass


@pytest.fixture(autouse=True)
def buyers(monkeypatch):
    made = {}

    def opener(rest, **options):
        return made.setdefault(rest, Buyer(rest, **options))

    monkeypatch.setattr("agentcomm.models.open._registered", {})
    register("buyer", opener)
    return made


def compared(capsys, *arguments):
    code = main(["compare", "purchase", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_figures_of_two_models_side_by_side(capsys, buyers):
    code, found = compared(capsys, "--models", "buyer:good,buyer:bad", "--runs", "9")
    good, bad = found["models"]
    assert code == 0
    assert good["measures"]["completed"]["value"] == 1.0
    assert good["measures"]["completed"]["n"] == 9
    assert good["measures"]["tokens read"]["value"] == 100 * good["measures"]["calls"]["value"]
    assert good["measures"]["forced exits"]["value"] == 0
    assert bad["measures"]["completed"]["value"] == pytest.approx(6 / 9)
    assert bad["measures"]["forced exits"]["value"] > 0
    assert bad["measures"]["asked again"]["value"] > 0
    assert bad["acts"] == {"unreadable": round(9 * bad["measures"]["asked again"]["value"])}
    assert good["acts"] == {}
    assert sum(bad["outcomes"].values()) == 9
    assert any("it babbles" in cause for cause in bad["causes"])
    [judged] = found["verdicts"]
    assert (judged["baseline"], judged["says"]) == ("buyer:good", "not known")


def test_runs_differ_by_seed_and_temperature(capsys, buyers):
    compared(capsys, "--models", "buyer:good", "--runs", "3", "--temperature", "0.7")
    model = buyers["good"]
    assert {seed // 1000 for seed in model.seeds} == {0, 1, 2}
    assert set(model.temperatures) == {0.7}


def test_a_model_that_goes_down_is_a_conversation_that_failed(capsys):
    code, found = compared(capsys, "--models", "buyer:dead", "--runs", "1")
    [dead] = found["models"]
    assert (code, dead["runs"], dead["measures"]["completed"]["value"]) == (0, 1, 0.0)
    assert any("the server has gone" in cause for cause in dead["causes"])
    _, found = compared(capsys, "--models", "buyer:good,ollama:demo", "--runs", "2")
    missing = found["models"][1]
    assert missing["error"]["code"] == "X201"
    assert missing["measures"]["completed"]["value"] is None
    assert found["verdicts"] == []


def test_a_model_that_is_not_there_does_not_keep_the_others_from_running(capsys):
    code = main(["compare", "purchase", "--models", "ollama:demo,buyer:good", "--runs", "2"])
    told = capsys.readouterr()
    assert code == 4
    assert "ollama:demo  could not be run: no Ollama server answers" in told.out
    assert "2/2" in told.out


def test_what_is_printed_answers_the_question(capsys):
    assert (
        main(["compare", "purchase", "--models", "buyer:good,buyer:other", "--runs", "4", "--margin", "0.6"])
        == 0
    )
    told = capsys.readouterr()
    assert "may buyer:other take over?  yes: it completes at most" in told.out
    assert "said by" in told.out
    assert "buyer:other: run 4 of 4" in told.err


def test_scripted_replies_begin_anew_in_every_run(capsys):
    _, found = compared(capsys, "--models", "scripted", "--runs", "3")
    [row] = found["models"]
    assert row["outcomes"] == {"sold": 3}
    assert row["wrong"] == {"valid_until": 3}
    assert row["distinct"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", ","], "names none"),
        (["--models", "scripted,scripted"], "twice"),
        (["--models", "scripted", "--runs", "0"], "at least one"),
        (["--models", "scripted", "--temperature", "3"], "between 0 and 2"),
        (["--models", "scripted", "--margin", "0"], "share"),
        (["--models", "scripted,qwen3"], "write ollama:qwen3"),
        (["--models", "scripted", "--input", "x.log"], "no such file"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(capsys, arguments, words):
    assert main(["compare", "purchase", *arguments]) in (2, 4)
    told = capsys.readouterr()
    assert words in told.err
    assert "run 1" not in told.err


# --- the figures themselves ---


def test_a_mean_has_students_interval():
    """Heights of four, by hand: mean 2.5, s 1.291, t(3) 3.182."""
    found = student([1, 2, 3, 4])
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (2.5, 0.446, 4.554)
    assert math.isnan(student([1]).low)
    many = student([0.0, 1.0] * 50)
    assert many.high - 0.5 == pytest.approx(1.984 * 0.50252 / 10, rel=1e-3)


def test_a_difference_of_shares_has_newcombes_interval():
    """Newcombe 1998, table II, example (a): 56/70 against 48/80, 0.0524 to 0.3339."""
    found = difference(wilson(56, 70), wilson(48, 80))
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (pytest.approx(0.2), 0.0524, 0.3339)


def rows(good, bad, n):
    runs = [RUN] * good + [replace(RUN, kind="failed", outcome="failed")] * (n - good)
    others = [RUN] * bad + [replace(RUN, kind="failed", outcome="failed")] * (n - bad)
    return row_of("new", others), row_of("old", runs)


@pytest.mark.parametrize(
    ("good", "bad", "n", "says"),
    [
        (50, 50, 50, "yes"),
        (20, 20, 20, "not known"),
        (50, 20, 50, "no"),
        (19, 20, 20, "not known"),
        (300, 290, 300, "yes"),
    ],
)
def test_a_verdict_needs_runs_enough(good, bad, n, says):
    new, old = rows(good, bad, n)
    assert verdict(new, old, 0.1).says == says


def test_a_better_model_is_called_so():
    new, old = rows(20, 50, 50)
    assert verdict(new, old, 0.1).words == "it completes no less often than old (95 %)"


def test_a_verdict_that_is_not_known_says_how_many_runs_would_tell():
    new, old = rows(20, 20, 20)
    words = verdict(new, old, 0.1).words
    needed = int(words.rpartition(", ")[2].split()[0]) if words.rpartition(", ")[2][0].isdigit() else 0
    assert needed
    assert verdict(*rows(needed, needed, needed), 0.1).says == "yes"
    new, old = rows(20, 17, 20)
    assert "no number of runs" in verdict(new, old, 0.1).words


def test_an_honest_exit_that_was_forced_is_no_completion():
    row = row_of("m", [RUN, replace(RUN, forced=1)])
    assert row.measures["completed"].value == 0.5
    assert row.causes == {"sold: ": 1}
