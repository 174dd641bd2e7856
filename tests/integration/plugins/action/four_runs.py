# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one action four times (check, run, check again, run again) and hold it to what it promises.

Only for tests; tests/integration/four_runs.yml says how to use it. One task instead of four and their assertions, so
that a case costs little more than the four runs themselves.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

RUNS = (("check", True), ("run", False), ("check_again", True), ("run_again", False))


def outcome_flags(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return ``(item, changed)`` per outcome of a bulk module, in order."""
    return [(str(outcome["item"]), bool(outcome["changed"])) for outcome in result.get("outcomes", [])]


def broken_promises(results: dict[str, dict], changes: bool, diff: bool) -> list[str]:
    """Return a sentence per promise that the results of the four runs break."""
    found = []
    check, run = results["check"], results["run"]
    if bool(run.get("changed")) != changes:
        found.append(f"The run should {'' if changes else 'not '}change something.")
    if bool(check.get("changed")) != bool(run.get("changed")):
        found.append(f"Check mode predicted changed={check.get('changed')}, the run had changed={run.get('changed')}.")
    predicted, done = outcome_flags(check), outcome_flags(run)
    if predicted != done:
        differing = [f"predicted {left}, done {right}" for left, right in zip(predicted, done) if left != right]
        lengths = f"{len(predicted)} outcomes predicted, {len(done)} done"
        found.append(f"Outcomes differ: {'; '.join(differing) or lengths}.")
    if diff:
        found += [
            f"{name} changed something but shows no diff."
            for name in ("check", "run")
            if results[name].get("changed") and not results[name].get("diff")
        ]
    for name in ("check_again", "run_again"):
        if results[name].get("changed"):
            items = [item for item, changed in outcome_flags(results[name]) if changed]
            found.append(f"{name} should change nothing, but changed {', '.join(items) or 'something'}.")
    return found


class ActionModule(ActionBase):
    """The four runs of one case."""

    _requires_connection = True
    _VALID_ARGS = frozenset(("action", "options", "changes", "diff"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name = self._task.args["action"]
        results: dict[str, dict] = {}
        for run, check_mode in RUNS:
            results[run] = self._once(name, self._task.args["options"], check_mode, task_vars or {})
            if results[run].get("failed"):
                failed = f"{name} failed in {run}: {results[run].get('msg')}"
                return {**results[run], "failed": True, "msg": failed, "runs": results}
        broken = broken_promises(results, bool(self._task.args["changes"]), bool(self._task.args["diff"]))
        if broken:
            return {"failed": True, "msg": f"{name}: {' '.join(broken)}", "runs": results}
        return {**results["run"], "failed": False, "runs": results}

    def _once(self, name: str, options: dict, check_mode: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        task = self._task.copy()
        task.action = name
        task.args = dict(options)
        task.check_mode, task.diff = check_mode, True
        # As in ansible.executor.task_executor: an action plugin of that name, else the one that sends a module.
        loader = self._shared_loader_obj.action_loader
        handler = loader.get(
            name if loader.has_plugin(name) else "ansible.legacy.normal",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        if handler is None:
            raise AnsibleActionFail(f"There is no action {name}.")
        try:
            return handler.run(task_vars=dict(task_vars))
        finally:
            handler.cleanup()
