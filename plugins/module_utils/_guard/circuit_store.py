# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps the records of circuits. A store sees them as texts; the rules are elsewhere, once for all stores."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

__all__ = ["Answer", "Decide", "Store"]

Answer = TypeVar("Answer")


class Decide(Protocol):
    """Decides what becomes of a record."""

    def __call__(self, text: str | None, now: float) -> tuple[str | None, Any]:
        """Take the text kept (``None``: none) and the time; return the text to keep and an answer. It may be asked
        again."""


class Store(abc.ABC):
    """Records of circuits by name, changed by one process at a time.

    All methods raise ``UnavailableError`` when the store can't be asked now, and the other errors of the collection.
    """

    def change(self, name: str, decide: Decide, now: Callable[[], float]) -> Answer:
        """Have ``decide`` look at a record, keep what it wants to be kept, and return its answer.

        It is asked about what is read without any lock first: most calls change nothing.

        :param now: the clock of this machine; a server uses its own.
        """
        texts, time = self.read(name, now)
        found = texts.get(name)
        wanted, answer = decide(found, time)
        if wanted == found:
            return answer
        return self._change(name, decide, now)

    @abc.abstractmethod
    def _change(self, name: str, decide: Decide, now: Callable[[], float]) -> Answer:
        """Ask ``decide`` so that nobody changes the record between what it is shown and what it wants kept."""

    @abc.abstractmethod
    def read(self, name: str | None, now: Callable[[], float]) -> tuple[dict[str, str], float]:
        """Return ``{name: text}`` of the circuit of this name (``None``: of all) and the time; makes nothing."""

    def holder(self) -> object:
        """Return what names this process for :meth:`alive`; ``None`` where that would tell others nothing."""
        return None

    def alive(self, holder: object) -> bool:
        """Return false when the process of :meth:`holder` is known to be dead."""
        del holder
        return True

    @abc.abstractmethod
    def release(self) -> None:
        """Give back what should not be held while a call is on its way, such as a connection."""
