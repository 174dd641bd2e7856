# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to a server, seen by one that plays back what Debian's MariaDB answered."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.apply import Schema, apply_schema
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.server import Settings, native_hash
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.state import Account, State, read_state
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.wishes import database_wishes, user_wishes

SETTINGS = Settings("/nonexistent/mysqld.sock")
ROOT = {
    "access": 18446744073709551615,
    "plugin": "mysql_native_password",
    "authentication_string": "invalid",
    "auth_or": [{}, {"plugin": "unix_socket"}],
}


def database(name="shop", **options):
    return {"name": name, "charset": "utf8mb4", "collation": None, "state": "present", **options}


def user(name="shop", **options):
    preset = {"host": "localhost", "password": None, "plugin": None, "grants": None, "exclusive_grants": True}
    return {"name": name, **preset, "tls_required": None, "state": "present", **options}


class RecordedServer:
    """Answers the queries of ``read_state`` and keeps what else is sent."""

    def __init__(self, accounts=(), databases=(), grants=(), test_grants=0):
        self.accounts = [("root", "localhost", json.dumps(ROOT)), *accounts]
        self.databases, self.grants, self.test_grants = list(databases), list(grants), test_grants
        self.queries = 0
        self.sent = []

    def rows(self, statement, arguments=()):
        self.queries += 1
        if statement.startswith("SELECT VERSION"):
            return [("11.8.6-MariaDB-0+deb13u1 from Debian", "root@localhost", 0, self.test_grants)]
        if "SCHEMATA" in statement:
            return [row for row in self.databases if row[0] in arguments[0]]
        if "global_priv" in statement:
            return [row for row in self.accounts if row[0] in arguments[0]]
        if "USER_PRIVILEGES" in statement:
            return [row for row in self.grants if row[1] in arguments[0]]
        self.sent.append((statement, arguments))
        return []


def schema(server, databases=(), users=(), contents=None, check=False):
    wanted = database_wishes(list(databases)), user_wishes(list(users), secure=True)
    state = read_state(server, [wish.name for wish in wanted[0]], [wish.key for wish in wanted[1]])
    return Schema(server, state, contents or {}, SETTINGS, check), *wanted


def native(password, **more):
    return json.dumps(
        {"access": 0, "plugin": "mysql_native_password", "authentication_string": native_hash(password), **more}
    )


def test_the_hash_is_mariadbs():
    # SELECT PASSWORD('password') on 11.8.6
    assert native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_reading_takes_the_same_queries_for_one_and_for_many():
    counts = set()
    for number in (1, 40):
        names = [f"u{index}" for index in range(number)]
        server = RecordedServer(accounts=[(name, "localhost", native("x")) for name in names])
        read_state(server, names, [(name, "localhost") for name in names])
        counts.add(server.queries)
    assert counts == {4}


def test_accounts_are_read():
    both = json.loads(native("x", ssl_type=1, auth_or=[{"plugin": "unix_socket"}, {}]))
    server = RecordedServer(
        accounts=[
            ("app", "localhost", json.dumps(both)),
            ("app", "", json.dumps({"access": 0, "is_role": True})),
            ("", "%", json.dumps({"access": 0, "plugin": "mysql_native_password", "authentication_string": ""})),
        ],
        grants=[
            ("global", "'app'@'localhost'", "", "", "", "USAGE", "NO"),
            ("database", "'app'@'localhost'", r"app\_db", "", "", "SELECT", "YES"),
            ("table", "'app'@'localhost'", "app_db", "t", "a", "UPDATE", "NO"),
            ("function", "'app'@'localhost'", "app_db", "f", "", "Execute,Alter Routine,Grant", ""),
            ("role", "'app'@'localhost'", "readers", "", "", "", ""),
            ("proxy", "'app'@'localhost'", "q", "%", "", "", ""),
            ("global", "'APP'@'localhost'", "", "", "", "SUPER", "NO"),
        ],
    )
    state = read_state(server, [], [("app", "localhost")])
    assert (state.version, state.connected_as) == ((11, 8), ("root", "localhost"))
    assert state.anonymous == [("", "%")]
    found = state.accounts[("app", "localhost")]
    assert found.methods == [("unix_socket", ""), ("mysql_native_password", native_hash("x"))]
    assert found.tls
    assert found.unmanaged == ["role readers", "PROXY ON 'q'@'%'"]
    held = {str(target): (grants.privileges, grants.option) for target, grants in found.grants.items()}
    assert held == {
        "*.*": (set(), False),
        r"`app\_db`.*": ({("SELECT", None)}, True),
        "`app_db`.`t`": ({("UPDATE", "a")}, False),
        "FUNCTION `app_db`.`f`": ({("EXECUTE", None), ("ALTER ROUTINE", None)}, True),
    }


