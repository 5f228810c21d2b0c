"""A stored transcript, sent later: the same conversation in a backend, with its own times."""

from datetime import datetime

import pytest
from otlp_receiver import attributes_of, receiver
from traced_scenes import Spans, cast, sale

from agentcomm import Agent, enact_sync
from agentcomm.cli.main import main
from agentcomm.conversation.audit import erase_lines
from agentcomm.models.scripted import ScriptedModel
from agentcomm.runtime.replay import read_transcript
from agentcomm.tracing.setup import pushing


def pushed(path, **options):
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from agentcomm.runtime.span_push import push_transcript

    exporter = InMemorySpanExporter()
    tracing, tracer = pushing(exporter=exporter, **options)
    push_transcript(read_transcript(path), tracer, tracing.submit)
    assert tracing.shutdown(20) == 0, tracing.report()
    return Spans(exporter.get_finished_spans())


def modelled(**how):
    bob = Agent("bob", model=ScriptedModel(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    return {**cast(**how), "seller": bob}


@pytest.mark.parametrize("how", [{}, {"slip": True, "misfires": 1}, {"misfires": 9}])
def test_what_is_pushed_is_what_was_traced(tmp_path, traced, how):
    finish = traced(content="full")
    path = tmp_path / "talk.jsonl"
    enact_sync(sale(tmp_path), cast=cast(**how), transcript=path, conversation_id="conv-9")
    live, later = finish(), pushed(path, content="full")
    assert sorted(span.name for span in later.all) == sorted(span.name for span in live.all)
    assert {(s.name, s.context.trace_id, s.context.span_id) for s in later.roots()} == {
        (s.name, s.context.trace_id, s.context.span_id) for s in live.roots()
    }
    for one, other in zip(
        sorted(live.roots("invoke"), key=lambda s: s.attributes["agentcomm.turn.id"]),
        sorted(later.roots("invoke"), key=lambda s: s.attributes["agentcomm.turn.id"]),
        strict=True,
    ):
        for name in ("output.value", "input.value", "agentcomm.turn.outcome", "agentcomm.role"):
            assert one.attributes[name] == other.attributes[name], name
        assert abs(one.end_time - other.end_time) < 1_000_000_000


def test_a_model_call_is_pushed_with_its_prompt_and_time(tmp_path):
    path = tmp_path / "talk.jsonl"
    enact_sync(sale(tmp_path), cast=modelled(slip=True), transcript=path)
    spans = pushed(path, content="full")
    chats = spans.named("chat scripted")
    assert len(chats) == 2
    assert "propose" in chats[1].attributes["gen_ai.output.messages"]
    assert "cfp" in chats[0].attributes["gen_ai.input.messages"]
    asked = next(r for r in read_transcript(path).records if r.type == "model.request")
    assert chats[0].start_time // 1_000_000 == round(datetime.fromisoformat(asked.time).timestamp() * 1000)


def test_one_that_is_erased_or_cut_is_pushed_as_far_as_it_tells(tmp_path):
    path = tmp_path / "talk.jsonl"
    enact_sync(sale(tmp_path), cast=modelled(), transcript=path)
    whole = path.read_bytes().splitlines(keepends=True)
    records = [r.seq for r in read_transcript(path).records if r.body and r.kind != "open"]
    path.write_bytes(
        b"".join(
            erase_lines(whole, records, "w", now=lambda: "2026-11-28T00:00:00+00:00", salt=lambda: "0" * 16)
        )
    )
    assert len(pushed(path, content="full").roots("invoke")) == 6
    path.write_bytes(b"".join(whole[: len(whole) // 2]))
    assert 0 < len(pushed(path).roots("invoke")) < 6


def test_the_command_sends_and_says_what(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    enact_sync(sale(tmp_path), cast=cast(), transcript=tmp_path / "transcripts" / "one.jsonl")
    with receiver() as received:
        assert main(["trace", "push", "--to", received.url, "--service", "shop"]) == 0
    assert "what was said included" in capsys.readouterr().out
    assert received.resources[0]["service.name"] == "shop"
    assert len(received.spans) == 30
    assert any("tea" in str(attributes_of(span)) for span in received.spans)
    with receiver() as received:
        assert main(["trace", "push", "one", "--to", received.url, "--content", "none"]) == 0
    assert not any("tea" in str(attributes_of(span)) for span in received.spans)
    monkeypatch.setattr("agentcomm.cli.trace_audit._PATIENCE", 0.5)
    assert main(["trace", "push", "--to", "http://127.0.0.1:9"]) == 4
    assert "30 lost: " in capsys.readouterr().out
