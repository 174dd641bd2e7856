# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts as the host's own files have them: /etc/passwd, group, shadow, gshadow (not LDAP or other sources).

Formats: passwd(5), group(5), shadow(5), gshadow(5).
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field

__all__ = ["AccountFiles", "Group", "User", "connected_users", "login_definition", "process_of", "read_accounts"]


@dataclass(frozen=True)
class User:
    """A line of passwd with its line of shadow.

    ``secret`` is the hash field (``None`` where shadow should have a line and has none), ``expires`` the day since 1970
    on which the account expires.
    """

    name: str
    uid: int
    gid: int
    comment: str
    home: str
    shell: str
    secret: str | None = field(default=None, repr=False)
    expires: int | None = None


@dataclass(frozen=True)
class Group:
    """A line of group."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


@dataclass
class AccountFiles:
    """All users and groups by name.

    ``torn_users`` and ``torn_groups`` are names whose lines in passwd and shadow, or group and gshadow, do not belong
    together: a program that writes one after the other was killed, or somebody edited one of them.
    """

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    torn_users: set[str] = field(default_factory=set)
    torn_groups: set[str] = field(default_factory=set)

    def group_name(self, gid: int) -> str | None:
        """Return the name of the group with this id."""
        return next((group.name for group in self.groups.values() if group.gid == gid), None)

    def groups_of(self, user: str) -> list[str]:
        """Return the supplementary groups of a user, sorted."""
        return sorted(group.name for group in self.groups.values() if user in group.members)


def _lines(path: str, fields: int) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            rows = [line.rstrip("\n").split(":") for line in handle]
    except FileNotFoundError:
        return []
    # Lines of NIS (+ and -) and damaged ones are not ours.
    return [row for row in rows if len(row) >= fields and row[0] and row[0][0] not in "+-#"]


def read_accounts(etc: str = "/etc") -> AccountFiles:
    """Return the users and groups in the files under ``etc``.

    :raises OSError: shadow can't be read, which takes root.
    """
    found = AccountFiles()
    shadow = {}
    for row in _lines(os.path.join(etc, "shadow"), 8):
        shadow[row[0]] = (row[1], int(row[7]) if row[7].isdigit() else None)
    for row in _lines(os.path.join(etc, "passwd"), 7):
        if row[1] == "x" and row[0] not in shadow:
            found.torn_users.add(row[0])
        if row[2].isdigit() and row[3].isdigit():
            secret, expires = shadow.get(row[0], (None if row[1] == "x" else row[1], None))
            found.users.setdefault(
                row[0], User(row[0], int(row[2]), int(row[3]), row[4], row[5], row[6], secret, expires)
            )
    found.torn_users.update(set(shadow) - set(found.users))
    hidden = {row[0]: {name for name in row[3].split(",") if name} for row in _lines(os.path.join(etc, "gshadow"), 4)}
    for row in _lines(os.path.join(etc, "group"), 4):
        if row[2].isdigit():
            members = tuple(name for name in row[3].split(",") if name)
            found.groups.setdefault(row[0], Group(row[0], int(row[2]), members))
            if hidden and row[1] == "x" and hidden.get(row[0]) != set(members):
                found.torn_groups.add(row[0])
    found.torn_groups.update(set(hidden) - set(found.groups))
    return found


def login_definition(name: str, path: str = "/etc/login.defs") -> str | None:
    """Return a value of login.defs(5), or ``None``."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            for line in handle:
                words = line.split()
                if len(words) >= 2 and words[0] == name:
                    return words[1]
    except FileNotFoundError:
        pass
    return None


def connected_users() -> set[str]:
    """Return the names of those on whose behalf this runs: the one who logged in, became root, or is root."""
    names = {os.environ.get("SUDO_USER", ""), os.environ.get("LOGNAME", "")}
    uids = {os.getuid()}
    try:
        with open("/proc/self/loginuid", encoding="ascii") as handle:
            uids.add(int(handle.read()))
    except (OSError, ValueError):
        pass
    for uid in uids:
        try:
            names.add(pwd.getpwuid(uid).pw_name)
        except KeyError:
            pass
    return names - {""}


def process_of(uid: int, proc: str = "/proc") -> int | None:
    """Return the id of a process that runs as this user, or ``None``. Those in containers are not the host's users."""
    own = os.stat("/")
    for name in os.listdir(proc):
        path = os.path.join(proc, name)
        try:
            if name.isdigit() and os.stat(path).st_uid == uid and os.path.samestat(os.stat(f"{path}/root"), own):
                return int(name)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return None
