# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt-get of this host: refresh the lists, simulate, install, and say what its complaints mean (apt-get(8))."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .._core.commands import Commands, Completed
from .._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    PermissionDenied,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
)
from .._core.files import read_bytes

__all__ = ["Apt", "Simulation", "Step", "broken_packages", "classify", "parse_simulation"]

_STEP = re.compile(r"(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+) [^)]*\))?")
_UNMET = re.compile(r"^ (\S+) : ((?:Pre)?Depends|Conflicts|Breaks|Recommends): (.*)$", re.MULTILINE)
_VIRTUAL = re.compile(r"^Package (\S+) is a virtual package provided by:\n((?:  .*\n)+)", re.MULTILINE)
_BLAMES = (
    (re.compile(r"E: Unable to locate package (\S+)"), "{name} is in none of the package lists of this host."),
    (re.compile(r"E: Package '([^']+)' has no installation candidate"), "{name} can't be installed from any list."),
    (re.compile(r"E: Version '[^']*' for '([^']+)' was not found"), "The version wanted of {name} is in no list."),
)
_FETCH = re.compile(r"^(?:E|W): Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
_BROKEN = re.compile(
    r"^dpkg: error processing (?:package (\S+)|archive \S*?/([^_/\s]+)_\S+) \(.*\):\n\s*(.*)$", re.MULTILINE
)
_COMPLAINT = re.compile(r"^E: (.*)$", re.MULTILINE)

_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
}


@dataclass(frozen=True)
class Step:
    """One step that apt would take: ``Inst``, ``Remv`` or ``Purg``, the package, its version before and after."""

    verb: str
    name: str
    before: str | None
    after: str | None


@dataclass
class Simulation:
    """What apt would do, or why it can't: errors by package name, and one for the whole."""

    steps: list[Step] = field(default_factory=list)
    blamed: dict[str, ToolkitError] = field(default_factory=dict)
    error: ToolkitError | None = None


def parse_simulation(done: Completed) -> Simulation:
    """Return what ``apt-get --simulate`` told."""
    if done.ok:
        found = (_STEP.match(line) for line in done.out.splitlines())
        return Simulation([Step(*match.groups()) for match in found if match])
    blamed: dict[str, ToolkitError] = {}
    choices = {name: [line.split()[0] for line in lines.splitlines()] for name, lines in _VIRTUAL.findall(done.out)}
    for pattern, message in _BLAMES:
        for name in pattern.findall(done.err):
            hint = "Check the name, and that the repository that has it is configured."
            if name in choices:
                hint = f"It is virtual; name one of {', '.join(sorted(choices[name]))}."
            blamed[name] = NotFoundError(f"packages: {message.format(name=name)}", hint=hint, item=name)
    for name, relation, other in _UNMET.findall(done.out):
        text = f"packages: {name} can't be installed: {relation}: {other}."
        blamed.setdefault(
            name, ConflictError(text, hint="Something else that is wanted or held excludes it.", item=name)
        )
    return Simulation(blamed=blamed, error=classify(done))


def classify(done: Completed) -> ToolkitError:
    """Return the error that a failed apt-get means."""
    text = f"{done.err}\n{done.out}"
    complaints = _COMPLAINT.findall(text)
    first = (complaints or [done.complaint])[0]
    if "No space left on device" in text or "enough free space in" in text:
        where = next((line for line in complaints if "free space in" in line), "No space left on device")
        return UnavailableError(f"apt-get ran out of disk space: {where}", hint="Free space, then run again.")
    if "are you root" in text or "Permission denied" in text:
        return PermissionDenied(f"apt-get: {first}", hint="Use become: true, or a user who may do this.")
    if "Could not get lock" in text or "Unable to acquire the dpkg" in text:
        return TimeoutExpired(f"apt-get: {first}", hint="Let the other package manager end, or raise lock_timeout.")
    if any(word in text for word in ("NO_PUBKEY", "is not signed", "GPG error", "BADSIG", "Hash Sum mismatch")):
        return IntegrityError(f"apt-get: {first}", hint="Check the repository's key and the proxy in between.")
    fetch = _FETCH.search(text)
    if fetch:
        return UnavailableError(
            f"apt-get could not fetch {fetch.group(1)}: {fetch.group(2).strip()}",
            hint="Check the mirror in /etc/apt/sources.list, the network and the proxy.",
        )
    broken = broken_packages(done)
    if broken:
        return next(iter(broken.values()))
    if _UNMET.search(text) or "held broken packages" in text or "Unmet dependencies" in text:
        return ConflictError(f"apt-get: {first}", hint="What is wanted or held excludes each other.")
    return UnavailableError(f"apt-get: {first}")


