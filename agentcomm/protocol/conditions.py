"""`when` and `repeats`: from `price <= ask.price` to conditions, with names and types checked.

A condition restricts what may be said; it never branches.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, cast

from agentcomm.acts.content import FieldType, Kind, parse_duration, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.protocol.fields import ANY, BOOL
from agentcomm.protocol.findings import Report, near
from agentcomm.protocol.graph import Comparison, Condition, Ref
from agentcomm.protocol.shape import Word

__all__ = ("IT", "ConditionReader", "mismatch", "parse_ref")

IT = "it"
"""In an overlay: the message it is about."""

_PART = r"[^\W\d_][\w-]*"
_LABEL = rf"{_PART}(?:/{_PART})*(?:\.{_PART})?"
"""An act, or `state.act` of a protocol that a state runs."""
_CONDITION = re.compile(
    rf"\s*(?P<left>{_LABEL}(?:\.\w+)?)\s*(?P<op>==|!=|<=|>=|<|>|\bin\b)\s*(?P<right>.*\S)\s*", re.DOTALL
)
_REF = re.compile(rf"({_LABEL})\.([^\W\d_]\w*)")
_NUMBER = re.compile(r"[-+]?\d{1,300}(\.\d{1,300})?")
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,'"\[\]]+?)\s*(?:,|$)""")
_LONGEST = 1_000
"""Characters of a condition."""
_ORDERED: tuple[Kind, ...] = ("int", "number", "money", "quantity", "date", "datetime", "duration")
_SUCH = {
    "money": "an amount such as 120 EUR",
    "quantity": "a quantity such as 500 l",
    "duration": "a duration such as 30s",
}
_NUMBERS: tuple[Kind, ...] = ("int", "number")
_OPPOSITE = {
    "=": "==", "=>": ">=", "=<": "<=", "<>": "!=", "is less than": "<", "less than": "<", "is more than": ">",
    "more than": ">", "is greater than": ">", "greater than": ">", "is at least": ">=", "at least": ">=",
    "is at most": "<=", "at most": "<=", "is not": "!=", "equals": "==", "is": "==", "not": "!=",
}  # fmt: skip
"""What others write for a comparison, the longer before its parts."""
_AND = re.compile(r"\s+(?:and|AND)\s+|\s*&&\s*")
_OR = re.compile(r"\s+(?:or|OR)\s+|\s*\|\|\s*")
_CHAIN = re.compile(r"\s*(\S+)\s*(<=|<|>=|>)\s*(\S+)\s*(<=|<|>=|>)\s*(\S+)\s*")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def parse_ref(text: str) -> Ref | None:
    """Return `act.field` or `state.act.field` as a reference, None if it is none."""
    found = _REF.fullmatch(text.strip())
    return Ref(found[1], found[2]) if found else None


