"""Read the text of a protocol: YAML in, a plain tree out, in which every key and value keeps its place.

A closed, dull part of YAML 1.2: its core scalars, no tags, no merge keys, one document, keys are words. Built from parser
events and without recursion, so that no document is too deep, too big or too clever. The only importer of yaml.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import msgspec
import yaml

from agentcomm.protocol.findings import NOWHERE, Report, TooMany
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.syntax import tell_syntax

__all__ = ("BYTES", "Entry", "Node", "ReadLimits", "Scalar", "Source", "decoded", "read", "read_all")

Scalar: TypeAlias = str | int | float | bool | None

_AFTER = 20_000
"""Values that are still read, for more findings, after a key that stands twice."""
_SMALL = 256 * 1024
"""Bytes up to which the slow parser is asked, too."""
BYTES = 4 * 1024 * 1024 if hasattr(yaml, "CSafeLoader") else _SMALL
"""Bytes of the biggest document: enough for 10,000 states with 30,000 moves."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How big a document may be."""

    size: int = BYTES
    """Bytes."""
    depth: int = 40
    aliases: int = 50
    nodes: int = 250_000
    """Values, after aliases are followed; keys are not counted."""


class Entry(msgspec.Struct, gc=False):
    """A key and its value."""

    key: str
    at: Mark
    node: "Node"


class Node(msgspec.Struct, gc=False):
    """A value of the document."""

    at: Mark
    value: Scalar = None
    """For a scalar."""
    raw: str = ""
    """For a scalar: as it was written, without quotes."""
    entries: dict[str, Entry] | None = None
    """For a map."""
    items: "list[Node] | None" = None
    """For a list."""
    size: int = 1
    """Values in it, itself included."""
    height: int = 0
    """Levels in it."""

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither a map nor a list."""
        return self.entries is None and self.items is None

    @property
    def text(self) -> str | None:
        """The text, if it is one."""
        return self.value if isinstance(self.value, str) else None

    def __str__(self) -> str:
        if self.entries is not None:
            return "a map"
        if self.items is not None:
            return "a list"
        match self.value:
            case None:
                return "nothing"
            case bool():
                return f"the boolean {self.raw}"
            case int() | float():
                return f"the number {self.raw}"
            case str():
                return f"'{self.value}'"


@dataclass(slots=True)
class Source:
    """A document that was read."""

    text: str
    root: Node | None
    """None if it could not be read; then the report says why."""
    report: Report = field(default_factory=Report)


def read(data: bytes | str, path: str = "", *, limits: ReadLimits | None = None) -> Source:
    """Return the tree of a document; what is wrong with it stands in the report.

    Args:
        data: The document; bytes are UTF-8.
        path: Its name, for findings.
        limits: How big it may be.
    """
    return _read(data, path, limits or ReadLimits(), many=False)


def read_all(data: bytes | str, path: str = "", *, limits: ReadLimits | None = None) -> Source:
    """Return the trees of a text with several documents, for other languages than ours: the root is a list of them.

    Args:
        data: The text; bytes are UTF-8.
        path: Its name, for findings.
        limits: How big it may be.
    """
    return _read(data, path, limits or ReadLimits(), many=True)


def _read(data: bytes | str, path: str, limits: ReadLimits, *, many: bool) -> Source:
    report = Report(path)
    text = decoded(data, report, limits)
    if text is None:
        return Source("", None, report)
    report.lines = text.splitlines()
    parsers = _parsers(text)
    for loader in parsers:
        report.found.clear()
        try:
            return Source(text, _Builder(report, limits, many=many).build(text, loader), report)
        except yaml.YAMLError as error:
            if loader is parsers[-1]:
                tell_syntax(error, report)
        except (_Stop, TooMany):
            break
    return Source(text, None, report)


class _Stop(Exception):
    """The finding is made, reading goes no further."""


def decoded(data: bytes | str, report: Report, limits: ReadLimits) -> str | None:
    """Return the text of a document; None, with a finding, if it is none or too big."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > limits.size:
            report.add(
                "E100",
                "syntax",
                NOWHERE,
                f"the document is bigger than {limits.size // 1024} KB",
                fix="split it: a protocol of this size is read by nobody",
            )
            return None
        text = raw.decode("utf-8-sig")
    except UnicodeError as error:
        good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
        lines = good.decode("utf-8", "replace").splitlines() or [""]
        report.add(
            "E100",
            "syntax",
            Mark(len(lines), len(lines[-1]) + 1),
            "the document is not UTF-8 text",
            fix="save it as UTF-8, or name the right file",
        )
        return None
    bad = _CONTROL.search(text)
    if bad:
        lines = text[: bad.start()].splitlines() or [""]
        report.add(
            "E100",
            "syntax",
            Mark(len(lines), len(lines[-1]) + 1),
            f"a character that no text has: U+{ord(bad[0]):04X}",
            fix="remove it, or name the right file",
        )
        return None
    return text


