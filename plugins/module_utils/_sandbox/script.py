# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts: checked on what was opened, then run from a private copy, so that nobody can swap them in between."""

from __future__ import annotations

import hashlib
import os
import stat

from .._core.errors import IntegrityError, NotFoundError, UnsafeError, ValidationError
from .._core.files import user_id
from .request import ScriptWish

__all__ = ["interpreter", "name_of", "read_script"]

_MOST = 16 << 20
"""Bytes of a script; one that is longer is something else."""

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def name_of(wish: ScriptWish) -> str:
    """Return the script's name for people."""
    return wish.path or wish.src or "content"


def read_script(wish: ScriptWish) -> bytes:
    """Return the bytes of the script, which has passed its checks.

    :raises NotFoundError: there is no such file.
    :raises UnsafeError: somebody else than its owner and root could change it: the file, or a directory above it.
    :raises IntegrityError: its SHA-256 is another one.
    """
    data = (wish.content or "").encode("utf-8", "surrogateescape") if wish.path is None else _read(wish)
    if wish.sha256 is not None:
        found = hashlib.sha256(data).hexdigest()
        if found != wish.sha256.lower():
            raise IntegrityError(
                f"script: the SHA-256 of {name_of(wish)} is {found}, not {wish.sha256}.",
                hint="Look at what has changed in it; if that is wanted, set script.sha256 to its new value.",
            )
    return data


def _read(wish: ScriptWish) -> bytes:
    path, owners = wish.path, {0, user_id(wish.owner)}
    if not os.path.isabs(path) or os.path.realpath(path) != path:
        raise UnsafeError(
            f"script: {path} leads over a symbolic link, or is not absolute.", hint="Name the file itself."
        )
    above = os.path.dirname(path)
    while True:
        try:
            _check(above, os.lstat(above), owners)
        except FileNotFoundError:
            raise NotFoundError(f"script: {above} does not exist on this host.", hint="Put the script there.") from None
        if above == "/":
            break
        above = os.path.dirname(above)
    try:
        # Non-blocking, so that a pipe of that name can't hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"script: {path} does not exist on this host.", hint="Put the script there.") from None
    with os.fdopen(descriptor, "rb") as handle:
        found = os.fstat(handle.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValidationError(f"script: {path} is no regular file.", hint="Name a file.")
        _check(path, found, {user_id(wish.owner)})
        data = handle.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValidationError(f"script: {path} is longer than {_MOST >> 20} MiB.", hint="Run it by argv.")
    return data


def _check(path: str, found: os.stat_result, owners: set[int]) -> None:
    if found.st_uid not in owners:
        wanted = " or ".join(str(uid) for uid in sorted(owners))
        raise UnsafeError(
            f"script: {path} belongs to the user id {found.st_uid}, not to {wanted}.",
            hint="Set script.owner if that user may decide what is run here, or change the owner.",
        )
    if found.st_mode & _WRITABLE:
        raise UnsafeError(
            f"script: {path} has mode {stat.S_IMODE(found.st_mode):04o}: others than its owner can write it.",
            hint=f"chmod go-w {path}",
        )


def interpreter(data: bytes, name: str) -> list[str]:
    """Return the program and its argument that the script's first line names, as execve(2) reads it.

    :raises ValidationError: the first line names none.
    """
    line = data.split(b"\n", 1)[0]
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    if not words or not words[0].startswith(b"/"):
        raise ValidationError(
            f"script: the first line of {name} names no interpreter.", hint="Begin it with #!/bin/sh or the like."
        )
    return [os.fsdecode(word) for word in words]
