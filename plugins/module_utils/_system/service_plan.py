# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wished of units, what that means for the state found, and whether it has come true. Nothing here acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .._core.errors import ConflictError, NotFoundError, ToolkitError, UnavailableError, ValidationError
from .units import UnitState, full_name

__all__ = ["Steps", "Wish", "absent_steps", "failure", "plan_unit", "settled", "wishes"]

_ENABLED = ("enabled", "enabled-runtime", "indirect", "alias")
_STEADY_TYPES = ("simple", "exec", "idle")


@dataclass(frozen=True)
class Wish:
    """What is wished of one unit; ``None`` leaves that as it is."""

    enabled: bool | None = None
    state: str | None = None
    masked: bool | None = None


@dataclass(frozen=True)
class Steps:
    """What is to be done with one unit, in this order; ``action`` is start, stop, restart, reload or ``None``."""

    unmask: bool = False
    enable: bool = False
    disable: bool = False
    mask: bool = False
    action: str | None = None
    settles: bool = False

    @property
    def any(self) -> bool:
        """True when something changes on the host; a debt that needs no action is no change."""
        return self.unmask or self.enable or self.disable or self.mask or self.action is not None

    @property
    def words(self) -> str | None:
        """The steps as people read them, ``enable, start``."""
        named = [word for word in ("unmask", "enable", "disable", "mask") if getattr(self, word)]
        return ", ".join([*named, *([self.action] if self.action else [])]) or None


def _merge(name: str, one: Wish, other: Wish) -> Wish:
    merged = {}
    for key in ("enabled", "state", "masked"):
        first, second = getattr(one, key), getattr(other, key)
        if None not in (first, second) and first != second:
            if key == "state" and "stopped" not in (first, second):
                # A wish to restart or reload includes that the unit runs.
                merged[key] = "restarted" if "restarted" in (first, second) else "reloaded"
                continue
            raise ConflictError(f"units: {name} is listed twice, with {key}={first} and {key}={second}.", item=name)
        merged[key] = second if first is None else first
    return Wish(**merged)


def wishes(units: Iterable[Mapping | str]) -> dict[str, Wish]:
    """Return ``{full name: Wish}`` from the option ``units``; entries for the same unit are merged.

    :raises ValidationError: a name or a combination makes no sense.
    :raises ConflictError: two entries contradict each other.
    """
    found: dict[str, Wish] = {}
    for index, entry in enumerate(units):
        entry = {"name": entry} if isinstance(entry, str) else entry
        name = full_name(entry["name"], option=f"units[{index}].name")
        wish = Wish(entry.get("enabled"), entry.get("state"), entry.get("masked"))
        found[name] = _merge(name, found[name], wish) if name in found else wish
    for name, wish in found.items():
        if wish.masked and (wish.enabled or wish.state not in (None, "stopped")):
            raise ValidationError(
                f"units: {name} can't be masked and enabled or running.", hint="Drop masked, or set state: stopped."
            )
    return found


def by_identity(wished: Mapping[str, Wish], states: Mapping[str, UnitState]) -> dict[str, Wish]:
    """Return the wishes with those for two names of the same unit merged under the first name.

    :raises ConflictError: they contradict each other.
    """
    first: dict[str, str] = {}
    merged: dict[str, Wish] = {}
    for name, wish in wished.items():
        known = first.setdefault(states[name].id or name, name)
        merged[known] = _merge(name, merged[known], wish) if known in merged else wish
    return merged


def absent_steps(wish: Wish) -> Steps:
    """Return what is predicted for a unit that is not there yet, because its package is not."""
    action = {"stopped": "stop", None: None}.get(wish.state, "start")
    return Steps(enable=wish.enabled is True, disable=wish.enabled is False, mask=wish.masked is True, action=action)


