# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``accounts``, checked, entries for the same name merged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .._core.errors import ConflictError, ToolkitError, ValidationError
from .keys import Key, parse_keys

__all__ = ["GroupWish", "UserWish", "group_wishes", "user_wishes"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_HASH = re.compile(r"\$(?:y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$=,-]{16,}|[*!]")
_ID_MAX = 2**32 - 2


@dataclass(frozen=True)
class GroupWish:
    """A group; ``None`` leaves a property as it is."""

    name: str
    gid: int | None
    system: bool
    present: bool

    @property
    def item(self) -> str:
        return f"group {self.name}"


@dataclass(frozen=True)
class UserWish:
    """A user; ``None`` leaves a property as it is."""

    name: str
    present: bool
    system: bool
    append: bool
    exclusive_keys: bool
    remove_home: bool
    uid: int | None = None
    group: str | None = None
    groups: tuple[str, ...] | None = None
    shell: str | None = None
    home: str | None = None
    create_home: bool | None = None
    comment: str | None = None
    password: str | None = field(default=None, repr=False)
    keys: tuple[Key, ...] | None = None
    sudo: tuple[str, ...] | None = None
    locked: bool | None = None

    @property
    def item(self) -> str:
        return f"user {self.name}"


def _name(name: str, option: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"{option}={name!r} is not a name that Debian takes.",
            hint="It has up to 32 letters, digits, and _ . -, and begins with a letter or _.",
        )
    return name


def _id(number: int | None, option: str, item: str) -> int | None:
    if number is not None and not 0 <= number <= _ID_MAX:
        raise ValidationError(f"{option}={number} is out of range.", hint=f"Give 0 to {_ID_MAX}.", item=item)
    return number


def _path(path: str | None, option: str, item: str) -> str | None:
    if path is not None and (
        not path.startswith("/") or ":" in path or not path.isprintable() or ".." in path.split("/")
    ):
        raise ValidationError(
            f"{option}={path!r} is not an absolute path.", hint="Write it from /, without :.", item=item
        )
    return path if path in (None, "/") else path.rstrip("/")


def _password(password: str | None, item: str) -> str | None:
    if password is not None and not _HASH.fullmatch(password):
        raise ValidationError(
            "users.password is not the hash of a password.",
            hint="Make one with mkpasswd (Debian package whois) or the filter password_hash('sha512'); * means none.",
            item=item,
        )
    return password


def _sudo_rule(rule: str, item: str) -> str:
    text = rule.strip()
    if not text or not text.isprintable() or text.endswith("\\") or "=" not in text:
        raise ValidationError(
            f"users.sudo has {rule!r}, which is no rule.",
            hint='Write it without the user, on one line, such as "ALL=(ALL:ALL) NOPASSWD: /usr/bin/apt update".',
            item=item,
        )
    return text


def _user_wish(entry: Mapping) -> UserWish:
    name = _name(entry["name"], "users.name")
    item = f"user {name}"
    comment = entry.get("comment")
    if comment is not None and (":" in comment or not comment.isprintable()):
        raise ValidationError(f"users.comment={comment!r} has a colon or control characters.", item=item)
    groups, keys, rules = entry.get("groups"), entry.get("authorized_keys"), entry.get("sudo")
    return UserWish(
        name=name,
        present=entry["state"] == "present",
        system=entry["system"],
        append=entry["append"],
        exclusive_keys=entry["exclusive_keys"],
        remove_home=entry["remove_home"],
        uid=_id(entry.get("uid"), "users.uid", item),
        group=None if entry.get("group") is None else _name(entry["group"], "users.group"),
        groups=None if groups is None else tuple(sorted({_name(group, "users.groups") for group in groups})),
        shell=_path(entry.get("shell"), "users.shell", item),
        home=_path(entry.get("home"), "users.home", item),
        create_home=entry.get("create_home"),
        comment=comment,
        password=_password(entry.get("password"), item),
        keys=None if keys is None else parse_keys(keys, item),
        sudo=None if rules is None else tuple(_sudo_rule(rule, item) for rule in rules),
        locked=entry.get("locked"),
    )


def _merged(first: UserWish, second: UserWish) -> UserWish:
    """Return what both entries say together: lists are joined, other values must not contradict each other."""
    joined: dict = {}
    for option in ("groups", "sudo"):
        one, other = getattr(first, option), getattr(second, option)
        if one is not None and other is not None:
            joined[option] = (*one, *(value for value in other if value not in one))
    if first.keys is not None and second.keys is not None:
        joined["keys"] = parse_keys([key.line for key in (*first.keys, *second.keys)], first.item)
    for option, one in vars(first).items():
        other = getattr(second, option)
        if option in joined or one == other or other is None:
            continue
        if one is not None:
            raise ConflictError(
                f"users has two entries for {first.name} that differ in {option}.",
                hint="Make them one.",
                item=first.item,
            )
        joined[option] = other
    return replace(first, **joined)


def group_wishes(options: list[Mapping]) -> list[GroupWish]:
    """Return the wishes in option ``groups``.

    :raises ToolkitError: a value can't be used, or two entries contradict each other.
    """
    found: dict[str, GroupWish] = {}
    for entry in options:
        name = _name(entry["name"], "groups.name")
        gid = _id(entry.get("gid"), "groups.gid", f"group {name}")
        wish = GroupWish(name, gid, entry["system"], entry["state"] == "present")
        if found.setdefault(name, wish) != wish:
            raise ConflictError(f"groups has two different entries for {name}.", hint="Make them one.", item=wish.item)
    return list(found.values())


def user_wishes(options: list[Mapping]) -> list[UserWish]:
    """Return the wishes in option ``users``, entries for the same user merged.

    :raises ToolkitError: a value can't be used, or two entries contradict each other.
    """
    found: dict[str, UserWish] = {}
    for entry in options:
        wish = _user_wish(entry)
        found[wish.name] = _merged(found[wish.name], wish) if wish.name in found else wish
    for wish in found.values():
        error = _contradiction(wish)
        if error is not None:
            error.item = wish.item
            raise error
    return list(found.values())


def _contradiction(wish: UserWish) -> ToolkitError | None:
    if not wish.present and (wish.keys or wish.sudo or wish.groups):
        return ConflictError(
            "users.state=absent can't be used with groups, authorized_keys or sudo.", hint="Drop them."
        )
    if wish.present and wish.remove_home:
        return ConflictError("users.remove_home is for state=absent.", hint="Leave it out.")
    if wish.exclusive_keys and wish.keys is None:
        return ValidationError(
            "users.exclusive_keys needs authorized_keys.", hint="To take all keys away, give an empty list."
        )
    return None
