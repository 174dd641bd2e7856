# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All guards around one task: the cache outside, then the loop of attempts, each through the circuit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ...module_utils._core.errors import ToolkitError, ValidationError
from ...module_utils._core.paths import base_directory
from ...module_utils._guard.backoff import BACKOFF_SPEC, Backoff, seconds
from ...module_utils._guard.cache import Claim, Hit, ResultCache, storable
from ...module_utils._guard.cache_options import CACHE_SPEC, CachePolicy, cache_policy_of
from ...module_utils._guard.circuit import Circuit, open_store
from ...module_utils._guard.circuit_options import CIRCUIT_SPEC, policy_of
from ...module_utils._guard.decisions import Decisions
from ...module_utils._guard.guarded import Guards, Loop
from ...module_utils._guard.reasons import RETRY_ON_SPEC, RetryOn, kind_of
from .wrapped import Wrapped

__all__ = ["GUARDED_TASK_SPEC", "GuardedTask", "guards_of"]

GUARDED_TASK_SPEC = {
    "module": {"type": "str", "required": True},
    "args": {"type": "dict", "default": {}},
    "retry": {
        "type": "dict",
        "options": {
            **BACKOFF_SPEC,
            "on": {"type": "dict", "options": RETRY_ON_SPEC},
            "max_retry_after": {"type": "float", "default": 300.0},
        },
    },
    "timeout": {"type": "float"},
    "deadline": {"type": "float"},
    "circuit": {"type": "dict", "options": CIRCUIT_SPEC},
    "cache": {"type": "dict", "options": CACHE_SPEC},
}


def guards_of(options: Mapping) -> Guards:
    """Return the guards that validated options describe.

    :raises ValidationError: an option has a value that can't be used, or contradicts another one.
    """
    for name in ("timeout", "deadline"):
        if options[name] is not None and seconds(options[name], name) == 0:
            raise ValidationError(f"{name} is 0.", hint=f"Leave {name} out for no limit, or give seconds.")
    if options["timeout"] and options["deadline"] and options["timeout"] > options["deadline"]:
        raise ValidationError(
            f"timeout ({options['timeout']:g}) is longer than deadline ({options['deadline']:g}).",
            hint="timeout limits each attempt, deadline all of them together.",
        )
    retry = options["retry"]
    if retry is None:
        return Guards(timeout=options["timeout"], deadline=options["deadline"])
    return Guards(
        Backoff.from_options(retry),
        RetryOn.from_options(retry["on"]),
        options["timeout"],
        options["deadline"],
        seconds(retry["max_retry_after"], "retry.max_retry_after"),
    )


class GuardedTask:
    """A task with its guards.

    :param options: validated by ``GUARDED_TASK_SPEC``.
    :param wrapped: the module.
    :param holds: whether a condition holds for a result.
    :param about: ``host``, ``name``, ``no_log``, ``check_mode`` and ``context`` (what else a result depends on).
    :raises ValidationError: the options can't be used.
    """

    def __init__(
        self, options: Mapping, wrapped: Wrapped, holds: Callable[[str, Mapping], bool], about: Mapping[str, Any]
    ) -> None:
        self._guards = guards_of(options)
        self._wrapped, self._holds, self._about = wrapped, holds, about
        self._cache_policy = cache_policy_of(options["cache"]) if options["cache"] else None
        self._circuit_options = options["circuit"]
        self._policy = policy_of(options["circuit"]) if options["circuit"] else None
        self.decisions = Decisions(wrapped.name)
        self.warnings: list[str] = []

    def run(self) -> dict:
        """Return the result: that of the module with ``attempts`` and ``guard``, or a failing one with ``error``."""
        told: dict[str, Any] = {"module": self._wrapped.name, "circuit": None, "cache": None}
        attempts: list[dict] = []
        circuit = None
        try:
            circuit = self._circuit()
            result = self._through_cache(circuit, told, attempts)
        except ToolkitError as error:
            result = {"changed": False, **error.as_result()}
        if circuit is not None:
            told["circuit"] = circuit.name
            for warning in circuit.warnings:
                self._bypassed("circuit", warning)
        kind = kind_of(result) if result.get("failed") or result.get("unreachable") else None
        if kind and not isinstance(result.get("error"), Mapping):
            result["error"] = {"kind": kind, "message": str(result.get("msg", "")), "hint": None, "item": None}
        return {**result, "attempts": attempts, "guard": told}

    def _circuit(self) -> Circuit | None:
        if self._policy is None:
            return None
        store = open_store(self._circuit_options["backend"], base_directory("state"))
        return Circuit(store, self._circuit_options["name"], self._policy)

    def _loop(self, circuit: Circuit | None, attempts: list[dict]) -> dict:
        if circuit is not None and self._about["check_mode"]:
            circuit.look()
            circuit = None
        loop = Loop(self._guards, self._wrapped.attempt, self._holds, self.decisions, circuit)
        loop.attempts, loop.warnings = attempts, self.warnings
        return loop.run()

    def _through_cache(self, circuit: Circuit | None, told: dict, attempts: list[dict]) -> dict:
        policy = self._cache_policy
        if policy is None:
            return self._loop(circuit, attempts)
        if self._about["no_log"]:
            told["cache"] = {"hit": False, "stored": False, "reason": "the task is marked no_log"}
            return self._loop(circuit, attempts)
        with contextlib.closing(ResultCache(policy.directory)) as cache:
            return self._cached(cache, policy, circuit, told, attempts)

    def _cached(
        self, cache: ResultCache, policy: CachePolicy, circuit: Circuit | None, told: dict, attempts: list[dict]
    ) -> dict:
        try:
            found = self._claim(cache, policy)
        except ToolkitError as error:
            if policy.on_error != "bypass":
                raise
            self._bypassed("cache", f"The cache is bypassed, since it can't be used: {error.message}")
            return self._loop(circuit, attempts)
        if isinstance(found, Hit):
            self.decisions.hit(found.age, found.waited)
            told["cache"] = {"hit": True, "age_seconds": round(found.age, 3), "waited_seconds": round(found.waited, 3)}
            return {**found.result, "changed": False}
        with found:
            result = self._loop(circuit, attempts)
            reason = self._keep(found, policy, result)
        told["cache"] = {"hit": False, "stored": reason is None, "reason": reason}
        return result

    def _claim(self, cache: ResultCache, policy: CachePolicy) -> Hit | Claim:
        wrapped, about = self._wrapped, self._about
        context = {**about["context"], "check_mode": about["check_mode"]}
        key = policy.key_of(cache.secret, wrapped.name, wrapped.args, about["host"], wrapped.code_version(), context)
        wait = policy.wait if self._guards.deadline is None else min(policy.wait, self._guards.deadline)
        return cache.claim(
            key, policy.ttl, wait, {"module": wrapped.name, "host": about["host"], "name": about["name"]}
        )

    def _keep(self, claim: Claim, policy: CachePolicy, result: Mapping) -> str | None:
        """Keep the result if it may be; return why not."""
        kept = {key: value for key, value in result.items() if key not in ("diff", "invocation")}
        reason = "check mode keeps nothing" if self._about["check_mode"] else None
        reason = reason or storable(kept, False, policy.allow_changed)
        if reason is None:
            try:
                claim.store(kept)
            except ToolkitError as error:
                # The task is done, so this is no reason to call it failed.
                self.warnings.append(f"The result could not be kept in the cache: {error.message}")
                reason = error.message
        self.decisions.stored(reason)
        return reason

    def _bypassed(self, guard: str, warning: str) -> None:
        self.warnings.append(warning)
        self.decisions.bypass(guard, warning)