def test_no_password_is_sent():
    server = RecordedServer()
    # A host that no login can be tried for, so that nothing else is needed.
    entry = user(host="192.0.2.%", password="hunter2", grants=[])
    work, _databases, users = schema(server, users=[entry])
    work.user(users[0], secure=True)
    assert server.sent == [
        (
            "CREATE USER %s@%s IDENTIFIED VIA mysql_native_password USING %s",
            ("shop", "192.0.2.%", native_hash("hunter2")),
        )
    ]
    told = json.dumps([work.outcomes.result(), work.logins])
    assert "hunter2" not in told
    assert native_hash("hunter2") not in told
    assert work.logins == [
        {
            "user": "shop",
            "host": "192.0.2.%",
            "ok": None,
            "why": "Not tried: the server's own machine can't log in as host 192.0.2.%.",
        }
    ]


def test_a_changed_password_is_told_but_not_shown():
    server = RecordedServer(accounts=[("shop", "192.0.2.1", native("old"))])
    work, _databases, users = schema(server, users=[user(host="192.0.2.1", password="new")])
    work.user(users[0], secure=True)
    assert work.outcomes.entries[0]["changes"] == ["authentication"]
    assert "password (not shown): changed" in work.outcomes.diffs[0]["after"]
    assert [statement for statement, _arguments in server.sent] == [
        "ALTER USER %s@%s IDENTIFIED VIA mysql_native_password USING %s"
    ]


def test_the_right_password_changes_nothing():
    server = RecordedServer(accounts=[("shop", "192.0.2.1", native("same"))])
    work, _databases, users = schema(server, users=[user(host="192.0.2.1", password="same", tls_required=False)])
    work.user(users[0], secure=True)
    assert server.sent == []
    assert not work.outcomes.changed


def test_a_preview_sends_nothing_and_predicts_the_same():
    results = []
    for check in (True, False):
        server = RecordedServer(
            accounts=[("", "localhost", native("x")), ("root", "%", native("x")), ("old", "localhost", native("x"))],
            databases=[("test", "utf8mb4", "utf8mb4_general_ci"), ("gone", "latin1", "latin1_bin")],
            test_grants=2,
        )
        entries = [user("new", host="::1", password="x", grants=[{"object": "shop.*", "privileges": ["ALL"],
                   "grant_option": False, "wildcard": False}]), user("old", state="absent")]  # fmt: skip
        work, databases, users = schema(server, [database(), database("gone", state="absent")], entries, check=check)
        work.secure(databases, users, allow_drop=False)
        for wish in databases:
            work.database(wish, allow_drop=False)
        for wish in users:
            work.user(wish, secure=True)
        results.append(work.outcomes.result())
        assert bool(server.sent) != check
    assert results[0] == results[1]
    assert [(entry["item"], entry["changed"]) for entry in results[0]["outcomes"]] == [
        ("anonymous users", True),
        ("remote root users", True),
        ("test database", True),
        ("root by unix_socket", False),
        ("database shop", True),
        ("database gone", True),
        ("user 'new'@'::1'", True),
        ("user 'old'@'localhost'", True),
    ]


def test_a_database_with_tables_stays():
    server = RecordedServer(databases=[("shop", "utf8mb4", "utf8mb4_bin"), ("test", "utf8mb4", "utf8mb4_bin")])
    work, databases, _users = schema(server, [database(state="absent")], contents={"shop": 3, "test": 1})
    work.secure(databases, [], allow_drop=False)
    work.database(databases[0], allow_drop=False)
    assert server.sent == []
    failed = [entry for entry in work.outcomes.entries if entry.get("failed")]
    assert [entry["item"] for entry in failed] == ["test database", "database shop"]
    assert all(entry["error"]["kind"] == "unsafe" and "allow_drop" in entry["error"]["hint"] for entry in failed)
    work.database(databases[0], allow_drop=True)
    assert server.sent == [("DROP DATABASE `shop`", ())]


