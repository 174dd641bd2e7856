# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vault: collects the plain texts of what ansible-core marks as encrypted, so that they can be redacted elsewhere.

A message may hold a value that came out of the vault: ansible-core loses its mark as soon as the value is part of a
longer text. What is looked at lies in memory already: the files that ansible-core's loader has parsed, the variables of
the inventory, and the values given. Values of files encrypted as a whole count, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["MIN_SECRET", "Vaulted", "is_encrypted"]

MIN_SECRET = 6
"""Characters of the shortest value that is taken for a secret; shorter ones would turn up everywhere."""

_HEADER = b"$ANSIBLE_VAULT;"
_MIN_LINE = 12
_MOST_BYTES = 16 << 20
_MAX_DEPTH = 32


class Vaulted:
    """Finds marked values.

    :param kinds: ansible-core's classes of inline encrypted values.
    :param found: called with each plain text, once per place.
    """

    def __init__(self, kinds: tuple[type, ...], found: Callable[[str], None]) -> None:
        self._kinds = kinds
        self._found = found
        self._files: set[str] = set()
        self._inventories: set[int] = set()

    def look_at_loader(self, loader: Any) -> None:
        """Look at the files that ansible-core has parsed since the last call; costs next to nothing without any."""
        cache = getattr(loader, "_FILE_CACHE", None)
        if not isinstance(cache, dict) or len(cache) == len(self._files):
            return
        for path in [path for path in list(cache) if path not in self._files]:
            self._files.add(path)
            self.look(cache.get(path), encrypted=is_encrypted(path))

    def look_at_inventory(self, inventory: Any, sources: Iterable[str]) -> None:
        """Look at the variables of all hosts and groups, once per inventory."""
        if inventory is None or id(inventory) in self._inventories:
            return
        self._inventories.add(id(inventory))
        encrypted = any(is_encrypted(str(source)) for source in sources)
        for members in (getattr(inventory, "groups", None), getattr(inventory, "hosts", None)):
            for member in (members or {}).values():
                self.look(member.vars, encrypted)

    def look(self, value: object, encrypted: bool = False, depth: int = 0) -> None:
        """Look at a value and what is in it.

        :param encrypted: all of it comes from an encrypted file.
        """
        if isinstance(value, self._kinds):
            self._tell(value)
        elif isinstance(value, Mapping):
            if depth < _MAX_DEPTH:
                for entry in list(value.values()):
                    self.look(entry, encrypted, depth + 1)
        elif isinstance(value, (list, tuple)):
            if depth < _MAX_DEPTH:
                for entry in value:
                    self.look(entry, encrypted, depth + 1)
        elif encrypted and isinstance(value, (str, int, float)) and not isinstance(value, bool):
            self._tell(value)

    def _tell(self, value: object) -> None:
        try:
            text = str(value)
        except Exception:  # pylint: disable=broad-exception-caught # its key is not loaded: nobody can know it
            return
        text = text.strip()
        if len(text) >= MIN_SECRET:
            self._found(text)
        if "\n" in text:  # a message may hold one line of it; a PEM header is no secret
            for line in text.splitlines():
                if len(line.strip()) >= _MIN_LINE and not line.startswith("-----"):
                    self._found(line.strip())


def is_encrypted(path: str, inside: bool = False) -> bool:
    """Return whether the file is encrypted as a whole, or with ``inside`` whether anything in it is."""
    try:
        with open(path, "rb") as handle:
            return _HEADER in handle.read(_MOST_BYTES) if inside else handle.read(len(_HEADER)) == _HEADER
    except (OSError, ValueError):
        return False
