# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""System-call filters as programs for the kernel (BPF), made by libseccomp: what bubblewrap loads.

Two programs, both of which a call must pass: what is allowed, and what of that depends on arguments. The second follows
what systemd does for ``RestrictNamespaces=``, ``RestrictSUIDSGID=`` and ``LockPersonality=``.
Source: seccomp_rule_add(3), seccomp_export_bpf(3), src/shared/seccomp-util.c of systemd.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import tempfile
from collections.abc import Iterable

from .._core.errors import DependencyError

__all__ = ["allow_program", "deny_program"]

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NOT_EQUAL, _EQUAL, _MASKED = 1, 4, 7
_WORD = 0xFFFFFFFF
"""The kernel looks at the lower half of these arguments only."""

_NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of clone(2)."""

_MODES = {
    "chmod": 1,
    "creat": 1,
    "fchmod": 1,
    "fchmodat": 2,
    "fchmodat2": 2,
    "mkdir": 1,
    "mkdirat": 2,
    "mknod": 1,
    "mknodat": 2,
    "open": 2,
    "openat": 3,
}
"""Which argument of a call is the mode of a file."""

_TERMINAL = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX of ioctl(2): they put words into the mouth of whoever sits at a terminal."""


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """A filter under construction; ``default`` is what happens to calls without a rule."""

    def __init__(self, default: int) -> None:
        try:
            self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError:
            raise DependencyError(
                "The library libseccomp.so.2 is not installed on this host, so there is no system-call filter.",
                hint="Install the Debian package libseccomp2.",
            ) from None
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._library.seccomp_rule_add_array.argtypes = (
            *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare)),
        )
        self._library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._library.seccomp_release.argtypes = (ctypes.c_void_p,)
        self._default = default
        self._context = self._library.seccomp_init(default)
        self._done(-errno.ENOMEM if not self._context else 0)

    @staticmethod
    def _done(result: int) -> None:
        if result < 0:
            raise DependencyError(
                f"libseccomp could not make the system-call filter: {os.strerror(-result)}.",
                hint="Use the backend systemd, or a host with Debian's libseccomp2.",
            )

    def add(self, action: int, name: str, *comparisons: tuple[int, int, int, int]) -> None:
        """Add a rule; a call that this processor's kernel does not have needs none."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (_Compare * max(1, len(comparisons)))(*(_Compare(*each) for each in comparisons))
        self._done(self._library.seccomp_rule_add_array(self._context, action, number, len(comparisons), array))

    def program(self) -> bytes:
        """Return the program and free the filter."""
        with tempfile.TemporaryFile() as handle:
            self._done(self._library.seccomp_export_bpf(self._context, handle.fileno()))
            handle.seek(0)
            data = handle.read()
        self._library.seccomp_release(self._context)
        return data


def allow_program(names: Iterable[str], families: Iterable[str]) -> bytes:
    """Return the program that allows the system calls ``names``, and sockets of ``families`` only; others give EPERM.

    :raises DependencyError: libseccomp is missing or refuses.
    """
    made = _Filter(_ERRNO | errno.EPERM)
    for name in sorted(set(names) - {"socket", "socketpair", "unshare", "setns", "personality"}):
        made.add(_ALLOW, name)
    for family in families:
        made.add(_ALLOW, "socket", (0, _MASKED, _WORD, int(getattr(socket, family))))
    made.add(_ALLOW, "socketpair", (0, _MASKED, _WORD, int(socket.AF_UNIX)))
    for persona in (0, _WORD):
        made.add(_ALLOW, "personality", (0, _MASKED, _WORD, persona))
    return made.program()


def deny_program() -> bytes:
    """Return the program that refuses new namespaces, files that change their user, and forged terminal input.

    :raises DependencyError: libseccomp is missing or refuses.
    """
    made = _Filter(_ALLOW)
    refuse, absent = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    for flag in _NAMESPACES:
        made.add(refuse, "clone", (0, _MASKED, flag, flag))
    # Their arguments are behind a pointer, where no filter can look; the C library then uses the older calls.
    for name in ("clone3", "openat2"):
        made.add(absent, name)
    for name, argument in _MODES.items():
        for bit in (0o4000, 0o2000):
            made.add(refuse, name, (argument, _MASKED, bit, bit))
    for request in _TERMINAL:
        made.add(refuse, "ioctl", (1, _MASKED, _WORD, request))
    return made.program()
