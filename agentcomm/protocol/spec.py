"""The shape of a document: every short form becomes its long form here, so that later passes see one shape only.

Says nothing about whether a name stands for anything: that is `compile.py`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agentcomm.protocol.findings import NOWHERE, Report, quoted
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.many import RoleSpec, SettleSpec, read_roles, read_settles
from agentcomm.protocol.shape import Reader, Word, is_name
from agentcomm.protocol.source import Entry, Node, Source
from agentcomm.protocol.turns import StateSpec, read_states

__all__ = ("ACT_KEYS", "ActSpec", "GroundingSpec", "LimitsSpec", "OverlaySpec", "Spec", "shape")

LANGUAGE = 1
"""The version of the language."""

_TOP = (
    "agentcomm",
    "protocol",
    "version",
    "about",
    "source",
    "roles",
    "owner",
    "types",
    "acts",
    "grounding",
    "start",
    "states",
    "outcomes",
    "settles",
    "limits",
    "overlay",
    "overlays",
    "then",
)
_REQUIRED = ("agentcomm", "protocol", "roles", "acts", "states", "outcomes")
ACT_KEYS = ("act", "content", "critical", "stakes", "discharges", "outlives", "when")
_GROUNDING = ("criterion", "readback", "repeats")
_LIMITS = ("reply_within", "else", "repairs", "repairs_in_all", "misfires", "turns", "whole", "escalate_to")
_BARRED_ACTS = ("it",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActSpec:
    """An act in its long form."""

    label: Word
    performative: Word | None = None
    content: Node | None = None
    """None: empty content."""
    critical: tuple[Word, ...] = ()
    stakes: Word | None = None
    discharges: Word | None = None
    outlives: bool = False
    when: tuple[Word, ...] = ()
    looks_long: bool = False
    """A short form with a key of the long form in it."""
    is_clear: bool = True
    """No key of it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingSpec:
    """What evidence an act needs."""

    label: Word
    criterion: Word | None = None
    readback: tuple[Word, ...] | None = None
    repeats: tuple[tuple[Word, Word], ...] = ()


@dataclass(slots=True)
class LimitsSpec:
    """Bounds; None where nothing is said."""

    reply_within: float | None = None
    otherwise: Word | None = None
    repairs: int | None = None
    repairs_in_all: int | None = None
    misfires: int | None = None
    turns: int | None = None
    turns_at: Mark = NOWHERE
    whole: float | None = None
    escalate_to: Word | None = None
    repairs_at: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class OverlaySpec:
    """What makes a protocol an overlay."""

    on: Word
    then: tuple[tuple[Word, Word], ...]
    at: Mark


@dataclass(slots=True)
class Spec:
    """A whole document in its long form."""

    name: str = ""
    version: str = "1"
    about: str = ""
    source: str = ""
    roles: list[RoleSpec] = field(default_factory=list[RoleSpec])
    owner: Word | None = None
    types: Mapping[str, Entry] = field(default_factory=dict[str, Entry])
    acts: list[ActSpec] = field(default_factory=list[ActSpec])
    grounding: list[GroundingSpec] = field(default_factory=list[GroundingSpec])
    start: Word | None = None
    states: list[StateSpec] = field(default_factory=list[StateSpec])
    outcomes: list[tuple[Word, Word]] = field(default_factory=list[tuple[Word, Word]])
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    overlay: OverlaySpec | None = None
    overlays: tuple[tuple[Word, Word], ...] = ()
    """Those that are switched off or are the protocol's own."""
    settles: list[SettleSpec] | None = field(default_factory=list[SettleSpec])
    """None: it could not be read."""
    settles_at: Mark | None = None
    broken: bool = False
    """Something was left out that the graph needs."""
    states_at: Mark = NOWHERE
    outcomes_at: Mark = NOWHERE


