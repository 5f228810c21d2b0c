import asyncio
import random
import sqlite3
import time

import pytest

from agentcomm.errors import RecordError, StoreError
from agentcomm.store import places, schema
from agentcomm.store.base import Committed, Delivery, Entry, Stale, Timer
from agentcomm.store.packing import pack, unpack
from agentcomm.store.sqlite import SQLiteStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "talks.db"


async def test_an_older_file_is_brought_up_to_date_and_keeps_what_it_holds(path):
    with sqlite3.connect(path) as file:
        schema.prepare(file, "", schema.STEPS[:1])
        file.execute("INSERT INTO conversation(id, opened, about) VALUES ('c', 1.0, x'61')")
        file.execute("INSERT INTO entry(conv, seq, count, lines) VALUES (1, 0, 1, ?)", (pack(b"one\n"),))
    file.close()
    store = SQLiteStore(path)
    assert list(store.read("c")) == [Entry(0, 1, b"one\n")]
    assert store.dead() == []
    done = await store.commit("c", None, Entry(1, 1, b"two\n"))
    assert done == Committed(2)
    store.close()


def test_a_newer_file_and_a_file_of_another_program_are_left_alone(path, tmp_path):
    SQLiteStore(path).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(StoreError, match="newer agentcomm") as caught:
        SQLiteStore(path)
    assert caught.value.code == "X407"
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE theirs(x)")
    file.close()
    with pytest.raises(StoreError, match="another program"):
        SQLiteStore(other)
    with pytest.raises(StoreError, match="there is no store"):
        SQLiteStore(tmp_path / "nowhere.db", create=False)


def test_a_damaged_file_says_so(path):
    path.write_bytes(b"this is no database at all, and it never was one " * 100)
    with pytest.raises(RecordError, match="damaged"):
        SQLiteStore(path)


def read_all(path):
    store = SQLiteStore(path)
    try:
        for n in range(200):
            list(store.read(f"c{n}"))
    finally:
        store.close()


async def test_a_page_that_was_overwritten_is_found(path):
    store = SQLiteStore(path)
    for n in range(200):
        await store.open(f"c{n}", Entry(0, 1, random.Random(n).randbytes(900)))  # noqa: S311
    store.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with pytest.raises(RecordError):  # where, depends on which page it was
        read_all(path)


@pytest.mark.parametrize(
    ("kind", "is_refused"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)]
)
def test_a_network_file_system_is_refused(tmp_path, monkeypatch, kind, is_refused):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / {tmp_path}/share rw shared:1 - {kind} host:/x rw\n"
    )
    monkeypatch.setattr(places, "_MOUNTS", mounts)
    if is_refused:
        with pytest.raises(StoreError, match="network") as caught:
            SQLiteStore(tmp_path / "share" / "talks.db")
        assert caught.value.code == "X408"
        assert not (tmp_path / "share").exists()
    else:
        SQLiteStore(tmp_path / "share" / "talks.db").close()


async def test_what_was_recorded_cannot_be_changed_or_deleted_from_outside(path):
    store = SQLiteStore(path)
    await store.open("c", Entry(0, 1, b"one\n"))
    with sqlite3.connect(path) as file:
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            file.execute("UPDATE entry SET lines = x'00'")
        with pytest.raises(sqlite3.IntegrityError, match="deleted with its conversation"):
            file.execute("DELETE FROM entry")
    file.close()
    store.close()


async def test_a_backup_is_whole_while_others_write(path, tmp_path):
    store = SQLiteStore(path)
    await store.open("c", Entry(0, 1, b"0\n"))

    async def write():
        for n in range(1, 200):
            assert isinstance(await store.commit("c", None, Entry(n, 1, b"%d\n" % n)), Committed)

    await asyncio.gather(write(), store.backup(tmp_path / "copy.db"))
    copy = SQLiteStore(tmp_path / "copy.db")
    assert copy.check() == []
    kept = [entry.seq for entry in copy.read("c")]
    assert kept == list(range(len(kept)))
    with pytest.raises(StoreError, match="never overwrites"):
        await store.backup(tmp_path / "copy.db")
    copy.close()
    store.close()


