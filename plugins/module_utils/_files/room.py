# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's half of ``file_tree``: one call compares, one call applies."""

from __future__ import annotations

import os
from collections.abc import Callable

from .._core.commands import Commands
from .._core.errors import ToolkitError
from .._core.outcomes import error_from_os
from .._core.paths import base_directory
from .._system.owed import owe as owe_on_this_host
from .apply import Applier
from .journal import Journals, no_hook
from .purge import find_unmanaged
from .survey import Finding, Survey
from .wire import Contents, SetPlan, Wanted

__all__ = ["FileTreeRoom"]

_LOCK_SECONDS = 60.0


class FileTreeRoom:
    """Answers the two requests of the controller's half.

    :param check: check mode; nothing is written and journals of dead processes are only reported.
    :param state_directory: where the journals are, by default ``file_tree`` in the collection's state directory.
    :param owe: notes that a unit needs an action.
    :param hook: called with a label at every point where a crash is interesting.
    """

    def __init__(
        self,
        commands: Commands,
        check: bool = False,
        state_directory: str | None = None,
        owe: Callable[[str, str], None] = owe_on_this_host,
        hook: Callable[[str], None] = no_hook,
    ) -> None:
        self._commands = commands
        self._check = check
        self._journals = Journals(state_directory or os.path.join(base_directory("state"), "file_tree"))
        self._owe = owe
        self._hook = hook

    def answer(self, request: dict) -> dict:
        """Return the answer to ``request``: ``findings``, ``set_errors``, ``recovered``, ``notified``.

        :param request: ``phase`` (``compare`` or ``apply``), ``files`` and ``sets`` (as :class:`Wanted` and
            :class:`SetPlan` travel), ``make_parents``; ``text_limit`` for comparing; ``removals``, ``contents``,
            ``archive`` and ``sensitive`` for applying.
        """
        wishes = [Wanted(**wish) for wish in request["files"]]
        sets = [SetPlan(**plan) for plan in request["sets"]]
        if request["phase"] == "compare":
            return self._compare(request, wishes, sets)
        return self._apply(request, wishes, sets)

    def _recover(self) -> list[dict]:
        if self._journals.in_order:
            return []
        if self._check:
            return self._journals.owed_recoveries()
        with self._journals.lock(_LOCK_SECONDS):
            return self._journals.recover()

    def _compare(self, request: dict, wishes: list[Wanted], sets: list[SetPlan]) -> dict:
        recovered = self._recover()
        survey = Survey(request["make_parents"], self._check, request["text_limit"])
        findings = survey.run(wishes)
        set_errors = {}
        for plan in sets:
            try:
                findings.extend(find_unmanaged(plan, wishes))
            except ToolkitError as error:
                set_errors[plan.name] = error.as_dict()
            except OSError as error:
                problem = error_from_os(error)
                problem.item = plan.name
                set_errors[plan.name] = problem.as_dict()
        return self._result(findings, set_errors, recovered, {})

    def _apply(self, request: dict, wishes: list[Wanted], sets: list[SetPlan]) -> dict:
        self._journals.ensure()
        with self._journals.lock(_LOCK_SECONDS):
            recovered = self._journals.recover()
            applier = Applier(
                self._journals,
                Contents(request.get("contents"), request.get("archive")),
                self._commands,
                self._owe,
                make_parents=request["make_parents"],
                sensitive=request.get("sensitive", ()),
                hook=self._hook,
            )
            applier.run(wishes, sets, request.get("removals", []))
        return self._result(applier.findings, applier.set_errors, recovered, applier.notified)

    @staticmethod
    def _result(findings: list[Finding], set_errors: dict, recovered: list[dict], notified: dict) -> dict:
        return {
            "findings": [finding.as_dict() for finding in findings],
            "set_errors": set_errors,
            "recovered": recovered,
            "notified": notified,
        }
