# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is to what shall be: plans each item from the state read, executes unless it is a preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext

from .._core.errors import PermissionDenied, UnsafeError, ValidationError
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .grants import GrantPlan, grant_lines, plan_grants
from .names import account, quote
from .server import MissingServerError, Server, Settings, connect, native_hash, try_login
from .state import TEST_PATTERNS, Account, Database, State, read_contents, read_state
from .wishes import DatabaseWish, UserWish, database_wishes, user_wishes

__all__ = ["Schema", "apply_schema"]

_NATIVE = "mysql_native_password"
_OURS = (("root", "localhost"), ("mysql", "localhost"), ("mariadb.sys", "localhost"))
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Schema:
    """Applies wishes to a server.

    :param server: ``None`` where there is none yet; then everything is predicted.
    :param state: what the server has; kept up to date as items are done.
    :param contents: how many objects the databases that are to go have.
    """

    def __init__(self, server: Server | None, state: State, contents: dict[str, int], settings: Settings, check: bool):
        self._server = server
        self._state = state
        self._contents = contents
        self._settings = settings
        self._check = check or server is None
        self.outcomes = Outcomes()
        self.logins: list[dict] = []
        self._strangers = bool(state.anonymous) and check
        # A preview leaves the anonymous users where they are, in the way of logins.

    def _do(self, statement: str, arguments: tuple = ()) -> None:
        if not self._check:
            self._server.rows(statement, arguments)

    def _show(self, item: str, before: str | None, after: str | None) -> None:
        self.outcomes.diffs.append(text_diff(item, before, after))

    def _lookup(self, name: str) -> str:
        return name.lower() if self._state.fold else name

    # Databases

    def database(self, wish: DatabaseWish, allow_drop: bool) -> None:
        """Create, alter or drop one database."""
        with self.outcomes.item(wish.item) as outcome:
            name = self._lookup(wish.name)
            found = self._state.databases.get(name)
            if not wish.present:
                if found is not None:
                    self._drop_database(wish.item, name, allow_drop)
                    outcome["changed"] = True
                return
            if found and found.charset == wish.charset and wish.collation in (None, found.collation):
                return
            default = f"CHARACTER SET {wish.charset}" + (f" COLLATE {wish.collation}" if wish.collation else "")
            verb = "ALTER" if found else "CREATE"
            self._do(f"{verb} DATABASE {quote(name)} {default}")
            before = _database_text(found) if found else None
            self._show(wish.item, before, default + "\n")
            outcome["changed"] = True

    def _drop_database(self, item: str, name: str, allow_drop: bool) -> None:
        count = self._contents.get(name, 0)
        if count and not allow_drop:
            raise UnsafeError(
                f"The database {name} has {count} tables, views, routines or events; dropping it destroys them.",
                hint="Back it up, then set allow_drop: true.",
                item=item,
            )
        self._do(f"DROP DATABASE {quote(name)}")
        found = self._state.databases.pop(name)
        self._show(item, f"{_database_text(found)}{count} tables, views, routines and events\n", None)

    # Safe defaults

    def secure(self, databases: list[DatabaseWish], users: list[UserWish], allow_drop: bool) -> None:
        """Remove what lets strangers in: anonymous users, root from elsewhere, the test database; and have root log
        in by its socket."""
        self._drop_accounts("anonymous users", self._state.anonymous)
        remote = [key for key in self._state.accounts if key[0] == "root" and key[1] not in _LOCAL]
        self._drop_accounts("remote root users", remote)
        kept = any(self._lookup(wish.name) == "test" for wish in databases)
        with self.outcomes.item("test database") as outcome:
            if self._state.test_grants:
                # Grants to the anonymous user survive without that user, where no REVOKE finds them.
                self._do("DELETE FROM mysql.db WHERE User = '' AND Db IN %s", (TEST_PATTERNS,))
                self._do("FLUSH PRIVILEGES")
                self._show("test database grants", f"{self._state.test_grants} grants to everybody\n", None)
                outcome["changed"] = True
            if "test" in self._state.databases and not kept:
                try:
                    self._drop_database("test database", "test", allow_drop)
                except UnsafeError as error:
                    error.hint += " To keep it, list it in databases."
                    raise
                outcome["changed"] = True
        with self.outcomes.item("root by unix_socket") as outcome:
            root = self._state.accounts.get(("root", "localhost"))
            if root is None or any(wish.key == ("root", "localhost") for wish in users):
                return
            methods = [method for method in root.methods if method != ("unix_socket", "") and not _opens_to_all(method)]
            methods.append(("unix_socket", ""))
            if sorted(methods) != sorted(root.methods):
                self._do(f"ALTER USER 'root'@'localhost' {_identified(methods)[0]}", _identified(methods)[1])
                self._show("root by unix_socket", _methods_text(root.methods), _methods_text(methods))
                outcome["changed"] = True

    def _drop_accounts(self, item: str, keys: list[tuple[str, str]]) -> None:
        with self.outcomes.item(item) as outcome:
            if not keys:
                return
            if self._state.connected_as in keys:
                raise UnsafeError(f"They include {account(*self._state.connected_as)}, who is connected here.",
                                  hint="Connect as another user by login_user, or set secure: false.")  # fmt: skip
            marks = ", ".join(["%s@%s"] * len(keys))
            self._do(f"DROP USER IF EXISTS {marks}", tuple(part for key in keys for part in key))
            self._show(item, "".join(f"{account(*key)}\n" for key in sorted(keys)), None)
            outcome["changed"] = True
            for key in keys:
                self._state.accounts.pop(key, None)

    # Users

    def user(self, wish: UserWish, secure: bool) -> None:
        """Create, change or drop one account, and prove that its password opens it."""
        with self.outcomes.item(wish.item) as outcome:
            found = self._state.accounts.get(wish.key)
            if not wish.present:
                if found is not None:
                    self._drop_user(wish)
                    outcome["changed"] = True
                return
            changes = outcome["changes"] = []
            before = None if found is None else _account_lines(found)
            plan = plan_grants(wish, found, self._state)
            self._refuse_own_loss(wish, plan)
            methods = self._methods(wish, found, secure)
            if found is None and methods is None:
                raise ValidationError(
                    f"{account(*wish.key)} does not exist and has neither password nor plugin.",
                    hint="Give users.password, or users.plugin such as unix_socket.",
                )
            require = "" if wish.tls is None else f" REQUIRE {'SSL' if wish.tls else 'NONE'}"
            new = Account(list(found.methods) if found else [], found.tls if found else False)
            if found is None:
                clause, arguments = _identified(methods)
                self._do(f"CREATE USER %s@%s {clause}{require if wish.tls else ''}", (*wish.key, *arguments))
                changes.append("created")
            else:
                other_methods = methods is not None and sorted(methods) != sorted(found.methods)
                other_tls = wish.tls is not None and wish.tls != found.tls
                if other_methods or other_tls:
                    clause, arguments = _identified(methods) if other_methods else ("", ())
                    self._do(f"ALTER USER %s@%s {clause}{require if other_tls else ''}", (*wish.key, *arguments))
                changes += ["authentication"] * other_methods + ["tls_required"] * other_tls
            for statement, arguments in plan.statements:
                self._do(statement, arguments)
            if plan.statements:
                changes.append("grants")
            new.methods = list(methods) if methods is not None else new.methods
            new.tls = new.tls if wish.tls is None else wish.tls
            new.grants, new.unmanaged = plan.after, list(found.unmanaged) if found else []
            self._state.accounts[wish.key] = new
            outcome["changed"] = bool(changes)
            if new.unmanaged and wish.exclusive and wish.grants is not None:
                outcome["unmanaged"] = sorted(new.unmanaged)
            if changes:
                note = "password (not shown): changed\n" if found and _secret_changed(found, new) else ""
                self._show(wish.item, before, _account_lines(new) + note)
            if wish.password is not None:
                self._prove(wish, new, changed="created" in changes or "authentication" in changes)

    def _drop_user(self, wish: UserWish) -> None:
        if wish.key in _OURS or wish.key == self._state.connected_as:
            raise UnsafeError(
                f"{account(*wish.key)} administers this server; without it nobody can.", hint="Take it off the list."
            )
        before = _account_lines(self._state.accounts.pop(wish.key))
        self._do("DROP USER %s@%s", wish.key)
        self._show(wish.item, before, None)

    def _refuse_own_loss(self, wish: UserWish, plan: GrantPlan) -> None:
        if plan.revoked and (wish.key in _OURS or wish.key == self._state.connected_as):
            raise UnsafeError(
                f"{account(*wish.key)} administers this server and would lose {'; '.join(plan.revoked)}.",
                hint="List these in its grants, or set exclusive_grants: false.",
            )

    def _methods(self, wish: UserWish, found: Account | None, secure: bool) -> list[tuple[str, str]] | None:
        """Return the methods the account shall have; ``None`` leaves them."""
        if wish.password is None:
            if wish.plugin is None:
                return None
            if found and [plugin for plugin, _string in found.methods] == [wish.plugin]:
                return None
            return [(wish.plugin, "")]
        native = (_NATIVE, native_hash(wish.password))
        if secure and wish.key == ("root", "localhost"):
            return [("unix_socket", ""), native]
        if (
            found
            and wish.plugin is None
            and all(plugin not in (_NATIVE, "unix_socket") for plugin, _string in found.methods)
        ):
            # Its hash can't be compared here; it is right if it opens the account.
            matched, _why = try_login(self._settings, wish.name, wish.password, found.tls)
            if matched == "@".join(wish.key):
                return None
        return [native]

    # Proof

    def _prove(self, wish: UserWish, new: Account, changed: bool) -> None:
        proof: dict = {"user": wish.name, "host": wish.host, "ok": None, "why": None}
        self.logins.append(proof)
        if self._check and changed:
            proof["why"] = "Not tried: the password is not set in check mode."
            return
        if wish.host not in ("localhost", "%"):
            proof["why"] = f"Not tried: the server's own machine can't log in as host {wish.host}."
            return
        if wish.host == "%" and self._state_has_nearer(wish.name):
            proof["why"] = "Not tried: from this machine the server takes an account for localhost instead."
            return
        matched, why = try_login(self._settings, wish.name, wish.password, new.tls)
        proof["ok"] = matched == "@".join(wish.key)
        if not proof["ok"]:
            proof["why"] = why or f"The server took {matched} instead."
            raise PermissionDenied(
                f"{account(*wish.key)} has this password but can't log in: {proof['why'].rstrip('.')}.",
                hint="Is the account locked, its password expired, or does it require TLS that the server lacks?",
            )

    def _state_has_nearer(self, name: str) -> bool:
        return self._strangers or any(user in (name, "") and host != "%" for user, host in self._state.accounts)


