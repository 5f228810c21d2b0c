"""What of the words reaches a span."""

import json

import pytest
from opentelemetry import trace
from test_trace_setup import python
from traced_scenes import cast, sale

from agentcomm import Agent, enact_sync
from agentcomm.models.scripted import ScriptedModel
from agentcomm.tracing.content import ATTRIBUTE_BYTES, Content, fit

PRIVATE = "oolong-4711"


def seen(traced, tmp_path, item=PRIVATE, **options):
    bob = Agent("bob", model=ScriptedModel([{"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    finish = traced(**options)
    enact_sync(sale(tmp_path), cast={**cast(item=item), "seller": bob})
    return finish()


def texts(spans):
    found = [str(value) for span in spans.all for value in span.attributes.values()]
    return found + [span.status.description or "" for span in spans.all]


def test_hashes_by_default(tmp_path, traced):
    spans = seen(traced, tmp_path)
    assert not any(PRIVATE in text for text in texts(spans))
    sent = spans.one("send cfp").attributes
    assert sent["agentcomm.message.content_hash"] == Content().digest("message", {"item": PRIVATE})
    assert "agentcomm.message.content" not in sent
    turn = spans.roots("invoke_agent bob")[0].attributes
    assert turn["input.value"].startswith("cfp from ann: (sha256:")
    assert turn["output.value"].startswith("propose to ann: (sha256:")


def test_the_words_on_demand(tmp_path, traced):
    spans = seen(traced, tmp_path, content="full")
    assert json.loads(spans.one("send cfp").attributes["agentcomm.message.content"]) == {"item": PRIVATE}
    turn = spans.roots("invoke_agent bob")[0].attributes
    assert turn["input.value"] == f"cfp from ann: item={PRIVATE}"
    assert turn["output.value"] == "propose to ann: price=20 EUR"
    (heard,) = json.loads(turn["gen_ai.input.messages"])
    assert (heard["role"], heard["name"]) == ("user", "ann")
    chat = spans.one("chat scripted").attributes
    assert {message["role"] for message in json.loads(chat["gen_ai.input.messages"])} == {"system", "user"}
    (answer,) = json.loads(chat["gen_ai.output.messages"])
    assert json.loads(answer["parts"][0]["content"])["act"] == "propose"
    assert chat["agentcomm.prompt.stored"] == ("transcript", "InMemorySpanExporter")


def test_none_gives_neither_words_nor_hashes(tmp_path, traced):
    spans = seen(traced, tmp_path, content="none")
    found = {span.name: dict(span.attributes) for span in spans.all}
    hashes = {"agentcomm.protocol.hash", "agentcomm.audit.head"}
    for name, attributes in found.items():
        for key, value in attributes.items():
            assert PRIVATE not in str(value), name
            assert key in hashes or "sha256" not in str(value), key


def test_a_redactor_runs_before_anything_is_shown_or_hashed(tmp_path, traced):
    kinds = set()

    def redact(kind, text):
        kinds.add(kind)
        return text.replace(PRIVATE, "[tea]")

    spans = seen(traced, tmp_path, content="full", redactors=[redact])
    assert not any(PRIVATE in text for text in texts(spans))
    sent = spans.one("send cfp").attributes
    assert json.loads(sent["agentcomm.message.content"]) == {"item": "[tea]"}
    assert sent["agentcomm.message.content_hash"] == Content().digest("message", {"item": "[tea]"})
    assert kinds == {"message", "prompt", "answer"}


def test_a_redactor_that_fails_lets_nothing_through_and_ends_nothing(tmp_path, traced):
    def broken(kind, text):
        raise RuntimeError(text)

    spans = seen(traced, tmp_path, content="full", redactors=[broken])
    assert not any(PRIVATE in text for text in texts(spans))
    assert spans.one("close_conversation sale").attributes["agentcomm.conversation.outcome"] == "success"


def test_a_long_content_is_cut_inside_and_stays_json(tmp_path, traced):
    spans = seen(traced, tmp_path, content="full", item='ä"\n' * 6000)
    for span in spans.all:
        for name, value in span.attributes.items():
            assert not isinstance(value, str) or len(value.encode()) <= ATTRIBUTE_BYTES, name
    (message,) = json.loads(spans.roots("invoke_agent bob")[0].attributes["gen_ai.input.messages"])
    assert message["parts"][0]["truncated"] is True
    assert message["parts"][0]["chars"] > 18000


def test_numbers_are_redacted_like_texts():
    content = Content("full", [lambda kind, text: text.replace("4111", "****")])
    assert json.loads(content.data("message", {"card": 41112222, "n": 7, "yes": True})) == {
        "card": "****2222",
        "n": 7,
        "yes": True,
    }


@pytest.mark.parametrize("value", [["x" * 99] * 9999, {"a": [1.5] * 9999}, {str(n): n for n in range(9999)}])
def test_what_cannot_be_cut_evenly_is_still_json_and_short(value):
    text = fit(value)
    assert len(text.encode()) <= ATTRIBUTE_BYTES
    assert json.loads(text)["truncated"] is True


def test_the_environments_limit_is_kept_inside_texts_and_never_inside_json():
    out = python("""
        import json, os, pathlib, tempfile
        os.environ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"] = "2048"  # what Tempo takes
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from agentcomm import Agent, enact_sync
        from agentcomm.models.scripted import ScriptedModel
        from agentcomm.tracing.setup import setup
        from traced_scenes import cast, sale
        exporter = InMemorySpanExporter()
        bob = Agent("bob", model=ScriptedModel(["x" * 9000, {"act": "propose", "content": {"price": "20 EUR"}}]))
        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        with setup(exporter=exporter, content="full", detail="full"):
            enact_sync(sale(pathlib.Path(tempfile.mkdtemp())), cast={**cast(item="tea " * 2000), "seller": bob})
        texts = [
            (name, value)
            for span in exporter.get_finished_spans()
            for name, value in span.attributes.items()
            if isinstance(value, str)
        ]
        print(max(len(value.encode()) for _, value in texts))
        count = 0
        for name, value in texts:
            if value[:1] in "[{":
                json.loads(value)
                count += "characters]" in value
        print(count)
    """)
    longest, cut = map(int, out.split())
    assert 1000 < longest <= 2048
    assert cut >= 3


def test_what_an_agent_sets_on_its_turn_is_kept_within_what_backends_take(tmp_path, traced):
    finish = traced()
    bob = Agent("bob")

    @bob.on("cfp")
    def offer(turn):
        span = trace.get_current_span()
        span.set_attribute("shop.long", "x" * 50_000)
        span.set_attributes({f"shop.n{n}": n for n in range(500)})
        span.set_attribute("gen_ai.agent.name", "somebody else")
        return turn.say("propose", price="20 EUR")

    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    enact_sync(sale(tmp_path), cast={**cast(), "seller": bob})
    offered = next(s for s in finish().roots("invoke_agent bob") if "shop.long" in s.attributes)
    assert len(offered.attributes) <= 128
    assert len(offered.attributes["shop.long"].encode()) <= ATTRIBUTE_BYTES
    assert offered.attributes["shop.n0"] == 0
    assert offered.attributes["gen_ai.agent.name"] == "bob"
    assert offered.attributes["agentcomm.turn.outcome"] == "sent"
