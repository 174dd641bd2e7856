# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers for tests: Debian's PostgreSQL and Redis, each in a directory of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

__all__ = ["PostgresqlServer", "RedisServer", "private_directory"]

_PATIENCE = 20
"""Seconds within which a server must answer."""


@contextmanager
def private_directory(name: str) -> Iterator[Path]:
    """Give a directory with a short path, as a socket needs, and not below pytest's, which only its owner can enter."""
    directory = Path(tempfile.mkdtemp(prefix=f"toolkit-{name}-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


class PostgresqlServer:
    """A cluster without a network port, reached by a socket in its directory; trusts everybody."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.dsn = f"host={directory} dbname=postgres user={self.user}"
        self.url = f"postgresql://{self.user}@/postgres?host={directory}"
        if os.getuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        self.call("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")

    def call(self, program: str, *arguments: str) -> None:
        become = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*become, str(self.programs / program), "-D", str(self.directory / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def start(self) -> None:
        options = f"-k {self.directory} -c listen_addresses= -c fsync=off"
        self.call("pg_ctl", "start", "-w", "-s", "-l", str(self.directory / "log"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        self.call("pg_ctl", "stop", "-w", "-s", "-m", mode)

    def ask(self, sql: str, schema: str = "public") -> list[tuple]:
        with psycopg.connect(self.dsn, autocommit=True, options=f"-c search_path={schema}") as connection:
            done = connection.execute(sql)
            return done.fetchall() if done.description else []


class RedisServer:
    """A server on a free port of this machine, with a password and without any file."""

    def __init__(self, directory: Path, password: str = "canary-redis/1@") -> None:
        self.directory = directory
        self.password = password
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        quoted = password.replace("/", "%2F").replace("@", "%40")
        self.url = f"redis://:{quoted}@127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        options = f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\nrequirepass "{self.password}"\n'
        command = ["redis-server", "-", "--dir", str(self.directory)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.process.stdin.write(options)
        self.process.stdin.close()
        deadline = time.monotonic() + _PATIENCE
        while True:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.02)

    def stop(self, sent: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(sent)
        self.process.wait()
