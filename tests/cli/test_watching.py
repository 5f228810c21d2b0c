"""A conversation as a page while it goes on: who may see it, and what it is told."""

import gzip
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from agentcomm.cli import run as run_command
from agentcomm.cli.main import main
from agentcomm.cli.watching import LivePage
from tests.views.page_scenes import long_talk


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "talk.jsonl"
    long_talk(path, 6)
    whole = path.read_bytes().splitlines(keepends=True)
    path.unlink()

    def upto(share):
        beside = path.with_suffix(".new")
        beside.write_bytes(b"".join(whole[: round(len(whole) * share)]))
        beside.replace(path)  # a record grows; it is never empty for a moment
        return path

    return path, upto


def told(answer):
    return json.loads(gzip.decompress(answer.content))


def test_the_page_waits_for_the_talk_and_then_shows_it(talk):
    path, upto = talk
    with LivePage(path) as page:
        assert "about to begin" in httpx.get(page.url).text
        upto(0.5)
        answer = httpx.get(page.url)
        assert 'data-live="' in answer.text
        assert "connect-src 'self'" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert not page.wait(0)
        first = httpx.get(f"{page.url}data")
        assert 0 < len(told(first)["rows"]) < 7
        assert told(first)["outcome"] == ""
        later = threading.Timer(0.4, upto, (1.0,))
        later.start()
        answer = httpx.get(f"{page.url}data", params={"after": first.headers["x-version"]}, timeout=30)
        assert len(told(answer)["rows"]) > len(told(first)["rows"])
        assert told(answer)["outcome"] == "done"
        assert page.wait(10)
        later.join()


def test_one_that_asks_in_vain_is_told_so_after_a_while(talk, monkeypatch):
    monkeypatch.setattr("agentcomm.cli.watching._WAIT", 0.3)
    path, upto = talk
    upto(0.5)
    with LivePage(path) as page:
        version = httpx.get(f"{page.url}data").headers["x-version"]
        assert httpx.get(f"{page.url}data", params={"after": version}).status_code == 204


def test_a_line_that_is_half_written_waits_for_its_other_half(talk):
    path, upto = talk
    upto(0.5)
    with path.open("ab") as file:
        file.write(b'{"blob":"sha256:00","salt":"0"')
    with LivePage(path) as page:
        assert told(httpx.get(f"{page.url}data"))["damage"] == ""


def test_only_this_machine_and_only_who_knows_the_address_sees_it(talk):
    path, upto = talk
    upto(1.0)
    with LivePage(path) as page:
        parts = urlsplit(page.url)
        assert parts.hostname == "127.0.0.1"
        assert len(parts.path) > 20
        for wrong in ("/", "/data", parts.path + "x", "/../" + parts.path, parts.path.upper()):
            connection = http.client.HTTPConnection(parts.hostname, parts.port)
            connection.request("GET", wrong)
            assert connection.getresponse().status == 404
            connection.close()
        connection = http.client.HTTPConnection(parts.hostname, parts.port)
        connection.request("GET", parts.path, headers={"Host": f"evil.example:{parts.port}"})
        assert connection.getresponse().status == 403
        connection.close()
        assert httpx.post(page.url).status_code == 501
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.url)


def test_run_shows_where_it_is_and_goes_once_it_was_seen(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_command, "_STAYS", 0.2)
    begun = time.monotonic()
    assert main(["run", "incident-handoff", "--model", "scripted", "--watch"]) == 0
    err = capsys.readouterr().err
    assert "live: http://127.0.0.1:" in err
    assert "the page stays until it was opened" in err
    assert time.monotonic() - begun < 20


def test_one_trace_needs_a_trace(capsys):
    assert main(["run", "incident-handoff", "--model", "scripted", "--one-trace"]) == 2
    assert "--trace http" in capsys.readouterr().err


def test_one_trace_is_one(tmp_path, monkeypatch):
    from tests.tracing.otlp_receiver import receiver

    monkeypatch.chdir(tmp_path)
    for options, count in ((["--one-trace"], 1), ([], 8)):
        with receiver() as received:
            assert (
                main(["run", "incident-handoff", "--model", "scripted", "--trace", received.url, *options])
                == 0
            )
        assert len({span.trace_id for span in received.spans}) == count
