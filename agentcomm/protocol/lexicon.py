"""What may be said in a protocol: acts, with their content, stakes and grounding resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from agentcomm.acts.content import Content, FieldType
from agentcomm.acts.performative import Performative
from agentcomm.protocol.conditions import ConditionReader
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report, near
from agentcomm.protocol.graph import Act, Criterion, Mark, Ref, Stakes
from agentcomm.protocol.shape import Word, unknown
from agentcomm.protocol.spec import ACT_KEYS, ActSpec, GroundingSpec, Spec

__all__ = ("Lexicon",)

_CRITERIA = tuple(Criterion)
_READ_BACK = (Criterion.READBACK, Criterion.READBACK_AND_DEMONSTRATED)
_DEMONSTRATED = (Criterion.DEMONSTRATED, Criterion.READBACK_AND_DEMONSTRATED)


@dataclass(slots=True)
class Lexicon:
    """Compiles the acts of a document, and says what is not known."""

    spec: Spec
    report: Report
    marks: dict[str, Mark]
    fields: dict[str, Mapping[str, FieldType]] = field(default_factory=dict[str, Mapping[str, FieldType]])
    """Of each act, by its label."""
    opaque: set[str] = field(default_factory=set[str])
    """Labels of acts whose content does not parse: any field may be theirs."""
    _registered: dict[str, type[Content] | None] = field(default_factory=dict[str, type[Content] | None])

    def acts(self, reader: TypeReader, embedded: Mapping[str, Act]) -> dict[str, Act]:
        """Return the acts by label, in the file's order.

        Args:
            reader: Reads their content.
            embedded: The acts of what states run, as they stand among ours.
        """
        self.fields.update((label, act.fields) for label, act in embedded.items())
        for spec in self.spec.acts:
            self.marks[f"acts.{spec.label}"] = spec.label.at
            self._read_content(spec, reader)
        conditions = self.conditions()
        own = [spec.label.text for spec in self.spec.acts]
        grounding = {item.label.text: item for item in self.spec.grounding}
        acts = {
            spec.label.text: self._act(spec, grounding.get(spec.label.text), conditions)
            for spec in self.spec.acts
        }
        for item in self.spec.grounding:
            self.marks[f"grounding.{item.label}"] = item.label.at
            if item.label.text not in acts:
                why = "`grounding` says how an act is grounded"
                unknown(self.report, item.label, "an act", own, why=why, is_named=True)
        return {**acts, **embedded}

    def conditions(self) -> ConditionReader:
        """Return a reader of conditions over these acts."""
        occasion = self.spec.overlay.on.text if self.spec.overlay else ""
        return ConditionReader(self.report, self.fields, self.opaque, occasion)

    def stakes(self, word: Word) -> Stakes:
        """Return a level of stakes."""
        if word.text not in set(Stakes):
            unknown(self.report, word, "a level of stakes", [str(item) for item in Stakes])
            return Stakes.NORMAL
        return Stakes(word.text)

    def _read_content(self, spec: ActSpec, reader: TypeReader) -> None:
        label = spec.label.text
        before = len(self.report.found)
        if spec.content is None:
            self.fields[label], self._registered[label] = {}, None
        else:
            fields, self._registered[label] = reader.content(spec.content, label)
            self.fields[label] = fields or {}
            if fields is None:
                self.opaque.add(label)
        if spec.looks_long and len(self.report.found) > before:
            first = self.report.found[before]
            long = f"for the long form ({', '.join(ACT_KEYS)}) add `act:` or `content:`"
            self.report.found[before:] = [replace(first, fix=long)]

    def _act(self, spec: ActSpec, grounding: GroundingSpec | None, conditions: ConditionReader) -> Act:
        label = spec.label.text
        stakes = self.stakes(spec.stakes) if spec.stakes else Stakes.NORMAL
        critical = self._own_fields(spec.critical, label, "critical")
        criterion, readback = Criterion.DELIVERED, ()
        repeats: dict[str, Ref] = {}
        if grounding:
            criterion = self._criterion(grounding)
            if grounding.readback is not None:
                criterion = _stronger(criterion, Criterion.READBACK)
                readback = self._own_fields(grounding.readback, label, "read back")
            for name, target in grounding.repeats:
                if ref := conditions.repeat(name, target, label):
                    repeats[name.text] = ref
        declared = readback or (critical if criterion in _READ_BACK else ())
        critical = critical or readback
        if stakes is Stakes.IRREVERSIBLE:
            criterion = _stronger(criterion, Criterion.DEMONSTRATED)
        if stakes in (Stakes.HIGH, Stakes.IRREVERSIBLE) and critical:
            criterion = _stronger(criterion, Criterion.READBACK)
            readback = tuple(dict.fromkeys((*readback, *critical)))
        elif criterion in _READ_BACK and not readback:
            readback = critical
        if spec.discharges:
            self.marks[f"acts.{label}.discharges"] = spec.discharges.at
            if spec.discharges.text not in self.fields:
                unknown(self.report, spec.discharges, "an act", self.fields, is_named=True)
        return Act(
            label=label,
            performative=self._performative(spec),
            fields=self.fields[label],
            critical=critical,
            stakes=stakes,
            criterion=criterion,
            readback=readback,
            declared=declared,
            repeats=repeats,
            when=conditions.all_of(spec.when, label),
            discharges=spec.discharges.text if spec.discharges else "",
            outlives=spec.outlives,
            registered=self._registered[label],
        )

    def _performative(self, spec: ActSpec) -> Performative:
        word = spec.performative or spec.label
        if word.text in set(Performative):
            return Performative(word.text)
        if not spec.is_clear:
            return Performative.INFORM
        known = [str(item) for item in Performative]
        hint = near(word.text, known)
        if not spec.performative:
            says = next((act for act in known if word.text.startswith(f"{act}-")), "")
            if get_close_matches(word.text, known, n=1, cutoff=0.85):
                says = ""
            if says or not hint.startswith("did"):
                hint = f"write `{word}: {{act: {says or 'inform'}, content: ...}}`"
            else:
                self.report.is_news(hint.split("'")[1])  # that the label is misspelt is told here
        self.report.add(
            "E104",
            "unknown_name",
            word.at,
            f"'{word}' is not an act of the library",
            why="what an act does to what is owed, the library says"
            if spec.performative
            else "a label of one's own says which act it is",
            fix=hint,
        )
        return Performative.INFORM

    def _own_fields(self, words: tuple[Word, ...], label: str, what: str) -> tuple[str, ...]:
        own = self.fields[label]
        for word in words:
            if word.text not in own and label not in self.opaque and self.report.is_news(f".{word}"):
                self.report.add(
                    "E102",
                    "unknown_name",
                    word.at,
                    f"'{label}' has no field '{word}' that could be {what}",
                    why="what is read back, or critical, is a field of the act's own content",
                    fix=near(word.text, own, otherwise=f"'{label}' carries nothing"),
                )
        return tuple(dict.fromkeys(word.text for word in words if word.text in own or label in self.opaque))

    def _criterion(self, grounding: GroundingSpec) -> Criterion:
        word = grounding.criterion
        if word is None:
            return Criterion.DELIVERED
        if word.text not in set(Criterion):
            unknown(self.report, word, "a criterion", [str(item) for item in Criterion])
            return Criterion.DELIVERED
        return Criterion(word.text)


def _stronger(one: Criterion, other: Criterion) -> Criterion:
    """Return what asks for the evidence of both."""
    both = {one, other}
    if both & set(_READ_BACK) and both & set(_DEMONSTRATED):
        return Criterion.READBACK_AND_DEMONSTRATED
    return max(one, other, key=_CRITERIA.index)
