"""The example's counting tool, against its shipped logs and against every format that it promises."""

import gzip
import importlib.util
import os
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentcomm.errors import InputError

HERE = Path(__file__).parents[2] / "examples" / "incident-handoff"
INPUT = HERE / "input"

spec = importlib.util.spec_from_file_location("incident_handoff_facts", HERE / "facts.py")
assert spec
assert spec.loader
facts = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = facts
spec.loader.exec_module(facts)
read_facts = facts.read_facts


@pytest.fixture
def log(tmp_path):
    def write(text, name="shop-7.log", written=datetime(2026, 6, 1, tzinfo=UTC)):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (written.timestamp(), written.timestamp()))
        return str(path)

    return write


# --- the shipped logs, counted a second time with nothing but split and in


def shipped(name):
    return (INPUT / name).read_text().splitlines()


def test_the_nginx_log_has_the_errors_that_a_plain_count_finds():
    lines = shipped("error.log")
    errors = [line for line in lines if line.split()[2] in ("[error]", "[crit]", "[alert]", "[emerg]")]
    kinds = Counter(line.split("*", 1)[1].split(" ", 1)[1].split(", client")[0] for line in errors)
    found = read_facts(str(INPUT / "error.log"))

    assert found.error_count == len(errors) > 100
    assert found.lines == len(lines)
    assert found.sample == kinds.most_common(1)[0][0]
    assert found.first_seen == datetime.strptime(errors[0][:19], "%Y/%m/%d %H:%M:%S")  # noqa: DTZ007
    assert found.window[1] == datetime.strptime(lines[-1][:19], "%Y/%m/%d %H:%M:%S")  # noqa: DTZ007
    assert (found.host, found.service, found.severity) == ("shop.example", "nginx", "critical")


def test_the_access_log_has_the_errors_that_a_plain_count_finds():
    lines = shipped("access.log")
    errors = [line for line in lines if line.split()[8].startswith("5")]
    found = read_facts(str(INPUT / "access.log"), host="web1")

    assert found.error_count == len(errors) > 50
    assert found.lines == len(lines)
    assert found.first_seen == datetime.strptime(errors[0].split()[3], "[%d/%b/%Y:%H:%M:%S").replace(
        tzinfo=UTC
    )
    assert (found.host, found.service) == ("web1", "http")


def test_the_postgresql_log_has_the_errors_that_a_plain_count_finds():
    lines = shipped("postgresql.log")
    errors = [line for line in lines if any(f" {level}:  " in line for level in ("ERROR", "FATAL", "PANIC"))]
    found = read_facts(str(INPUT / "postgresql.log"))

    assert found.error_count == len(errors) > 100
    assert found.lines == len(lines)
    assert found.sample == Counter(line.split(":  ", 1)[1] for line in errors).most_common(1)[0][0]
    assert found.first_seen == datetime.fromisoformat(errors[0][:23] + "+00:00")
    assert found.window == (
        datetime.fromisoformat(lines[0][:23] + "+00:00"),
        datetime.fromisoformat(lines[-1][:23] + "+00:00"),
    )
    assert (found.host, found.service) == ("postgresql", "postgresql")


def test_each_shipped_log_is_small_and_names_nothing_of_the_machine_it_came_from():
    for path in INPUT.glob("*.log"):
        text = path.read_text()
        assert len(text) < 150_000
        assert "/tmp" not in text  # noqa: S108
        assert "/home" not in text


# --- formats

AT = datetime(2026, 5, 20, 4, 12, 11)  # noqa: DTZ001 - logs without a zone
UTC_AT = AT.replace(tzinfo=UTC)

