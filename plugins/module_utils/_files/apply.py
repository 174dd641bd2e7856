# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change the files: those outside sets one by one, each set as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from .._core.commands import Commands
from .._core.errors import ConflictError, DependencyError, IntegrityError, ToolkitError, ValidationError
from .._core.files import read_bytes
from .._core.outcomes import error_from_os
from .journal import Journals, Transaction, no_hook
from .redact import redact
from .steps import Step, plan_steps
from .survey import Finding, Survey, look
from .wire import Contents, SetPlan, Wanted

__all__ = ["Applier", "merge_notify"]

_OUTPUT_LIMIT = 4000
_VALIDATE_SECONDS = 120


def merge_notify(target: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Add the units of ``more`` to ``target``; a restart includes a reload. Returns ``target``."""
    for unit, action in more.items():
        if target.get(unit) != "restart":
            target[unit] = action
    return target


class Applier:
    """Applies wishes that were found to differ.

    :param sensitive: paths of all files of the call whose contents must not show in a validator's output.
    :param owe: notes durably that a unit needs an action (:func:`_system.owed.owe`); called before a change of its
        files is visible, so that no crash loses it.
    :param hook: see :class:`Transaction`.
    """

    def __init__(
        self,
        journals: Journals,
        contents: Contents,
        commands: Commands,
        owe: Callable[[str, str], None],
        make_parents: bool = True,
        sensitive: Sequence[str] = (),
        hook: Callable[[str], None] = no_hook,
    ) -> None:
        self._journals = journals
        self._contents = contents
        self._commands = commands
        self._owe = owe
        self._make_parents = make_parents
        self._sensitive = sensitive
        self._hook = hook
        self.notified: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.set_errors: dict[str, dict] = {}

    def run(self, wishes: Sequence[Wanted], sets: Sequence[SetPlan], removals: Sequence[dict]) -> None:
        """Apply all; what happened is in ``findings``, ``set_errors`` and ``notified`` afterwards.

        :param removals: what purging found: ``{path, set, checksum, kind}``; one that has changed since stays.
        """
        self._apply_singles([wish for wish in wishes if wish.set is None])
        for plan in sets:
            members = [wish for wish in wishes if wish.set == plan.name]
            doomed = [removal for removal in removals if removal["set"] == plan.name]
            if members or doomed:
                self._apply_set(plan, members, doomed)

    def _survey(self, wishes: Sequence[Wanted]) -> list[Finding]:
        findings = Survey(self._make_parents).run(wishes)
        for finding in findings:
            if finding.error is None and finding.content and finding.wanted.checksum not in self._contents:
                error = ConflictError(
                    f"{finding.wanted.dest} was changed on the host while this ran.",
                    hint="Run again.",
                    item=finding.wanted.dest,
                )
                finding.error = error.as_dict()
        return findings

    def _owe_all(self, notify: Mapping[str, str]) -> None:
        for unit, action in sorted(notify.items()):
            if self.notified.get(unit) not in (action, "restart"):
                self._owe(unit, action)
        merge_notify(self.notified, notify)

    # Files outside sets

    def _apply_singles(self, wishes: Sequence[Wanted]) -> None:
        findings = self._survey(wishes)
        self.findings.extend(findings)
        work = [finding for finding in findings if finding.error is None and finding.operation]
        if not work:
            return
        token = Transaction.new_token()
        steps_of: dict[int, list[Step]] = {}
        every: list[Step] = []
        # Planned together, so that the journal knows every temporary name; files then go one by one.
        for number, finding in enumerate(work):
            steps_of[number] = plan_steps([finding], f"{token}.{number}", "")
            for step in steps_of[number]:
                step.backups = []
            every.extend(steps_of[number])
        transaction = Transaction(self._journals, None, every, atomic=False, token=token, hook=self._hook)
        transaction.begin()
        try:
            for number in sorted(steps_of, key=lambda key: _rank(work[key])):
                self._apply_single(work[number], steps_of[number])
            transaction.sync()
        finally:
            transaction.commit()

    def _apply_single(self, finding: Finding, steps: list[Step]) -> None:
        try:
            for step in steps:
                self._hook(f"single prepare {step.action}")
                step.prepare(self._contents, atomic=False)
            for step in steps:
                self._validate_file(finding.wanted, step)
            self._owe_all(finding.wanted.notify)
            for step in steps:
                self._hook(f"single publish {step.action}")
                step.publish()
        except (ToolkitError, OSError) as error:
            _fail(finding, error)
        finally:
            for step in steps:
                step.discard()

    def _validate_file(self, wish: Wanted, step: Step) -> None:
        if not step.validated or step.temporary is None:
            return
        argv = [part.replace("%s", step.temporary) for part in wish.validate]
        secret = [read_bytes(step.temporary) or b""] if wish.sensitive else []
        complaint = self._validate(argv, secret)
        if complaint:
            complaint = complaint.replace(step.temporary, wish.dest)
            raise ValidationError(
                f"validate: {wish.validate[0]} refuses the new {wish.dest}, the old one stays: {complaint}",
                item=wish.dest,
            )

    def _validate(self, argv: Sequence[str], secret: Sequence[bytes]) -> str | None:
        """Run a validator; return what it complained of, or ``None`` if it was content."""
        if Commands.find(argv[0]) is None:
            raise DependencyError(
                f"validate: the program {argv[0]} is not installed on this host.",
                hint="Install it first, or leave out validate.",
            )
        done = self._commands.run(argv, timeout=_VALIDATE_SECONDS)
        if done.ok:
            return None
        # Some (mariadbd --help) print pages of other things to standard output.
        output = done.err.strip() or done.out.strip()
        output = redact(output[-_OUTPUT_LIMIT:], secret, argv)
        return output or f"exit status {done.rc}"

    # Sets

    def _apply_set(self, plan: SetPlan, members: Sequence[Wanted], removals: Sequence[dict]) -> None:
        findings = self._survey(members) + [
            finding for finding in (self._removal(removal) for removal in removals) if finding
        ]
        self.findings.extend(findings)
        broken = next((finding for finding in findings if finding.error), None)
        try:
            if broken is not None:
                raise ValidationError(
                    f"The set {plan.name} was left as it was, since {broken.wanted.dest} can't be changed.",
                    item=plan.name,
                )
            work = [finding for finding in findings if finding.operation]
            if work:
                self._change_set(plan, work)
        except (ToolkitError, OSError) as error:
            problem = error_from_os(error) if isinstance(error, OSError) else error
            problem.item = problem.item or plan.name
            self.set_errors[plan.name] = problem.as_dict()
            for finding in findings:
                finding.operation = None

    @staticmethod
    def _removal(removal: dict) -> Finding | None:
        found = look(removal["path"])
        if found.kind != removal["kind"] or found.checksum != removal.get("checksum"):
            return None
        return Finding(
            Wanted(dest=removal["path"], state="absent", set=removal["set"]), found, "delete", origin="purge"
        )

    def _change_set(self, plan: SetPlan, work: Sequence[Finding]) -> None:
        if plan.validate and Commands.find(plan.validate[0]) is None:
            raise DependencyError(
                f"sets[{plan.name}].validate: the program {plan.validate[0]} is not installed on this host.",
                hint="Install it first, or leave out validate.",
                item=plan.name,
            )
        notify = dict(plan.notify)
        for finding in work:
            merge_notify(notify, finding.wanted.notify)
        token = Transaction.new_token()
        steps = _set_steps(work, token, Transaction.backup_directory_of(self._journals, token))
        transaction = Transaction(self._journals, plan.name, steps, atomic=True, token=token, hook=self._hook)
        # Owed first: were it noted after the files are visible, a crash in between would lose the reload.
        self._owe_all(notify)
        try:
            transaction.begin()
            transaction.prepare(self._contents)
            by_dest = {finding.wanted.dest: finding.wanted for finding in work}
            for step in steps:
                self._validate_file(by_dest.get(step.dest, Wanted(step.dest)), step)
            transaction.publish()
            self._validate_set(plan)
            transaction.commit()
        except BaseException as error:
            if not transaction.done:
                self._roll_back(transaction, error)
            raise

    @staticmethod
    def _roll_back(transaction: Transaction, cause: BaseException) -> None:
        try:
            report = transaction.rollback()
        except IntegrityError as error:
            raise IntegrityError(f"{cause} {error.message}", hint=error.hint, item=error.item) from cause
        if report["left"] and isinstance(cause, ToolkitError):
            cause.message += f" Changed by somebody else meanwhile and left alone: {', '.join(report['left'])}."

    def _validate_set(self, plan: SetPlan) -> None:
        if not plan.validate:
            return
        self._hook("validate")
        # A validator that reads the live tree may quote any of them, changed now or not.
        secret = [read_bytes(path) or b"" for path in self._sensitive]
        complaint = self._validate(plan.validate, secret)
        self._hook("validated")
        if complaint:
            raise ValidationError(
                f"{' '.join(plan.validate)} refuses the new files of the set {plan.name}; "
                f"all of them were put back as they were: {complaint}",
                item=plan.name,
            )


def _set_steps(work: Sequence[Finding], token: str, backups: str) -> list[Step]:
    """Steps for all findings; what a recursive removal covers already is not removed twice."""
    seen: set[tuple[str, str]] = set()
    steps = []
    for step in plan_steps(work, token, backups):
        if (step.action, step.dest) not in seen:
            seen.add((step.action, step.dest))
            steps.append(step)
    return steps


def _rank(finding: Finding) -> tuple[int, int]:
    """Directories first, from the top; removals last; files in the order in which they were asked for."""
    if finding.operation == "delete":
        return 2, 0
    if finding.wanted.state == "directory":
        return 0, finding.wanted.dest.count(os.sep)
    return 1, 0


def _fail(finding: Finding, error: ToolkitError | OSError) -> None:
    problem = error_from_os(error) if isinstance(error, OSError) else error
    problem.item = problem.item or finding.wanted.dest
    finding.error = problem.as_dict()
    finding.operation = None
