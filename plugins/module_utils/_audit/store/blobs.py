# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Side blobs: what is too large for a line, in a file of its own that the line names by its digest.

``blobs/<sha256>`` holds 16 random bytes and then the data; the digest is that of the whole file, so nobody can guess an
erased blob from it, and ``sha256sum`` checks it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable

from ..._core.errors import IntegrityError, NotFoundError, ValidationError
from ..._core.files import fsync_directory, read_bytes
from .journal import make_private_directory

__all__ = ["BLOB_DIRECTORY", "adopt", "erase", "erase_all", "named_in", "names", "read", "write"]

BLOB_DIRECTORY = "blobs"
_SALT = 16
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGEST_BYTES = re.compile(rb"[0-9a-f]{64}")


def write(directory: str, data: bytes, durable: bool = True) -> dict:
    """Keep ``data`` and return ``{"sha256": name of the blob, "bytes": length of data}``.

    :param directory: the log's directory.
    :param durable: False leaves the syncing to the kernel.
    :raises OSError: it can't be written; nothing stays behind.
    """
    content = os.urandom(_SALT) + data
    name = hashlib.sha256(content).hexdigest()
    folder = os.path.join(directory, BLOB_DIRECTORY)
    make_private_directory(folder)
    hidden = os.path.join(folder, f".{name}.new")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
        os.rename(hidden, os.path.join(folder, name))
    except BaseException:
        os.unlink(hidden)
        raise
    finally:
        os.close(descriptor)
    if durable:
        fsync_directory(folder)
    return {"sha256": name, "bytes": len(data)}


def _path(directory: str, name: str) -> str:
    if not _DIGEST.fullmatch(name):
        raise ValidationError(f"{name!r} is not the name of a blob.", hint="It is a SHA-256 of 64 hexadecimal digits.")
    return os.path.join(directory, BLOB_DIRECTORY, name)


def read(directory: str, name: str) -> bytes:
    """Return the data of a blob.

    :raises ValidationError: ``name`` is no SHA-256.
    :raises NotFoundError: there is no such blob; it may have been erased or pruned.
    :raises IntegrityError: its bytes are not those that were written.
    """
    content = read_bytes(_path(directory, name))
    if content is None:
        raise NotFoundError(f"There is no blob {name} any more.", hint="It may have been erased or pruned.")
    if hashlib.sha256(content).hexdigest() != name:
        raise IntegrityError(f"The blob {name} was changed.")
    return content[_SALT:]


def names(directory: str) -> set[str]:
    """Return the names of all blobs."""
    try:
        found = os.listdir(os.path.join(directory, BLOB_DIRECTORY))
    except FileNotFoundError:
        return set()
    return {name for name in found if _DIGEST.fullmatch(name)}


def named_in(line: bytes, known: set[str]) -> set[str]:
    """Return which of the blobs ``known`` a line of the log names."""
    return known.intersection(match.decode("ascii") for match in _DIGEST_BYTES.findall(line)) if known else set()


def adopt(directory: str, source: str, name: str) -> bool:
    """Take over the blob ``name`` from the blob directory ``source`` of another log.

    :return: False where it is there already, is no regular file, or does not have the bytes that its name promises.
    :raises OSError: it can't be written.
    """
    path = _path(directory, name)
    if os.path.exists(path):
        return False
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        theirs = os.open(os.path.join(source, name), flags)
    except OSError:
        return False
    make_private_directory(os.path.dirname(path))
    hidden = os.path.join(os.path.dirname(path), f".{name}.new")
    ours = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    digest, whole = hashlib.sha256(), False
    try:
        if stat.S_ISREG(os.fstat(theirs).st_mode):
            while data := os.read(theirs, 1 << 20):
                digest.update(data)
                view = memoryview(data)
                while view:
                    view = view[os.write(ours, view) :]
            whole = digest.hexdigest() == name
        if whole:
            os.fsync(ours)
            os.rename(hidden, path)
            fsync_directory(os.path.dirname(path))
    finally:
        os.close(theirs)
        os.close(ours)
        if not whole:
            os.unlink(hidden)
    return whole


def erase(directory: str, name: str) -> bool:
    """Remove a blob durably; return whether there was one."""
    return erase_all(directory, [name]) == 1


def erase_all(directory: str, doomed: Iterable[str]) -> int:
    """Remove blobs durably; return how many there were."""
    gone = 0
    for name in doomed:
        try:
            os.unlink(_path(directory, name))
            gone += 1
        except FileNotFoundError:
            continue
    if gone:
        fsync_directory(os.path.join(directory, BLOB_DIRECTORY))
    return gone
