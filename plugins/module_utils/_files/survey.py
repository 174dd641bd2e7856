# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare what is wanted with what is on the host; reads each file once and changes nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from .._core.errors import ConflictError, NotFoundError, PermissionDenied, ToolkitError, UnsafeError
from .._core.files import group_id, group_name, user_id, user_name
from .._core.outcomes import error_from_os
from .wire import Wanted

__all__ = ["Finding", "Found", "Survey", "look"]

_BLOCK = 1 << 20


@dataclass
class Found:
    """What is at a path, a final symbolic link not followed: ``kind`` (``absent``, ``file``, ``directory``, ``link``,
    ``other``), attributes, SHA-256, and the text where it was asked for, is UTF-8 without NUL, and small enough."""

    kind: str = "absent"
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    checksum: str | None = None
    target: str | None = None
    text: str | None = None


def look(path: str, checksum: bool = True, text_limit: int = 0) -> Found:
    """Return what is at ``path``; the file is read once, in blocks.

    :param text_limit: keep the text of files up to this many bytes; 0 keeps none.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Found()
    found = Found("other", stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        found.kind, found.target = "link", os.readlink(path)
    elif stat.S_ISDIR(status.st_mode):
        found.kind = "directory"
    elif stat.S_ISREG(status.st_mode):
        found.kind, found.size = "file", status.st_size
        if checksum:
            _read(path, found, text_limit)
    return found


def _read(path: str, found: Found, text_limit: int) -> None:
    digest = hashlib.sha256()
    kept: list[bytes] | None = [] if found.size is not None and found.size <= text_limit else None
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
            if kept is not None:
                kept.append(block)
    found.checksum = digest.hexdigest()
    if kept is not None and text_limit:
        data = b"".join(kept)
        try:
            found.text = None if b"\0" in data else data.decode("utf-8")
        except UnicodeDecodeError:
            found.text = None


@dataclass
class Finding:
    """How the host differs from one wish. ``operation`` is ``create``, ``modify``, ``attributes``, ``delete`` or
    ``None`` (as wanted); ``content`` tells whether the wanted bytes are needed; ``origin`` is ``wanted``, ``parent``
    (a missing parent directory) or ``purge``."""

    wanted: Wanted
    before: Found
    operation: str | None = None
    content: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    owner: str | None = None
    group: str | None = None
    origin: str = "wanted"
    error: dict | None = None

    def as_dict(self) -> dict:
        result = asdict(self)
        # The controller knows the rest of its wish.
        result["wanted"] = {"dest": self.wanted.dest, "state": self.wanted.state, "set": self.wanted.set}
        result["before"] = {name: value for name, value in result["before"].items() if value is not None}
        result["before"].update(owner=user_name(self.before.uid), group=group_name(self.before.gid))
        return {name: value for name, value in result.items() if value is not None and value is not False}


class Survey:
    """Compare wishes with the host.

    :param check: check mode: a missing user, group or parent directory is what an earlier task would have made, so
        it is predicted as a change and is no failure.
    :param text_limit: bytes up to which the text of a file that will change is kept for the diff; 0 keeps none.
    """

    def __init__(self, make_parents: bool = True, check: bool = False, text_limit: int = 0) -> None:
        self.make_parents = make_parents
        self.check = check
        self.text_limit = text_limit
        self._parents: dict[str, Finding] = {}
        self._directories: set[str] = set()

    def run(self, wishes: Iterable[Wanted]) -> list[Finding]:
        """Return one finding per wish, and before it one per parent directory that is to be created for it."""
        wishes = list(wishes)
        self._directories = {wish.dest for wish in wishes if wish.state == "directory"}
        findings: list[Finding] = []
        for wish in wishes:
            finding = Finding(wish, Found())
            parents: list[Finding] = []
            try:
                parents = self._missing_parents(wish)
                self._compare(wish, finding)
            except ToolkitError as error:
                self._note(finding, error)
            except OSError as error:
                self._note(finding, error_from_os(error))
            if finding.error is None:
                findings.extend(parents)
                self._parents.update({parent.wanted.dest: parent for parent in parents})
            findings.append(finding)
        return findings

    @staticmethod
    def _note(finding: Finding, error: ToolkitError) -> None:
        error.item = error.item or finding.wanted.dest
        finding.error = error.as_dict()
        finding.operation = None

    def _missing_parents(self, wish: Wanted) -> list[Finding]:
        if wish.state == "absent":
            return []
        missing = []
        path = os.path.dirname(wish.dest)
        while not os.path.isdir(path):
            if os.path.lexists(path):
                raise ConflictError(f"dest: {path}, the parent of {wish.dest}, is not a directory.")
            if path not in self._directories and path not in self._parents:
                missing.append(path)
            path = os.path.dirname(path)
        if missing and not self.make_parents and not self.check:
            raise NotFoundError(
                f"dest: the directory {missing[0]} does not exist.",
                hint="Add it with state: directory, or set make_parents: true.",
            )
        result = []
        for parent in reversed(missing):
            implied = Wanted(dest=parent, state="directory", set=wish.set, notify=dict(wish.notify))
            finding = Finding(implied, Found(), "create", origin="parent")
            self._attributes(implied, finding)
            result.append(finding)
        return result

    def _compare(self, wish: Wanted, finding: Finding) -> None:
        wants_text = self.text_limit if wish.state == "file" and not wish.sensitive else 0
        needs_bytes = wish.state == "file" and wish.force
        before = finding.before = look(wish.dest, checksum=needs_bytes, text_limit=wants_text)
        if before.kind == "other":
            raise ConflictError(f"dest: {wish.dest} is neither a file nor a directory nor a link.")
        if before.kind != "absent" and not wish.force:
            finding.mode, finding.uid, finding.gid = before.mode, before.uid, before.gid
            finding.owner, finding.group = user_name(before.uid), group_name(before.gid)
            return
        getattr(self, "_compare_" + wish.state)(wish, finding)
        if finding.operation != "modify":
            before.text = None

    def _compare_file(self, wish: Wanted, finding: Finding) -> None:
        before = finding.before
        if before.kind == "directory":
            raise ConflictError(
                f"dest: {wish.dest} is a directory on the host; a file can't take its place.",
                hint="Write the full path of the file.",
            )
        differs = self._attributes(wish, finding)
        if before.kind == "absent":
            finding.operation, finding.content = "create", True
        elif before.kind == "link" or before.checksum != wish.checksum:
            finding.operation, finding.content = "modify", True
        elif differs:
            finding.operation = "attributes"

    def _compare_directory(self, wish: Wanted, finding: Finding) -> None:
        kind = finding.before.kind
        if kind == "link":
            raise ConflictError(
                f"dest: {wish.dest} is a symbolic link to {finding.before.target}, not a directory.",
                hint="Name the real directory; links are not followed.",
            )
        if kind == "file":
            raise ConflictError(f"dest: {wish.dest} is a file on the host; a directory can't take its place.")
        differs = self._attributes(wish, finding)
        finding.operation = "create" if kind == "absent" else "attributes" if differs else None

    def _compare_link(self, wish: Wanted, finding: Finding) -> None:
        before = finding.before
        if before.kind == "directory":
            raise ConflictError(f"dest: {wish.dest} is a directory on the host; a link can't take its place.")
        differs = self._attributes(wish, finding)
        if before.kind == "absent":
            finding.operation = "create"
        elif before.kind == "file" or before.target != wish.target:
            finding.operation = "modify"
        elif differs:
            finding.operation = "attributes"

    def _compare_absent(self, wish: Wanted, finding: Finding) -> None:
        before = finding.before
        if before.kind == "absent":
            return
        if before.kind == "directory" and not wish.recursive and os.listdir(wish.dest):
            raise UnsafeError(
                f"state=absent: {wish.dest} is a directory that is not empty.",
                hint="Set recursive: true to remove it with all that it holds.",
            )
        if before.kind == "file":
            finding.before = look(wish.dest)
        finding.operation = "delete"

    def _attributes(self, wish: Wanted, finding: Finding) -> bool:
        """Set the attributes that ``wish.dest`` will have; return whether that differs from what it has."""
        before = finding.before
        same_kind = before.kind == wish.state
        parent_gid = None if same_kind else self._inherited_group(wish.dest)
        finding.mode = before.mode if same_kind else (None if wish.state == "link" else wish.default_mode)
        finding.uid = before.uid if same_kind else os.geteuid()
        finding.gid = before.gid if same_kind else (os.getegid() if parent_gid is None else parent_gid)
        if wish.mode is not None and wish.state != "link":
            finding.mode = wish.mode
        unknown = False
        try:
            finding.uid = finding.uid if wish.owner is None else user_id(wish.owner)
            finding.owner = user_name(finding.uid)
        except NotFoundError:
            if not self.check:
                raise
            finding.owner, unknown = wish.owner, True
        try:
            finding.gid = finding.gid if wish.group is None else group_id(wish.group)
            finding.group = group_name(finding.gid)
        except NotFoundError:
            if not self.check:
                raise
            finding.group, unknown = wish.group, True
        return unknown or (finding.mode, finding.uid, finding.gid) != (before.mode, before.uid, before.gid)

    @staticmethod
    def _inherited_group(dest: str) -> int | None:
        """The group that a new file gets from a set-group-ID directory, ``None`` where that does not apply."""
        try:
            parent = os.stat(os.path.dirname(dest))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise PermissionDenied(f"{os.path.dirname(dest)}: {error.strerror}") from None
        return parent.st_gid if parent.st_mode & stat.S_ISGID else None
