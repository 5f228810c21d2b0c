"""What a list says of the conversations in a store."""

import json
from typing import Any, cast

import msgspec

from agentcomm.store.base import Row, Store

__all__ = ("Standing", "standing")

_DOUBT = "in doubt"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where one conversation stands. Times are in seconds since 1970; until when it waits, `Runtime.due` tells."""

    conversation: str
    protocol: str
    state: str
    """The outcome; or `open`, `stuck` where a turn was given up, `in doubt` where nobody knows whether a tool did its work."""
    outcome_class: str | None
    cast: dict[str, str]
    """Role or member -> name."""
    opened: float
    closed: float | None
    records: int
    waits_for: tuple[str, ...]
    at_work: tuple[str, ...]
    """Those of them whose turn goes on now."""


def standing(row: Row, store: Store) -> Standing:
    """Return what a list says of a conversation."""
    told = cast("dict[str, Any]", json.loads(row.about or b"{}"))
    waiting = store.waiting(row.conversation, limit=20) if row.closed is None else []
    if row.closed is not None:
        state = str(told.get("outcome", "closed"))
    elif row.dead:
        is_doubt = any(one.reason.startswith(_DOUBT) for one in store.dead(row.conversation))
        state = _DOUBT if is_doubt else "stuck"
    else:
        state = "open"
    return Standing(
        conversation=row.conversation,
        protocol=str(told.get("protocol", "")),
        state=state,
        outcome_class=told.get("class"),
        cast=told.get("cast", {}),
        opened=row.opened,
        closed=row.closed,
        records=row.head,
        waits_for=tuple(sorted({one.mailbox for one in waiting})),
        at_work=tuple(sorted({one.mailbox for one in waiting if one.is_claimed and one.free > store.now()})),
    )
