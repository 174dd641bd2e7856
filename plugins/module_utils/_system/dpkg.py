# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dpkg knows of this host: one query for all packages, its locks, and the repair after an interruption."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .._core.commands import Commands
from .._core.errors import TimeoutExpired

__all__ = ["Dpkg", "Installed", "Package", "parse_status"]

_FIELDS = ("Package", "Architecture", "Version", "db:Status-Abbrev", "Essential", "Protected", "Provides")
_FORMAT = "\\t".join(f"${{{field}}}" for field in _FIELDS) + "\\n"
_PROVIDED = re.compile(r"([^\s,(]+)\s*(?:\(=\s*([^)]+)\))?")


@dataclass(frozen=True)
class Package:
    """One package in dpkg's database: name, architecture, version (empty where none is unpacked), its two status
    letters (dpkg-query(1): desired action and state), and whether it must not be removed."""

    name: str
    arch: str
    version: str
    desired: str
    status: str
    vital: bool
    provides: tuple[tuple[str, str], ...] = ()

    @property
    def installed(self) -> bool:
        """True when it is configured; triggers that are still to run do not matter."""
        return self.status in "iWt"

    @property
    def present(self) -> bool:
        """True when any of its files may be there."""
        return self.status not in "nc"

    @property
    def interrupted(self) -> bool:
        """True when dpkg has left it half-way."""
        return self.status in "HUFWt"

    @property
    def held(self) -> bool:
        return self.desired == "h"


class Installed:
    """All packages of the host, found by name, by ``name:architecture`` or by what they provide."""

    def __init__(self, packages: list[Package], native: str) -> None:
        self.packages = packages
        self.native = native
        self._by_name: dict[str, list[Package]] = {}
        self._providers: dict[str, list[Package]] = {}
        for package in packages:
            self._by_name.setdefault(package.name, []).append(package)
            for name, _rest in package.provides:
                self._providers.setdefault(name, []).append(package)

    def get(self, name: str) -> Package | None:
        """Return the package ``name`` or ``name:architecture`` that has traces on the host; the native one first."""
        plain, _rest, arch = name.partition(":")
        wanted = {"any": None, "native": self.native, "": None}.get(arch, arch)
        found = [package for package in self._by_name.get(plain, []) if wanted in (None, package.arch)]
        if arch == "native":
            found += [package for package in self._by_name.get(plain, []) if package.arch == "all"]
        found.sort(key=lambda package: (not package.present, package.arch not in (self.native, "all")))
        return found[0] if found else None

    def provider(self, name: str) -> Package | None:
        """Return an installed package that provides the virtual package ``name``."""
        return next((package for package in self._providers.get(name, []) if package.installed), None)

    @property
    def interrupted(self) -> list[str]:
        """Names of the packages that dpkg has left half-way."""
        return sorted(package.name for package in self.packages if package.interrupted)

    def versions(self, unfinished: bool = False) -> dict[str, str]:
        """Return ``{name: version}`` of all that is installed; foreign architectures as ``name:architecture``.

        :param unfinished: count also what dpkg has left half-way.
        """
        return {
            package.name if package.arch in (self.native, "all") else f"{package.name}:{package.arch}": package.version
            for package in self.packages
            if package.installed or (unfinished and package.present)
        }


def parse_status(text: str, native: str) -> Installed:
    """Return the packages that ``dpkg-query --show`` tells of."""
    packages = []
    for line in text.splitlines():
        name, arch, version, abbrev, essential, protected, provides = line.split("\t")
        abbrev = abbrev.ljust(3)
        packages.append(
            Package(
                name,
                arch,
                version,
                desired=abbrev[0],
                status=abbrev[1],
                vital="yes" in (essential, protected),
                provides=tuple(_PROVIDED.findall(provides)),
            )
        )
    return Installed(packages, native)


class Dpkg:
    """dpkg of this host.

    :param commands: the runner.
    :param lock_timeout: seconds to wait for another package manager to end.
    :raises DependencyError: this is no Debian host.
    """

    def __init__(
        self,
        commands: Commands,
        lock_timeout: float = 300,
        directory: str = "/var/lib/dpkg",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._commands = commands
        self._query = commands.require("dpkg-query", "dpkg")
        self._lock_timeout = lock_timeout
        self._directory = directory
        self._sleep = sleep
        self._native = ""

    def installed(self) -> Installed:
        """Return the state of all packages, one call."""
        done = self._commands.check([self._query, f"--admindir={self._directory}", "--show", f"--showformat={_FORMAT}"])
        if not self._native:
            # dpkg itself always is of the native architecture, so that no second call is needed to know it.
            rows = (line.split("\t") for line in done.out.splitlines())
            self._native = next((row[1] for row in rows if row[0] == "dpkg"), "")
        return parse_status(done.out, self._native)

    def interrupted(self, installed: Installed) -> bool:
        """Return whether dpkg was stopped half-way: packages in between, or a journal that was not merged."""
        return bool(installed.interrupted) or self._journal()

    def _journal(self) -> bool:
        try:
            return any(name.isdigit() for name in os.listdir(os.path.join(self._directory, "updates")))
        except FileNotFoundError:
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that package managers share, as apt does; wait for the one who has it.

        :raises TimeoutExpired: it was not free in time.
        :raises OSError: the user may not have it.
        """
        path = os.path.join(self._directory, "lock-frontend")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            deadline = time.monotonic() + self._lock_timeout
            while True:
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except (BlockingIOError, PermissionError):
                    if time.monotonic() >= deadline:
                        raise TimeoutExpired(
                            f"Another package manager held {path} for {self._lock_timeout:g} seconds.",
                            hint="Let it end, or raise lock_timeout.",
                        ) from None
                    self._sleep(0.5)
            yield
        finally:
            os.close(descriptor)

    def repair(self) -> str:
        """Let dpkg go on where it was interrupted; call it inside :meth:`locked`. Return what it said.

        Packages whose dependencies are not unpacked stay as they are: apt puts those right.
        """
        argv = [self._commands.require("dpkg"), "--force-confdef", "--force-confold", "--configure", "--pending"]
        environment = {"DEBIAN_FRONTEND": "noninteractive", "DPKG_FRONTEND_LOCKED": "1", "UCF_FORCE_CONFFOLD": "1"}
        done = self._commands.run(argv, env=environment)
        return "" if done.ok else done.complaint
