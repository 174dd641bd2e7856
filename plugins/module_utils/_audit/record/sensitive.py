# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sensitive paths: which files count, and where a task touches one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["DEFAULT_SENSITIVE_PATHS", "SensitivePaths", "command_text"]

DEFAULT_SENSITIVE_PATHS = (
    *("/etc/shadow*", "/etc/gshadow*", "/etc/sudoers", "/etc/sudoers.d/*", "/etc/ssh/ssh_host_*_key", "*/.ssh/*"),
    *("/etc/ssl/private/*", "*/privkey*.pem", "*.key", "/etc/krb5.keytab", "*/.my.cnf", "/etc/mysql/debian.cnf"),
    *("*/.pgpass", "*/.aws/credentials", "*/.kube/config", "/etc/kubernetes/*.conf", "*/.gnupg/*", "*/.vault_pass*"),
)

_WORD = r"[^\s'\"`;|&<>()=]*"
_MOST_TEXT = 4096


def _pattern(glob: str, star: str) -> str:
    return star.join(re.escape(part) for part in glob.split("*"))


class SensitivePaths:
    """Matches paths against globs in which ``*`` stands for any characters, ``/`` among them.

    :param globs: full paths; an empty list matches nothing.
    """

    def __init__(self, globs: Iterable[str] = DEFAULT_SENSITIVE_PATHS) -> None:
        wanted = [str(glob) for glob in globs if glob]
        nothing = r"(?!)"
        self._path = re.compile("|".join(_pattern(glob, ".*") for glob in wanted) or nothing, re.DOTALL)
        words = "|".join(_pattern(glob, _WORD) for glob in wanted) or nothing
        self._mention = re.compile(rf"(?<![^\s'\"`;|&<>()=])(?:{words})(?![^\s'\"`;|&<>()])")

    def __contains__(self, path: str) -> bool:
        return self._path.fullmatch(path) is not None

    def mentioned(self, text: str) -> str | None:
        """Return the first sensitive path that stands as a word in the first 4,096 characters of ``text``."""
        found = self._mention.search(text[:_MOST_TEXT]) if "/" in text or "." in text else None
        return found.group() if found else None


def command_text(args: Mapping[str, Any]) -> str:
    """Return the command among the options of a command-like module."""
    for name in ("_raw_params", "cmd"):
        if isinstance(args.get(name), str):
            return str.__str__(args[name])
    words = args.get("argv")
    return " ".join(str(word) for word in words) if isinstance(words, (list, tuple)) else ""