@dataclass(slots=True)
class ConditionReader:
    """Reads conditions; knows the fields of every act."""

    report: Report
    fields: Mapping[str, Mapping[str, FieldType]]
    """By label of the act."""
    opaque: set[str] = field(default_factory=set[str])
    """Labels of acts whose content does not parse: any field may be theirs."""
    occasion: str = ""
    """Of an overlay: what it runs on; empty for a protocol of its own."""

    def read(self, word: Word, label: str) -> Condition | None:
        """Return the condition on saying `label`; None, with a finding, if it is none."""
        found = _CONDITION.fullmatch(word.text) if len(word.text) <= _LONGEST else None
        if several := _several(word.text[:_LONGEST]):
            self.report.add(
                "E101",
                "syntax",
                word.at,
                f"'{word}' is more than one condition",
                why="each stands by itself, and all of them must hold",
                fix=several,
            )
            return None
        if not found:
            self.report.add(
                "E101",
                "syntax",
                word.at,
                f"'{word}' is not a condition",
                why="a condition is a field, a comparison (== != < <= > >= in), and a constant or `act.field`",
                fix=_hint(word.text),
            )
            return None
        op = cast("Comparison", found["op"])
        left = parse_ref(found["left"]) or found["left"]
        left_kind = self._kind(left, label, word)
        right = self._right(found["right"].strip(), op, word)
        if left_kind is None or right is None:
            return None
        if isinstance(right, Ref):
            right_kind = self._kind(right, label, word)
            if right_kind is None:
                return None
            problem = mismatch(left_kind, op, right_kind)
        else:
            problem = _misfit(left_kind, op, right)
        if problem:
            self.report.add(
                "E104",
                "data_flow",
                word.at,
                f"'{word}' compares what cannot be compared",
                why=problem,
                fix="compare with a value of the same type, or change the type of the field",
            )
            return None
        return Condition(left, op, right)

    def all_of(self, words: Iterable[Word], label: str) -> tuple[Condition, ...]:
        """Return the conditions on saying `label`, without those that are none."""
        found = [self.read(word, label) for word in words]
        return tuple([condition for condition in found if condition])

    def value(self, word: Word, sample: str) -> tuple[Ref, FieldType] | None:
        """Return a value on record and its type; None, with a finding, if it is none.

        Args:
            word: What stands there, such as `propose.price`.
            sample: What it is to be the value of, for the remedy.
        """
        ref = parse_ref(word.text)
        if ref is None:
            self.report.add(
                "E101",
                "syntax",
                word.at,
                f"'{word}' is not a value on record",
                fix=f"write `{sample}: act.field`, such as `price: propose.price`",
            )
            return None
        kind = self._kind(ref, "", word)
        return (ref, kind) if kind else None

    def repeat(self, name: Word, target: Word, label: str) -> Ref | None:
        """Return the value on record that a field must equal; None, with a finding, if there is none."""
        if parse_ref(target.text) is None:
            self.value(target, name.text)
            return None
        left = self._kind(name.text, label, name)
        found = self.value(target, name.text)
        if left is None or found is None:
            return None
        ref, right = found
        if problem := mismatch(left, "==", right):
            what = f"'{name}' can never equal '{ref}'"
            fix = "name a field of the same type, or change the type of one of them"
            self.report.add("E104", "data_flow", target.at, what, why=problem, fix=fix)
            return None
        return ref

    def _kind(self, left: Ref | str, label: str, word: Word) -> FieldType | None:
        """Return the type of a field of the act itself or of a reference."""
        if isinstance(left, str):
            own = self.fields.get(label, {})
            if label in self.opaque:
                return ANY
            if left not in own and self.report.is_news(f".{left}"):
                self.report.add(
                    "E102", "unknown_name", word.at, f"'{label}' has no field '{left}'", fix=near(left, own)
                )
            return own.get(left)
        if left.act == IT and self.occasion:
            return self._of_it(left, word)
        if left.act not in self.fields:
            if self.report.is_news(left.act):
                hint = near(left.act, self.fields)
                what = f"'{left.act}' in '{left}' is not an act"
                why = "only in an overlay does `it` stand for a message" if left.act == IT else ""
                self.report.add("E102", "unknown_name", word.at, what, why=why, fix=hint)
            return None
        fields = self.fields[left.act]
        if left.act in self.opaque:
            return ANY
        if left.field not in fields and self.report.is_news(f".{left.field}"):
            hint = near(left.field, fields, otherwise=f"'{left.act}' carries nothing")
            self.report.add(
                "E102", "unknown_name", word.at, f"'{left.act}' has no field '{left.field}'", fix=hint
            )
        return fields.get(left.field)

    def _of_it(self, left: Ref, word: Word) -> FieldType | None:
        """Return the type of what is known of the message that an overlay is about."""
        known = {"fields": ANY} | ({"understood": BOOL} if self.occasion == "demonstrated" else {})
        if left.field not in known:
            also = ", and `it.understood`: the verdict of the judge" if "understood" in known else ""
            self.report.add(
                "E102",
                "unknown_name",
                word.at,
                f"'{left}' is not known",
                why=f"of the message an overlay is about, `it.fields` is known: its critical fields{also}",
                fix="write `it.fields`" + (" or `it.understood`" if also else ""),
            )
        return known.get(left.field)

    def _right(self, text: str, op: Comparison, word: Word) -> Any:
        """Return a reference, a constant or a tuple of constants; None, with a finding, for anything else."""
        if op == "in" and text.startswith("["):
            inner = text.removeprefix("[").removesuffix("]").strip()
            values: list[Any] = []
            at = 0
            while text.endswith("]") and at < len(inner) and (item := _ITEM.match(inner, at)):
                values.append(_constant(item[1]))
                at = item.end()
            if values and at >= len(inner):
                return tuple(values)
            self.report.add(
                "E101", "syntax", word.at, f"'{text}' is not a list of values", fix="write `in [low, high]`"
            )
            return None
        if ref := parse_ref(text):
            return ref
        if op == "in":
            self.report.add(
                "E101",
                "syntax",
                word.at,
                f"`in` needs a list, not '{text}'",
                fix="write `in [low, high]`, or `in act.field` for a list on record",
            )
            return None
        return _constant(text)


