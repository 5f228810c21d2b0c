"""A protocol to begin with: written new, or copied from another with other names."""

from collections.abc import Iterable, Sequence

from agentcomm.errors import ProtocolError, UsageError
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.library import loads
from agentcomm.protocol.many import BARRED
from agentcomm.protocol.shape import is_name
from agentcomm.protocol.source import Entry, Node, read

__all__ = ("copied", "written")

_TEXT = """\
agentcomm: 1
protocol: {name}
version: 1
about: One asks for something to be done; the other does it and says so, or declines.

roles: [{roles}]

acts:                                         # what may be said, and what it carries
  request: {{action: text, due: optional datetime}}
  agree:   {{}}
  refuse:  {{reason: text}}
  failure: {{reason: text}}
  done:    {{act: inform, content: {{summary: text}}, discharges: request}}

states:                                       # in this state ... this role may say ... which leads to
  asking:
    {first}: {{request: {asked}}}
  asked:
    {second}: {{agree: {working}, refuse: {refused}, done: {finished}}}
    within: 10m
  working:
    {second}: {{done: {finished}, failure: {failed}}}
    within: 1h
    else: failed

outcomes: {{finished: success, refused: refused, failed: failed, expired: expired}}

limits: {{reply_within: 60s, else: expired}}
"""


def written(name: str, roles: Sequence[str]) -> str:
    """Return a small protocol in which the first role asks and the second does; the others hear it.

    Raises:
        UsageError: If a name cannot be one.
    """
    _check_names(name, roles)
    if len(roles) < 2:  # noqa: PLR2004  (a conversation)
        raise UsageError("a conversation needs two roles", fix="write --roles asker,answerer", code="U441")
    first, second, *others = roles

    def to(target: str, *heard: str) -> str:
        return f"{{next: {target}, to: [{', '.join((*heard, *others))}]}}" if others else target

    text = _TEXT.format(
        name=name,
        roles=", ".join(roles),
        first=first,
        second=second,
        asked=to("asked", second),
        **{target: to(target, first) for target in ("working", "refused", "finished", "failed")},
    )
    return _loaded(text)


def copied(text: str, name: str, roles: Sequence[str]) -> str:
    """Return a protocol's text under another name, its roles renamed in their order; comments stay.

    Args:
        text: A protocol without errors.
        name: The new name.
        roles: New names of the roles; none leaves them.

    Raises:
        UsageError: If a name cannot be one, or there are not as many roles.
    """
    _check_names(name, roles)
    root = read(text).root
    top = root.entries if root and root.entries else {}
    old = list(_role_names(top["roles"].node))
    if roles and len(roles) != len(old):
        raise UsageError(
            f"it has {len(old)} roles: {', '.join(mark_name for mark_name, _ in old)}",
            fix="name as many with --roles, or none",
            code="U441",
        )
    renamed = {before: after for (before, _), after in zip(old, roles, strict=False)}
    places = [(top["protocol"].node.at, top["protocol"].node.raw, name)]
    places += [(at, word, renamed[word]) for word, at in _places(top) if word in renamed]
    return _loaded(_put(text, places))


def _check_names(name: str, roles: Sequence[str]) -> None:
    for word in (name, *roles):
        if not is_name(word) or word in (BARRED if word is not name else ()):
            raise UsageError(
                f"{word!r} cannot be a name",
                why="a name is letters, digits, `-` and `_`, begins with a letter, and is no word of the language that may stand in its place",
                fix="choose another",
                code="U441",
            )
    if len(set(roles)) != len(roles):
        raise UsageError("two roles have one name", fix="give each its own", code="U441")


def _loaded(text: str) -> str:
    try:
        loads(text)
    except ProtocolError as error:
        raise UsageError(
            "with these names it is no protocol", why=str(error), fix="choose other names", code="U441"
        ) from error
    return text


def _role_names(node: Node) -> Iterable[tuple[str, Mark]]:
    if node.entries is not None:
        return [(entry.key, entry.at) for entry in node.entries.values()]
    return [(item.raw, item.at) for item in node.items or ()]


def _places(top: dict[str, Entry]) -> Iterable[tuple[str, Mark]]:
    """Return every word that names a role, with its place."""
    yield from _role_names(top["roles"].node)
    yield from _words(top.get("owner"))
    limits = top["limits"].node.entries if "limits" in top else None
    yield from _words((limits or {}).get("escalate_to"))
    for state in (top["states"].node.entries or {}).values():
        entries = state.node.entries or {}
        for key, entry in entries.items():
            if key in ("gather", "first"):
                yield from _words(entry)
            elif key == "as":
                yield from ((part.node.raw, part.node.at) for part in (entry.node.entries or {}).values())
            elif key not in BARRED:
                yield key, entry.at
                for move in (entry.node.entries or {}).values():
                    yield from _words((move.node.entries or {}).get("to"))
                    yield from _words((move.node.entries or {}).get("owner"))


def _words(entry: Entry | None) -> Iterable[tuple[str, Mark]]:
    if entry is None:
        return []
    nodes = entry.node.items if entry.node.items is not None else [entry.node]
    return [(node.raw, node.at) for node in nodes]


def _put(text: str, places: Iterable[tuple[Mark, str, str]]) -> str:
    """Return a text with words at these places replaced, the last one first; a word in quotes keeps them."""
    lines = text.splitlines(keepends=True)
    for at, before, after in sorted(
        set(places), key=lambda place: (place[0].line, place[0].column), reverse=True
    ):
        line, start = lines[at.line - 1], at.column - 1
        start += line[start : start + 1] in {'"', "'"}
        if line[start : start + len(before)] == before:
            lines[at.line - 1] = line[:start] + after + line[start + len(before) :]
    return "".join(lines)
