"""The tables of the SQLite store, as steps: a new file gets all of them, an older one those that it lacks."""

import sqlite3
from collections.abc import Sequence

from agentcomm.errors import StoreError

__all__ = ("APPLICATION", "STEPS", "prepare")

APPLICATION = 0x61676D63
"""`PRAGMA application_id`: the letters agmc."""

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE conversation(
        k INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, opened REAL NOT NULL, closed REAL, about BLOB NOT NULL);
    CREATE INDEX conversation_open ON conversation(k) WHERE closed IS NULL;
    CREATE TABLE entry(
        k INTEGER PRIMARY KEY, conv INTEGER NOT NULL, seq INTEGER NOT NULL, count INTEGER NOT NULL, lines BLOB NOT NULL);
    CREATE UNIQUE INDEX entry_place ON entry(conv, seq);
    CREATE TABLE delivery(
        k INTEGER PRIMARY KEY, conv INTEGER NOT NULL, mailbox TEXT NOT NULL, grp TEXT NOT NULL, note TEXT NOT NULL,
        free REAL NOT NULL, since REAL NOT NULL, token TEXT NOT NULL, attempt INTEGER NOT NULL);
    CREATE INDEX delivery_free ON delivery(mailbox, free);
    CREATE INDEX delivery_conv ON delivery(conv);
    CREATE TABLE timer(
        k INTEGER PRIMARY KEY, conv INTEGER NOT NULL, name TEXT NOT NULL, free REAL NOT NULL, token TEXT NOT NULL,
        attempt INTEGER NOT NULL);
    CREATE UNIQUE INDEX timer_name ON timer(conv, name);
    CREATE INDEX timer_free ON timer(free);
    CREATE TABLE shared(name TEXT PRIMARY KEY, lines BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE leans(conv INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(conv, place)) WITHOUT ROWID;
    CREATE TABLE pruning(conv INTEGER PRIMARY KEY);
    CREATE TRIGGER entry_is_for_ever BEFORE UPDATE ON entry
        BEGIN SELECT RAISE(ABORT, 'what was recorded is never changed'); END;
    CREATE TRIGGER entry_stays BEFORE DELETE ON entry WHEN NOT EXISTS (SELECT 1 FROM pruning WHERE conv = OLD.conv)
        BEGIN SELECT RAISE(ABORT, 'what was recorded is deleted with its conversation only'); END;
    """,
    """
    CREATE TABLE receipt(scope TEXT, key TEXT, digest TEXT NOT NULL, conv INTEGER NOT NULL, PRIMARY KEY(scope, key)) WITHOUT ROWID;
    CREATE INDEX receipt_conv ON receipt(conv);
    CREATE TABLE dead(
        k INTEGER PRIMARY KEY, conv INTEGER NOT NULL, mailbox TEXT NOT NULL, grp TEXT NOT NULL, note TEXT NOT NULL,
        reason TEXT NOT NULL, at REAL NOT NULL, attempt INTEGER NOT NULL);
    CREATE INDEX dead_conv ON dead(conv);
    """,
    """
    ALTER TABLE delivery ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    UPDATE delivery SET held = token != '';
    DROP INDEX delivery_free;
    CREATE INDEX delivery_ready ON delivery(mailbox, free) WHERE NOT held;
    CREATE INDEX delivery_held ON delivery(held) WHERE held;
    CREATE TABLE snapshot(conv INTEGER PRIMARY KEY, seq INTEGER NOT NULL, data BLOB NOT NULL);
    """,
    """
    ALTER TABLE entry ADD COLUMN box TEXT;
    ALTER TABLE entry ADD COLUMN grp TEXT;
    ALTER TABLE entry ADD COLUMN note TEXT;
    """,
)
"""Never changed once released, only added to: the number of steps is the version of a file."""


def prepare(file: sqlite3.Connection, where: str, steps: Sequence[str] = STEPS) -> None:
    """Bring a file to the present version, all steps or none.

    Raises:
        StoreError: X407 if the file is another program's, or of a newer version.
    """
    if _version(file) == len(steps):
        return
    file.execute("BEGIN IMMEDIATE")
    try:
        version = _version(file)  # somebody else may have been faster
        _check(file, where, version, len(steps))
        for step in steps[version:]:
            for statement in _statements(step):
                file.execute(statement)
        file.execute(f"PRAGMA application_id = {APPLICATION}")
        file.execute(f"PRAGMA user_version = {len(steps)}")
        file.execute("COMMIT")
    except BaseException:
        file.execute("ROLLBACK")
        raise


def _check(file: sqlite3.Connection, where: str, version: int, known: int) -> None:
    application = file.execute("PRAGMA application_id").fetchone()[0]
    has_tables = file.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION and (application or version or has_tables):
        raise StoreError(
            "this is a database of another program",
            where=where,
            fix="name another file for the conversations",
            code="X407",
        )
    if version > known:
        raise StoreError(
            f"the store was written by a newer agentcomm (version {version}, this one knows {known})",
            where=where,
            why="an older program must not touch what it does not understand",
            fix="upgrade agentcomm, or restore the backup that was made before the upgrade",
            code="X407",
        )


def _version(file: sqlite3.Connection) -> int:
    return int(file.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Return the statements of a script; `executescript` would commit what is open."""
    found: list[str] = []
    rest = ""
    for line in script.splitlines():
        rest += line + "\n"
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found
