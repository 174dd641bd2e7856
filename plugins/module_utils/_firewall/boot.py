# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loading our tables at boot: one small unit beside Debian's nftables.service, which is left alone."""

from __future__ import annotations

import glob
import os

from .._core.commands import Commands
from .._core.errors import UnavailableError
from .._core.files import fsync_directory, read_bytes, remove_file, write_atomic
from .._core.paths import base_directory

__all__ = ["UNIT", "UNIT_PATH", "UNIT_TEXT", "Boot", "rules_directory"]

UNIT = "scripts-toolkit-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"


def rules_directory() -> str:
    """Return the directory of the files that the unit loads, one a table."""
    return os.path.join(base_directory("config", 0), "firewall")


UNIT_TEXT = f"""\
# Written by scripts.toolkit.nft_ruleset; it replaces changes made here.
[Unit]
Description=Firewall tables of scripts.toolkit
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
# /etc/nftables.conf of Debian begins with "flush ruleset": load after it, and again whenever it is loaded.
After=local-fs.target nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ProtectSystem=full
ProtectHome=true
ExecStart=/usr/sbin/nft 'include "{rules_directory()}/*.nft"'
ExecReload=/usr/sbin/nft 'include "{rules_directory()}/*.nft"'

[Install]
WantedBy=sysinit.target
"""
# No ExecStop: stopping the unit must not open the host.


class Boot:
    """The unit and its rules file for one table."""

    def __init__(self, commands: Commands, table: str) -> None:
        self._commands = commands
        self.path = os.path.join(rules_directory(), f"inet-{table}.nft")

    def stored(self) -> str | None:
        """Return the rules file's text; ``None``: there is none."""
        data = read_bytes(self.path)
        return None if data is None else data.decode("utf-8", "replace")

    def unit_text(self) -> str | None:
        """Return the unit file's text; ``None``: there is none."""
        data = read_bytes(UNIT_PATH)
        return None if data is None else data.decode("utf-8", "replace")

    def unit_ready(self) -> bool:
        """Return whether the unit is as it should be: file, enabled, and active."""
        if self.unit_text() != UNIT_TEXT:
            return False
        done = self._commands.run(
            [self._commands.require("systemctl", "systemd"), "show", "-p", "UnitFileState,ActiveState", UNIT]
        )
        return set(done.out.split()) >= {"UnitFileState=enabled", "ActiveState=active"}

    def others(self) -> list[str]:
        """Return the rules files of other tables."""
        return [path for path in glob.glob(os.path.join(rules_directory(), "*.nft")) if path != self.path]

    def write(self, text: str) -> None:
        """Make the unit and then the rules file durable; the rename of the latter is what decides.

        :raises UnavailableError: systemd refuses the unit.
        """
        directory = rules_directory()
        os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fsync_directory(os.path.dirname(os.path.dirname(directory)))
        fsync_directory(os.path.dirname(directory))
        if self.unit_text() != UNIT_TEXT:
            write_atomic(UNIT_PATH, UNIT_TEXT.encode(), mode=0o644)
            self._systemctl("daemon-reload")
        self._systemctl("--quiet", "enable", UNIT)
        fsync_directory("/etc/systemd/system/sysinit.target.wants")
        fsync_directory("/etc/systemd/system")
        if self.stored() != text:
            write_atomic(self.path, text.encode(), mode=0o600)

    def start(self) -> None:
        """Have systemd know that the tables are loaded, so that a reload of nftables.service loads ours again."""
        self._systemctl("start", UNIT)

    def remove(self) -> None:
        """Remove the rules file, and the unit when it was the last one."""
        if os.path.isdir(rules_directory()):
            remove_file(self.path)
        if self.others() or self.unit_text() is None:
            return
        self._systemctl("--quiet", "disable", "--now", UNIT)
        remove_file(UNIT_PATH)
        self._systemctl("daemon-reload")

    def _systemctl(self, *arguments: str) -> None:
        systemctl = self._commands.require("systemctl", "systemd")
        self._commands.check([systemctl, *arguments], failure=UnavailableError, hint=f"See: journalctl -u {UNIT}")
