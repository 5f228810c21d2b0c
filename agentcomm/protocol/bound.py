"""How long a conversation can get, in messages.

Exact where that is cheap: the longest path through places and what is left of the budgets. Elsewhere the formula
`(B + 1) * L + B`, with B the sum of the budgets and L the longest path without budgeted moves, which is never below it.
"""

from collections.abc import Mapping, Sequence

__all__ = ("Costs", "Edge", "Row", "longest")

Edge = tuple[str, int | None, str]
"""A move: where it leads, how often, and where it leads after that (an empty text: nowhere)."""
Row = tuple[Sequence[Edge], str]
"""A state: its moves, and where its deadline leads. A deadline costs no message."""

COMBINATIONS = 10_000
"""Up to so many combinations of budgets the exact maximum is looked for."""
NODES = 100_000
"""Up to so many places in the product of states and budgets: a tenth of a second or two."""


Costs = Mapping[tuple[str, int], int]
"""What a move costs in messages, by state and number of the move in its row; 1 where nothing is said."""


def longest(rows: Mapping[str, Row], start: str, costs: Costs | None = None) -> int:
    """Return the number of messages in the longest conversation.

    The graph without budgeted moves must have no cycle; where it has one, the number means nothing.

    Args:
        rows: The states by name; every other name is an outcome.
        start: Name of the first state.
        costs: Moves that cost more than one message, such as those that are read back.
    """
    costs = costs or {}
    budgets = [edge[1] for edges, _ in rows.values() for edge in edges if edge[1] is not None]
    combinations = 1
    for budget in budgets:
        combinations *= budget + 1
        if combinations > COMBINATIONS:
            break
    if combinations <= COMBINATIONS and (exact := _exact(rows, start, costs)) is not None:
        return exact
    total = sum(budgets)
    return (total + 1) * _longest_free(rows, costs) + total * max((1, *costs.values()))


_Step = tuple[int, int, int]
"""Cost in messages, place, code of what is left of the budgets."""


def _exact(rows: Mapping[str, Row], start: str, costs: Costs) -> int | None:
    """Return the exact maximum, or None where the product has too many places.

    What is left of all budgets is one number in mixed radix, so that a place in the product is a pair of numbers.
    """
    index = {name: number for number, name in enumerate(rows)}
    ends = len(index)
    table: list[tuple[list[tuple[int, int, int, int, int]], int]] = []
    full, weight = 0, 1
    for name, (edges, otherwise) in rows.items():
        row: list[tuple[int, int, int, int, int]] = []
        for number, (place, budget, after) in enumerate(edges):
            target, cost = index.get(place, ends), costs.get((name, number), 1)
            if budget is None:
                row.append((target, 0, 0, -1, cost))
            else:
                row.append((target, weight, budget + 1, index.get(after, ends) if after else -1, cost))
                full += budget * weight
                weight *= budget + 1
        table.append((row, index.get(otherwise, ends)))

    def steps(place: int, left: int) -> list[_Step]:
        row, otherwise = table[place]
        found: list[_Step] = [(0, otherwise, left)]
        for target, unit, radix, after, cost in row:
            if not unit:
                found.append((cost, target, left))
            elif left // unit % radix:
                found.append((cost, target, left - unit))
            elif after >= 0:
                found.append((cost, after, left))
        return found

    best: dict[tuple[int, int], int] = {}
    stack: list[tuple[tuple[int, int], list[_Step] | None]] = [((index.get(start, ends), full), None)]
    while stack:
        node, known = stack.pop()
        if known is not None:
            best[node] = max(cost + best.get((place, left), 0) for cost, place, left in known)
        elif node[0] == ends:
            best[node] = 0
        elif node not in best:
            if len(best) >= NODES:
                return None
            best[node] = 0
            following = steps(*node)
            stack.append((node, following))
            stack.extend(((place, left), None) for _, place, left in following if (place, left) not in best)
    return best[index.get(start, ends), full]


def _longest_free(rows: Mapping[str, Row], costs: Costs) -> int:
    """Return the longest path in messages over everything but budgeted moves, from any state."""
    out: dict[str, list[tuple[int, str]]] = {}
    incoming = dict.fromkeys(rows, 0)
    for name, (edges, otherwise) in rows.items():
        row = [(0, otherwise)]
        for number, (place, budget, after) in enumerate(edges):
            cost = costs.get((name, number), 1)
            if budget is None:
                row.append((cost, place))
            elif after:
                row.append((cost, after))
        out[name] = row
        for _, place in row:
            if place in incoming:
                incoming[place] += 1
    length = dict.fromkeys(rows, 0)
    ready = [name for name, count in incoming.items() if not count]
    longest_path = 0
    while ready:
        name = ready.pop()
        for cost, place in out[name]:
            reached = length[name] + cost
            longest_path = max(longest_path, reached)
            if place in length:
                length[place] = max(length[place], reached)
                incoming[place] -= 1
                if not incoming[place]:
                    ready.append(place)
    return longest_path
