"""A file that an earlier version wrote: read to the byte, and its open conversation goes on."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from agentcomm import Agent, Runtime
from agentcomm.conversation.entries import lines_of
from agentcomm.conversation.transcript import Transcript
from agentcomm.runtime.replay import replay
from agentcomm.store import schema
from agentcomm.store.sqlite import SQLiteStore

THEN = 1795877570.0
"""A few seconds after it was written."""


def brought_back(folder: Path, version: int) -> Path:
    path = folder / "talks.db"
    file = sqlite3.connect(path)
    file.executescript((Path(__file__).parent / f"version-{version}.sql").read_text())
    file.close()
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_what_earlier_versions_kept_is_read_and_goes_on(tmp_path, version):
    store = SQLiteStore(brought_back(tmp_path, version), clock=lambda: THEN)
    assert store._rows("PRAGMA user_version", ())[0][0] == len(schema.STEPS) > version
    lines, damage = lines_of(entry.data for entry in store.read("over"))
    assert damage is None
    transcript = Transcript.from_lines(lines)
    assert transcript.damage is None
    assert transcript.seal.data["outcome"] == "done"
    assert replay(transcript).same

    lena = Agent("lena")
    lena.on("request")(lambda turn: turn.say("inform-result", result="la"))

    async def go_on():
        async with Runtime(store=store, agents=[lena]) as runtime:
            return await runtime.outcome("open")

    result = asyncio.run(go_on())
    assert result.outcome == "done"
    assert result.transcript.damage is None
    assert replay(result.transcript).same
    kinds = {entry.data[:1] for entry in store.read("open")}
    assert kinds == {b"{", b"\x02"}  # lines of then, or shared ones, and entries of now, in one chain
    packed = store._rows("SELECT count(*) FROM entry WHERE substr(lines, 1, 1) = x'04'", ())[0][0]
    assert (packed > 0) == (version > 2)  # as they were written then
    store.close()
