# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""POSIX access control lists, as the kernel hands them out in extended attributes.

The format is that of ``linux/posix_acl_xattr.h``: a header with the version 2, then entries of tag, permission bits and
id, all little-endian. What an entry grants in the end, after the mask, is in acl(5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from .._core.errors import IntegrityError

__all__ = ["ACCESS", "DEFAULT", "WRITE", "Acl", "parse_acl"]

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
WRITE = 2
"""The bit of a permission that lets its holder write."""

_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_VERSION = 2
_USER, _GROUP = 0x02, 0x08
_SINGLE = {0x01: "owner", 0x04: "owning_group", 0x10: "mask", 0x20: "others"}


@dataclass
class Acl:
    """An access control list: permission bits (read 4, write 2, execute 1) by whom they are for.

    ``users`` and ``groups`` are the named entries by numeric id. The mask limits them and the owning group.
    """

    owner: int = 0
    owning_group: int = 0
    others: int = 0
    mask: int | None = None
    users: dict[int, int] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)

    def granted(self, bits: int) -> int:
        """Return what is left of the ``bits`` of a named entry or of the owning group after the mask."""
        return bits if self.mask is None else bits & self.mask

    def writing_users(self) -> Iterator[int]:
        """Yield the ids of the users whom an entry of their own lets write."""
        return (uid for uid, bits in self.users.items() if self.granted(bits) & WRITE)

    def writing_groups(self) -> Iterator[int]:
        """Yield the ids of the groups whom an entry of their own lets write."""
        return (gid for gid, bits in self.groups.items() if self.granted(bits) & WRITE)


def parse_acl(data: bytes) -> Acl:
    """Return the list in the bytes of an extended attribute.

    :raises IntegrityError: they are no such list.
    """
    if len(data) < _HEADER.size or (len(data) - _HEADER.size) % _ENTRY.size:
        raise IntegrityError(f"An access control list can't have {len(data)} bytes.")
    (version,) = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise IntegrityError(f"An access control list of version {version} is unknown.")
    acl = Acl()
    seen = set()
    for tag, bits, number in _ENTRY.iter_unpack(data[_HEADER.size :]):
        key = (tag, number) if tag in (_USER, _GROUP) else tag
        if bits > 7 or key in seen:
            raise IntegrityError("An access control list has an entry that can't be.")
        seen.add(key)
        if tag == _USER:
            acl.users[number] = bits
        elif tag == _GROUP:
            acl.groups[number] = bits
        elif tag in _SINGLE:
            setattr(acl, _SINGLE[tag], bits)
        else:
            raise IntegrityError(f"An access control list has an entry with the unknown tag {tag}.")
    if (acl.users or acl.groups) and acl.mask is None:
        raise IntegrityError("An access control list with named entries has no mask.")
    return acl
