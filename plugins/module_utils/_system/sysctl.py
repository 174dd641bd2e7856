# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel parameters: a file of our own for the next boot (sysctl.d(5)) and the live values under /proc/sys."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .._core.errors import ConflictError, NotFoundError, PermissionDenied, ToolkitError, ValidationError
from .._core.files import read_bytes, remove_file, write_atomic

__all__ = ["FILE_NAME", "Sysctl", "SysctlValue", "key_path", "normal_value"]

FILE_NAME = "90-scripts-toolkit.conf"
_HEADER = "# Written by scripts.toolkit (module system_settings); changes made here are lost.\n"
_DIRECTORIES = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d")
_KEY = re.compile(r"[A-Za-z0-9_.:@/+-]+\Z")


def _slashed(key: str) -> str:
    separator = re.search(r"[./]", key)
    return key.translate(str.maketrans("./", "/.")) if separator and separator.group() == "." else key


def key_path(key: str) -> str:
    """Return the path of a key below /proc/sys: the first separator says whether dots or slashes separate.

    :raises ValidationError: it can't be a key.
    """
    path = _slashed(key)
    parts = path.split("/")
    if not _KEY.match(key) or len(parts) < 2 or any(part in ("", ".", "..") for part in parts):
        raise ValidationError(
            f"sysctl: {key!r} is not the name of a kernel parameter.", hint="Write it as net.ipv4.ip_forward."
        )
    return path


def normal_value(key: str, value: object) -> str:
    """Return the value as text with single spaces; booleans are 1 and 0.

    :raises ValidationError: it is neither text nor a number.
    """
    if isinstance(value, bool):
        return "1" if value else "0"
    text = " ".join(str(value).split()) if isinstance(value, (str, int)) else ""
    if not text:
        raise ValidationError(f"sysctl: the value of {key} must be text or a whole number, not {value!r}.")
    return text


@dataclass
class SysctlValue:
    """One parameter: its key as given, where it lies, what is wanted and what was found live (``None``: nothing)."""

    key: str
    path: str
    wanted: str
    live: str | None = None
    error: ToolkitError | None = None
    overridden_by: str | None = None


class Sysctl:
    """The wish for all kernel parameters of our file.

    :param values: the option ``sysctl``.
    :param root: the directory that holds etc, run and usr.
    :param proc: the live values.
    :raises ValidationError: a key or value makes no sense.
    """

    option = "sysctl"

    def __init__(self, values: Mapping[str, object], root: str = "/", proc: str = "/proc/sys") -> None:
        self._root = root
        self._proc = proc
        self.path = os.path.join(root, "etc/sysctl.d", FILE_NAME)
        self.values = []
        by_path: dict[str, str] = {}
        for key, value in values.items():
            path = key_path(str(key))
            if path in by_path:
                raise ConflictError(f"sysctl: {by_path[path]} and {key} are the same parameter.", item=str(key))
            by_path[path] = str(key)
            self.values.append(SysctlValue(str(key), path, normal_value(str(key), value)))
        self.values.sort(key=lambda value: value.key)
        raw = read_bytes(self.path)
        self.before = None if raw is None else raw.decode("utf-8", "replace")
        for value in self.values:
            self._look(value)
        self._find_overrides()

    def _look(self, value: SysctlValue) -> None:
        path = os.path.join(self._proc, value.path)
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                value.live = " ".join(handle.read().split())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            value.error = NotFoundError(
                f"sysctl: the kernel of this host has no parameter {value.key}.",
                hint="Check its name; some appear only with a kernel module, and containers lack many.",
                item=value.key,
            )
        except OSError as error:
            value.error = PermissionDenied(
                f"sysctl: {value.key} can't be read: {error.strerror}.", hint="Use become: true.", item=value.key
            )
        else:
            if value.live != value.wanted and not os.access(path, os.W_OK):
                value.error = self._read_only(value)

    @staticmethod
    def _read_only(value: SysctlValue) -> ToolkitError:
        return PermissionDenied(
            f"sysctl: {value.key} is {value.live} and can't be set here.",
            hint="Use become: true; in a container, set it on the host that carries it.",
            item=value.key,
        )

    @property
    def after(self) -> str | None:
        """The file as wanted; parameters that can't be had are left out of it."""
        lines = [f"{value.key} = {value.wanted}\n" for value in self.values if value.error is None]
        return _HEADER + "".join(lines) if lines else None

    def apply(self) -> None:
        """Set the live values, then write the file, so that what the kernel refuses never lies in wait for a boot."""
        for value in self.values:
            if value.error is None and value.live != value.wanted:
                self._set(value)
        after = self.after
        if after == self.before:
            return
        if after is None:
            remove_file(self.path)
            return
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        write_atomic(self.path, after.encode(), mode=0o644)

    def _set(self, value: SysctlValue) -> None:
        path = os.path.join(self._proc, value.path)
        try:
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(f"{value.wanted}\n")
            with open(path, encoding="utf-8", errors="replace") as handle:
                now = " ".join(handle.read().split())
        except OSError as error:
            refused = error.errno in (errno.EINVAL, errno.ERANGE)
            text = f"sysctl: the kernel does not take {value.wanted!r} for {value.key}: {error.strerror}."
            value.error = ValidationError(text, item=value.key) if refused else self._read_only(value)
            return
        if now != value.wanted:
            value.error = ValidationError(
                f"sysctl: the kernel made {now!r} of {value.wanted!r} for {value.key}.",
                hint=f"Write {now!r}.",
                item=value.key,
            )

    def _find_overrides(self) -> None:
        """Note where a file that is read after ours sets one of our parameters to something else."""
        files: dict[str, str] = {}
        for directory in _DIRECTORIES:
            full = os.path.join(self._root, directory)
            for name in os.listdir(full) if os.path.isdir(full) else []:
                if name.endswith(".conf"):
                    files.setdefault(name, os.path.join(full, name))
        for name in sorted(name for name in files if name > FILE_NAME):
            text = (read_bytes(files[name]) or b"").decode("utf-8", "replace")
            for line in text.splitlines():
                key, equals, other = line.partition("=")
                key = key.strip().lstrip("-").strip()
                if not equals or not key or key[0] in "#;":
                    continue
                for value in self.values:
                    if fnmatch.fnmatchcase(value.path, _slashed(key)):
                        same = " ".join(other.split()) == value.wanted
                        value.overridden_by = None if same else files[name]
