# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for sudo, one file per user under /etc/sudoers.d (sudoers(5))."""

from __future__ import annotations

import glob
import os
import stat

from .._core.commands import Commands
from .._core.errors import DependencyError, ValidationError
from .._core.files import remove_file, write_atomic

__all__ = ["SudoFile"]

_MODE = 0o440


class SudoFile:
    """The file with one user's rules.

    :param commands: runs ``visudo``.
    :param directory: where it lies.
    """

    def __init__(self, commands: Commands, user: str, directory: str = "/etc/sudoers.d") -> None:
        self._commands = commands
        self._user = user
        self._directory = directory
        # sudo ignores files with a dot in their names; % is in no user's name.
        self.path = os.path.join(directory, user.replace(".", "%2E"))

    def text(self, rules: tuple[str, ...]) -> str | None:
        """Return what the file shall be; ``None`` without rules."""
        if not rules:
            return None
        # In quotes, a name of capitals is not taken for an alias.
        return "# Managed by scripts.toolkit.accounts\n" + "".join(f'"{self._user}" {rule}\n' for rule in rules)

    def read(self) -> str | None:
        """Return what the file is."""
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as handle:
                return handle.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_private(self) -> bool:
        """Return whether owner and mode are such that sudo takes the file."""
        found = os.lstat(self.path)
        return stat.S_IMODE(found.st_mode) == _MODE and found.st_uid == os.geteuid()

    def check(self, text: str, preview: bool) -> None:
        """Have ``visudo`` check the text.

        :param preview: without sudo on the host, say nothing (its package is installed by then).
        :raises DependencyError: there is no sudo.
        :raises ValidationError: the rules are not well-formed.
        """
        visudo = self._commands.find("visudo")
        if visudo is None or not os.path.isdir(self._directory):
            if preview:
                return
            raise DependencyError(
                "users.sudo needs sudo, which is not installed on this host.", hint="Install the Debian package sudo."
            )
        done = self._commands.run([visudo, "-c", "-f", "-"], stdin=text)
        if not done.ok:
            raise ValidationError(
                f"users.sudo is refused by visudo: {done.complaint.rstrip('.')}.",
                hint="See the section on user specifications of sudoers(5).",
            )

    def write(self, text: str | None) -> None:
        """Replace the file as a whole, or remove it, and with it what a killed run left beside it."""
        for left in glob.glob(
            f"{glob.escape(self._directory)}/.{glob.escape(os.path.basename(self.path))}.????????.new"
        ):
            remove_file(left)
        if text is None:
            remove_file(self.path)
        else:
            write_atomic(self.path, text.encode(), mode=_MODE)
