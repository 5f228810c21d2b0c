"""What code can read in a text: figures, names, and the words that say whether, how many, when and on what condition.

English words. What is read is compared by `judge_code`; nothing here decides.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from agentcomm.agents.judge_figures import MONTHS, WEEKDAYS, Figure, figure_at, key_of
from agentcomm.grounding.polarity import expanded

__all__ = ("Clause", "clauses", "is_english", "stem")

_CLAUSE = re.compile(r"[;:\n]|[.!?](?=\s|$)|,? (?:and|but|while|then|so)(?= )|, (?=\w)")
_TOKEN = re.compile(r"\S+")
_EDGES = ".,;:!?()[]{}\"'\u2019\u201c\u201d"
_IDENTIFIER = re.compile(r"[\w./-]*(?:\w[_./]\w|[A-Za-z]\d|\d[A-Za-z]|\w-\d|--\w)[\w./-]*")
_COMPOUND = re.compile(r"(?<![\w-])[A-Za-z]+(?:-[A-Za-z]+)+(?![\w-])")
_NOT = re.compile(r"\b(\w+?)n['\u2019]t\b")
_WHOLE = {"ca": "can", "wo": "will", "sha": "shall"}
_INITIAL = re.compile(r"[A-Z]\.")
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ing|ies|ied|es|ed|s|e|y)$")
MARKS: Mapping[str, tuple[str, ...]] = {
    "at most": ("at most", "at the most", "no more than", "not more than", "or less", "or fewer", "up to", "a maximum of"),
    "at least": ("at least", "no less than", "not less than", "no fewer than", "never fewer than", "or more", "or longer", "a minimum of"),
    "above": ("above", "over", "more than", "exceeds", "exceeded", "exceed", "higher than"),
    "below": ("below", "under", "less than", "fewer than", "lower than"),
    "only": ("only", "solely", "exclusively", "nothing but", "alone"),
    "all": ("all", "every", "each", "everywhere", "everything"),
    "some": ("some", "several", "a few", "few", "part of"),
    "most": ("most", "the majority"),
    "or": ("or",),
    "if": ("if", "when", "whenever", "in case", "provided", "as long as", "whether", "should the"),
    "unless": ("unless",),
    "otherwise": ("otherwise", "else"),
    "except": ("except", "leave out", "excluding", "apart from"),
    "including": ("including", "included"),
    "before": ("before", "ahead of", "prior to"),
    "after": ("after", "afterwards", "once", "past", "following"),
    "until": ("by", "until", "till", "no later than", "at the latest", "not later than"),
    "must": ("must", "have to", "has to", "shall", "required", "mandatory"),
    "may": ("may", "can", "could", "might", "allowed", "permitted", "optional"),
    "should": ("should", "ought to"),
    "now": ("now", "at once", "immediately", "straight away"),
    "today": ("today",),
    "tomorrow": ("tomorrow",),
    "yesterday": ("yesterday",),
}  # fmt: skip
"""Words that change what a sentence asks for, by what they say."""
_MARK_OF = {phrase: name for name, phrases in MARKS.items() for phrase in phrases}
_MARKED = re.compile(
    r"\b(?:" + "|".join(re.escape(phrase) for phrase in sorted(_MARK_OF, key=len, reverse=True)) + r")\b"
)
_NEGATORS = frozenset([
    "not", "no", "never", "without", "none", "nothing", "nobody", "neither", "nor", "forbidden", "forbid", "avoid",
    "refuse", "untouched"
])  # fmt: skip
_STOP = frozenset([
    "a", "an", "the", "of", "to", "in", "on", "at", "for", "with", "from", "into", "onto",
    "by", "as", "per", "is", "are", "was", "were", "be", "been", "being", "am", "do", "does", "did", "done", "since",
    "more", "than", "most", "least", "less", "fewer", "longer", "straight", "away", "has", "have", "had", "having",
    "it", "its", "this", "that", "these", "those", "they", "them", "their", "there", "here", "he", "she", "his",
    "her", "you", "your", "we", "our", "i", "my", "me", "which", "who", "whom", "whose", "what", "will", "would",
    "and", "or", "but", "so", "then", "than", "too", "also", "very", "just", "any", "other", "another", "if", "while",
    "both", "same", "such", "own", "via"
])  # fmt: skip


_PREPOSITIONS = frozenset(["to", "from", "for", "by", "in", "with", "into", "onto", "at", "via"])
_COUNTS = frozenset(["only", "all", "some", "most"])
_LITTLE = _STOP | _NEGATORS | {word for phrase in _MARK_OF for word in phrase.split()}
_FEW = 5
_ENGLISH = 0.1
"""The share of little words in an English text, at least."""


class Clause(msgspec.Struct, frozen=True):
    """A piece of a text that says one thing."""

    text: str
    words: tuple[str, ...]
    """Stems of its content words, in order; figures not among them."""
    order: tuple[str, ...]
    """Stems, names and figures, in order."""
    joined: tuple[str, ...]
    """Before each of these, the preposition that leads to it, empty where there is none."""
    figures: tuple[tuple[str, Figure], ...]
    """As written, and what they can be."""
    names: tuple[str, ...]
    """Folded: what is written with a capital within a sentence, and identifiers."""
    said: frozenset[str]
    """Every word of it but figures, folded."""
    marks: frozenset[str]
    bounds: frozenset[tuple[str, str]]
    """A mark and the figure or word that follows it."""
    negated: bool


def clauses(text: str) -> tuple[Clause, ...]:
    """Return the clauses of a text that say anything."""
    found = [_clause(part) for part in _split(text)]
    return tuple(clause for clause in found if clause.order or clause.marks)


def _split(text: str) -> Iterator[str]:
    """Yield the pieces of a text; a figure is never cut."""
    at = 0
    for cut in _CLAUSE.finditer(text):
        before, after = text[: cut.start()], text[cut.end() :]
        if cut[0] == ":" and before[-1:].isdigit() and after[:1].isdigit():
            continue
        if cut[0] == "." and re.search(r"\b[A-Z]$", before):  # an initial: A. Keller
            continue
        if cut[0] == ", " and after[:1].isdigit() and (before[-1:].isdigit() or _ends_in_day(before)):
            continue
        yield text[at : cut.start()].strip()
        at = cut.end()
    yield text[at:].strip()


def _ends_in_day(text: str) -> bool:
    return text.rpartition(" ")[2].casefold() in WEEKDAYS


def is_english(texts: Sequence[str]) -> bool:
    """Say whether the little words of texts are those that are known here; a few words are not enough to tell."""
    words = [word for text in texts for word in re.findall(r"[^\W\d_]+", expanded(text))]
    known = sum(word in _LITTLE for word in words)
    return len(words) < _FEW or known >= _ENGLISH * len(words)


def _clause(text: str) -> Clause:
    figures: list[tuple[str, Figure]] = []
    words: list[str] = []
    order: list[str] = []
    names: list[str] = []
    plain: list[str] = []
    said: list[str] = []
    joined: list[str] = []
    leading = ""
    tokens = _tokens(text)
    at = 0
    while at < len(tokens):
        length, figure = figure_at(tokens, at)
        if figure:
            written = " ".join(tokens[at : at + length])
            figures.append((written, figure))
            key = key_of(figure)
            order.append(key)
            joined.append(leading)
            leading = ""
            plain.append(key)
            at += length
            continue
        token = tokens[at]
        named = _is_name(token, at)
        if named:
            names.append(_folded(token))
        root = _folded(token) if named else stem(token)
        plain.append(expanded(token))
        said.append(_folded(token))
        if root and (named or (expanded(token) not in _STOP and not _is_mark(token))):
            words.append(root)
            order.append(root)
            joined.append(leading)
            leading = ""
        elif expanded(token) in _PREPOSITIONS:
            leading = expanded(token)
        at += 1
    spoken = expanded(" ".join(plain))
    marks = frozenset(_MARK_OF[found[0]] for found in _MARKED.finditer(spoken))
    bare = _MARKED.sub(" ", spoken)
    negators = sum(word in _NEGATORS for word in re.findall(r"[\w'-]+", bare))
    return Clause(
        text,
        tuple(words),
        tuple(order),
        tuple(joined),
        tuple(figures),
        tuple(names),
        frozenset(said),
        marks,
        _bounds(spoken),
        negators % 2 == 1,
    )


def _tokens(text: str) -> list[str]:
    spaced = re.sub(r"[\u2013\u2014/](?=\s)|(?<=\s)[\u2013\u2014/]", " ", text)
    spaced = _NOT.sub(lambda found: f"{_WHOLE.get(found[1].lower(), found[1])} not", spaced)
    spaced = _COMPOUND.sub(lambda found: found[0].replace("-", " "), spaced)
    found = (raw if _INITIAL.fullmatch(raw) else raw.strip(_EDGES) for raw in _TOKEN.findall(spaced))
    return [token for token in found if token]


def _bounds(spoken: str) -> frozenset[tuple[str, str]]:
    """Return each mark with the figure that follows it within three words; of those that count, else with the next word."""
    found: set[tuple[str, str]] = set()
    for mark in _MARKED.finditer(spoken):
        rest = spoken[mark.end() :].split()[:3]
        figure = next((word for word in rest if word.startswith("#")), "")
        name = _MARK_OF[mark[0]]
        if figure:
            found.add((name, figure))
        elif name in _COUNTS and (word := next((word for word in rest if word not in _STOP), "")):
            found.add((name, stem(word)))
    return frozenset(found)


def _is_mark(token: str) -> bool:
    return expanded(token) in _MARK_OF or expanded(token) in _NEGATORS


def _is_name(token: str, at: int) -> bool:
    if _INITIAL.fullmatch(token) or (_IDENTIFIER.fullmatch(token) and not token.isdigit()):
        return True
    return at > 0 and token[:1].isupper() and not _is_day(token)


def _is_day(token: str) -> bool:
    return token.casefold() in WEEKDAYS or token.casefold() in MONTHS


def _folded(token: str) -> str:
    return _POSSESSIVE.sub("", token).casefold()


@lru_cache(maxsize=4096)
def stem(token: str) -> str:
    """Return a word without its ending, so that `stopped`, `stops` and `stop` are one; identifiers stay as they are."""
    word = _folded(token)
    if _IDENTIFIER.fullmatch(token) or not word.isalpha():
        return word if re.search(r"\w", word) else ""
    before = ""
    while word != before and len(word) > 3:  # noqa: PLR2004
        before, word = word, _SUFFIX.sub("", word)
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl" else word  # noqa: PLR2004
