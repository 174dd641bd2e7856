# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capabilities of files, as the kernel hands them out in the extended attribute ``security.capability``.

The format is ``struct vfs_cap_data`` of ``linux/capability.h``, revisions 1 to 3, little-endian: a word with revision
and effective bit, pairs of permitted and inheritable sets, and in revision 3 the user id of a namespace's root.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from .._core.errors import IntegrityError, ValidationError

__all__ = ["ALL", "ATTRIBUTE", "FileCapabilities", "capability_names", "capability_set", "parse_capabilities"]

ATTRIBUTE = "security.capability"
ALL = (1 << 64) - 1
"""The set of all capabilities, those of future kernels too."""

_IN_ORDER = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service "
    "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin "
    "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override "
    "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
_NAMES = _IN_ORDER.split()
_WORD = struct.Struct("<I")
_PAIRS = {1: 1, 2: 2, 3: 2}
_EFFECTIVE = 1


@dataclass(frozen=True)
class FileCapabilities:
    """The capability sets of a file, bit N for capability N; ``rootid`` is ``None`` where the attribute has none."""

    permitted: int
    inheritable: int
    effective: bool
    rootid: int | None = None

    def __str__(self) -> str:
        """Return them as getcap(8) does, such as ``cap_net_raw=ep``."""
        parts = []
        flag = "e" if self.effective else ""
        for names, letters in (
            (self.permitted & ~self.inheritable, f"{flag}p"),
            (self.permitted & self.inheritable, f"{flag}ip"),
            (self.inheritable & ~self.permitted, f"{flag}i"),
        ):
            if names:
                parts.append(f"{','.join(capability_names(names))}={letters}")
        return " ".join(parts) or "="


def capability_names(numbers: int) -> list[str]:
    """Return the names of the capabilities in a set; one that is newer than this list is ``cap_N``."""
    return [
        f"cap_{_NAMES[number]}" if number < len(_NAMES) else f"cap_{number}"
        for number in range(64)
        if numbers >> number & 1
    ]


def capability_set(names: list[str], option: str = "capabilities") -> int:
    """Return the set of the capabilities named, with or without ``cap_``, in either case; ``all`` is every one.

    :raises ValidationError: there is no such capability; the message names ``option``.
    """
    found = 0
    for name in names:
        short = name.lower()[4:] if name.lower().startswith("cap_") else name.lower()
        if short == "all":
            found = ALL
        elif short in _NAMES:
            found |= 1 << _NAMES.index(short)
        elif re.fullmatch("[0-9]{1,2}", short) and int(short) < 64:
            found |= 1 << int(short)
        else:
            raise ValidationError(
                f"{option}: there is no capability {name}.",
                hint="capabilities(7) lists them, such as cap_net_bind_service; all stands for every one.",
            )
    return found


def parse_capabilities(data: bytes) -> FileCapabilities:
    """Return the sets in the bytes of the extended attribute.

    :raises IntegrityError: they are no such attribute.
    """
    words = [word for (word,) in _WORD.iter_unpack(data[: len(data) // 4 * 4])]
    revision = words[0] >> 24 if words else 0
    pairs = _PAIRS.get(revision)
    if pairs is None or len(data) != 4 * (1 + 2 * pairs + (revision == 3)):
        raise IntegrityError(f"File capabilities of revision {revision} can't have {len(data)} bytes.")
    permitted = inheritable = 0
    for pair in range(pairs):
        permitted |= words[1 + 2 * pair] << 32 * pair
        inheritable |= words[2 + 2 * pair] << 32 * pair
    rootid = words[5] if revision == 3 else None
    return FileCapabilities(permitted, inheritable, bool(words[0] & _EFFECTIVE), rootid)