def shape(source: Source) -> Spec | None:
    """Return the long form of a document; what does not fit stands in the report.

    Returns:
        None if there is nothing to go on with.
    """
    if source.root is None:
        return None
    reader = Reader(source.report)
    if source.root.entries is None:
        reader.wrong(
            source.root.at, f"a protocol is a map, not {source.root}", fix="begin with `agentcomm: 1`"
        )
        return None
    if not set(source.root.entries) & set(_TOP):
        reader.wrong(
            source.root.at,
            "this is not a protocol",
            why=f"it has none of the keys {quoted(_TOP, limit=20)}",
            fix="begin with `agentcomm: 1`",
        )
        return None
    top = reader.known(source.root, "a protocol", _TOP)
    spec = Spec()
    _head(reader, top, spec)
    if missing := [key for key in _REQUIRED if key not in top]:
        _tell_missing(source.report, missing)
    if missing or len(top) < len(source.root.entries):
        return None  # what stands in the wrong place is not what it says
    if entry := top.get("roles"):
        spec.roles = read_roles(reader, entry.node)
    if entry := top.get("types"):
        spec.types = reader.entries(entry.node, "`types`")
    if entry := top.get("acts"):
        spec.acts = [
            act for item in reader.entries(entry.node, "`acts`").values() if (act := _act(reader, item))
        ]
    if entry := top.get("grounding"):
        spec.grounding = [
            _grounding(reader, item) for item in reader.entries(entry.node, "`grounding`").values()
        ]
    if entry := top.get("states"):
        spec.states_at = entry.at
        spec.states = read_states(reader, entry.node, [role.name.text for role in spec.roles])
    if entry := top.get("outcomes"):
        spec.outcomes_at = entry.at
        spec.outcomes = _outcomes(reader, entry.node)
    if entry := top.get("settles"):
        spec.settles_at = entry.at
        spec.settles = read_settles(reader, entry.node)
    if entry := top.get("limits"):
        spec.limits = _limits(reader, entry.node)
    spec.overlay = _overlay(reader, top)
    if entry := top.get("overlays"):
        sample = "write `overlays: {cancel: off, repair: my-repair}`"
        spec.overlays = reader.pairs(
            entry.node,
            "`overlays`",
            "`off`, or the name of an overlay",
            fix=sample,
            each="write `off`, or a name",
        )
    spec.broken = reader.broken
    return spec


def _tell_missing(report: Report, missing: list[str]) -> None:
    no_end = missing == ["outcomes"]
    at = _indented(report.lines, missing)
    report.add(
        "E105" if no_end else "E101",
        "no_final" if no_end else "syntax",
        at or NOWHERE,
        f"{quoted(missing)} {'is' if len(missing) == 1 else 'are'} missing",
        why="a line that begins with it is indented, and so belongs to what stands above it"
        if at
        else "a protocol says its language, its name, its roles, acts, states and outcomes",
        fix="begin this line at the left edge" if at else "add " + ", ".join(_SAMPLE[key] for key in missing),
    )


def _indented(lines: Sequence[str], keys: Iterable[str]) -> Mark | None:
    """Return where one of some keys stands, indented."""
    for number, line in enumerate(lines, 1):
        key = line.strip().partition(":")[0]
        if key in keys and line[0].isspace() and ":" in line:
            return Mark(number, len(line) - len(line.lstrip()) + 1, len(key))
    return None


_SAMPLE = {
    "agentcomm": "`agentcomm: 1`",
    "protocol": "`protocol: its-name`",
    "roles": "`roles: [asker, answerer]`",
    "acts": "`acts: {request: {action: text}}`",
    "states": "`states: {asking: {asker: {request: asked}}}`",
    "outcomes": "`outcomes: {done: success}`",
}


def _head(reader: Reader, top: Mapping[str, Entry], spec: Spec) -> None:
    if (entry := top.get("agentcomm")) and entry.node.value != LANGUAGE:
        reader.wrong(
            entry.node.at,
            f"the language is version {LANGUAGE}, not {entry.node}",
            fix=f"write `agentcomm: {LANGUAGE}`, or use a version of agentcomm that reads this one",
        )
    if (entry := top.get("protocol")) and (word := reader.word(entry.node, "the name of the protocol")):
        reader.name(word, "a protocol")
        spec.name = word.text
    if entry := top.get("version"):
        if entry.node.is_scalar and entry.node.raw:
            spec.version = entry.node.raw
        else:
            reader.wrong(entry.node.at, f"`version` is a number or a text, not {entry.node}")
    for key in ("about", "source"):
        if (entry := top.get(key)) and (word := reader.word(entry.node, f"`{key}`")):
            setattr(spec, key, word.text)
    spec.owner = reader.optional(top.get("owner"), reader.word, "`owner`")
    spec.start = reader.optional(top.get("start"), reader.word, "`start`")


