"""How long a conversation over a protocol can get, in messages: runs at their price, lanes added up.

Every lane is given its longest way. Two things make that less: a move that `at_most` so many lanes make, so that what follows
from it alone is walked by no more; and a gather in which few lanes may stand `at_once`, where each turn has no more messages.
"""

# ruff: noqa: D102  (the tables say what each of these is)

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, Protocol, TypeVar

from agentcomm.protocol.bound import Row, longest

__all__ = ("BoundedMove", "BoundedProtocol", "BoundedRun", "BoundedState", "Ceiling")


class BoundedMove(Protocol):
    """What the bound needs of a move; the tables, which know their bound, have it all."""

    @property
    def state(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def next(self) -> str: ...
    @property
    def max(self) -> int | None: ...
    @property
    def then(self) -> str: ...
    @property
    def for_all(self) -> bool: ...
    @property
    def at_most(self) -> int | None: ...
    @property
    def at_once(self) -> int | None: ...


M = TypeVar("M", bound=BoundedMove)
M_co = TypeVar("M_co", bound=BoundedMove, covariant=True)


class BoundedState(Protocol[M_co]):
    """What the bound needs of a state."""

    @property
    def name(self) -> str: ...
    @property
    def moves(self) -> Mapping[str, M_co]: ...
    @property
    def otherwise(self) -> str: ...
    @property
    def gather(self) -> bool: ...
    @property
    def in_lane(self) -> bool: ...
    @property
    def region(self) -> str: ...


class BoundedRun(Protocol[M_co]):
    """What the bound needs of a run."""

    @property
    def protocol(self) -> "BoundedProtocol[M_co]": ...
    @property
    def then(self) -> Mapping[str, str]: ...
    @property
    def otherwise(self) -> str: ...


class BoundedProtocol(Protocol[M_co]):
    """What the bound needs of a protocol."""

    @property
    def states(self) -> Mapping[str, BoundedState[M_co]]: ...
    @property
    def runs(self) -> Mapping[str, BoundedRun[M_co]]: ...
    @property
    def start(self) -> str: ...
    @property
    def many(self) -> str: ...
    @property
    def members(self) -> tuple[int, int]: ...
    def ours(self, run: str, move: BoundedMove) -> M_co: ...


@dataclass
class Ceiling(Generic[M]):
    """The longest conversation over a protocol."""

    protocol: BoundedProtocol[M]

    def of(self, cost: Callable[[M], int]) -> int:
        """Return it where a move costs so many messages.

        What is said `for: all` counts once where it has a budget, or where all lanes stand together.
        """
        if not self.protocol.many:
            return self._longest(cost)
        return self._lanes(cost) + self._shared(cost)

    def alone(self) -> int:
        """Return it without overlays, each move one message.

        Without overlays a lane stands at each gather until its end, so there are no more turns than it makes moves there.
        """
        plain = self.of(lambda _move: 1)
        if not self._crowds:
            return plain
        turns = self._longest(lambda move: int(self.protocol.states[move.state].gather), is_turn=True)
        crowded = sum(self._crowds.values()) * turns
        apart = self._lanes(lambda move: int(move.state not in self._crowds))
        return min(plain, apart + crowded + self._shared(lambda _move: 1))

    # --- lanes ---

    def _lanes(self, cost: Callable[[M], int]) -> int:
        """Return what is said lane by lane."""

        def of_lane(move: M) -> int:
            return cost(move) if self._counted(move) == "lane" else 0

        many = self.protocol.members[1]
        whole = many * self._longest(of_lane)
        if self._late_lanes >= many or not self._late:
            return whole
        early = many * self._longest(lambda move: 0 if move.state in self._late else of_lane(move))
        late = self._late_lanes * self._longest(lambda move: of_lane(move) if move.state in self._late else 0)
        return min(whole, early + late)

    def _shared(self, cost: Callable[[M], int]) -> int:
        """Return what is said before lanes begin, and once for all of them."""
        moves = [move for state in self.protocol.states.values() for move in state.moves.values()]
        return self._longest(lambda move: cost(move) if self._counted(move) == "together" else 0) + sum(
            cost(move) * (move.max or 0) for move in moves if self._counted(move) == "budget"
        )

    def _counted(self, move: M) -> Literal["lane", "together", "budget"]:
        state = self.protocol.states[move.state]
        if not state.in_lane or (move.for_all and (not state.gather or self._gathers == [move.state])):
            return "together"
        return "budget" if move.for_all and move.max is not None and not move.then else "lane"

    @cached_property
    def _gathers(self) -> list[str]:
        return [state.name for state in self.protocol.states.values() if state.gather]

    @cached_property
    def _late(self) -> frozenset[str]:
        """States that a lane gets to by a move with `at_most` only."""
        states = self.protocol.states
        queue = [self.protocol.start]
        seen = set(queue)
        for name in queue:
            state = states[name]
            targets = set(self._deadlines(state))
            targets |= {
                place for move in state.moves.values() if not move.at_most for place in (move.next, move.then)
            }
            queue += sorted(targets & states.keys() - seen)
            seen |= targets
        return frozenset(states.keys() - seen)

    @cached_property
    def _late_lanes(self) -> int:
        """How many lanes may get to them."""
        return sum(
            move.at_most or 0
            for name, state in self.protocol.states.items()
            for move in state.moves.values()
            if name not in self._late and not self._late.isdisjoint((move.next, move.then))
        )

    @cached_property
    def _crowds(self) -> dict[str, int]:
        """Gathers that every lane gets to by a move with `at_once`, and how many may stand there."""
        found: dict[str, int] = {}
        open_to_all = {self.protocol.start}
        for name, state in self.protocol.states.items():
            open_to_all.update(place for place in self._deadlines(state) if place != name)
            for move in state.moves.values():
                open_to_all.add(move.then)
                if move.at_once:
                    found[move.next] = max(move.at_once, found.get(move.next, 0))
                elif move.next != name:
                    open_to_all.add(move.next)
        return {
            name: most for name, most in found.items() if name in self._gathers and name not in open_to_all
        }

    def _deadlines(self, state: BoundedState[M]) -> Iterator[str]:
        yield state.otherwise
        region = state.region
        while region:
            yield self.protocol.runs[region].otherwise
            region = region.rpartition("/")[0]

    # --- one way ---

    def _longest(self, cost: Callable[[M], int], *, is_turn: bool = False) -> int:
        """Return the dearest way through the graph, each run at the price of its own dearest way.

        With `is_turn`, a deadline that runs out at a gather costs one, too.
        """
        protocol = self.protocol
        rows: dict[str, Row] = {}
        costs: dict[tuple[str, int], int] = {}

        def place(name: str) -> str:
            region = name.partition("/")[0]
            return region if region in protocol.runs else name

        for name, state in protocol.states.items():
            if state.region:
                continue
            moves = list(state.moves.values())
            edges = [(place(move.next), move.max, place(move.then)) for move in moves]
            costs |= {
                (name, number): price for number, move in enumerate(moves) if (price := cost(move)) != 1
            }
            if is_turn and state.gather:
                edges.append((place(state.otherwise), None, ""))
            rows[name] = edges, place(state.otherwise)
        for name, run in protocol.runs.items():
            if "/" in name:
                continue
            price = Ceiling(run.protocol).of(lambda move, name=name: cost(protocol.ours(name, move)))
            targets = list(dict.fromkeys(place(target) for target in run.then.values()))
            rows[name] = [(target, None, "") for target in targets], place(run.otherwise or targets[-1])
            costs |= {(name, number): price for number in range(len(targets))}
        return longest(rows, place(protocol.start), costs)
