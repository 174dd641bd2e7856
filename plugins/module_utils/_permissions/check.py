# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check paths and trees against rules: what the module ``path_permissions_info`` does."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._core.descriptors import raise_descriptor_limit
from .._core.errors import DependencyError, IntegrityError, ValidationError
from .entry import Entry
from .judge import Finding, judge, judge_on_the_way, shown, trusted_owners
from .report import Report
from .resolve import Resolved, resolve
from .rules import Rules, make_rules
from .walk import walk

__all__ = ["check_paths"]

_GONE = (errno.ENOENT, errno.ENOTDIR)
_NOWHERE = (*_GONE, errno.ELOOP)
_NULL = os.makedev(1, 3)


@dataclass(frozen=True)
class _Wish:
    path: str
    recurse: bool
    sha256: str | None
    exclude: re.Pattern | None
    rules: Rules


class _Enough(Exception):
    """The number of entries that may be looked at is reached."""


def check_paths(params: Mapping[str, Any]) -> dict:
    """Return the result of the module.

    :param params: its options.
    :raises ToolkitError: an option can't be used.
    """
    for name, least in (("limit", 0), ("max_entries", 1)):
        if params[name] < least:
            raise ValidationError(f"{name}={params[name]} is too small.", hint=f"Give at least {least}.")
    wishes = [_wish(params, entry, f"paths[{number}]") for number, entry in enumerate(params["paths"])]
    if not os.path.isdir("/proc/self/fd"):
        raise DependencyError("There is no /proc on this host.", hint="Mount it: mount -t proc proc /proc")
    raise_descriptor_limit()
    report = Report(params["limit"])
    for wish in wishes:
        report.begin(wish.path)
        try:
            _Check(wish, report, params["max_entries"], params["one_file_system"]).run()
        except _Enough:
            found = f"more than {params['max_entries']} entries"
            hint = "Raise max_entries, or exclude what needs no check."
            report.violation(wish.path, Finding("max_entries", found, "all of them looked at", hint))
    return report.result(params["fail"])


def _wish(params: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> _Wish:
    path, checksum = entry["path"], entry["sha256"]
    if not path.startswith("/") or "\0" in path:
        raise ValidationError(f"{where}.path={path!r} is not an absolute path.", hint="Begin it with a slash.")
    if checksum is not None and not re.fullmatch("[0-9a-fA-F]{64}", checksum):
        raise ValidationError(f"{where}.sha256 is not 64 hexadecimal digits.", hint="sha256sum FILE prints them.")
    if checksum is not None and entry["recurse"]:
        raise ValidationError(f"{where}: sha256 is for one file, recurse for a tree.", hint="Leave out one of them.")
    patterns = [*params["exclude"], *entry["exclude"]]
    exclude = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)) if patterns else None
    return _Wish(path, entry["recurse"], checksum, exclude, make_rules(params, entry, where))


