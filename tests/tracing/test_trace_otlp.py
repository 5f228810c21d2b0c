"""The bytes that are sent: the same spans as OpenTelemetry's own encoder makes, and what becomes of them at a difficult backend."""

import os
import threading
import time
from collections import Counter
from itertools import groupby, islice

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from otlp_receiver import attributes_of, receiver
from traced_scenes import cast, sale

from agentcomm import Agent, enact_sync
from agentcomm.models.scripted import ScriptedModel
from agentcomm.protocol.library import loads
from agentcomm.runtime import span_plain
from agentcomm.runtime.span_late import Drawing
from agentcomm.tracing import export
from agentcomm.tracing.content import Content
from agentcomm.tracing.late import LateTracer
from agentcomm.tracing.outlets import ExporterOutlet, OtlpOutlet
from agentcomm.tracing.protobuf import (
    Base,
    about,
    attribute,
    place_of,
    refused_of,
    request,
    scope_of,
    span_bytes,
)
from agentcomm.tracing.setup import setup
from agentcomm.tracing.spans import activate

SALES = [
    {},
    {"slip": True, "misfires": 1},
    {"misfires": 9},
    {"item": "tea \U0001f375 for " + "Zoë " * 60},
    {"item": "x" * 20_000},
]


def joined(*told):
    return b"".join(request(*told))


def decoded(data):
    return MessageToDict(ExportTraceServiceRequest.FromString(data))["resourceSpans"]


class Both:
    """Makes each span twice: as bytes, and as the SDK's."""

    problem = ""
    takes_bytes = False

    def __init__(self):
        resource = Resource({"service.name": "shop", "n": 7})
        self.mine = OtlpOutlet("http://127.0.0.1:9/v1/traces", resource)
        self.theirs = ExporterOutlet(InMemorySpanExporter(), resource)
        self.pairs = []

    def span(self, *told):
        self.pairs.append((self.mine.span(*told), self.theirs.span(*told)))

    def send(self, spans):
        return len(spans)

    def again(self):
        pass

    def give_up(self):
        pass

    def close(self):
        pass


def both(monkeypatch, tmp_path, how, agents=None, **options):
    outlet = Both()
    monkeypatch.setattr(export.CountedBatches, "__init__", _with(export.CountedBatches.__init__, outlet))
    tracing = setup(exporter=InMemorySpanExporter(), **options)
    for n in range(2):
        enact_sync(sale(tmp_path), cast=agents or cast(**how), conversation_id=f"conv-{n}")
    assert tracing.shutdown() == 0
    return outlet


def _with(init, outlet):
    return lambda self, _, **given: init(self, outlet, **given)


@pytest.mark.parametrize("how", SALES)
@pytest.mark.parametrize(
    "options",
    [
        {"detail": "turn"},
        {"detail": "turn", "content": "none", "ratio": 0.999999},
        {"detail": "full", "content": "full"},
        {"scope": "conversation"},
        {"detail": "turn", "scope": "conversation"},
    ],
)
def test_the_bytes_are_what_opentelemetrys_own_encoder_makes_of_the_spans(
    monkeypatch, tmp_path, how, options
):
    outlet = both(monkeypatch, tmp_path, how, **options)
    assert len(outlet.pairs) > 10
    resource = {"service.name": "shop", "n": 7}
    scope = scope_of("agentcomm", outlet.theirs._scope.version)
    for mine, theirs in outlet.pairs:
        theirs._links = [Link(link.context, link.attributes) for link in theirs.links]
        found = decoded(joined(about(resource), {scope: [mine]}))
        wanted = MessageToDict(encode_spans([theirs]))["resourceSpans"]
        (span,) = found[0]["scopeSpans"][0]["spans"]
        by_key = {"key": "key"}
        for each in (span, wanted[0]["scopeSpans"][0]["spans"][0]):
            names = [entry["key"] for entry in each["attributes"]]
            assert len(names) == len(set(names))
            each["attributes"].sort(key=lambda entry: entry[by_key["key"]])
            for link in each.get("links", ()):
                link["attributes"].sort(key=lambda entry: entry["key"])
                link.pop("traceState", None)  # their encoder leaves it out
        assert found == wanted


