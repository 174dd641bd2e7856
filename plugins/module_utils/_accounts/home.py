# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in a user's home, written by root without being tricked by that user.

Everything below the home is done with the user's own effective ids, so that a link placed there leads nowhere that
the user could not go, and through descriptors that do not follow links.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .._core.errors import ConflictError, NotFoundError, UnsafeError
from .._core.files import fsync_directory

__all__ = ["KeyFile", "acting_as", "make_home", "read_key_file", "write_key_file"]

_LIMIT = 1 << 20
"""Bytes of an authorized_keys file that are read at most."""


@contextmanager
def acting_as(name: str, uid: int, gid: int) -> Iterator[None]:
    """Have the effective ids and the groups of a user inside the ``with``. Without root's rights nothing changes."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(name, gid))
    try:
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@dataclass(frozen=True)
class KeyFile:
    """What is at ``~/.ssh/authorized_keys``: its text, and whether it and its directory are only the user's."""

    text: str
    exists: bool
    private: bool


def _owned(found: os.stat_result, allowed: tuple[int, ...], what: str) -> None:
    if found.st_uid not in allowed:
        raise UnsafeError(f"{what} belongs to user id {found.st_uid}.", hint=f"Set its owner to user id {allowed[0]}.")


def _open_directory(home: str, uid: int, create: bool) -> int | None:
    """Return a descriptor of ``~/.ssh``, or ``None`` where there is none."""
    try:
        base = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"The home {home} does not exist.", hint="Create it, or set create_home: true.") from None
    try:
        _owned(os.fstat(base), (uid, 0), home)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(".ssh", flags, dir_fd=base)
        except FileNotFoundError:
            if not create:
                return None
            try:
                os.mkdir(".ssh", 0o700, dir_fd=base)
            except PermissionError:
                raise UnsafeError(
                    f"{home} does not belong to its user, so that {home}/.ssh can't be made.",
                    hint="Make it yourself with the right owner, or give the user another home.",
                ) from None
            os.fsync(base)
            descriptor = os.open(".ssh", flags, dir_fd=base)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise UnsafeError(
                f"{home}/.ssh is a link or no directory.", hint="Look what it is, then remove it."
            ) from None
        _owned(os.fstat(descriptor), (uid,), f"{home}/.ssh")
        return descriptor
    finally:
        os.close(base)


def read_key_file(name: str, uid: int, gid: int, home: str) -> KeyFile:
    """Return the :class:`KeyFile` of a user.

    :raises NotFoundError: there is no home.
    :raises UnsafeError: a link, a device or somebody else's file is in the way.
    """
    with acting_as(name, uid, gid):
        directory = _open_directory(home, uid, create=False)
        if directory is None:
            return KeyFile("", exists=False, private=True)
        try:
            private = stat.S_IMODE(os.fstat(directory).st_mode) == 0o700
            try:
                info = os.stat("authorized_keys", dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                return KeyFile("", exists=False, private=private)
            where = f"{home}/.ssh/authorized_keys"
            if not stat.S_ISREG(info.st_mode):
                raise UnsafeError(f"{where} is a link or no file.", hint="Look what it is, then remove it.")
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open("authorized_keys", flags, dir_fd=directory), "rb") as handle:
                info = os.fstat(handle.fileno())
                _owned(info, (uid, 0), where)
                if not stat.S_ISREG(info.st_mode) or info.st_size > _LIMIT:
                    raise UnsafeError(f"{where} is no file, or larger than {_LIMIT} bytes.", hint="Look what it is.")
                text = handle.read(_LIMIT).decode("utf-8", "surrogateescape")
            private = private and stat.S_IMODE(info.st_mode) == 0o600 and info.st_uid == uid
            return KeyFile(text, exists=True, private=private)
        finally:
            os.close(directory)


def write_key_file(name: str, uid: int, gid: int, home: str, text: str | None) -> None:
    """Replace a user's authorized_keys as a whole (0600 in a 0700 directory), or remove it (``None``).

    :raises OSError: the disk is full and the like; the old file is untouched then.
    """
    with acting_as(name, uid, gid):
        directory = _open_directory(home, uid, create=text is not None)
        if directory is None:
            return
        try:
            if text is None:
                try:
                    os.unlink("authorized_keys", dir_fd=directory)
                except FileNotFoundError:
                    return
                os.fsync(directory)
                return
            if stat.S_IMODE(os.fstat(directory).st_mode) != 0o700:
                os.fchmod(directory, 0o700)
            temporary = ".authorized_keys.scripts-toolkit.new"
            try:
                # A run that was killed left it. Under one name, there is never more than one of it.
                os.unlink(temporary, dir_fd=directory)
            except FileNotFoundError:
                pass
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as handle:
                    handle.write(text.encode("utf-8", "surrogateescape"))
                    handle.flush()
                    os.fchmod(handle.fileno(), 0o600)
                    os.fsync(handle.fileno())
                os.rename(temporary, "authorized_keys", src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                try:
                    os.unlink(temporary, dir_fd=directory)
                except FileNotFoundError:
                    pass
                raise
            os.fsync(directory)
        finally:
            os.close(directory)


def _writable_by_others(mode: int) -> bool:
    return bool(mode & 0o022) and not mode & stat.S_ISVTX


def _check_parents(path: str) -> None:
    """Refuse parents in which somebody but root could swap what is being made."""
    parent = os.path.dirname(path)
    while True:
        try:
            found = os.stat(parent)
        except FileNotFoundError:
            found = None
        if found is not None and (found.st_uid not in (0, os.geteuid()) or _writable_by_others(found.st_mode)):
            raise UnsafeError(
                f"The home {path} would lie in {parent}, where others than root may write.",
                hint="Create it yourself, or choose another home.",
            )
        if parent in ("/", ""):
            return
        parent = os.path.dirname(parent)


def make_home(path: str, uid: int, gid: int, mode: int, skeleton: str = "/etc/skel") -> None:
    """Make a home with the files of ``skeleton``; it appears whole, by a rename, or not at all.

    :raises UnsafeError: others than root may write to a parent directory.
    :raises ConflictError: something is there that is no directory.
    """
    if os.path.isdir(path):
        return
    if os.path.lexists(path):
        raise ConflictError(f"The home {path} is there and is no directory.", hint="Remove it, or choose another home.")
    _check_parents(path)
    parent = os.path.dirname(path)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    temporary = os.path.join(parent, f".{os.path.basename(path)}.scripts-toolkit.new")
    # A run that was killed left it.
    shutil.rmtree(temporary, ignore_errors=True)
    os.mkdir(temporary, 0o700)
    try:
        if os.path.isdir(skeleton):
            shutil.copytree(skeleton, temporary, symlinks=True, dirs_exist_ok=True)
        os.chmod(temporary, 0o700)
        for directory, names, files in os.walk(temporary):
            for name in [*names, *files]:
                os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)
        os.chown(temporary, uid, gid)
        os.chmod(temporary, mode)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    fsync_directory(parent)
