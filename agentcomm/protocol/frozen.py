"""A map that cannot be changed: as fast to read as a dict, and it pickles, which a mapping proxy does not."""

from typing import Any, Never, TypeVar

__all__ = ("Frozen", "freeze")

K = TypeVar("K")
V = TypeVar("V")


class Frozen(dict[K, V]):
    """A dict whose content stays as it is."""

    __slots__ = ()

    def _refuse(self, *_args: Any, **_more: Any) -> Never:
        raise TypeError(
            "a protocol cannot be changed; load another, or build one with agentcomm.protocol.build"
        )

    __setitem__ = __delitem__ = _refuse
    __ior__ = _refuse  # type: ignore[assignment]
    clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self) -> "Frozen[K, V]":
        return self


def freeze(owner: object, *names: str) -> None:
    """Freeze the maps that a frozen dataclass has under some names."""
    for name in names:
        value = getattr(owner, name)
        if type(value) is not Frozen:
            object.__setattr__(owner, name, Frozen(value))
