# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold one entry against the rules, and a directory on the way to it against those for parents."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .._core.files import group_name, user_name
from .acl import DEFAULT, WRITE, Acl
from .capabilities import ALL, FileCapabilities, capability_names
from .entry import APPEND_ONLY, IMMUTABLE, Entry
from .rules import Rules

__all__ = ["Finding", "judge", "judge_on_the_way", "shown", "trusted_owners"]

_ROOT = 0


class Finding(NamedTuple):
    """A rule that does not hold: its name, what was found, what is allowed, and the way out."""

    rule: str
    found: str
    allowed: str
    hint: str


def shown(path: str) -> str:
    """Return ``path`` for people and JSON: bytes that are no UTF-8 and control characters as ``\\xNN``."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def judge(entry: Entry, rules: Rules) -> Iterator[Finding]:
    """Yield what in ``entry`` is against ``rules``; of a symbolic link, only owner and group count.

    :raises OSError: a property can't be read. :raises IntegrityError: nor understood.
    """
    status = entry.status
    if rules.owners is not None and status.st_uid not in rules.owners:
        allowed = _users(rules.owners)
        hint = f"chown -h {allowed.partition(', ')[0]} {_quoted(entry)}"
        yield Finding("owner", user_name(status.st_uid) or "", allowed, hint)
    if rules.groups is not None and status.st_gid not in rules.groups:
        allowed = _groups(rules.groups)
        hint = f"chgrp -h {allowed.partition(', ')[0]} {_quoted(entry)}"
        yield Finding("group", group_name(status.st_gid) or "", allowed, hint)
    if entry.kind == "link":
        return
    if rules.types is not None and entry.kind not in rules.types:
        yield Finding("type", entry.kind, ", ".join(sorted(rules.types)), f"Find out who made {_quoted(entry)}.")
    yield from _judge_mode(entry, rules)
    yield from _judge_privileges(entry, rules)
    yield from _judge_acl(entry, rules)
    yield from _judge_flags(entry, rules)
    if not rules.hard_links and status.st_nlink > 1 and not entry.is_directory:
        hint = f"find / -xdev -inum {status.st_ino} finds the other names."
        yield Finding("hard_links", f"{status.st_nlink} names", "1 name", hint)


def _judge_mode(entry: Entry, rules: Rules) -> Iterator[Finding]:
    mode, directory = entry.mode, entry.is_directory
    names = ("directory_mode", "max_directory_mode") if directory else ("mode", "max_mode")
    exact, most = (rules.directory_mode, rules.max_directory_mode) if directory else (rules.mode, rules.max_mode)
    if exact is not None and mode != exact:
        yield Finding(names[0], _octal(mode), _octal(exact), f"chmod {_octal(exact)} {_quoted(entry)}")
    if most is not None and mode & ~most:
        hint = f"chmod {_octal(mode & most)} {_quoted(entry)}"
        yield Finding(names[1], _octal(mode), f"at most {_octal(most)}", hint)
    if mode & stat.S_IWGRP and _owning_group_writes(entry) and not rules.group_may_write(entry.status.st_gid):
        group = group_name(entry.status.st_gid)
        allowed = f"for the groups {_groups(rules.groups)}" if rules.group_writable and rules.groups else "by its owner"
        yield Finding(
            "group_writable", f"{_octal(mode)}, group {group}", f"writable {allowed}", f"chmod g-w {_quoted(entry)}"
        )
    if mode & stat.S_IWOTH and rules.world_writable != "always":
        if not directory or rules.world_writable == "never":
            yield Finding("world_writable", _octal(mode), "not writable by all", f"chmod o-w {_quoted(entry)}")
        elif not mode & stat.S_ISVTX:
            hint = f"chmod o-w {_quoted(entry)}, or chmod +t {_quoted(entry)} if all have to write there"
            yield Finding("sticky", _octal(mode), "writable by all only with the sticky bit", hint)


def _judge_privileges(entry: Entry, rules: Rules) -> Iterator[Finding]:
    # On a directory these two bits give nobody a privilege: set-group-ID only hands down the group.
    if not entry.is_directory:
        if entry.mode & stat.S_ISUID and not rules.setuid:
            found = f"{_octal(entry.mode)}, owner {user_name(entry.status.st_uid)}"
            yield Finding("setuid", found, "no set-user-ID bit", f"chmod u-s {_quoted(entry)}")
        if entry.mode & stat.S_ISGID and not rules.setgid:
            found = f"{_octal(entry.mode)}, group {group_name(entry.status.st_gid)}"
            yield Finding("setgid", found, "no set-group-ID bit", f"chmod g-s {_quoted(entry)}")
    if rules.capabilities != ALL:
        found = entry.capabilities()
        if found and (found.permitted | found.inheritable) & ~rules.capabilities:
            yield _capabilities(entry, found, rules)


def _capabilities(entry: Entry, found: FileCapabilities, rules: Rules) -> Finding:
    allowed = ", ".join(capability_names(rules.capabilities)) or "none"
    return Finding("capabilities", str(found), allowed, f"setcap -r {_quoted(entry)}")


def _judge_acl(entry: Entry, rules: Rules) -> Iterator[Finding]:
    if rules.acl == "any" or not entry.attributes():
        return
    for rule, attribute, remove in (("acl", None, "-b"), ("default_acl", DEFAULT, "-k")):
        acl = entry.acl(attribute) if attribute else entry.acl()
        if acl is None:
            continue
        hint = f"setfacl {remove} {_quoted(entry)}"
        if rules.acl == "none":
            yield Finding(rule, "a list", "none", hint)
            continue
        trusted = trusted_owners(rules, entry.status.st_uid)
        writers = _named_writers(acl, rules, trusted)
        if attribute:
            # What new files get: the mode tells nothing about these two yet.
            if acl.granted(acl.owning_group) & WRITE and not rules.group_may_write(entry.status.st_gid):
                writers.append(f"group {group_name(entry.status.st_gid)}")
            if acl.others & WRITE and rules.world_writable != "always":
                writers.append("everybody")
        if writers:
            yield Finding(rule, f"writable by {', '.join(writers)}", f"writable by {_users(trusted)}", hint)


def _judge_flags(entry: Entry, rules: Rules) -> Iterator[Finding]:
    if (rules.immutable is None and rules.append_only is None) or entry.kind not in ("file", "directory"):
        return
    wanted = (("immutable", rules.immutable, IMMUTABLE, "i"), ("append_only", rules.append_only, APPEND_ONLY, "a"))
    flags = entry.flags()
    for rule, want, bit, letter in wanted:
        if want is None or bool((flags or 0) & bit) == want:
            continue
        found = "not set" if want else "set"
        if flags is None:
            found = "the file system has no such flag"
        hint = f"chattr {'+' if want else '-'}{letter} {_quoted(entry)}"
        yield Finding(rule, found, "set" if want else "not set", hint)


def trusted_owners(rules: Rules, owner: int) -> frozenset[int]:
    """Return the ids of the users who may write: root, and the allowed owners or, where any is allowed, ``owner``."""
    return frozenset({_ROOT}) | (frozenset({owner}) if rules.owners is None else rules.owners)


def judge_on_the_way(entry: Entry, rules: Rules, trusted: frozenset[int]) -> Iterator[Finding]:
    """Yield why somebody else than ``trusted`` could put another thing in the place of what is below ``entry``.

    :param entry: a directory or a symbolic link on the way to an entry; what it has to tell was read already.
    :raises IntegrityError: its access control list can't be understood.
    """
    if entry.status.st_uid not in trusted:
        found = user_name(entry.status.st_uid) or ""
        yield Finding(
            "parent_owner", found, _users(trusted), f"chown -h root {_quoted(entry)}, or add {found} to owners"
        )
    # In a directory with the sticky bit, only the owner of an entry (who is looked at too) can rename or remove it.
    if entry.kind == "link" or entry.mode & stat.S_ISVTX:
        return
    acl = entry.acl()
    writers = [] if acl is None else _named_writers(acl, rules, trusted)
    if entry.mode & stat.S_IWGRP and _owning_group_writes(entry) and not rules.group_may_write(entry.status.st_gid):
        writers.append(f"group {group_name(entry.status.st_gid)}")
    if entry.mode & stat.S_IWOTH:
        writers.append("everybody")
    if writers:
        found = f"{_octal(entry.mode)}, writable by {', '.join(writers)}"
        hint = (
            f"chmod go-w {_quoted(entry)}"
            if acl is None
            else f"setfacl -b {_quoted(entry)} && chmod go-w {_quoted(entry)}"
        )
        yield Finding("parent_writable", found, f"writable by {_users(trusted)}", hint)


def _owning_group_writes(entry: Entry) -> bool:
    """Return whether the group's write bit is meant for the owning group: with a list, it is the list's mask."""
    acl = entry.acl()
    return acl is None or bool(acl.granted(acl.owning_group) & WRITE)


def _named_writers(acl: Acl, rules: Rules, trusted: frozenset[int]) -> list[str]:
    users = [f"user {user_name(uid)}" for uid in acl.writing_users() if uid not in trusted]
    groups = [f"group {group_name(gid)}" for gid in acl.writing_groups() if not rules.group_may_write(gid)]
    return users + groups


def _quoted(entry: Entry) -> str:
    return shlex.quote(shown(entry.path))


def _octal(mode: int) -> str:
    return f"{mode:04o}"


def _users(ids: frozenset[int]) -> str:
    return ", ".join(sorted(user_name(uid) or "" for uid in ids))


def _groups(ids: frozenset[int] | None) -> str:
    return ", ".join(sorted(group_name(gid) or "" for gid in ids or ())) or "none"