FORMATS = {
    "nginx": (
        '2026/05/20 04:12:11 [crit] 7#7: *9 connect() failed (13: Permission denied), client: 192.0.2.7, server: a.example, request: "GET / HTTP/1.1", host: "b.example"',
        (AT, "a.example", "nginx", "connect() failed (13: Permission denied)"),
    ),
    "nginx, catch-all server": (
        '2026/05/20 04:12:11 [error] 7#7: *9 broke, client: 192.0.2.7, server: _, request: "GET / HTTP/1.1", host: "b.example:80"',
        (AT, "b.example", "nginx", "broke"),
    ),
    "nginx, no request": (
        "2026/05/20 04:12:11 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)",
        (AT, "shop-7", "nginx", "bind() to 0.0.0.0:80 failed (98: Address already in use)"),
    ),
    "combined": (
        '192.0.2.7 - ada [20/May/2026:06:12:11 +0200] "GET /a?token=secret HTTP/1.1" 502 157 "-" "curl \\"x\\""',
        (AT.replace(hour=6, tzinfo=timezone(timedelta(hours=2))), "shop-7", "http", "HTTP 502 on GET /a"),
    ),
    "combined, Apache's with the host": (
        'a.example:443 2001:db8::7 - - [20/May/2026:04:12:11 +0000] "POST /a HTTP/1.1" 500 1 "-" "-"',
        (UTC_AT, "a.example", "http", "HTTP 500 on POST /a"),
    ),
    "combined, IPv6 client": (
        '::1 - - [20/May/2026:04:12:11 +0000] "-" 503 0 "-" "-"',
        (UTC_AT, "shop-7", "http", "HTTP 503 on -"),
    ),
    "PostgreSQL, Debian's prefix": (
        "2026-05-20 04:12:11.250 UTC [42] shop@shop FATAL:  sorry, too many clients already",
        (
            UTC_AT.replace(microsecond=250_000),
            "shop-7",
            "postgresql",
            "sorry, too many clients already",
        ),
    ),
    "PostgreSQL, the default prefix, a zone by name": (
        "2026-05-20 04:12:11.250 CET [42] PANIC:  could not write to file",
        (AT.replace(microsecond=250_000), "shop-7", "postgresql", "could not write to file"),
    ),
    "RFC 3164 on the wire": (
        "<11>May 20 04:12:11 web1 app[812]: cannot reach the database [primary]: timeout",
        (AT, "web1", "app", "cannot reach the database [primary]: timeout"),
    ),
    "RFC 3164 on disk": (
        "May 20 04:12:11 web1 systemd[1]: app.service: Failed with result 'exit-code'.",
        (AT, "web1", "systemd", "app.service: Failed with result 'exit-code'."),
    ),
    "RFC 5424": (
        '<11>1 2026-05-20T04:12:11Z web1 app 812 DOWN [req@32473 id="a\\]b\\"c"][x@1 y="z"] \ufeffpool empty',
        (UTC_AT, "web1", "app", "pool empty"),
    ),
    "RFC 5424, as rsyslog writes it": (
        "<11>1 2026-05-20T04:12:11.000000+00:00 web1 app 812 - -  cannot reach the database",
        (UTC_AT, "web1", "app", "cannot reach the database"),
    ),
    "RFC 5424, nobody named": (
        "<8>1 2026-05-20T04:12:11Z - - - - - out of space",
        (UTC_AT, "shop-7", "shop-7", "out of space"),
    ),
    "rsyslog with ISO stamps": (
        "2026-05-20T04:12:11.000000+00:00 web1 kernel: EXT4-fs error (device sda1): deleted inode",
        (UTC_AT, "web1", "kernel", "EXT4-fs error (device sda1): deleted inode"),
    ),
    "application, Python's logging": (
        "2026-05-20 04:12:11,000 - pool - ERROR - pool is empty",
        (AT, "shop-7", "shop-7", "pool is empty"),
    ),
    "application, log4j": (
        "2026-05-20 04:12:11,000 [main] FATAL com.shop.Pool - pool is empty",
        (AT, "shop-7", "shop-7", "com.shop.Pool - pool is empty"),
    ),
    "application, zoned, level before anything like a host": (
        "2026-05-20T04:12:11Z ERROR pool: pool is empty",
        (UTC_AT, "shop-7", "shop-7", "pool: pool is empty"),
    ),
    "application, brackets": (
        "[2026-05-20T04:12:11+00:00] production.CRITICAL: pool is empty",
        (UTC_AT, "shop-7", "shop-7", "pool is empty"),
    ),
    "application, lower case": (
        "2026-05-20 04:12:11 [error] pool is empty",
        (AT, "shop-7", "shop-7", "pool is empty"),
    ),
    "application, logfmt": (
        '2026-05-20T04:12:11-05:00 pid=3 level=error msg="pool is empty"',
        (AT.replace(tzinfo=timezone(timedelta(hours=-5))), "shop-7", "shop-7", 'msg="pool is empty"'),
    ),
}


@pytest.mark.parametrize(("line", "expected"), FORMATS.values(), ids=FORMATS)
def test_a_format_tells_when_where_who_and_what(log, line, expected):
    found = read_facts(log(line + "\n"))
    assert (found.first_seen, found.host, found.service, found.sample) == expected
    assert found.first_seen.utcoffset() == expected[0].utcoffset()
    assert (found.error_count, found.lines) == (1, 1)


