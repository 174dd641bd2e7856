# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs through a runner that the caller hands in, so that no room starts processes by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .errors import DependencyError, TimeoutExpired, ToolkitError, UnavailableError

__all__ = ["Commands", "Completed", "first_line"]

_TIMEOUT_RC = 124
"""Exit status of coreutils' timeout(1) when the time ran out."""

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def first_line(text: str) -> str:
    """Return the first line of ``text`` that says something, stripped; empty if none does."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@dataclass(frozen=True)
class Completed:
    """How a program ended: its argument list, exit status, standard output and standard error."""

    argv: tuple[str, ...]
    rc: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """True when the program exited with 0."""
        return self.rc == 0

    @property
    def complaint(self) -> str:
        """What the program said of its failure, one line."""
        return first_line(self.err) or first_line(self.out) or f"exit status {self.rc}"


class Commands:
    """A command runner with the house rules: argument lists only, the C locale, a time limit on request.

    :param run_command: ``AnsibleModule.run_command`` or a callable that takes the same arguments
        (``args, data=None, environ_update=None, cwd=None``) and returns ``(rc, out, err)``.
    """

    def __init__(self, run_command: Callable[..., tuple[int, str, str]]) -> None:
        self._run_command = run_command

    @staticmethod
    def find(program: str) -> str | None:
        """Return the path of ``program`` in the system directories or PATH, or ``None``."""
        directories = [*_SYSTEM_PATH, *os.environ.get("PATH", "").split(os.pathsep)]
        for directory in directories:
            path = os.path.join(directory, program)
            if directory and os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        return None

    @classmethod
    def require(cls, program: str, package: str | None = None) -> str:
        """Return the path of ``program``.

        :raises DependencyError: it is not installed; the hint names the Debian ``package``.
        """
        path = cls.find(program)
        if path is None:
            raise DependencyError(
                f"The program {program} is not installed on this host.",
                hint=f"Install the Debian package {package or program}.",
            )
        return path

    def run(
        self,
        argv: Sequence[str],
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run ``argv`` and return how it ended, whatever its exit status.

        :param stdin: text for its standard input; secrets pass here or in ``env``, never in ``argv``.
        :param timeout: seconds after which it gets SIGTERM, and SIGKILL five seconds later.
        :raises TimeoutExpired: the time ran out.
        """
        full = [str(part) for part in argv]
        if timeout is not None:
            full = [self.require("timeout", "coreutils"), "-k", "5", f"{timeout:g}", *full]
        environment = {"LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
        environment.update(env or {})
        rc, out, err = self._run_command(
            full, data=stdin, binary_data=True, environ_update=environment, cwd=cwd, handle_exceptions=True
        )
        if timeout is not None and rc == _TIMEOUT_RC:
            raise TimeoutExpired(f"{argv[0]} did not end within {timeout:g} seconds.")
        return Completed(tuple(str(part) for part in argv), rc, out, err)

    def check(
        self,
        argv: Sequence[str],
        failure: type[ToolkitError] = UnavailableError,
        hint: str | None = None,
        **kwargs,
    ) -> Completed:
        """Run ``argv`` and return how it ended if that is with exit status 0.

        :raises ToolkitError: (the class ``failure``) it ended otherwise; the message carries its complaint.
        """
        done = self.run(argv, **kwargs)
        if not done.ok:
            raise failure(f"{os.path.basename(done.argv[0])} failed: {done.complaint}", hint=hint)
        return done
