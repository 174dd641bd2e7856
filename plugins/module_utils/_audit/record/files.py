# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File modifications: which files a task result says it created, changed or deleted.

Bulk modules of this collection tell each path with both digests. Of other modules the path is known from the result, or
from the option that names it; what they do not tell (a digest, whether the file was there before) is not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .canonical import plain
from .sensitive import SensitivePaths

__all__ = ["PATH_OPTIONS", "file_modifications"]

PATH_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "ansible.builtin.copy": ("dest",),
    "ansible.builtin.template": ("dest",),
    "ansible.builtin.file": ("path", "dest", "name"),
    "ansible.builtin.lineinfile": ("path", "dest", "destfile", "name"),
    "ansible.builtin.blockinfile": ("path", "dest", "destfile", "name"),
    "ansible.builtin.replace": ("path", "dest", "destfile", "name"),
    "ansible.builtin.assemble": ("dest",),
    "ansible.builtin.get_url": ("dest",),
    "ansible.builtin.unarchive": ("dest",),
    "ansible.builtin.tempfile": (),
    "ansible.posix.acl": ("path", "name"),
    "ansible.posix.synchronize": ("dest",),
    "community.general.ini_file": ("path", "dest"),
    "community.general.xml": ("path", "dest", "file"),
    "community.general.archive": ("dest",),
}
"""Modules that write a file, and the options that name it, where the result does not."""

_OPERATIONS = {"create": "CREATE", "modify": "MODIFY", "attributes": "MODIFY", "delete": "DELETE"}
_DIGESTS = {40: "sha1", 64: "sha256"}
_HEXADECIMAL = frozenset("0123456789abcdef")
_BEFORE = ("checksum_before", "sha256_before")
_AFTER = ("checksum_after", "sha256_after", "sha256", "checksum", "checksum_dest")
_ATTRIBUTES = ("owner", "group", "mode", "kind")


def file_modifications(
    data: Mapping, options: Callable[[], Mapping], module: str, sensitive: SensitivePaths, name: Callable[[object], str]
) -> Iterator[dict]:
    """Yield the details of each file that a changed result tells of; ``sensitive: true`` where its path is.

    :param data: the result.
    :param options: gives the task's options, asked for only where the result names no path.
    :param module: its full name.
    :param name: returns a value as text without known secrets.
    """
    outcomes = data.get("outcomes")
    if isinstance(outcomes, (list, tuple)):
        for entry in outcomes:
            if isinstance(entry, Mapping) and entry.get("changed") and _path_of_outcome(entry):
                yield _details(entry, str(entry["item"]), sensitive, name)
        return
    path = data.get("dest") or data.get("path")
    if not isinstance(path, str):
        given = options() if module in PATH_OPTIONS else {}
        path = next((given[key] for key in PATH_OPTIONS.get(module, ()) if isinstance(given.get(key), str)), None)
    if isinstance(path, str) and "/" in path and "://" not in path:
        yield _details(data, path, sensitive, name)


def _path_of_outcome(entry: Mapping) -> bool:
    item = entry.get("item")
    return isinstance(item, str) and item.startswith("/") and ("operation" in entry or "checksum_after" in entry)


def _details(entry: Mapping, path: str, sensitive: SensitivePaths, name: Callable[[object], str]) -> dict:
    details: dict[str, Any] = {"path": name(path), "operation": _operation(entry)}
    for key in _ATTRIBUTES:
        value = entry.get(key)
        if isinstance(value, (str, int)):
            details[key] = name(value)
    if "kind" not in details and isinstance(entry.get("state"), str) and entry["state"] != "absent":
        details["kind"] = name(entry["state"])
    if path in sensitive:
        details["sensitive"] = True
    elif not entry.get("sensitive"):  # a digest of a secret that can be guessed tells it
        _add_digest(details, "before", entry, _BEFORE)
        if details["operation"] != "DELETE":
            _add_digest(details, "after", entry, _AFTER)
    return details


def _add_digest(details: dict, when: str, entry: Mapping, keys: tuple[str, ...]) -> None:
    for key in keys:
        value = entry.get(key)
        if isinstance(value, str) and len(value) in _DIGESTS and _HEXADECIMAL.issuperset(value):
            details[f"{_DIGESTS[len(value)]}_{when}"] = str(plain(value))
            return


def _operation(entry: Mapping) -> str:
    """Return what happened; a module that does not tell whether the file was there counts as ``MODIFY``.

    ansible-core's own modules tell it in their diff, if at all, which 2.19 and newer keep only with ``--diff``.
    """
    told = entry.get("operation")
    if isinstance(told, str) and told in _OPERATIONS:
        return _OPERATIONS[told]
    if entry.get("state") == "absent":
        return "DELETE"
    diff = entry.get("diff")
    before = diff.get("before") if isinstance(diff, Mapping) else None
    if isinstance(before, Mapping) and before.get("state") == "absent":
        return "CREATE"
    if "checksum_after" in entry and entry.get("checksum_before") is None:
        return "CREATE"
    return "MODIFY"