HARMLESS = {
    "nginx": "2026/05/20 04:12:12 [warn] 7#7: *9 an upstream response is buffered, client: 192.0.2.7",
    "combined": '192.0.2.7 - - [20/May/2026:04:12:12 +0000] "GET /500 HTTP/1.1" 404 500 "-" "error"',
    "PostgreSQL": "2026-05-20 04:12:12.250 UTC [42] LOG:  no ERROR here",
    "RFC 3164 on the wire": "<14>May 20 04:12:12 web1 app[812]: error in name only",
    "RFC 3164 on disk": "May 20 04:12:12 web1 app[812]: done, no error, 0 failed, without failure",
    "RFC 5424": "<14>1 2026-05-20T04:12:12Z web1 app - - - error in name only",
    "rsyslog with ISO stamps": "2026-05-20T04:12:12.000000+00:00 web1 app: errors=0",
    "application": "2026-05-20 04:12:12,000 INFO the page ERROR was shown",
    "application without levels": "2026/05/20 04:12:12 listening",
}


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_error_is_a_line_and_widens_the_window_only(log, line):
    error = "2026/05/20 04:12:11 [error] 7#7: broke"
    found = read_facts(log(f"{error}\n{line}\n"))
    assert (found.error_count, found.lines) == (1, 2)
    assert found.window[1].replace(tzinfo=None) > AT


def test_an_entry_of_many_lines_is_one_error(log):
    found = read_facts(
        log(
            "2026-05-20 04:12:11,000 ERROR unhandled\n"
            "Traceback (most recent call last):\n"
            '  File "pool.py", line 3, in take\n'
            "ERROR: not at the beginning of an entry\n"
            "\n"
            "2026-05-20 04:12:12,000 INFO goes on\n"
        )
    )
    assert (found.error_count, found.lines, found.sample) == (1, 6, "unhandled")


def test_details_and_statements_belong_to_postgresql_s_error(log):
    prefix = "2026-05-20 04:12:11.250 UTC [42] shop@shop"
    found = read_facts(
        log(
            f"{prefix} ERROR:  deadlock detected\n"
            f"{prefix} DETAIL:  Process 42 waits; see ERROR log\n\tProcess 43 waits\n"
            f"{prefix} HINT:  See server log\n"
            f"{prefix} STATEMENT:  SELECT 'FATAL:  '\n"
        )
    )
    assert (found.error_count, found.lines, found.sample) == (1, 5, "deadlock detected")


def test_messages_that_differ_in_numbers_and_ids_are_one_and_error_numbers_are_kept(log):
    found = read_facts(
        log(
            "2026-05-20 04:12:11 ERROR failed (110: Connection timed out)\n"
            "2026-05-20 04:12:11 ERROR failed (110: Connection timed out)\n"
            "2026-05-20 04:12:12 ERROR order 17 of 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed\n"
            "2026-05-20 04:12:12 ERROR order 18 of 9f2504e0-4f89-41d3-9a0c-0305e82c3302 failed\n"
            "2026-05-20 04:12:12 ERROR order 19 of ff2504e0-4f89-11d3-aa0c-0305e82c3303 failed\n"
            "2026-05-20 04:12:11 ERROR failed (111: Connection timed out)\n"
        )
    )
    assert found.sample == "order 17 of 3f2504e0-4f89-11d3-9a0c-0305e82c3301 failed"


def test_the_sample_is_one_line_of_at_most_200_characters_without_control_characters(log):
    found = read_facts(log("2026-05-20 04:12:11 ERROR a\x1b[31m\tb\u2028c " + "d" * 5_000))
    assert found.sample.startswith("a [31m b c ddd")
    assert len(found.sample) == 200
    assert found.sample.isprintable()


def test_the_host_and_service_are_those_that_most_errors_name(log):
    found = read_facts(
        log(
            "<11>May 20 04:12:10 web1 cron: down\n"
            "<14>May 20 04:12:10 web1 app: up\n"
            "<11>May 20 04:12:11 web2 app: down\n<11>May 20 04:12:12 web2 app: down\n"
        ),
        host="not-asked",
    )
    assert (found.host, found.service) == ("web2", "app")


def test_the_callers_host_is_used_where_the_log_has_none(log):
    path = log("2026-05-20 04:12:11 ERROR broke", name="app.log.1")
    assert read_facts(path, host=" db1 ").host == "db1"
    assert read_facts(path).host == "app"


def test_times_come_from_the_earliest_entry_and_not_from_the_first_line(log):
    found = read_facts(
        log(
            "2026-05-20 04:12:11 ERROR late\n2026-05-20 04:12:09 ERROR early\n2026-05-20 04:12:08 INFO begin\n"
        )
    )
    assert found.first_seen == AT.replace(second=9)
    assert found.window == (AT.replace(second=8), AT)


