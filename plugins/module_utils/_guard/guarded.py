# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop around a task: attempts with waits in between, under a deadline, through a circuit.

It knows neither Ansible nor hosts: an attempt is a function that gets its time limit and returns a result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .._core.errors import TimeoutExpired, ToolkitError
from .backoff import Backoff
from .circuit import Circuit, CircuitOpen, Entry
from .decisions import Decisions
from .reasons import RetryOn, explain, kind_of, retry_after

__all__ = ["Guards", "Loop"]


@dataclass(frozen=True)
class Guards:
    """What stands around the task; times in seconds.

    :param timeout: the limit of one attempt.
    :param deadline: the limit of all attempts and waits together.
    :param max_retry_after: the longest wait that a server may ask for.
    """

    backoff: Backoff = field(default_factory=lambda: Backoff(attempts=1))
    retry_on: RetryOn = field(default_factory=RetryOn)
    timeout: float | None = None
    deadline: float | None = None
    max_retry_after: float = 300.0


class Loop:
    """Makes attempts until one succeeds, or none is left.

    :param attempt: called with the seconds that it may take (``None``: any); returns a result. A result with
        ``timed_out`` says that the limit was hit, and how it was kept: ``scope``, ``group``, ``connection``.
    :param holds: whether a condition holds for a result.
    :param circuit: the circuit of the task, if it has one.
    """

    def __init__(
        self,
        guards: Guards,
        attempt: Callable[[float | None], dict],
        holds: Callable[[str, Mapping], bool],
        decisions: Decisions,
        circuit: Circuit | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guards, self._attempt, self._holds, self._circuit = guards, attempt, holds, circuit
        self._decisions, self._sleep, self._clock = decisions, sleep, clock
        self._end = None if guards.deadline is None else clock() + guards.deadline
        self.attempts: list[dict] = []
        self.warnings: list[str] = []

    def run(self) -> dict:
        """Return the result of the last attempt; a failed one has ``error``.

        :raises CircuitOpen: the circuit lets no call through.
        :raises ToolkitError: the circuit can't be asked.
        """
        delays = self._guards.backoff.delays()
        while True:
            result, again = self._once()
            failed = bool(result.get("failed") or result.get("unreachable"))
            delay = next(delays, None) if again else None
            if not again:
                return result
            if delay is None:
                if not failed:
                    result.update(failed=True, msg=self._unmet())
                return result
            problem = self._wait(delay, result)
            if problem is not None:
                result.update(problem)
                return result

    def _unmet(self) -> str:
        return f"After {len(self.attempts)} attempts the result is still one that retry.on calls for trying again."

    def _left(self) -> float | None:
        return None if self._end is None else self._end - self._clock()

    def _limit(self) -> float | None:
        limits = [limit for limit in (self._guards.timeout, self._left()) if limit is not None]
        return max(min(limits), 0.0) if limits else None

    def _once(self) -> tuple[dict, bool]:
        """Make one attempt through the circuit; return its result and whether another one is called for."""
        entry = self._enter()
        began, limit = self._clock(), self._limit()
        told = {"number": len(self.attempts) + 1, "started": _timestamp()}
        try:
            result = self._attempt(limit)
            took = self._clock() - began
            ended = result.pop("timed_out", None)
            if ended is not None:
                result.update(self._timed_out(limit or 0.0, ended))
            again = self._guards.retry_on.applies(result, lambda condition: self._holds(condition, result))
        except BaseException:
            self._leave(entry, None)
            raise
        failed = bool(result.get("failed") or result.get("unreachable"))
        # A failure that says nothing about the other side's health, such as a wrong option, counts neither way.
        self._leave(entry, None if failed and not again else not again)
        told.update(outcome=_outcome(result, ended), duration_seconds=round(took, 3))
        if failed or again:
            told.update(kind=kind_of(result), reason=explain(result), wait_seconds=None)
        if ended is not None:
            told["ended"] = ended
        self.attempts.append(told)
        self._decisions.attempt(told)
        return result, again

    def _timed_out(self, limit: float, ended: str) -> dict:
        whole = self._guards.deadline is not None and limit != self._guards.timeout
        option, value = ("deadline", self._guards.deadline) if whole else ("timeout", self._guards.timeout)
        hint = {
            "scope": "All processes that it had started on the host were ended.",
            "group": "Its process group on the host was ended; processes that had left it may go on.",
        }.get(ended, "The host ends what it runs there by itself, or could not be told to.")
        error = TimeoutExpired(f"The task did not end within its {option} of {value:g} seconds.", hint=hint)
        return {"changed": False, **error.as_result()}

    def _wait(self, delay: float, result: Mapping) -> dict | None:
        """Wait before the next attempt; return why there can be none."""
        asked = retry_after(result, time.time())
        wait, reason = delay, "backoff"
        if asked is not None and asked > delay:
            wait, reason = asked, "retry_after"
        if wait == asked and asked > self._guards.max_retry_after:
            return self._given_up(
                f"The other side asks to wait {asked:g} seconds, more than retry.max_retry_after"
                f" ({self._guards.max_retry_after:g}).",
                "Raise retry.max_retry_after, or try again later.",
                result,
            )
        left = self._left()
        if left is not None and wait >= left:
            return self._given_up(
                f"The deadline of {self._guards.deadline:g} seconds leaves no time for another attempt"
                f" after {len(self.attempts)}.",
                "Raise deadline, or react to the failure with rescue.",
                result,
            )
        self.attempts[-1]["wait_seconds"] = round(wait, 3)
        self._decisions.wait(wait, reason)
        self._sleep(wait)
        return None

    def _given_up(self, message: str, hint: str, result: Mapping) -> dict:
        self._decisions.deadline(message)
        error = TimeoutExpired(f"{message} The last attempt: {explain(result)}", hint=hint)
        told = error.as_result()
        told.pop("failed")
        # A host that can't be reached stays that, so that the play goes on without it.
        return told if result.get("unreachable") else {"failed": True, **told}

    def _enter(self) -> Entry | None:
        if self._circuit is None:
            return None
        try:
            entry = self._circuit.enter()
        except CircuitOpen as refused:
            self._decisions.refused(self._circuit.name, refused)
            self.attempts.append(
                {
                    "number": len(self.attempts) + 1,
                    "started": _timestamp(),
                    "outcome": "refused",
                    "duration_seconds": 0.0,
                    "kind": refused.kind,
                    "reason": refused.message,
                    "wait_seconds": None,
                }
            )
            raise
        self._decisions.transitions(entry.transitions)
        if entry.state == "half_open":
            self._decisions.probe(self._circuit.name)
        return entry

    def _leave(self, entry: Entry | None, succeeded: bool | None) -> None:
        if self._circuit is None or entry is None:
            return
        try:
            self._decisions.transitions(self._circuit.leave(entry, succeeded))
        except ToolkitError as error:
            # The attempt was made, and its result stands.
            self.warnings.append(f"How the attempt went could not be told to its circuit: {error.message}")
            self._decisions.bypass("circuit", error.message)


def _outcome(result: Mapping, ended: str | None) -> str:
    if ended is not None:
        return "timeout"
    if result.get("unreachable"):
        return "unreachable"
    return "failed" if result.get("failed") else "ok"


def _timestamp() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
