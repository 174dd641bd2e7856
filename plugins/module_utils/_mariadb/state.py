# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a MariaDB server has, read with a constant number of queries: server, databases, accounts, grants."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .names import Target, account
from .server import Server

__all__ = ["TEST_PATTERNS", "Account", "Database", "Held", "State", "read_contents", "read_state"]

TEST_PATTERNS = ("test", "test\\_%")
"""The databases that MariaDB's old installation opened to everybody."""

_GRANTS = """
SELECT 'global', GRANTEE, '', '', '', PRIVILEGE_TYPE, IS_GRANTABLE
  FROM information_schema.USER_PRIVILEGES WHERE GRANTEE IN %s
UNION ALL SELECT 'database', GRANTEE, TABLE_SCHEMA, '', '', PRIVILEGE_TYPE, IS_GRANTABLE
  FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE IN %s
UNION ALL SELECT 'table', GRANTEE, TABLE_SCHEMA, TABLE_NAME, '', PRIVILEGE_TYPE, IS_GRANTABLE
  FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE IN %s
UNION ALL SELECT 'table', GRANTEE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE, IS_GRANTABLE
  FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE IN %s
UNION ALL SELECT LOWER(Routine_type), CONCAT('''', User, '''@''', Host, ''''), Db, Routine_name, '', Proc_priv, ''
  FROM mysql.procs_priv WHERE CONCAT('''', User, '''@''', Host, '''') IN %s
UNION ALL SELECT 'role', CONCAT('''', User, '''@''', Host, ''''), Role, '', '', '', ''
  FROM mysql.roles_mapping WHERE CONCAT('''', User, '''@''', Host, '''') IN %s
UNION ALL SELECT 'proxy', CONCAT('''', User, '''@''', Host, ''''), Proxied_user, Proxied_host, '', '', ''
  FROM mysql.proxies_priv WHERE CONCAT('''', User, '''@''', Host, '''') IN %s
"""


@dataclass(frozen=True)
class Database:
    """A database's default character set and collation."""

    charset: str
    collation: str


@dataclass
class Held:
    """What an account holds on one target: ``(privilege, column)`` pairs and whether it may pass them on."""

    privileges: set = field(default_factory=set)
    option: bool = False


@dataclass
class Account:
    """How an account authenticates and what it holds.

    ``methods`` are ``(plugin, authentication string)`` pairs, any of which lets it in. ``unmanaged`` names the roles
    and PROXY grants, which are told but never touched.
    """

    methods: list[tuple[str, str]]
    tls: bool
    grants: dict[Target, Held] = field(default_factory=dict)
    unmanaged: list[str] = field(default_factory=list)


@dataclass
class State:
    """The server and what of it was asked for; the preset one is a server that is not there yet."""

    version: tuple[int, ...] | None = None
    version_text: str | None = None
    connected_as: tuple[str, str] | None = None
    fold: bool = False
    databases: dict[str, Database] = field(default_factory=dict)
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    anonymous: list[tuple[str, str]] = field(default_factory=list)
    test_grants: int = 0


def _parse_account(document: str) -> tuple[Account, bool]:
    entry = json.loads(document)
    first = (entry.get("plugin", ""), entry.get("authentication_string", ""))
    # In auth_or the empty object stands for the plugin of the outer one.
    methods = [
        (method["plugin"], method.get("authentication_string", "")) if method.get("plugin") else first
        for method in entry.get("auth_or", [{}])
    ]
    return Account(methods, tls=int(entry.get("ssl_type", 0)) > 0), bool(entry.get("is_role"))


def _add_grant(found: Account, kind: str, database: str, name: str, column: str, privilege: str, option: str) -> None:
    if kind == "role":
        found.unmanaged.append(f"role {database}")
        return
    if kind == "proxy":
        found.unmanaged.append(f"PROXY ON {account(database, name)}")
        return
    held = found.grants.setdefault(Target(kind, database, name), Held())
    if kind not in ("global", "database", "table"):
        words = {word.upper() for word in privilege.split(",") if word}
        held.option = "GRANT" in words
        held.privileges.update((word, None) for word in words - {"GRANT"})
        return
    held.option = held.option or option == "YES"
    if privilege != "USAGE":
        held.privileges.add((privilege, column or None))


def read_state(server: Server, databases: Iterable[str], users: Iterable[tuple[str, str]]) -> State:
    """Return the :class:`State` with the named databases, and all accounts that share a name with ``users``, that are
    anonymous or are called root. Four queries, and a fifth for the grants when one of ``users`` exists."""
    state = State()
    # The parameter list of IN must not be empty.
    names = tuple({"test", *databases})
    wanted = set(users)
    version, current, fold, grants = server.rows(
        "SELECT VERSION(), CURRENT_USER(), @@lower_case_table_names,"
        " (SELECT COUNT(*) FROM mysql.db WHERE User = '' AND Db IN %s)",
        (TEST_PATTERNS,),
    )[0]
    state.version_text = version
    state.version = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    state.connected_as = tuple(current.rsplit("@", 1))
    state.fold = int(fold) > 0
    state.test_grants = int(grants)
    if state.fold:
        names = tuple({name.lower() for name in names})
    for name, charset, collation in server.rows(
        "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"
        " FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN %s",
        (names,),
    ):
        state.databases[name] = Database(charset, collation)
    for user, host, document in server.rows(
        "SELECT User, Host, Priv FROM mysql.global_priv WHERE User IN %s",
        (tuple({"", "root", *(user for user, _host in wanted)}),),
    ):
        found, is_role = _parse_account(document)
        if is_role:
            continue
        if user == "":
            state.anonymous.append((user, host))
        state.accounts[(user, host)] = found
    present = {account(*key): key for key in wanted if key in state.accounts}
    if present:
        grantees = tuple(present)
        for kind, grantee, *rest in server.rows(_GRANTS, (grantees,) * 7):
            # The comparison of information_schema ignores case, user names do not.
            if grantee in present:
                _add_grant(state.accounts[present[grantee]], kind, *rest)
    return state


def read_contents(server: Server, databases: Iterable[str]) -> dict[str, int]:
    """Return how many tables, views, routines and events each of ``databases`` has; empty ones are left out."""
    names = tuple(databases)
    return dict(
        server.rows(
            "SELECT name, COUNT(*) FROM ("
            " SELECT TABLE_SCHEMA AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %s"
            " UNION ALL SELECT ROUTINE_SCHEMA FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN %s"
            " UNION ALL SELECT EVENT_SCHEMA FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN %s"
            ") AS contents GROUP BY name",
            (names, names, names),
        )
    )
