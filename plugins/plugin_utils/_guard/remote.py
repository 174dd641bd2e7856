# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A time limit on the host for each command that an action sends there, whatever the action is.

The limit is enforced by the host, so it holds when the connection is cut, and inside ``become``, so that it may end
what another user runs. Two ways, chosen on the host for each command:

- ``scope``: root under systemd gets a transient scope with RuntimeMaxSec= (systemd.scope(5)). When the time is up,
  systemd ends all that the command has started, also what left its process group or session. What goes on in the
  background after a command that ended in time is moved back to where it would be without the scope.
- ``group``: otherwise timeout(1) ends the process group of the command. What left the group lives on.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["CLEANING", "Limits", "limited_command"]

CLEANING = 3.0
"""Seconds for a command that follows one whose time was up: the action removes its temporary files."""

_KILL_AFTER = 1
"""Seconds between SIGTERM and SIGKILL."""

# Sets g to the caller's cgroup (cgroups(7), version 2, which systemd uses beside version 1 too), if there is one.
_CGROUP = """\
g=; while IFS= read -r l; do case $l in 0::*) g=${l#0::};; esac; done </proc/self/cgroup
for d in /sys/fs/cgroup/unified /sys/fs/cgroup ''; do [ -f "$d$g/cgroup.procs" ] && break; done; g=${d:+$d$g}"""

# Inside the scope. Parameters: command, cgroup outside. The shell itself reads the list, as another process would be in
# it, and to move one, even one that has ended, takes the kernel some milliseconds.
_INNER = f"""\
/bin/sh -c "$1"; r=$?; {_CGROUP}
while read -r p; do [ "$p" = $$ ] || echo "$p" >"$2/cgroup.procs"; done 2>/dev/null <"$g/cgroup.procs"
exit $r"""

# Parameters: token, which also names the scope, seconds, the same in hundredths, command. Its last words are for us: a
# line on standard error with the token, if the time was up. Times come from /proc/uptime, and that it is root from its
# being the owner of /, which costs no process.
_OUTER = f"""\
read -r a b </proc/uptime; a=${{a%.*}}${{a#*.}}; m=group
{_CGROUP}
if [ -n "$g" ] && [ -S /run/systemd/private ] && [ -O / ] && command -v systemd-run >/dev/null; then
m=scope; systemd-run --quiet --scope --collect --unit="$1" --description="A command with a time limit" \
-p RuntimeMaxSec="$2" -p TimeoutStopSec={_KILL_AFTER} -- /bin/sh -c {shlex.quote(_INNER)} sh "$4" "$g"
else timeout -k {_KILL_AFTER} "$2" /bin/sh -c "$4"; fi
r=$?; read -r e b </proc/uptime; e=${{e%.*}}${{e#*.}}
if [ $r -ge 124 ] && [ $((e - a)) -ge "$3" ]; then printf '\\n%s %s\\n' "$1" $m >&2; r=124; fi
exit $r"""


def limited_command(command: str, limit: float, token: str) -> str:
    """Return a command line for a POSIX shell that runs ``command`` under a limit.

    :param limit: seconds; rounded up to hundredths.
    :param token: begins the line on standard error that tells of a limit that was hit, followed by ``scope`` or
        ``group``; the exit status is 124 then. Letters, digits and dashes.
    """
    hundredths = max(math.ceil(limit * 100), 1)
    seconds = f"{hundredths / 100:.2f}"
    return shlex.join(["/bin/sh", "-c", _OUTER, "sh", token, seconds, str(hundredths), command])


class Limits:
    """Puts a limit on every command of a connection while one attempt lasts.

    :param connection: the connection plugin of the task.
    :param left: returns the seconds that are left; called for each command.
    """

    def __init__(self, connection: Any, left: Callable[[], float]) -> None:
        self._connection = connection
        self._left = left
        self._token = ""
        self._inside = False
        self.ended: str | None = None
        """How a command was ended on the host: ``scope`` or ``group``; ``None`` when none was."""

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Limit the commands that the block sends."""
        connection, become = self._connection, self._connection.become
        execute = connection.exec_command
        connection.exec_command = lambda cmd, *args, **kwargs: self._execute(execute, cmd, *args, **kwargs)
        if become is not None:
            build = become.build_become_command
            become.build_become_command = lambda cmd, shell: self._build(build, cmd, shell)
        try:
            yield
        finally:
            del connection.exec_command
            if become is not None:
                del become.build_become_command

    def _build(self, build: Callable, command: str, shell: object) -> str:
        self._inside = True
        return build(self._limited(command), shell)

    def _execute(self, execute: Callable, command: str, *args: object, **kwargs: object) -> tuple[int, Any, Any]:
        inside, self._inside = self._inside, False
        rc, out, err = execute(command if inside else self._limited(command), *args, **kwargs)
        # With a terminal, both outputs arrive as one.
        return rc, self._without_note(out), self._without_note(err)

    def _limited(self, command: str) -> str:
        # A new one for each command: it also names the scope.
        self._token = f"scripts-toolkit-guard-{os.urandom(8).hex()}"
        return limited_command(command, CLEANING if self.ended else self._left(), self._token)

    def _without_note(self, output: Any) -> Any:
        if not isinstance(output, bytes):
            return output
        note = re.search(rb"\r?\n" + self._token.encode("ascii") + rb" (scope|group)\r?\n", output)
        if note is None:
            return output
        self.ended = self.ended or note[1].decode("ascii")
        return output[: note.start()] + output[note.end() :]
