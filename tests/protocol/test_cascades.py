"""One mistake makes one finding: a word of a library protocol, misspelt in one place, is told once."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from agentcomm.protocol.check import examine
from agentcomm.protocol.lookup import resolver

FOLDER = Path(__file__).parents[2] / "protocols"
FILES = sorted(FOLDER.rglob("*.yaml"))
SAMPLE, SEED = 250, 5
WORD = re.compile(r"(?<![#\w-])([A-Za-z_][\w-]{2,})(?![\w-])")


def misspelt(text):
    """Yield a text with one word misspelt, and the word; what is only for people is left alone."""
    for found in WORD.finditer(text, text.index("roles:")):
        word = found[1]
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if "#" not in line:
            wrong = f"{word}q" if word[-1] == word[-2] else word[:-2] + word[-1] + word[-2]
            yield f"{line.strip()} {word}", text[: found.start()] + wrong + text[found.end() :]


def errors(file, text):
    return [found for found in examine(text, resolve=resolver(file)).findings if found.severity == "error"]


def count(cases):
    """Return how many errors each case has, by number, and those with several."""
    several, numbers = [], Counter()
    for file, where, text in cases:
        found = errors(file, text)
        numbers[len(found)] += 1
        if len(found) > 1:
            several.append((file.stem, where, [str(finding.what) for finding in found]))
    return numbers, several


def every():
    return [
        (file, where, text) for file in FILES for where, text in misspelt(file.read_text(encoding="utf-8"))
    ]


def test_a_sample_of_misspelt_words_is_told_once():
    numbers, several = count(random.Random(SEED).sample(every(), SAMPLE))  # noqa: S311 - a sample, not a secret
    assert len(several) <= 0.01 * SAMPLE, several
    assert numbers[1] >= 0.8 * SAMPLE, numbers


@pytest.mark.long
def test_every_misspelt_word_is_told_once():
    cases = every()
    numbers, several = count(cases)
    assert len(several) <= 0.005 * len(cases), several
    assert numbers[1] >= 0.85 * len(cases), numbers


ONE = """
agentcomm: 1
protocol: talk
roles: {ann: 1, bob: 1..5}
acts: {tell: {act: inform, content: {x: text}}, say: {act: inform, content: {x: text}}}
states:
  one:
    ann: {tell: {next: two, for: all}}
  two:
    bob: {say: three}
  three:
    gather: bob
    ann: {tell: done}
outcomes: {done: success}
settles: {success: otherwise}
"""


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("{ann: 1,", "{ann: 1..3,", ["E705"]),
        ("gather: bob", "gather: bbo", ["E102"]),
        ("tell: {act:", "tell: {atc:", ["E101"]),
        ("next: two", "nxet: two", ["E101"]),
        ("next: two", "xyz: two", ["E101"]),
        ("settles: {success: otherwise}", "settles: {success: othrewise}", ["E101"]),
        ("settles: {success: otherwise}", "settles: {sucess: otherwise}", ["E102"]),
        ("outcomes: {done", "outcomes: {doen", ["E102"]),
    ],
)
def test_a_mistake_brings_no_other_with_it(old, new, codes):
    assert old in ONE
    assert [found.code for found in errors(None, ONE.replace(old, new))] == codes


def test_the_roles_of_an_overlay_are_told_once():
    text = (FOLDER / "_overlays" / "repair.yaml").read_text(encoding="utf-8")
    several = text.replace("roles: [sender, hearer]", "roles: {sender: 1, hearer: 1..5}")
    assert [found.code for found in errors(None, several)] == ["E704"]
    assert [found.code for found in errors(None, text.replace("[sender,", "[sendre,"))] == ["E102"]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("  two:\n", "    two:\n", "'two' stands in the state 'one', and is no role"),
        ("\nstates:", "\n  states:", "'states' is missing"),
        ("    bob: {say", "  bob: {say", "'bob' is a role, and stands where states do"),
        ("  three:\n", "three:\n", "'three' is not a key of a protocol"),
        ("\nroles:", "\n  roles:", "this line is indented too far"),
    ],
)
def test_what_is_indented_wrong_is_told_once(old, new, what):
    text = ONE.replace(
        "acts: {tell: {act: inform, content: {x: text}}, ",
        "acts:\n  tell: {act: inform, content: {x: text}}\n  ",
    )
    text = text.replace("say: {act: inform, content: {x: text}}}", "say: {act: inform, content: {x: text}}")
    assert not errors(None, text)
    assert old in text
    found = errors(None, text.replace(old, new, 1))
    assert [finding.what for finding in found] == [what]
    assert found[0].line > 1
    assert any(word in found[0].fix for word in ("indent", "left edge", "align"))


def headless(text):
    """Yield a text without the line that begins a state, for each state that has a line of its own."""
    lines = text.split("\n")
    begin = lines.index("states:")
    ends = [number for number, line in enumerate(lines) if number > begin and re.match(r"\w", line)]
    for number in range(begin + 1, ends[0]):
        if re.match(r"  [\w-]+:\s*(#.*)?$", lines[number]):
            yield lines[number].strip(), "\n".join(lines[:number] + lines[number + 1 :])


def test_a_lost_header_of_a_state_is_told_once():
    cases = [
        (file, name, text) for file in FILES for name, text in headless(file.read_text(encoding="utf-8"))
    ]
    _, several = count(cases)
    assert len(several) <= 0.1 * len(cases), several
    text = next(
        text for file, name, text in cases if file.stem == "request" and name.startswith("requested:")
    )
    assert [found.fix for found in errors(FOLDER / "request.yaml", text)] == [
        "write `requested:` above line 22, if what stands there is meant to be that state; or did you mean 'refused'?"
    ]
