# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of the content of a task result: a summary, all of it redacted, or a digest.

What a summary takes is listed here name by name; a key that nobody thought of is not recorded, except with
``detail: full``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from .canonical import cut, encode, plain
from .redact import Redactor

__all__ = ["Describer"]

_TEXT = 600
_ITEM = 200
_OUTCOMES = 40
_DROPPED = frozenset(
    ("invocation", "diff", "diffs", "results", "exception", "stdout_lines", "stderr_lines", "censored", "audit_events")
)
_OUTCOME_KEYS = ("item", "changed", "failed", "state", "operation", "mode", "owner", "group")
_CHECKSUMS = ("checksum", "checksum_before", "checksum_after", "sha256", "sha256_before", "sha256_after")
_ITEM_NAMES = ("name", "path", "dest", "key", "item", "src", "id")


class Describer:
    """Adds to the details of a result what its content tells.

    :param detail: ``none``, ``digest``, ``summary`` or ``full``.
    """

    def __init__(self, redactor: Redactor, detail: str) -> None:
        self._redactor = redactor
        self._detail = detail

    def describe(self, details: dict, data: Mapping, item: bool) -> None:
        """Add to ``details``, which have ``status``, ``changed`` and ``module``.

        :param item: it is the result of one item of a loop.
        """
        if item:
            details["item"] = self._item(data)
        if self._detail != "summary":
            self._tell_all(details, data)
            return
        status = details["status"]
        message = data.get("skip_reason") if status == "skipped" else data.get("msg")
        # What debug and its like print is the playbook's own output: anything may be in it, and nothing was done.
        if message and isinstance(message, str) and not (status == "ok" and details["module"].endswith(".debug")):
            details["msg"] = self._redactor.short(str.__str__(message), _TEXT)
        for key in ("rc", "attempts"):
            if key in data and isinstance(data[key], int):
                details[key] = plain(data[key])
        error = data.get("error")
        if error and isinstance(error, Mapping) and isinstance(error.get("kind"), str):
            details["error"] = {"kind": str(plain(error["kind"])), "item": self._short(error.get("item"))}
        outcomes = data.get("outcomes")
        if outcomes and isinstance(outcomes, (list, tuple)):
            details["outcomes"] = self._outcomes(outcomes)
        elif details["changed"]:
            path = data.get("dest") or data.get("path")
            if path and isinstance(path, str):
                details["path"] = cut(self._redactor.known(str(plain(path))), _TEXT)

    def _tell_all(self, details: dict, data: Mapping) -> None:
        kept = {key: value for key, value in data.items() if key not in _DROPPED and not key.startswith("_ansible")}
        told = self._redactor.value(kept)
        if self._detail == "full":
            details["result"] = told
        else:
            text = encode(told)
            salt = os.urandom(16)
            digest = hashlib.sha256(salt + text).hexdigest()
            details["result_digest"] = {"sha256": digest, "salt": salt.hex(), "bytes": len(text)}

    def _short(self, value: object) -> object:
        if isinstance(value, str):
            return self._redactor.short(str.__str__(value), _ITEM)
        return plain(value) if value is None or isinstance(value, (bool, int, float)) else f"({type(value).__name__})"

    def _item(self, data: Mapping) -> object:
        label = data.get("_ansible_item_label")
        if label is None:
            label = data.get(str(data.get("ansible_loop_var", "item")))
        if isinstance(label, Mapping):  # a whole dict may hold a password: its name is enough
            label = next((label[name] for name in _ITEM_NAMES if isinstance(label.get(name), (str, int))), label)
        return self._short(label)

    def _outcomes(self, outcomes: list) -> dict:
        entries = [entry for entry in outcomes if isinstance(entry, Mapping)]
        told = [entry for entry in entries if entry.get("changed") or entry.get("failed")]
        summary: dict[str, object] = {
            "total": len(outcomes),
            "changed": sum(1 for entry in entries if entry.get("changed")),
            "failed": sum(1 for entry in entries if entry.get("failed")),
        }
        if told:
            summary["told"] = [self._outcome(entry) for entry in told[:_OUTCOMES]]
        return summary

    def _outcome(self, entry: Mapping) -> dict:
        kept = {key: self._short(entry[key]) for key in _OUTCOME_KEYS if entry.get(key) is not None}
        if not entry.get("sensitive"):  # a digest of a secret that can be guessed tells it
            kept.update((key, self._short(entry[key])) for key in _CHECKSUMS if entry.get(key) is not None)
        error = entry.get("error")
        if isinstance(error, Mapping):
            kept["error"] = self._short(error.get("kind"))
        return kept
