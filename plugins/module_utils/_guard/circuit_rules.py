# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of a circuit breaker, free of clocks and stores: a record, and what happens to it.

States and their names are those of Michael Nygard, "Release It!" (2007): closed lets calls through, open refuses them,
half-open lets a few probes through to see whether the other side is well again. Two more are set by people: forced_open
refuses until somebody closes it, disabled lets everything through and counts nothing.

Times are seconds since the epoch by the clock of whoever keeps the record. A clock that went backwards makes what is
kept lie in the future; :meth:`Record.clamp` moves it to now, so that nothing waits longer than its full time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .._core.errors import IntegrityError, UnavailableError
from .circuit_store import Answer, Decide

__all__ = ["FORCED", "CircuitOpen", "Entry", "Policy", "Record", "enter", "force", "leave", "on_text", "seen"]

FORCED = ("closed", "forced_open", "disabled")
"""The states that people can set."""

_STATES = ("closed", "open", "half_open", "forced_open", "disabled")
_BUCKETS = 10
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_ASK_AGAIN = 1.0
"""Seconds after which asking again makes sense while probes are on their way: one of them may end at any moment."""


@dataclass(frozen=True)
class Policy:
    """When a circuit opens and closes; times in seconds. ``circuit_options.policy_of`` makes a valid one.

    :param threshold: failures within ``period`` that open it, unless ``failure_ratio`` says the part of the calls
        within ``period`` that must have failed, of at least ``minimum_calls``.
    :param probe_timeout: the lease of a probe: when it has not come back by then, another one may go.
    """

    threshold: int = 5
    period: float = 60.0
    open_for: float = 60.0
    half_open_calls: int = 1
    success_threshold: int = 1
    failure_ratio: float | None = None
    minimum_calls: int = 10
    probe_timeout: float = 300.0
    on_backend_error: str = "fail"


@dataclass
class Record:
    """What is kept of one circuit; a circuit that never failed has none.

    ``generation`` counts the changes of state, so that a call that began in another one is not counted in this one.
    ``failures`` are times, ``calls`` are ``[beginning of the bucket, calls, failures]``; both are bounded.
    ``probes`` are ``{id, since, timeout, holder}``. ``policy`` is the one by which it was last written.
    """

    state: str = "closed"
    since: float | None = None
    reason: str = ""
    generation: int = 0
    failures: list[float] = field(default_factory=list)
    calls: list[list] = field(default_factory=list)
    probes: list[dict] = field(default_factory=list)
    successes: int = 0
    policy: dict = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Record:
        """Return the record of this JSON text, a fresh one for ``None``; unknown fields of newer versions are left out.

        :raises IntegrityError: it is no record.
        """
        if text is None:
            return cls()
        try:
            record = cls(**{name: value for name, value in json.loads(text).items() if name in cls.__annotations__})
        except (ValueError, AttributeError):
            record = cls(state="")
        if record.state not in _STATES:
            raise IntegrityError(
                "What is kept of the circuit is damaged.",
                hint="Remove it: scripts.toolkit.circuit_breaker with state: absent.",
            )
        return record

    def dump(self) -> str:
        """Return the record as JSON text; equal records give equal texts."""
        return _JSON.encode(vars(self))

    def clamp(self, now: float) -> None:
        """Move what lies in the future to ``now``."""
        if self.since is not None:
            self.since = min(self.since, now)
        self.failures = [min(time, now) for time in self.failures]
        for bucket in self.calls:
            bucket[0] = min(bucket[0], now)
        for probe in self.probes:
            probe["since"] = min(probe["since"], now)

    def recent_failures(self, period: float, now: float) -> int:
        """Return how many of the failures lie within ``period`` seconds before ``now``."""
        return sum(time > now - period for time in self.failures) + sum(
            failures for start, _calls, failures in self.calls if start > now - period
        )

    def recent_calls(self, period: float, now: float) -> int:
        """Return how many calls were counted within ``period`` seconds; 0 where only failures are."""
        return sum(calls for start, calls, _failures in self.calls if start > now - period)

    def turn(self, name: str, state: str, reason: str, policy: Policy | None, now: float) -> dict:
        """Change the state, forget what was counted in the one before, and return the transition."""
        transition = {"circuit": name, "from": self.state, "to": state, "reason": reason}
        self.state, self.since, self.reason = state, now, reason
        self.generation += 1
        self.failures, self.calls, self.probes, self.successes = [], [], [], 0
        if policy is not None:
            self.policy = _kept(policy)
        return transition


