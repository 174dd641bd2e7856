# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring many units to what is wished in few systemctl calls, pay the actions owed, and see that they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from .._core.commands import Commands
from .._core.errors import DependencyError, TimeoutExpired, ToolkitError
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from . import owed
from .service_plan import Steps, Wish, absent_steps, by_identity, failure, plan_unit, settled, wishes
from .units import Systemd, UnitState, explain, full_name

__all__ = ["Services"]

_STEADY = 1.0
"""Seconds that a unit has to stay active before one without a readiness protocol is believed."""

_POLL = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Seconds between looks at units that are on their way; the last one repeats."""


class Services:
    """The wishes for the units of a host and the way to make them true.

    :param commands: the runner.
    :param units: the option ``units``.
    :param wait: seconds to wait for units to become active (or inactive).
    :param journal_lines: how many lines of its journal the outcome of a failed unit carries.
    :param settle_owed: also pay what is owed to units that are not listed.
    :param foreseen: ``{unit: action}`` that earlier tasks would have noted, for check mode, where they noted nothing.
    :param clock: monotonic time in seconds; with ``sleep`` a seam for tests.
    :raises ValidationError: an entry makes no sense.
    """

    def __init__(
        self,
        commands: Commands,
        units: Iterable[Mapping | str],
        wait: float = 30,
        journal_lines: int = 30,
        settle_owed: bool = True,
        foreseen: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._commands = commands
        self._wishes = wishes(units)
        self._listed = set(self._wishes)
        self._wait = wait
        self._journal_lines = journal_lines
        self._settle_owed = settle_owed
        self._foreseen = {full_name(unit, option="notified"): action for unit, action in (foreseen or {}).items()}
        self._clock = clock
        self._sleep = sleep
        self._outcomes = Outcomes()
        self._states: dict[str, UnitState] = {}
        self._steps: dict[str, Steps] = {}
        self._errors: dict[str, ToolkitError] = {}
        self._unsettled: set[str] = set()
        self._debts: dict[str, list[tuple[str, owed.Debt]]] = {}
        self._owed: dict[str, str] = {}
        self._reloaded = False

    def apply(self, check_mode: bool = False) -> dict:
        """Do it (in check mode, only say what would be done) and return the result of the module."""
        try:
            self._systemd = Systemd(self._commands)
            self._look(check_mode)
        except DependencyError:
            if not check_mode:
                raise
            self._states = {name: UnitState(name) for name in self._wishes}
        before = dict(self._states)
        self._plan(check_mode)
        if not check_mode:
            self._act()
        self._report(before, check_mode)
        result = self._outcomes.result()
        result["daemon_reloaded"] = self._reloaded
        return result

    # Look

    def _look(self, check_mode: bool) -> None:
        """Read the state of all units concerned, wished and owed, and bring aliases together."""
        noted = owed.debts()
        if check_mode:
            for unit, action in self._foreseen.items():
                if unit not in noted or action == "restart":
                    noted[unit] = owed.Debt(action, (0, 0))
        names = [*self._wishes, *(name for name in noted if name not in self._wishes)]
        self._states = self._systemd.show(names)
        missing = [name for name in self._wishes if not self._states[name].exists]
        if missing and not check_mode:
            # systemd may not have looked again since the unit file was written.
            self._daemon_reload()
            self._states.update(self._systemd.show(missing))
        self._wishes = by_identity(self._wishes, self._states)
        known = {self._states[name].id or name: name for name in self._wishes}
        for name, debt in noted.items():
            unit = known.get(self._states[name].id or name, name)
            if unit not in self._wishes:
                if not self._settle_owed:
                    continue
                self._wishes[unit] = Wish()
                known[self._states[name].id or name] = unit
            self._debts.setdefault(unit, []).append((name, debt))
            if self._owed.get(unit) != "restart":
                self._owed[unit] = debt.action
        self._states = {name: self._states[name] for name in self._wishes}
        for name, state in self._states.items():
            if state.file == "generated" and self._wishes[name].enabled is not None:
                word = "enabled" if self._systemd.sysv_enabled(name) else "disabled"
                self._states[name] = replace(state, file=word)

    def _plan(self, check_mode: bool) -> None:
        for name, wish in self._wishes.items():
            state = self._states[name]
            if not state.exists and (check_mode or name not in self._listed):
                # Not listed and gone: nothing runs that could have kept an old configuration.
                self._steps[name] = replace(absent_steps(wish), settles=not check_mode)
                continue
            if wish.masked is False and state.masked:
                linked = self._systemd.has_enabling_link(name)
                state = replace(state, file="enabled" if linked else "disabled", load="masked")
            try:
                self._steps[name] = plan_unit(name, wish, state, self._owed.get(name))
            except ToolkitError as error:
                self._errors[name] = error

    # Act

    def _daemon_reload(self) -> None:
        done = self._systemd.verb("daemon-reload")
        if not done.ok:
            raise explain(done)
        self._reloaded = True

    def _act(self) -> None:
        if not self._reloaded and any(
            steps.any and self._states[name].stale == "yes" for name, steps in self._steps.items()
        ):
            self._daemon_reload()
        for verb in ("unmask", "enable", "disable"):
            self._batch(verb)
        pending: dict[str, str] = {}
        self._order("stop", pending)
        if any(steps.mask for steps in self._steps.values()):
            # What is masked while it runs counts as failed when it stops.
            self._await(pending)
            self._batch("mask")
        for action in ("reload", "restart", "start"):
            self._order(action, pending)
        for name, state in self._states.items():
            if name in self._steps and self._wishes[name].state == "started" and state.active == "activating":
                pending.setdefault(name, "start")
        self._await(pending)
        self._states.update(self._systemd.show(name for name, steps in self._steps.items() if steps.any))
        for name, steps in self._steps.items():
            if steps.settles and name not in self._unsettled:
                for noted, debt in self._debts.get(name, []):
                    owed.settle(noted, debt)

    def _order(self, action: str, pending: dict[str, str]) -> None:
        """Queue ``action`` for all units that need it, in one call, and add them to ``pending``."""
        names = [name for name, steps in self._steps.items() if steps.action == action]
        if not names:
            return
        done = self._systemd.verb(action, names, wait=False)
        for name in names:
            if not done.ok and (name in done.err or len(names) == 1):
                self._fail(name, explain(done, name))
            else:
                pending[name] = action

    def _batch(self, verb: str) -> None:
        """Give ``verb`` to all units that need it in one call; where that fails, to each by itself."""
        names = [name for name, steps in self._steps.items() if getattr(steps, verb)]
        if not names:
            return
        done = self._systemd.verb(verb, names)
        if done.ok:
            return
        for name in names:
            alone = self._systemd.verb(verb, [name]) if len(names) > 1 else done
            if not alone.ok:
                self._errors[name] = explain(alone, name)

    def _fail(self, name: str, error: ToolkitError) -> None:
        """Note that an action did not come true: what is owed stays owed, and the journal is worth reading."""
        self._errors.setdefault(name, error)
        self._unsettled.add(name)

    def _await(self, pending: dict[str, str]) -> None:
        """Watch the units until each has come where it should, has failed, or the time is up."""
        began = self._clock()
        first: dict[str, UnitState] = {}
        active_since: dict[str, float] = {}
        looks = 0
        while pending:
            states = self._systemd.show(pending)
            now = self._clock()
            for name, state in states.items():
                first.setdefault(name, state)
                if state.active != "active" or state.job:
                    active_since.pop(name, None)
                steady = now - active_since.setdefault(name, now) >= _STEADY if state.active == "active" else False
                verdict = settled(pending[name], first[name], state, steady)
                if verdict is False:
                    self._fail(name, failure(name, pending[name], state))
                elif verdict is None and now - began >= self._wait:
                    text = f"{name} is still {state.active} ({state.sub}) {self._wait:g} seconds after {pending[name]}."
                    hint = "Raise wait, or see its journal in the outcome."
                    self._fail(name, TimeoutExpired(text, hint=hint, item=name))
                elif verdict is None:
                    continue
                del pending[name]
            if pending:
                self._sleep(_POLL[min(looks, len(_POLL) - 1)])
                looks += 1

    # Report

    def _report(self, before: dict[str, UnitState], check_mode: bool) -> None:
        lines: tuple[list[str], list[str]] = ([], [])
        for name in self._wishes:
            was = before.get(name, UnitState(name))
            steps = self._steps.get(name, Steps())
            now = _predicted(was, steps) if check_mode else self._states[name]
            with self._outcomes.item(name) as outcome:
                outcome.update(
                    changed=steps.any,
                    action=steps.words,
                    enabled_before=was.file or "absent",
                    enabled_after=now.file or "absent",
                    active_before=was.active or "inactive",
                    active_after=now.active or "inactive",
                )
                if name in self._owed:
                    outcome["owed"] = self._owed[name]
                if steps.any:
                    lines[0].append(_line(name, was))
                    lines[1].append(_line(name, now, steps.action))
                if name in self._errors:
                    if name in self._unsettled:
                        outcome["journal"] = self._systemd.journal(name, self._journal_lines)
                    raise self._errors[name]
        if lines[0]:
            self._outcomes.diffs.append(text_diff("services", "".join(lines[0]), "".join(lines[1])))


def _predicted(was: UnitState, steps: Steps) -> UnitState:
    words = {"mask": "masked", "enable": "enabled", "disable": "disabled", "unmask": "disabled"}
    file = next((word for verb, word in words.items() if getattr(steps, verb)), was.file)
    active = {None: was.active, "stop": "inactive"}.get(steps.action, "active")
    return replace(was, file=file, active=active)


def _line(name: str, state: UnitState, action: str | None = None) -> str:
    note = f" ({action}ed)" if action in ("reload", "restart") else ""
    return f"{name}: {state.file or 'absent'}, {state.active or 'inactive'}{note}\n"
