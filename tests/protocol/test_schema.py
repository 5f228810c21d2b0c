"""The JSON Schema of the language: what is right is valid, what is misshapen is not, and no list drifts from the code."""

from pathlib import Path

import jsonschema
import pytest

from agentcomm.acts.content import CONSTRAINTS, KINDS
from agentcomm.acts.performative import Performative
from agentcomm.protocol import schema_words, spec, turns
from agentcomm.protocol.graph import Criterion, OutcomeClass, Stakes
from agentcomm.protocol.schema import language_schema
from agentcomm.protocol.source import read

ROOT = Path(__file__).parents[2]
SCHEMA = language_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SHIPPED = sorted([*ROOT.glob("protocols/**/*.yaml"), *ROOT.glob("examples/*/protocol.yaml")])
WRITTEN = (Path(__file__).parent / "fifteen.yaml").read_text().split("---\n")


def plain(node):
    """Return what a program sees of a document: YAML 1.2 as data."""
    if node.entries is not None:
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    return [plain(item) for item in node.items] if node.items is not None else node.value


def document(text):
    source = read(text)
    assert source.root, [str(finding) for finding in source.report.found]
    return plain(source.root)


def named(text):
    return text.partition("protocol: ")[2].partition("\n")[0]


def written(name):
    return next(text for text in WRITTEN if named(text) == name)


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", [*(path.read_text() for path in SHIPPED), *WRITTEN], ids=named)
def test_what_is_right_is_valid(text):
    errors = [f"{list(e.absolute_path)}: {e.message}" for e in VALIDATOR.iter_errors(document(text))]
    assert not errors


def test_there_is_something_to_test():
    assert len(SHIPPED) >= 13
    assert len(WRITTEN) >= 15


GOOD = """\
agentcomm: 1
protocol: sale
version: 1
roles: [buyer, seller]
types:
  Offer: {price: {is: money, minimum: 1}, plan: list of text}
acts:
  cfp: {item: text}
  propose: {content: Offer, critical: [price], stakes: high, when: price <= 100}
  refuse: {reason: optional text}
  accept-proposal: {}
grounding:
  cfp: relevant
  propose: {readback: [price]}
  accept-proposal: {repeats: {price: propose.price}}
states:
  asking:
    buyer: {cfp: asked}
  asked:
    seller: {propose: offered, refuse: declined}
    within: 1h30m
    else: declined
  offered:
    buyer:
      accept-proposal: sold
      cfp: {next: asked, max: 2, then: declined}
outcomes: {sold: success, declined: refused}
limits: {reply_within: 60s, else: declined, repairs: 2}
"""

LANES = written("iterated-contract-net")
RUNS = written("plan-execute-verify")
OVERLAY = written("cancel")

BROKEN = [
    (GOOD, "agentcomm: 1", "agentcomm: 2"),
    (GOOD, "protocol: sale", "protokol: sale"),
    (GOOD, "protocol: sale", "protocol: 7up"),
    (GOOD, "version: 1", "version: [1]"),
    (GOOD, "roles: [buyer, seller]", "roles: buyer"),
    (GOOD, "roles: [buyer, seller]", "roles: [buyer]"),
    (GOOD, "roles: [buyer, seller]", "roles: [buyer, buyer]"),
    (GOOD, "roles: [buyer, seller]", "roles: [buyer, within]"),
    (GOOD, "roles: [buyer, seller]", "roles: {buyer: 1, seller: many}"),
    (GOOD, "roles: [buyer, seller]", "roles: {buyer: 1, seller: 0..3}"),
    (GOOD, "roles: [buyer, seller]", "roles: {buyer: 1, seller: 0}"),
    (GOOD, "minimum: 1", "minimun: 1"),
    (GOOD, "plan: list of text", "plan: text or nothing"),
    (GOOD, "plan: list of text", "plan: list of"),
    (GOOD, "plan: list of text", "plan: []"),
    (GOOD, "plan: list of text", "a-plan: text"),
    (GOOD, "plan: list of text", "class: text"),
    (GOOD, "plan: list of text", "model_dump: text"),
    (GOOD, "plan: list of text", "plan: 7"),
    (GOOD, "cfp: {item: text}", "cfp:"),
    (GOOD, "cfp: {item: text}", "it: {item: text}"),
    (GOOD, "cfp: {item: text}", "cfp: text"),
    (GOOD, "cfp: {item: text}", "cfp: [item]"),
    (GOOD, "cfp: {item: text}", "cfp: {act: ask, content: {item: text}}"),
    (GOOD, "cfp: {item: text}", "cfp: {act: cfp, item: text}"),
    (GOOD, "stakes: high", "stakes: huge"),
    (GOOD, "critical: [price]", "critical: {price: yes}"),
    (GOOD, "when: price <= 100", "when: price"),
    (GOOD, "when: price <= 100", "when: price ~ 100"),
    (GOOD, "when: price <= 100", "outlives: maybe"),
    (GOOD, "cfp: relevant", "cfp: relevnt"),
    (GOOD, "{readback: [price]}", "{read_back: [price]}"),
    (GOOD, "repeats: {price: propose.price}", "repeats: {price: propose}"),
    (GOOD, "buyer: {cfp: asked}", "buyer: cfp"),
    (GOOD, "buyer: {cfp: asked}", "buyer: {cfp: [asked, offered]}"),
    (GOOD, "buyer: {cfp: asked}", "buyer: {cfp: }"),
    (GOOD, "buyer: {cfp: asked}", "buyer: {}"),
    (GOOD, "within: 1h30m", "within: 90"),
    (GOOD, "within: 1h30m", "within: 1 hour"),
    (GOOD, "within: 1h30m", "within: 0s"),
    (GOOD, "max: 2, then: declined", "then: declined"),
    (GOOD, "max: 2", "max: 0"),
    (GOOD, "max: 2", "max: two"),
    (GOOD, "max: 2", "most: 2"),
    (GOOD, "next: asked, ", ""),
    (GOOD, "sold: success", "sold: great"),
    (GOOD, "outcomes: {sold: success, declined: refused}", "outcomes: {}"),
    (GOOD, "outcomes: {sold: success, declined: refused}\n", ""),
    (GOOD, "repairs: 2", "repairs: -1"),
    (GOOD, "repairs: 2", "repair: 2"),
    (GOOD, "repairs: 2", "turns: 1.5"),
    (LANES, "for: all", "for: everybody"),
    (LANES, "at_most: 1", "at_most: 0"),
    (LANES, "success: any done", "success: some done"),
    (LANES, "success: any done", "good: any done"),
    (LANES, "gather: bidder", "gather: [bidder]"),
    (RUNS, "run: request", "run: 7"),
    (RUNS, "request.action: plan.goal", "action: plan.goal"),
    (RUNS, "otherwise: failed}", "anything: failed}"),
    (RUNS, "    run: request\n", ""),
    (OVERLAY, "overlay: {on: any}", "overlay: {on: sometimes}"),
    (OVERLAY, "overlay: {on: any}\n", ""),
    (OVERLAY, "failed: resume", "failed: proceed"),
]


