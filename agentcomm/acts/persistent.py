"""What grows with a conversation, as values: adding to one leaves what others hold as it was.

A map that stays small is a dict, copied when it changes; a large one is a trie that shares structure. A record is one dict,
shared by all values that hold it: each sees as many entries as it counts, numbered from 1, and only adding to an older value
copies. Reading is safe from any thread; adding to one record from two threads is not.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from rpds import HashTrieMap

__all__ = ("SMALL", "Record", "entries", "find", "put", "with_entry", "without")

T = TypeVar("T")
K = TypeVar("K")

Record = dict[K, tuple[int, T]]
"""Key -> place in the record, and what stands there."""

SMALL = 32
"""Entries up to which copying a dict costs less than a trie's insertion."""


def with_entry(entries: Mapping[str, T], key: str, value: T) -> Mapping[str, T]:
    """Return a map with one entry more, or another value for one."""
    if isinstance(entries, dict):
        if len(entries) < SMALL:
            return {**entries, key: value}
        return HashTrieMap(entries).insert(key, value)
    if isinstance(entries, HashTrieMap):
        return entries.insert(key, value)
    return {**entries, key: value}


def without(entries: Mapping[str, T], key: str) -> Mapping[str, T]:
    """Return a map without an entry."""
    if key not in entries:
        return entries
    if isinstance(entries, HashTrieMap):
        return entries.remove(key)
    return {name: value for name, value in entries.items() if name != key}


def put(record: "Record[K, T]", count: int, key: K, item: T) -> "Record[K, T]":
    """Return the record with one more entry, under a key that is not among its first `count`."""
    if not count:
        return {key: (1, item)}
    if len(record) != count:
        record = {name: entry for name, entry in record.items() if entry[0] <= count}
    record[key] = (count + 1, item)
    return record


def find(record: "Record[K, T]", count: int, key: K) -> T | None:
    """Return what stands under a key among the first `count` entries, or None."""
    entry = record.get(key)
    return entry[1] if entry is not None and entry[0] <= count else None


def entries(record: "Record[K, T]", count: int) -> Iterator[tuple[K, T]]:
    """Return the first `count` entries in their order."""
    every = tuple(record.items())
    if len(every) == count:
        return iter([(name, item) for name, (_, item) in every])
    return iter([(name, item) for name, (place, item) in every if place <= count])
