# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring many Debian packages to what is wanted: one query when nothing is to be done, one transaction otherwise."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping

from .._core.commands import Commands, Completed
from .._core.errors import ConflictError, NotFoundError, ToolkitError, UnavailableError
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .apt import Apt, Simulation, broken_packages, classify
from .debian_version import compare_versions
from .dpkg import Dpkg, Installed
from .package_requests import Request, read_requests
from .package_solver import Solver
from .service_policy import service_starts

__all__ = ["Packages"]

_FLAGS = {
    "downgrade": "--allow-downgrades",
    "essential": "--allow-remove-essential",
    "held": "--allow-change-held-packages",
}
_OUTPUT_LINES = 40
_FRESH = 60
"""Lists younger than this many seconds are not fetched again because a package is not in them."""


class Packages:
    """The packages wanted on a host and the way to get them.

    :param commands: the runner.
    :param packages: the option ``packages``.
    :param state: for packages that name none.
    :param cache_valid_time: seconds for which fetched lists are new enough.
    :param purge: also remove the configuration of packages that are removed.
    :param allow: which of ``package_solver.ALLOWANCES`` are given.
    :param start_services: let packages start their services.
    :param lock_timeout: seconds to wait for another package manager.
    :param warn: takes a sentence that people should read.
    :raises ToolkitError: the options make no sense.
    """

    def __init__(
        self,
        commands: Commands,
        packages: Iterable[Mapping | str],
        state: str = "present",
        cache_valid_time: int = 3600,
        install_recommends: bool = False,
        purge: bool = False,
        allow: Iterable[str] = (),
        start_services: bool = True,
        lock_timeout: int = 300,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._requests = read_requests(packages, state)
        self._commands = commands
        self._cache_valid_time = cache_valid_time
        self._recommends = install_recommends
        self._purge = purge
        self._allow = set(allow)
        self._start_services = start_services
        self._lock_timeout = lock_timeout
        self._warn = warn or (lambda _text: None)
        self._errors: dict[str, ToolkitError] = {}
        self._held: set[str] = set()
        self._auto: list[str] = []
        self._repaired: list[str] = []
        self._refreshed = False
        self._refresh_error: ToolkitError | None = None
        self._private: str | None = None
        self._output: list[str] = []

    def apply(self, check_mode: bool = False) -> dict:
        """Do it (in check mode, only say what would be done) and return the result of the module.

        :raises ToolkitError: dpkg is missing, locked too long, or can't be repaired.
        """
        try:
            self._dpkg = Dpkg(self._commands, self._lock_timeout)
            self._apt = Apt(self._commands, self._recommends, self._lock_timeout)
            before, now = self._look(check_mode)
            self._auto = self._automatic(now)
            todo = self._todo(now)
            unfinished = bool(self._repaired) and (check_mode or self._dpkg.interrupted(now))
            simulation = Simulation()
            if todo or unfinished:
                todo, simulation = self._solve(
                    Solver(self._apt, now, self._allow, self._purge, unfinished), todo, check_mode
                )
            after = now if check_mode else self._act(now, todo, simulation, unfinished)
            return self._report(before, after, simulation, todo, check_mode)
        finally:
            if self._private is not None:
                shutil.rmtree(self._private, ignore_errors=True)

    # Look

    def _look(self, check_mode: bool) -> tuple[Installed, Installed]:
        """Return the packages as found and, after the repair of an interruption, as they are now."""
        before = self._dpkg.installed()
        if not self._dpkg.interrupted(before):
            return before, before
        if os.geteuid() != 0:
            self._repaired = before.interrupted or ["dpkg"]
            return before, before
        # Half-way may also mean that another package manager is at work just now: wait for its end.
        with self._dpkg.locked():
            before = self._dpkg.installed()
            if not self._dpkg.interrupted(before):
                return before, before
            self._repaired = before.interrupted or ["dpkg"]
            if check_mode:
                return before, before
            with service_starts(self._start_services):
                self._dpkg.repair()
            return before, self._dpkg.installed()

    def _automatic(self, now: Installed) -> list[str]:
        """Return the wanted packages that apt would remove again when nothing depends on them any more."""
        wanted = {request.name for request in self._requests if request.state != "absent"}
        marked = self._apt.automatic() & wanted if wanted else set()
        return sorted(name for name in marked if getattr(now.get(name), "installed", False))

    def _todo(self, now: Installed) -> list[Request]:
        todo = []
        for request in self._requests:
            found = request.found(now)
            fulfilled = request.fulfilled(now, self._purge)
            held = found is not None and found.present and found.held and "held" not in self._allow
            if held and fulfilled:
                self._held.add(request.name)
            elif held:
                self._errors[request.name] = ConflictError(
                    f"packages: {request.name} {found.version} is on hold.",
                    hint=f"Release it (apt-mark unhold {request.name}) or set allow: [held].",
                    item=request.name,
                )
            elif not fulfilled or request.state == "latest":
                todo.append(request)
        return todo

    # Solve

    def _refresh(self, check_mode: bool) -> None:
        """Fetch the lists; in check mode to a directory of their own, so that the host stays as it is."""
        self._refreshed = True
        if check_mode:
            self._private = tempfile.mkdtemp(prefix="scripts-toolkit-lists-")
            os.chmod(self._private, 0o755)  # apt fetches as a user of its own
        self._refresh_error = self._apt.refresh(self._private)

    def _solve(self, solver: Solver, todo: list[Request], check_mode: bool) -> tuple[list[Request], Simulation]:
        """Return the requests that can be had and what apt would do for them; note the errors of the others."""
        age = self._apt.lists_age()
        if any(request.state != "absent" for request in todo) and (age is None or age > self._cache_valid_time):
            self._refresh(check_mode)
        repairs = bool(self._repaired)
        while todo or repairs:
            verdict = solver.examine(todo)
            if verdict.clean:
                break
            unknown = any(isinstance(error, NotFoundError) for error in verdict.blamed.values())
            if unknown and not self._refreshed and (age is None or age > _FRESH):
                self._refresh(check_mode)
                continue
            if check_mode and (repairs or (unknown and self._refresh_error is not None)):
                # Not to be known before the repair, or without lists: they would be installed, in some version.
                if self._refresh_error is not None:
                    self._warn(f"What apt would do can't be known: {self._refresh_error.message}")
                return todo, Simulation()
            if not todo:
                # Nothing is removed without having been shown first, so that apt may still try.
                self._errors["dpkg"] = verdict.error or UnavailableError("apt-get can't repair what was interrupted.")
                return [], Simulation()
            blamed = solver.refused(todo, verdict)
            for name, error in blamed.items():
                lacking = isinstance(error, NotFoundError) and self._refresh_error is not None
                self._errors[name] = self._refresh_error if lacking else error
            todo = [request for request in todo if request.name not in blamed]
        else:
            return [], Simulation()
        if self._refresh_error is not None:
            self._warn(f"The package lists could not be refreshed; older ones are used. {self._refresh_error.message}")
            self._errors.update({request.name: self._refresh_error for request in todo if request.state == "latest"})
        return todo, verdict.simulation

    # Act

    def _act(self, now: Installed, todo: list[Request], simulation: Simulation, unfinished: bool) -> Installed:
        after = now
        if simulation.steps or unfinished:
            solver = Solver(self._apt, now, self._allow, self._purge, unfinished)
            removes = any(step.verb != "Inst" for step in simulation.steps)
            flags = [*(_FLAGS[name] for name in sorted(self._allow) if name in _FLAGS)]
            arguments = [*flags, *([] if removes else ["--no-remove"]), *solver.arguments(todo)]
            done = self._install(arguments)
            failed = None if done.ok else classify(done)
            if isinstance(failed, UnavailableError) and "could not fetch" in failed.message:
                # A version that the mirror has replaced needs new lists; what else can be fetched is done.
                if not self._refreshed:
                    self._refresh(check_mode=False)
                done = self._install(["--fix-missing", *arguments])
                failed = None if done.ok else classify(done)
            after = self._dpkg.installed()
            if failed is not None and self._dpkg.interrupted(after):
                # Where one package broke, apt leaves others unpacked that have done nothing wrong.
                with self._dpkg.locked(), service_starts(self._start_services):
                    self._dpkg.repair()
                after = self._dpkg.installed()
            broken = broken_packages(done)
            for request in todo:
                if request.name not in self._errors and not request.fulfilled(after, self._purge):
                    missed = UnavailableError(f"apt-get did not bring {request.name} to {request.state}.")
                    self._errors[request.name] = broken.get(request.name.partition(":")[0]) or failed or missed
            if failed is not None:
                self._output = f"{done.out}\n{done.err}".strip().splitlines()[-_OUTPUT_LINES:]
            if self._repaired:
                self._errors.pop("dpkg", None)
                if self._dpkg.interrupted(after):
                    self._errors["dpkg"] = failed or UnavailableError("dpkg could not finish what was interrupted.")
        marks = [name for name in self._auto if name not in self._errors]
        if marks:
            self._apt.mark_manual(marks)
        return after

    def _install(self, arguments: list[str]) -> Completed:
        with service_starts(self._start_services):
            return self._apt.install(arguments)

    # Report

    def _report(
        self, before: Installed, after: Installed, simulation: Simulation, todo: list[Request], check_mode: bool
    ) -> dict:
        outcomes = Outcomes()
        old = before.versions()
        new = _predicted(before.versions(unfinished=True), simulation, todo) if check_mode else after.versions()
        if self._repaired:
            with outcomes.item("dpkg") as outcome:
                outcome.update(changed=True, action="repair", repaired=self._repaired)
                if "dpkg" in self._errors:
                    raise self._errors["dpkg"]
        present: dict[str, str | None] = {}
        for request in self._requests:
            with outcomes.item(request.name) as outcome:
                was, now = request.found(before), request.found(after)
                outcome["version_before"] = was.version if was is not None and was.installed else None
                if request.name in self._held:
                    outcome["held"] = True
                if check_mode:
                    self._predict(request, outcome, was, simulation, todo)
                else:
                    outcome["version_after"] = now.version if now is not None and now.installed else None
                    outcome["action"] = self._done(request, outcome, before, after)
                if outcome["action"] is None and request.name in self._auto and request.name not in self._errors:
                    outcome["action"] = "mark manual"
                outcome["changed"] = outcome["action"] is not None
                if now is not None and now.name != request.name.partition(":")[0]:
                    outcome["provided_by"] = now.name
                if request.state != "absent" and request.name not in self._errors:
                    present[request.name] = outcome["version_after"]
                if request.name in self._errors:
                    error = copy.copy(self._errors[request.name])
                    error.item = request.name
                    raise error
        marked = [entry["item"] for entry in outcomes.entries if entry.get("action") == "mark manual"]
        if marked:
            both = ("".join(f"{name} {mark}\n" for name in marked) for mark in ("auto", "manual"))
            outcomes.diffs.append(text_diff("apt-mark", *both))
        if old != new:
            names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            sides = ("".join(f"{n} {side[n]}\n" for n in names if n in side) for side in (old, new))
            outcomes.diffs.append(text_diff("packages", *sides))
        result = outcomes.result()
        result["installed"] = present
        if self._output:
            result["output"] = self._output
        return result

    def _done(self, request: Request, outcome: dict, before: Installed, after: Installed) -> str | None:
        """Return the word for what became of one request."""
        if request.state != "absent":
            return _way(outcome["version_before"], outcome["version_after"])
        gone = not request.fulfilled(before, self._purge) and request.fulfilled(after, self._purge)
        return self._removal if gone else None

    @property
    def _removal(self) -> str:
        return "purge" if self._purge else "remove"

    def _predict(self, request: Request, outcome: dict, was, simulation: Simulation, todo: list[Request]) -> None:
        """Complete the outcome of one request from what apt would do."""
        version = outcome["version_before"]
        outcome.update(version_after=version, action=None)
        if request not in todo or request.name in self._errors:
            return
        step = next(
            (step for step in simulation.steps if step.name in (request.name, request.name.partition(":")[0])), None
        )
        if request.state == "absent":
            outcome.update(version_after=None, action=self._removal)
        elif step is not None:
            outcome["version_after"] = step.after
            outcome["action"] = _way(version, step.after) or "install"
        elif was is not None and was.present and not was.installed:
            outcome.update(version_after=was.version, action="install")
        elif was is None or not was.installed or request.version is not None:
            outcome.update(version_after=None, action="install")


def _way(was: str | None, now: str | None) -> str | None:
    """Return the word for the way from one version to the other."""
    if was == now:
        return None
    if was is None:
        return "install"
    if now is None:
        return "remove"
    return "upgrade" if compare_versions(was, now) < 0 else "downgrade"


def _predicted(old: dict[str, str], simulation: Simulation, todo: list[Request]) -> dict[str, str]:
    """Return ``{name: version}`` as it would be after the simulated steps."""
    new = dict(old)
    for step in simulation.steps:
        if step.verb == "Inst":
            new[step.name] = step.after or "(version not known yet)"
        else:
            new.pop(step.name, None)
    if not simulation.steps:
        for request in todo:
            if request.state == "absent":
                new.pop(request.name, None)
            elif request.name not in new:
                new[request.name] = "(version not known yet)"
    return new
