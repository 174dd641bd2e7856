# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``mariadb_schema``, checked and made into wishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._core.errors import ConflictError, UnsafeError, ValidationError
from .names import account, check_database, check_host, check_user, check_word

__all__ = ["DatabaseWish", "GrantWish", "UserWish", "database_wishes", "user_wishes"]

_SYSTEM_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class DatabaseWish:
    """A database that is to be there with this default, or not."""

    name: str
    charset: str
    collation: str | None
    present: bool

    @property
    def item(self) -> str:
        return f"database {self.name}"


@dataclass(frozen=True)
class GrantWish:
    """``privileges`` as the person wrote them on ``object``; parsed when the server's version is known."""

    object: str
    privileges: tuple[str, ...]
    option: bool
    wildcard: bool


@dataclass(frozen=True)
class UserWish:
    """An account; ``grants`` is ``None`` where they are none of our business."""

    name: str
    host: str
    password: str | None = field(repr=False)
    plugin: str | None
    grants: tuple[GrantWish, ...] | None
    exclusive: bool
    tls: bool | None
    present: bool

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.host)

    @property
    def item(self) -> str:
        return f"user {account(self.name, self.host)}"


def _distinct(wishes: list, key, option: str) -> list:
    """Drop repeated equal wishes (roles concatenate their lists), refuse two that differ."""
    kept: dict = {}
    for wish in wishes:
        if kept.setdefault(key(wish), wish) != wish:
            raise ConflictError(f"{option} has two different entries for {wish.item}.", hint="Make them one.")
    return list(kept.values())


def database_wishes(options: list[Mapping]) -> list[DatabaseWish]:
    """Return the wishes in option ``databases``, equal ones once.

    :raises ValidationError: a name, character set or collation can't be used.
    :raises UnsafeError: it is one of MariaDB's own databases.
    :raises ConflictError: two entries contradict each other.
    """
    wishes = []
    for entry in options:
        name = check_database(entry["name"])
        if name.lower() in _SYSTEM_DATABASES:
            raise UnsafeError(f"databases.name={name} is MariaDB's own.", hint="Choose another name.")
        charset = check_word(entry["charset"], "databases.charset").lower()
        collation = entry.get("collation")
        if collation is not None:
            collation = check_word(collation, "databases.collation").lower()
            if collation.startswith("uca1400_"):
                collation = f"{charset}_{collation}"
            if collation != charset and not collation.startswith(f"{charset}_"):
                raise ValidationError(
                    f"databases.collation={collation} does not belong to charset={charset}.",
                    hint=f"Choose one that begins with {charset}_, or set charset.",
                    item=f"database {name}",
                )
        wishes.append(DatabaseWish(name, charset, collation, entry["state"] == "present"))
    return _distinct(wishes, lambda wish: wish.name, "databases")


def _user_wish(entry: Mapping, secure: bool) -> UserWish:
    name, host = check_user(entry["name"]), check_host(entry["host"])
    item = f"user {account(name, host)}"
    password, plugin = entry.get("password"), entry.get("plugin")
    present = entry["state"] == "present"
    if plugin is not None:
        plugin = check_word(plugin, "users.plugin")
    if password is not None and not password:
        raise ValidationError("users.password is empty, so that anybody could log in.", hint="Give one.", item=item)
    if password is not None and plugin not in (None, "mysql_native_password"):
        raise ValidationError(
            f"users.password can't be used with plugin={plugin}.",
            hint="Leave out the password, or take plugin mysql_native_password.",
            item=item,
        )
    if plugin == "mysql_native_password" and password is None:
        raise ValidationError("users.plugin=mysql_native_password needs a password.", hint="Give one.", item=item)
    if present and secure and name == "root" and host not in _LOCAL:
        raise ConflictError(
            "users has a root from elsewhere, which secure: true removes.",
            hint="Use another name for remote administration, or set secure: false.",
            item=item,
        )
    grants = entry.get("grants")
    if grants is not None:
        grants = tuple(
            GrantWish(grant["object"], tuple(grant["privileges"]), bool(grant["grant_option"]), bool(grant["wildcard"]))
            for grant in grants
        )
    return UserWish(name, host, password, plugin, grants, entry["exclusive_grants"], entry.get("tls_required"), present)


def user_wishes(options: list[Mapping], secure: bool) -> list[UserWish]:
    """Return the wishes in option ``users``, equal ones once.

    :param secure: whether remote roots are unwanted.
    :raises ValidationError: a name, host, plugin or password can't be used.
    :raises ConflictError: two entries contradict each other, or one contradicts ``secure``.
    """
    wishes = [_user_wish(entry, secure) for entry in options]
    return _distinct(wishes, lambda wish: wish.key, "users")
