# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loading our tables at boot, and again after a flush: one small unit beside the nftables.service of Debian."""

from __future__ import annotations

import glob
import os

from .._core.commands import Commands
from .._core.errors import UnavailableError
from .._core.files import fsync_directory, read_bytes, remove_file, write_atomic
from .._core.paths import base_directory

__all__ = ["UNIT", "UNIT_FILES", "Boot", "rules_directory"]

UNIT = "scripts-toolkit-firewall.service"
_UNITS = "/etc/systemd/system"


def rules_directory() -> str:
    """Return the directory of the files that the unit loads, one a table."""
    return os.path.join(base_directory("config", 0), "firewall")


_LOAD = f"""/usr/sbin/nft 'include "{rules_directory()}/*.nft"'"""
_UNIT_TEXT = f"""\
# Written by scripts.toolkit.nft_ruleset; it replaces changes made here.
[Unit]
Description=Firewall tables of scripts.toolkit
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=local-fs.target nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ProtectSystem=full
ProtectHome=true
ExecStart={_LOAD}
ExecReload={_LOAD}

[Install]
WantedBy=sysinit.target
"""
# No ExecStop: stopping the unit must not open the host.

_DROP_IN_TEXT = f"""\
# Written by scripts.toolkit.nft_ruleset; it replaces changes made here.
# /etc/nftables.conf of Debian begins with "flush ruleset": whenever it is loaded, load our tables again.
[Service]
ExecStartPost=-{_LOAD}
ExecReload=-{_LOAD}
"""

UNIT_FILES = {
    f"{_UNITS}/{UNIT}": _UNIT_TEXT,
    f"{_UNITS}/nftables.service.d/scripts-toolkit.conf": _DROP_IN_TEXT,
}
"""Path and text of what systemd is to know."""


def _text(path: str) -> str | None:
    data = read_bytes(path)
    return None if data is None else data.decode("utf-8", "replace")


class Boot:
    """The unit and its rules file for one table."""

    def __init__(self, commands: Commands, table: str) -> None:
        self._commands = commands
        self.path = os.path.join(rules_directory(), f"inet-{table}.nft")

    def stored(self) -> str | None:
        """Return the rules file's text; ``None``: there is none."""
        return _text(self.path)

    def unit_differences(self, wanted: bool) -> list[tuple[str, str | None, str | None]]:
        """Return path, text and wanted text of the unit files that are not as they should be. Where the table is not
        ``wanted``, they should be gone with the last one."""
        if not wanted and self.others():
            return []
        pairs = [(path, _text(path), text if wanted else None) for path, text in UNIT_FILES.items()]
        return [pair for pair in pairs if pair[1] != pair[2]]

    def unit_runs(self) -> bool:
        """Return whether the unit is enabled and active."""
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
        different = self.unit_differences(True)
        for unit_path, _before, unit_text in different:
            os.makedirs(os.path.dirname(unit_path), mode=0o755, exist_ok=True)
            write_atomic(unit_path, (unit_text or "").encode(), mode=0o644)
        if different:
            self._systemctl("daemon-reload")
        self._systemctl("--quiet", "enable", UNIT)
        fsync_directory(f"{_UNITS}/sysinit.target.wants")
        fsync_directory(_UNITS)
        if self.stored() != text:
            write_atomic(self.path, text.encode(), mode=0o600)

    def start(self) -> None:
        """Have systemd load what was written, as it will at boot: a unit that fails then fails now."""
        self._systemctl("start", UNIT)

    def remove(self) -> None:
        """Remove the rules file, and the unit when it was the last one."""
        if os.path.isdir(rules_directory()):
            remove_file(self.path)
        different = self.unit_differences(False)
        if not different:
            return
        if any(os.path.basename(path) == UNIT for path, _before, _wanted in different):
            self._systemctl("--quiet", "disable", "--now", UNIT)
        for path, _before, _wanted in different:
            remove_file(path)
        try:
            os.rmdir(f"{_UNITS}/nftables.service.d")
        except OSError:
            pass  # Somebody else's drop-ins are in it, or it is gone.
        self._systemctl("daemon-reload")

    def _systemctl(self, *arguments: str) -> None:
        systemctl = self._commands.require("systemctl", "systemd")
        self._commands.check([systemctl, *arguments], failure=UnavailableError, hint=f"See: journalctl -u {UNIT}")
