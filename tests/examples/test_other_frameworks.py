"""Agents of other frameworks as participants, with the frameworks' own models for tests."""

import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("pydantic_ai", reason="pip install 'agentcomm[frameworks]'")
pytest.importorskip("langgraph", reason="pip install 'agentcomm[frameworks]'")

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from pydantic_ai.models.test import TestModel

from agentcomm import enact_sync, load

FOLDER = Path(__file__).resolve().parents[2] / "examples/other-frameworks"
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import adapters
        import existing

    yield adapters, existing
    for name in ("adapters", "existing"):
        sys.modules.pop(name, None)


def enacted(example, *, order="A-1042", amount="39.90 EUR", chat=()):
    adapters, existing = example
    model = TestModel(custom_output_args={"order": order, "amount": amount, "reason": "charged twice"})
    support = adapters.PydanticAIPlayer("support", existing.support_agent(model))
    billing = adapters.LangGraphPlayer(
        "billing", existing.billing_graph(FakeListChatModel(responses=list(chat)))
    )
    return enact_sync(
        load(FOLDER / "protocol.yaml"),
        cast={"support": support, "billing": billing},
        brief={"support": "a ticket"},
    )


def test_both_hold_a_conversation_and_the_amount_is_read_back(example):
    result = enacted(example)
    assert result.outcome == "paid", str(result)
    assert str(result.ground["refunded.amount"]) == "39.90 EUR"
    assert "readback  order=A-1042  amount=39.90 EUR" in str(result)


@pytest.mark.parametrize(
    ("order", "amount"), [("A-1043", "39.90 EUR"), ("A-9", "1 EUR"), ("A-1042", "5 USD")]
)
def test_the_graph_declines_in_the_words_of_its_model(example, order, amount):
    result = enacted(example, order=order, amount=amount, chat=["It was never paid."])
    assert result.outcome == "declined", str(result)
    assert result.ground["refuse.reason"] == "It was never paid."


def test_an_agent_that_finds_no_valid_answer_uses_up_its_tries_and_the_talk_ends(example):
    result = enacted(example, amount="plenty")
    assert result.outcome_class == "aborted"
    assert "found nothing to say that counts" in result.cause
