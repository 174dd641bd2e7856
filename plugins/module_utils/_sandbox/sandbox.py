# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command in its sandbox: choose the backend, look before anything runs, run it, tell how it ended."""

from __future__ import annotations

import resource
from collections.abc import Callable
from types import ModuleType

from .._core.commands import Commands
from .._core.errors import (
    DependencyError,
    NotFoundError,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
    UnsafeError,
)
from . import bubblewrap, systemd
from .launcher import LAUNCHER, SCRIPT, launcher, started, word
from .request import Request
from .script import interpreter, name_of, read_script
from .stream import Spoken, run_bounded
from .unit import Account, Unit
from .view import check_paths, find_program
from .workspace import Workspace, workspace

__all__ = ["Sandbox"]

_BACKENDS: dict[str, ModuleType] = {"systemd": systemd, "bubblewrap": bubblewrap}

_FAILS = {
    "memory": "It used more memory than limits.memory allows and was killed.",
    "runtime": "It ran longer than limits.runtime allows and was killed.",
    "output": "It wrote more than limits.output allows and was killed.",
}
"""Limits whose crossing ends the command; tasks and cpu only deny it more, and its exit status says what came of it."""


class Sandbox:
    """The command of a request and the way to run it.

    :param commands: the runner for the programs that look and measure.
    :param run: the runner of the command itself, see :func:`stream.run_bounded`.
    """

    def __init__(self, request: Request, commands: Commands, run: Callable[..., Spoken] = run_bounded) -> None:
        self._request = request
        self._commands = commands
        self._run_bounded = run

    def apply(self, check_mode: bool = False) -> dict:
        """Run it (in check mode, only say whether it would run) and return the result of the module.

        :raises ToolkitError: it was not run: bad options, no backend, a script that is not as it should be.
        """
        reason = self._request.is_done()
        if reason:
            return {**_untouched(), "changed": False, "msg": f"Not run: {reason}"}
        try:
            return self._apply(check_mode)
        except (NotFoundError, DependencyError) as error:
            if not check_mode:
                raise
            # An earlier task of the play may be the one that brings it.
            return {**_untouched(), "changed": True, "msg": f"Would run, but as things are: {error.message}"}

    def _apply(self, check_mode: bool) -> dict:
        backend = self._backend()
        check_paths(self._request)
        with workspace(self._request.limits.runtime) as work:
            argv = ["/bin/sh", LAUNCHER, *self._argv(work)]
            request = self._request
            first = launcher(work.token, request.chdir, request.environment, request.network)
            work.write("launcher", first, mode=0o444)
            properties = systemd.properties(self._request, work) if backend == "systemd" else []
            exposure = systemd.exposure(properties, self._commands, work) if properties else None
            self._check_exposure(exposure)
            result = {**_untouched(), "backend": backend, "exposure": exposure, "changed": True}
            if check_mode:
                return {**result, "msg": "Would run."}
            if backend == "bubblewrap":
                bubblewrap.prepare(self._request, self._commands, work)
                argv = bubblewrap.command(self._request, work, argv)
            spoken, account = self._run(backend, argv, properties, work)
            return self._told(result, spoken, account, work.token)

    def _backend(self) -> str:
        """Return the backend: the one named, or the first that can do what is asked for.

        :raises ToolkitError: none can; never is a command run with less than was asked for.
        """
        wanted = [self._request.backend] if self._request.backend != "auto" else list(_BACKENDS)
        errors: list[ToolkitError] = []
        for name in wanted:
            try:
                _BACKENDS[name].require(self._request)
                return name
            except ToolkitError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        raise DependencyError(
            "No backend can do this here. " + " ".join(error.message for error in errors),
            hint=" Or: ".join(error.hint for error in errors if error.hint),
        )

    def _argv(self, work: Workspace) -> list[str]:
        """Return what the launcher runs, with the full path of its program; put the script's private copy in place."""
        if self._request.script is None:
            words = list(self._request.argv)
        else:
            data = read_script(self._request.script)
            words = [*interpreter(data, name_of(self._request.script)), SCRIPT, *self._request.argv]
            work.write("script", data, mode=0o444)
        return [find_program(self._request, words[0]), *words[1:]]

    def _check_exposure(self, exposure: float | None) -> None:
        most = self._request.max_exposure
        if most is not None and (exposure is None or exposure > most):
            raise UnsafeError(
                f"max_exposure={most:g}: the sandbox would have an exposure of {exposure}, so nothing was run.",
                hint="Grant less (network, paths), or raise max_exposure.",
            )

    def _run(self, backend: str, argv: list[str], properties: list, work: Workspace) -> tuple[Spoken, Account]:
        limits, stdin = self._request.limits, (self._request.stdin or "").encode("utf-8", "surrogateescape")
        most = limits.output + len(word(work.token))
        if backend == "systemd" or limits.of_control_groups:
            return Unit(work, limits, properties, self._run_bounded).run(argv, stdin, most)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # With its parent bwrap dies, with bwrap the process 1 of its namespace, and with that all others.
        spoken = self._run_bounded(argv, stdin, most, limits.runtime)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return spoken, Account(spoken.rc, "runtime" if spoken.too_long else None, used, None)

    def _told(self, result: dict, spoken: Spoken, account: Account, token: str) -> dict:
        rc = spoken.rc if account.rc is None else account.rc
        limit = "output" if spoken.too_much else account.limit or ("runtime" if spoken.too_long else None)
        err = started(token, spoken.err, rc, limit)
        result.update(
            rc=rc,
            stdout=spoken.out.decode(errors="replace"),
            stderr=err.decode(errors="replace"),
            limit=limit,
            cpu_seconds=None if account.cpu_seconds is None else round(account.cpu_seconds, 3),
            memory_peak_bytes=account.memory_peak_bytes,
            wall_seconds=round(spoken.seconds, 3),
        )
        error: ToolkitError | None = None
        if limit == "runtime":
            error = TimeoutExpired(_FAILS[limit], hint="Raise limits.runtime, or make it do less.")
        elif limit in _FAILS:
            error = UnavailableError(_FAILS[limit], hint=f"Raise limits.{limit}, or make it do less.")
        elif account.rc is None and limit is None:
            # Then rc is systemd-run's own.
            error = UnavailableError(
                "How it ended is not known: systemd did not run what tells it.", hint="See the journal of the host."
            )
        elif rc not in self._request.expected_rc:
            error = UnavailableError(f"It ended with exit status {rc}.", hint="See stderr.")
        return {**result, **error.as_result()} if error else result


def _untouched() -> dict:
    """Return the result of a command that has not run."""
    names = ("rc", "limit", "backend", "exposure", "cpu_seconds", "memory_peak_bytes", "wall_seconds")
    return {**dict.fromkeys(names), "stdout": "", "stderr": ""}