class _Check:
    """The check of one path."""

    def __init__(self, wish: _Wish, report: Report, max_entries: int, one_file_system: bool) -> None:
        self._wish = wish
        self._rules = wish.rules
        self._report = report
        self._max_entries = max_entries
        self._one_file_system = one_file_system
        self._top = ""
        self._device = 0

    def run(self) -> None:
        try:
            found = resolve(self._wish.path)
        except OSError as error:
            self._unreachable(error)
            return
        with found.entry as top:
            self._top, self._device = top.path, top.status.st_dev
            outcome = self._report.outcomes[-1]
            outcome["resolved"] = shown(top.path)
            outcome["links"] = [shown(link.path) for link in found.links]
            self._way(found)
            if self._rules.symlinks == "none":
                for link in found.links:
                    self._violation(link.path, "symlink", "a symbolic link", "none", f"Name {shown(top.path)} itself.")
            self._judge(top)
            if self._wish.sha256 is not None:
                self._checksum(top, self._wish.sha256.lower())
            if self._wish.recurse and top.is_directory:
                walk(top, self._leave_out, self._visit, self._trouble)

    def _leave_out(self, path: str, name: str) -> bool:
        exclude = self._wish.exclude
        if exclude is None or not (exclude.match(name) or exclude.match(path)):
            return False
        self._report.left_out(path, "excluded")
        return True

    def _visit(self, entry: Entry, directory: Entry) -> bool:
        self._judge(entry)
        if entry.kind == "link":
            self._link(entry, directory)
        elif entry.is_directory and self._one_file_system and entry.status.st_dev != self._device:
            self._report.left_out(entry.path, "other_file_system")
            return False
        return entry.is_directory

    def _judge(self, entry: Entry, link: str | None = None) -> None:
        if self._report.checked >= self._max_entries:
            raise _Enough
        self._report.count()
        try:
            for finding in judge(entry, self._rules):
                self._report.violation(entry.path, finding, link)
        except (OSError, IntegrityError) as error:
            self._unreadable(entry.path, error, link)

    def _way(self, found: Resolved, link: str | None = None) -> None:
        """Judge what was passed outside of the tree; in it, all is judged as a part of it."""
        if not self._rules.parents:
            return
        trusted = trusted_owners(self._rules, found.entry.status.st_uid)
        for entry in found.way:
            if link is not None and self._inside(entry.path):
                continue
            try:
                for finding in judge_on_the_way(entry, self._rules, trusted):
                    self._report.violation(entry.path, finding, link, on_the_way=True)
            except IntegrityError as error:
                self._unreadable(entry.path, error, link)

    def _link(self, link: Entry, directory: Entry) -> None:
        """Do with a symbolic link in the tree what the rule ``symlinks`` says."""
        rule = self._rules.symlinks
        if rule == "any":
            return
        target = shown(link.target())
        if rule == "none":
            self._violation(link.path, "symlink", f"a symbolic link to {target}", "none", "Put the file itself there.")
            return
        try:
            found = resolve(link.target(), directory)
        except OSError as error:
            if error.errno not in _NOWHERE:
                self._unreadable(error.filename, error, link.path)
                return
            nowhere = f"a symbolic link to {target}: {error.strerror}"
            self._violation(link.path, "symlink", nowhere, "one that leads to something", "Remove or mend it.")
            return
        with found.entry as end:
            if self._inside(end.path):
                return
            if rule == "inside":
                top = shown(self._top)
                hint = f"Put the file below {top}, or set symlinks: check to have the target checked."
                self._violation(link.path, "symlink", f"leads to {shown(end.path)}", f"within {top}", hint)
            elif end.status.st_rdev != _NULL or end.kind != "character_device":
                self._way(found, link.path)
                self._judge(end, link.path)
                if end.is_directory:
                    self._report.left_out(link.path, "link_to_directory")

    def _inside(self, path: str) -> bool:
        return path == self._top or path.startswith(self._top.rstrip("/") + "/")

    def _checksum(self, entry: Entry, wanted: str) -> None:
        hint = "Find out who changed it, then deploy it again."
        if entry.kind != "file":
            self._violation(entry.path, "sha256", entry.kind, "a file", hint)
            return
        try:
            found = entry.sha256()
        except OSError as error:
            self._unreadable(entry.path, error)
            return
        if found != wanted:
            self._violation(entry.path, "sha256", found, wanted, hint)

    def _trouble(self, path: str, error: OSError) -> None:
        if error.errno in _GONE:
            self._report.left_out(path, "vanished")
        else:
            self._unreadable(path, error)

    def _unreachable(self, error: OSError) -> None:
        place = error.filename
        if error.errno in _NOWHERE:
            hint = "Create it, or take it off the list."
            self._violation(self._wish.path, "missing", f"{shown(place)}: {error.strerror}", "something there", hint)
        else:
            self._unreadable(place, error)

    def _unreadable(self, path: str, error: OSError | IntegrityError, link: str | None = None) -> None:
        found = (error.strerror or str(error)) if isinstance(error, OSError) else error.message
        denied = isinstance(error, PermissionError)
        hint = "Check it as root (become: true)." if denied else f"Look at {shown(path)} by hand."
        self._violation(path, "unreadable", found, "all of it looked at", hint, link)

    def _violation(self, path: str, rule: str, found: str, allowed: str, hint: str, link: str | None = None) -> None:
        self._report.violation(path, Finding(rule, found, allowed, hint), link)