@dataclass
class Entry:
    """The permission to make one call, to be given back by ``leave``.

    :param state: ``closed``, ``half_open`` (the call is a probe) or ``disabled``; ``bypassed`` where the store could
        not be asked and the policy allows the call nevertheless.
    :param transitions: the changes of state that letting it in made.
    """

    state: str
    transitions: list[dict] = field(default_factory=list)
    generation: int = 0
    probe: str | None = None
    left: bool = False


class CircuitOpen(UnavailableError):
    """The circuit lets this call not through.

    :param state: ``open``, ``forced_open`` or ``half_open`` (all probes are on their way).
    :param retry_after: seconds after which asking again makes sense; ``None`` where only people can tell (forced_open).
    """

    def __init__(self, name: str, state: str, reason: str, retry_after: float | None) -> None:
        why = f": {reason}" if reason else ""
        if state == "forced_open":
            message, hint = f"The circuit {name} is forced open{why}.", "It stays so until somebody closes it:"
        elif state == "half_open":
            message, hint = f"The circuit {name} waits for the result of a probe.", "Try again later, or close it:"
        else:
            message = (
                f"The circuit {name} is open{why}. A probe is let through in {math.ceil(retry_after or 0)} seconds."
            )
            hint = "Try again later, or close it:"
        super().__init__(message, hint=f"{hint} scripts.toolkit.circuit_breaker with state: closed.")
        self.state = state
        self.retry_after = retry_after


def enter(
    name: str,
    record: Record,
    policy: Policy,
    now: float,
    probe: Callable[[], dict],
    alive: Callable[[object], bool],
) -> Entry | CircuitOpen:
    """Decide about one call; the answer is returned, not raised, since the record may have changed either way.

    :param probe: gives ``{id, holder}`` of the caller, should it become a probe.
    :param alive: tells whether the holder of a probe still lives, as far as that can be known.
    """
    if record.state in ("closed", "disabled"):
        return Entry(record.state, generation=record.generation)
    if record.state == "forced_open":
        return CircuitOpen(name, record.state, record.reason, None)
    transitions = []
    if record.state == "open":
        left = record.since + policy.open_for - now
        if left > 0:
            return CircuitOpen(name, record.state, record.reason, left)
        reason = f"it was open for {policy.open_for:g} seconds"
        transitions = [record.turn(name, "half_open", reason, policy, now)]
    live = _live(record, now, alive)
    if len(live) >= policy.half_open_calls:
        return CircuitOpen(name, record.state, record.reason, _ASK_AGAIN)
    sent = {**probe(), "since": now, "timeout": policy.probe_timeout}
    record.probes = [*live, sent]
    return Entry("half_open", transitions, record.generation, sent["id"])


def _live(record: Record, now: float, alive: Callable[[object], bool]) -> list[dict]:
    """Return the probes on their way: neither their lease nor their process has ended."""
    return [probe for probe in record.probes if now - probe["since"] < probe["timeout"] and alive(probe["holder"])]


def leave(name: str, record: Record, policy: Policy, now: float, entry: Entry, succeeded: bool | None) -> list[dict]:
    """Count the result of the call that ``entry`` allowed (``None``: there is none) and return the transitions.

    A probe that comes back after its lease has ended counts like any other while the circuit is half-open still; else
    probes that take longer than their lease could never close it.
    """
    record.probes = [probe for probe in record.probes if probe["id"] != entry.probe]
    if succeeded is None or record.generation != entry.generation:
        return []
    if record.state == "half_open":
        if not succeeded:
            return [record.turn(name, "open", "a probe failed", policy, now)]
        record.successes += 1
        if record.successes >= policy.success_threshold:
            return [record.turn(name, "closed", _told(record.successes, "probe", "succeeded"), policy, now)]
        return []
    if record.state != "closed":
        return []
    return _count(name, record, policy, now, succeeded)


