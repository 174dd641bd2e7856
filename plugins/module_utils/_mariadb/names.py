# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and privileges of MariaDB: what is allowed, how it is quoted, how a grant reads.

Sources: https://mariadb.com/kb/en/identifier-names/, https://mariadb.com/kb/en/grant/ and what Debian's MariaDB 10.11
and 11.8 show in ``information_schema``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .._core.errors import ValidationError

__all__ = [
    "Privilege",
    "Target",
    "account",
    "all_privileges",
    "check_database",
    "check_host",
    "check_user",
    "check_word",
    "parse_privileges",
    "parse_target",
    "privileges_sql",
    "quote",
]

Privilege = tuple
"""``(name, column)``; the column is ``None`` for a privilege on the whole target."""

_IDENTIFIER_MAX = 64
_USER_MAX = 128
_HOST = re.compile(r"[a-z0-9_.:%/-]{1,255}")
_WORD = re.compile(r"[A-Za-z0-9_]{1,64}")
_PART = r"(?:`(?:[^`]|``)+`|[^`.\s]+)"
_TARGET = re.compile(
    rf"(?:(?P<kind>TABLE|FUNCTION|PROCEDURE)\s+)?(?P<first>{_PART})\.(?P<second>{_PART})", re.IGNORECASE
)
_PRIVILEGE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z_ ]*?)\s*(?:\((?P<columns>.+)\))?", re.DOTALL)
_COLUMN = re.compile(rf"\s*({_PART.replace('.', ',')})\s*(?:,|$)")

_TABLE = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE VIEW",
    "SHOW VIEW", "TRIGGER", "DELETE HISTORY",
)  # fmt: skip
_ROUTINE = ("EXECUTE", "ALTER ROUTINE", "SHOW CREATE ROUTINE")
_DATABASE = (*_TABLE, *_ROUTINE, "CREATE TEMPORARY TABLES", "LOCK TABLES", "CREATE ROUTINE", "EVENT")
_GLOBAL = (
    *_DATABASE, "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "SHOW DATABASES", "SUPER", "REPLICATION SLAVE",
    "BINLOG MONITOR", "CREATE USER", "CREATE TABLESPACE", "SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN",
    "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN",
    "BINLOG REPLAY", "SLAVE MONITOR",
)  # fmt: skip
_SCOPES = {"global": _GLOBAL, "database": _DATABASE, "table": _TABLE, "function": _ROUTINE, "procedure": _ROUTINE}
_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
_SINCE = {"SHOW CREATE ROUTINE": (11, 3)}
_SYNONYMS = {
    "ALL PRIVILEGES": "ALL",
    "CREATE TEMPORARY TABLE": "CREATE TEMPORARY TABLES",
    "DELETE VERSIONING ROWS": "DELETE HISTORY",
    "REPLICATION CLIENT": "BINLOG MONITOR",
    "REPLICATION REPLICA": "REPLICATION SLAVE",
    "REPLICATION REPLICA ADMIN": "REPLICATION SLAVE ADMIN",
    "REPLICA MONITOR": "SLAVE MONITOR",
    "READ ONLY ADMIN": "READ_ONLY ADMIN",
}


def quote(identifier: str) -> str:
    """Return ``identifier`` in backquotes, safe in any statement that is formatted with arguments (``%`` doubled)."""
    return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"


def account(user: str, host: str) -> str:
    """Return ``'user'@'host'`` as MariaDB prints accounts in ``information_schema`` (nothing is escaped there)."""
    return f"'{user}'@'{host}'"


def _printable(text: str) -> bool:
    """Return whether MariaDB can keep the text as a name: printable, and within Unicode's first 65,536 characters."""
    return text.isprintable() and all(ord(character) <= 0xFFFF for character in text)


def check_database(name: str, option: str = "databases.name") -> str:
    """Return ``name`` if a database may have it.

    :raises ValidationError: it is empty, longer than 64 characters, ends in a space, or has a control character, a
        backslash or an emoji (a character above U+FFFF).
    """
    if not name or len(name) > _IDENTIFIER_MAX or name.endswith(" ") or not _printable(name) or "\\" in name:
        raise ValidationError(
            f"{option}={name!r} is not a database name.",
            hint="It has 1 to 64 characters, no backslash, control character or emoji, and no space at the end.",
        )
    return name


def check_user(name: str, option: str = "users.name") -> str:
    """Return ``name`` if an account may have it.

    :raises ValidationError: it is empty (anonymous), longer than 128 characters, has spaces around it, control
        characters or emojis.
    """
    if not name or len(name) > _USER_MAX or name != name.strip() or not _printable(name):
        raise ValidationError(
            f"{option}={name!r} is not a user name.",
            hint="It has 1 to 128 characters, no control character or emoji, and no space around it.",
        )
    return name


def check_host(host: str, option: str = "users.host") -> str:
    """Return ``host`` in lower case if an account may have it: a name, an address, a network, ``%`` and ``_``.

    :raises ValidationError: it has other characters.
    """
    lowered = host.lower()
    if not _HOST.fullmatch(lowered):
        raise ValidationError(
            f"{option}={host!r} is not a host.",
            hint="Write localhost, a name, an address, 192.0.2.0/255.255.255.0 or a pattern such as 192.0.2.%.",
        )
    return lowered


def check_word(word: str, option: str) -> str:
    """Return ``word`` if it is letters, digits and underscores: a plugin, character set or collation.

    :raises ValidationError: it is not.
    """
    if not _WORD.fullmatch(word):
        raise ValidationError(f"{option}={word!r} is not a name of letters, digits and underscores.")
    return word


