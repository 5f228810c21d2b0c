"""Read a protocol specification of open-aea: up to three YAML documents in one file, into plain words with their places."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agentcomm.protocol.findings import NOWHERE, Report, near
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.imports.imported import refuse
from agentcomm.protocol.shape import Reader, Word, unknown
from agentcomm.protocol.source import Entry, Node, read_all

__all__ = ("AeaSpecification", "read_aea")

_MOST_ROLES = 2


@dataclass(slots=True)
class AeaSpecification:
    """What a specification says."""

    report: Report
    name: str = ""
    version: str = "1"
    about: str = ""
    source: str = ""
    acts: dict[Word, list[tuple[Word, Word]]] = field(default_factory=dict[Word, list[tuple[Word, Word]]])
    """Act -> its fields with their types."""
    initiation: tuple[Word, ...] = ()
    reply: dict[str, tuple[Word, ...]] = field(default_factory=dict[str, tuple[Word, ...]])
    termination: tuple[Word, ...] = ()
    roles: tuple[Word, ...] = ()
    end_states: tuple[Word, ...] = ()
    keeps: Mark | None = None
    """Where it says what becomes of dialogues that have ended."""


def read_aea(data: bytes | str, path: str) -> AeaSpecification:
    """Return what a file says.

    Raises:
        ProtocolError: If it cannot be read; its `findings` list why.
    """
    source = read_all(data, path)
    refuse(source.report)
    documents = [
        node for node in (source.root.items or () if source.root else ()) if node.entries is not None
    ]
    report = source.report
    head = _with(documents, "speech_acts", report)
    talk = _with(documents, "reply", report)
    refuse(report)
    specification = AeaSpecification(report)
    reader = Reader(report)
    _read_head(reader, specification, head)
    _read_talk(reader, specification, talk)
    _check(specification, talk)
    refuse(report)
    return specification


def _with(documents: Iterable[Node], key: str, report: Report) -> Mapping[str, Entry]:
    """Return the document that has a key."""
    for document in documents:
        if document.entries and key in document.entries:
            return document.entries
    report.add(
        "E101",
        "syntax",
        NOWHERE,
        f"no document here has the key `{key}`",
        why="a specification of open-aea has one document with `speech_acts` and one with `reply`",
        fix="name the specification itself, with all its documents between `---` and `...`",
    )
    return {}


def _read_head(reader: Reader, into: AeaSpecification, head: Mapping[str, Entry]) -> None:
    def raw(key: str) -> str:
        return head[key].node.raw if key in head else ""

    into.name = raw("name") or "imported"
    into.version, into.about = raw("version") or "1", raw("description")
    into.source = " ".join(("open-aea", raw("protocol_specification_id") or into.name))
    acts = head["speech_acts"].node
    for act in reader.entries(acts, "`speech_acts`").values():
        fields = [] if act.node.is_scalar and act.node.value is None else _fields(reader, act)
        into.acts[Word(act.key, act.at)] = fields
    if not into.acts and not reader.report.has_errors:
        reader.wrong(acts.at, "there are no speech acts", fix="name at least one")


def _fields(reader: Reader, act: Entry) -> list[tuple[Word, Word]]:
    return list(reader.pairs(act.node, f"the speech act '{act.key}'", "a type"))


def _read_talk(reader: Reader, into: AeaSpecification, talk: Mapping[str, Entry]) -> None:
    def words(key: str) -> tuple[Word, ...]:
        if key not in talk or (talk[key].node.is_scalar and talk[key].node.value is None):
            return ()
        node = talk[key].node
        if node.entries is not None:  # a set in YAML is a map without values
            return tuple(Word(entry.key, entry.at) for entry in node.entries.values())
        return tuple(dict.fromkeys(reader.words(node, f"`{key}`")))

    into.initiation, into.termination = words("initiation"), words("termination")
    into.roles, into.end_states = words("roles"), words("end_states")
    for entry in reader.entries(talk["reply"].node, "`reply`").values():
        empty = entry.node.is_scalar and entry.node.value is None
        into.reply[entry.key] = () if empty else reader.words(entry.node, f"the replies to '{entry.key}'")
    if "keep_terminal_state_dialogues" in talk:
        into.keeps = talk["keep_terminal_state_dialogues"].at


def _check(specification: AeaSpecification, talk: Mapping[str, Entry]) -> None:
    """Add what would keep a dialogue from being one."""
    report = specification.report
    known = [act.text for act in specification.acts]
    said = (*specification.initiation, *specification.termination, *sum(specification.reply.values(), ()))
    for word in said:
        if word.text not in known:
            unknown(report, word, "a speech act", known)
    for entry in (talk["reply"].node.entries or {}).values():
        if entry.key not in known:
            unknown(report, Word(entry.key, entry.at), "a speech act", known)
    if not specification.initiation:
        at = talk["initiation"].at if "initiation" in talk else talk["reply"].at
        report.add(
            "E101",
            "syntax",
            at,
            "nothing begins the dialogue",
            why="`initiation` lists the acts that may be said first",
            fix=near("", known, otherwise="list one").replace("known:", "list one of"),
        )
    if not 1 <= len(specification.roles) <= _MOST_ROLES:
        at = talk["roles"].at if "roles" in talk else talk["reply"].at
        report.add(
            "E101",
            "syntax",
            at,
            f"there are {len(specification.roles)} roles",
            why="a dialogue of open-aea has one role, played by both, or two",
            fix="write `roles: {buyer, seller}`",
        )