def test_the_test_database_stays_when_listed():
    server = RecordedServer(databases=[("test", "utf8mb4", "utf8mb4_bin")])
    work, databases, _users = schema(server, [database("test")])
    work.secure(databases, [], allow_drop=True)
    assert server.sent == []


@pytest.mark.parametrize("name", ["root", "mysql", "mariadb.sys"])
def test_administrators_stay_and_keep_their_privileges(name):
    held = ("global", f"'{name}'@'localhost'", "", "", "", "SUPER", "NO")
    server = RecordedServer(accounts=[(name, "localhost", json.dumps(ROOT))], grants=[held])
    for entry in (user(name, state="absent"), user(name, grants=[])):
        work, _databases, users = schema(server, users=[entry])
        work.user(users[0], secure=True)
        assert work.outcomes.entries[0]["error"]["kind"] == "unsafe"
    assert server.sent == []


@pytest.mark.parametrize(
    ("methods", "after"),
    [
        ([("mysql_native_password", "")], "IDENTIFIED VIA unix_socket"),
        (
            [("mysql_native_password", "*AB")],
            "IDENTIFIED VIA mysql_native_password USING %s OR unix_socket",
        ),
        ([("mysql_native_password", ""), ("unix_socket", "")], "IDENTIFIED VIA unix_socket"),
        ([("unix_socket", "")], None),
        ([("mysql_native_password", "invalid"), ("unix_socket", "")], None),
    ],
)
def test_root_gets_the_socket_and_never_an_empty_password(methods, after):
    server = RecordedServer()
    state = State(version=(11, 8), accounts={("root", "localhost"): Account(list(methods), tls=False)})
    work = Schema(server, state, {}, SETTINGS, check=False)
    work.secure([], [], allow_drop=False)
    assert [statement for statement, _arguments in server.sent] == (
        [] if after is None else [f"ALTER USER 'root'@'localhost' {after}"]
    )


def test_a_new_user_needs_a_way_in():
    work, _databases, users = schema(RecordedServer(), users=[user(grants=[])])
    work.user(users[0], secure=True)
    assert work.outcomes.entries[0]["error"]["kind"] == "validation"
    assert "password" in work.outcomes.entries[0]["error"]["message"]


def test_one_bad_item_does_not_keep_the_others():
    grant = {"object": "shop.*", "privileges": ["SELCT"], "grant_option": False, "wildcard": False}
    server = RecordedServer()
    entries = [user("a", plugin="unix_socket", grants=[grant]), user("b", plugin="unix_socket")]
    work, _databases, users = schema(server, users=entries)
    for wish in users:
        work.user(wish, secure=True)
    result = work.outcomes.result()
    assert result["failed"]
    assert "'a'@'localhost'" in result["msg"]
    assert server.sent == [("CREATE USER %s@%s IDENTIFIED VIA unix_socket", ("b", "localhost"))]


def options(**changes):
    preset = {"databases": [database()], "users": [user(password="x", grants=[])], "secure": True, "allow_drop": False}
    login = {"login_socket": "/nonexistent/mysqld.sock", "login_user": "root", "login_password": None, "timeout": 5}
    return {**preset, **login, **changes}


def test_without_a_server_everything_is_predicted():
    warnings = []
    result = apply_schema(options(), check=True, warn=warnings.append)
    assert result["changed"]
    assert [entry["item"] for entry in result["outcomes"] if entry["changed"]] == [
        "database shop",
        "user 'shop'@'localhost'",
    ]
    assert (result["queries"], result["server_version"]) == (0, None)
    assert len(warnings) == 1
    assert warnings[0].endswith("The prediction is for a new server.")


def test_without_a_server_a_run_fails_with_a_way_out():
    with pytest.raises(ToolkitError) as caught:
        apply_schema(options(), check=False, warn=print)
    assert caught.value.kind in ("dependency", "unavailable")
    assert "python3-pymysql" in caught.value.hint or "mariadb.service" in caught.value.hint
