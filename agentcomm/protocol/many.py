"""The shape of roles, of a role that several agents play, and of how its lanes settle a conversation."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from agentcomm.protocol.findings import near
from agentcomm.protocol.graph import OutcomeClass, Settle
from agentcomm.protocol.shape import Reader, Word, is_name
from agentcomm.protocol.source import Entry, Node

__all__ = ("RoleSpec", "SettleSpec", "read_roles", "read_settles")

BARRED = ("within", "else", "gather", "run", "as", "with", "then", "first")
"""Keys of a state, so not names of roles."""
MOST = 1_000
"""The biggest many-role."""
_RANGE = re.compile(r"(\d{1,6})\.\.(\d{1,6})")
_SETTLE = re.compile(r"(any|all|most|otherwise|at least)(?: +(\d{1,6}))?(?: +(\S+))?", re.DOTALL)
_QUANTITIES = ("any", "all", "most", "at", "least", "otherwise", "of", "the", "lanes", "members")
_FORMS = "`any x`, `all x`, `most x`, `at least 2 x`, `otherwise`"


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A role, and how many may play it."""

    name: Word
    members: tuple[int, int] | None = None
    """How few and how many; None for one agent."""
    is_clear: bool = True
    """Whether the document says how many."""

    def __str__(self) -> str:
        return self.name.text


@dataclass(frozen=True, slots=True)
class SettleSpec:
    """One condition of `settles`."""

    settle: Settle
    at: Word


def read_roles(reader: Reader, node: Node) -> list[RoleSpec]:
    """Return the roles of a document in its order."""
    if node.entries is not None:
        roles = [
            RoleSpec(Word(entry.key, entry.at), *_members(reader, entry)) for entry in node.entries.values()
        ]
    elif node.items is not None:
        sample = "write its name alone: `- seller`, or `roles: {buyer: 1, seller: 1..20}`"
        words = [reader.word(item, "a role", fix="" if item.is_scalar else sample) for item in node.items]
        roles = [RoleSpec(word) for word in words if word]
        if len(roles) < len(words):  # who speaks may be one that was not understood
            reader.broken = True
            return []
    else:
        words = [word for word in re.split(r"[,;\s]+", node.text or "") if is_name(word)]
        sample = ", ".join(words if len(words) > 1 else ("asker", "answerer"))
        reader.wrong(node.at, f"`roles` is a list, not {node}", fix=f"write `roles: [{sample}]`")
        reader.broken = True
        return []
    if not (node.entries or node.items):
        reader.wrong(node.at, "there are no roles", fix="write `roles: [asker, answerer]`")
        reader.broken = True
    seen: set[str] = set()
    for role in (spec.name for spec in roles):
        if reader.name(role, "a role") and role.text in BARRED:
            reader.wrong(
                role.at,
                f"'{role}' cannot be the name of a role",
                why="it is a key of a state",
                fix="give it another name",
            )
            reader.broken = True
        if role.text in seen:
            reader.wrong(role.at, f"the role '{role}' stands here twice", fix="remove one")
        seen.add(role.text)
    ranges = [spec.name for spec in roles if spec.members]
    for other in ranges[1:]:
        reader.report.add(
            "E705",
            "lanes",
            other.at,
            f"'{other}' and '{ranges[0]}' may both be played by several agents",
            why="each member of one role has a lane of its own; lanes of lanes there are not",
            fix=f"write `{other}: 1`, or let each of them run a protocol of its own",
        )
        reader.broken = True
    return list({spec.name.text: spec for spec in roles}.values())


def _members(reader: Reader, entry: Entry) -> tuple[tuple[int, int] | None, bool]:
    """Return how many play a role, and whether that is clear."""
    node = entry.node
    number = node.value
    if isinstance(number, int) and not isinstance(number, bool):
        low = high = number
        if number == 1:
            return None, True
    elif node.is_scalar and (found := _RANGE.fullmatch(node.raw)):
        low, high = int(found[1]), int(found[2])
    else:
        reader.wrong(
            node.at,
            f"how many play '{entry.key}' is a number or a range, not {node}",
            fix=f"write `{entry.key}: {'..'.join(numbers)}`"
            if len(numbers := re.findall(r"\d{1,6}", node.raw)) == 2  # noqa: PLR2004  (from and to)
            else f"write `{entry.key}: 1`, or `{entry.key}: 1..20` for up to twenty",
        )
        reader.broken = True
        return None, False
    if 1 <= low <= high <= MOST:
        return (low, high), True
    reader.broken = True
    if low < 1:
        why = "where nobody plays it is a branch before lanes begin"
        reader.wrong(node.at, f"a role is played by one at least, not by {low}", why=why, fix="begin with 1")
    elif low > high:
        reader.wrong(node.at, f"{node.raw} is an empty range", fix=f"write `{high}..{low}`")
    else:
        reader.wrong(node.at, f"a role is played by {MOST} agents at most, not by {high}", fix="lower it")
    return None, False


def read_settles(reader: Reader, node: Node) -> list[SettleSpec] | None:
    """Return the conditions of `settles` in the order of the document; None, with findings, if something is wrong with them."""
    if node.entries is None:
        reader.wrong(node.at, f"`settles` is a map, not {node}", fix="write `settles: {success: any done}`")
        return None
    found: list[SettleSpec] = []
    before = len(reader.report.found)
    for entry in node.entries.values():
        if entry.key not in set(OutcomeClass):
            reader.report.add(
                "E102",
                "unknown_name",
                entry.at,
                f"'{entry.key}' is not a class of outcomes",
                why="`settles` says of which class the conversation's outcome is",
                fix=near(entry.key, map(str, OutcomeClass)),
            )
            continue
        words = reader.words(entry.node, f"when the outcome is `{entry.key}`")
        found += _settles(reader, OutcomeClass(entry.key), words)
    return found if len(reader.report.found) == before else None


def _settles(reader: Reader, outcome: OutcomeClass, words: Iterable[Word]) -> list[SettleSpec]:
    found: list[SettleSpec] = []
    for word in words:
        if settle := _settle(outcome, word.text.strip()):
            found.append(SettleSpec(settle, word))
        else:
            names = [
                name for name in re.split(r"[^\w-]+", word.text) if is_name(name) and name not in _QUANTITIES
            ]
            name = names[-1] if names else "done"
            reader.wrong(
                word.at,
                f"'{word}' does not say how lanes settle a conversation",
                why=f"it is {_FORMS}",
                fix=f"write one of these, such as `{_quantified(word.text)} {name}`",
            )
    return found


def _quantified(text: str) -> str:
    """Return the beginning of a condition that a text may have meant."""
    number = re.search(r"\d{1,6}", text)
    return f"at least {number[0]}" if number and int(number[0]) else "any"


def _settle(outcome: OutcomeClass, text: str) -> Settle | None:
    match = _SETTLE.fullmatch(text)
    if not match:
        return None
    quantifier, number, of = match[1], match[2], match[3] or ""
    if (quantifier == "otherwise") != (not of) or (quantifier == "at least") != (number is not None):
        return None
    n = int(number or 0)
    if quantifier == "at least" and n < 1:
        return None
    kind = cast("Literal['any', 'all', 'most', 'at least', 'otherwise']", quantifier)
    return Settle(outcome, kind, of, n)
