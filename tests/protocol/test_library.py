import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sale_document import SALE, edited

from agentcomm.errors import InputError, ProtocolError, UsageError
from agentcomm.protocol import library
from agentcomm.protocol.check import examine
from agentcomm.protocol.library import find, load, loads, names, read_document, stamp

EVERYTHING = [*names(), *names(overlays=True)]


def test_the_library_is_there():
    assert set(names()) >= {
        *("request", "query", "propose", "subscribe"),
        *("sbar-handoff", "alternating-offers", "review-loop"),
    }
    assert set(names(overlays=True)) >= {
        f"_overlays/{name}" for name in ("read-back", "repair", "not-understood", "cancel")
    }


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_file_is_clean(name):
    assert [str(found) for found in examine(find(name).read_bytes()).findings] == []
    protocol = load(name)
    assert protocol.name == name.removeprefix("_overlays/")
    assert protocol.about
    assert protocol.bound > 0
    for act in protocol.acts.values():
        assert act.content.model_json_schema()


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("request", 3),
        ("query", 3),
        ("propose", 2),
        ("sbar-handoff", 8),
        ("alternating-offers", 12),
        ("review-loop", 6),
        ("subscribe", 103),
        ("_overlays/read-back", 6),
    ],
)
def test_the_longest_conversations(name, bound):
    assert load(name).bound == bound


@pytest.mark.parametrize("name", names(overlays=True))
def test_an_overlay_says_what_follows(name):
    overlay = load(name).overlay
    assert overlay is not None
    third = {"authority"} if name == "_overlays/escalate" else set()
    assert set(load(name).roles) in ({"sender", "hearer"} | third, {"canceller", "other"})


def test_a_path_is_loaded(tmp_path):
    file = tmp_path / "sale.yaml"
    file.write_text(SALE)
    assert load(file).hash == load(str(file)).hash
    assert load(file).path == str(file)


def test_an_unknown_name_says_what_is_there():
    with pytest.raises(UsageError, match="no protocol 'reqest'") as caught:
        load("reqest")
    assert caught.value.fix == "did you mean 'request'?"
    assert "'sbar-handoff'" in caught.value.why


@pytest.mark.parametrize(
    "name", ["../pyproject", "_overlays/../request", "", "Request", "request.yml.txt", "a/b"]
)
def test_a_name_is_no_path(name):
    with pytest.raises((UsageError, InputError)):
        load(name)


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)


def test_a_huge_file_is_not_read_to_its_end(tmp_path):
    file = tmp_path / "huge.yaml"
    with file.open("wb") as stream:
        stream.truncate(10**9)
    assert len(read_document(file)) < 10**7
    with pytest.raises(ProtocolError):
        load(file)


def test_a_checked_document_is_stamped():
    mark = stamp(SALE.encode())
    assert not library._is_stamped(mark)
    loads(SALE)
    assert library._is_stamped(mark)


def test_a_broken_document_is_not_stamped():
    text = edited(("max: 2", "max: 2, then: asked"))
    for _ in range(2):
        with pytest.raises(ProtocolError):
            loads(text)
    assert not library._is_stamped(stamp(text.encode()))


def test_a_stamp_holds_for_one_checker(monkeypatch):
    before = stamp(SALE.encode())
    monkeypatch.setattr(library, "checker_version", lambda: "another")
    assert stamp(SALE.encode()) != before


DECIDING = """
import json, sys
from agentcomm.protocol.check import examine
from agentcomm.protocol.library import find, read_document
for name in ("english-auction", "plan-execute-verify", "_overlays/repair"):
    examine(read_document(find(name)))
print(json.dumps([name for name in sys.modules if name.startswith(("agentcomm.protocol.", "agentcomm.acts."))]))
"""


def test_the_version_of_the_checker_is_that_of_all_that_checks():
    done = subprocess.run([sys.executable, "-c", DECIDING], capture_output=True, text=True, check=True)
    used = {name.removeprefix("agentcomm.") for name in json.loads(done.stdout)}
    counted = {f"{file.parent.name}.{file.stem}" for file in library.decides()}
    assert used - counted <= {"protocol.library"}
    assert {"protocol.debts", "protocol.source", "acts.content"} <= counted
    assert not {"protocol.draw", "protocol.schema", "protocol.differ"} & counted


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert loads(SALE).name == "sale"


SCRIPT = """
import sys, json
from agentcomm.protocol.library import load
load(sys.argv[1])
print(json.dumps("agentcomm.protocol.check" in sys.modules))
"""


def was_checked(file: Path, cache: Path) -> bool:
    root = Path(library.__file__).resolve().parent.parent.parent
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(file)], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_second_load_checks_nothing(tmp_path):
    file = tmp_path / "sale.yaml"
    file.write_text(SALE)
    assert was_checked(file, tmp_path / "cache") is True
    assert was_checked(file, tmp_path / "cache") is False
    file.write_text(SALE + "# changed\n")
    assert was_checked(file, tmp_path / "cache") is True


def test_a_shipped_stamp_is_enough(monkeypatch):
    monkeypatch.setattr(library, "_shipped_stamps", lambda: frozenset([stamp(SALE.encode())]))
    monkeypatch.setitem(sys.modules, "agentcomm.protocol.check", None)
    assert loads(SALE).name == "sale"


def test_check_takes_what_load_takes(tmp_path):
    from agentcomm import check
    from agentcomm.errors import UsageError

    assert check("request") == []
    path = tmp_path / "broken.yaml"
    path.write_text("agentcomm: 1\n")
    assert {finding.path for finding in check(path)} == {str(path)}
    with pytest.raises(UsageError):
        check("nowhere-at-all")
