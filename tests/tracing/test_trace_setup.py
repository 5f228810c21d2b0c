"""Switching tracing on and off, and whose provider is used."""

import logging
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from otlp_receiver import attributes_of, receiver
from traced_scenes import cast, sale

from agentcomm import enact_sync
from agentcomm.errors import UsageError
from agentcomm.tracing.outlets import traces_url
from agentcomm.tracing.setup import setup
from agentcomm.tracing.spans import active

HERE = Path(__file__).parent


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def test_off_means_that_opentelemetry_is_never_loaded():
    out = python("""
        import sys, tempfile, pathlib
        from agentcomm import Agent, enact_sync, load
        from agentcomm.models.scripted import ScriptedModel
        from traced_scenes import cast, sale
        bob = Agent("bob", model=ScriptedModel([{"act": "propose", "content": {"price": "20 EUR"}}]))
        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        with tempfile.TemporaryDirectory() as folder:
            print(enact_sync(sale(pathlib.Path(folder)), cast={**cast(), "seller": bob}).outcome)
        print([name for name in sys.modules if name.startswith("opentelemetry")])
    """)
    assert out.split("\n")[:2] == ["done", "[]"]


def test_an_api_without_a_provider_is_off():
    out = python("""
        from opentelemetry import trace
        from agentcomm.tracing.spans import active
        print(active())
        trace.set_tracer_provider(trace.NoOpTracerProvider())
        print(active())
    """)
    assert out.split() == ["None", "None"]


def test_the_programs_own_provider_gets_our_spans_and_stays_in_place():
    out = python("""
        import pathlib, tempfile
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from agentcomm import Agent, enact_sync
        from agentcomm.tracing.setup import setup
        from traced_scenes import Spans, cast, sale

        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        protocol = sale(pathlib.Path(tempfile.mkdtemp()))
        tracer = trace.get_tracer("users")
        bob = Agent("bob")

        @bob.on("cfp")
        async def offer(turn):
            with tracer.start_as_current_span("look up the price"):
                return turn.say("propose", price="20 EUR")

        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        agents = {**cast(), "seller": bob}
        with tracer.start_as_current_span("request of a web server"):
            enact_sync(protocol, cast=agents)
        spans = Spans(exporter.get_finished_spans())
        mine = spans.one("look up the price")
        (turn,) = [root for root in spans.roots() if mine in spans.children(root)]
        print(turn.name, [child.name for child in spans.children(turn)])
        opening = spans.one("open_conversation sale")
        print(opening.parent, opening.links[0].context == spans.one("request of a web server").context)

        exporter.clear()
        with setup("http://127.0.0.1:9") as tracing:
            enact_sync(protocol, cast=agents)
            print(tracing.report())
        print(trace.get_tracer_provider() is provider, len(exporter.get_finished_spans()))
    """)
    turn, opening, report, rest = out.strip().split("\n")
    assert (
        turn == "invoke_agent bob ['receive cfp', 'look up the price', 'transition propose', 'send propose']"
    )
    assert opening == "None True"
    assert report == (
        "traces: given to the provider that this program has set (http://127.0.0.1:9 is not used)"
    )
    assert rest == "True 31"


def test_our_own_provider_is_private_and_goes_again():
    out = python("""
        import pathlib, tempfile
        from opentelemetry import trace
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from agentcomm import enact_sync
        from agentcomm.tracing.setup import setup
        from agentcomm.tracing.spans import active
        from traced_scenes import cast, sale

        exporter = InMemorySpanExporter()
        tracing = setup(exporter=exporter, service_name="shop")
        enact_sync(sale(pathlib.Path(tempfile.mkdtemp())), cast=cast())
        print(type(trace.get_tracer_provider()).__name__)
        print(tracing.shutdown(), active(), exporter.get_finished_spans()[0].resource.attributes["service.name"])
        print(tracing.report())
    """)
    assert out.strip().split("\n") == [
        "ProxyTracerProvider",
        "0 None shop",
        "traces: 30 of 30 spans sent to InMemorySpanExporter",
    ]


def test_a_real_receiver_gets_the_conversation(tmp_path):
    with receiver() as received:
        tracing = setup(received.url, service_name="shop")
        enact_sync(sale(tmp_path), cast=cast(), conversation_id="conv-77")
        assert tracing.shutdown() == 0
        assert tracing.report() == f"traces: 30 of 30 spans sent to {received.url}/v1/traces"
    assert set(received.paths) == {"/v1/traces"}
    assert received.resources[0]["service.name"] == "shop"
    assert len(received.spans) == 30
    for span in received.spans:
        assert attributes_of(span)["gen_ai.conversation.id"] == "conv-77"
    roots = [span for span in received.spans if not span.parent_span_id]
    assert len({span.trace_id for span in received.spans}) == len(roots) == 8
    sends = {span.span_id: span.name for span in received.spans}
    (answer,) = [
        span for span in roots if sends.get(span.links[0].span_id if span.links else b"") == "send cfp"
    ]
    assert answer.name == "invoke_agent bob"
    assert attributes_of(answer.links[0])["messaging.message.id"] == "conv-77:1"


