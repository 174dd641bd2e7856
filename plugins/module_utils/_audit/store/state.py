# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the log: the one file whose replacement commits what was done to all others.

``state.json`` says how much of the active segment counts. Files that take another's place are written beforehand
under a hidden name with the number of the next *generation*, ``.<name>.<generation>``; the state that names this
generation makes them valid, and renaming them comes after. So any number of files changes in one step, and whoever
finds a hidden file knows whether its change happened.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields

from ..._core.files import fsync_directory, read_bytes

__all__ = [
    "LOG_NAME",
    "SEGMENT_DIRECTORY",
    "STATE_NAME",
    "State",
    "discard_hidden",
    "hidden_path",
    "load_state",
    "publish_hidden",
    "replace_file",
    "store_state",
    "visible_path",
]

LOG_NAME = "audit.jsonl"
"""The active segment."""

SEGMENT_DIRECTORY = "segments"
STATE_NAME = "state.json"
_VERSION = 1


@dataclass
class State:
    """What of the log is committed.

    :param entries: entries of the whole log, with pruned ones; also the index of the next one.
    :param first: index of the first entry of the active segment.
    :param bytes: committed bytes of the active segment.
    :param minimum: entries below this index were pruned.
    :param generation: number of the last change that replaced files.
    :param sealed: size of a checkpoint that was certainly written.
    :param began: when the active segment began, in seconds since the epoch.
    :param journals: by run id, what was taken in of journals that still exist: ``offset`` in bytes; ``ended`` when all
        of it was, then ``end`` is the closing record where the journal itself has none.
    :param repairs: details of repairs that are not yet recorded in the log.
    """

    entries: int = 0
    first: int = 0
    bytes: int = 0
    minimum: int = 0
    generation: int = 0
    sealed: int = 0
    began: int = 0
    journals: dict[str, dict] = field(default_factory=dict)
    repairs: list[dict] = field(default_factory=list)


_NUMBERS = tuple(part.name for part in fields(State) if part.name not in ("journals", "repairs"))


def load_state(directory: str) -> State | None:
    """Return the committed state; ``None`` when there is none, or none that can be read."""
    data = read_bytes(os.path.join(directory, STATE_NAME))
    if data is None:
        return None
    try:
        found = json.loads(data)
        if found.pop("version") != _VERSION:
            return None
        state = State(**found)
        numbers = [getattr(state, name) for name in _NUMBERS]
        if not all(isinstance(number, int) and number >= 0 for number in numbers) or state.entries < state.first:
            return None
        if not isinstance(state.repairs, list) or any(
            not isinstance(taken.get("offset"), int) or taken["offset"] < 0 for taken in state.journals.values()
        ):
            return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return state


def store_state(directory: str, state: State) -> None:
    """Replace the state durably: the commit.

    :raises OSError: the state may be the old or the new one; read it to know.
    """
    data = json.dumps({"version": _VERSION, **asdict(state)}, separators=(",", ":")).encode("ascii")
    replace_file(os.path.join(directory, STATE_NAME), data + b"\n")


def replace_file(path: str, data: bytes) -> None:
    """Replace a file that only the holder of the log's lock writes, durably, 0600.

    Its temporary name is always the same, so that a killed process leaves no more than one behind.

    :raises OSError: the file is the old or the new one.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    fsync_directory(directory)


def hidden_path(path: str, generation: int) -> str:
    """Return where the replacement for ``path`` waits for the commit of ``generation``."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.{generation}")


def visible_path(path: str, generation: int) -> str:
    """Return where the committed content for ``path`` lies: a crash may have come before its renaming."""
    hidden = hidden_path(path, generation)
    return hidden if os.path.exists(hidden) else path


def _hidden_files(directory: str) -> Iterator[tuple[str, str, int]]:
    """Yield ``(directory, name, generation)`` of every hidden file of the log and its segments."""
    for folder in (directory, os.path.join(directory, SEGMENT_DIRECTORY)):
        with contextlib.suppress(FileNotFoundError):
            for hidden in os.listdir(folder):
                name, _dot, number = hidden[1:].rpartition(".")
                if hidden.startswith(".") and number.isdigit() and name.endswith((".jsonl", ".jsonl.gz")):
                    yield folder, name, int(number)


def publish_hidden(directory: str, generation: int) -> None:
    """Give the files of a committed generation their names, durably."""
    folders = set()
    for folder, name, number in _hidden_files(directory):
        if number == generation:
            path = os.path.join(folder, name)
            os.rename(hidden_path(path, number), path)
            folders.add(folder)
    for folder in folders:
        fsync_directory(folder)


def discard_hidden(directory: str, generation: int) -> None:
    """Remove the files of changes that were never committed."""
    for folder, name, number in _hidden_files(directory):
        if number != generation:
            os.unlink(hidden_path(os.path.join(folder, name), number))
