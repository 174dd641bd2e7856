# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between a user as found and as wished: pure functions over the files read."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from .files import AccountFiles, User
from .wishes import UserWish

__all__ = ["UserPlan", "describe", "plan_user"]

_NO_HOME = "/nonexistent"


@dataclass
class UserPlan:
    """What shall be.

    ``after`` and ``groups_after`` describe the account when all is done; ``arguments`` go to ``useradd`` (new) or
    ``usermod`` (else), nothing where nothing differs; ``secret`` is a new password field, ``None`` to leave it;
    ``changes`` names the properties that differ.
    """

    after: User
    group_after: str
    groups_after: list[str]
    arguments: list[str]
    secret: str | None
    changes: list[str]


def _secret(wish: UserWish, current: str | None) -> str | None:
    """Return the password field wanted, ``None`` where the current one is right.

    A leading ``!`` is the lock. The result is never empty, which would let everybody in without a password.
    """
    if current is None:
        current = "!"
    if wish.password is None and wish.locked is None:
        return None
    base = current.lstrip("!")
    locked = current.startswith("!") and base != ""
    if wish.password is not None:
        wanted = "*" if wish.password in ("*", "!") else wish.password
        # A new account has just "!", which is no password either.
        base = base if wanted == "*" and base in ("", "*") and current else wanted
    if wish.locked if wish.locked is not None else locked:
        field = "!" + base
    else:
        field = base or ("!" if current == "!" and wish.locked is None else "*")
    return None if field == current else field


def _new_user(wish: UserWish, files: AccountFiles) -> UserPlan:
    home = wish.home or (_NO_HOME if wish.system else f"/home/{wish.name}")
    shell = wish.shell or ("/usr/sbin/nologin" if wish.system else "/bin/bash")
    groups = sorted(wish.groups or ())
    arguments = ["-M", "-d", home, "-s", shell]
    arguments += ["-r"] if wish.system else []
    arguments += [] if wish.uid is None else ["-u", str(wish.uid)]
    arguments += ["-c", wish.comment] if wish.comment else []
    group = wish.group
    if group is None and wish.name in files.groups:
        group = wish.name
    arguments += ["-U"] if group is None else ["-N", "-g", group]
    arguments += ["-G", ",".join(groups)] if groups else []
    gid = files.groups[group].gid if group in files.groups else -1
    after = User(
        wish.name,
        -1 if wish.uid is None else wish.uid,
        gid,
        wish.comment or "",
        home,
        shell,
        "!",
        1 if wish.locked else None,
    )
    arguments += ["-e", "1"] if wish.locked else []
    secret = _secret(wish, "!")
    return UserPlan(replace(after, secret=secret or "!"), group or wish.name, groups, arguments, secret, ["created"])


def plan_user(wish: UserWish, files: AccountFiles) -> UserPlan:
    """Return the :class:`UserPlan` for a user who shall be present."""
    found = files.users.get(wish.name)
    if found is None:
        return _new_user(wish, files)
    arguments: list[str] = []
    changes: list[str] = []
    after = found
    group = files.group_name(found.gid) or str(found.gid)
    for option, flag in (("uid", "-u"), ("shell", "-s"), ("comment", "-c")):
        value = getattr(wish, option)
        if value is not None and value != getattr(found, option):
            arguments += [flag, str(value)]
            changes.append(option)
            after = replace(after, **{option: value})
    if wish.home is not None and wish.home != found.home:
        moves = os.path.isdir(found.home) and not os.path.lexists(wish.home) and os.stat(found.home).st_uid == found.uid
        arguments += ["-d", wish.home] + (["-m"] if moves else [])
        changes.append("home")
        after = replace(after, home=wish.home)
    if wish.group is not None and wish.group != group:
        group = wish.group
        arguments += ["-g", group]
        changes.append("group")
        after = replace(after, gid=files.groups[group].gid if group in files.groups else -1)
    held = files.groups_of(wish.name)
    groups = held
    if wish.groups is not None:
        groups = sorted({*wish.groups, *held} if wish.append else set(wish.groups))
        if groups != held:
            # -G with the whole list, so that the result does not depend on what happens meanwhile.
            arguments += (
                ["-a", "-G", ",".join(sorted(set(groups) - set(held)))] if wish.append else ["-G", ",".join(groups)]
            )
            changes.append("groups")
    expired = found.expires is not None and found.expires <= 1
    secret = _secret(wish, found.secret)
    if wish.locked is not None and wish.locked != expired:
        arguments += ["-e", "1" if wish.locked else ""]
        after = replace(after, expires=1 if wish.locked else None)
        changes.append("locked")
    if secret is not None:
        old, new = (found.secret or "").lstrip("!"), secret.lstrip("!")
        if (old or "*") != (new or "*") or not found.secret:
            changes.append("password")
        elif "locked" not in changes:
            changes.append("locked")
        after = replace(after, secret=secret)
    return UserPlan(after, group, groups, arguments, secret, changes)


def describe(user: User, group: str, groups: list[str]) -> str:
    """Return how an account reads in a diff. The password's hash is not in it."""
    base = (user.secret or "!").lstrip("!")
    password = "none needed" if user.secret == "" else "none" if base in ("", "*", "x") else "set"
    locked = user.expires is not None and user.expires <= 1
    lines = [
        f"uid: {user.uid if user.uid >= 0 else '(the next free one)'}",
        f"group: {group}",
        f"groups: {', '.join(groups)}",
        f"home: {user.home}",
        f"shell: {user.shell}",
        f"comment: {user.comment}",
        f"password: {password}",
        f"locked: {'yes' if locked else 'no'}",
    ]
    return "".join(f"{line}\n" for line in lines)