def _database_text(found: Database) -> str:
    return f"CHARACTER SET {found.charset} COLLATE {found.collation}\n"


def _opens_to_all(method: tuple[str, str]) -> bool:
    return method[0] in (_NATIVE, "mysql_old_password", "") and not method[1]


def _identified(methods: list[tuple[str, str]]) -> tuple[str, tuple]:
    """Return ``IDENTIFIED VIA ...`` and its arguments (names of plugins are checked words)."""
    parts = [f"{plugin} USING %s" if string else plugin for plugin, string in methods]
    return f"IDENTIFIED VIA {' OR '.join(parts)}", tuple(string for _plugin, string in methods if string)


def _methods_text(methods: list[tuple[str, str]]) -> str:
    words = []
    for method in methods:
        words.append(f"{method[0] or _NATIVE} (no password)" if _opens_to_all(method) else method[0])
    return f"identified via {' or '.join(sorted(words))}\n"


def _account_lines(found: Account) -> str:
    lines = [_methods_text(found.methods)]
    if found.tls:
        lines.append("require SSL\n")
    return "".join(lines + [f"{line}\n" for line in grant_lines(found.grants)])


def _secret_changed(found: Account, new: Account) -> bool:
    strings = [dict(methods).get(_NATIVE) for methods in (found.methods, new.methods)]
    return strings[0] != strings[1]


