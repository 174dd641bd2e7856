# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The course of one ``file_tree`` task on the controller: what to ask, what to send, what to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._files.apply import merge_notify
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import SetPlan

from .report import Report
from .sources import Content
from .wishes import Wish

__all__ = ["Session"]


class Session:
    """Holds the wishes and what the host answered.

    :param text_limit: bytes up to which contents show in the diff; 0 for no diff.
    """

    def __init__(self, wishes: Sequence[Wish], sets: Sequence[SetPlan], make_parents: bool, text_limit: int) -> None:
        self._wishes = {wish.wanted.dest: wish for wish in wishes}
        self._sets = {plan.name: plan for plan in sets}
        self._make_parents = make_parents
        self._text_limit = text_limit
        self._findings: list[dict] = []
        self._set_errors: dict[str, dict] = {}
        self._recovered: list[dict] = []
        self._notified: dict[str, str] | None = None

    def compare_request(self) -> dict:
        """Return the first request: everything that is wanted, without contents."""
        return {
            "phase": "compare",
            "files": [wish.wanted.as_dict() for wish in self._wishes.values()],
            "sets": [plan.as_dict() for plan in self._sets.values()],
            "make_parents": self._make_parents,
            "text_limit": self._text_limit,
        }

    def compared(self, answer: Mapping) -> None:
        """Take the answer to the first request. A set of which one file can't be changed is left as it is."""
        self._findings = answer["findings"]
        self._set_errors = dict(answer["set_errors"])
        self._recovered = list(answer["recovered"])
        for finding in self._findings:
            name = finding["wanted"]["set"]
            if finding.get("error") and name is not None and name not in self._set_errors:
                dest = finding["wanted"]["dest"]
                problem = ValidationError(f"The set was left as it is, since {dest} can't be changed.", item=name)
                self._set_errors[name] = problem.as_dict()
        for finding in self._findings:
            if finding["wanted"]["set"] in self._set_errors:
                finding["operation"] = None

    @property
    def work(self) -> list[dict]:
        """The findings that ask for a change."""
        return [finding for finding in self._findings if finding.get("operation") and not finding.get("error")]

    def contents_to_send(self) -> list[Content]:
        """Return each content that the host lacks once."""
        needed = {}
        for finding in self.work:
            wish = self._wishes.get(finding["wanted"]["dest"])
            if finding.get("content") and wish is not None and wish.content is not None:
                needed[wish.content.checksum] = wish.content
        return list(needed.values())

    def apply_request(self, inline: Mapping) -> dict:
        """Return the second request: only what differs, with ``inline`` contents."""
        work = self.work
        wishes = [self._wishes[item["wanted"]["dest"]] for item in work if item["wanted"]["dest"] in self._wishes]
        names = {finding["wanted"]["set"] for finding in work}
        return {
            "phase": "apply",
            "files": [wish.wanted.as_dict() for wish in wishes],
            "sets": [plan.as_dict() for name, plan in self._sets.items() if name in names],
            "make_parents": self._make_parents,
            "removals": [
                {
                    "path": finding["wanted"]["dest"],
                    "set": finding["wanted"]["set"],
                    "kind": finding["before"]["kind"],
                    "checksum": finding["before"].get("checksum"),
                }
                for finding in work
                if finding["origin"] == "purge"
            ],
            "contents": dict(inline),
            "sensitive": [
                dest for dest, wish in self._wishes.items() if wish.wanted.sensitive and wish.wanted.state == "file"
            ],
        }

    def applied(self, answer: Mapping) -> None:
        """Take the answer to the second request."""
        done = {finding["wanted"]["dest"]: finding for finding in answer["findings"]}
        texts = {finding["wanted"]["dest"]: finding["before"].get("text") for finding in self._findings}
        order = [finding["wanted"]["dest"] for finding in self._findings]
        compared = {finding["wanted"]["dest"]: finding for finding in self._findings}
        asked = {finding["wanted"]["dest"] for finding in self.work}
        findings = []
        for dest in [*order, *(dest for dest in done if dest not in compared)]:
            finding = done.get(dest, compared.get(dest))
            if dest in asked and dest not in done:
                # Asked for, and no longer to be done: somebody else has made or changed it meanwhile.
                finding = {**compared[dest], "operation": None}
            if texts.get(dest) is not None:
                finding["before"]["text"] = texts[dest]
            findings.append(finding)
        self._findings = findings
        self._set_errors.update(answer["set_errors"])
        self._recovered.extend(answer["recovered"])
        self._notified = answer["notified"]

    def _predicted_notify(self) -> dict[str, str]:
        notified: dict[str, str] = {}
        for finding in self.work:
            wish = self._wishes.get(finding["wanted"]["dest"])
            if wish is not None:
                merge_notify(notified, wish.wanted.notify)
            plan = self._sets.get(finding["wanted"]["set"])
            if plan is not None:
                merge_notify(notified, plan.notify)
        return notified

    def result(self) -> dict:
        """Return the task's result."""
        report = Report(self._wishes, self._text_limit)
        for finding in self._findings:
            report.add(finding, finding["before"].get("text"))
        for name, record in self._set_errors.items():
            report.add_set_error(name, record)
        notified = self._predicted_notify() if self._notified is None else self._notified
        return report.result(notified, self._recovered)
