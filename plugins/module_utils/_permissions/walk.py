# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walk a tree by descriptors. What is kept grows with the depth of the tree only, never with its breadth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from .entry import Entry

__all__ = ["walk"]


def walk(
    top: Entry,
    leave_out: Callable[[str, str], bool],
    visit: Callable[[Entry, Entry], bool],
    trouble: Callable[[str, OSError], None],
) -> None:
    """Visit everything below the directory ``top``, a directory before what is in it.

    The directory that is listed is the one that was visited, for both happen through one descriptor.

    :param leave_out: tells by path and name whether an entry is not to be visited.
    :param visit: is called with the entry and its directory; returns whether to go into the entry.
    :param trouble: is called with the path of what can't be opened or listed, and why.
    """
    levels = [(top, _names(top, trouble))]
    try:
        while levels:
            directory, names = levels[-1]
            name = next(names, None)
            if name is None:
                levels.pop()
                if levels:
                    directory.close()
                continue
            path = os.path.join(directory.path, name)
            if leave_out(path, name):
                continue
            try:
                entry = Entry(path, name, directory.fd)
            except OSError as error:
                trouble(path, error)
                continue
            try:
                going_in = visit(entry, directory)
            except BaseException:
                entry.close()
                raise
            if going_in:
                levels.append((entry, _names(entry, trouble)))
            else:
                entry.close()
    finally:
        for directory, names in levels:
            names.close()
            if directory is not top:
                directory.close()


def _names(directory: Entry, trouble: Callable[[str, OSError], None]) -> Iterator[str]:
    """Yield the names in ``directory`` as the kernel hands them out, some at a time."""
    try:
        descriptor = directory.open(os.O_DIRECTORY)
        try:
            listing = os.scandir(descriptor)
        finally:
            os.close(descriptor)
        with listing:
            for found in listing:
                yield found.name
    except OSError as error:
        trouble(directory.path, error)