@pytest.mark.parametrize("content", ["full", "none"])
def test_everything_on_a_span_can_be_sent(tmp_path, content):
    with receiver() as received:
        tracing = setup(f"{received.url}/v1/traces", content=content)
        enact_sync(sale(tmp_path), cast=cast(slip=True, misfires=4))
        assert tracing.shutdown() == 0
    assert len(received.spans) == tracing.ended


def test_without_an_endpoint_the_environment_says_where(tmp_path, monkeypatch):
    with receiver() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
        tracing = setup()
        enact_sync(sale(tmp_path), cast=cast())
        assert tracing.shutdown() == 0
    assert received.paths[0] == "/v1/traces"


def test_a_password_in_an_address_is_not_reported():
    with setup("http://user:secret@127.0.0.1:9") as tracing:
        assert "secret" not in tracing.report()


def dead_end(tmp_path, url, capsys, caplog):
    with caplog.at_level(logging.DEBUG):
        tracing = setup(url)
        enact_sync(sale(tmp_path), cast=cast())
        begun = time.monotonic()
        lost = tracing.shutdown(1.0)
        assert time.monotonic() - begun < 3
    assert lost == tracing.ended == 30
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    printed = capsys.readouterr()
    assert not printed.out + printed.err
    assert "\n" not in tracing.report()
    return tracing.report()


def test_an_endpoint_that_does_not_answer_costs_one_line(tmp_path, capsys, caplog):
    report = dead_end(tmp_path, "http://127.0.0.1:9", capsys, caplog)
    assert report.startswith("traces: 0 of 30 spans sent to http://127.0.0.1:9/v1/traces; 30 lost: ")
    assert report.endswith("30 lost: Connection refused")


def test_an_endpoint_that_refuses_costs_one_line(tmp_path, capsys, caplog):
    with receiver(status=404) as received:
        report = dead_end(tmp_path, received.url, capsys, caplog)
    assert report.endswith("30 lost: HTTP 404 Not Found")


def test_an_endpoint_that_hangs_does_not_hold_up_the_end(tmp_path, capsys, caplog):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        report = dead_end(tmp_path, f"http://127.0.0.1:{deaf.getsockname()[1]}", capsys, caplog)
    assert "30 lost" in report


def test_a_program_that_forgets_to_shut_down_still_sends():
    with receiver() as received:
        python(f"""
            import pathlib, tempfile
            from agentcomm import enact_sync
            from agentcomm.tracing.setup import setup
            from traced_scenes import cast, sale
            setup("{received.url}")
            enact_sync(sale(pathlib.Path(tempfile.mkdtemp())), cast=cast())
        """)
    assert len(received.spans) == 30


def test_wrong_arguments_say_how_they_should_be(monkeypatch):
    for options in ({"endpoint": "localhost:4318"}, {"content": "all"}, {"scope": "day"}):
        with pytest.raises(UsageError):
            setup(**options)
    assert active() is None
    assert traces_url("https://host") == "https://host/v1/traces"
    assert traces_url("http://host:4318/") == "http://host:4318/v1/traces"
    assert traces_url("http://host/otlp/v1/traces") == "http://host/otlp/v1/traces"
    for name, value in (
        ("HEADERS", "no equals sign"),
        ("COMPRESSION", "zip"),
        ("CERTIFICATE", "/nowhere.pem"),
    ):
        with monkeypatch.context() as wrong:
            wrong.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
            with pytest.raises(UsageError, match=name) as caught:
                setup("https://127.0.0.1:4318")
        assert caught.value.code == "U502"
        assert caught.value.fix


def test_an_interpreter_that_starts_no_more_threads_still_sends(tmp_path, monkeypatch):
    start = threading.Thread.start

    def no_more(thread):
        if thread.name == "agentcomm-trace-flush":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    with receiver() as received:
        tracing = setup(received.url)
        enact_sync(sale(tmp_path), cast=cast())
        with monkeypatch.context() as late:
            late.setattr(threading.Thread, "start", no_more)
            assert tracing.shutdown() == 0
    assert len(received.spans) == 30
