"""The common ground, and what can be asked of it: what stands there, who knows it, where it is from, what depends on it.

Source: common ground of Clark 1996; grounded and ungrounded lists of Poesio & Traum 1998.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.parts import Frame, Lanes, Position, Said, Seen, Shared, ledger_of
from agentcomm.protocol.graph import Act, OutcomeClass, Protocol

__all__ = ("CommonGround", "Dependents", "Item", "Standing")


class Standing(StrEnum):
    """How far a value is common ground."""

    PRIVATE = "private"
    """Nobody has said it."""
    PROPOSED = "proposed"
    """It was said, and there is less evidence yet than it takes."""
    GROUNDED = "grounded"
    REPAIRED = "repaired"
    """It is common ground, and it took a repair."""
    DISPUTED = "disputed"
    """There is trouble with it that is not mended yet."""


class Item(msgspec.Struct, frozen=True):
    """One value of the common ground, and where it comes from."""

    value: Any
    by: str
    """The role that said it."""
    act: str
    message: str
    evidence: tuple[str, ...]
    to: tuple[str, ...] = ()
    """The roles that heard it."""
    version: int = 0
    """Place of the message among all, from 1: what is said anew has a higher one."""


class Dependents(msgspec.Struct, frozen=True):
    """What was built on a value; with the value, it would fall."""

    values: tuple[str, ...]
    """`act.field` of acts that repeat it, or were filled with it."""
    commitments: tuple[str, ...]
    """Ids of those that the message with it made."""
    messages: tuple[str, ...]
    """Ids of messages that answer it, as far as they are the latest of their act."""


class CommonGround(Mapping[str, Any]):
    """What both sides have shown to share, with the evidence.

    `ground["price"]` is the value grounded last under this name; `ground["propose.price"]` that of one act.
    """

    def __init__(
        self,
        protocol: Protocol,
        shared: Shared,
        here: Position,
        lanes: Lanes,
        conversation: str,
    ) -> None:
        self._protocol, self._shared, self._here, self._lanes = protocol, shared, here, lanes
        self._conversation = conversation
        self._said: Mapping[str, Said] = here.said
        well = (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL)
        ended = [lane for lane in lanes.values() if lane.outcome and lane.outcome.kind in well]
        if ended:
            self._said = dict(self._said)
            for lane in sorted(ended, key=lambda one: one.lane):
                self._said |= lane.said

    def heard_by(self, role: str) -> "CommonGround":
        """Return what of it a role has said or heard: a message that was not for it tells it nothing."""
        made = CommonGround(self._protocol, self._shared, self._here, self._lanes, self._conversation)
        made._said = {
            act: said
            for act, said in self._said.items()
            if role in (said.message.sender, *said.message.receivers)
        }
        return made

    def item(self, name: str) -> Item | None:
        """Return the value with its source, or None."""
        label, _, only = name.rpartition(".")
        best: tuple[int, Item] | None = None
        for act, said in self._said.items():
            it = said.ground
            if it is None or (label and act != label) or (best is not None and it.n < best[0]):
                continue
            message = it.message
            value = (entries_of(message.content) or {}).get(only)
            if value is not None:
                best = it.n, self._item(it, only, value)
        return best[1] if best else None

    def _item(self, said: Said, only: str, value: Any) -> Item:
        message = said.message
        evidence = self._evidence(said, only)
        return Item(value, message.sender, message.act, message.id, evidence, message.receivers, said.n)

    def _evidence(self, said: Said, only: str) -> tuple[str, ...]:
        """Return what shows that one field was understood: what was read back, or used, shows nothing of the fields beside it."""
        act = self._protocol.acts.get(said.message.act)
        if act is None or not any(one.startswith(("readback:", "used by")) for one in said.evidence):
            return said.evidence
        found = [one for one in said.evidence if self._shows(one, act, only)]
        return tuple(found) or ("delivered",)

    def _shows(self, evidence: str, act: Act, only: str) -> bool:
        if evidence.startswith("readback:"):
            return only in act.readback or only in act.critical
        if evidence.startswith("used by "):
            user = Seen(self._shared, self._conversation).get(
                evidence.removeprefix("used by ").rpartition(":")[0]
            )
            used = self._protocol.acts.get(user.act) if user is not None else None
            return used is None or any(
                (ref.act, ref.field) == (act.label, only) for ref in used.repeats.values()
            )
        return True

    def status(self, name: str) -> Standing:
        """Return how far a value is common ground, by `field` or `act.field`."""
        label, _, only = name.rpartition(".")
        said = self._latest(label, only)
        if self._is_disputed(label, only):
            return Standing.DISPUTED
        if said is None:
            return Standing.PROPOSED if self._pending(label, only) else Standing.PRIVATE
        if not said.grounded:
            return Standing.PROPOSED
        return Standing.REPAIRED if said.repaired else Standing.GROUNDED

    def known(self, by: str, name: str) -> bool:
        """Say whether a value is common ground that a role has said or heard."""
        item = self.item(name)
        return item is not None and by in (item.by, *item.to)

    def dependents(self, name: str) -> Dependents:
        """Return what was built on a value; empty if it is not common ground."""
        item = self.item(name)
        if item is None:
            return Dependents((), (), ())
        only = name.rpartition(".")[2]
        values: list[str] = []
        messages: list[str] = []
        for label, said in self._said.items():
            act = self._protocol.acts.get(label)
            if act is not None and said.n > item.version:
                of = [field for field, ref in act.repeats.items() if (ref.act, ref.field) == (item.act, only)]
                values += [f"{label}.{field}" for field in of]
            if said.message.in_reply_to == item.message:
                messages.append(said.message.id)
        owed = tuple(
            entry.id
            for entry in ledger_of(self._shared, self._here, self._lanes)
            if entry.message == item.message
        )
        return Dependents(tuple(values), owed, tuple(messages))

    def _latest(self, label: str, only: str) -> Said | None:
        found = [
            said
            for act, said in self._said.items()
            if (not label or act == label) and _value(said.message, only) is not None
        ]
        return max(found, key=lambda said: said.n, default=None)

    def _pending(self, label: str, only: str) -> bool:
        frame = self._here.frame
        if frame is None or not frame.pending or (label and frame.it.act != label):
            return False
        return _value(frame.it, only) is not None

    def _is_disputed(self, label: str, only: str) -> bool:
        here = self._here
        frame = here.frame
        if frame is not None and frame.repairing and (not label or frame.it.act == label):
            named = _troubled(frame)
            return only in named if named else _value(frame.it, only) is not None
        if frame is None and here.voided:
            it = Seen(self._shared, self._conversation)[here.voided]
            return (not label or it.act == label) and _value(it, only) is not None
        return False

    def __getitem__(self, name: str) -> Any:
        found = self.item(name)
        if found is None:
            raise KeyError(f"{name!r} is not common ground; there is {', '.join(self) or 'nothing yet'}")
        return found.value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.item(name) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"CommonGround({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def __iter__(self) -> Iterator[str]:
        """Yield `act.field` for every grounded value, in the order it was said."""
        grounded = [said.ground for said in self._said.values()]
        for said in sorted((s for s in grounded if s is not None), key=lambda s: s.n):
            for name, value in (entries_of(said.message.content) or {}).items():
                if value is not None:
                    yield f"{said.message.act}.{name}"

    def newest(self) -> Iterator[tuple[str, Item]]:
        """Yield `act.field` and its value with its source, what was said last first; of one message, in its order."""
        grounded = [said.ground for said in self._said.values()]
        for said in sorted((s for s in grounded if s is not None), key=lambda s: -s.n):
            for name, value in (entries_of(said.message.content) or {}).items():
                if value is not None:
                    yield f"{said.message.act}.{name}", self._item(said, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return `act.field` -> plain value."""
        return {name: to_plain(self[name]) for name in self}


def _troubled(frame: Frame) -> set[str]:
    """Return the fields that a repair is about; none if it is about all of what was said."""
    fields = entries_of(frame.it.content) or {}
    paths = [str(getattr(content, "path", "")) for content in frame.said.values()]
    asked = [frame.asks.path] if frame.asks is not None else []
    return {name for name in (*(one.field for one in frame.trouble), *paths, *asked) if name in fields}


def _value(message: Message, only: str) -> Any:
    return (entries_of(message.content) or {}).get(only)
