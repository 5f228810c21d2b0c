"""How long a conversation can get, in messages.

Loop by loop, from the ends back: places that lie on no loop together are settled one after the other. Within a loop it is exact
where that is cheap: the longest path through places and what is left of the loop's budgets. Elsewhere the formula
`(B + 1) * L + B`, with B the sum of its budgets and L the longest path without budgeted moves, which is never below it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ("Costs", "Edge", "Row", "longest")

Edge = tuple[str, int | None, str]
"""A move: where it leads, how often, and where it leads after that (an empty text: nowhere)."""
Row = tuple[Sequence[Edge], str]
"""A state: its moves, and where its deadline leads. A deadline costs no message."""

COMBINATIONS = 10_000
"""Up to so many combinations of a loop's budgets the exact maximum is looked for."""
NODES = 100_000
"""Up to so many places in the product of states and budgets: a tenth of a second or two."""


Costs = Mapping[tuple[str, int], int]
"""What a move costs in messages, by state and number of the move in its row; 1 where nothing is said."""


def longest(rows: Mapping[str, Row], start: str, costs: Costs | None = None, *, nodes: int = NODES) -> int:
    """Return the number of messages in the longest conversation.

    The graph without budgeted moves must have no cycle; where it has one, the number means nothing.

    Args:
        rows: The states by name; every other name is an outcome.
        start: Name of the first state.
        costs: Moves that cost more than one message, such as those that are read back.
        nodes: Places in products of states and budgets that are looked at.
    """
    costs = costs or {}
    index = {name: number for number, name in enumerate(rows)}
    ends = len(index)
    table: list[list[_Option]] = []
    for name, (edges, otherwise) in rows.items():
        options = [
            (
                index.get(place, ends),
                budget or 0,
                index.get(after, ends) if after else -1,
                costs.get((name, number), 1) if costs else 1,
            )
            for number, (place, budget, after) in enumerate(edges)
        ]
        options.append((index.get(otherwise, ends), 0, -1, 0))
        table.append(options)
    if start not in index:
        return 0
    search = _Search(table, [0] * (ends + 1), {}, rows, costs, nodes)
    names = list(rows)
    for members in _components(table, index[start]):
        if len(members) == 1 and not _is_loop(table, members[0]):
            search.settle(members[0])
        else:
            search.loop(members, names)
    return search.value[index[start]]


_Step = tuple[int, int, int]
"""Cost in messages, place, code of what is left of the budgets."""
_Option = tuple[int, int, int, int]
"""Of a place: where it leads, how often (0: any number of times), where after that (-1: nowhere), what it costs."""


def _is_loop(table: list[list[_Option]], place: int) -> bool:
    return any(place in (target, after) for target, _, after, _ in table[place])


def _components(table: list[list[_Option]], start: int) -> list[list[int]]:
    """Return the strongly connected components that are reached, each after those that follow from it (Tarjan 1972)."""
    targets = [
        [place for target, _, after, _ in options for place in (target, after) if 0 <= place < len(table)]
        for options in table
    ]
    found: list[list[int]] = []
    low = [-1] * len(table)
    done = bytearray(len(table))
    held: list[int] = []
    count = 0
    stack = [(start, iter(targets[start]))]
    low[start] = 0
    first = {start: 0}
    held.append(start)
    while stack:
        place, rest = stack[-1]
        for target in rest:
            if low[target] < 0:
                count += 1
                first[target] = low[target] = count
                held.append(target)
                stack.append((target, iter(targets[target])))
                break
            if not done[target]:
                low[place] = min(low[place], low[target])
        else:
            stack.pop()
            if stack:
                before = stack[-1][0]
                low[before] = min(low[before], low[place])
            if low[place] == first[place]:
                position = len(held) - 1
                while held[position] != place:
                    position -= 1
                members = held[position:]
                del held[position:]
                for member in members:
                    done[member] = 1
                found.append(members)
    return found


@dataclass(slots=True)
class _Search:
    """The longest way from each place to the end, as far as it is known."""

    table: list[list[_Option]]
    value: list[int]
    inner: dict[int, list[tuple[int, int, int, int, int]]]
    """Of the loop at hand: target, weight and radix of the budget, target after that, cost."""
    rows: Mapping[str, Row]
    costs: Costs
    nodes: int
    """Places in products that may still be looked at."""

    def settle(self, place: int) -> None:
        """Find the value of a place that lies on no loop; a budget there is never used up."""
        self.value[place] = max(cost + self.value[target] for target, _, _, cost in self.table[place])

    def loop(self, members: list[int], names: list[str]) -> None:
        """Find the values of the places of a loop."""
        inside = set(members)
        combinations = weight = 1
        full = total = 0
        self.inner = {}
        for place in members:
            row: list[tuple[int, int, int, int, int]] = []
            for target, budget, after, cost in self.table[place]:
                if budget and target in inside:
                    row.append((target, weight, budget + 1, after, cost))
                    if combinations <= COMBINATIONS:
                        combinations *= budget + 1
                        full += budget * weight
                        weight *= budget + 1
                    total += budget
                else:
                    row.append((target, 0, 0, -1, cost))
            self.inner[place] = row
        if combinations <= COMBINATIONS and (known := self._exact(members, inside, full)) is not None:
            for place in members:
                self.value[place] = known[place]
            return
        options = [option for place in members for option in self.table[place]]
        leaving = [
            self.value[place]
            for target, _, after, _ in options
            for place in (target, after)
            if place not in inside and place >= 0
        ]
        dearest = max((1, *(cost for *_, cost in options)))
        spent = any(budget and target not in inside for target, budget, _, _ in options)
        free = _longest_free({names[place]: self.rows[names[place]] for place in members}, self.costs)
        most = (total + 1) * free + (total + spent) * dearest + max(leaving, default=0)
        for place in members:
            self.value[place] = most

    def _exact(self, members: list[int], inside: set[int], full: int) -> dict[int, int] | None:
        """Return the exact values, or None where the product of places and budgets has too many places.

        What is left of all budgets is one number in mixed radix, so that a place in the product is a pair of numbers.
        """
        best: dict[tuple[int, int], int] = {}
        for entry in members:
            stack: list[tuple[tuple[int, int], list[_Step] | None]] = [((entry, full), None)]
            while stack:
                node, known = stack.pop()
                if known is not None:
                    best[node] = max(
                        cost + (best.get((place, left), 0) if place in inside else self.value[place])
                        for cost, place, left in known
                    )
                elif node not in best:
                    self.nodes -= 1
                    if self.nodes < 0:
                        return None
                    best[node] = 0
                    following = self._steps(*node)
                    stack.append((node, following))
                    stack.extend(
                        ((place, left), None)
                        for _, place, left in following
                        if place in inside and (place, left) not in best
                    )
        return {entry: best[entry, full] for entry in members}

    def _steps(self, place: int, left: int) -> list[_Step]:
        found: list[_Step] = []
        for target, unit, radix, after, cost in self.inner[place]:
            if not unit:
                found.append((cost, target, left))
            elif left // unit % radix:
                found.append((cost, target, left - unit))
            elif after >= 0:
                found.append((cost, after, left))
        return found


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