@pytest.mark.parametrize(
    ("stamp", "written", "expected"),
    [
        ("May 20 04:12:11", datetime(2026, 5, 20, 5, tzinfo=UTC), datetime(2026, 5, 20, 4, 12, 11)),  # noqa: DTZ001
        ("Dec 31 23:59:60", datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, 59)),  # noqa: DTZ001
        ("Feb 29 00:00:00", datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2024, 2, 29)),  # noqa: DTZ001
    ],
)
def test_a_stamp_without_a_year_is_the_latest_before_the_files_date(log, stamp, written, expected):
    assert read_facts(log(f"{stamp} web1 app: error", written=written)).first_seen == expected


def test_a_log_that_mixes_stamps_with_and_without_a_zone_is_read(log):
    found = read_facts(log("2026-05-20 04:12:11 ERROR a\n2026-05-20 04:12:12Z ERROR b\n"))
    assert found.window == (AT, UTC_AT + timedelta(seconds=1))


def test_line_ends_of_other_systems_and_a_byte_order_mark_do_no_harm(log):
    found = read_facts(log("\ufeff2026-05-20 04:12:11 ERROR a\r\n2026-05-20 04:12:12 ERROR a"))
    assert (found.error_count, found.lines, found.sample) == (2, 2, "a")


def test_facts_survive_json(log):
    found = read_facts(log("2026-05-20 04:12:11Z ERROR a"))
    assert facts.Facts.model_validate_json(found.model_dump_json()) == found


# --- severity


def minute(errors, fine=0, level="ERROR"):
    return "".join(
        f"2026-05-20 04:12:{n % 60:02} {word} text\n"
        for n, word in enumerate([level] * errors + ["INFO"] * fine)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (minute(2), "low"),
        (minute(3), "normal"),
        (minute(9), "normal"),
        (minute(10), "high"),
        (minute(1, level="CRITICAL"), "high"),
        (minute(29), "high"),
        (minute(30, 30), "critical"),
        (minute(30, 31), "high"),
        (minute(1, 99, level="EMERG"), "critical"),
        (minute(1) + "2026-05-20 04:12:11 UTC [1] FATAL:  no such role\n", "low"),
        ("".join(f"2026-05-20 {h:02}:{m:02}:00 ERROR slow\n" for h in range(6) for m in range(60)), "normal"),
        # A minute's entries may stand apart: requests are stamped at their beginning, written at their end.
        ("2026-05-20 04:12:11 ERROR a\n2026-05-20 04:13:11 INFO b\n" * 12, "high"),
        # A bad minute is not forgotten in a long quiet log.
        (
            minute(31)
            + "".join(f"2026-05-21 {h:02}:{m:02}:00 INFO x\n" for h in range(6) for m in range(60)),
            "critical",
        ),
    ],
)
def test_severity_follows_the_written_rule(log, text, expected):
    assert read_facts(log(text)).severity == expected


# --- errors


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_facts(str(path))
    error = caught.value
    assert error.code == "X301"
    assert error.what
    assert error.fix
    assert error.where
    return error


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none.log").what == "no such file"


def test_a_directory_is_refused_and_a_log_in_it_proposed(log, tmp_path):
    assert refusal(tmp_path).fix == "name one log file"
    path = log("text")
    assert refusal(tmp_path).fix.endswith(path)


def test_an_empty_file_is_refused(log):
    assert refusal(log("")).what == "the file is empty"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"2026-05-20 04:12:11 ERROR a\0b", "this is not a text file"),
        ("2026-05-20 04:12:11 ERROR a".encode("utf-16"), "this is not a text file"),
        (bytes(range(128, 256)) * 20, "this is not a text file"),
        (gzip.compress(b"2026-05-20 04:12:11 ERROR a"), "the file is compressed"),
    ],
    ids=["NUL", "UTF-16", "noise", "gzip"],
)
def test_a_binary_file_is_refused(log, content, what):
    assert refusal(log(content)).what == what


def test_a_few_bytes_that_are_not_utf_8_do_not_make_a_file_binary(log):
    assert read_facts(log("2026-05-20 04:12:11 ERROR caf\xe9 closed".encode("latin-1"))).error_count == 1


@pytest.mark.parametrize(
    "text",
    ["no time\n", "\n\n", "2026-13-45 99:99:99 ERROR\n", "Feb 30 00:00:00 web1 app: error\n", '{"a": 1}\n'],
)
def test_a_file_without_times_is_refused(log, text):
    assert refusal(log(text)).what == "no line has a time that we can read"


