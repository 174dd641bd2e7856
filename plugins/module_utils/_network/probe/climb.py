# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probe one target: its rules layer by layer, and what they found."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Union

from ..._core.errors import ToolkitError
from ..._core.outcomes import error_from_os
from ..targets.addresses import Address
from ..targets.rules import Rule
from ..targets.targets import Target
from . import echo, http, names, ports, services, ssh, tls
from .evidence import explain_silence
from .job import Context, Job
from .kernel import Route
from .talk import Broken, Clock, Seen, reason, together
from .verdict import SCORES, fault_of, grade, layers_of, score_of

__all__ = ["probe_target"]

_Found = Union[Seen, Broken, None]

_PROBES: dict[str, Callable[[Job], Awaitable[Seen]]] = {
    "icmp": echo.ping,
    "dns": names.dns,
    "tcp": ports.tcp,
    "udp": ports.udp,
    "tls": tls.tls,
    "http": http.http,
    "https": http.http,
    "ssh": ssh.ssh,
    "smtp": services.smtp,
    "imap": services.imap,
    "ntp": services.ntp,
    "query": services.query,
    "command": services.command,
}
_MOST_ADDRESSES = 4
_TAKE_SLOTS = ("tcp", "udp")
"""Types that take a slot for each port."""


async def probe_target(context: Context, target: Target, rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the outcome of a target.

    :param rules: that apply to it, the lowest layer first.
    """
    climb = await _best_climb(context, target, rules)
    checks = [_check(job.rule, found) for job, found in zip(climb.jobs, climb.found)]
    score = score_of(checks)
    return {
        "item": target.name,
        "changed": False,
        "address": target.address,
        "type": target.type,
        "info": dict(target.info),
        "addresses": [address.text for address in climb.jobs[0].addresses],
        "score": score,
        "grade": grade(score),
        "fault": fault_of(checks),
        "layers": layers_of(checks, [_needs(job) for job in climb.jobs], climb.passed),
        "checks": checks,
    }


async def _best_climb(context: Context, target: Target, rules: Sequence[Rule]) -> _Climb:
    """Return the climb with the first address of the target that takes connections, as clients try one after the other;
    if none does, that with the first."""
    first = _Climb(context, target, rules)
    await first.run()
    for place in range(1, min(len(first.jobs[0].addresses), _MOST_ADDRESSES) if first.blocked else 0):
        other = _Climb(context, target, rules, place, first)
        await other.run()
        if not other.blocked:
            return other
    return first


class _Climb:
    """The rules of a target, from the lowest layer up. ``found`` is what each found, ``None`` if it was not run.

    :param place: which of the target's addresses is used.
    :param before: a climb with another address, whose commands are not run again.
    """

    def __init__(
        self, context: Context, target: Target, rules: Sequence[Rule], place: int = 0, before: _Climb | None = None
    ) -> None:
        self.jobs = [Job(context, rule, target) for rule in rules]
        self.found: list[_Found] = [None] * len(self.jobs)
        self.passed: set[str] = set()
        self._place = place
        self._before = before
        self._context = context
        self._target = target
        self._route: Route | None = None

    @property
    def blocked(self) -> bool:
        """Whether another address might do better."""
        return any(isinstance(found, Broken) and found.layer in ("route", "tcp") for found in self.found)

    async def run(self) -> None:
        """Probe until a layer does not hold on which the others stand."""
        if self._target.type == "network":
            await self._run("route")
            return
        try:
            await self._find()
        except Broken as broken:
            self.found[0] = broken
            return
        await self._run("route")
        if any(isinstance(found, Broken) and found.final for found in self.found):
            return
        await self._run("dns")
        if not any(isinstance(found, Broken) and found.layer == "dns" for found in self.found):
            await self._run("tcp", "tls", "application")
        self._judge_silent_echo()

    async def _find(self) -> None:
        """Resolve the name of the target, and look whether there is a way to its address.

        :raises Broken: the layer dns or route.
        """
        host = self._target.endpoint.host
        addresses, dns_ms = [host], None
        if not isinstance(host, Address):
            clock = Clock(0)
            async with self._context.slots:
                addresses = await self._context.resolver.lookup(host)
            addresses.insert(0, addresses.pop(self._place))
            dns_ms = clock.ms
            self.passed.add("dns")
        for job in self.jobs:
            job.addresses, job.dns_ms = addresses, dns_ms
        try:
            self._route = self._context.kernel.route(addresses[0])
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise Broken("route", "unavailable", f"There is no way to {addresses[0].text}: {why}.") from None
        self.passed.add("route")

    async def _run(self, *layers: str) -> None:
        places = [place for place, job in enumerate(self.jobs) if job.rule.layer in layers]
        if self._before:
            done = [place for place in places if self.jobs[place].rule.type == "command" and self._before.found[place]]
            for place in done:
                self.found[place] = self._before.found[place]
            places = [place for place in places if place not in done]
        for place, found in zip(places, await together([self._attempt(self.jobs[place]) for place in places])):
            self.found[place] = found

    async def _attempt(self, job: Job) -> _Found:
        try:
            if self._target.type == "network":
                return _judge(job.rule, await echo.discover(job))
            if job.rule.type in _TAKE_SLOTS:
                return _judge(job.rule, await _PROBES[job.rule.type](job))
            async with self._context.slots:
                return _judge(job.rule, await _PROBES[job.rule.type](job))
        except Broken as broken:
            if broken.silent and self._route and job.rule.type != "command" and broken.layer != "dns":
                return await explain_silence(job, self._route, broken)
            return broken
        except ToolkitError as error:
            return Broken(job.rule.layer, error.kind, error.message)
        except OSError as error:
            # Such as a firewall of this host that forbids to send: it must not keep the others from being probed.
            return Broken(job.rule.layer, error_from_os(error).kind, f"{reason(error)}.")

    def _judge_silent_echo(self) -> None:
        """Where echo requests alone get no answer, they are filtered; where nothing does, the rest was not reached."""
        silent = [
            place
            for place, found in enumerate(self.found)
            if self.jobs[place].rule.type == "icmp" and isinstance(found, Broken) and found.silent
        ]
        if not silent:
            return
        others = [place for place, job in enumerate(self.jobs) if job.rule.layer not in ("route", "dns")]
        if any(_came_back(self.jobs[place].rule, self.found[place]) for place in others):
            for place in silent:
                broken = self.found[place]
                message = f"{broken.message} Other rules reach the host, so echo requests are filtered."
                self.found[place] = Broken("application", broken.kind, message, **broken.facts)
            return
        for place in others:
            if isinstance(self.found[place], Broken):
                self.found[place] = None


def _came_back(rule: Rule, found: _Found) -> bool:
    """Return whether anything came back from the host itself."""
    if rule.type == "command" or found is None:
        return False
    return (
        isinstance(found, Seen) or found.layer in ("tls", "application") or (found.layer == "tcp" and not found.silent)
    )


def _judge(rule: Rule, seen: Seen) -> Seen:
    """Hold what was seen against the thresholds and patterns of the rule.

    :raises Broken: the layer of the rule.
    :raises TimeoutExpired: a pattern was given up.
    """
    warn, fail = rule.options["warn_ms"], rule.options["fail_ms"]
    if seen.latency_ms is not None and fail is not None and seen.latency_ms >= fail:
        raise _failed(rule, seen, f"{seen.latency_ms:g} ms, {fail:g} are the most that may be.", "timeout")
    if rule.error and rule.error.found_in(seen.text):
        raise _failed(rule, seen, f"The error pattern {rule.error.text!r} was found.")
    if rule.success and not rule.success.found_in(seen.text):
        raise _failed(rule, seen, f"The success pattern {rule.success.text!r} was not found.")
    if seen.latency_ms is not None and warn is not None and seen.latency_ms >= warn:
        seen.degraded = seen.degraded or f"{seen.latency_ms:g} ms, {warn:g} are well."
    return seen


def _failed(rule: Rule, seen: Seen, message: str, kind: str = "integrity") -> Broken:
    # Of an echo that came, but late, it must be known that it came.
    return Broken(rule.layer, kind, message, **{**seen.facts, "latency_ms": seen.latency_ms})


def _check(rule: Rule, found: _Found) -> dict[str, Any]:
    layer, kind, message, latency = rule.layer, None, "Not reached.", None
    facts: dict[str, Any] = {}
    status = "not_reached"
    if isinstance(found, Broken):
        status, layer, kind, message, facts = "failed", found.layer, found.kind, found.message, dict(found.facts)
        latency = facts.pop("latency_ms", None)
    elif found is not None:
        status, message, latency, facts = "ok", found.message, found.latency_ms, found.facts
        if found.degraded:
            status, message = "degraded", found.degraded
    return {
        "rule": rule.name,
        "type": rule.type,
        "layer": layer,
        "status": status,
        "weight": rule.weight,
        "score": SCORES[status],
        "kind": kind,
        "message": message,
        "latency_ms": latency,
        "facts": facts,
        "remediation": rule.remediation,
    }


def _needs(job: Job) -> tuple[str, ...]:
    """Return the layers that a job goes through, those that all of a target's do not counted."""
    kind = job.rule.type
    if kind in ("icmp", "dns"):
        return (job.rule.layer,)
    if kind == "command":
        return ("application",)
    below = ("tcp", "tls") if kind == "tls" or (kind in ("http", "https") and http.speaks_tls(job)) else ("tcp",)
    return (*below, "application") if job.rule.layer == "application" else below
