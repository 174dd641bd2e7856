# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The single changes that a transaction consists of: how each is prepared, made visible and undone.

Undoing works from what was planned and what is found, so it may be interrupted and started again at any point, and it
may follow a crash at any point. An old file is kept as a second hard link and put back by rename: that needs no disk
space and gives back the very same inode with its attributes, times, access control lists and links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from .._core.errors import IntegrityError
from .survey import Finding, Found, look
from .wire import Contents

__all__ = ["TEMPORARY_PREFIX", "Step", "plan_steps", "temporary_name"]

TEMPORARY_PREFIX = ".scripts-toolkit."
_SUFFIX = ".dpkg-tmp"
_BLOCK = 1 << 20
_ORDER = {"mkdir": 0, "put": 1, "link": 1, "attributes": 2, "unlink": 3, "rmdir": 4}


def temporary_name(dest: str, token: str) -> str:
    """Return a name beside ``dest`` that the readers of ``*.d`` directories pass over: run-parts, cron, sudo, systemd,
    logrotate and apt ignore the suffix, shells and servers' globs the leading dot."""
    return os.path.join(os.path.dirname(dest), f"{TEMPORARY_PREFIX}{token}{_SUFFIX}")


@dataclass
class Step:
    """One change at ``dest``. ``action`` is ``mkdir``, ``put`` (a file), ``link``, ``attributes``, ``unlink`` or
    ``rmdir``; ``temporary`` is where the new thing is made, in the directory ``staging`` if that is set, and
    ``backups`` where the old file is kept (the first that works; same file system, so that rename suffices);
    ``validated`` tells that a validator will read the new file before it is made visible."""

    action: str
    dest: str
    before: dict
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    checksum: str | None = None
    target: str | None = None
    temporary: str | None = None
    staging: str | None = None
    backups: list[str] = field(default_factory=list)
    validated: bool = False

    def as_dict(self) -> dict:
        return asdict(self)

    # Preparing: nothing that the world reads changes, except that new directories appear.

    def prepare(self, contents: Contents, atomic: bool) -> None:
        """Write the new file or link under its temporary name, make the new directory; with ``atomic`` also keep the
        old file. Durable when it returns, up to the fsync of the directories.

        :raises OSError: the disk is full and the like; :meth:`discard` cleans up.
        """
        if self.action == "mkdir":
            self._make_directory(self.mode, self.uid, self.gid)
        elif self.action == "put":
            if self.staging:
                os.mkdir(self.staging, 0o700)
            self._write(contents)
        elif self.action == "link":
            os.symlink(self.target or "", self.temporary or "")
            self._own(self.temporary or "")
        if atomic and self.action in ("put", "link", "unlink") and self.before["kind"] != "absent":
            self._keep()

    def _make_directory(self, mode: int | None, uid: int | None, gid: int | None) -> None:
        # Made under another name and renamed, so that it never exists with half its attributes.
        _remove_directory(self.temporary)
        os.mkdir(self.temporary, 0o700)
        _chown(self.temporary, uid, gid)
        os.chmod(self.temporary, mode or 0)
        os.rename(self.temporary, self.dest)

    def _write(self, contents: Contents) -> None:
        try:
            self._write_out(contents)
        except OSError as error:
            # A full disk is reported without a name, and the temporary one says nothing to a person.
            error.filename = self.dest
            raise

    def _write_out(self, contents: Contents) -> None:
        digest = hashlib.sha256()
        descriptor = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as handle, contents.open(self.checksum) as source:
            for block in iter(lambda: source.read(_BLOCK), b""):
                digest.update(block)
                handle.write(block)
            handle.flush()
            self._own(handle.fileno())
            os.fchmod(handle.fileno(), self.mode or 0)
            os.fsync(handle.fileno())
        if digest.hexdigest() != self.checksum:
            raise IntegrityError(f"What arrived for {self.dest} is not what was sent.", item=self.dest)

    def _own(self, path: str | int) -> None:
        _chown(path, self.uid, self.gid)

    def _keep(self) -> None:
        for place in self.backups:
            try:
                os.link(self.dest, place, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
        self._copy(self.backups[-1])

    def _copy(self, place: str) -> None:
        """Keep the old file where hard links are not to be had; it gets its name only when it is complete."""
        part = place + ".part"
        if self.before["kind"] == "link":
            os.symlink(self.before["target"], part)
        else:
            with open(self.dest, "rb") as source, open(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
                copy.flush()
                os.fsync(copy.fileno())
            _chown(part, self.before["uid"], self.before["gid"])
            os.chmod(part, self.before["mode"])
            shutil.copystat(self.dest, part)
        os.rename(part, place)

    # Making it visible

    def publish(self) -> None:
        """Make the change visible, by one system call where there is something to replace or remove."""
        if self.action in ("put", "link"):
            os.rename(self.temporary or "", self.dest)
        elif self.action == "attributes":
            _chown(self.dest, self.uid, self.gid)
            if self.before["kind"] != "link":
                os.chmod(self.dest, self.mode or 0)
        elif self.action == "unlink":
            os.unlink(self.dest)
        elif self.action == "rmdir":
            os.rmdir(self.dest)

    # Cleaning up and undoing

    def discard(self) -> None:
        """Remove what :meth:`prepare` may have left under temporary names, and the kept old file."""
        for path in [self.temporary, *self.backups, *(place + ".part" for place in self.backups)]:
            if path is None:
                continue
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except IsADirectoryError:
                _remove_directory(path)
        if self.staging:
            _remove_directory(self.staging)

    def undo(self) -> bool:
        """Put back what was there before; return False if somebody else has changed it since, which is kept.

        May be called after any part of the step has happened, and again.
        """
        if self.action == "mkdir":
            return _remove_directory(self.dest)
        if self.action == "rmdir":
            if not os.path.lexists(self.dest):
                self._make_directory(self.before["mode"], self.before["uid"], self.before["gid"])
            return True
        if self.action == "attributes":
            return self._undo_attributes()
        return self._undo_replacement()

    def _undo_attributes(self) -> bool:
        now = look(self.dest, checksum=False)
        if now.kind != self.before["kind"]:
            return False
        if (now.uid, now.gid) != (self.before["uid"], self.before["gid"]):
            _chown(self.dest, self.before["uid"], self.before["gid"])
        if now.kind != "link":
            os.chmod(self.dest, self.before["mode"])
        return True

    def _undo_replacement(self) -> bool:
        kept = next((place for place in self.backups if os.path.lexists(place)), None)
        now = look(self.dest)
        if self.before["kind"] == "absent":
            if now.kind == "absent":
                return True
            if not self._is_ours(now):
                return False
            os.unlink(self.dest)
            return True
        if kept is None:
            # Not kept yet, so not replaced yet; or put back already.
            return now.kind == self.before["kind"]
        if now.kind != "absent" and os.path.samestat(os.lstat(kept), os.lstat(self.dest)):
            # rename(2) does nothing when both names are one inode.
            os.unlink(kept)
            return True
        if now.kind == "absent" or self._is_ours(now) or self._is_old(now):
            os.rename(kept, self.dest)
            return True
        return False

    def _is_ours(self, now: Found) -> bool:
        if self.action == "put":
            return now.kind == "file" and now.checksum == self.checksum
        return self.action == "link" and now.kind == "link" and now.target == self.target

    def _is_old(self, now: Found) -> bool:
        return (now.kind, now.checksum, now.target) == (
            self.before["kind"],
            self.before.get("checksum"),
            self.before.get("target"),
        )

    @property
    def directories(self) -> set[str]:
        """The directories whose entries this step changes."""
        result = {os.path.dirname(self.dest)}
        result.update(os.path.dirname(place) for place in self.backups)
        return result


def _chown(path: str | int, uid: int | None, gid: int | None) -> None:
    """Change the owner only where it differs, since a plain user may not even set what is already so."""
    status = os.fstat(path) if isinstance(path, int) else os.lstat(path)
    wanted = (status.st_uid if uid is None else uid, status.st_gid if gid is None else gid)
    if wanted == (status.st_uid, status.st_gid):
        return
    if isinstance(path, int):
        os.fchown(path, *wanted)
    else:
        os.chown(path, *wanted, follow_symlinks=False)


def _remove_directory(path: str) -> bool:
    """Remove the directory if it is empty; return False if it holds something."""
    try:
        os.rmdir(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def plan_steps(findings: Iterable[Finding], token: str, backup_directory: str) -> list[Step]:
    """Return the steps that make ``findings`` true, in an order in which each can be done: directories from the top,
    files, attributes, and last the removals from the bottom.

    :param token: what makes the temporary names of this transaction unique.
    """
    steps: list[Step] = []
    for finding in findings:
        steps.extend(_steps_of(finding))
    steps.sort(key=lambda step: (_ORDER[step.action], _depth(step)))
    for number, step in enumerate(steps):
        name = f"{token}.{number}"
        if step.action in ("put", "link", "mkdir", "rmdir"):
            step.temporary = temporary_name(step.dest, name)
        if step.validated:
            # Validators look at names (systemd-analyze verify, for one), so the new file has its own, in a directory.
            step.staging = step.temporary
            step.temporary = os.path.join(step.staging or "", os.path.basename(step.dest))
        if step.action in ("put", "link", "unlink") and step.before["kind"] != "absent":
            step.backups = [os.path.join(backup_directory, str(number)), temporary_name(step.dest, name + ".old")]
    return steps


def _depth(step: Step) -> int:
    depth = step.dest.count(os.sep)
    return {"mkdir": depth, "rmdir": -depth}.get(step.action, 0)


def _steps_of(finding: Finding) -> list[Step]:
    wanted, before = finding.wanted, finding.before
    if finding.operation is None:
        return []
    if finding.operation == "delete":
        return _removals(wanted.dest, before)
    action = {"file": "put", "directory": "mkdir", "link": "link"}[wanted.state]
    if finding.operation == "attributes":
        action = "attributes"
    step = Step(action, wanted.dest, _record(before), finding.mode, finding.uid, finding.gid, target=wanted.target)
    if action == "put":
        step.checksum, step.validated = wanted.checksum, bool(wanted.validate)
    return [step]


def _record(found: Found) -> dict:
    return {name: value for name, value in asdict(found).items() if value is not None and name != "text"}


def _removals(path: str, found: Found) -> list[Step]:
    if found.kind != "directory":
        return [Step("unlink", path, _record(found))]
    steps = [Step("rmdir", path, _record(found))]
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            steps.extend(_removals(entry.path, look(entry.path)))
    return steps