def broken_packages(done: Completed) -> dict[str, ToolkitError]:
    """Return the errors of those packages that dpkg complained of."""
    broken: dict[str, ToolkitError] = {}
    for name, archive, reason in _BROKEN.findall(f"{done.err}\n{done.out}"):
        package = (name or archive).split(":")[0]
        message = f"dpkg could not process {package}: {reason.strip()}"
        if "No space left on device" in reason:
            error: ToolkitError = UnavailableError(message, hint="Free space, then run again.", item=package)
        else:
            error = ConflictError(
                message, hint=f"Put that right, then run again; see dpkg --status {package}.", item=package
            )
        broken.setdefault(package, error)
    return broken


class Apt:
    """apt-get of this host.

    :param commands: the runner.
    :param install_recommends: also install what packages recommend.
    :param lock_timeout: seconds to wait for another package manager.
    :raises DependencyError: apt-get is not installed.
    """

    lists = "/var/lib/apt/lists"
    states = "/var/lib/apt/extended_states"
    sources = ("/etc/apt/sources.list", "/etc/apt/sources.list.d")

    def __init__(
        self,
        commands: Commands,
        install_recommends: bool = False,
        lock_timeout: int = 300,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._commands = commands
        self._apt_get = commands.require("apt-get", "apt")
        self._lock_timeout = lock_timeout
        self._sleep = sleep
        self._elsewhere: list[str] = []
        self._options = [
            *("--quiet", "--yes", f"-oDPkg::Lock::Timeout={lock_timeout}", "-oAPT::Cmd::Pattern-Only=true"),
            *("-oDpkg::Options::=--force-confdef", "-oDpkg::Options::=--force-confold", "-oDpkg::Use-Pty=0"),
            f"-oAPT::Install-Recommends={'true' if install_recommends else 'false'}",
        ]

    def lists_age(self) -> float | None:
        """Return the seconds since the lists were last refreshed; ``None`` where there are none, or where the
        sources have changed since."""
        try:
            if not any(name.endswith("Release") for name in os.listdir(self.lists)):
                return None
            refreshed = os.stat(self.lists).st_mtime
        except FileNotFoundError:
            return None
        for path in self.sources:
            inside = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else []
            for source in (path, *inside):
                if os.path.exists(source) and os.stat(source).st_mtime > refreshed:
                    return None
        return max(0.0, time.time() - refreshed)

    def refresh(self, elsewhere: str | None = None) -> ToolkitError | None:
        """Fetch the lists; return what went wrong, if anything did.

        :param elsewhere: a directory to put them in, for a simulation that must not change the host; later
            simulations use it.
        """
        argv = [self._apt_get, "--quiet", "update", "-oAPT::Update::Error-Mode=any"]
        if elsewhere is not None:
            self._elsewhere = [
                f"-oDir::State::lists={elsewhere}",
                "-oDir::Cache::pkgcache=",
                "-oDir::Cache::srcpkgcache=",
            ]
            argv += [*self._elsewhere, "-oAcquire::Languages=none"]
        deadline = time.monotonic() + self._lock_timeout
        while True:
            done = self._commands.run(argv, env=_ENVIRONMENT)
            # apt waits for the lock of dpkg, but not for that of the lists.
            if done.ok or "Could not get lock" not in done.err or time.monotonic() >= deadline:
                break
            self._sleep(1)
        if not done.ok:
            if elsewhere is not None and not any(name.endswith("Packages") for name in os.listdir(elsewhere)):
                self._elsewhere = []
            return classify(done)
        if elsewhere is None:
            # apt leaves the directory as it is when all lists were up to date.
            os.utime(self.lists)
        return None

    def simulate(self, arguments: Sequence[str]) -> Simulation:
        """Return what ``apt-get install ARGUMENTS`` would do; changes nothing and needs no rights.

        Guards are off, so that all steps are seen; the caller judges them.
        """
        guards = ["--allow-downgrades", "--allow-remove-essential", "--allow-change-held-packages"]
        argv = [self._apt_get, "--simulate", *self._options, *self._elsewhere, *guards, "install", *arguments]
        return parse_simulation(self._commands.run(argv, env=_ENVIRONMENT))

    def install(self, arguments: Sequence[str]) -> Completed:
        """Run ``apt-get install ARGUMENTS``; ``name-`` removes."""
        return self._commands.run([self._apt_get, *self._options, "install", *arguments], env=_ENVIRONMENT)

    def automatic(self) -> set[str]:
        """Return the names of packages that came only as dependencies of others (apt-mark(8), "auto")."""
        found = set()
        name = ""
        for line in (read_bytes(self.states) or b"").decode("utf-8", "replace").splitlines():
            key, _rest, value = line.partition(": ")
            if key == "Package":
                name = value
            elif key == "Auto-Installed" and value == "1":
                found.add(name)
        return found

    def mark_manual(self, names: Sequence[str]) -> None:
        """Tell apt that somebody wants these packages for themselves."""
        self._commands.check([self._commands.require("apt-mark", "apt"), "--quiet", "manual", *names])
