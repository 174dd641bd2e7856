# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where disposable hosts keep their things and how what they make is called: one place that decides."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock

from ...module_utils._core.errors import ValidationError
from ...module_utils._core.paths import base_directory

__all__ = ["SUITES", "Layout", "check_name", "exclusive", "exclusive_if_free"]

SUITES = {"bookworm": "debian12", "trixie": "debian13"}
"""Debian suites that can be booted, and the inventory group of each."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")


def check_name(name: str) -> str:
    """Return ``name`` if it can be the name of a host.

    :raises ValidationError: it is no host name label of at most 40 characters.
    """
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"{name!r} can't be the name of a disposable host.",
            hint="Use small letters, digits and hyphens, at most 40 characters, such as web01.",
        )
    return name


@contextmanager
def exclusive(path: str) -> Iterator[None]:
    """Hold the lock file ``path``; the kernel frees it when the process ends in whatever way."""
    with open(path, "a", encoding="ascii") as handle:
        flock(handle, LOCK_EX)
        yield


@contextmanager
def exclusive_if_free(path: str) -> Iterator[bool]:
    """Hold the lock file ``path`` if nobody else does; gives whether it is held."""
    with open(path, "a", encoding="ascii") as handle:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


class Layout:
    """The paths and names of one set of disposable hosts.

    Several sets can live on one machine (two checkouts, a test beside a developer): everything that is made outside
    ``base`` carries :attr:`tag`, which is derived from ``base``, and only things with that tag are ever touched.

    :param base: the directory; ``None`` for the environment variable TOOLKIT_HOSTS_DIR, else ``hosts`` under the
        collection's state directory. Root file systems lie in ``images`` below it unless TOOLKIT_HOSTS_IMAGES names
        another directory, which several sets may share.
    """

    def __init__(self, base: str | None = None) -> None:
        base = base or os.environ.get("TOOLKIT_HOSTS_DIR") or os.path.join(base_directory("state"), "hosts")
        self.base = os.path.realpath(base)
        self.tag = "tk" + hashlib.sha256(self.base.encode()).hexdigest()[:6]
        self.bridge = f"{self.tag}-br"
        self.table = f"scripts_toolkit_hosts_{self.tag}"
        self.state = os.path.join(self.base, "state.json")
        self.lock = os.path.join(self.base, "lock")
        self.key = os.path.join(self.base, "id_ed25519")
        self.known_hosts = os.path.join(self.base, "known_hosts")
        self.images = os.path.realpath(os.environ.get("TOOLKIT_HOSTS_IMAGES") or os.path.join(self.base, "images"))
        for variable, path in (("TOOLKIT_HOSTS_DIR", self.base), ("TOOLKIT_HOSTS_IMAGES", self.images)):
            if not _PATH.fullmatch(path):
                # The kernel splits the options of an overlay at colons and commas.
                raise ValidationError(
                    f"{variable}={path!r} holds characters that mount options can't carry.",
                    hint="Choose a path of letters, digits and . _ - + @ /.",
                )
        self.machines = os.path.join(self.base, "machines")
        self.packages = os.path.join(self.base, "packages")

    def create(self) -> None:
        """Make the directories; only their owner may enter, for the hosts' keys lie below."""
        for path in (self.base, self.images, self.machines, self.packages):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def machine(self, name: str) -> str:
        """Return the directory of the host ``name``."""
        return os.path.join(self.machines, name)

    def root(self, name: str) -> str:
        """Return the mount point of the root file system of the host ``name``."""
        return os.path.join(self.machine(name), "root")

    def port(self, number: int) -> str:
        """Return the name of this machine's end of the network cable of host ``number``."""
        return f"{self.tag}-{number}"

    def machine_name(self, name: str) -> str:
        """Return the name under which systemd-nspawn knows the host ``name``."""
        return f"{self.tag}-{name}"