def test_the_document_that_is_broken_is_whole():
    for text in (GOOD, LANES, RUNS, OVERLAY):
        VALIDATOR.validate(document(text))


@pytest.mark.parametrize(
    ("text", "right", "wrong"), BROKEN, ids=lambda value: value if len(value) < 60 else ""
)
def test_what_is_misshapen_is_not_valid(text, right, wrong):
    assert text.count(right), right
    assert not VALIDATOR.is_valid(document(text.replace(right, wrong, 1)))


def keys(schema):
    return set(schema["properties"])


def long_form(name):
    return next(form for form in SCHEMA["definitions"][name]["anyOf"] if "properties" in form)


def test_the_keys_are_those_that_are_read():
    assert keys(SCHEMA) == set(spec._TOP)
    assert keys(long_form("act")) == set(spec.ACT_KEYS)
    assert keys(long_form("grounding")) == set(spec._GROUNDING)
    assert keys(SCHEMA["properties"]["limits"]) == set(spec._LIMITS)
    assert keys(long_form("move")) == set(turns._MOVE)
    states = SCHEMA["definitions"]["state"]["anyOf"]
    assert set().union(*map(keys, states)) == set(turns._STATE)


def test_every_word_is_explained():
    assert set(schema_words.CLASSES) == set(OutcomeClass)
    assert set(schema_words.STAKES) == set(Stakes)
    assert set(schema_words.CRITERIA) == set(Criterion)
    assert set(schema_words.TYPES) == set(KINDS)
    assert long_form("act")["properties"]["act"]["enum"] == list(Performative)
    assert set(CONSTRAINTS) < keys(SCHEMA["definitions"]["type"]["anyOf"][2])


def test_every_key_has_a_text_to_hover_over():
    def walk(schema, path):
        if isinstance(schema, dict):
            for key, inner in schema.get("properties", {}).items():
                assert inner.get("description"), [*path, key]
            for key, inner in schema.items():
                walk(inner, [*path, key])
        elif isinstance(schema, list):
            for number, inner in enumerate(schema):
                walk(inner, [*path, number])

    walk(SCHEMA, [])


def test_every_example_is_valid():
    def walk(schema):
        if isinstance(schema, dict):
            for example in schema["examples"] if isinstance(schema.get("examples"), list) else ():
                whole = {**schema, "definitions": SCHEMA["definitions"]}
                jsonschema.Draft7Validator(whole).validate(example)
            for inner in schema.values():
                walk(inner)
        elif isinstance(schema, list):
            for inner in schema:
                walk(inner)

    walk(SCHEMA)


def test_the_texts_are_of_keys_that_exist():
    known = {"overlay.on", "type.is", *(key for key in keys(SCHEMA))}
    for where, names in (
        ("act", spec.ACT_KEYS),
        ("grounding", spec._GROUNDING),
        ("limits", spec._LIMITS),
        ("move", turns._MOVE),
        ("state", turns._STATE),
    ):
        known |= {f"{where}.{name}" for name in names}
    assert set(schema_words.ABOUT) == known
