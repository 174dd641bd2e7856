# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of the host: in /etc/hostname for the next boot (hostname(5)) and in the running kernel."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable

from .._core.errors import PermissionDenied, ValidationError
from .._core.files import read_bytes, write_atomic

__all__ = ["Hostname", "check_host_name"]

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_KERNEL_LIMIT = 64


def check_host_name(name: str, option: str, limit: int = 253) -> str:
    """Return ``name`` if it is a host name by RFC 1123, section 2.1.

    :param limit: the longest allowed; 64 for the name of a Linux host itself.
    :raises ValidationError: it is not; the message says why.
    """
    labels = name.split(".")
    wrong = next((label for label in labels if not _LABEL.match(label)), None)
    if not name or len(name) > limit:
        raise ValidationError(f"{option}: {name!r} has {len(name)} characters; a host name has 1 to {limit}.")
    if wrong is not None:
        raise ValidationError(
            f"{option}: {name!r} is not a host name (RFC 1123): the part {wrong!r} is not allowed.",
            hint="Parts of letters, digits and inner hyphens, at most 63 characters each, joined by dots.",
        )
    if labels[-1].isdigit():
        raise ValidationError(f"{option}: {name!r} is not a host name: its last part is a number.")
    return name


class Hostname:
    """The wish for the host's name.

    :param name: the name wanted.
    :param path: the file that keeps it.
    :param get: returns the kernel's name; with ``put``, which sets it, a seam for tests.
    :raises ValidationError: the name is none.
    """

    option = "hostname"

    def __init__(
        self,
        name: str,
        path: str = "/etc/hostname",
        get: Callable[[], str] = socket.gethostname,
        put: Callable[[str], None] = socket.sethostname,
    ) -> None:
        self.name = check_host_name(name, self.option, _KERNEL_LIMIT)
        self._path = path
        self._get = get
        self._put = put
        text = (read_bytes(path) or b"").decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        self.static = lines[0] if lines else None
        self.running = get()

    @property
    def changed(self) -> bool:
        return self.static != self.name or self.running != self.name

    def diff(self) -> tuple[str, str]:
        """Return the texts before and after."""
        return (
            f"static: {self.static or '(none)'}\nrunning: {self.running}\n",
            f"static: {self.name}\nrunning: {self.name}\n",
        )

    def apply(self) -> None:
        """Set both. The file is written first: after a crash in between, the next run sees that the kernel differs."""
        if self.static != self.name:
            write_atomic(os.path.realpath(self._path), f"{self.name}\n".encode(), mode=0o644)
        if self.running != self.name:
            try:
                self._put(self.name)
            except PermissionError as error:
                raise PermissionDenied(
                    f"{self.option}: the kernel's host name can't be set: {error.strerror}.",
                    hint="Use become: true; in a container without its own UTS namespace it can't be set at all.",
                ) from None