@dataclass(frozen=True, order=True)
class Target:
    """What a grant is on.

    ``kind`` is ``global``, ``database``, ``table``, ``function``, ``procedure``, ``package`` or ``package body``. For
    ``database`` the name is a pattern as MariaDB stores it (``app\\_db``), else it is literal.
    """

    kind: str
    database: str = ""
    name: str = ""

    def sql(self) -> str:
        """Return it as ``GRANT ... ON`` takes it, for a statement that is formatted with arguments."""
        if self.kind == "global":
            return "*.*"
        if self.kind == "database":
            return f"{quote(self.database)}.*"
        prefix = "" if self.kind == "table" else f"{self.kind.upper()} "
        return f"{prefix}{quote(self.database)}.{quote(self.name)}"

    def __str__(self) -> str:
        return self.sql().replace("%%", "%")


def _unquote(part: str) -> str:
    return part[1:-1].replace("``", "`") if part.startswith("`") else part


def parse_target(text: str, wildcard: bool = False, fold: bool = False) -> Target:
    """Return the :class:`Target` of ``*.*``, ``db.*``, ``db.table``, ``FUNCTION db.f`` or ``PROCEDURE db.p``.

    Parts may stand in backquotes and must where they have dots, spaces or backquotes. The database name is literal,
    also where it is written ``app\\_db`` as MariaDB shows it.

    :param wildcard: with ``db.*``, take ``_`` and ``%`` in the database name as wildcards.
    :param fold: lower the case of names, for servers with ``lower_case_table_names`` set.
    :raises ValidationError: it is none of these.
    """
    match = _TARGET.fullmatch(text.strip())
    if not match:
        raise ValidationError(
            f"grants.object={text!r} is not something to grant on.",
            hint="Write *.*, db.*, db.table, FUNCTION db.name or PROCEDURE db.name.",
        )
    kind, first, second = match["kind"], match["first"], match["second"]
    if first == "*" or (second == "*" and kind):
        if (first, second) == ("*", "*") and not kind:
            return Target("global")
        raise ValidationError(f"grants.object={text!r} has its * at the wrong place.", hint="Write *.* or db.*.")
    database, name = _unquote(first), _unquote(second)
    if fold:
        database = database.lower()
        name = name.lower() if kind in (None, "TABLE") else name
    literal = re.sub(r"\\([_%])", r"\1", database)
    check_database(literal, "grants.object")
    if second == "*":
        return Target("database", database if wildcard else re.sub(r"([_%])", r"\\\1", literal))
    if wildcard:
        raise ValidationError(f"grants.wildcard can't be used with grants.object={text!r}.", hint="It needs db.*.")
    check_database(name, "grants.object")
    return Target((kind or "table").lower(), literal, name)


def all_privileges(kind: str, version: tuple[int, ...] | None = None) -> frozenset:
    """Return the names that ``ALL`` stands for on a target of ``kind``.

    :param version: of the server; ``None`` takes every privilege known here.
    """
    return frozenset(
        name for name in _SCOPES.get(kind, _ROUTINE) if version is None or version >= _SINCE.get(name, (0,))
    )


def _columns(text: str, privilege: str) -> list[str]:
    found, position = [], 0
    while position < len(text):
        match = _COLUMN.match(text, position)
        if not match:
            raise ValidationError(
                f"grants.privileges={privilege!r} has no list of columns.", hint="Write SELECT (a, b)."
            )
        found.append(_unquote(match[1]))
        position = match.end()
    return found


def parse_privileges(words: Iterable[str], target: Target, version: tuple[int, ...] | None = None) -> frozenset:
    """Return the :data:`Privilege` pairs that ``words`` mean on ``target``; ``{("ALL", None)}`` for ``ALL``.

    Case and the amount of space do not matter, old names become today's, ``USAGE`` means none.

    :raises ValidationError: a privilege is unknown, or does not exist on such a target or on this server.
    """
    known = all_privileges(target.kind, version)
    result = set()
    for word in words:
        match = _PRIVILEGE.fullmatch(word.strip())
        name = " ".join(match["name"].upper().split()) if match else word
        name = _SYNONYMS.get(name, name)
        if name == "GRANT OPTION":
            raise ValidationError("grants.privileges has GRANT OPTION.", hint="Set grant_option: true instead.")
        if name in ("ALL", "USAGE") and not match["columns"]:
            result.update({("ALL", None)} if name == "ALL" else ())
        elif name not in known:
            raise ValidationError(
                f"grants.privileges={word!r} is not a privilege on {target}"
                + (f" in MariaDB {'.'.join(map(str, version))}." if version else "."),
                hint=f"There are ALL, {', '.join(sorted(known))}.",
            )
        elif match["columns"]:
            if target.kind != "table" or name not in _COLUMNS:
                raise ValidationError(
                    f"grants.privileges={word!r}: {name} on {target} takes no columns.",
                    hint=f"Only {', '.join(_COLUMNS)} on db.table do.",
                )
            result.update((name, column) for column in _columns(match["columns"], word))
        else:
            result.add((name, None))
    return frozenset({("ALL", None)} if ("ALL", None) in result else result)


def privileges_sql(privileges: Iterable[Privilege]) -> str:
    """Return the list of privileges as ``GRANT`` and ``REVOKE`` take it; ``USAGE`` where there is none."""
    columns: dict[str, list[str]] = {}
    whole = set()
    for name, column in privileges:
        if column is None:
            whole.add("ALL PRIVILEGES" if name == "ALL" else name)
        else:
            columns.setdefault(name, []).append(column)
    parts = sorted(whole)
    parts += [f"{name} ({', '.join(quote(column) for column in sorted(columns[name]))})" for name in sorted(columns)]
    return ", ".join(parts) or "USAGE"