def _act(reader: Reader, entry: Entry) -> ActSpec | None:
    label, node = Word(entry.key, entry.at), entry.node
    if not reader.name(label, "an act"):
        return None
    if label.text in _BARRED_ACTS:
        reader.wrong(
            label.at,
            "'it' cannot be the label of an act",
            why="in an overlay, `it` is the message it is about",
        )
    entries = node.entries
    if entries is None or not {"act", "content"} & set(entries):
        looks_long = entries is not None and bool(set(entries) & set(ACT_KEYS))
        if node.is_scalar and node.value is None:
            reader.wrong(
                label.at, f"'{label}' carries nothing", fix=f"write `{label}: {{}}` for empty content"
            )
            return ActSpec(label=label)
        return ActSpec(label=label, content=node, looks_long=looks_long)
    keys = reader.known(node, f"the act '{label}'", ACT_KEYS)
    content = keys.get("content")
    return ActSpec(
        label=label,
        is_clear=len(keys) == len(entries),
        performative=reader.optional(keys.get("act"), reader.word, "`act`"),
        content=content.node if content else None,
        critical=reader.optional(keys.get("critical"), reader.words, "a critical field") or (),
        stakes=reader.optional(keys.get("stakes"), reader.word, "`stakes`"),
        discharges=reader.optional(keys.get("discharges"), reader.word, "`discharges`"),
        outlives=reader.optional(keys.get("outlives"), reader.flag, "`outlives`") or False,
        when=reader.optional(keys.get("when"), reader.words, "`when`") or (),
    )


def _grounding(reader: Reader, entry: Entry) -> GroundingSpec:
    label, node = Word(entry.key, entry.at), entry.node
    if node.entries is None:
        return GroundingSpec(label=label, criterion=reader.word(node, "a criterion"))
    keys = reader.known(node, f"the grounding of '{label}'", _GROUNDING)
    repeats: tuple[tuple[Word, Word], ...] = ()
    if repeat := keys.get("repeats"):
        sample = "write `repeats: {price: propose.price}`"
        repeats = reader.pairs(repeat.node, "`repeats`", "what is repeated", fix=sample)
    return GroundingSpec(
        label=label,
        criterion=reader.optional(keys.get("criterion"), reader.word, "`criterion`"),
        readback=reader.optional(keys.get("readback"), reader.words, "a field to be read back"),
        repeats=repeats,
    )


def _outcomes(reader: Reader, node: Node) -> list[tuple[Word, Word]]:
    found: list[tuple[Word, Word]] = []
    if node.items:  # what is in the list is at least known by name
        names = [Word(item.text, item.at) for item in node.items if item.text and is_name(item.text)]
        found = [(name, Word("", name.at)) for name in names]
        sample = f"{names[0]}: success" if names else "done: success"
    else:
        sample = "done: success"
    for entry in reader.entries(node, "`outcomes`", fix=f"write `outcomes: {{{sample}, …}}`").values():
        name = Word(entry.key, entry.at)
        if not reader.name(name, "an outcome"):
            continue
        if entry.node.is_scalar and entry.node.value is None:
            reader.report.add(
                "E105",
                "no_final",
                name.at,
                f"the outcome '{name}' has no class",
                fix=f"write `{name}: success`, or another class",
            )
            found.append((name, Word("", name.at)))
        else:
            found.append(
                (
                    name,
                    reader.word(
                        entry.node, f"the class of '{name}'", fix="write success, failed, or another class"
                    )
                    or Word("", name.at),
                )
            )
    return found


def _limits(reader: Reader, node: Node) -> LimitsSpec:
    keys = reader.known(node, "`limits`", _LIMITS)
    limits = LimitsSpec()
    limits.reply_within = reader.optional(keys.get("reply_within"), reader.duration, "`reply_within`")
    limits.whole = reader.optional(keys.get("whole"), reader.duration, "`whole`")
    limits.otherwise = reader.optional(keys.get("else"), reader.word, "`else`")
    limits.escalate_to = reader.optional(keys.get("escalate_to"), reader.word, "`escalate_to`")
    for key, least in (("repairs", 0), ("repairs_in_all", 0), ("misfires", 1), ("turns", 1)):
        if entry := keys.get(key):
            setattr(limits, key, reader.count(entry.node, f"`{key}`", least=least))
    if entry := keys.get("turns"):
        limits.turns_at = entry.node.at
    if entry := keys.get("repairs"):
        limits.repairs_at = entry.node.at
    return limits


def _overlay(reader: Reader, top: Mapping[str, Entry]) -> OverlaySpec | None:
    entry, then = top.get("overlay"), top.get("then")
    if not entry:
        if then:
            reader.wrong(
                then.at, "`then` without `overlay`", why="only an overlay returns to what is beneath it"
            )
        return None
    keys = reader.known(entry.node, "`overlay`", ("on",), fix="write `overlay: {on: any}`")
    on = reader.optional(keys.get("on"), reader.word, "`on`")
    if not on:
        reader.wrong(entry.at, "an overlay says when it may run", fix="write `overlay: {on: any}`")
    if not then:
        reader.wrong(
            entry.at,
            "an overlay says what follows from its outcome",
            fix="add `then: {success: resume, otherwise: aborted}`",
        )
        return None
    pairs = reader.pairs(then.node, "`then`", "what follows")
    return OverlaySpec(on, pairs, then.at) if on else None