def _action(wish: Wish, state: UnitState, debt: str | None) -> tuple[str | None, bool]:
    """Return the action for the unit and whether it (or none at all) settles the debt."""
    if wish.state == "stopped" or wish.masked:
        running = state.active not in ("inactive", "failed")
        return ("stop" if running and wish.state == "stopped" else None), debt is not None
    due = {"restarted": "restart", "reloaded": "reload"}.get(wish.state or "")
    if debt is not None and due != "restart":
        due = "restart" if debt == "restart" else "reload"
    if due is None:
        return ("start" if wish.state == "started" and not state.up else None), False
    if state.up:
        able = state.can_reload == "yes" and state.active == "active"
        return ("reload" if due == "reload" and able else "restart"), debt is not None
    meant_to_run = wish.state is not None or state.active in ("failed", "activating") or state.file in _ENABLED
    return ("start" if meant_to_run else None), debt is not None


def plan_unit(name: str, wish: Wish, state: UnitState, debt: str | None = None) -> Steps:
    """Return the steps that bring an existing unit to what is wished.

    :param debt: ``reload`` or ``restart`` when that is owed, see :mod:`owed`. A unit that is down and not meant to run
        reads its new configuration when somebody starts it: its debt is settled without any action.
    :raises ToolkitError: it can't be had.
    """
    if not state.exists:
        if wish.masked and wish.state in (None, "stopped") and not wish.enabled:
            return Steps(mask=True)
        if wish == Wish(masked=False):
            return Steps()
        raise NotFoundError(
            f"The unit {name} does not exist on this host.",
            hint="Check its name, and that the package that brings it is installed.",
            item=name,
        )
    if state.load in ("error", "bad-setting", "bad"):
        raise UnavailableError(f"systemd can't load {name} ({state.load}).", hint=f"See systemctl status {name}.")
    hidden = state.masked and wish.masked is not False
    if hidden and (wish.enabled or wish.state not in (None, "stopped")):
        raise ConflictError(f"{name} is masked.", hint="Set masked: false for it to be unmasked.", item=name)
    if hidden:
        wish = replace(wish, masked=True)
    if wish.enabled and state.file == "static":
        raise ConflictError(
            f"{name} can't be enabled: its unit file has no [Install] section.",
            hint="Something else starts it; leave out enabled.",
            item=name,
        )
    action, settles = _action(wish, state, debt)
    on = state.file in _ENABLED
    return Steps(
        unmask=wish.masked is False and state.masked,
        enable=wish.enabled is True and (not on or state.file == "enabled-runtime"),
        disable=wish.enabled is False and on and state.file != "indirect",
        mask=wish.masked is True and not state.masked,
        action=action,
        settles=settles,
    )


def failure(name: str, action: str, now: UnitState) -> ToolkitError:
    """Return the error that says how the unit ended up after ``action`` did not work."""
    if action == "reload" and now.active == "active":
        return UnavailableError(
            f"{name} refused to reload ({now.reload_result}); it goes on with its previous configuration.",
            hint="Its journal in the outcome says why; the reload stays owed if it was.",
            item=name,
        )
    if now.active == "inactive":
        why = (
            "a condition of its unit file is not met"
            if now.skipped
            else "it ended at once, or was not allowed to start"
        )
        return ConflictError(f"{name} is not active after {action}: {why}.", hint="See its journal.", item=name)
    how = now.result if now.result not in ("", "success") else now.sub
    if now.result == "exit-code" and now.exit_status:
        how = f"exit status {now.exit_status}"
    return UnavailableError(
        f"{name} is {now.active} ({how}) after {action}.", hint="Its journal in the outcome says why.", item=name
    )


def settled(action: str, first: UnitState, now: UnitState, steady: bool) -> bool | None:
    """Return True when ``action`` has come true, False when it has failed, ``None`` while neither can be said.

    :param first: the state seen first after the action was asked for.
    :param steady: True when the unit has been active for a while; what may end right after it was started, or reloads
        by a signal that nobody waits for, is believed only then.
    """
    if now.restarts != first.restarts and now.restarts not in ("", "0"):
        return False
    if action == "stop":
        return True if now.active in ("inactive", "failed") and not now.job else None
    if now.active == "failed" or now.crash_loop:
        return False
    if now.job or now.active in ("activating", "deactivating", "reloading", "refreshing"):
        return None
    if now.active == "inactive":
        return now.runs_once and now.result == "success" and not now.skipped
    if action == "reload" and now.reload_result not in ("", "success"):
        return False
    if (action == "reload" or now.type in _STEADY_TYPES) and not steady:
        return None
    return True
