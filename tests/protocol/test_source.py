import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.protocol import source
from agentcomm.protocol.library import find, names
from agentcomm.protocol.source import ReadLimits, read, read_all

SCALARS = {
    "true": True,
    "False": False,
    "yes": "yes",
    "no": "no",
    "on": "on",
    "off": "off",
    "y": "y",
    "~": None,
    "null": None,
    "": None,
    "12": 12,
    "-3": -3,
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "0b1": "0b1",
    "1_000": "1_000",
    "1.5": 1.5,
    "1e3": 1000.0,
    "1:30": "1:30",
    "12:30:45": "12:30:45",
    "2026-12-01": "2026-12-01",
    "2026-12-01T09:30:00Z": "2026-12-01T09:30:00Z",
    "=": "=",
    "'12'": "12",
    '"true"': "true",
    "1.10": 1.1,
    "60s": "60s",
    "120 EUR": "120 EUR",
}


@pytest.fixture(params=["c", "pure"])
def parser(request, monkeypatch):
    if request.param == "pure":
        monkeypatch.setattr(source, "_parsers", lambda _text: (yaml.SafeLoader,))
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML is built without libyaml")
    return request.param


def plain(node):
    if node is None:
        return None
    if node.entries is not None:
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if node.items is not None:
        return [plain(item) for item in node.items]
    return node.value


def places(node):
    if node.entries is not None:
        return [(key, entry.at, places(entry.node)) for key, entry in node.entries.items()]
    if node.items is not None:
        return [places(item) for item in node.items]
    return node.at


@pytest.mark.parametrize("written", SCALARS)
def test_scalars_are_those_of_yaml_1_2(parser, written):
    document = read(f"key: {written}\n")
    assert not document.report.found
    value = document.root.entries["key"].node.value
    assert value == SCALARS[written]
    assert type(value) is type(SCALARS[written])


def test_every_key_and_value_keeps_its_place(parser):
    root = read("one: two\nlist:\n  - ä, b\n  - {key: 'value'}\n").root
    assert (root.entries["one"].at.line, root.entries["one"].at.column, root.entries["one"].at.length) == (
        1,
        1,
        3,
    )
    assert (root.entries["one"].node.at.column, root.entries["one"].node.at.length) == (6, 3)
    item = root.entries["list"].node.items[1].entries["key"]
    assert (item.at.line, item.at.column) == (4, 6)
    assert (item.node.at.column, item.node.at.length) == (11, 7)


@pytest.mark.parametrize(
    "text",
    [
        "a: [b\nc: d\n",
        "a: b: c\n",
        "\ta: b\n",
        "a:\n  b: c\n d: e\n",
        "a: 'open\n",
        'a: "bad \\q escape"\n',
        "a: @x\n",
        "a: `x`\n",
        "a: %x\n",
        "{a: b",
        "a: *gone\n",
        "- a\nb: c\n",
        "a: |\n x\n y\n",
        "? a\n: b\n",
        "a: !!binary aGk=\n",
        "--- a\n--- b\n",
        "%YAML 1.1\n---\na: b\n",
        "a: {when: b in [c, d]}\n",
        "&a [*a]\n",
        "",
        "\n\n",
        "# only a comment\n",
        "a: b\n...\nc: d\n",
    ],
)
def test_both_parsers_say_the_same(text, monkeypatch):
    fast = read(text)
    monkeypatch.setattr(source, "_parsers", lambda _text: (yaml.SafeLoader,))
    slow = read(text)
    assert list(map(str, fast.report.found)) == list(map(str, slow.report.found))
    assert plain(fast.root) == plain(slow.root)
    if fast.root is not None:
        assert places(fast.root) == places(slow.root)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xff\xfea\x00:\x00", "not UTF-8"),
        (b"a: \xe4\n", "not UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "no text has"),
        (b"a: b\x00c\n", "no text has"),
        ("a: \ud800\n", "not UTF-8"),
        (b"", "empty"),
        (b"a" * 4_200_000, "bigger than 4096 KB"),
    ],
)
def test_what_is_no_text_is_a_finding(data, what):
    document = read(data)
    assert document.root is None
    assert [what in found.what for found in document.report.found] == [True]


