# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ssh server of this host: what a configuration means to it, having it read a new one, live files."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from .._core.commands import Commands
from .._core.errors import ConflictError, DependencyError, PermissionDenied, UnavailableError, ValidationError
from .settings import DROP_IN, MAIN, keyword_of_line

__all__ = ["Effective", "Server"]

_SERVICE, _SOCKET = "ssh.service", "ssh.socket"
_MARK = "---scripts-toolkit---"
_REFUSED = 3
_RELOAD_WAIT = 15.0

# A mount namespace of its own: sshd sees the candidate in its place among the other files, everybody else sees nothing.
_TRIAL = f"""
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/d
cp -a {os.path.dirname(DROP_IN)}/. /mnt/d
if [ "$1" = present ]; then cat > /mnt/d/{os.path.basename(DROP_IN)}; else rm -f /mnt/d/{os.path.basename(DROP_IN)}; fi
mount --bind /mnt/d {os.path.dirname(DROP_IN)}
if [ ! -d /run/sshd ]; then mount -t tmpfs -o mode=0755 tmpfs /run; mkdir -m 0755 /run/sshd; fi
"$2" -t || exit {_REFUSED}
"$2" -T
echo {_MARK}
if [ "$1" = present ]; then
    {{ cat {DROP_IN}; echo; echo "Include {MAIN}"; }} > /mnt/forced
    "$2" -T -f /mnt/forced
fi
"""


@dataclass(frozen=True)
class Effective:
    """What ``sshd -T`` says of a configuration: ``{keyword in lower case: set of values}``.

    ``actual`` is what the server would do, ``forced`` what it would do if our settings were read before all others.
    """

    actual: dict[str, frozenset[str]]
    forced: dict[str, frozenset[str]]
    warnings: tuple[str, ...] = ()

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on."""
        return sorted(int(port) for port in self.actual.get("port", ()))

    def overridden(self, keywords: list[str]) -> list[str]:
        """Return those of ``keywords`` that somebody else has set before us, to another value."""
        return [word for word in keywords if self.actual.get(word.lower(), ()) != self.forced.get(word.lower(), ())]


def _dump(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        keyword, _space, value = line.partition(" ")
        found.setdefault(keyword, set()).add(value)
    return {keyword: frozenset(values) for keyword, values in found.items()}


class Server:
    """sshd and the unit that runs it."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    @property
    def program(self) -> str:
        return self._commands.require("sshd", "openssh-server")

    def try_out(self, text: str | None) -> Effective:
        """Return what the server would do with ``text`` as our drop-in (``None``: without it). Nothing changes.

        :raises ValidationError: sshd refuses it; the message names the keyword.
        """
        state = "absent" if text is None else "present"
        unshare = self._commands.require("unshare", "util-linux")
        done = self._commands.run(
            [unshare, "--mount", "/bin/sh", "-c", _TRIAL, "sh", state, self.program], stdin=text or ""
        )
        if done.rc == _REFUSED:
            raise self._refusal(done.err, text or "")
        if not done.ok:
            if "ermission" in done.err or "not permitted" in done.err:
                raise PermissionDenied(f"The settings can't be tried out: {done.complaint}", hint="Use become: true.")
            raise UnavailableError(f"The settings can't be tried out: {done.complaint}")
        actual, _mark, forced = done.out.partition(f"{_MARK}\n")
        said = {
            line.strip().partition(": ")[2] or line.strip() for line in done.err.splitlines() if "eprecated" in line
        }
        return Effective(_dump(actual), _dump(forced), tuple(sorted(said)))

    @staticmethod
    def _refusal(complaint: str, text: str) -> ConflictError | ValidationError:
        """Return the error for what ``sshd -t`` said."""
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        for line in lines:
            where = re.match(r"(?P<path>/\S+?):? line (?P<line>\d+): (?P<what>.*)", line)
            if where and where["path"] == DROP_IN:
                keyword = keyword_of_line(text, int(where["line"]))
                what = where["what"].replace("\\", "")
                return ValidationError(
                    f"settings.{keyword}: sshd refuses it: {what}",
                    hint="See man sshd_config on the host.",
                    item=keyword,
                )
            if where:
                return ConflictError(
                    f"sshd refuses its configuration, and not because of settings: {line}",
                    hint="Correct that file first; nothing was changed.",
                )
        return ValidationError(f"sshd refuses the settings: {lines[0] if lines else 'it gave no reason'}")

    def unit(self) -> str | None:
        """Return the active unit: the service, the socket that starts one a connection, or ``None``."""
        systemctl = self._commands.require("systemctl", "systemd")
        states = self._commands.run([systemctl, "is-active", _SERVICE, _SOCKET]).out.split()
        active = [unit for unit, state in zip((_SERVICE, _SOCKET), states) if state in ("active", "reloading")]
        return active[0] if active else None

    def reload(self) -> None:
        """Have the running server read its configuration, and wait until it has.

        systemctl returns once the signal is sent. Only when the server has opened its sockets anew does a new
        connection show anything about the new configuration.

        :raises UnavailableError: it did not come back within 15 seconds.
        :raises DependencyError: there is no ssh service to reload.
        """
        unit = self.unit()
        if unit == _SOCKET:
            return  # Each connection starts a server that reads the configuration.
        if unit is None:
            raise DependencyError(
                f"Neither {_SERVICE} nor {_SOCKET} is active, so no running server would read the settings.",
                hint=f"Start it first: systemctl start {_SERVICE}",
            )
        systemctl = self._commands.require("systemctl", "systemd")
        pid = self._commands.check([systemctl, "show", "-P", "MainPID", _SERVICE]).out.strip()
        before = self._listeners(pid)
        self._commands.check([systemctl, "reload", _SERVICE], hint=f"See: journalctl -u {_SERVICE}")
        end = time.monotonic() + _RELOAD_WAIT
        while time.monotonic() < end:
            now = self._listeners(pid)
            if now and not now & before:
                return
            time.sleep(0.02)
        raise UnavailableError(
            f"{_SERVICE} did not listen again within {_RELOAD_WAIT:g} seconds of its reload.",
            hint=f"See: journalctl -u {_SERVICE}",
        )

    @staticmethod
    def _listeners(pid: str) -> set[str]:
        """Return the inodes of the listening TCP sockets of a process."""
        listening = set()
        for name in ("tcp", "tcp6"):
            try:
                with open(f"/proc/net/{name}", encoding="ascii") as handle:
                    fields = [line.split() for line in handle.readlines()[1:]]
            except FileNotFoundError:
                continue
            listening |= {field[9] for field in fields if field[3] == "0A"}
        own = set()
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{number}")
                if link.startswith("socket:["):
                    own.add(link[8:-1])
        except OSError:
            return set()  # It is just executing itself anew.
        return own & listening
