# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.durable import Durable, file_system_of
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    IntegrityError,
    PermissionDenied,
    UnavailableError,
    UnsafeError,
)

SCHEMA = ("CREATE TABLE number(value INTEGER NOT NULL)",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "numbers.sqlite"


def add(durable: Durable, value: int) -> None:
    with durable.transaction() as database:
        database.execute("INSERT INTO number VALUES (?)", (value,))


def values(durable: Durable) -> list[int]:
    with durable.reading() as database:
        return [row[0] for row in database.execute("SELECT value FROM number ORDER BY value")]


def in_child(work) -> int:
    """Run ``work`` in a forked process and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_it_is_private_and_syncs_every_commit(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    assert not durable.exists()
    add(durable, 1)
    assert durable.exists()
    with durable.reading() as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    modes = {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_raises_is_undone(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    add(durable, 1)

    def add_and_fail() -> None:
        with durable.transaction() as database:
            database.execute("INSERT INTO number VALUES (2)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert values(durable) == [1]
    durable.close()
    durable.close()
    assert values(durable) == [1]


def test_a_forked_process_connects_anew(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    add(durable, 1)
    assert in_child(lambda: add(durable, 2)) == 0
    add(durable, 3)
    assert values(durable) == [1, 2, 3]


def lockers(path: Path) -> list[int]:
    """Return the processes that hold SQLite's lock on the file: whoever has none may lose the log that it writes to."""
    entries = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    return [int(entry[4]) for entry in entries if entry[5].endswith(f":{path.stat().st_ino}")]


def test_a_second_connection_of_a_process_ends_no_lock_of_the_first(path: Path) -> None:
    first, second = Durable(str(path), SCHEMA), Durable(str(path), SCHEMA)
    add(first, 1)
    assert lockers(path) == [os.getpid()]
    add(second, 2)
    assert lockers(path) == [os.getpid()]
    second.close()
    add(first, 3)
    assert values(first) == [1, 2, 3]


def test_a_forked_process_has_a_lock_of_its_own(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    add(durable, 1)

    def work() -> None:
        for used in (durable, Durable(str(path), SCHEMA)):
            add(used, 2)
            assert os.getpid() in lockers(path)
            used.close()

    assert in_child(work) == 0
    assert values(durable) == [1, 2, 2]


def test_what_is_no_longer_used_is_closed(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    add(durable, 1)
    del durable
    assert lockers(path) == []


def test_processes_take_turns(path: Path) -> None:
    program = (
        "import sys; from ansible_collections.scripts.toolkit.plugins.module_utils._core.durable import Durable\n"
        "durable = Durable(sys.argv[1], ('CREATE TABLE number(value INTEGER NOT NULL)',))\n"
        "for _time in range(50):\n"
        "    with durable.transaction() as database:\n"
        "        (count,) = database.execute('SELECT count(*) FROM number').fetchone()\n"
        "        database.execute('INSERT INTO number VALUES (?)', (count,))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _time in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert values(Durable(str(path), SCHEMA)) == list(range(200))


def test_it_waits_for_another_that_makes_it_at_the_same_time(path: Path) -> None:
    """SQLite itself refuses at once to switch to write-ahead logging while another connection is about to write."""
    path.parent.mkdir()
    path.touch()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path).execute("PRAGMA journal_mode=WAL")
    told: list[object] = []
    thread = threading.Thread(target=lambda: told.append(values(Durable(str(path), SCHEMA))))
    thread.start()
    thread.join(0.2)
    other.close()
    thread.join()
    assert told == [[]]


def test_nothing_committed_is_lost_and_nothing_begun_stays_after_kill_9(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)

    def die() -> None:
        add(durable, 1)
        with durable.transaction() as database:
            database.execute("INSERT INTO number VALUES (2)")
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    assert values(durable) == [1]
    add(durable, 3)
    assert values(durable) == [1, 3]


def test_a_reader_sees_one_state_and_does_not_wait(path: Path) -> None:
    writer, reader = Durable(str(path), SCHEMA), Durable(str(path), SCHEMA)
    add(writer, 1)
    with reader.reading() as database:
        assert database.execute("SELECT count(*) FROM number").fetchone() == (1,)
        add(writer, 2)
        assert database.execute("SELECT count(*) FROM number").fetchone() == (1,)
    assert values(reader) == [1, 2]


def test_an_older_file_is_migrated_and_a_newer_one_refused(path: Path) -> None:
    add(Durable(str(path), SCHEMA), 1)

    def migrate(database: sqlite3.Connection, found: int) -> None:
        assert found == 1
        database.execute("UPDATE number SET value = value + 10")

    assert values(Durable(str(path), SCHEMA, version=2, migrate=migrate)) == [11]
    assert values(Durable(str(path), SCHEMA, version=2, migrate=migrate)) == [11]
    with pytest.raises(IntegrityError, match="newer version"):
        values(Durable(str(path), SCHEMA))


def test_what_was_overwritten_is_gone_after_a_flush(path: Path) -> None:
    durable, other = Durable(str(path), ("CREATE TABLE word(text TEXT)",)), Durable(str(path), ())
    with durable.transaction() as database:
        database.execute("INSERT INTO word VALUES ('canary')")
    with other.reading() as database:
        assert database.execute("SELECT * FROM word").fetchall() == [("canary",)]
    with durable.transaction() as database:
        database.execute("PRAGMA secure_delete=ON")
        database.execute("DELETE FROM word")
    assert b"canary" in b"".join(found.read_bytes() for found in path.parent.iterdir())
    durable.flush()
    assert b"canary" not in b"".join(found.read_bytes() for found in path.parent.iterdir())


def test_a_damaged_file_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match=r"numbers\.sqlite is damaged"):
        values(Durable(str(path), SCHEMA))


def test_what_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"File exists|Not a directory"):
        values(Durable(str(tmp_path / "file" / "below" / "numbers.sqlite"), SCHEMA))
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(UnavailableError):
        values(Durable(str(tmp_path / "link"), SCHEMA))
    (tmp_path / "closed").mkdir(mode=0o700)
    if os.geteuid() == 0:

        def as_nobody() -> None:
            os.chmod(tmp_path, 0o755)
            os.setresuid(65534, 65534, 65534)
            with pytest.raises(PermissionDenied):
                values(Durable(str(tmp_path / "closed" / "numbers.sqlite"), SCHEMA))

        assert in_child(as_nobody) == 0


def test_network_file_systems_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = os.stat(path.parents[1]).st_dev
    mounts = path.parents[1] / "mountinfo"
    mounts.write_text(
        "22 1 0:1 / /proc rw shared:1 - proc proc rw\n"
        f"30 1 {os.major(device)}:{os.minor(device)} / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw\n"
    )
    assert file_system_of(str(path.parents[1]), str(mounts)) == "nfs4"
    assert file_system_of(str(path.parents[1])) not in ("", "nfs4")
    assert file_system_of(str(path)) == ""
    monkeypatch.setattr(Durable._connect.__globals__["file_system_of"], "__defaults__", (str(mounts),))
    with pytest.raises(UnsafeError, match="network file system"):
        values(Durable(str(path), SCHEMA))
    assert not path.exists()


def test_a_full_disk_loses_nothing(path: Path) -> None:
    durable = Durable(str(path), SCHEMA)
    add(durable, 1)
    with durable.transaction() as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages}")
    many = [(value,) for value in range(10_000)]
    with pytest.raises(UnavailableError, match="full"), durable.transaction() as database:
        database.executemany("INSERT INTO number VALUES (?)", many)
    assert values(durable) == [1]