def test_a_log_without_errors_is_nothing_to_hand_over(log):
    error = refusal(log("2026-05-20 04:12:11 INFO all is well\n"))
    assert error.what.startswith("nothing to hand over")
    assert "lines read: 1, from 2026-05-20 04:12:11 to" in error.why


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything; be someone else for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused(log):
    path = log("2026-05-20 04:12:11 ERROR a")
    Path(path).chmod(0)
    with nobody():
        error = refusal(path)
    assert error.what == "the file may not be read"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").what == "this is not a regular file"


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 5_000])
def test_a_path_that_cannot_be_one_is_refused(path):
    refusal(path)


def test_a_disk_that_fails_is_an_input_error(log, monkeypatch):
    path = log("2026-05-20 04:12:11 ERROR a")

    def broken(*_args, **_keywords):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", broken)
    assert "Input/output error" in refusal(path).why


def test_the_command_prints_facts_or_the_error(log, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["facts.py", log("2026-05-20 04:12:11 ERROR a")])
    assert facts.main() == 0
    assert '"error_count": 1' in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["facts.py", log("")])
    assert facts.main() == 1
    assert "X301" in capsys.readouterr().err


# --- size and strangeness


def test_memory_does_not_grow_with_the_log_its_lines_or_its_messages(log):
    words = [f"{n:05}".translate(str.maketrans("0123456789", "ghijklmnop")) for n in range(20_000)]
    text = "".join(
        f"2026-05-{1 + n // 1000:02} 04:{n % 60:02}:11 ERROR {word * 20}\n2026-05-20 04:12:11 ERROR common\n"
        for n, word in enumerate(words)
    )
    path = log(text + "2026-05-20 04:12:11 ERROR " + "long " * 1_000_000)
    del text, words
    tracemalloc.start()
    try:
        found = read_facts(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.error_count, found.lines, found.sample) == (40_001, 40_001, "common")
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "line",
    [
        "a" * 16_000,
        "a:1 " * 4_000,
        "<11>1 2026-05-20T04:12:11Z a b c d " + '["' * 8_000,
        "<11>1 2026-05-20T04:12:11Z a b c d " + "[]" * 8_000 + '"',
        "2026-05-20 04:12:11 UTC [1] " + "LOG: " * 3_000,
        "2026/05/20 04:12:11 [error] 1#1: " + ", server: _, host: " * 800,
        "2026-05-20 04:12:11 ERROR " + "a1" * 8_000,
        '192.0.2.7 - - [20/May/2026:04:12:11 +0000] "' + "\\" * 15_000,
        "May 20 04:12:11 a " + "no error " * 1_700,
    ],
)
def test_no_line_takes_long(log, line):
    path = log(f"2026-05-20 04:12:11 ERROR a\n{line}\n" + f"{line}\n" * 20)
    begin = time.perf_counter()
    assert read_facts(path).error_count >= 1
    assert time.perf_counter() - begin < 2


def check(path):
    try:
        found = read_facts(path)
    except InputError:
        return
    assert 1 <= found.error_count <= found.lines
    assert found.host
    assert found.service
    assert 1 <= len(found.sample) <= 200
    assert found.sample.isprintable()
    facts.Facts.model_validate_json(found.model_dump_json())


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@FUZZ
@given(content=st.binary(max_size=2_000))
def test_any_bytes_are_facts_or_an_input_error(log, content):
    check(log(content))


PIECES = (
    *(line for line, _ in FORMATS.values()),
    *HARMLESS.values(),
    *[
        "\n",
        "\r\n",
        " ",
        "\t",
        "[",
        "]",
        "<",
        ">",
        '"',
        "\\",
        ":",
        ",",
        "-",
        "*",
        "0",
        "9999",
        "0001-01-01T00:00:00+23:59 ERROR a",
        "9999-12-31T23:59:59-23:59 ERROR a",
        "Feb 29 23:59:60 a b:",
        "ERROR",
        "٣",
        "\u2028",
        "é",
        "\x1b",
    ],
)


@FUZZ
@given(
    pieces=st.lists(st.tuples(st.sampled_from(PIECES), st.integers(0, 60), st.integers(0, 90)), max_size=30),
    written=st.integers(-(10**10), 10**11),
)
@example(pieces=[("0001-01-01T00:00:00+23:59 ERROR a", 0, 90), ("\n", 0, 9)], written=0)
@example(pieces=[("9999-12-31T23:59:59-23:59 ERROR a", 0, 90), ("\n", 0, 9)], written=10**11)
@example(pieces=[("2026-05-20 04:12:11 ERROR", 0, 90)], written=0)
def test_torn_and_mixed_logs_are_facts_or_an_input_error(log, pieces, written):
    path = log("".join(piece[begin : begin + length] for piece, begin, length in pieces))
    os.utime(path, (written, written))
    check(path)