async def test_a_full_disk_changes_nothing_and_afterwards_it_goes_on(path):
    store = SQLiteStore(path)
    await store.open("c", Entry(0, 1, b"0\n"), [Delivery("ann")])
    (claim,) = await store.claim(["ann"], 1, 30)
    size = store._writer.call(lambda file: file.execute("PRAGMA page_count").fetchone()[0])
    store._writer.call(lambda file: file.execute(f"PRAGMA max_page_count = {size}").fetchone())
    big = Entry(1, 1, random.Random(1).randbytes(100_000).hex().encode() + b"\n")  # noqa: S311
    with pytest.raises(StoreError, match="takes no more") as caught:
        await store.commit("c", claim, big, [Delivery("bob")], [Timer("t", 1.0)])
    assert caught.value.code == "X409"
    assert [w.mailbox for w in store.waiting()] == ["ann"]
    assert store.rows()[0].head == 1
    store._writer.call(lambda file: file.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert isinstance(await store.commit("c", claim, big, [Delivery("bob")]), Committed)
    assert [entry.seq for entry in store.read("c")] == [0, 1]
    store.close()


async def test_what_fails_alone_fails_alone(path):
    store = SQLiteStore(path)
    await store.open("c", Entry(0, 1, b"0\n"))
    done = await asyncio.gather(
        store.commit("c", None, Entry(1, 1, b"1\n")),
        store.open("c", Entry(0, 1, b"0\n")),
        store.commit("d", None, Entry(1, 1, b"1\n")),
        store.commit("c", None, Entry(1, 1, b"other\n")),
        return_exceptions=True,
    )
    assert done[0] == Committed(2)
    assert [getattr(one, "code", one) for one in done[1:]] == ["X404", "X406", Stale("seq")]
    store.close()


async def test_two_open_stores_share_a_file_and_one_learns_of_the_other(path):
    one, two = SQLiteStore(path), SQLiteStore(path)
    await two.wait(["ann"], 0.0)
    await one.open("c", Entry(0, 1, b"0\n"), [Delivery("ann")])
    await asyncio.wait_for(two.wait(["ann"], 30.0), 5.0)
    mine, yours = await asyncio.gather(one.claim(["ann"], 5, 30), two.claim(["ann"], 5, 30))
    assert len(mine) + len(yours) == 1
    one.close()
    two.close()


def test_what_is_packed_comes_back_to_the_byte():
    dice = random.Random(3)  # noqa: S311
    words = b" ".join(b"word%d" % dice.randrange(50) for _ in range(2000))
    for data in (b"", b"\n", b"{", words[:100], words[:1000], words, dice.randbytes(5000)):
        for first in (b"", b"\x00", b"\x01", b"\x02", b"\x04"):
            assert unpack(pack(first + data)) == first + data
    assert len(pack(words)) < len(words) / 3
    assert pack(words[:1000]) == words[:1000]
    assert len(pack(words[:3000])) < 1500
    for broken in (b"\x01abc", b"\x04abc", pack(words)[:-20]):
        with pytest.raises(RecordError, match="cannot be read"):
            unpack(broken)


async def test_a_number_that_another_process_gave_to_another_conversation_is_not_mistaken(path):
    one, two = SQLiteStore(path), SQLiteStore(path)
    await one.open("c", Entry(0, 1, b"0\n"))
    await one.commit("c", None, Entry(1, 1, b"1\n"), closes=b"over")
    assert await two.prune(before=one.now() + 1.0) == 1
    await two.open("d", Entry(0, 2, b"0\n1\n"))
    with pytest.raises(StoreError) as caught:
        await one.commit("c", None, Entry(2, 1, b"2\n"))
    assert caught.value.code == "X406"
    assert [entry.seq for entry in two.read("d")] == [0]
    one.close()
    two.close()


def test_who_has_nothing_to_write_closes_while_somebody_else_writes(path):
    SQLiteStore(path).close()
    with sqlite3.connect(path, isolation_level=None) as file:
        file.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        store = SQLiteStore(path)
        assert store.rows() == []
        store.close()
        assert time.monotonic() - began < 10.0  # a process that is stopped may hold the lock for ever
        file.execute("ROLLBACK")
    file.close()
