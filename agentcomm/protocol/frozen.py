"""A map that cannot be changed: as fast to read as a dict, and it pickles, which a mapping proxy does not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Never, TypeVar

__all__ = ("Frozen", "Later", "freeze")

K = TypeVar("K")
V = TypeVar("V")


def _refuse(_map: object, *_args: Any, **_more: Any) -> Never:
    raise TypeError("a protocol cannot be changed; load another, or build one with agentcomm.protocol.build")


class Frozen(dict[K, V]):
    """A dict whose content stays as it is."""

    __slots__ = ()

    __setitem__ = __delitem__ = _refuse
    __ior__ = _refuse  # type: ignore[assignment]
    clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self) -> "Frozen[K, V]":
        return self


class Later(Mapping[str, V]):
    """A map of which a part is made when it is first asked for: the keys with a prefix."""

    __slots__ = ("_known", "_prefix", "_rest")

    def __init__(
        self, known: Mapping[str, V], prefix: str, rest: Callable[[], Iterable[tuple[str, V]]]
    ) -> None:
        self._known = dict(known)
        self._prefix = prefix
        self._rest: Callable[[], Iterable[tuple[str, V]]] | None = rest

    def _all(self) -> dict[str, V]:
        if self._rest is not None:
            for key, value in self._rest():
                self._known.setdefault(key, value)
            self._rest = None
        return self._known

    def __getitem__(self, key: str) -> V:
        if key in self._known or not key.startswith(self._prefix):
            return self._known[key]
        return self._all()[key]

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (dict(self._all()),)


def freeze(owner: object, *names: str) -> None:
    """Freeze the maps that a frozen dataclass has under some names."""
    for name in names:
        value = getattr(owner, name)
        if type(value) not in (Frozen, Later):
            object.__setattr__(owner, name, Frozen(value))
