# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state file: what was made or is about to be made, written before it is made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...module_utils._core.errors import IntegrityError
from ...module_utils._core.files import read_bytes, write_atomic
from .layout import Layout, exclusive

__all__ = ["FORMAT", "State"]

FORMAT = 1


class State:
    """The hosts of one :class:`Layout` and their network.

    ``hosts`` maps a name to its record: ``suite``, ``number`` (last part of its address), ``address``, ``phase``
    (``starting`` or ``running``), ``owner`` (identity of the process that starts it), ``process`` (identity of
    systemd-nspawn), ``image``, ``cut`` (``link``, ``drop`` or ``None``), ``created`` (seconds since the epoch).
    ``network`` is ``None`` or ``subnet``, ``gateway``, ``port`` (of the package cache), ``cache`` (identity of its
    process) and ``forwarding`` (what net.ipv4.ip_forward was before).
    """

    def __init__(self, data: dict | None = None) -> None:
        data = data or {}
        self.hosts: dict[str, dict] = data.get("hosts", {})
        self.network: dict | None = data.get("network")
        self.last_number: int = data.get("last_number", 1)

    @classmethod
    def load(cls, layout: Layout) -> State:
        """Read the state; an absent file is an empty state.

        :raises IntegrityError: the file is damaged or from a newer version.
        """
        raw = read_bytes(layout.state)
        if raw is None:
            return cls()
        hint = f"Run `toolkit host down --all`: it removes everything named {layout.tag}* and the file."
        try:
            data = json.loads(raw)
            found = data["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"The state file {layout.state} is damaged: {error}.", hint=hint) from None
        if found != FORMAT:
            raise IntegrityError(f"The state file {layout.state} has format {found}, not {FORMAT}.", hint=hint)
        return cls(data)

    def save(self, layout: Layout) -> None:
        """Write the state; a reader sees the old or the new, also after kill -9."""
        data = {"format": FORMAT, "hosts": self.hosts, "network": self.network, "last_number": self.last_number}
        # Not fsynced: what it describes (processes, links, mounts) doesn't survive a power failure either, and what
        # does, the directories, is found without it.
        write_atomic(layout.state, json.dumps(data, indent=1, sort_keys=True).encode(), durable=False)

    @classmethod
    @contextmanager
    def locked(cls, layout: Layout) -> Iterator[State]:
        """Hold the lock, give the state, and save it at the end unless an exception passes."""
        with exclusive(layout.lock):
            state = cls.load(layout)
            yield state
            if state.hosts or state.network or os.path.exists(layout.state):
                state.save(layout)

    def next_number(self, limit: int = 254) -> int:
        """Return a free host number between 2 and ``limit``.

        Numbers go round: a control socket or a neighbour entry of a host that is gone must not meet its successor.

        :raises IntegrityError: all are taken.
        """
        taken = {record["number"] for record in self.hosts.values()}
        for step in range(1, limit):
            number = (self.last_number - 2 + step) % (limit - 1) + 2
            if number not in taken:
                self.last_number = number
                return number
        raise IntegrityError(f"All {limit - 1} addresses of the hosts' network are taken.", hint="Take hosts down.")
