# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A managed block in /etc/hosts (hosts(5)); all other lines belong to somebody else and stay as they are."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._core.errors import ConflictError, IntegrityError, ValidationError
from .._core.files import read_bytes, write_atomic
from .hostname import check_host_name

__all__ = ["HostsEntry", "HostsFile", "read_entries"]

_BEGIN = "# BEGIN hosts managed by scripts.toolkit"
_END = "# END hosts managed by scripts.toolkit"
_OWN = "127.0.1.1"
"""Where Debian lets a host find itself (Debian Reference, 5.1.1)."""

_FRESH = """127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters
"""


@dataclass(frozen=True)
class HostsEntry:
    """One line: an address in its shortest form and the names for it."""

    address: str
    names: tuple[str, ...]

    @property
    def family(self) -> int:
        return ipaddress.ip_address(self.address).version

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    def line(self) -> str:
        return f"{self.address}\t{' '.join(self.names)}"


def read_entries(hosts: Iterable[Mapping]) -> list[HostsEntry]:
    """Return the option ``hosts`` checked and without doubles.

    :raises ValidationError: an address or a name is none.
    :raises ConflictError: one name has two addresses of the same family.
    """
    entries: list[HostsEntry] = []
    seen: dict[tuple[int, str], str] = {}
    for index, host in enumerate(hosts):
        where = f"hosts[{index}]"
        try:
            address = str(ipaddress.ip_address(str(host["address"]).strip()))
        except ValueError:
            raise ValidationError(
                f"{where}.address: {host['address']!r} is not an IP address.",
                hint="Write it as 192.0.2.10 or 2001:db8::10.",
            ) from None
        if not host["names"]:
            raise ValidationError(f"{where}.names is empty: {address} needs at least one name.")
        names = tuple(dict.fromkeys(check_host_name(str(name), f"{where}.names") for name in host["names"]))
        entry = HostsEntry(address, names)
        for name in names:
            known = seen.setdefault((entry.family, name.lower()), address)
            if known != address:
                raise ConflictError(f"{where}: {name} is given two addresses, {known} and {address}.", item=name)
        if entry not in entries:
            entries.append(entry)
    return entries


def _parse(line: str) -> HostsEntry | None:
    words = line.partition("#")[0].split()
    if len(words) < 2:
        return None
    try:
        return HostsEntry(str(ipaddress.ip_address(words[0].partition("%")[0])), tuple(words[1:]))
    except ValueError:
        return None


class HostsFile:
    """The wish for the managed block.

    :param entries: the lines wanted; ``None`` keeps those of the block.
    :param own_name: the host's name; unless a line has it, the block gets one for 127.0.1.1. ``None`` keeps that line.
    :param path: the file.
    :raises IntegrityError: the block has no end.
    :raises ConflictError: a line outside of the block gives a name another address.
    """

    option = "hosts"

    def __init__(
        self, entries: Sequence[HostsEntry] | None, own_name: str | None = None, path: str = "/etc/hosts"
    ) -> None:
        self._path = os.path.realpath(path)
        raw = read_bytes(self._path)
        self.before = None if raw is None else raw.decode("utf-8", "surrogateescape")
        lines = (_FRESH if self.before is None else self.before).splitlines(keepends=True)
        start, end = self._find(lines, path)
        block = [entry for entry in map(_parse, lines[start + 1 : end]) if entry is not None] if end > start else []
        head, tail = (lines[:start], lines[end + 1 :]) if end > start else (lines, [])
        foreign = [(number, _parse(line)) for number, line in enumerate(lines, 1) if not start < number - 1 < end]
        outside = [(number, entry) for number, entry in foreign if entry is not None]
        wanted = list(entries) if entries is not None else [entry for entry in block if entry.address != _OWN]
        own = [] if any(entry.address == _OWN for entry in wanted) else self._own(own_name, wanted, outside, block)
        if entries is not None:
            self._check(wanted, outside, own_name, path)
        self._block = [*own, *wanted]
        inside = [_BEGIN, *(entry.line() for entry in self._block), _END] if self._block else []
        if inside and head and not head[-1].endswith("\n"):
            inside[0] = f"\n{inside[0]}"
        self.after = "".join([*head, *(f"{line}\n" for line in inside), *tail])

    @staticmethod
    def _find(lines: list[str], path: str) -> tuple[int, int]:
        """Return the places of the marks, (0, 0) without a block."""
        begins = [place for place, line in enumerate(lines) if line.strip() == _BEGIN]
        ends = [place for place, line in enumerate(lines) if line.strip() == _END]
        if not begins and not ends:
            return 0, 0
        if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
            places = ", ".join(str(place + 1) for place in sorted([*begins, *ends]))
            raise IntegrityError(
                f"hosts: the managed block in {path} is damaged; its marks are in line {places}.",
                hint=f"It must be one pair of the lines {_BEGIN!r} and {_END!r}.",
            )
        return begins[0], ends[0]

    @staticmethod
    def _own(
        name: str | None, wanted: list[HostsEntry], outside: list[tuple[int, HostsEntry]], block: list[HostsEntry]
    ) -> list[HostsEntry]:
        """Return the line for the host itself."""
        if name is None:
            return [entry for entry in block if entry.address == _OWN]
        names = (name, name.partition(".")[0]) if "." in name else (name,)
        known = {other for entry in [*wanted, *(entry for _number, entry in outside)] for other in entry.names}
        return [] if name in known else [HostsEntry(_OWN, tuple(other for other in names if other not in known))]

    @staticmethod
    def _check(wanted: list[HostsEntry], outside: list[tuple[int, HostsEntry]], own: str | None, path: str) -> None:
        """Refuse names that a foreign line answers for with another address: the first line found would win."""
        mine = {own, (own or "").partition(".")[0]}
        for entry in wanted:
            for number, other in outside:
                shared = [name for name in entry.names if name.lower() in {n.lower() for n in other.names}]
                if not shared or other.address == entry.address or other.family != entry.family:
                    continue
                if other.loopback and set(shared) <= mine:
                    continue
                raise ConflictError(
                    f"hosts: {shared[0]} is wanted at {entry.address}, but {other.address} in line {number} of {path}.",
                    hint="Remove the name from that line, which is not managed, or from hosts.",
                    item=shared[0],
                )

    @property
    def changed(self) -> bool:
        return self.before != self.after if self._block or self.before is not None else False

    def diff(self) -> tuple[str | None, str]:
        """Return the texts before and after."""
        return self.before, self.after

    def apply(self) -> None:
        """Replace the file; its mode and owner stay."""
        mode, uid, gid = 0o644, None, None
        if self.before is not None:
            found = os.stat(self._path)
            mode, uid, gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
        write_atomic(self._path, self.after.encode("utf-8", "surrogateescape"), mode=mode, uid=uid, gid=gid)