def test_the_bad_byte_has_its_place():
    found = read(b"one: two\nthree: \xe4\n").report.found[0]
    assert (found.line, found.column) == (2, 8)


def test_a_byte_order_mark_is_read_over():
    assert plain(read(b"\xef\xbb\xbfa: b\n").root) == {"a": "b"}


def test_line_ends_of_every_system(parser):
    assert plain(read("a: b\r\nc: d\re: f\n").root) == {"a": "b", "c": "d", "e": "f"}


def test_an_alias_stands_for_its_value(parser):
    assert plain(read("a: &x {b: c}\nd: *x\n").root) == {"a": {"b": "c"}, "d": {"b": "c"}}


LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "limits", "what"),
    [
        (LAUGHS, ReadLimits(), "more than 250000 values"),
        ("a: &a b\nc: [" + ", ".join(["*a"] * 51) + "]", ReadLimits(), "more than 50 aliases"),
        (LAUGHS, ReadLimits(aliases=10_000), "more than 250000 values"),
        ("[" * 41 + "]" * 41, ReadLimits(), "deeper than 40"),
        ("[" * 100_000, ReadLimits(), "deeper than 40"),
        ("{a: " * 41, ReadLimits(), "deeper than 40"),
        ("- " * 50_000, ReadLimits(), "deeper than 40"),
        ("a: &a " + "[" * 39 + "]" * 39 + "\nb: [[*a]]\n", ReadLimits(), "deeper than 40"),
        ("- a\n" * 250_001, ReadLimits(), "more than 250000 values"),
        ("&a [*a]", ReadLimits(), "contains itself"),
    ],
)
def test_a_document_cannot_be_too_much(text, limits, what, parser):
    document = read(text, limits=limits)
    assert document.root is None
    assert what in document.report.found[0].what


def test_a_document_within_the_limits_is_read(parser):
    text = "[" * 40 + "]" * 40
    assert read(text).root is not None


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    document = read(data)
    assert document.root is not None or document.report.found


@given(st.text(max_size=200))
def test_no_text_raises(text):
    document = read(text)
    assert document.root is not None or document.report.found


@given(st.text(alphabet="ab: -[]{},\n\t'\"#&*!|>?%@`0.~\\", max_size=60))
def test_nothing_that_looks_like_yaml_raises(text):
    document = read(text)
    assert document.root is not None or document.report.found


DOCUMENTS = [find(name).read_text(encoding="utf-8") for name in (*names(), *names(overlays=True))]
MARKS = "ab: -[]{},\n\t'\"#&*!|>?%@`0.~\\ä\u2028\x85\r"


@given(
    st.sampled_from(DOCUMENTS), st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(MARKS)), max_size=3)
)
def test_both_parsers_read_a_damaged_protocol_alike(text, edits):
    for place, mark in edits:
        text = text[:place] + mark + text[place + 1 :]
    fast = read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_parsers", lambda _text: (yaml.SafeLoader,))
        slow = read(text)
    assert list(map(str, fast.report.found)) == list(map(str, slow.report.found))
    assert plain(fast.root) == plain(slow.root)
    if fast.root is not None:
        assert places(fast.root) == places(slow.root)


def test_several_documents_are_read_where_they_are_asked_for():
    source = read_all("--- &a\nx: 1\n...\n---\n- two\n---\n")
    assert source.root is not None
    first, second, third = source.root.items
    assert first.entries["x"].node.value == 1
    assert (second.items[0].value, second.items[0].at.line) == ("two", 5)
    assert third.value is None
    leaked = read_all("--- &a\nx: 1\n---\ny: *a\n")
    assert [(finding.code, finding.line) for finding in leaked.report.found] == [("E100", 4)]
    assert [finding.what for finding in read("a: 1\n---\nb: 2\n").report.found] == [
        "a second document begins"
    ]
