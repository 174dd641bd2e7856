# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check found: all counted, the first of it kept."""

from __future__ import annotations

from collections import Counter

from .._core.errors import UnsafeError
from .judge import Finding, shown

__all__ = ["Report"]

_NAMED = 3


class Report:
    """Collects violations and what was left out; keeps at most ``limit`` of each.

    A fault of a directory on the way to several paths is listed and counted once.
    """

    def __init__(self, limit: int) -> None:
        self.checked = 0
        self.outcomes: list[dict] = []
        self._limit = limit
        self._violations: list[dict] = []
        self._counts: Counter[str] = Counter()
        self._left_out: list[dict] = []
        self._left_out_counts: Counter[str] = Counter()
        self._on_ways: set[tuple[str, Finding]] = set()

    def begin(self, path: str) -> dict:
        """Begin the outcome of a path and return it."""
        outcome = {"item": path, "changed": False, "ok": True, "resolved": None, "links": [], "checked": 0}
        outcome["violations"] = 0
        self.outcomes.append(outcome)
        return outcome

    def violation(self, path: str, finding: Finding, link: str | None = None, on_the_way: bool = False) -> None:
        """Add a violation to the path begun last.

        :param link: the symbolic link through which it was found.
        :param on_the_way: it is of a directory or link that other paths may pass too.
        """
        outcome = self.outcomes[-1]
        outcome["ok"] = False
        outcome["violations"] += 1
        if on_the_way:
            if (path, finding) in self._on_ways:
                return
            self._on_ways.add((path, finding))
        self._counts[finding.rule] += 1
        if len(self._violations) < self._limit:
            shown_link = None if link is None else shown(link)
            self._violations.append(
                {"item": outcome["item"], "path": shown(path), "link": shown_link, **finding._asdict()}
            )

    def count(self) -> None:
        """Count an entry that was held against the rules of the path begun last."""
        self.checked += 1
        self.outcomes[-1]["checked"] += 1

    def left_out(self, path: str, reason: str) -> None:
        """Note that something was not looked at, or not looked into."""
        self._left_out_counts[reason] += 1
        if len(self._left_out) < self._limit:
            self._left_out.append({"path": shown(path), "reason": reason})

    def result(self, fail: bool) -> dict:
        """Return the result of the module; with ``fail`` a failing one if there are violations."""
        total = sum(self._counts.values())
        result = {
            "changed": False,
            "ok": not total,
            "checked": self.checked,
            "violations": sorted(self._violations, key=lambda entry: (entry["path"], entry["rule"])),
            "violation_count": total,
            "violation_counts": dict(self._counts),
            "left_out": self._left_out,
            "left_out_counts": dict(self._left_out_counts),
            "outcomes": self.outcomes,
        }
        if total and fail:
            result.update(self._error(result, total).as_result())
        return result

    def _error(self, result: dict, total: int) -> UnsafeError:
        bad = [outcome["item"] for outcome in self.outcomes if not outcome["ok"]]
        named = [f"{one['path']}: {one['rule']}, {one['found']}" for one in result["violations"][:_NAMED]]
        more = [f"and {total - len(named)} more"] if total > len(named) else []
        rules = "1 violation" if total == 1 else f"{total} violations"
        return UnsafeError(
            f"{rules} in {len(bad)} of {len(self.outcomes)} paths. {'; '.join([*named, *more])}.",
            hint="Mend them, the hint of each violation says how; or allow them by the option that its rule names.",
            item=bad[0] if len(bad) == 1 else None,
        )