def _several(text: str) -> str:
    """Return what to write for several conditions in one, an empty text if it is one."""
    if text.count("<") + text.count(">") == 2 and (chain := _CHAIN.fullmatch(text)):  # noqa: PLR2004
        low, first, middle, second, high = chain.groups()
        return f"write `when: [{middle} {_TURNED[first]} {low}, {middle} {second} {high}]`"
    for joint in (_AND, _OR):
        parts = joint.split(text.strip())
        if len(parts) > 1 and all(map(_CONDITION.fullmatch, parts)):
            if joint is _AND:
                return f"write `when: [{', '.join(parts)}]`"
            return "give each its own act or move: what is said decides, and no condition says `or`"
    return ""


def _hint(text: str) -> str:
    for wrong, right in _OPPOSITE.items():
        if re.search(rf"(?<![<>=!\w]){re.escape(wrong)}(?![<>=\w])", text):
            return f"did you mean '{right}' for '{wrong}'?"
    return "write it like `price <= ask.price`"


def _constant(text: str) -> str | int | float | bool:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return {"true": True, "false": False}.get(text, text)


def mismatch(left: FieldType, op: Comparison, right: FieldType) -> str:
    """Return why two fields cannot be compared, an empty text if they can."""
    if op == "in":
        if right.kind == "any":
            return ""
        if right.kind != "list":
            return f"`in` needs a list, and the right side is {right}"
        right = right.item or ANY
        op = "=="
    if "any" in (left.kind, right.kind):
        return ""
    words: tuple[Kind, ...] = ("text", "id", "choice")
    same = left.kind == right.kind or all(kind.kind in _NUMBERS for kind in (left, right))
    if not same and not (left.kind in words and right.kind in words):
        return f"the left side is {left.kind}, the right side is {right.kind}"
    return _unordered(left, op)


def _unordered(kind: FieldType, op: Comparison) -> str:
    if op in ("==", "!=", "in") or kind.kind in _ORDERED:
        return ""
    return f"{kind.kind} has no order; `{op}` compares {', '.join(_ORDERED)}"


def _misfit(left: FieldType, op: Comparison, right: Any) -> str:
    """Return why a field cannot be compared with a constant, an empty text if it can."""
    if isinstance(right, tuple):
        return next(
            (text for item in cast("tuple[Any, ...]", right) if (text := _misfit(left, "==", item))), ""
        )
    if left.kind == "any":
        return ""
    wanted = _is_not(left, right)
    return f"{right!r} is not {wanted}" if wanted else _unordered(left, op)


def _is_not(kind: FieldType, value: Any) -> str:
    """Return what a constant should be to be compared with `kind`, an empty text if it is that."""
    try:
        match kind.kind:
            case "text" | "id":
                return "" if isinstance(value, str) else "text: put it in quotes"
            case "int" | "number":
                return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
            case "bool":
                return "" if isinstance(value, bool) else "true or false"
            case "choice":
                return "" if value in kind.choices else f"one of {', '.join(map(str, kind.choices))}"
            case "money":
                parse_money(value)
            case "quantity":
                parse_quantity(value)
            case "duration":
                parse_duration(value)
            case "date":
                date.fromisoformat(str(value))
            case "datetime":
                datetime.fromisoformat(str(value))
            case _:
                return f"a {kind.kind}: compare it with `act.field`"
    except (ValueError, OverflowError):
        return _SUCH.get(kind.kind, f"a {kind.kind}")
    return ""
