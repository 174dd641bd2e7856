# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to write a file: a private temporary file beside it, fsync, attributes, rename, directory fsync.

After a crash at any point the path holds either the old or the new bytes with the old or the new attributes,
never a mixture; a private file is never readable by others, not even between two system calls.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass

from .errors import NotFoundError, ValidationError

__all__ = [
    "FileState",
    "file_state",
    "fsync_directory",
    "group_id",
    "group_name",
    "parse_mode",
    "read_bytes",
    "remove_file",
    "sha256",
    "user_id",
    "user_name",
    "write_atomic",
]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileState:
    """What is at a path: ``kind`` (``absent``, ``file``, ``directory``, ``link``, ``other``), mode bits, owner ids
    and, for regular files, the size in bytes and the SHA-256 in hex."""

    kind: str
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    checksum: str | None = None
    target: str | None = None


def sha256(path: str) -> str:
    """Return the SHA-256 of the file's bytes in hex; memory use does not grow with the file."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def file_state(path: str, checksum: bool = True) -> FileState:
    """Return what is at ``path`` without following a final symbolic link."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileState("absent")
    common = {"mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid}
    if stat.S_ISREG(found.st_mode):
        return FileState("file", size=found.st_size, checksum=sha256(path) if checksum else None, **common)
    if stat.S_ISDIR(found.st_mode):
        return FileState("directory", **common)
    if stat.S_ISLNK(found.st_mode):
        return FileState("link", target=os.readlink(path), **common)
    return FileState("other", **common)


def read_bytes(path: str) -> bytes | None:
    """Return the file's bytes, or ``None`` where there is no file."""
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def parse_mode(mode: str | int | None, option: str = "mode") -> int | None:
    """Return permission bits from an octal string such as ``"0644"``; ``None`` stays ``None``.

    :raises ValidationError: not an octal string of three or four digits. Integers are refused because YAML reads
        ``mode: 644`` as a decimal number.
    """
    if mode is None:
        return None
    if isinstance(mode, str) and 3 <= len(mode) <= 4 and all(digit in "01234567" for digit in mode):
        return int(mode, 8)
    hint = f'Write it as a quoted octal, {option}: "0644".'
    raise ValidationError(f"{option}={mode!r} is not a file mode.", hint=hint)


def user_id(name: str | int | None) -> int | None:
    """Return the numeric id of a user given by name or number.

    :raises NotFoundError: no such user on this host.
    """
    if name is None:
        return None
    if str(name).isdigit():
        return int(name)
    try:
        return pwd.getpwnam(str(name)).pw_uid
    except KeyError:
        raise NotFoundError(f"The user {name} does not exist on this host.", hint="Create it first.") from None


def group_id(name: str | int | None) -> int | None:
    """Return the numeric id of a group given by name or number.

    :raises NotFoundError: no such group on this host.
    """
    if name is None:
        return None
    if str(name).isdigit():
        return int(name)
    try:
        return grp.getgrnam(str(name)).gr_gid
    except KeyError:
        raise NotFoundError(f"The group {name} does not exist on this host.", hint="Create it first.") from None


def user_name(uid: int | None) -> str | None:
    """Return the name of the user with this id, or the number as text."""
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int | None) -> str | None:
    """Return the name of the group with this id, or the number as text."""
    if gid is None:
        return None
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def fsync_directory(path: str) -> None:
    """Make names created, renamed or removed in the directory ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(
    path: str,
    data: bytes,
    mode: int = 0o600,
    uid: int | None = None,
    gid: int | None = None,
    durable: bool = True,
) -> None:
    """Replace the file at ``path`` by one with these bytes and attributes, or leave it as it was.

    :param mode: permission bits; the file has 0600 until its owner is set.
    :param uid: owner, ``None`` for the effective user.
    :param gid: group, ``None`` for the effective group.
    :param durable: False leaves out both fsyncs, for files under /run.
    :raises OSError: the disk is full, the file system is read-only and the like; the old file is untouched then and
        no temporary file stays behind.
    """
    directory = os.path.dirname(path) or "."
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".new", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            if uid is not None or gid is not None:
                os.fchown(handle.fileno(), -1 if uid is None else uid, -1 if gid is None else gid)
            os.fchmod(handle.fileno(), mode)
            if durable:
                os.fsync(handle.fileno())
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
    if durable:
        fsync_directory(directory)


def remove_file(path: str) -> bool:
    """Remove the file or link at ``path`` durably; return whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    fsync_directory(os.path.dirname(path) or ".")
    return True
