import copy
import pickle
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sale_document import SALE
from whole_documents import JOB, RACE, RETRY, TENDER, WORK

from agentcomm.acts.content import Content
from agentcomm.errors import ProtocolError, UsageError
from agentcomm.protocol.build import protocol
from agentcomm.protocol.graph import OutcomeClass, Ref
from agentcomm.protocol.library import load, loads, names

FIFTEEN = (Path(__file__).parent / "fifteen.yaml").read_text().split("---\n")


def words(text):
    """Return a document as Python data, its scalars as the language reads them."""
    data = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  (every scalar is a text)
    assert data.pop("agentcomm") == "1"

    def numbers(value):
        if isinstance(value, dict):
            return {key: int(item) if key in COUNTS else numbers(item) for key, item in value.items()}
        if isinstance(value, list):
            return [numbers(item) for item in value]
        return {"true": True, "false": False}.get(value, value)

    data = numbers(data)
    if isinstance(data["roles"], dict):
        data["roles"] = {role: int(count) if count == "1" else count for role, count in data["roles"].items()}
    return data.pop("protocol"), data


COUNTS = ("max", "at_most", "at_once", "turns", "repairs", "minimum", "maximum")
DOCUMENTS = {"job": JOB, "my-repair": RETRY}


@pytest.mark.parametrize("text", [SALE, TENDER, RACE, JOB, RETRY, WORK], ids=lambda text: text.split()[3])
def test_what_is_built_is_what_is_read(text):
    name, data = words(text)
    built, read = protocol(name, **data, protocols=DOCUMENTS), loads(text, protocols=DOCUMENTS)
    assert built == read
    assert built.hash == read.hash
    assert built.states == read.states
    assert built.acts == read.acts
    assert loads(built.text, protocols=built.embedded) == built


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_the_library_can_be_built(name):
    read = load(name)
    title, data = words(read.text)
    assert protocol(title, **data, protocols=read.embedded).hash == read.hash


class Offer(Content):
    item: str
    price: int


TINY = {
    "roles": ["seller", "buyer"],
    "states": {"open": {"seller": {"propose": "asked"}}, "asked": {"buyer": {"refuse": "done"}}},
    "outcomes": {"done": "success"},
}


def test_a_class_is_content():
    built = protocol("tiny", **TINY, acts={"propose": Offer, "refuse": {"act": "refuse", "content": {}}})
    assert built.acts["propose"].content is Offer
    text = built.text
    assert loads(text, types={"Offer": Offer}) == built
    named = protocol("tiny", **TINY, types={"Offer": Offer}, acts={"propose": "Offer", "refuse": {}})
    assert named == built


def test_two_classes_of_one_name():
    def another():
        class Offer(Content):
            item: str

        return Offer

    acts = {"propose": Offer, "refuse": another()}
    with pytest.raises(UsageError, match="two content classes"):
        protocol("tiny", **TINY, acts=acts)


def test_words_can_be_python_values():
    acts = {"propose": {"price": "money"}, "refuse": {}}
    states = {
        "open": {"seller": {"propose": "asked"}, "within": timedelta(minutes=2)},
        "asked": {"buyer": {"refuse": "done"}},
    }
    built = protocol(
        "tiny", roles=("seller", "buyer"), acts=acts, states=states, outcomes={"done": OutcomeClass.SUCCESS}
    )
    assert built.states["open"].within == 120


def test_a_range_can_be_a_tuple():
    name, data = words(TENDER)
    data["roles"] = {"manager": 1, "bidder": (1, 20)}
    assert protocol(name, **data) == loads(TENDER)


def test_a_protocol_can_be_run_as_an_object():
    name, data = words(WORK)
    data["states"]["working"]["run"] = loads(JOB)
    data["states"]["working"]["with"] = {"request.action": Ref("plan", "goal")}
    data["overlays"] = {"repair": loads(RETRY)}
    built = protocol(name, **data)
    assert built.embedded == DOCUMENTS
    assert built.runs["working"].protocol == loads(JOB)


def test_a_mistake_is_a_finding_in_the_text_that_was_made():
    with pytest.raises(ProtocolError) as caught:
        protocol("tiny", **{**TINY, "outcomes": {"doen": "success"}}, acts={"propose": {}, "refuse": {}})
    (finding,) = caught.value.findings
    assert finding.code == "E102"
    assert finding.fix == "did you mean 'doen'?"
    assert '"refuse": "done"' in finding.excerpt


@pytest.mark.parametrize("value", [object(), {1: "text"}, float("nan"), {"a", "b"}, str])
def test_what_is_no_data_is_refused(value):
    with pytest.raises(UsageError):
        protocol("tiny", **TINY, acts={"propose": {"price": value}, "refuse": {}})


def test_data_that_contain_themselves():
    acts = {"propose": {}, "refuse": {}}
    acts["propose"]["inner"] = acts["propose"]
    with pytest.raises(UsageError, match="too deep"):
        protocol("tiny", **TINY, acts=acts)


@pytest.mark.parametrize(
    "about", ["two\nlines", "a\u2028b \x85 c", 'a "quote" \\ and 漢字 😀', "tab\there", "?"]
)
def test_any_text_comes_through(about):
    built = protocol("tiny", **TINY, about=about, acts={"propose": {}, "refuse": {}})
    assert built.about == about


@pytest.mark.parametrize("text", [SALE, TENDER, WORK], ids=lambda text: text.split()[3])
def test_a_protocol_is_a_value(text):
    one = loads(text, protocols=DOCUMENTS)
    for act in one.acts.values():
        assert act.content  # made on first use, and not pickled
    other = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert other == one
    assert hash(other) == hash(one)
    assert other.states == one.states
    assert other.acts["thanks" if "thanks" in one.acts else "propose"].content is not None
    assert copy.copy(one) == one
    assert copy.deepcopy(one) is one
    assert {one, other} == {one}
    assert one != loads(JOB)
    assert one != one.hash
    assert f"{one}" == f"{one.name} {one.version}"
    assert f"{one:mermaid}".strip()


CHANGES = {
    "a state more": lambda made: made.states.update(other=None),
    "an act less": lambda made: made.acts.pop("cfp"),
    "another class": lambda made: made.outcomes.__setitem__("done", OutcomeClass.FAILED),
    "a move less": lambda made: made.states["bidding"].moves.clear(),
    "a field less": lambda made: made.acts["cfp"].fields.__delitem__("goal"),
    "a place of its own": lambda made: made.marks.setdefault("x", None),
    "another text": lambda made: made.embedded.__ior__({"x": "y"}),
}


def test_places_are_worked_out_when_asked_for():
    made = load("contract-net")
    text = made.text.splitlines()
    assert made.marks["outcomes.done"].line
    for path, word in (("states.bidding", "bidding"), ("states.bidding.bidder.propose", "propose")):
        mark = made.marks[path]
        assert text[mark.line - 1][mark.column - 1 :].startswith(word)
    assert "states.nowhere" not in made.marks
    assert dict(pickle.loads(pickle.dumps(made)).marks) == dict(made.marks)  # noqa: S301  (just made)
    assert len(made.marks) == len(set(made.marks))


@pytest.mark.parametrize("change", CHANGES)
def test_a_protocol_cannot_be_changed(change):
    made = load("contract-net")
    for kept in (made, pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301  (just made)
        with pytest.raises(TypeError, match="cannot be changed"):
            CHANGES[change](kept)
        assert kept.states.keys() == {"calling", "bidding", "weighing", "working"}
        assert dict(kept.states) == kept.states
