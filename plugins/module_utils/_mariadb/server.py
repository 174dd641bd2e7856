# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to a MariaDB server over python3-pymysql: queries are counted, errors become the house's."""

from __future__ import annotations

import hashlib
import os
import ssl
from dataclasses import dataclass

try:
    import pymysql
except ImportError:
    pymysql = None

from .._core.errors import (
    ConflictError,
    DependencyError,
    NotFoundError,
    PermissionDenied,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
    ValidationError,
)

__all__ = ["MissingServerError", "Server", "Settings", "connect", "native_hash", "try_login"]

_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION"

_KINDS = {
    PermissionDenied: (1044, 1045, 1142, 1227, 1698, 1862, 3118, 4151),
    ValidationError: (1059, 1064, 1102, 1115, 1221, 1253, 1273, 1470, 1524, 1525),
    NotFoundError: (1008, 1049, 1054, 1146, 1305, 1549),
    ConflictError: (1007, 1141, 1147, 1396),
    TimeoutExpired: (1205,),
}
"""Which error numbers of the server mean which kind (https://mariadb.com/kb/en/mariadb-error-codes/); all others are
``unavailable``: it is full, read-only, out of connections, shutting down."""


class MissingServerError(Exception):
    """There is no server to talk to (yet): the library, the socket or the server behind the socket is missing.

    :param error: what a run that is no preview fails with.
    """

    def __init__(self, error: ToolkitError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class Settings:
    """Where the server is and who connects; ``timeout`` in seconds holds for connecting, each statement and locks."""

    socket: str
    user: str = "root"
    password: str | None = None
    timeout: int = 60


def native_hash(password: str) -> str:
    """Return what ``mysql_native_password`` stores for ``password``: ``*`` and SHA-1 of SHA-1 in upper-case hex.

    (https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/). Computed here so that the password itself
    never reaches a statement, and so no log, no process list and no binary log.
    """
    stage1 = hashlib.sha1(password.encode("utf-8")).digest()  # noqa: S324 (the protocol's hash)
    return "*" + hashlib.sha1(stage1).hexdigest().upper()  # noqa: S324


def _translated(error: Exception, timeout: int) -> ToolkitError:
    number = error.args[0] if error.args else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    for kind, numbers in _KINDS.items():
        if number in numbers:
            return kind(f"MariaDB refuses: {text} ({number}).")
    if number == 2013 and "timed out" in text:
        return TimeoutExpired(f"MariaDB did not answer within {timeout} seconds.", hint="Raise the option timeout.")
    if number in (0, 2006, 2013):
        return UnavailableError("The connection to MariaDB is lost.", hint="See journalctl -u mariadb.service.")
    return UnavailableError(f"MariaDB can't do it now: {text} ({number}).")


class Server:
    """An open connection. Use it in a ``with`` statement."""

    def __init__(self, connection, timeout: int) -> None:
        self._connection = connection
        self._timeout = timeout
        self.queries = 0
        """Statements sent so far."""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception) -> None:
        try:
            self._connection.close()
        except (pymysql.err.Error, OSError):
            pass

    def rows(self, statement: str, arguments: tuple = ()) -> list[tuple]:
        """Send one statement and return its rows; ``%s`` stands for arguments, a literal ``%`` is doubled.

        :raises ToolkitError: the server refuses, or the connection is lost.
        """
        self.queries += 1
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, tuple(arguments))
                return list(cursor.fetchall())
        except pymysql.err.Error as error:
            raise _translated(error, self._timeout) from None
        except OSError as error:
            raise UnavailableError(f"The connection to MariaDB is lost: {error.strerror or error}.") from None


def _open(settings: Settings, user: str, password: str | None, tls: bool):
    context = None
    if tls:
        # The socket is local, so there is nobody to authenticate; the server only wants its REQUIRE SSL satisfied.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return pymysql.connect(
        unix_socket=settings.socket,
        user=user,
        # pymysql would encode text as Latin-1; MariaDB's own clients send what the terminal gives, which is UTF-8.
        password=(password or "").encode("utf-8"),
        charset="utf8mb4",
        autocommit=True,
        sql_mode=_SQL_MODE,
        connect_timeout=min(settings.timeout, 10),
        read_timeout=settings.timeout,
        write_timeout=settings.timeout,
        ssl=context,
    )


def connect(settings: Settings) -> Server:
    """Return a :class:`Server` for the administrator.

    :raises MissingServerError: no library, no socket, or nobody listens.
    :raises PermissionDenied: the server does not let this user in.
    :raises ToolkitError: anything else that keeps the server from answering.
    """
    if pymysql is None:
        raise MissingServerError(
            DependencyError(
                "The Python library pymysql is not installed.", hint="Install the Debian package python3-pymysql."
            )
        )
    if not os.path.exists(settings.socket):
        raise MissingServerError(
            UnavailableError(
                f"There is no MariaDB socket at login_socket={settings.socket}.",
                hint="Install mariadb-server and start mariadb.service, or give the right login_socket.",
            )
        )
    try:
        connection = _open(settings, settings.user, settings.password, tls=False)
    except pymysql.err.Error as error:
        cause = getattr(error, "original_exception", None)
        if isinstance(cause, (ConnectionRefusedError, FileNotFoundError)):
            raise MissingServerError(
                UnavailableError(f"No server listens at login_socket={settings.socket}.", hint="Start mariadb.service.")
            ) from None
        if isinstance(cause, PermissionError):
            raise PermissionDenied(
                f"login_socket={settings.socket} can't be opened.", hint="Use become: true."
            ) from None
        if isinstance(cause, TimeoutError):
            raise TimeoutExpired(f"MariaDB at login_socket={settings.socket} does not answer.") from None
        failure = _translated(error, settings.timeout)
        if failure.kind == "permission":
            raise PermissionDenied(
                f"MariaDB refuses login_user={settings.user}: {error.args[-1]}.",
                hint="Use become: true (root authenticates by its socket), or give login_user and login_password.",
            ) from None
        raise failure from None
    except OSError as error:
        raise UnavailableError(f"login_socket={settings.socket}: {error.strerror or error}.") from None
    server = Server(connection, settings.timeout)
    server.rows("SET SESSION lock_wait_timeout = %s", (settings.timeout,))
    return server


def try_login(settings: Settings, user: str, password: str, tls: bool = False) -> tuple[str | None, str | None]:
    """Log in as ``user`` over the socket and out again.

    :param tls: encrypt the connection, as an account with ``REQUIRE SSL`` demands.
    :returns: the account as the server matched it (``app@localhost``) and ``None``, or ``None`` and why not.
    """
    try:
        connection = _open(settings, user, password, tls)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT CURRENT_USER()")
                return cursor.fetchone()[0], None
        finally:
            connection.close()
    except pymysql.err.Error as error:
        return None, str(error.args[-1] if error.args else error)
    except (OSError, RuntimeError, TypeError) as error:
        # An account with another plugin can ask for a method that this pymysql does not speak.
        return None, f"{type(error).__name__}: {error}"
