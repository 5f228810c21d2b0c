import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.protocol import bound
from agentcomm.protocol.bound import longest


def walked(rows, start, costs=None):
    """Return the longest conversation by trying all of them."""
    costs = costs or {}

    def go(place, spent):
        if place not in rows:
            return 0
        edges, otherwise = rows[place]
        best = go(otherwise, spent)
        for number, (target, budget, after) in enumerate(edges):
            cost = costs.get((place, number), 1)
            if budget is None:
                best = max(best, cost + go(target, spent))
                continue
            used = spent.get((place, number), 0)
            if used < budget:
                best = max(best, cost + go(target, {**spent, (place, number): used + 1}))
            elif after:
                best = max(best, cost + go(after, spent))
        return best

    return go(start, {})


@st.composite
def graphs(draw):
    """Graphs whose arcs without a budget lead forward only."""
    count = draw(st.integers(1, 4))
    names = [f"s{number}" for number in range(count)]
    rows = {}
    for number, name in enumerate(names):
        forward = st.sampled_from([*names[number + 1 :], "end"])
        edges = []
        for _ in range(draw(st.integers(0, 3))):
            budget = draw(st.sampled_from([None, None, 1, 2]))
            target = draw(forward if budget is None else st.sampled_from([*names, "end"]))
            after = draw(st.sampled_from([""]) | forward) if budget else ""
            edges.append((target, budget, after))
        rows[name] = (edges, draw(forward))
    return rows


@given(graphs())
def test_the_bound_is_exact(rows):
    assert longest(rows, "s0") == walked(rows, "s0")


@given(
    graphs(),
    st.dictionaries(st.tuples(st.sampled_from(["s0", "s1", "s2"]), st.integers(0, 2)), st.integers(2, 4)),
)
def test_moves_may_cost_more_than_one_message(rows, costs):
    exact = walked(rows, "s0", costs)
    assert longest(rows, "s0", costs) == exact
    budgets = sum(edge[1] or 0 for edges, _ in rows.values() for edge in edges)
    dearest = max((1, *costs.values()))
    assert (budgets + 1) * bound._longest_free(rows, costs) + budgets * dearest >= exact


@given(graphs())
def test_the_formula_is_never_below(rows):
    budgets = sum(edge[1] or 0 for edges, _ in rows.values() for edge in edges)
    assert (budgets + 1) * bound._longest_free(rows, {}) + budgets >= walked(rows, "s0")


def test_a_deadline_costs_no_message():
    assert longest({"a": ([("b", None, "")], "c"), "b": ([], "end"), "c": ([], "end")}, "a") == 1
    assert longest({"a": ([("end", None, "")], "b"), "b": ([("end", None, "")], "end")}, "a") == 1


@pytest.mark.parametrize("budget", [3, 9_998, 20_000])
def test_big_budgets(budget):
    rows = {"a": ([("b", None, "")], "end"), "b": ([("a", budget, "end")], "end")}
    exact = 2 + 2 * budget
    assert exact <= longest(rows, "a") <= (budget + 1) * 2 + budget


def test_budgets_of_different_loops_do_not_multiply():
    rows = {f"s{number}": ([(f"s{number}", 9, f"s{number + 1}")], "end") for number in range(20)}
    assert longest(rows, "s0") == 20 * 10


def test_many_budgets_of_one_loop_use_the_formula():
    rows = {f"s{number}": ([(f"s{number + 1}", None, ""), ("s0", 9, "")], "end") for number in range(20)}
    assert longest(rows, "s0") == (180 + 1) * 20 + 180


def test_a_long_row_of_loops_is_exact():
    rows = {}
    for number in range(3_000):
        rows[f"a{number}"] = ([(f"b{number}", None, "")], "end")
        rows[f"b{number}"] = ([(f"a{number}", 2, f"a{number + 1}")], "end")
    assert longest(rows, "a0") == 3_000 * 6