_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
"""What YAML does not print, and a byte order mark in the middle."""


_DISPUTED = re.compile("[\t?%\x85\u2028\u2029]|!(?!=)|\r(?!\n)|[|>]#")
"""Where the two parsers differ: the C one lets pass what the other refuses."""


def _parsers(text: str) -> tuple[Any, ...]:
    """Return the parsers to try; the last one has the last word.

    The C parser is ten times faster, and is asked where it says the same as the other; of what it refuses the other tells
    why, so that findings do not depend on the parser. A big document it reads alone: the other would take too long.
    """
    slow = yaml.SafeLoader
    fast = getattr(yaml, "CSafeLoader", slow)
    if len(text) > _SMALL:
        return (fast,)
    return (slow,) if fast is slow or _DISPUTED.search(text) else (fast, slow)


def _events(text: str, loader: Any) -> Iterator[yaml.Event]:
    parse = cast("Any", yaml).parse
    return cast("Iterator[yaml.Event]", parse(text, Loader=loader))


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    node: Node
    anchor: str | None
    key: Entry | None = None
    """The key whose value comes next."""
    is_told: bool = False
    """A key that stands twice has been told of: where one line is missing, all keys after it seem to stand twice."""


@dataclass(slots=True)
class _Builder:
    """Events to nodes."""

    report: Report
    limits: ReadLimits
    many: bool = False
    """Several documents are read, and the root is a list of them."""
    roots: list[Node] = field(default_factory=list[Node])
    anchors: dict[str, Node | None] = field(default_factory=dict[str, Node | None])
    """None while the anchored collection is still open."""
    aliases: int = 0
    nodes: int = 0
    most: int = 0
    """Values that are read."""
    stack: list[_Open] = field(default_factory=list[_Open])
    root: Node | None = None

    def build(self, text: str, loader: Any) -> Node | None:
        """Return the root.

        Raises:
            yaml.YAMLError: If it is no YAML.
            _Stop: If it is no document of ours.
        """
        documents = 0
        self.most = self.limits.nodes
        for event in _events(text, loader):
            if type(event) is yaml.ScalarEvent:  # nearly all of them
                self._scalar(event)
                continue
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1 and not self.many:
                        self._stop(
                            _mark(event), "a second document begins", fix="one protocol a file: split it"
                        )
                case yaml.DocumentEndEvent() if self.many:
                    self.roots += [self.root] if self.root else []
                    self.root = None
                    self.anchors.clear()
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self._open(event)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    done = self.stack.pop()
                    if done.anchor:
                        self.anchors[done.anchor] = done.node
                    self._place(done.node)
                case _:
                    pass
        if self.many and self.roots:
            self.root = Node(NOWHERE, items=self.roots, height=1)
        if self.root is None:
            self.report.add(
                "E100", "syntax", NOWHERE, "the document is empty", fix="begin with `agentcomm: 1`"
            )
        return None if self.report.has_errors else self.root

    def _stop(self, at: Mark, what: str, *, why: str = "", fix: str = "") -> None:
        self.report.add("E100", "syntax", at, what, why=why, fix=fix)
        raise _Stop

    def _count(self, at: Mark, size: int) -> None:
        self.nodes += size
        if self.nodes > self.limits.nodes:
            self._stop(at, f"the document has more than {self.limits.nodes} values", fix="split it")

    def _alias(self, event: yaml.AliasEvent) -> None:
        at = _mark(event)
        name = str(event.anchor)
        self.aliases += 1
        if self.aliases > self.limits.aliases:
            self._stop(
                at, f"more than {self.limits.aliases} aliases", fix="write the values out, or use `types`"
            )
        if name not in self.anchors:
            self._stop(
                at, f"'*{name}' stands for nothing", fix=f"put '&{name}' before the value it stands for"
            )
        node = self.anchors[name]
        if node is None:
            self._stop(at, f"'*{name}' contains itself", fix="write the value out")
            return
        self._count(at, node.size - 1)
        if len(self.stack) + node.height > self.limits.depth:
            self._stop(at, f"nested deeper than {self.limits.depth} levels")
        self._place(Node(at, node.value, node.raw, node.entries, node.items, node.size, node.height))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        start, end = cast("Any", event.start_mark), cast("Any", event.end_mark)
        line, column = start.line, start.column
        at = Mark(line + 1, column + 1, end.column - column or 1 if end.line == line else 1)
        if event.tag:
            self._untagged(event.tag, at)
        raw: str = event.value
        value: Scalar = raw
        if not event.style and (not raw or raw[0] in _FIRST):
            value = _resolved(raw)
            if isinstance(value, float) and not math.isfinite(value):
                self.report.add("E100", "syntax", at, f"{raw} is not a number that can be used here")
        node = Node(at, value, raw)
        if event.anchor:
            self.anchors[event.anchor] = node
        top = self.stack[-1] if self.stack else None
        if top is None:
            self._place(node)
        elif top.key is not None:
            if not raw:  # nothing is there: the key is the place to show
                node.at = top.key.at
            self._place(node)
        elif top.node.entries is not None:
            self._key(top, node)
        else:
            self._place(node)

    def _open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        at = _mark(event)
        self._untagged(event.tag, at)
        if len(self.stack) >= self.limits.depth:
            self._stop(at, f"nested deeper than {self.limits.depth} levels")
        is_map = isinstance(event, yaml.MappingStartEvent)
        top = self.stack[-1] if self.stack else None
        if top and top.node.entries is not None and top.key is None:
            self._stop(
                at, f"{'a map' if is_map else 'a list'} cannot be a key", fix="put it in quotes, or name it"
            )
        node = Node(at, entries={} if is_map else None, items=None if is_map else [], height=1)
        if event.anchor:
            self.anchors[str(event.anchor)] = None
        self.stack.append(_Open(node, str(event.anchor) if event.anchor else None))

    def _untagged(self, tag: object, at: Mark) -> None:
        if tag and tag != "!":
            self._stop(
                at, f"the tag {tag} is not allowed", why="a protocol is data only", fix="remove the tag"
            )

    def _key(self, top: _Open, node: Node) -> None:
        entries = top.node.entries
        if entries is None:  # pragma: no cover  (called for maps only)
            return
        key = node.raw
        if not isinstance(node.value, str):
            self.report.add(
                "E100",
                "syntax",
                node.at,
                f"the key {key or 'here'} is read as {_READ_AS[type(node.value)]}, not as a name",
                fix=f'write "{key}" in quotes, or choose another name',
            )
        elif key == "<<":
            self.report.add("E100", "syntax", node.at, "there are no merge keys", fix="write the keys out")
        if key in entries and not top.is_told:
            top.is_told = True
            self.most = min(self.most, self.nodes + _AFTER)
            first = entries[key].at
            self.report.add(
                "E100",
                "syntax",
                node.at,
                f"'{key}' stands here twice",
                why=f"the first is in line {first.line}, column {first.column}; one of them would be lost",
                fix="remove one, rename it, or write the line that is missing between them",
            )
        top.key = Entry(key, node.at, node)

    def _place(self, node: Node) -> None:
        self.nodes += 1
        if self.nodes > self.most:
            self._count(node.at, 0)
            raise _Stop
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        parent, key = top.node, top.key
        if parent.items is not None:
            parent.items.append(node)
        elif key is None:
            self._stop(node.at, "an alias cannot be a key", fix="write the name out")
        elif parent.entries is not None:
            key.node = node
            parent.entries.setdefault(key.key, key)
            top.key = None
        parent.size += node.size
        if parent.height <= node.height:
            parent.height = node.height + 1


_READ_AS: dict[type, str] = {bool: "a boolean", int: "a number", float: "a number", type(None): "nothing"}

_FIRST = frozenset("tTfFnN~+-.0123456789")
"""What a plain scalar that is no text begins with."""
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_PREFIXED = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _resolved(raw: str) -> Scalar:
    """Return what a plain scalar means by the core schema of YAML 1.2: `on`, `12:30` and dates are text."""
    if raw and raw[0] not in _FIRST:
        return raw
    if _NULL.fullmatch(raw):
        return None
    if _BOOL.fullmatch(raw):
        return raw[0] in "tT"
    if _INT.fullmatch(raw):
        return int(raw)
    if _PREFIXED.fullmatch(raw):
        return int(raw, 0)
    if _FLOAT.fullmatch(raw):
        return float(raw)
    return math.nan if _NOT_FINITE.fullmatch(raw) else raw


def _mark(event: yaml.Event) -> Mark:
    start, end = cast("Any", event).start_mark, cast("Any", event).end_mark
    line, column = start.line, start.column
    length = (
        end.column - column if end.line == line and not isinstance(event, yaml.CollectionStartEvent) else 0
    )
    return Mark(line + 1, column + 1, max(length, 1))
