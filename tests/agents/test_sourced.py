import pytest

from agentcomm.grounding.sourced import Sources, unsourced

FACTS = [
    '{"host":"shop.example","error_count":176,"first_seen":"2026-11-23T22:56:01","error":"timed out (110: x)"}'
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("There are 176 errors on shop.example.", ()),
        ("There are 17 errors.", ("17",)),
        ("There are 1760 errors.", ("1760",)),
        ("Since 2026-11-23T22:56:01, mostly (110: x).", ()),
        ("Since 2026-11-24.", ("2026-11-24.",)),
        ("mail.example is down", ("mail.example",)),
        ("It broke.Then it ended.", ()),
        ("SHOP.EXAMPLE is down", ()),
        ("see http://localhost:8080/a", ("http://localhost:8080/a",)),
        ("nothing to count here", ()),
        ("", ()),
    ],
)
def test_what_stands_in_no_source_is_found(text, found):
    assert unsourced([text], FACTS) == found


def test_what_comes_from_a_worked_example_is_found_unless_it_is_a_fact_too():
    examples = ["sshd", "Failed password for root", "shop.example"]
    assert unsourced(["sshd on shop.example"], FACTS, examples) == ("sshd",)
    assert unsourced(["it says: failed password for root!"], FACTS, examples) == ("Failed password for root",)


def test_what_is_taken_in_bit_by_bit_is_known_as_what_was_given_at_once():
    items = [
        "It costs 110 EUR at 09:30.",
        {"host": "web-1.example"},
        [3, "forty-two"],
        {"when": "2026-12-01T10:00Z"},
    ]
    whole, bits = Sources(items), Sources([])
    for number, item in enumerate(items):
        bits.add(item)
        so_far = Sources(items[: number + 1])
        assert (bits.numbers, bits.words, bits.text) == (so_far.numbers, so_far.words, so_far.text)
    for word in ("110", "web-1.example", "42", "10:00", "host", "111", "web-2.example"):
        assert bits.has(word) == whole.has(word), word
    assert bits.has("42")
    assert not bits.has("111")
