"""The laboratory: what it counts is right, and what it promises of grounding holds."""

import math

import pytest

from agentcomm.errors import UsageError
from agentcomm.grounding.choice import LOSS, Beta
from agentcomm.protocol.graph import Stakes
from agentcomm.protocol.library import load
from agentcomm.testing.lab import cost_of, costs_of, laboratory_run, mean, play, wilson
from agentcomm.testing.lab_optimum import excess, optimum
from agentcomm.testing.lab_policies import POLICIES, Costs, policy_of
from agentcomm.testing.lab_report import as_csv, as_svg, as_table
from agentcomm.testing.lab_scene import Scene, laboratory
from agentcomm.testing.noise import UNSEEN, Kind

SEEN = [kind for kind in Kind if kind not in (*UNSEEN, Kind.OVER_EAGER_CLARIFIER)]


def run(rates, runs=60, **options):
    return {cell.grounding: cell for cell in laboratory_run(rates, runs=runs, **options)}


def values(cell):
    return {name: found.value for name, found in cell.measures.items()}


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 100, 0.0, 0.0370), (100, 100, 0.9630, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_wilsons_interval(hits, trials, low, high):
    found = wilson(hits, trials)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_intervals_of_nothing_are_none():
    assert math.isnan(wilson(0, 0).value)
    assert math.isnan(mean([]).value)
    assert mean([2.0]).value == 2.0


def test_clean_talk_costs_what_its_read_backs_cost():
    cells = run({}, runs=20)
    extra = {name: values(cell)["extra_turns"] for name, cell in cells.items()}
    assert extra["off"] == extra["never"] == 0
    assert extra["acknowledge"] == extra["always"] == extra["declared"] == 1
    assert all(values(cell)["undetected"] == 0 and values(cell)["done"] == 1 for cell in cells.values())
    assert all(
        values(cell)["false_alarms"] == 0
        for name, cell in cells.items()
        if name not in ("off", "acknowledge")
    )


def test_low_stakes_cost_nothing():
    cells = run({}, runs=20, stakes=Stakes.LOW, groundings=["declared", "adaptive"])
    assert all(values(cell)["extra_turns"] == 0 for cell in cells.values())


@pytest.mark.parametrize("kind", SEEN)
def test_what_the_hearer_shows_is_caught_before_the_deed(kind):
    cells = run({kind: 0.5})
    assert values(cells["off"])["undetected"] > 0.1
    assert values(cells["acknowledge"])["undetected"] == values(cells["off"])["undetected"]
    for name in ("always", "declared", "adaptive"):
        assert values(cells[name])["undetected"] == 0
        assert values(cells[name])["caught"] == 1
        assert values(cells[name])["ungrounded"] == 0
        assert cells[name].beyond_bound == 0


def test_a_value_used_otherwise_is_stopped_only_where_code_sees_it():
    rates = {Kind.RIGHT_READBACK_WRONG_USE: 0.5}
    assert values(run(rates, groundings=["always"])["always"])["undetected"] == 0
    assert values(run(rates, groundings=["always"], is_seen=False)["always"])["undetected"] > 0.3


@pytest.mark.parametrize("kind", [Kind.REVERSED_PARAPHRASE, Kind.SHARED_ERROR])
def test_what_comparison_cannot_see_is_missed_and_said_so(kind):
    cells = run({kind: 0.5}, groundings=["always", "declared"])
    for cell in cells.values():
        assert values(cell)["caught"] == 0
        assert values(cell)["undetected"] > 0.3


def test_a_judge_sees_a_reversed_paraphrase_where_nothing_can_be_undone():
    cells = run({Kind.REVERSED_PARAPHRASE: 0.5}, groundings=["declared"], stakes=Stakes.IRREVERSIBLE)
    assert values(cells["declared"])["caught"] > 0.6


def test_those_who_always_ask_and_those_who_always_agree_end_in_time():
    for kind in (Kind.OVER_EAGER_CLARIFIER, Kind.FALSE_ACKNOWLEDGEMENT, Kind.CONFIDENT_WRONG_PEER):
        cells = run({kind: 1.0}, runs=20)
        for cell in cells.values():
            assert cell.beyond_bound == 0
            assert "endless" not in cell.outcomes
    asked = run({Kind.OVER_EAGER_CLARIFIER: 1.0}, runs=20, groundings=["always"])["always"]
    assert asked.outcomes == {"success": 20}
    insisted = run({Kind.CONFIDENT_WRONG_PEER: 1.0}, runs=20, groundings=["always"])["always"]
    assert insisted.outcomes == {"aborted": 20}


def test_the_same_seed_gives_the_same_figures():
    one, two = (run({"wrong-value": 0.3}, runs=15, seed=5)["adaptive"] for _ in range(2))
    assert one.as_dict() == two.as_dict()
    assert run({"wrong-value": 0.3}, runs=15, seed=6)["adaptive"].as_dict() != one.as_dict()


@pytest.mark.parametrize("name", ["contract-net", "delegate"])
def test_any_protocol_with_critical_fields_can_be_played(name):
    cells = run({"wrong-value": 0.5}, runs=15, protocol=load(name), groundings=["off", "always"])
    assert values(cells["always"])["undetected"] == 0
    assert values(cells["off"])["undetected"] > 0
    assert cells["always"].beyond_bound == 0


def test_what_cannot_be_played_says_why():
    with pytest.raises(UsageError, match="nothing in 'request' is critical"):
        laboratory_run({}, protocol=load("request"), runs=1)
    with pytest.raises(UsageError, match="is an overlay"):
        laboratory_run({}, protocol=load("_overlays/repair"), runs=1)
    with pytest.raises(UsageError, match="no way of grounding"):
        laboratory_run({}, groundings=["sometimes"], runs=1)
    with pytest.raises(UsageError, match="are none"):
        laboratory_run({}, runs=0)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("is_seen", [True, False])
def test_the_optimum_is_never_above_doing_always_the_same(noise, is_seen):
    for stakes in (Stakes.LOW, Stakes.NORMAL, Stakes.HIGH):
        costs = costs_of(stakes, is_seen=is_seen)
        best = optimum(noise, costs)
        assert best <= optimum(noise, costs, only="accept") + 1e-9
        assert best <= optimum(noise, costs, only="confirm") + 1e-9


def test_the_optimum_without_noise_is_the_bare_talk():
    assert optimum(0.0, Costs(loss=LOSS[Stakes.HIGH])) == 4


def test_the_model_of_the_optimum_predicts_what_the_core_does():
    scene, costs = Scene(laboratory(), Stakes.HIGH, False), costs_of(Stakes.HIGH, is_seen=False)
    for name, only in (("never", "accept"), ("always", "confirm")):
        rows, _ = play(scene, policy_of(name, scene.declared), {"wrong-value": 0.2}, runs=300, seed=3)
        found = mean([cost_of(row, costs) for row in rows])
        error = (found.high - found.low) / 4
        assert abs(found.value - optimum(0.2, costs, only=only)) <= 4 * error


def test_adaptive_grounding_with_counters_is_near_the_best():
    found = excess(0.2, Stakes.HIGH, is_seen=False, runs=100, seed=7, calibration=100)
    assert found.over_better.low <= 0
    assert found.over_optimum.low <= 0.1
    assert found.read_back == 1


def test_reports_have_every_cell():
    cells = laboratory_run({"wrong-value": 0.2}, runs=10)
    table = as_table(cells)
    assert all(name in table.splitlines()[0] for name in POLICIES)
    assert "undetected" in table
    rows = as_csv(cells).splitlines()
    assert len(rows) == 1 + len(cells) * len(cells[0].measures)
    drawing = as_svg(cells)
    assert drawing.startswith("<svg ")
    assert drawing.count('class="b"') == len(cells) + 1


def test_two_who_always_ask_come_to_the_right_end_within_the_bound():
    (cell,) = laboratory_run({"over-eager-clarifier": 1.0}, groundings=["adaptive"], runs=25, seed=3)
    assert cell.injected["over-eager-clarifier"] >= 50
    assert cell.measures["needless"].value >= 2
    assert cell.outcomes == {"success": 25}
    assert cell.beyond_bound == 0


def test_two_who_only_acknowledge_and_take_nothing_in_do_nothing_wrong():
    (cell,) = laboratory_run({"false-acknowledgement": 1.0}, groundings=["adaptive"], runs=25, seed=3)
    assert cell.measures["undetected"].value == 0
    assert cell.beyond_bound == 0
    assert "endless" not in cell.outcomes


@pytest.mark.parametrize(("stakes", "noise", "apart"), [(Stakes.HIGH, 0.05, 7.0), (Stakes.NORMAL, 0.1, 0.5)])
def test_from_a_cold_start_no_rule_is_free_both_without_noise_and_with_some(stakes, noise, apart):
    """Values are used outside, so only a read-back shows whether there is noise; until one shows some, the two worlds look the same.

    So whatever a rule believes to begin with and however it chooses, in a world without noise it reads back some k times; in one with
    noise p it does the same until an error shows, so it is past its k-th with probability (1 - p) to the k, and acts on trust from
    there on. With 2,000 conversations the interval of the first excess includes 0 only up to three read-backs; with so few, the
    second excess is expected to be half a turn a conversation at normal stakes, seven at high ones, and its interval to lie above 0.
    So at either stakes one cell or more is above 0, whatever is believed to begin with.
    """
    runs, costs = 2000, costs_of(stakes, is_seen=False)
    gap = optimum(noise, costs, only="accept") - optimum(noise, costs, only="confirm")
    free = [k for k in range(40) if mean([1.0] * k + [0.0] * (runs - k)).low <= 0]
    assert free == [0, 1, 2, 3]
    for k in free:
        above = (1 - noise) ** k * gap * (runs - k) / runs
        assert above > apart
        assert above > 1.96 * costs.loss * math.sqrt(noise * (1 - noise) / runs)


def test_two_cells_instead_of_three_would_be_bought_at_a_risk_that_is_not_worth_it():
    """At normal stakes, with about 15 read-backs the excess at a noise of 1 % would no longer be told from 0.

    At 10 % no error has shown by then once in five times, and 0.77 turns a conversation are lost for good; that is six times what
    50 read-backs cost altogether.
    """
    costs = costs_of(Stakes.NORMAL, is_seen=False)
    gap = optimum(0.1, costs, only="accept") - optimum(0.1, costs, only="confirm")
    few, many = 15, 50
    assert 0.9**few > 0.2
    assert 0.9**few * gap > 6 * many / 2000
    assert 0.9**many * gap < 0.2 * many / 2000


def test_another_belief_to_begin_with_makes_no_cell_free_that_was_not():
    """A pair that is trusted at once never learns that it should not be: it does as `never` does."""
    trusting = excess(0.2, Stakes.NORMAL, is_seen=False, runs=200, seed=5, prior=Beta(999.0, 1.0))
    assert trusting.read_back == 0
    assert trusting.over_better.low > 0
    assert excess(0.2, Stakes.NORMAL, is_seen=False, runs=200, seed=5).over_better.low <= 0


@pytest.mark.parametrize(
    ("stakes", "asks"), [(Stakes.LOW, False), (Stakes.NORMAL, True), (Stakes.HIGH, True)]
)
def test_a_doubt_in_the_laboratory_is_decided_by_the_core_as_everywhere(stakes, asks):
    noise = {"ambiguous-referent": 0.5}
    how = {"groundings": ["never"], "is_seen": False, "runs": 60, "seed": 4, "stakes": stakes}
    (blind,) = laboratory_run(noise, **how)
    (noticing,) = laboratory_run(noise, notices=1.0, **how)
    assert blind.measures["undetected"].value > 0.3
    if asks:
        assert noticing.measures["undetected"].value < 0.2
        assert noticing.measures["cost"].value < blind.measures["cost"].value
    else:
        assert noticing.measures["undetected"].value == blind.measures["undetected"].value
        assert noticing.measures["extra_turns"].value == blind.measures["extra_turns"].value
    assert "endless" not in noticing.outcomes
    assert noticing.beyond_bound == 0
