"""What a type was meant to be that is written as other languages write it."""

import re
from collections.abc import Collection

from agentcomm.protocol.findings import near

__all__ = ("WORDS", "meant")

WORDS = {
    "string": "text",
    "str": "text",
    "integer": "int",
    "float": "number",
    "decimal": "number",
    "double": "number",
    "boolean": "bool",
    "time": "datetime",
    "timestamp": "datetime",
    "object": "any",
    "currency": "money",
    "amount": "quantity",
    "measure": "quantity",
    "identifier": "id",
    "uuid": "id",
    "dict": "any",
    "url": "text",
    "email": "text",
}
"""Words of other languages for our types."""
_OPTIONAL = re.compile(
    r"(?:optional|nullable)[<\[( ]+(.+?)[>\])]*|(.+?) *(?:\?|\| *(?:null|none)|(?: |, *)optional)",
    re.IGNORECASE,
)
_LIST = re.compile(r"(?:list|array|set|seq|sequence)s?(?: of |[<\[( ]+)(.+?)[>\])]*|(.+?)\[\]", re.IGNORECASE)
_RANGE = re.compile(r"(.+?)[ ,:(\[]+(-?\d+(?:\.\d+)?) *(?:\.\.\.?|-| to ) *(-?\d+(?:\.\d+)?)[)\]]?")
_LIMIT = re.compile(r"(.+?) *(>=|<=|>|<) *(-?\d+(?:\.\d+)?)")
_KEYS = {">=": "minimum", "<=": "maximum", ">": "exclusiveMinimum", "<": "exclusiveMaximum"}
_CHOICE = re.compile(
    r"(?:enum|one of|choice)?[ (\[<]*([\w-]+(?:(?: *[|/,] *| or )[\w-]+)+)[)\]>]*", re.IGNORECASE
)
_NUMBERS = ("int", "number")


def meant(word: str, known: Collection[str]) -> str:
    """Return what to write for a text that is no type.

    Args:
        word: The text.
        known: The types that there are.
    """

    def base(text: str | None) -> str:
        name = (text or "").strip()
        name = name if name in known else WORDS.get(name.lower(), name.lower())
        return name if name in known else ""

    if name := base(word):
        return f"did you mean '{name}'?"
    if (found := _OPTIONAL.fullmatch(word)) and (name := base(found[1] or found[2])):
        return f"did you mean 'optional {name}'?"
    if re.match(r"(?:map|dict|record|object)\b", word, re.IGNORECASE):
        return "write its fields, such as `{name: text}`, or `any`"
    if word.lower() == "list":
        return "did you mean 'list of ...'?"
    if (found := _LIST.fullmatch(word)) and (name := base(found[1] or found[2])):
        return f"did you mean 'list of {name}'?"
    if (found := _RANGE.fullmatch(word)) and (name := base(found[1])) in _NUMBERS:
        return f"write `{{is: {name}, minimum: {found[2]}, maximum: {found[3]}}}`"
    if (found := _LIMIT.fullmatch(word)) and (name := base(found[1])) in _NUMBERS:
        return f"write `{{is: {name}, {_KEYS[found[2]]}: {found[3]}}}`"
    if found := _CHOICE.fullmatch(word):
        return f"write `[{', '.join(re.split(r' *[|/,] *| or ', found[1]))}]`"
    parts = re.findall(r"[\w-]+", word)
    if parts != [word] and (name := next((name for part in parts if (name := base(part))), "")):
        return f"did you mean '{name}'? What more it must be stands in `{{is: {name}, ...}}`"
    return near(word, known)
