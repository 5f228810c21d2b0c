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
    later = chats[0].start_time / 1e9 - datetime.fromisoformat(asked.time).timestamp()
    assert -1e-5 < later < 0.01  # turns of one millisecond are set apart


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


def test_spans_of_one_moment_are_in_order(tmp_path, monkeypatch):
    """Backends sort by time: a transcript's is in milliseconds, in which a whole conversation of code takes place."""
    monkeypatch.setattr(
        "agentcomm.runtime.recording.Recording._stamp", lambda _self: "2026-11-28T12:00:00.000+00:00"
    )
    bob = Agent(
        "bob",
        model=ScriptedModel(
            [
                {"act": "accept-proposal", "content": {}},
                {"act": "propose", "content": {"price": "20 EUR"}},
            ],
        ),
    )
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    path = tmp_path / "talk.jsonl"
    cast_ = {**cast(slip=True, misfires=2), "seller": bob}
    enact_sync(sale(tmp_path), cast=cast_, transcript=path)
    monkeypatch.chdir(tmp_path)
    with receiver() as received:
        assert main(["trace", "push", str(path), "--to", received.url]) == 0
    spans = received.spans
    roots = [span for span in spans if not span.parent_span_id]
    told = [span.start_time_unix_nano for span in sorted(roots, key=in_order)]
    assert told == sorted(set(told))
    assert len({at // 1_000_000 for at in told}) == len(told)  # some backends sort by milliseconds
    first, *_, last = in_time(roots)
    assert (first.name, last.name) == ("open_conversation sale", "close_conversation sale")
    for root in roots:
        steps = [span for span in spans if span.parent_span_id == root.span_id]
        told = [span.start_time_unix_nano for span in steps]
        assert len(set(told)) == len(told), [(s.name, s.start_time_unix_nano) for s in steps]
        assert all(at >= root.start_time_unix_nano for at in told)
    turns = [
        [span.name for span in in_time(spans) if span.parent_span_id == root.span_id]
        for root in in_time(roots)
    ]
    assert turns[2] == [
        "receive cfp",
        "chat scripted",
        "transition accept-proposal",  # refused
        "chat scripted",
        "transition propose",
        "send propose",
    ]
    assert turns[7][:3] == ["receive right", "transition unknown", "transition unknown"]


def in_time(spans):
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def in_order(span):
    """Return a root's place: the opening, the turns, the end."""
    told = attributes_of(span)
    turn = told.get("agentcomm.turn.id", "").rpartition("/")[2]
    return int(turn) if turn else 0 if span.name.startswith("open") else 1 << 30
