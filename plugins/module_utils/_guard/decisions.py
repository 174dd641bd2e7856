# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What guards decided, as events for the audit trail: a result carries them to the callback, which also counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._audit.record.custom import GUARD_DECISION
from .circuit import CircuitOpen

__all__ = ["Decisions"]


class Decisions:
    """Collects the events of one task. The words for decisions are those of ``GUARD_DECISIONS``, by which they count.

    :param module: the name of the module that the guards stand around.
    """

    def __init__(self, module: str) -> None:
        self.events: list[dict] = []
        self._module = module

    def _add(self, decision: str, **details: object) -> None:
        told = {"decision": decision, "wraps": self._module, **details}
        self.events.append({"event_type": GUARD_DECISION, "details": told})

    def attempt(self, told: Mapping) -> None:
        """An attempt ended; ``told`` is its entry in ``attempts``."""
        details = {key: told[key] for key in ("number", "outcome", "kind", "reason", "ended") if told.get(key)}
        self._add("attempt", duration_ms=round(told["duration_seconds"] * 1000), **details)

    def wait(self, seconds: float, reason: str) -> None:
        """Another attempt follows after ``seconds``; ``reason`` is ``backoff`` or ``retry_after``."""
        self._add("wait", wait_ms=round(seconds * 1000), reason=reason)

    def deadline(self, reason: str) -> None:
        """There is no time for another attempt."""
        self._add("deadline", reason=reason)

    def transitions(self, transitions: Iterable[Mapping]) -> None:
        """A circuit changed its state, for which the word is ``trip``."""
        for transition in transitions:
            self._add("trip", **transition)

    def probe(self, circuit: str) -> None:
        """The next attempt is a probe of a half-open circuit."""
        self._add("probe", circuit=circuit)

    def refused(self, circuit: str, error: CircuitOpen) -> None:
        """A circuit let no attempt through."""
        self._add("refused", circuit=circuit, state=error.state, reason=error.message)

    def hit(self, age: float, waited: float) -> None:
        """A result ``age`` seconds old was used, after ``waited`` seconds for another process to compute it."""
        self._add("hit", age_ms=round(age * 1000), wait_ms=round(waited * 1000))

    def stored(self, reason: str | None) -> None:
        """A result was kept, or was not, for ``reason``."""
        if reason is None:
            self._add("store", stored=True)
        else:
            self._add("store", stored=False, reason=reason)

    def bypass(self, guard: str, reason: str) -> None:
        """A guard does not work, and the task goes on without it."""
        self._add("bypass", guard=guard, reason=reason)
