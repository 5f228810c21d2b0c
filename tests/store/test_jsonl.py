import errno
import os

import pytest

from agentcomm import enact_sync, load
from agentcomm.errors import StoreError
from agentcomm.runtime.replay import read_transcript
from agentcomm.store.jsonl import JsonlLog, MemoryLog, read_lines
from tests.runtime.test_enact import buyer, seller


def test_what_was_appended_is_there_before_it_is_closed(tmp_path):
    log = JsonlLog(tmp_path / "a" / "b.jsonl")
    log.append(b"one\ntwo\n")
    assert list(read_lines(tmp_path / "a" / "b.jsonl")) == [b"one\n", b"two\n"]
    log.append(b"three\n")
    assert log.lines() == [b"one\n", b"two\n", b"three\n"]
    log.close()
    log.close()


def test_memory_and_disk_give_the_same_lines(tmp_path):
    kept = [MemoryLog(), JsonlLog(tmp_path / "x.jsonl")]
    for log in kept:
        log.append(b"one\ntwo\n")
        log.append(b"three\n")
        log.close()
    assert kept[0].lines() == kept[1].lines()


def test_a_full_disk_is_a_typed_error_and_what_was_said_before_can_be_read(root, tmp_path, monkeypatch):
    path = tmp_path / "talk.jsonl"
    sale = load(root / "examples/purchase/protocol.yaml")
    whole = tmp_path / "whole.jsonl"
    enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=whole)
    before, _, _ = whole.read_bytes().partition(b'"heard"')
    room = [len(before) + 2_000]
    write = os.write

    def small(file, data):
        if len(data) > room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(data)
        return write(file, data)

    monkeypatch.setattr("agentcomm.store.jsonl.os.write", small)
    with pytest.raises(StoreError, match="no space left"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=path)
    transcript = read_transcript(path)
    assert transcript.damage is None
    assert transcript.seal is None
    assert [record.type for record in transcript.records].count("heard") >= 1


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="give another place"):
        JsonlLog(tmp_path / "file" / "deep" / "x.jsonl")
    with pytest.raises(StoreError, match="cannot read"):
        list(read_lines(tmp_path / "nowhere.jsonl"))


def test_a_folder_gets_a_file_for_each_conversation_and_a_file_is_never_overwritten(root, tmp_path):
    sale = load(root / "examples/purchase/protocol.yaml")
    for _ in range(3):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=tmp_path / "talks")
    assert len(list((tmp_path / "talks").glob("sale-*.jsonl"))) == 3
    [one, *_] = (tmp_path / "talks").iterdir()
    with pytest.raises(StoreError, match="or a folder to have a new one in it"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=one)
