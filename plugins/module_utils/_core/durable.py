# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State that outlives a run: one SQLite file, shared by all processes of a machine.

What a transaction has committed survives kill -9 and power loss: write-ahead logging with ``synchronous=FULL`` syncs
the log at each commit (https://www.sqlite.org/pragma.html#pragma_synchronous). Locks of a network file system can't be
relied on and shared memory doesn't exist there, so such a place is refused (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
import weakref
from collections.abc import Iterator, Sequence

from .errors import IntegrityError, PermissionDenied, ToolkitError, UnavailableError, UnsafeError
from .outcomes import error_from_os

__all__ = ["Durable", "file_system_of"]

_LOCK_SECONDS = 30
_PAUSE_SECONDS = 0.01
_NETWORK = frozenset(("9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3"))
_DAMAGE = ("malformed", "not a database", "corrupt")
_inherited: list[sqlite3.Connection] = []
_open: weakref.WeakSet[Durable] = weakref.WeakSet()


class Durable:
    """One SQLite file with a schema.

    It connects when it is first used, and anew after a fork: a connection must not be shared. SQLite also remembers for
    each process which locks it holds, and a child would believe that it holds those of its parent, so that others may
    delete the log that it writes to. Therefore what is open and at rest is closed before a fork.

    :param path: the file, made with mode 0600; its directory is made with 0700.
    :param schema: the statements that make the tables of this version.
    :param version: a positive number, changed whenever the schema is.
    :param migrate: called with the connection and the version found when that is a lower one; within the transaction.
    """

    def __init__(self, path: str, schema: Sequence[str], version: int = 1, migrate=None) -> None:
        self.path = path
        self._schema = tuple(schema)
        self._version = version
        self._migrate = migrate
        self._database: sqlite3.Connection | None = None
        self._owner = 0
        self._busy = 0

    def __del__(self) -> None:
        # At once: what waits for the garbage collection would be open at the next fork.
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction that has the write lock from its beginning.

        It is durable when the block has ended, and undone when the block raises.

        :raises UnavailableError: another process kept the lock for 30 seconds, the disk is full.
        :raises PermissionDenied: the file or its directory may not be written.
        :raises IntegrityError: the file is damaged or of a newer version.
        :raises UnsafeError: it lies on a network file system.
        """
        with self._told(), self._in_use():
            database = self._connection()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reading: one consistent state, without waiting for writers. Raises as above."""
        with self._told(), self._in_use():
            database = self._connection()
            database.execute("BEGIN")
            try:
                yield database
            finally:
                with contextlib.suppress(sqlite3.Error):
                    database.execute("ROLLBACK")

    def exists(self) -> bool:
        """Return whether anything was ever kept here."""
        return os.path.exists(self.path)

    def flush(self) -> None:
        """Move the log into the file and empty it, when those who read now have ended. What was overwritten with
        ``secure_delete`` is then in neither. Raises as above."""
        with self._told(), self._in_use():
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Release the file; it can be used again afterwards."""
        if self._database is not None and self._owner == os.getpid():
            self._database.close()
        self._database = None

    def _connection(self) -> sqlite3.Connection:
        if self._database is None or self._owner != os.getpid():
            if self._database is not None:
                # What a parent has opened must not even be closed here (https://www.sqlite.org/howtocorrupt.html, 2.6).
                _inherited.append(self._database)
            self._database, self._owner = self._connect(), os.getpid()
            _open.add(self)
        return self._database

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    def close_at_rest(self) -> None:
        """Close the file unless a transaction is under way in another thread."""
        if not self._busy:
            self.close()

    def _connect(self) -> sqlite3.Connection:
        directory = os.path.dirname(self.path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        kind = file_system_of(directory)
        if kind in _NETWORK:
            raise UnsafeError(
                f"{directory} lies on a network file system ({kind}), where state can't be kept safely.",
                hint="Choose a directory on a local disk.",
            )
        self._make()
        # Transactions are begun and ended here, by name; threads take turns by a lock of their owner's.
        database = sqlite3.connect(self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._use_wal(database)
            database.execute("PRAGMA synchronous=FULL")
            database.execute("PRAGMA foreign_keys=ON")
            if self._version_of(database) != self._version:
                self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    @staticmethod
    def _use_wal(database: sqlite3.Connection) -> None:
        """Switch to write-ahead logging. Where several processes do that to a new file at once, SQLite refuses without
        waiting: each holds a lock that the others need."""
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                database.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= end:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def _make(self) -> None:
        """Make the file if it is not there. One that is there is not opened: closing it would end all locks that SQLite
        holds on it in this process, by other connections (https://www.sqlite.org/howtocorrupt.html, 2.2)."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                raise

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        found = self._version_of(database)
        if found > self._version:
            raise IntegrityError(
                f"{self.path} was written by a newer version of this collection.",
                hint="Use that version or a new file.",
            )
        if found == 0:
            for statement in self._schema:
                database.execute(statement)
        elif found < self._version and self._migrate is not None:
            self._migrate(database, found)
        database.execute(f"PRAGMA user_version={self._version}")
        database.execute("COMMIT")

    @staticmethod
    def _version_of(database: sqlite3.Connection) -> int:
        return database.execute("PRAGMA user_version").fetchone()[0]

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the system say into errors that people understand."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise error_from_os(error) from error

    def _error(self, error: sqlite3.Error) -> ToolkitError:
        text = str(error)
        if any(word in text for word in _DAMAGE):
            return IntegrityError(
                f"{self.path} is damaged: {text}.", hint="Move it away; it is made anew, without what it held."
            )
        if "readonly" in text or "unable to open" in text:
            return PermissionDenied(
                f"{self.path} can't be written: {text}.", hint="Give this user the right to write it."
            )
        if "locked" in text:
            return UnavailableError(
                f"{self.path} is in use by another process for more than {_LOCK_SECONDS} seconds.",
                hint="Try again when it has ended.",
            )
        return UnavailableError(f"{self.path}: {text}.")


def _close_all_at_rest() -> None:
    for durable in list(_open):
        durable.close_at_rest()


os.register_at_fork(before=_close_all_at_rest)


def file_system_of(path: str, mounts: str = "/proc/self/mountinfo") -> str:
    """Return the type of the file system on which ``path`` lies, empty where that is not known.

    :param mounts: a file of the form of proc_pid_mountinfo(5).
    """
    try:
        device = os.stat(path).st_dev
        with open(mounts, encoding="utf-8", errors="surrogateescape") as handle:
            lines = handle.readlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields = line.split(" ")
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""
