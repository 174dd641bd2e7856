# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option ``packages`` as typed requests: names, versions and states checked, doubles merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._core.errors import ConflictError, ValidationError
from .debian_version import version_matches
from .dpkg import Installed, Package

__all__ = ["STATES", "Request", "read_requests"]

STATES = ("present", "latest", "absent")

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9-]+)?\Z")
_VERSION = re.compile(r"[A-Za-z0-9.+~:*-]+\Z")
_KEYS = ("name", "version", "state")


@dataclass(frozen=True)
class Request:
    """What is wanted of one package; ``version`` may be a pattern such as ``1.22*``."""

    name: str
    state: str = "present"
    version: str | None = None

    def fulfilled(self, installed: Installed, purge: bool = False) -> bool:
        """Return whether nothing has to be done; for ``latest`` that is not known here."""
        found = installed.get(self.name)
        if self.state == "absent":
            return found is None or (not found.present and not (purge and found.status == "c"))
        if self.version is not None:
            return found is not None and found.installed and version_matches(found.version, self.version)
        return (found is not None and found.installed) or installed.provider(self.name) is not None

    def argument(self) -> str:
        """Return how apt-get install is told of it."""
        if self.state == "absent":
            return f"{self.name}-"
        return self.name if self.version is None else f"{self.name}={self.version}"

    def blamed(self, name: str) -> bool:
        """Return whether apt's complaint about ``name`` is about this one."""
        return name.split(":")[0] == self.name.split(":")[0]

    def found(self, installed: Installed) -> Package | None:
        """Return the package that is there for it: itself, or else one that provides it."""
        own = installed.get(self.name)
        if self.state == "absent":
            return own
        return own if own is not None and own.present else installed.provider(self.name) or own


def _read(entry: Mapping | str, where: str, state: str) -> Request:
    if isinstance(entry, str):
        name, equals, version = entry.strip().partition("=")
        entry = {"name": name, "version": version} if equals else {"name": name}
    if not isinstance(entry, Mapping):
        raise ValidationError(f"{where} is neither a name nor a dictionary.", hint="Write a name, or name and version.")
    unknown = sorted(str(key) for key in entry if key not in _KEYS)
    if unknown:
        raise ValidationError(f"{where} has the unknown key {unknown[0]}.", hint=f"Known are {', '.join(_KEYS)}.")
    name, version = str(entry.get("name") or ""), entry.get("version")
    if not _NAME.match(name):
        raise ValidationError(
            f"{where}: {name!r} is not the name of a Debian package.",
            hint="Lower case letters, digits, plus, minus and dots; patterns are not taken.",
        )
    wanted = str(entry.get("state") or ("present" if version is not None else state))
    if wanted not in STATES:
        raise ValidationError(f"{where}: state {wanted!r} is unknown.", hint=f"Use one of {', '.join(STATES)}.")
    if version is not None:
        if not _VERSION.match(str(version)):
            raise ValidationError(f"{where}: {version!r} is not a version of a Debian package.", item=name)
        if wanted != "present":
            raise ValidationError(f"{where}: version goes with state present only, not {wanted}.", item=name)
    return Request(name, wanted, None if version is None else str(version))


def read_requests(packages: Iterable[Mapping | str], state: str = "present") -> list[Request]:
    """Return the requests in the order given; entries for the same package are merged.

    :param state: for entries that name none.
    :raises ValidationError: an entry makes no sense; the message names its place.
    :raises ConflictError: two entries contradict each other.
    """
    merged: dict[str, Request] = {}
    for index, entry in enumerate(packages):
        request = _read(entry, f"packages[{index}]", state)
        known = merged.get(request.name)
        plain = Request(request.name)
        if known is None or (known == plain and request.state != "absent"):
            merged[request.name] = request
        elif request != known and (request != plain or known.state == "absent"):
            raise ConflictError(
                f"packages: {request.name} is wanted twice, as {_words(known)} and as {_words(request)}.",
                item=request.name,
            )
    return list(merged.values())


def _words(request: Request) -> str:
    return f"version {request.version}" if request.version is not None else request.state
