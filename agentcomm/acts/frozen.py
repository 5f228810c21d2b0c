"""Lists and maps that cannot be changed: what is on record stays as it was said, whoever holds it."""

from typing import Any, Never, cast

from pydantic import BaseModel

__all__ = ("FrozenDict", "FrozenList", "freeze")


def _refuse(*_given: Any, **_more: Any) -> Never:
    raise TypeError("what was said cannot be changed; make a copy with list(…) or dict(…)")


class FrozenList(list[Any]):
    """A list that is read only; a copy of it is a plain list."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> Any:
        return list, (list(self),)


class FrozenDict(dict[str, Any]):
    """A map that is read only; a copy of it is a plain dict."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def freeze(value: Any) -> Any:
    """Return `value` with every list and map in it read only; content classes are frozen in place."""
    match value:
        case BaseModel():
            fields = cast("dict[str, Any]", value.__dict__)
            for name, item in fields.items():
                if isinstance(item, list | dict | BaseModel):
                    fields[name] = freeze(item)
            return value
        case list():
            return FrozenList(freeze(item) for item in cast("list[Any]", value))
        case dict():
            return FrozenDict((key, freeze(item)) for key, item in cast("dict[str, Any]", value).items())
        case _:
            return value
