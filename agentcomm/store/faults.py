"""Errors that all stores have in common."""

from agentcomm.errors import StoreError

__all__ = ("key_used", "no_such", "there_already")


def no_such(conversation: str) -> StoreError:
    """There is no such conversation."""
    return StoreError(
        f"there is no conversation {conversation!r} here",
        fix="look at the list: agentcomm conversations list",
        code="X406",
    )


def there_already(conversation: str) -> StoreError:
    """There is one of that id."""
    return StoreError(
        f"there is a conversation {conversation!r} already",
        why="an id names one conversation for ever",
        fix="give another id, or none",
        code="X404",
    )


def key_used(key: str) -> StoreError:
    """The key stands for something else."""
    return StoreError(
        f"the key {key!r} was used before, with other content",
        why="a key stands for one request, so that asking again does not open a second conversation",
        fix="give a new key, or ask for the same again",
        code="X405",
    )
