"""The shape of states and moves: who may speak, what, and where it leads, in long form."""

from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec

from agentcomm.acts.content import parse_duration
from agentcomm.protocol.findings import near
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.shape import Reader, Word
from agentcomm.protocol.source import Entry, Node

__all__ = ("MoveSpec", "RunSpec", "StateSpec", "read_states")

_STATE = ("within", "else", "gather", "run", "as", "with", "then", "first")
_MOVE = ("next", "to", "for", "max", "then", "at_most", "at_once", "when", "stakes", "owner")


class MoveSpec(msgspec.Struct, frozen=True, gc=False):
    """A move in its long form."""

    label: Word
    next: Word
    to: tuple[Word, ...] | None = None
    is_plain: bool = False
    """Whether it has nothing of what follows."""
    max: int | None = None
    then: Word | None = None
    when: tuple[Word, ...] = ()
    stakes: Word | None = None
    owner: Word | None = None
    for_all: bool = False
    at_most: int | None = None
    at_once: int | None = None


class RunSpec(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A protocol that a state runs."""

    protocol: Word
    roles: tuple[tuple[Word, Word], ...] = ()
    """Their role, our role."""
    given: tuple[tuple[Word, Word], ...] = ()
    """Their act.field, our act.field."""
    then: tuple[tuple[Word, Word], ...] = ()
    """Their class of outcomes, our state."""
    is_clear: bool = True
    """Whether `then` could be read."""


class StateSpec(msgspec.Struct, frozen=True, gc=False):
    """A state in its long form."""

    name: Word
    speakers: tuple[tuple[Word, tuple[MoveSpec, ...]], ...]
    """More than one is a race."""
    within: float | None = None
    within_at: Mark | None = None
    otherwise: Word | None = None
    gather: Word | None = None
    first: Word | None = None
    run: RunSpec | None = None


def read_states(reader: Reader, node: Node, roles: Iterable[str]) -> list[StateSpec]:
    """Return the states of a document in its order; a role that is not indented enough is none."""
    names = set(roles)
    found: list[StateSpec] = []
    for entry in reader.entries(node, "`states`").values():
        inner = set(entry.node.entries or ())
        if entry.key in names and inner and inner.isdisjoint(names.union(_STATE)):
            reader.wrong(
                entry.at,
                f"'{entry.key}' is a role, and stands where states do",
                why="what a role may say stands in a state",
                fix=f"indent it under '{found[-1].name}'" if found else "name a state above it",
            )
            reader.broken = True
        else:
            found.append(_state(reader, entry, names))
    return found


def _state(reader: Reader, entry: Entry, roles: Container[str]) -> StateSpec:
    """Return a state; a key of states that is the name of a role, which is told of there, is one where it has moves."""
    name = Word(entry.key, entry.at)
    reader.name(name, "a state")
    given = entry.node.entries
    if given is None:
        if not (entry.node.is_scalar and entry.node.value is None):
            sample = "write `asked: {seller: {propose: offered}}`"
            reader.entries(entry.node, f"the state '{name}'", fix=sample)
        return StateSpec(name=name, speakers=())
    keys: dict[str, Entry] = {}
    speakers: list[tuple[Word, tuple[MoveSpec, ...]]] = []
    for key, item in given.items():
        if key in _STATE and not (key in roles and item.node.entries is not None and "run" not in given):
            keys[key] = item
            continue
        role = Word(key, item.at)
        said = item.node.entries
        if said is None and not (item.node.is_scalar and item.node.value is None):
            hint = near(key, _STATE)
            if not hint.startswith("did"):
                hint = _deadline(key, item.node) or f"write `{key}: {{act: next-state}}`"
            reader.wrong(
                item.at,
                f"'{key}' under the state '{name}' is neither a role with its moves nor a key of a state",
                fix=hint,
            )
            reader.broken = True
            continue
        moves = [move for one in said.values() if (move := _move(reader, name, one))] if said else []
        speakers.append((role, tuple(moves)))
    if not keys:
        return StateSpec(name, tuple(speakers))
    if len(keys) + len(speakers) == len(given):
        _check_keys(reader, name, keys, [role for role, _ in speakers])
    within, runs = keys.get("within"), "run" in keys
    return StateSpec(
        name=name,
        speakers=tuple(speakers),
        within=reader.optional(within, reader.duration, "`within`"),
        within_at=within.node.at if within else None,
        otherwise=reader.optional(keys.get("else"), reader.word, "`else`"),
        gather=None if runs else reader.optional(keys.get("gather"), reader.word, "`gather`"),
        first=None if runs else reader.optional(keys.get("first"), reader.word, "`first`"),
        run=_run(reader, keys) if runs else None,
    )


def _deadline(key: str, node: Node) -> str:
    """Return what to write for a deadline under another name."""
    try:
        parse_duration(node.text)
    except (ValueError, OverflowError):
        return "write `else: a-state`" if key.startswith(("on_", "on-", "timeout", "default")) else ""
    return f"write `within: {node.raw}`, and `else: a-state` for what then follows"


def _check_keys(reader: Reader, name: Word, keys: Mapping[str, Entry], speakers: list[Word]) -> None:
    """Tell keys of a state that do not go together."""
    if "run" not in keys:
        for key in ("as", "with", "then"):
            if key in keys:
                reader.wrong(keys[key].at, f"`{key}` without `run`", fix="remove it, or put it on a move")
                reader.broken = True
        return
    for role in speakers:
        reader.wrong(
            role.at,
            f"'{name}' runs a protocol, and '{role}' speaks in it",
            why="while a protocol runs, its own states say who speaks",
            fix=f"give '{role}' a state of its own",
        )
        reader.broken = True
    for key in ("gather", "first"):
        if key in keys:
            reader.wrong(keys[key].at, f"`{key}` does not go with `run`", fix="give it a state of its own")
    if "else" in keys and "within" not in keys:
        reader.wrong(
            keys["else"].at,
            "`else` of a run without `within`",
            why="the deadlines within a run are those of its protocol; `within` bounds the whole of it",
            fix="add `within: 10m`, or remove `else`",
        )


def _run(reader: Reader, keys: Mapping[str, Entry]) -> RunSpec | None:
    protocol = reader.word(keys["run"].node, "`run`", fix="write `run: request`")
    if protocol is None:
        reader.broken = True
        return None

    def pairs(key: str, value: str, sample: str) -> tuple[tuple[Word, Word], ...]:
        entry = keys.get(key)
        return reader.pairs(entry.node, f"`{key}`", value, fix=f"write `{key}: {sample}`") if entry else ()

    return RunSpec(
        protocol=protocol,
        roles=pairs("as", "one of our roles", "{their-role: our-role}"),
        given=pairs("with", "a value on record", "{their-act.field: our-act.field}"),
        then=pairs("then", "what follows", "{success: next-state, otherwise: other-state}"),
        is_clear="then" not in keys or keys["then"].node.entries is not None,
    )


def _move(reader: Reader, state: Word, entry: Entry) -> MoveSpec | None:
    label, node = Word(entry.key, entry.at), entry.node
    if isinstance(text := node.value, str):
        return MoveSpec(label, Word(text, node.at), None, True)
    if node.entries is None:
        if node.items is None:
            reader.word(node, f"what '{label}' leads to")
        if node.items is not None:
            reader.wrong(
                node.at,
                f"'{label}' leads to one state, not to a list",
                why="what is said decides; one act leads to one place",
                fix="give each way an act of its own",
            )
        reader.broken = True
        return None
    keys = node.entries
    if len(keys) == 2 and "next" in keys and "to" in keys:  # noqa: PLR2004  (most moves of several roles)
        goal, hearers = keys["next"].node, _heard(keys["to"].node)
        if isinstance(text := goal.value, str) and hearers:
            return MoveSpec(label, Word(text, goal.at), hearers, True)
    if not keys.keys() <= _MOVE_KEYS:
        keys = reader.known(node, f"the move '{label}' in '{state}'", _MOVE)
    given: dict[str, Any] = {_FIELDS.get(key, key): _value(reader, key, item) for key, item in keys.items()}
    if len(keys) < len(node.entries):
        reader.broken = True
        return None
    if "then" in keys and "max" not in keys:
        reader.wrong(
            keys["then"].at,
            "`then` without `max`",
            why="`then` says where the move leads once `max` is used up",
            fix="add `max: 3`, or remove `then`",
        )
        given["then"] = None
    if given.get("next") is None:
        if "next" not in keys:
            reader.wrong(label.at, f"the move '{label}' in '{state}' leads nowhere", fix="add `next:`")
        reader.broken = True
        return None
    if "max" in keys and given["max"] is None:
        reader.broken = True
    return MoveSpec(label=label, **given)


_FIELDS = {"for": "for_all"}
_WORD_KEYS = frozenset(("next", "then", "stakes", "owner"))
_MOVE_KEYS = frozenset(_MOVE)


def _value(reader: Reader, key: str, entry: Entry) -> Any:
    """Return the value of a key of a move."""
    node = entry.node
    if key in _WORD_KEYS:
        return Word(node.value, node.at) if isinstance(node.value, str) else reader.word(node, f"`{key}`")
    if key == "to" and (heard := _heard(node)):
        return heard
    match key:
        case "max" | "at_most" | "at_once":
            return reader.count(entry.node, f"`{key}`")
        case "for":
            return _is_for_all(reader, entry)
        case _:
            return reader.words(entry.node, f"`{key}`")


def _heard(node: Node) -> tuple[Word, ...]:
    """Return the words of a list, or one alone; none if one is no word."""
    if isinstance(text := node.value, str):
        return (Word(text, node.at),)
    found = [Word(text, item.at) for item in node.items or () if isinstance(text := item.value, str)]
    return tuple(found) if node.items and len(found) == len(node.items) else ()


def _is_for_all(reader: Reader, entry: Entry) -> bool:
    if entry.node.text != "all":
        reader.wrong(
            entry.node.at,
            f"`for` is `all`, not {entry.node}",
            why="a move is made in one lane, or said once in all of them",
            fix="write `for: all`, or remove it",
        )
    return True
