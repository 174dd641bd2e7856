# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is live in /etc without being there: a bind mount, which a restart of the host forgets."""

from __future__ import annotations

import os
import shlex

from .._core.commands import Commands
from .._core.errors import UnavailableError
from .._core.files import fsync_directory, write_atomic

__all__ = ["Overlay"]

_SWAP = """
while mountpoint -q "$1"; do umount "$1" || exit 1; done
if [ -n "$2" ]; then mv -T "$2" "$1"; else rm -f "$1"; fi
"""


class Overlay:
    """The file at ``path``, covered for a while by another one."""

    def __init__(self, commands: Commands, path: str) -> None:
        self._commands = commands
        self.path = path

    def covered(self) -> bool:
        """Return whether another file is mounted over it."""
        return self._commands.run([self._commands.require("mountpoint", "util-linux"), "-q", self.path]).ok

    def cover(self, candidate: str) -> None:
        """Mount the file ``candidate`` over the path, where all processes of the host see it. An empty file, which
        means the same to sshd as none, is made first where there is none.

        :raises UnavailableError: it can't be mounted.
        """
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.close(descriptor)
        # In the mount namespace of init: a hardened ssh service and all that is started through it has its own,
        # where a mount would be hidden from the rollback.
        self._commands.check(
            [self._commands.require("nsenter", "util-linux"), "--target", "1", "--mount"]
            + ["mount", "--bind", candidate, self.path],
            failure=UnavailableError,
        )

    def replace(self, data: bytes | None) -> None:
        """Put ``data`` (``None``: no file) durably in the place of the covered file and lift the cover, both in one
        step: whoever reads the path sees the candidate before, and the same as a file of its own after.

        A mount point can't be renamed over, except from a mount namespace in which it is none; then the kernel takes
        the mount away everywhere (rename(2), EBUSY; Linux 3.18 and later).

        :raises UnavailableError: it did not work; the cover is still there.
        """
        directory, name = os.path.split(self.path)
        fresh = ""
        if data is not None:
            fresh = os.path.join(directory, f".{name}.confirmed")
            write_atomic(fresh, data, mode=0o644)
        unshare = self._commands.require("unshare", "util-linux")
        self._commands.check(
            [unshare, "--mount", "/bin/sh", "-c", _SWAP, "sh", self.path, fresh],
            failure=UnavailableError,
            hint="The previous settings are live again.",
        )
        fsync_directory(directory)

    def uncover_script(self, was_absent: str) -> str:
        """Return shell commands that lift the cover, and remove the empty file if the file ``was_absent`` exists."""
        path = shlex.quote(self.path)
        return (
            f"while mountpoint -q {path}; do umount {path} || return 1; done\n"
            f"if [ -e {was_absent} ] && [ -e {path} ] && [ ! -s {path} ]; then rm -f {path}; fi"
        )

    def committed_test(self, candidate: str | None) -> str:
        """Return a shell command that succeeds when the file itself, not its cover, is ``candidate``."""
        path = shlex.quote(self.path)
        same = f"[ ! -e {path} ]" if candidate is None else f"cmp -s {candidate} {path}"
        return f"! mountpoint -q {path} && {same}"
