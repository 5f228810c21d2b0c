"""Documents within a document: what a state runs, and the overlays that a protocol names itself.

Each is compiled as a protocol of its own. What is wrong in it is told in its own file; here it is one finding.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from agentcomm.protocol.findings import Finding, Report, near, quoted
from agentcomm.protocol.graph import Mark, Protocol
from agentcomm.protocol.lookup import Resolve, names
from agentcomm.protocol.shape import Word, is_name
from agentcomm.protocol.source import Source, read

__all__ = ("DEEPEST", "Draft", "Embedder", "Part", "tell_broken")

DEEPEST = 3
"""Protocols within each other, the outermost not counted."""
MOST = 50
"""Documents within one document, at any depth."""


@dataclass(slots=True)
class Draft:
    """A protocol as far as it could be compiled."""

    protocol: Protocol
    report: Report
    holes: set[str] = field(default_factory=set[str])
    """Targets that are no states: everything may follow from them."""
    races: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """States with several speakers and no `first`."""
    own_else: set[str] = field(default_factory=set[str])
    """States that say themselves where their deadline leads."""
    parts: "tuple[Part, ...]" = ()
    """The documents that it runs or names as overlays."""
    unused_types: tuple[str, ...] = ()
    """Named types that nothing refers to."""
    sound: bool = True
    """The graph is all there: what follows from it can be trusted."""


@dataclass(frozen=True, slots=True)
class Part:
    """A document within the document."""

    name: str
    draft: Draft
    at: Mark
    """Where it is named first."""


@dataclass(slots=True)
class Embedder:
    """Finds and compiles the documents that one document names."""

    resolve: Resolve
    compile: Callable[[Source, "Embedder"], Draft | None]
    names: tuple[str, ...] = ()
    """Of the documents around this one, the outermost left out."""
    texts: tuple[str, ...] = ()
    """Of the documents around this one, and of itself."""
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    failed: set[str] = field(default_factory=set[str])
    opened: list[str] = field(default_factory=list[str])
    """The documents opened so far, at any depth: shared by all embedders of one document."""

    def part(self, word: Word, report: Report) -> Draft | None:
        """Return a document as far as it compiles; None, with a finding, if it cannot be had."""
        name = word.text
        if name in self.failed:
            return None
        if name not in self.parts and (made := self._compiled(word, report)):
            self.parts[name] = Part(name, made, word.at)
        if name not in self.parts:
            self.failed.add(name)
            return None
        return self.parts[name].draft

    def embedded(self) -> dict[str, str]:
        """Return the text of every document within this one, at any depth."""
        own = {name: part.draft.protocol for name, part in self.parts.items()}
        texts = {name: protocol.text for name, protocol in own.items()}
        for outer, protocol in own.items():
            inner = protocol.embedded
            if any(texts.get(name, text) != text for name, text in inner.items()):
                inner = {f"{outer}/{name}": text for name, text in inner.items()}
            texts |= inner
        return texts

    def _compiled(self, word: Word, report: Report) -> Draft | None:
        name = word.text
        if not is_name(name) or (found := self.resolve("/".join((*self.names, name)))) is None:
            bare = name.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
            is_path = bare != name and is_name(bare)
            known = (*names(), *(overlay.rpartition("/")[2] for overlay in names(overlays=True)))
            report.add(
                "E102",
                "unknown_name",
                word.at,
                f"there is no protocol '{name}'",
                why="a protocol is looked up beside the file, then in the library",
                fix=f"write its name alone: {bare}"
                if is_path
                else near(name, known, otherwise=f"write it: {name}.yaml"),
            )
            return None
        source = read(*found)
        if problem := self._too_deep(source.text):
            report.add(
                "E801",
                "composition",
                word.at,
                problem,
                why=f"a protocol runs others at most {DEEPEST} deep and {MOST} in all, and never itself",
                fix="run something smaller",
            )
            return None
        self.opened.append(name)
        inner = Embedder(
            self.resolve,
            self.compile,
            names=(*self.names, name),
            texts=(*self.texts, source.text),
            opened=self.opened,
        )
        made = self.compile(source, inner)
        if made is None or source.report.has_errors:
            tell_broken(name, source.report.sorted(), word.at, report)
            return None
        return made

    def _too_deep(self, text: str) -> str:
        chain = " -> ".join(("this", *self.names))
        if text in self.texts:
            return f"a protocol runs itself: {chain} -> {('this', *self.names)[self.texts.index(text)]}"
        if len(self.names) >= DEEPEST:
            return f"more than {DEEPEST} protocols within each other: {chain} -> one more"
        if len(self.opened) >= MOST:
            return f"more than {MOST} documents within one"
        return ""


def tell_broken(name: str, findings: list[Finding], at: Mark, report: Report) -> None:
    """Add the finding for a document within the document that has errors itself."""
    errors = [finding for finding in findings if finding.severity == "error"]
    first = errors[0]
    if deep := next((finding for finding in errors if finding.code == "E801"), None):
        report.add("E801", "composition", at, deep.what, why=deep.why, fix=deep.fix)
        return
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    report.add(
        "E803",
        "composition",
        at,
        f"the protocol {quoted([name])} has errors itself",
        why=f"{first.where}: {first.code} {first.what}{more}",
        fix=f"agentcomm check {first.path or name}",
    )