def _count(name: str, record: Record, policy: Policy, now: float, succeeded: bool) -> list[dict]:
    if policy.failure_ratio is None:
        if succeeded:
            return []
        record.policy = _kept(policy)
        recent = [time for time in record.failures if time > now - policy.period]
        record.failures = [*recent, now][-policy.threshold :]
        if len(record.failures) < policy.threshold:
            return []
        reason = f"{_told(policy.threshold, 'failure', 'within')} {policy.period:g} seconds"
        return [record.turn(name, "open", reason, policy, now)]
    record.policy = _kept(policy)
    record.calls = [bucket for bucket in record.calls if bucket[0] > now - policy.period]
    if not record.calls or record.calls[-1][0] <= now - policy.period / _BUCKETS:
        record.calls.append([now, 0, 0])
    record.calls[-1][1] += 1
    record.calls[-1][2] += not succeeded
    calls, failures = sum(bucket[1] for bucket in record.calls), sum(bucket[2] for bucket in record.calls)
    if calls < policy.minimum_calls or failures < policy.failure_ratio * calls:
        return []
    reason = f"{failures} of {_told(calls, 'call', 'failed within')} {policy.period:g} seconds"
    return [record.turn(name, "open", reason, policy, now)]


def force(name: str, record: Record, state: str, reason: str, now: float) -> list[dict]:
    """Set one of ``FORCED`` and return the transitions, none where it is so already.

    ``closed`` also forgets what was counted, and a ``reason`` that differs is kept, without a transition.
    """
    if record.state != state:
        return [record.turn(name, state, reason or "by hand", None, now)]
    if state == "closed":
        record.failures, record.calls = [], []
    elif reason:
        record.reason = reason
    return []


def on_text(act: Callable[[Record, float], Answer]) -> Decide:
    """Return what a store asks: ``act`` on the record of a text, which stays as it is where ``act`` changes nothing."""

    def decide(text: str | None, now: float) -> tuple[str | None, Answer]:
        record = Record.parse(text)
        found = record.dump()
        record.clamp(now)
        answer = act(record, now)
        left = record.dump()
        return (text if left == found else left), answer

    return decide


def seen(name: str, record: Record, policy: Policy | None, now: float, alive: Callable[[object], bool]) -> dict:
    """Return what people want to know of a circuit; times as UTC in ISO 8601, ``None`` where there is none.

    ``permits`` is how many calls would be let through now, ``None`` for any number.


    :param policy: by which it is judged, ``None`` for the one by which it was last written.
    """
    if policy is None:
        policy = Policy(**{key: value for key, value in record.policy.items() if key in Policy.__annotations__})
    record.clamp(now)
    until = record.since + policy.open_for if record.state == "open" else None
    probes = len(_live(record, now, alive))
    permits = {"closed": None, "disabled": None, "forced_open": 0}.get(record.state, policy.half_open_calls - probes)
    if until is not None and until > now:
        permits = 0
    return {
        "name": name,
        "state": record.state,
        "reason": record.reason,
        "since": _iso(record.since),
        "open_until": _iso(until),
        "failures": record.recent_failures(policy.period, now),
        "calls": record.recent_calls(policy.period, now),
        "successes": record.successes,
        "probes": probes,
        "permits": None if permits is None else max(permits, 0),
        "policy": _kept(policy),
    }


def _iso(time: float | None) -> str | None:
    if time is None:
        return None
    return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _kept(policy: Policy) -> dict:
    return {key: value for key, value in vars(policy).items() if key != "on_backend_error"}


def _told(number: int, noun: str, rest: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'} {rest}"
