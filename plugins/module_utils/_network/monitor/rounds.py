# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One round: what the probes found becomes standings, events and history."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone

from ..history import kept_name, points_of, prune, record
from .hysteresis import Standing, step, tell
from .settings import Settings
from .store import Store

__all__ = ["EVENT_TYPES", "keep_round"]

EVENT_TYPES = ("alert", "recovery", "removed")


def keep_round(store: Store, settings: Settings, result: Mapping, now: float) -> dict:
    """Keep a round in one transaction and return what it means.

    :param result: of ``network_probe``.
    :param now: seconds since the epoch.
    :return: ``{"targets", "failed", "alerting", "score", "events"}``: numbers, and the events that are to be told.
    """
    hooks = [hook.name for hook in settings.hooks]
    vantage = str(result["vantage"]["hostname"])
    found = _by_name(result)
    events, alerting, failures = [], 0, 0
    with store.round() as database:
        before = store.standings(database)
        for target, outcome in found.items():
            failed = _failed(outcome, settings.minimum_score)
            standing = step(before.get(target, (Standing(), {}))[0], failed, settings.thresholds, now)
            silenced = any(silence.covers(target, now) for silence in settings.silences)
            standing, kind = tell(standing, silenced)
            last = {key: outcome[key] for key in ("address", "type", "score", "grade", "fault")}
            store.keep(database, target, standing, {**last, "at": now, "failed": failed, "silenced": silenced})
            alerting += standing.alerting
            failures += failed
            if kind:
                events.append(_event(kind, target, last, standing, settings, vantage, now))
        for target in sorted(set(before) - set(found)):
            standing, last = before[target]
            store.forget(database, target)
            if standing.told:
                events.append(_event("removed", target, last, standing, settings, vantage, now))
        for event in events:
            store.post(database, hooks, event)
        store.drop_others(database, hooks)
        record(database, now, points_of(vantage, result))
        prune(database, now, settings.keep_days, settings.keep_rounds)
    return {
        "targets": len(found),
        "failed": failures,
        "alerting": alerting,
        "score": result["score"],
        "events": events,
    }


def _by_name(result: Mapping) -> dict[str, Mapping]:
    """Return the outcomes by the name of their target; of two of one name the one with the lower score counts."""
    found: dict[str, Mapping] = {}
    for outcome in result["outcomes"]:
        name = kept_name(outcome["item"])
        if name not in found or outcome["score"] < found[name]["score"]:
            found[name] = outcome
    return found


def _failed(outcome: Mapping, minimum_score: int) -> bool:
    return outcome["fault"] is not None or outcome["score"] < minimum_score


def _event(
    kind: str, target: str, last: Mapping, standing: Standing, settings: Settings, vantage: str, now: float
) -> dict:
    fault = last.get("fault")
    return {
        "version": 1,
        # The same whenever it is sent again, so that a receiver can tell.
        "id": os.urandom(16).hex(),
        "type": kind,
        "at": _iso(now),
        "since": _iso(standing.since) if standing.since is not None else None,
        "target": target,
        "address": last.get("address"),
        "target_type": last.get("type"),
        "score": last.get("score"),
        "grade": last.get("grade"),
        "fault": fault,
        "thresholds": asdict(settings.thresholds),
        "vantage": vantage,
        "message": f"{target}, seen from {vantage}: {_sentence(kind, last, fault)}",
    }


def _sentence(kind: str, last: Mapping, fault: Mapping | None) -> str:
    if kind == "recovery":
        return f"well again, score {last.get('score')}."
    if kind == "removed":
        return "no longer probed; the alert is withdrawn."
    if fault is None:
        return f"score {last.get('score')}, below what is wanted."
    return f"{fault['layer']} is at fault: {fault['message']}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