def test_a_model_that_calls_tools_is_the_same_in_bytes(monkeypatch, tmp_path):
    bob = Agent(
        "bob", model=ScriptedModel(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}] * 2)
    )
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    outlet = both(monkeypatch, tmp_path, {}, {**cast(), "seller": bob}, detail="full", content="full")
    assert any(theirs.name == "chat scripted" for _, theirs in outlet.pairs)
    for mine, theirs in outlet.pairs:
        (span,) = decoded(joined(about({}), {scope_of("x", ""): [mine]}))[0]["scopeSpans"][0]["spans"]
        (wanted,) = MessageToDict(encode_spans([theirs]))["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert sorted(map(str, span["attributes"])) == sorted(map(str, wanted["attributes"]))


VALUES = [
    "",
    "x" * 200,
    "half a pair \ud800",
    True,
    False,
    0,
    127,
    128,
    -1,
    2**63 - 1,
    -(2**63),
    2**70,
    1.5,
    float("inf"),
    b"\x00\xff",
    [],
    ["a", "b" * 300],
    (1, -2),
    [True, 2.5],
    {"deep": {"list": [None, "x"]}},
    None,
]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("name", ["n", "long." * 40])
def test_any_value_can_be_written(value, name):
    place = place_of(b"t" * 16, b"s" * 8)
    for _ in range(70):  # past what is kept of a name's values
        bytes_ = span_bytes("x", place, None, (Base({name: value}),), {"own": value}, (), 0, 1, 2, None)
    request_ = ExportTraceServiceRequest.FromString(
        joined(about({name: value}), {scope_of("s", "1"): [bytes_]})
    )
    (span,) = request_.resource_spans[0].scope_spans[0].spans
    first, own = span.attributes
    assert (first.key, own.key) == (name, "own")
    assert first.value == own.value == request_.resource_spans[0].resource.attributes[0].value
    if isinstance(value, bool):
        assert own.value.bool_value is value
    elif isinstance(value, int) and abs(value) <= 2**63:
        assert own.value.int_value == value
    elif isinstance(value, str) and value.isascii():
        assert own.value.string_value == value
    assert attribute("own", value)


QUIZ = """
agentcomm: 1
protocol: quiz
version: 3
roles: [host, guest, jury]
acts:
  ask: {act: query-ref, content: {question: text, number: int, hints: {is: list of text, maxItems: 3}}}
  answer: {act: inform, content: {answer: text, sure: optional bool}}
  pass: {act: refuse, content: {reason: text}}
  thanks: {act: inform, content: {}}
  verdict: {act: inform, content: {points: number}}
grounding: {ask: relevant}
states:
  asking: {host: {ask: {next: answering, to: guest, max: 6, then: done}, thanks: {next: done, to: [guest, jury]}}}
  answering: {guest: {answer: {next: judging, to: [host, jury]}, pass: {next: asking, to: host}}}
  judging: {jury: {verdict: {next: asking, to: [host, guest]}}}
outcomes: {done: success, expired: expired}
limits: {reply_within: 5s, else: expired}
"""


def quiz(words):
    host, guest, jury = Agent("Zoë"), Agent("guest"), Agent("j" * 140)
    left = iter(range(6))

    @host.opens
    @host.on("verdict")
    @host.on("pass")
    def ask(turn):
        n = next(left, None)
        return (
            turn.say("thanks") if n is None else turn.say("ask", question=words, number=n, hints=["a", words])
        )

    @guest.on("ask")
    def answer(turn):
        n = turn.heard.content.number
        if n == 2:
            return turn.say("pass", reason=words)
        return turn.say("answer", answer=f"{words} {n}", **({"sure": True} if n else {}))

    jury.on("answer")(lambda turn: turn.say("verdict", points=2.5))
    return {"host": host, "guest": guest, "jury": jury}


def job_of(draw, given):
    """Return a piece of drawing, so that it can be done twice."""
    if draw.__name__ == "turns":
        (notes,) = given[0]
        return None, draw.__self__, notes
    return draw.__func__, draw.__self__, given


@pytest.mark.parametrize("detail", ["turn", "steps"])
@pytest.mark.parametrize("content", ["hash", "none"])
@pytest.mark.parametrize(
    "how", ["tea", "tea \U0001f375", "x" * 9000, SALES[1]], ids=["tea", "cup", "long", "sale"]
)
def test_a_kind_of_turn_that_is_known_is_drawn_as_the_first_of_it(
    monkeypatch, tmp_path, content, how, detail
):
    """The same notes are drawn twice: each kind from its stencils, and everything as if it had never been seen."""
    jobs, drawn, known = [], [], []
    for is_slow in (False, True):
        made = []
        outlet = OtlpOutlet("http://127.0.0.1:9/v1/traces", Resource({}))
        tracer = LateTracer(
            lambda *told, outlet=outlet, made=made: made.append(outlet.span(*told)),
            None if is_slow else lambda spans, _count, made=made: made.append(spans),
            content=Content(content),
            detail=detail,
            ratio=0.999999,
            submit=lambda draw, given: jobs.append(job_of(draw, given)),
            note=lambda one: jobs.append((None, one.talk.draw.__self__, one)),
        )
        if not is_slow:
            is_quiz = isinstance(how, str)
            protocol = loads(QUIZ) if is_quiz else sale(tmp_path)
            before = activate(tracer)
            for n in range(3):
                enact_sync(
                    protocol, cast=quiz(how) if is_quiz else cast(**how), conversation_id=f"conv-{n}%b"
                )
            activate(before)
        drawings, slowly = {}, []
        monkeypatch.setattr(
            Drawing, "_drawn", lambda *a, drawn=Drawing._drawn, slowly=slowly: slowly.append(drawn(*a))
        )
        for (drawing, is_turn), run in groupby(jobs, key=lambda job: (job[1], job[0] is None)):
            mine = drawings.setdefault(id(drawing), Drawing(tracer, *drawing._given[1:]))
            if is_turn:
                several = iter([given for *_, given in run])
                while some := list(islice(several, 1 + len(made) % 4)):
                    mine.turns(iter(some))
                continue
            for do, _, given in run:
                do(mine, *given)
        known.append(sum(do is None for do, *_ in jobs) - len(slowly))
        monkeypatch.undo()
        request_ = ExportTraceServiceRequest.FromString(joined(about({}), {scope_of("x", ""): made}))
        spans = request_.resource_spans[0].scope_spans[0].spans
        for span in spans:
            span.attributes.sort(key=lambda entry: entry.key)
        drawn.append({(s.name, s.span_id): str(s).splitlines() for s in spans})
    assert drawn[0].keys() == drawn[1].keys()
    for span, lines in drawn[1].items():
        assert drawn[0][span] == lines
    assert known[0] > (12 if isinstance(how, str) else 0)
    assert known[1] == 0


def test_spans_of_the_programs_own_through_our_provider_arrive_whole():
    with receiver() as received:
        tracing = setup(received.url)
        tracer = tracing.provider.get_tracer("shop", "2.1", attributes={"team": "a"})
        far = SpanContext(1 << 100, 1 << 40, True, TraceFlags(1))
        with tracer.start_as_current_span(
            "outer", kind=SpanKind.SERVER, attributes={"n": 1.5}, links=[Link(far, {"why": "test"})]
        ) as outer:
            outer.add_event("looked", {"where": "shelf"}, timestamp=77)
            outer.set_status(Status(StatusCode.ERROR, "empty shelf"))
            tracer.start_span("inner").end()
        assert tracing.shutdown(10) == 0
    inner, outer = received.spans
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.parent_span_id == outer.span_id
    assert outer.kind == 2
    assert (outer.events[0].name, outer.events[0].time_unix_nano) == ("looked", 77)
    assert outer.events[0].attributes[0].value.string_value == "shelf"
    assert outer.links[0].trace_id == (1 << 100).to_bytes(16)
    assert (outer.status.code, outer.status.message) == (2, "empty shelf")
    (scope,) = received.scopes
    assert (scope.name, scope.version, scope.attributes[0].key) == ("shop", "2.1", "team")


def talk(tmp_path, url, wait=8.0, **options):
    tracing = setup(url, **options)
    enact_sync(sale(tmp_path), cast=cast())
    return tracing.shutdown(wait), tracing.report()


def test_a_backend_that_takes_only_some_is_believed(tmp_path):
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 12
    answer.partial_success.error_message = "too old"
    with receiver(answer=answer) as received:
        lost, report = talk(tmp_path, received.url)
    assert lost == 12
    assert (
        report
        == f"traces: 18 of 30 spans sent to {received.url}/v1/traces; 12 lost: the backend refused 12: too old"
    )


@pytest.mark.parametrize("answer", [b"", b"\x0a", b"\xff\xff", b"\x0a\x02\x08", b"<html>"])
def test_an_answer_that_says_nothing_refuses_nothing(answer):
    assert refused_of(answer) == (0, "")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_backend_that_is_full_for_a_while_is_asked_again(tmp_path, status):
    with receiver(status=[status, status, 200]) as received:
        lost, report = talk(tmp_path, received.url)
    assert lost == 0
    assert "30 of 30" in report
    assert len(received.paths) == 3


def test_one_that_says_when_is_asked_then(tmp_path):
    with receiver(status=[503, 200], retry_after="1") as received:
        begun = time.monotonic()
        lost, _ = talk(tmp_path, received.url)
    assert lost == 0
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize("status", [400, 401, 413, 500])
def test_one_that_will_not_have_it_is_asked_once_and_the_loss_is_told(tmp_path, status):
    with receiver(status=status) as received:
        lost, report = talk(tmp_path, received.url)
    assert lost == 30
    assert f"30 lost: HTTP {status} " in report
    assert len(received.paths) == 1


def test_one_that_answers_slowly_holds_up_nobody(tmp_path):
    with receiver(delay=0.5) as received:
        tracing = setup(received.url)
        begun = time.monotonic()
        for _ in range(3):
            enact_sync(sale(tmp_path), cast=cast())
        assert time.monotonic() - begun < 5
        assert tracing.shutdown(10) == 0
    assert len(received.spans) == 90


def test_one_that_hangs_up_in_the_middle_costs_one_line(tmp_path):
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def hang_up():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(100)
            connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    try:
        lost, report = talk(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}", 1.0)
    finally:
        server.close()
    assert lost == 30
    assert "30 lost: " in report
    assert "\n" not in report


def test_headers_and_compression_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Team=shop")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
    with receiver() as received:
        assert talk(tmp_path, received.url)[0] == 0
    assert received.headers[0]["api-key"] == "a b"
    assert received.headers[0]["x-team"] == "shop"
    assert received.headers[0]["content-encoding"] == "gzip"
    assert len(received.spans) == 30


def test_what_is_long_goes_in_several_requests(tmp_path, monkeypatch):
    monkeypatch.setattr("agentcomm.tracing.outlets.REQUEST_BYTES", 10_000)
    with receiver() as received:
        assert talk(tmp_path, received.url)[0] == 0
    assert len(received.paths) >= 3
    assert len(received.spans) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_was_forked_sends_its_own_and_not_its_parents(tmp_path, monkeypatch):
    protocol = sale(tmp_path)
    with receiver() as received:
        tracing = setup(received.url)
        enact_sync(protocol, cast=cast(), conversation_id="parent")
        assert tracing.shutdown(10) == 0
        monkeypatch.setattr("agentcomm.tracing.export.DELAY_MS", 60_000)
        tracing = setup(received.url)
        enact_sync(protocol, cast=cast(), conversation_id="waits in the parent")
        child = os.fork()
        if not child:
            try:
                enact_sync(protocol, cast=cast(), conversation_id="child")
                os._exit(tracing.shutdown(10))
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert tracing.shutdown(10) == 0
    counted = Counter(attributes_of(span)["gen_ai.conversation.id"] for span in received.spans)
    assert counted == {"parent": 30, "waits in the parent": 30, "child": 30}


def test_a_turn_that_cannot_be_drawn_is_the_only_one_that_is_lost(monkeypatch):
    encode, left = span_plain._encoded, iter(range(100))

    def fails_once(content):
        if next(left) == 4:
            raise ZeroDivisionError("by chance")
        return encode(content)

    monkeypatch.setattr(span_plain, "_encoded", fails_once)
    with receiver() as received:
        tracing = setup(received.url, detail="turn")
        clerk, keeper = Agent("cleo"), Agent("kim")
        numbers = iter(range(20))
        clerk.opens(lambda turn: turn.say("ask", number=next(numbers)))
        clerk.on("count")(lambda turn: turn.say("ask", number=next(numbers)))
        keeper.on("ask")(lambda turn: turn.say("count", number=turn.heard.content.number))
        enact_sync(loads(COUNT), cast={"clerk": clerk, "keeper": keeper})
        assert tracing.shutdown(10) == 1
        assert "1 lost: ZeroDivisionError: by chance" in tracing.report()
    turns = [span for span in received.spans if span.name.startswith("invoke_agent")]
    assert len(turns) == 25 - 1
    assert received.spans[-1].name == "close_conversation count"


COUNT = """
agentcomm: 1
protocol: count
version: 1
roles: [clerk, keeper]
acts:
  ask: {act: query-ref, content: {number: int}}
  count: {act: inform, content: {number: int}}
states:
  asking: {clerk: {ask: {next: counting, max: 12, then: done}}}
  counting: {keeper: {count: asking}}
outcomes: {done: success, expired: expired}
limits: {turns: 100}
"""
