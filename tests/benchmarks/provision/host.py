# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A contender's host seen from outside: remote commands by sshd's own count, and what the site answers."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts

__all__ = ["Host", "count_sessions"]

_LOGGING = "/etc/ssh/sshd_config.d/00-bench-log.conf"


def count_sessions(log: str) -> dict[str, int]:
    """Return how many ``connections`` and remote ``calls`` (commands and subsystems such as sftp) sshd logged.

    :param log: messages of sshd with ``LogLevel VERBOSE``.
    """
    calls = re.findall(r"^Starting session: (?:command|forced-command|subsystem)\b", log, re.MULTILINE)
    return {"connections": len(re.findall(r"^Accepted \w+ for ", log, re.MULTILINE)), "calls": len(calls)}


class Host:
    """A disposable host, seen from outside the contenders."""

    def __init__(self, hosts: Hosts, name: str) -> None:
        self.name = name
        self._hosts = hosts
        self._address = hosts.record(name)["address"]

    def inside(self, command: str) -> str:
        """Run a shell command on the host and return its output.

        :raises subprocess.CalledProcessError: its exit status is not 0.
        """
        argv = self._hosts.ssh(self.name, [command])
        return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout

    def log_sessions(self) -> None:
        """Let sshd log each command that it starts."""
        self.inside(f"echo 'LogLevel VERBOSE' >{_LOGGING} && systemctl reload ssh")

    def sessions(self, began: float) -> dict[str, int]:
        """Return :func:`count_sessions` since ``began`` (seconds since the epoch)."""
        log = self.inside(f"journalctl -q -o cat -u ssh.service --since @{began:.3f}")
        # The last one is the question itself.
        return {what: number - 1 for what, number in count_sessions(log).items()}

    def page(self, domain: str) -> tuple[int, str]:
        """Return status and body of https://DOMAIN/ on a new connection (whose certificate is not judged)."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self._address, 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=domain) as secure,
        ):
            secure.sendall(f"GET / HTTP/1.0\r\nHost: {domain}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: secure.recv(65536), b"")).decode("utf-8", "replace")
        head, _separator, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body
