# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Circuits as people look after them: set many of them, look at all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .._core.errors import IntegrityError, ValidationError
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .circuit_options import check_name
from .circuit_rules import FORCED, Record, force, on_text, seen
from .circuit_store import Store

__all__ = ["STATES", "look", "set_circuits"]

STATES = ("absent", *FORCED)


def set_circuits(store: Store, circuits: Sequence[dict], check: bool) -> Outcomes:
    """Give each of the circuits ``{name, state, reason}`` its state, one of ``STATES``.

    :param check: predict only.
    :raises ValidationError: a name can't be one, or stands there twice; then nothing is done.
    """
    names = [circuit["name"] for circuit in circuits]
    for name in names:
        check_name(name, "circuits.name")
        if names.count(name) > 1:
            raise ValidationError(f"circuits: {name} is there twice.", hint="Give each circuit one state.")
    outcomes = Outcomes()
    for circuit in circuits:
        name = circuit["name"]
        with outcomes.item(name) as outcome:
            if check:
                texts, now = store.read(name, time.time)
                _wanted, found = _set(circuit)(texts.get(name), now)
            else:
                found = store.change(name, _set(circuit), time.time)
            outcome.update(found)
            if outcome["changed"]:
                before, after = (_text(outcome[key]) for key in ("before", "after"))
                outcomes.diffs.append(text_diff(f"circuit {name}", before, after))
    return outcomes


def _set(circuit: dict) -> Callable[[str | None, float], tuple[str | None, dict]]:
    """Return what a store asks; its answer is ``{changed, before, after, transitions}``."""
    name, state, reason = circuit["name"], circuit["state"], circuit.get("reason") or ""

    def remove(text: str | None, now: float) -> tuple[None, dict]:
        try:
            before = _facts(name, Record.parse(text), now)
        except IntegrityError:  # this is the way to get rid of it
            before = {"state": "damaged"}
        return None, {"changed": text is not None, "before": before if text else None, "after": None, "transitions": []}

    def change(record: Record, now: float) -> dict:
        before = _facts(name, record, now)
        transitions = force(name, record, state, reason, now)
        after = _facts(name, record, now)
        return {"changed": before != after, "before": before, "after": after, "transitions": transitions}

    return remove if state == "absent" else on_text(change)


def _facts(name: str, record: Record, now: float) -> dict:
    found = seen(name, record, None, now, bool)
    return {key: found[key] for key in ("state", "reason", "failures", "calls")}


def _text(facts: dict | None) -> str | None:
    return None if facts is None else "".join(f"{key}: {value}\n" for key, value in facts.items())


def look(store: Store, names: Sequence[str]) -> list[dict]:
    """Return what is known of the circuits of these names, of all without a name, by name; see ``circuit_rules.seen``.

    One that nobody has a record of is closed.
    """
    for name in names:
        check_name(name, "names")
    texts, now = store.read(None, time.time)
    found = []
    for name in sorted(set(names) or texts):
        try:
            record = Record.parse(texts.get(name))
        except IntegrityError as error:
            error.item = name
            raise
        found.append(seen(name, record, None, now, store.alive))
    return found
