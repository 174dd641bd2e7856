# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollback: a shell script that needs neither Ansible nor Python, and the systemd timer that starts it."""

from __future__ import annotations

import os
import shlex

from .._core.commands import Commands
from .._core.errors import DependencyError, UnavailableError
from .._core.files import write_atomic
from .change import LiveChange
from .window import Window

__all__ = ["arm", "disarm", "fire", "is_armed", "write_script"]

_SYSTEMD = "/run/systemd/system"
"""Exists where systemd is the init system: sd_booted(3)."""

_SCRIPT = """\
#!/bin/sh
# Brings back what was live before an unconfirmed change. Written by scripts.toolkit.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C.UTF-8
export PATH LC_ALL
cd {root} || exit 1
exec 9>>lock
flock 9
d=$PWD/{token}.confirming
if [ -d "$d" ]; then
    # Whoever was confirming has died: if /etc has the new state, that is what the host keeps.
    if {committed}; then
        mv -T {token}.confirming {token}.confirmed
        exit 0
    fi
    mv -T {token}.confirming {token}.pending || exit 1
fi
d=$PWD/{token}.pending
[ -d "$d" ] || exit 0
revert() {{
{revert}
}}
revert || exit 1
mv -T {token}.pending {token}.rolled-back
echo {done}
"""


def write_script(window: Window, change: LiveChange) -> None:
    """Write the rollback script of ``window``."""
    text = _SCRIPT.format(
        root=shlex.quote(window.root),
        token=window.token,
        committed=change.committed_test,
        revert="\n".join(f"    {line}" for line in change.revert_script.strip().splitlines()),
        done=shlex.quote(f"{window.name}: nobody confirmed the change in time, the previous state is live again"),
    )
    write_atomic(window.script, text.encode(), mode=0o700, durable=False)


def arm(window: Window, seconds: int, commands: Commands) -> None:
    """Start the timer that runs the script in ``seconds`` and, should the script fail, again every 5 seconds.

    :raises DependencyError: this host is not run by systemd.
    :raises UnavailableError: systemd refuses the timer.
    """
    if not os.path.isdir(_SYSTEMD):
        raise DependencyError(
            "This host is not run by systemd, so nothing could take the change back if it cut the connection.",
            hint="Set allow_lockout: true to apply it without that safety net.",
        )
    commands.check(
        [
            commands.require("systemd-run", "systemd"),
            "--quiet",
            "--collect",
            f"--unit={window.unit}",
            f"--description=Take back the unconfirmed change of {window.name}",
            f"--on-active={seconds}s",
            "--timer-property=AccuracySec=100ms",
            "--property=Type=oneshot",
            "--property=Restart=on-failure",
            "--property=RestartSec=5s",
            "/bin/sh",
            window.script,
        ],
        failure=UnavailableError,
        hint="Without a timer the change could not be taken back, so nothing was changed.",
    )


def disarm(window: Window, commands: Commands) -> None:
    """Stop the timer; no error when it is gone."""
    commands.run([commands.require("systemctl", "systemd"), "stop", f"{window.unit}.timer"])


def is_armed(window: Window, commands: Commands) -> bool:
    """Return whether the timer or the script that it started is still running."""
    units = [f"{window.unit}.timer", f"{window.unit}.service"]
    states = commands.run([commands.require("systemctl", "systemd"), "is-active", *units]).out.split()
    return any(state in ("active", "activating") for state in states)


def fire(window: Window, commands: Commands) -> None:
    """Run the script now.

    :raises ToolkitError: it failed or took more than a minute, so the host is still in the unconfirmed state.
    """
    commands.check(
        ["/bin/sh", window.script],
        failure=UnavailableError,
        timeout=60,
        hint=f"Look at what it says and run it by hand: sh {window.script}",
    )
