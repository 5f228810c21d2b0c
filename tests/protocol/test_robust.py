"""Whatever the document: findings or a protocol, never an exception, and not for ever."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sale_document import SALE
from whole_documents import JOB, RACE, TENDER, WORK

from agentcomm.protocol.check import examine
from agentcomm.protocol.compile import draft
from agentcomm.protocol.library import find, load, loads, names
from agentcomm.protocol.lookup import resolver, within
from agentcomm.protocol.source import read

LINES = SALE.splitlines(keepends=True)
WORDS = [
    "open",
    "asked",
    "sold",
    "closed",
    "buyer",
    "seller",
    "cfp",
    "propose",
    "refuse",
    "expired",
    "text",
    "money",
]
KEYS = [
    "next",
    "max",
    "then",
    "to",
    "when",
    "act",
    "content",
    "critical",
    "stakes",
    "within",
    "else",
    "is",
    *("run", "as", "with", "gather", "first", "job"),
    *("for", "at_most", "at_once", "all", "any sold", "otherwise", "1..20", "off"),
]
TOP = [
    "agentcomm",
    "protocol",
    "roles",
    "types",
    "acts",
    "grounding",
    "states",
    "outcomes",
    "limits",
    "overlay",
    "overlays",
    "settles",
    "start",
]


DOCUMENTS = {"job": JOB}


def judged(text):
    checked = examine(text, resolve=within(DOCUMENTS, resolver()))
    for found in checked.findings:
        assert str(found)
        assert found.as_dict()
    errors = [found for found in checked.findings if found.severity == "error"]
    assert (checked.protocol is None) == bool(errors)
    if checked.protocol:
        protocol = checked.protocol
        assert protocol.bound >= 0
        for spec in ("table", "mermaid", "dot"):
            assert format(protocol, spec)
        for act in protocol.acts.values():
            assert act.content
        for state in protocol.states.values():
            assert state.otherwise in protocol.states or state.otherwise in protocol.outcomes
            for move in state.moves.values():
                assert move.next in protocol.states or move.next in protocol.outcomes
                assert move.to
                assert {*move.to, move.speaker} <= set(protocol.roles)
        assert loads(protocol.text, protocols=protocol.embedded).hash == protocol.hash


scalars = (
    st.sampled_from([*WORDS, *KEYS])
    | st.integers(-2, 3)
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
    | st.floats()
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, *KEYS]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.text(max_size=300))
def test_any_text(text):
    judged(text)


@given(st.dictionaries(st.sampled_from(TOP), trees, max_size=10))
def test_any_tree(tree):
    judged(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


@given(st.sampled_from([SALE, TENDER, RACE, WORK]), st.data())
@settings(max_examples=300)
def test_a_document_with_a_value_changed(text, data):
    tree = yaml.safe_load(text)
    node = tree
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        node = inner
    if data.draw(st.booleans()) or isinstance(node, list):
        node[key] = data.draw(trees)
    else:
        node[data.draw(st.sampled_from([*WORDS, *KEYS]))] = node.pop(key)
    judged(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


@given(st.lists(st.integers(0, len(LINES) - 1), max_size=3), st.data())
def test_the_sale_with_lines_lost_and_moved(lost, data):
    lines = list(LINES)
    for number in lost:
        lines[number] = data.draw(
            st.sampled_from(["", lines[number] * 2, " " + lines[number], lines[number][:-4] + "\n"])
        )
    judged("".join(lines))


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_the_library_by_the_path_and_by_its_text(name):
    judged(find(name).read_text(encoding="utf-8"))
    assert load(name).hash == loads(load(name).text).hash


def chain(count: int) -> str:
    states = "".join(
        f"  s{number}: {{{'ab'[number % 2]}: {{x: s{number + 1}}}}}\n" for number in range(count - 1)
    )
    head = "agentcomm: 1\nprotocol: c\nroles: [a, b]\nacts: {x: {act: inform, content: {}}}\noutcomes: {d: success}\n"
    return f"{head}states:\n{states}  s{count - 1}: {{a: {{x: d}}}}\n"


def test_ten_thousand_states_take_seconds():
    text = chain(10_000)
    began = time.perf_counter()
    checked = examine(text)
    assert checked.findings == ()
    assert checked.protocol.bound == 10_000
    assert time.perf_counter() - began < 15


NASTY = {
    "a long list of lists": "agentcomm: 1\nacts: {x: {a: " + "list of " * 30_000 + "text}}\n",
    "a long condition": "agentcomm: 1\nacts: {inform: {content: {a: text}, when: a in [b"
    + " " * 100_000
    + "c d'e]}}\n",
    "many misspelt names": "agentcomm: 1\nstates:\n"
    + "".join(f"  state-number-{number}: {{a: {{x: stat-number-{number}}}}}\n" for number in range(4_000)),
    "many unknown acts": "agentcomm: 1\nroles: [a, b]\noutcomes: {d: success}\nstates:\n"
    + "".join(f"  s{number}: {{a: {{y{number}: s{number + 1}}}}}\n" for number in range(5_000)),
    "many dead ends": "agentcomm: 1\nprotocol: p\nroles: [a, b]\nacts: {inform: {}}\noutcomes: {d: success}\nstates:\n"
    + "".join(f"  s{number}: {{a: {{inform: s{number + 1}}}}}\n" for number in range(4_000))
    + "  s4000: {}\n"
    + "".join(f"  t{number}: {{}}\n" for number in range(4_000)),
    "one long word": "agentcomm: 1\nstates: {" + "x" * 100_000 + ": {a: {b: " + "x" * 99_999 + "}}}\n",
    "long lines of keys": "agentcomm: 1\n" + "".join(f"k{number}: 1\n" for number in range(10_000)),
    "big numbers": "agentcomm: "
    + "9" * 5_000
    + "\nversion: "
    + "9" * 5_000
    + "\nlimits: {turns: "
    + "9" * 400
    + ", whole: "
    + "9" * 400
    + "s}\n",
}


@pytest.mark.parametrize("case", NASTY)
def test_nasty_documents_are_judged_soon(case):
    began = time.perf_counter()
    checked = examine(NASTY[case])
    assert checked.protocol is None
    assert checked.findings
    assert time.perf_counter() - began < 10


def wide(count: int) -> str:
    """Return a protocol of so many states with three moves each."""
    states: list[str] = []
    for number in range(count):
        places = [f"s{place}" if place < count else "d" for place in (number + 1, number + 2, number + 7)]
        moves = ", ".join(f"x{turn}: {place}" for turn, place in enumerate(places))
        states.append(f"  s{number}:\n    {'ab'[number % 2]}: {{{moves}}}\n")
    acts = "".join(f"  x{turn}: {{act: inform, content: {{a: text}}}}\n" for turn in range(3))
    head = f"agentcomm: 1\nprotocol: w\nroles: [a, b]\nacts:\n{acts}outcomes: {{d: success}}\n"
    return f"{head}states:\n{''.join(states)}"


def test_ten_thousand_states_with_thirty_thousand_moves_compile():
    source = read(wide(10_000))
    began = time.process_time()
    made = draft(source)
    took = time.process_time() - began
    assert source.report.found == []
    assert sum(len(state.moves) for state in made.protocol.states.values()) == 30_000
    assert took < 2  # measured: a fifth of a second; the rest is for a busy machine


FLOODS = {
    "brackets": "[" * 4_000_000,
    "braces": "{" * 4_000_000,
    "dashes": "- " * 2_000_000,
    "question marks": "? " * 2_000_000,
    "colons": ":" * 4_000_000,
    "quotes": "'" * 3_999_999,
    "stars": "*" * 4_000_000,
    "bangs": "!" * 4_000_000,
    "percents": "%a\n" * 1_300_000,
    "tabs": "\t" * 4_000_000,
    "blanks": "a:" + " " * 4_000_000,
    "one word": "a: " + "b" * 4_000_000,
    "one key": "k" * 4_000_000 + ": 1",
    "aliases": "- &a x\n" + "- *a\n" * 800_000,
    "a bomb": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)),
    "values": "- a\n" * 1_000_000,
    "keys": "".join(f"k{n}: 1\n" for n in range(400_000)),
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_is_one_finding_soon(case):
    began = time.process_time()
    findings = examine(FLOODS[case]).findings
    took = time.process_time() - began
    assert len(findings) == 1, [str(found) for found in findings]
    assert findings[0].code in ("E100", "E101")
    assert took < 8  # measured: a tenth of a second, 2 s where values are counted
