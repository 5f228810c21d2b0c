"""Metrics and log events, for the providers that a program has set; each in a process of its own, where they can be set once."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from test_trace_setup import python

HERE = Path(__file__).parent

SETUP = """
import asyncio, json, pathlib, sys, tempfile, warnings
from opentelemetry import metrics, trace, _logs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
import msgspec
from agentcomm import Agent, enact_sync
from agentcomm.errors import AgentcommError
from agentcomm.models.scripted import ScriptedModel
from agentcomm.tracing.setup import setup
from agentcomm.tracing.spans import active
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from traced_scenes import cast, sale

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
events = InMemoryLogRecordExporter()
logs = LoggerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(events))
_logs.set_logger_provider(logs)
protocol = sale(pathlib.Path(tempfile.mkdtemp()))

class Counting(ScriptedModel):
    async def reply(self, request):
        return msgspec.structs.replace(await super().reply(request), prompt_tokens=40, output_tokens=7)

def agents(**how):
    bob = Agent("bob", model=Counting(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    return {**cast(**how), "seller": bob}

def measured():
    found = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            assert scope.scope.name == "agentcomm", scope
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    known = {k.rpartition(".")[2] if k.startswith("agentcomm") else k: v for k, v in point.attributes.items()}
                    value = point.value if hasattr(point, "value") else [point.count, point.sum]
                    found.setdefault(metric.name, []).append([known, value])
    return found

def told():
    return [
        [one.log_record.event_name, one.log_record.severity_text, dict(one.log_record.attributes), one.log_record.trace_id]
        for one in events.get_finished_logs()
    ]
"""


def run(code: str, **environment: str):
    import os

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SETUP + textwrap.dedent(code)],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


TALK = """
spans = InMemorySpanExporter()
with setup(exporter=spans) if TRACED else __import__("contextlib").nullcontext():
    result = enact_sync(protocol, cast=agents(slip=True, misfires=1), conversation_id="conv-7")
assert result.outcome == "done"
print(json.dumps([measured(), told(), [
    [s.name, format(s.context.trace_id, "x"), dict(s.attributes).get("agentcomm.rejection.reason")]
    for s in spans.get_finished_spans()
]]))
"""


@pytest.mark.parametrize("traced", [True, False])
def test_a_conversation_is_measured_whether_or_not_it_is_traced(traced):
    found, told, spans = run(f"TRACED = {traced}" + TALK)
    messages = {(m["act"], m["direction"]): n for m, n in found["agentcomm.messages"]}
    assert messages["cfp", "send"] == messages["cfp", "receive"] == 1
    assert sum(n for (_, way), n in messages.items() if way == "send") == 8
    rejected = [(m["act"], m["reason"], n) for m, n in found["agentcomm.moves.rejected"]]
    assert sorted(rejected) == [("unknown", "unexpected-act", 1), ("unknown", "unreadable", 1)]
    checks = {(m["method"], m["verdict"]): n for m, n in found["agentcomm.grounding.checks"]}
    assert checks["readback", "contradicted"] == 1
    assert checks["readback", "grounded"] >= 1
    ((known, (count, turns)),) = found["agentcomm.repair.turns"]
    assert count == 1
    assert turns >= 1
    assert known["outcome"] == "resolved"
    ((known, (count, seconds)),) = found["agentcomm.conversation.duration"]
    assert (known["outcome"], count) == ("success", 1)
    assert 0 < seconds < 30
    assert found["agentcomm.conversation.turns"][0][1] == [1, 8.0]
    assert sum(point[0] for _, point in found["gen_ai.invoke_agent.duration"]) == 8
    assert {m["gen_ai.agent.name"] for m, _ in found["gen_ai.invoke_agent.duration"]} == {"ann", "bob"}
    tokens = {m["gen_ai.token.type"]: point for m, point in found["gen_ai.client.token.usage"]}
    assert tokens == {"input": [2, 80], "output": [2, 14]}
    ((known, (count, _)),) = found["gen_ai.client.operation.duration"]
    assert count == 2
    assert known["gen_ai.operation.name"] == "chat"
    assert found["agentcomm.retries"]
    assert found["agentcomm.prompt.edits"]
    assert not [n for name in found for n, _ in found[name] if "conv-7" in str(n)]
    names = [name for name, *_ in told]
    assert names.count("agentcomm.move.rejected") == 2
    assert names.index("agentcomm.repair.started") < names.index("agentcomm.repair.resolved")
    assert "gen_ai.evaluation.result" in names
    for _, _, known, trace_id in told:
        assert known["gen_ai.conversation.id"] == "conv-7"
        assert bool(trace_id) is traced
    if traced:
        rejected = {trace_id for name, trace_id, reason in spans if reason}
        assert {format(t, "x") for name, *_, t in told if name == "agentcomm.move.rejected"} == rejected


def test_the_newest_conventions_have_names_of_their_own():
    found, *_ = run("TRACED = False" + TALK, OTEL_SEMCONV_STABILITY_OPT_IN="http,gen_ai_latest_experimental")
    assert found["gen_ai.client.inference.usage.input_tokens"][0][1] == 80
    assert found["gen_ai.client.inference.usage.output_tokens"][0][1] == 14
    assert found["gen_ai.client.inference.duration"][0][1][0] == 2
    assert "gen_ai.client.token.usage" not in found


def test_what_breaks_and_what_takes_too_long_is_told():
    found, told = run("""
        from agentcomm.agents.tools import tool

        @tool
        def look(shelf: int) -> str:
            "Look at a shelf."
            raise RuntimeError("dark")

        bob = Agent("bob", model=ScriptedModel([]), tools=[look])
        result = enact_sync(protocol, cast={**cast(), "seller": bob})
        ann = Agent("ann")

        @ann.opens
        async def never(turn):
            await asyncio.sleep(60)

        slow = protocol
        enact_sync(protocol, cast={**cast(), "buyer": ann}, deadline="0.2s")
        print(json.dumps([measured(), told()]))
    """)
    names = {name: (severity, known) for name, severity, known, _ in told}
    severity, known = names["gen_ai.client.operation.exception"]
    assert (severity, known["error.type"]) == ("WARN", "model_error")
    assert names["agentcomm.timeout"][1]["agentcomm.timeout.kind"] in {"conversation", "reply"}
    assert sum(n for _, n in found["agentcomm.timeouts"]) == 1
    assert found["gen_ai.client.operation.duration"][0][0]["error.type"] == "model_error"


def test_spans_that_were_lost_are_counted():
    found = run("""
        tracing = setup("http://127.0.0.1:9")
        enact_sync(protocol, cast=cast())
        assert tracing.shutdown(0.5) == 30
        print(json.dumps(measured()))
    """)
    assert found["agentcomm.spans.dropped"] == [[{"sink": "otlp:127.0.0.1:9"}, 30]]


def test_records_of_a_transcript_are_counted(tmp_path):
    found = run(f"""
        path = pathlib.Path({str(tmp_path)!r}) / "t.jsonl"
        enact_sync(protocol, cast=cast(), transcript=path)
        records = sum(b'"record"' in line for line in path.read_bytes().splitlines())
        print(json.dumps([measured(), records]))
    """)
    ((_, count),) = found[0]["agentcomm.audit.records"]
    assert count == found[1]


def test_without_a_provider_nothing_is_measured_or_loaded():
    out = python("""
        import pathlib, sys, tempfile
        from agentcomm import enact_sync
        from agentcomm.tracing.signals import signals
        from traced_scenes import cast, sale
        enact_sync(sale(pathlib.Path(tempfile.mkdtemp())), cast=cast())
        print(signals(), [name for name in sys.modules if name.startswith("opentelemetry")])
        from opentelemetry import metrics, _logs
        print(signals())
        metrics.set_meter_provider(metrics.NoOpMeterProvider())
        print(signals())
    """)
    assert out.split("\n")[:3] == ["None []", "None", "None"]


def test_what_models_were_told_and_said_are_log_events_where_the_conventions_switch_says_so():
    code = """
    def no_tea(kind, text):
        return text.replace("tea", "[removed]")
    tracing = setup(exporter=InMemorySpanExporter(), redactors=[no_tea])
    enact_sync(protocol, cast=agents())
    tracing.shutdown()
    print(json.dumps([one[:3] for one in told()], default=list))
    """
    silent = [one for one in run(code) if "details" in one[0]]
    assert silent == []
    events = run(code, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="EVENT_ONLY")
    first, second = [one for one in events if one[0] == "gen_ai.client.inference.operation.details"]
    assert first[1] == second[1] == "DEBUG"
    told = second[2]
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.usage.input_tokens"] == 40
    assert told["gen_ai.input.messages"][0]["parts"][0]["type"] == "text"
    assert "[removed]" in str(told["gen_ai.input.messages"])
    assert "tea" not in str(told["gen_ai.input.messages"])
    assert "20 EUR" in str(told["gen_ai.output.messages"])
    (redacted,) = [one for one in events if one[0] == "agentcomm.content.redacted"]
    assert redacted[1] == "INFO"
    assert redacted[2]["agentcomm.sink"] == "InMemorySpanExporter"
    assert "message" in redacted[2]["agentcomm.content.redacted.kinds"]
