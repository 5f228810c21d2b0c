"""What all stores have in common: their errors, and the tokens of what is kept."""

from agentcomm.errors import StoreError
from agentcomm.store.base import Claim, Entry

__all__ = ("key_used", "no_such", "there_already", "token_after")


def token_after(claim: Claim | None, entry: Entry) -> str:
    """Return the token of claims that a commit with an entry keeps.

    It is the same if the answer is lost and the same is asked again, and as short however often that is done.
    """
    known = claim.token if claim is not None else ""
    return f"{known.partition('+')[0]}+{entry.seq + entry.count}"


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
