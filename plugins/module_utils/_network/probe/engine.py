# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probe targets: what the module ``network_probe`` does, in one event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..._core.descriptors import raise_descriptor_limit
from ..._core.errors import UnavailableError, ValidationError
from ..targets.rule_sets import rules_of_sets
from ..targets.rules import Rule, make_rules, rules_for
from ..targets.targets import Target, make_targets
from .climb import probe_target
from .echo import MOST_HOSTS
from .job import Context, Slots
from .kernel import Kernel
from .pinger import Pinger
from .resolver import Resolver
from .tls import tls_context
from .verdict import grade, mean_score, status_of

__all__ = ["probe"]

_RESERVED = 64
"""Descriptors that are left for what is no probe: files of Python, pipes of commands, sockets of the call."""
_EACH = 3
"""Descriptors that one check has open at most: two questions to a name server, or what a command has."""


def probe(
    options: Mapping[str, Any],
    start: Callable[..., Awaitable[asyncio.subprocess.Process]] = asyncio.create_subprocess_exec,
) -> dict[str, Any]:
    """Probe all targets and return the result of the module.

    :param options: ``targets``, ``rules``, ``rule_sets``, ``timeout`` (seconds), ``concurrency`` and ``minimum_score``.
    :param start: starts the programs of rules of the type command.
    :raises ToolkitError: an option can't be used, or this user may not send echo requests; nothing was probed then.
    """
    _check_options(options)
    wishes = [*rules_of_sets(options.get("rule_sets") or ()), *(options.get("rules") or ())]
    rules = make_rules(wishes, options["timeout"])
    pairs = rules_for(make_targets(options["targets"]), rules)
    _check_networks(pairs)
    began, clock = datetime.now(timezone.utc), time.monotonic()
    outcomes = asyncio.run(_probe_all(pairs, rules, options, start))
    score = mean_score([outcome["score"] for outcome in outcomes])
    states = [status_of(outcome["checks"]) for outcome in outcomes]
    result: dict[str, Any] = {
        "changed": False,
        "failed": False,
        "outcomes": outcomes,
        "score": score,
        "grade": grade(score),
        "counts": {"targets": len(outcomes), **{state: states.count(state) for state in ("ok", "degraded", "failed")}},
        "vantage": {"hostname": socket.gethostname(), "kernel": os.uname().release},
        "started": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "wall_seconds": round(time.monotonic() - clock, 3),
    }
    result.update(_health(outcomes, options.get("minimum_score")))
    return result


def _check_options(options: Mapping[str, Any]) -> None:
    if not 0 < options["timeout"] <= 300:
        raise ValidationError(f"timeout: {options['timeout']:g} is out of range.", hint="Use seconds up to 300.")
    if not 1 <= options["concurrency"] <= 10000:
        raise ValidationError(f"concurrency: {options['concurrency']} is out of range.", hint="Use 1 to 10000.")
    least = options.get("minimum_score")
    if least is not None and not 0 <= least <= 100:
        raise ValidationError(f"minimum_score: {least} is out of range.", hint="Scores are 0 to 100.")


def _check_networks(pairs: Sequence[tuple[Target, list[Rule]]]) -> None:
    for target, _rules in pairs:
        if target.network and target.network.size > MOST_HOSTS:
            raise ValidationError(
                f"The network {target.network.text} has {target.network.size} addresses, {MOST_HOSTS} are the most.",
                hint="Give smaller networks.",
            )


async def _probe_all(
    pairs: Sequence[tuple[Target, list[Rule]]],
    rules: Sequence[Rule],
    options: Mapping[str, Any],
    start: Callable[..., Any],
) -> list[dict[str, Any]]:
    most = max(1, min(options["concurrency"], (raise_descriptor_limit() - _RESERVED) // _EACH))
    kernel, pinger = Kernel(), Pinger()
    try:
        context = Context(kernel, pinger, Resolver(kernel, options["timeout"]), Slots(most), start)
        _prepare(context, rules)
        return await asyncio.gather(*(probe_target(context, target, applying) for target, applying in pairs))
    finally:
        pinger.close()
        kernel.close()


def _prepare(context: Context, rules: Sequence[Rule]) -> None:
    """Find out before anything runs what would keep rules from running."""
    for rule in rules:
        if rule.type == "icmp":
            context.pinger.open(4)
        if rule.options["ca_path"]:
            tls_context(rule, context.tls, verify=True)


def _health(outcomes: Sequence[Mapping[str, Any]], least: int | None) -> dict[str, Any]:
    """Return what makes the result a failure if a target is below the least score that is wanted."""
    below = [outcome for outcome in outcomes if least is not None and outcome["score"] < least]
    if not below:
        return {}
    first = below[0]
    fault = first["fault"]
    why = f": {fault['layer']}, {fault['message']}" if fault else "."
    message = f"{len(below)} of {len(outcomes)} targets are below the score {least}."
    message += f" {first['item']} has {first['score']}{why}"
    hint = fault["remediation"] if fault and fault["remediation"] else "See checks of outcomes."
    return UnavailableError(message, hint=hint, item=first["item"]).as_result()
