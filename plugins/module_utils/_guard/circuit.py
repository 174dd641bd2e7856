# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Circuit breakers that outlive a run: enter before a call, leave after it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from .._core.errors import ToolkitError
from . import circuit_rules as rules
from .backend_url import SCHEMES, check_backend
from .circuit_rules import CircuitOpen, Entry, Policy, Record
from .circuit_sqlite import SqliteStore
from .circuit_store import Answer, Store

__all__ = ["Circuit", "CircuitOpen", "Entry", "Policy", "open_store"]


def open_store(backend: str | None, directory: str) -> Store:
    """Return what keeps the circuits. It connects when it is first asked.

    :param backend: a URL, ``None`` for a file in ``directory`` (``base_directory("state")``).
    :raises ValidationError: it is no URL of a backend that there is.
    :raises DependencyError: its Python library is missing.
    """
    check_backend(backend)
    if backend is None:
        return SqliteStore(directory)
    # Imported only where it is used: the libraries below take longer to load than a hundred calls.
    if SCHEMES[urlsplit(backend).scheme] == "redis":
        from .circuit_redis import RedisStore

        return RedisStore(backend)
    from .circuit_postgresql import PostgresqlStore

    return PostgresqlStore(backend)


class Circuit:
    """The circuit of this name in ``store``, judged by ``policy``.

    Where the policy says ``bypass``, a store that does not work lets all calls through and puts a sentence into
    ``warnings``; else :meth:`enter` and :meth:`leave` raise what the store raises.

    :param now: the clock; a server that keeps circuits uses its own.
    """

    def __init__(self, store: Store, name: str, policy: Policy, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.policy = policy
        self.warnings: list[str] = []
        self._store = store
        self._now = now

    def enter(self) -> Entry:
        """Ask to make one call. On a closed circuit this reads once and writes nothing.

        :raises CircuitOpen: it may not be made now.
        """
        store = self._store
        try:
            answer = self._change(
                lambda record, now: rules.enter(self.name, record, self.policy, now, self._probe, store.alive)
            )
        except ToolkitError as error:
            self._bypass(error)
            return Entry("bypassed")
        if isinstance(answer, CircuitOpen):
            raise answer
        return answer

    def leave(self, entry: Entry, succeeded: bool | None) -> list[dict]:
        """Tell how the call went; once for each entry, further times do nothing.

        A success on a closed circuit that counts failures only is not even read or written.

        :param succeeded: ``None`` when the call was not made after all; a probe is given back and nothing counted.
        :returns: the transitions, ``{"circuit", "from", "to", "reason"}`` each.
        """
        counts = entry.state == "half_open" or (
            entry.state == "closed" and succeeded is not None and not (succeeded and self.policy.failure_ratio is None)
        )
        if entry.left or not counts:
            return []
        entry.left = True
        try:
            return self._change(lambda record, now: rules.leave(self.name, record, self.policy, now, entry, succeeded))
        except ToolkitError as error:
            self._bypass(error)
            return []

    def look(self) -> None:
        """Refuse as :meth:`enter` would, without any change: for check mode.

        :raises CircuitOpen: a call may not be made now.
        """
        try:
            record, now = self._read()
        except ToolkitError as error:
            self._bypass(error)
            return
        record.clamp(now)
        answer = rules.enter(self.name, record, self.policy, now, self._probe, self._store.alive)
        if isinstance(answer, CircuitOpen):
            raise answer

    def peek(self) -> dict:
        """Return the state as :func:`circuit_rules.seen` does, without any change.

        :raises ToolkitError: the store could not be read.
        """
        record, now = self._read()
        return rules.seen(self.name, record, self.policy, now, self._store.alive)

    def _read(self) -> tuple[Record, float]:
        try:
            texts, now = self._store.read(self.name, self._now)
        finally:
            self._store.release()
        return Record.parse(texts.get(self.name)), now

    def _change(self, act: Callable[[Record, float], Answer]) -> Answer:
        try:
            return self._store.change(self.name, rules.on_text(act), self._now)
        finally:
            self._store.release()

    def _probe(self) -> dict:
        return {"id": secrets.token_hex(8), "holder": self._store.holder()}

    def _bypass(self, error: ToolkitError) -> None:
        """Raise ``error`` unless the policy lets calls through without the store."""
        if self.policy.on_backend_error != "bypass":
            error.item = error.item or self.name
            raise error
        self.warnings.append(f"The circuit {self.name} is bypassed, since its state can't be used: {error.message}")
