# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find where a path leads, name by name as the kernel does (path_resolution(7)), and keep what was on the way.

Each name is opened in the directory that was opened before, so what is reported of the way is of the very directories
and symbolic links that led to the end, though somebody may rename them meanwhile.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from .entry import Entry

__all__ = ["Resolved", "resolve"]

_MOST_LINKS = 40
"""As in the kernel (MAXSYMLINKS), so that a circle ends."""


@dataclass
class Resolved:
    """Where a path leads.

    ``entry`` is no symbolic link and open, for the caller to close. ``way`` has every directory and symbolic link that
    was passed, each closed but with all that the rules ask of it.
    """

    entry: Entry
    way: list[Entry] = field(default_factory=list)

    @property
    def links(self) -> list[Entry]:
        """The symbolic links that were followed, in order."""
        return [entry for entry in self.way if entry.kind == "link"]


def resolve(path: str, start: Entry | None = None) -> Resolved:
    """Follow ``path`` to its end.

    :param start: the directory from which a relative path leads on.
    :raises OSError: it leads nowhere, in circles, or where we may not go; ``filename`` is the place where that is so.
    """
    at = _root() if start is None or path.startswith("/") else start.child(".")
    result = Resolved(at)
    names = path.split("/")[::-1]
    try:
        while names:
            name = names.pop()
            if not at.is_directory:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), at.path)
            if name in ("", "."):
                continue
            # While it is open: the rules ask for it when the whole way is known.
            at.attributes()
            following = _next(at, name)
            if following.kind != "link":
                at.close()
                result.way.append(at)
                at = following
                continue
            with following:
                target = following.target()
            result.way.append(following)
            if len(result.links) > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            names += target.split("/")[::-1]
            if target.startswith("/"):
                at.close()
                result.way.append(at)
                at = _root()
    except BaseException:
        at.close()
        raise
    result.entry = at
    return result


def _root() -> Entry:
    return Entry("/", "/")


def _next(directory: Entry, name: str) -> Entry:
    """Return what ``name`` is in ``directory``.

    :raises OSError: with the whole path, not only the name.
    """
    try:
        return directory.child(name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.path.join(directory.path, name)) from None
