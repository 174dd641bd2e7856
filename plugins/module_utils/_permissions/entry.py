# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file, held by a descriptor: all that is read of it is of that inode, whatever its name is given to meanwhile."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import platform
import stat
import struct

from .acl import ACCESS, DEFAULT, Acl, parse_acl
from .capabilities import ATTRIBUTE, FileCapabilities, parse_capabilities

__all__ = ["APPEND_ONLY", "IMMUTABLE", "TYPES", "Entry"]

TYPES = ("file", "directory", "link", "block_device", "character_device", "fifo", "socket")
IMMUTABLE = 0x10
APPEND_ONLY = 0x20

_KINDS = dict(
    zip((stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK), TYPES)
)
_HOLD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_LISTS = (errno.EOPNOTSUPP, errno.ENOSYS)
_NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_BLOCK = 1 << 20
# _IOR('f', 1, long) of linux/fs.h; on these architectures the direction stands elsewhere in the number.
_OTHER_NUMBERS = platform.machine().startswith(("ppc", "mips", "sparc", "alpha"))
_GET_FLAGS = (2 << (29 if _OTHER_NUMBERS else 30)) | struct.calcsize("l") << 16 | ord("f") << 8 | 1


class Entry:
    """What is at a name in a directory, never followed if it is a symbolic link.

    :param path: full path, for people and patterns; it is never opened.
    :param name: name in the directory ``directory``, or a full path without one.
    :param directory: descriptor of the directory.
    :raises OSError: there is nothing, or it may not be reached.
    """

    __slots__ = ("_attributes", "_fd", "kind", "mode", "path", "status")

    def __init__(self, path: str, name: str, directory: int | None = None) -> None:
        self.path = path
        self._fd = os.open(name, _HOLD, dir_fd=directory)
        try:
            self.status = os.fstat(self._fd)
        except OSError:
            self.close()
            raise
        self.mode = stat.S_IMODE(self.status.st_mode)
        self.kind = _KINDS[stat.S_IFMT(self.status.st_mode)]
        self._attributes: dict[str, bytes] | None = None

    @property
    def fd(self) -> int:
        """The descriptor, opened with O_PATH; -1 once it is closed."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back; what was read stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Entry:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def is_directory(self) -> bool:
        """True for a directory."""
        return self.kind == "directory"

    def attributes(self) -> dict[str, bytes]:
        """Return the extended attributes that grant something: access control lists and capabilities.

        One call says that there are none, which nearly every file answers.
        """
        if self._attributes is None:
            place = f"/proc/self/fd/{self.fd}"
            try:
                names = [] if self.kind == "link" else os.listxattr(place)
                found = {name: os.getxattr(place, name) for name in names if name in (ACCESS, DEFAULT, ATTRIBUTE)}
            except OSError as error:
                if error.errno not in _NO_LISTS:
                    raise OSError(error.errno, error.strerror, self.path) from None
                found = {}
            self._attributes = found
        return self._attributes

    def acl(self, name: str = ACCESS) -> Acl | None:
        """Return the access control list, or with :data:`DEFAULT` the one that new files in the directory get.

        :raises IntegrityError: it can't be understood.
        """
        data = self.attributes().get(name)
        return None if data is None else parse_acl(data)

    def capabilities(self) -> FileCapabilities | None:
        """Return the file's capabilities.

        :raises IntegrityError: they can't be understood.
        """
        data = self.attributes().get(ATTRIBUTE)
        return None if data is None else parse_capabilities(data)

    def target(self) -> str:
        """Return where the symbolic link leads, as it is written."""
        return os.readlink("", dir_fd=self.fd)

    def child(self, name: str) -> Entry:
        """Return what ``name`` is in this directory; ``.`` is the directory once more."""
        if name == ".":
            path = self.path
        elif name == "..":
            path = os.path.dirname(self.path)
        else:
            path = os.path.join(self.path, name)
        return Entry(path, name, self.fd)

    def open(self, extra: int = 0) -> int:
        """Return a descriptor to read the file or directory with; its access time stays, where we may keep it.

        :param extra: more flags for open(2).
        """
        try:
            return self._reopen(_READ | extra | os.O_NOATIME)
        except PermissionError:
            # O_NOATIME is for the owner and root only.
            return self._reopen(_READ | extra)

    def _reopen(self, flags: int) -> int:
        if self.is_directory:
            return os.open(".", flags, dir_fd=self.fd)
        return os.open(f"/proc/self/fd/{self.fd}", flags)

    def flags(self) -> int | None:
        """Return the inode's flags (``FS_IOC_GETFLAGS``), or ``None`` where the file system has none."""
        descriptor = self.open()
        try:
            found = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(struct.calcsize("l")))
        except OSError as error:
            if error.errno not in _NO_FLAGS:
                raise
            return None
        finally:
            os.close(descriptor)
        # The kernel writes an int, whatever the number of the call says.
        return struct.unpack_from("=I", found)[0]

    def sha256(self) -> str:
        """Return the SHA-256 of the regular file's bytes in hex."""
        digest = hashlib.sha256()
        with open(self.open(), "rb", buffering=0) as handle:
            for block in iter(lambda: handle.read(_BLOCK), b""):
                digest.update(block)
        return digest.hexdigest()
