"""Bytes that no author would write: findings at once, never an exception."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcomm.protocol.check import examine
from agentcomm.protocol.library import load, names
from agentcomm.protocol.lookup import resolver

FOLDER = Path(__file__).parents[2] / "protocols"
LIBRARY = [file.read_bytes() for file in sorted(FOLDER.rglob("*.yaml"))]
TOKENS = [
    *(b"{", b"}", b"[", b"]", b": ", b", ", b"- ", b"? ", b"&a ", b"*a", b"!!str ", b"|\n", b">\n", b"'", b'"', b"#"),
    *(b"\n", b"\n  ", b"\t", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"---\n", b"...\n", b"%YAML 1.2\n", b"<<: "),
    *(b"next", b"max: ", b"then: ", b"run: ", b"when: ", b"for: all", b"gather: ", b"1..20", b"9" * 5_000, b"1e999"),
    *(b"null", b"true", b"it.fields", b"a.b.c", b"optional ", b"list of ", b"in [", b"999999999999h", b"-1", b"0x"),
]  # fmt: skip
SECONDS = 1.0
"""The longest that a document of this size may take, on a machine of its own."""
PACE = 0.02
"""Seconds in which such a machine counts to a million."""


def paced(took):
    """Return what seconds of the processor would be on a machine of its own."""
    if took <= SECONDS:
        return took
    start = time.process_time()  # the machine does other work as well: how slow is it just now?
    for _ in range(1_000_000):
        pass
    return took / max(1.0, (time.process_time() - start) / PACE)


def judged(data):
    """Check that a document is judged, in time, and say what was found."""
    start = time.process_time()
    checked = examine(data, path="fuzzed.yaml", resolve=resolver())
    took = paced(time.process_time() - start)
    for found in checked.findings:
        assert str(found)
        assert found.as_dict()["what"]
        assert found.line >= 1
        assert found.column >= 1
    errors = [found for found in checked.findings if found.severity == "error"]
    assert (checked.protocol is None) == bool(errors)
    assert took < SECONDS, (took, data[:200])
    return checked.findings


def mangled(dice, data):
    """Return a document with a few bytes lost, flipped, doubled, moved or put in."""
    made = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 5, 20])):
        at = dice.randrange(len(made) + 1)
        size = dice.choice([1, 1, 4, 40])
        match dice.randrange(6):
            case 0:
                del made[at : at + size]
            case 1 if at < len(made):
                made[at] ^= 1 << dice.randrange(8)
            case 2:
                made[at:at] = dice.choice(TOKENS)
            case 3:
                other = dice.choice(LIBRARY)
                start = dice.randrange(len(other))
                made[at:at] = other[start : start + dice.choice([4, 40, 400])]
            case 4:
                del made[at:]
            case _:
                made[at:at] = made[at : at + size]
    return bytes(made)


@given(st.binary(max_size=400))
def test_random_bytes(data):
    judged(data)


@given(st.lists(st.sampled_from(TOKENS) | st.sampled_from(LIBRARY).map(lambda data: data[:80]), max_size=30))
def test_random_tokens(parts):
    judged(b"".join(parts))


@given(st.randoms(use_true_random=False), st.sampled_from(LIBRARY))
@settings(max_examples=150)
def test_mangled_documents_of_the_library(dice, data):
    judged(mangled(dice, data))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_mangled_documents_of_the_library():
    dice = random.Random(3)  # noqa: S311 - a sample, not a secret
    for _ in range(20_000):
        judged(mangled(dice, dice.choice(LIBRARY)))


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_documents_cut_off(name):
    data = load(name).text.encode()
    for at in range(0, len(data), max(1, len(data) // 12)):
        judged(data[:at])


HEAD = b"agentcomm: 1\nprotocol: x\nroles: [a, b]\n"
BODY = b"acts: {t: {act: inform, content: {x: text}}}\nstates: {s: {a: {t: d}}}\noutcomes: {d: success}\n"
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9)) for letter in b"bcdefghijk"
)
DEEP = {
    "lists": b"[" * 50_000,
    "maps": b"{a: " * 50_000,
    "closed lists": b"[" * 20_000 + b"]" * 20_000,
    "blocks": b"".join(b" " * depth + b"a:\n" for depth in range(1_500)),
    "dashes": b"- " * 50_000,
    "questions": b"? " * 50_000,
    "aliases": BOMB,
    "an alias of itself": b"a: &a [*a]\n",
    "many aliases": b"a: &a x\nb: [" + b"*a, " * 100_000 + b"]\n",
    "anchors": b"".join(b"k%d: &k%d x\n" % (n, n) for n in range(20_000)),
    "a huge key": HEAD + b"k" * 1_000_000 + b": 1\n",
    "a huge key in a flow": HEAD + b"acts: {" + b"k" * 200_000 + b": {}}\n",
    "a huge name": HEAD.replace(b"[a, b]", b"[" + b"a" * 500_000 + b", b]") + BODY,
    "a huge word": HEAD + BODY.replace(b"x: text", b"x: " + b"t" * 500_000),
    "a huge number": HEAD + b"version: " + b"9" * 200_000 + b"\n" + BODY,
    "a huge budget": HEAD + BODY.replace(b"t: d}", b"t: {next: d, max: " + b"9" * 100_000 + b"}}"),
    "a huge duration": HEAD + BODY + b"limits: {reply_within: " + b"9" * 100_000 + b"h}\n",
    "a huge exponent": HEAD + BODY + b"limits: {turns: 1e" + b"9" * 10_000 + b"}\n",
    "a huge range": HEAD.replace(b"[a, b]", b"{a: 1, b: 1.." + b"9" * 50_000 + b"}") + BODY,
    "many optionals": HEAD + BODY.replace(b"x: text", b"x: " + b"optional " * 50_000 + b"text"),
    "many lists of": HEAD + BODY.replace(b"x: text", b"x: " + b"list of " * 50_000 + b"text"),
    "a long condition": HEAD + BODY.replace(b"{act: inform", b"{when: 'x == " + b"a." * 100_000 + b"', act: inform"),
    "a long list of values": HEAD + BODY.replace(b"{act: inform", b"{when: 'x in [" + b"a, " * 100_000 + b"]', act: inform"),
    "a bad list of values": HEAD + BODY.replace(b"{act: inform", b"{when: 'x in [" + b'"' * 900 + b"]', act: inform"),
    "spaces": b" " * 1_000_000,
    "lines": b"\n" * 1_000_000,
    "comments": b"# x\n" * 200_000,
    "quotes": b"'" * 100_000,
    "escapes": b'a: "' + b"\\x41" * 100_000 + b'"\n',
    "zeros": b"\0" * 100_000,
    "the same key": HEAD + b"x: 1\n" * 50_000,
    "unknown keys": HEAD + b"".join(b"k%d: 1\n" % n for n in range(20_000)),
    "unknown states": HEAD + BODY.replace(b"{t: d}", b"{" + b", ".join(b"t%d: s%d" % (n, n) for n in range(20_000)) + b"}"),
    "many roles": HEAD.replace(b"[a, b]", b"[" + b", ".join(b"r%d" % n for n in range(20_000)) + b"]") + BODY,
    "many types in a row": HEAD + b"types: {" + b", ".join(b"T%d: {x: T%d}" % (n, n + 1) for n in range(5_000)) + b"}\n" + BODY,
    "types that double": HEAD + b"types: {" + b", ".join(b"T%d: {x: T%d, y: T%d}" % (n, n + 1, n + 1) for n in range(30)) + b", T30: text}\n" + BODY.replace(b"x: text", b"x: T0"),
    "a run of itself": HEAD + b"states: {s: {run: x}}\noutcomes: {d: success}\n",
    "a run of a path": HEAD + b"acts: {}\nstates: {s: {run: '../../../etc/passwd'}}\noutcomes: {d: success}\n",
    "two documents": HEAD + BODY + b"---\n" + HEAD + BODY,
    "utf-16": (HEAD + BODY).decode().encode("utf-16"),
    "latin-1": HEAD + b"about: caf\xe9\n" + BODY,
    "a byte order mark": b"\xef\xbb\xbf" + HEAD + BODY,
    "separators of lines": HEAD + "about: a\u2028b\u0085c\n".encode() + BODY,
    "a long line": HEAD + BODY + b"x: {" + b"y: 1, " * 100_000 + b"}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_too_big_or_too_clever(name):
    findings = judged(DEEP[name])
    assert findings or name == "a byte order mark"
    assert len("\n".join(map(str, findings))) < 300_000
