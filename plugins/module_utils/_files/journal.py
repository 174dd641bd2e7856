# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transactions over files with a write-ahead journal, and their recovery after a crash.

A transaction lives in three moves, each durable before the next: the journal says what will be done; new contents
are written under temporary names and old files kept as hard links; then everything is renamed into place. It ends by
renaming the journal from ``.json`` to ``.done``. A journal that is found as ``.json`` belongs to a process that died:
what it did is undone. One that is found as ``.done`` only needs its leftovers removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._core.errors import IntegrityError, TimeoutExpired
from .._core.files import fsync_directory, remove_file, write_atomic
from .steps import Step
from .wire import Contents

__all__ = ["Journals", "Transaction", "no_hook"]

_VERSION = 1
_LOCK_POLL = 0.1


def no_hook(label: str) -> None:
    """The default crash hook does nothing."""


def _fsync_all(directories: set[str]) -> None:
    for directory in sorted(directories):
        if os.path.isdir(directory):
            fsync_directory(directory)


class Journals:
    """The journals of one host and user, in ``directory``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def ensure(self) -> None:
        """Make the directory, for this user only, durably."""
        missing = []
        path = self.directory
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            os.mkdir(path, 0o700)
            fsync_directory(os.path.dirname(path))

    def pending(self) -> list[str]:
        """Return the paths of the journals that a dead process left (or, unless the lock is held, a living one has)."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return sorted(
            os.path.join(self.directory, name)
            for name in names
            if not name.startswith(".") and name.endswith((".json", ".done"))
        )

    def _unborn(self) -> list[str]:
        """Return the paths of journals that were not written to their end; nothing had been touched then."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return [os.path.join(self.directory, name) for name in names if name.startswith(".") and name.endswith(".new")]

    @property
    def in_order(self) -> bool:
        """True when no process left anything, and none is at work."""
        return not self.pending() and not self._unborn()

    @contextmanager
    def lock(self, wait: float) -> Iterator[None]:
        """Hold the lock under which files are changed; it ends with the process.

        :param wait: seconds to wait for another run; 0 tries once.
        :raises TimeoutExpired: another run has it.
        """
        descriptor = os.open(os.path.join(self.directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise TimeoutExpired(
                            "Another run of file_tree is changing files on this host.",
                            hint="Run again when it has ended.",
                        ) from None
                    time.sleep(_LOCK_POLL)
            yield
        finally:
            os.close(descriptor)

    def owed_recoveries(self) -> list[dict]:
        """Return what :meth:`recover` would report, without doing it; empty while another run is at work."""
        if not self.pending():
            return []
        try:
            with self.lock(wait=0):
                return [
                    {"item": transaction.name or "files", "operation": "restore"}
                    for transaction in map(self._load, self.pending())
                    if transaction.atomic and not transaction.done
                ]
        except TimeoutExpired:
            return []

    def recover(self) -> list[dict]:
        """Undo what dead processes left half done and clean up after them; call it with the lock held.

        :returns: one ``{item, operation: restored, restored: [paths], left: [paths]}`` per set that was restored;
            ``left`` are paths that somebody has changed since, which are kept as they are.
        :raises IntegrityError: a journal can't be read, or something can't be put back; the journal stays.
        """
        reports = []
        for path in self._unborn():
            remove_file(path)
        for path in self.pending():
            transaction = self._load(path)
            if transaction.done:
                transaction.clean()
            else:
                report = transaction.rollback()
                if transaction.atomic:
                    reports.append(report)
        return reports

    def _load(self, path: str) -> Transaction:
        try:
            with open(path, encoding="utf-8") as handle:
                record = json.load(handle)
            if record["version"] != _VERSION:
                raise ValueError(f"version {record['version']} is not known")
            steps = [Step(**step) for step in record["steps"]]
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"The journal {path} can't be read: {error}",
                hint="See with which version of the collection it was written; remove it if the files are right.",
            ) from None
        transaction = Transaction(self, record["name"], steps, record["atomic"], token=record["token"])
        transaction.done = path.endswith(".done")
        return transaction


class Transaction:
    """A change of several files, as a whole (``atomic``) or file by file with only the clean-up in common.

    :param name: the set's name, for reports.
    :param hook: called with a label at every point where a crash is interesting.
    """

    def __init__(
        self,
        journals: Journals,
        name: str | None,
        steps: list[Step],
        atomic: bool,
        token: str | None = None,
        hook: Callable[[str], None] = no_hook,
    ) -> None:
        self.journals = journals
        self.name = name
        self.steps = steps
        self.atomic = atomic
        self.token = token or self.new_token()
        self.done = False
        self._hook = hook

    @staticmethod
    def new_token() -> str:
        return secrets.token_hex(6)

    def _path(self, done: bool) -> str:
        return os.path.join(self.journals.directory, f"{self.token}.{'done' if done else 'json'}")

    @property
    def path(self) -> str:
        return self._path(self.done)

    @property
    def backup_directory(self) -> str:
        return self.backup_directory_of(self.journals, self.token)

    @staticmethod
    def backup_directory_of(journals: Journals, token: str) -> str:
        return os.path.join(journals.directory, token + ".old")

    @property
    def _directories(self) -> set[str]:
        return {directory for step in self.steps for directory in step.directories}

    def begin(self) -> None:
        """Write the journal durably. Before this returns nothing else may be touched."""
        record = {
            "version": _VERSION,
            "token": self.token,
            "name": self.name,
            "atomic": self.atomic,
            "steps": [step.as_dict() for step in self.steps],
        }
        self._hook("journal")
        write_atomic(self.path, json.dumps(record).encode("ascii"), mode=0o600)
        self._hook("journaled")
        if self.atomic:
            os.mkdir(self.backup_directory, 0o700)
            fsync_directory(self.journals.directory)

    def prepare(self, contents: Contents) -> None:
        """Write everything new beside its destination, keep everything old, and make both durable."""
        for step in self.steps:
            self._hook(f"prepare {step.action}")
            step.prepare(contents, self.atomic)
        _fsync_all(self._directories)

    def publish(self) -> None:
        """Rename everything into place, durably."""
        for step in self.steps:
            self._hook(f"publish {step.action}")
            step.publish()
        self._hook("published")
        _fsync_all(self._directories)

    def sync(self) -> None:
        """Make renames durable."""
        _fsync_all(self._directories)

    def commit(self) -> None:
        """Declare the new state good: from here on a crash only leaves litter, which the next run removes."""
        self._hook("commit")
        if self.atomic:
            os.rename(self.path, self._path(done=True))
            self.done = True
            fsync_directory(self.journals.directory)
            self._hook("committed")
        try:
            self.clean()
        except OSError:
            # The files are as wanted. What can't be removed now is removed by the next run.
            self._hook("litter")

    def clean(self) -> None:
        """Remove temporary files, kept old files and, last, the journal."""
        for step in self.steps:
            step.discard()
            self._hook("clean")
        _fsync_all(self._directories)
        self._end()

    def rollback(self) -> dict:
        """Put everything back as it was (``atomic``) and clean up; can be interrupted and called again.

        :returns: ``{item, operation, restored, left}`` (see :meth:`Journals.recover`).
        :raises IntegrityError: something can't be put back now; the journal stays for the next attempt.
        """
        restored: list[str] = []
        left: list[str] = []
        failures: list[str] = []
        for step in reversed(self.steps):
            self._hook(f"undo {step.action}")
            try:
                kept_foreign = self.atomic and not step.undo()
                (left if kept_foreign else restored).append(step.dest)
                if not kept_foreign:
                    step.discard()
            except OSError as error:
                failures.append(f"{step.dest}: {error.strerror or error}")
        _fsync_all(self._directories)
        if failures:
            raise IntegrityError(
                f"Not everything could be put back: {'; '.join(failures)}",
                hint=f"The next run tries again from the journal {self.path}.",
                item=self.name,
            )
        self._end()
        return {"item": self.name, "operation": "restored", "restored": sorted(restored), "left": sorted(left)}

    def _end(self) -> None:
        if os.path.isdir(self.backup_directory) and not os.listdir(self.backup_directory):
            os.rmdir(self.backup_directory)
        remove_file(self.path)