def apply_schema(options: Mapping, check: bool, warn: Callable[[str], None]) -> dict:
    """Bring a server to what ``options`` (those of ``mariadb_schema``) say and return the module's result.

    :param check: only predict; also where the server is missing.
    :param warn: takes a sentence for the person.
    :raises ToolkitError: an option can't be used, or the server can't be reached.
    """
    secure, allow_drop = options["secure"], options["allow_drop"]
    databases = database_wishes(options["databases"])
    users = user_wishes(options["users"], secure)
    if options["timeout"] < 1:
        raise ValidationError(f"timeout={options['timeout']} is no time to answer in.", hint="Give at least 1 second.")
    settings = Settings(options["login_socket"], options["login_user"], options["login_password"], options["timeout"])
    try:
        connection = connect(settings)
    except MissingServerError as missing:
        if not check:
            raise missing.error from None
        warn(f"{missing.error.message} The prediction is for a new server.")
        connection = nullcontext()
    with connection as server:
        state, contents = State(), {}
        if server is not None:
            state = read_state(server, [wish.name for wish in databases], [wish.key for wish in users])
            going = [wish.name for wish in databases if not wish.present] + (["test"] if secure else [])
            going = [name for name in going if (name.lower() if state.fold else name) in state.databases]
            contents = read_contents(server, going) if going else {}
        schema = Schema(server, state, contents, settings, check)
        if secure:
            schema.secure(databases, users, allow_drop)
        for wish in sorted(databases, key=lambda wish: not wish.present):
            schema.database(wish, allow_drop)
        for wish in users:
            schema.user(wish, secure)
        return {
            **schema.outcomes.result(),
            "logins": schema.logins,
            "queries": 0 if server is None else server.queries,
            "server_version": state.version_text,
        }
