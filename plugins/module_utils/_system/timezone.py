# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time zone of the host: the link /etc/localtime (localtime(5)) and, where Debian has it, /etc/timezone."""

from __future__ import annotations

import difflib
import os
import re

from .._core.errors import DependencyError, ValidationError
from .._core.files import fsync_directory, read_bytes, remove_file, write_atomic

__all__ = ["Timezone"]

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}\Z")
_MAGIC = b"TZif"
_MARKER = "Etc/UTC"


class Timezone:
    """The wish for the time zone.

    :param name: name in the IANA database, ``Europe/Berlin``.
    :param root: the directory that holds etc and usr.
    :raises ValidationError: there is no such zone.
    """

    option = "timezone"

    def __init__(self, name: str, root: str = "/") -> None:
        self.name = name
        self._zones = os.path.join(root, "usr/share/zoneinfo")
        self._link = os.path.join(root, "etc/localtime")
        self._text = os.path.join(root, "etc/timezone")
        if not _NAME.match(name):
            raise ValidationError(
                f"timezone: {name!r} is not the name of a time zone.", hint="Write it as Europe/Berlin."
            )
        self.complete = self._is_zone(_MARKER)
        if self.complete and not self._is_zone(name):
            near = difflib.get_close_matches(name, self._names(), n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else "See timedatectl list-timezones."
            raise ValidationError(
                f"timezone: {name!r} is not in the zones of this host.",
                hint=f"{hint} Old names are in the package tzdata-legacy.",
            )
        self.linked = self._linked()
        raw = read_bytes(self._text)
        self.written = None if raw is None else raw.decode("utf-8", "replace").strip()

    def _is_zone(self, name: str) -> bool:
        try:
            with open(os.path.join(self._zones, name), "rb") as handle:
                return handle.read(len(_MAGIC)) == _MAGIC
        except OSError:
            return False

    def _names(self) -> list[str]:
        found = []
        for directory, _rest, files in os.walk(self._zones):
            found += [os.path.relpath(os.path.join(directory, name), self._zones) for name in files]
        return [name for name in found if name[:1].isupper() and not name.startswith(("posix/", "right/"))]

    def _linked(self) -> str | None:
        """Return the zone that the link names; ``None`` when it is absent or no such link."""
        try:
            target = os.readlink(self._link)
        except OSError:
            return None
        _rest, found, name = target.partition("/usr/share/zoneinfo/")
        return name if found else None

    @property
    def changed(self) -> bool:
        # Debian 13 no longer has /etc/timezone; a file that is there must not contradict the link.
        return self.linked != self.name or self.written not in (None, self.name)

    def diff(self) -> tuple[str, str]:
        """Return the texts before and after."""
        return f"{self.linked or '(none)'}\n", f"{self.name}\n"

    def apply(self) -> None:
        """Set the link, then the file.

        :raises DependencyError: the zones are not installed.
        """
        if not self.complete:
            raise DependencyError(
                "timezone: this host has no time zone data.", hint="Install the Debian package tzdata.", item="timezone"
            )
        if self.linked != self.name:
            directory = os.path.dirname(self._link)
            temporary = os.path.join(directory, ".localtime.new")
            remove_file(temporary)  # a run that was killed may have left it
            os.symlink(f"/usr/share/zoneinfo/{self.name}", temporary)
            os.rename(temporary, self._link)
            fsync_directory(directory)
        if self.written not in (None, self.name):
            write_atomic(self._text, f"{self.name}\n".encode(), mode=0o644)
