# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the result of ``file_tree`` out of what the host answered; no secret content passes here."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import InternalError, ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import text_diff
from ansible_collections.scripts.toolkit.plugins.module_utils._core.outcomes import Outcomes

from .wishes import Wish

__all__ = ["Report", "error_of"]

_CLASSES = {cls.kind: cls for cls in ToolkitError.__subclasses__()}


def error_of(record: Mapping) -> ToolkitError:
    """Return the exception that ``record`` (``{kind, message, hint, item}``) describes."""
    cls = _CLASSES.get(record["kind"], InternalError)
    return cls(record["message"], hint=record.get("hint"), item=record.get("item"))


def _octal(mode: int | None) -> str | None:
    return None if mode is None else f"{mode:04o}"


class Report:
    """Collects findings into ``outcomes`` and ``diff``.

    :param wishes: by path.
    :param text_limit: bytes up to which contents show in the diff.
    """

    def __init__(self, wishes: Mapping[str, Wish], text_limit: int) -> None:
        self._wishes = wishes
        self._text_limit = text_limit
        self._outcomes = Outcomes()

    def add(self, finding: Mapping, text: str | None) -> None:
        """Add what happened (or would happen) to one path.

        :param text: the old contents, where they may be shown.
        """
        wanted = finding["wanted"]
        dest = wanted["dest"]
        wish = self._wishes.get(dest)
        sensitive = wish is not None and wish.wanted.sensitive
        before, operation = finding["before"], finding.get("operation")
        deleted = wanted["state"] == "absent"
        # What did not change, since it is as wanted, failed, or was put back, is afterwards what it was before.
        after = finding if operation else before
        checksum_before = None if sensitive else before.get("checksum")
        checksum_after = checksum_before
        if operation:
            checksum_after = None if sensitive or wish is None or deleted else wish.wanted.checksum
        with self._outcomes.item(dest) as outcome:
            outcome.update(
                changed=operation is not None,
                operation=operation,
                kind=wanted["state"],
                set=wanted["set"],
                checksum_before=checksum_before,
                checksum_after=checksum_after,
                owner=None if deleted else after.get("owner"),
                group=None if deleted else after.get("group"),
                mode=None if deleted else _octal(after.get("mode")),
            )
            if finding.get("error"):
                raise error_of(finding["error"])
        if operation is not None:
            self._outcomes.diffs.extend(self._diff(finding, text, wish, sensitive))

    def add_set_error(self, name: str, record: Mapping) -> None:
        """Add that the set ``name`` failed as a whole."""
        with self._outcomes.item(name) as outcome:
            outcome.update(operation=None, kind="set", set=name)
            raise error_of(record)

    def result(self, notified: Mapping[str, str], recovered: list[dict]) -> dict:
        """Return the task's result."""
        result = self._outcomes.result()
        result.update(notified=dict(notified), recovered=recovered)
        result["changed"] = result["changed"] or bool(recovered)
        return result

    # Diffs

    def _diff(self, finding: Mapping, text: str | None, wish: Wish | None, sensitive: bool) -> list[dict]:
        dest, state = finding["wanted"]["dest"], finding["wanted"]["state"]
        before, operation = finding["before"], finding["operation"]
        attributes = self._attributes(finding)
        if operation == "attributes":
            return attributes
        if operation == "delete":
            size = f", {before['size']} bytes" if "size" in before else ""
            return [text_diff(dest, f"({before['kind']}{size})\n", None)]
        if state == "directory":
            mode, owner, group = _octal(finding.get("mode")), finding.get("owner"), finding.get("group")
            return [text_diff(dest, None, f"(directory, mode {mode}, {owner}:{group})\n")]
        if state == "link":
            after: str | None = f"(link to {wish.wanted.target})\n" if wish else ""
        else:
            after = self._new_text(wish)
        old = None if before["kind"] == "absent" else self._old_text(before, text)
        same_kind = before["kind"] == state
        return [text_diff(dest, old, after, sensitive), *(attributes if same_kind else [])]

    @staticmethod
    def _old_text(before: Mapping, text: str | None) -> str:
        if before["kind"] == "link":
            return f"(link to {before.get('target')})\n"
        if text is None:
            return f"(binary or big, {before.get('size')} bytes, SHA-256 {before.get('checksum')})\n"
        return text

    def _new_text(self, wish: Wish | None) -> str:
        content = wish.content if wish else None
        if content is None:
            return ""
        if content.size <= self._text_limit:
            data = content.read()
            try:
                if b"\0" not in data:
                    return data.decode("utf-8")
            except UnicodeDecodeError:
                pass
        return f"(binary or big, {content.size} bytes, SHA-256 {content.checksum})\n"

    @staticmethod
    def _attributes(finding: Mapping) -> list[dict]:
        before = finding["before"]
        old = {"mode": _octal(before.get("mode")), "owner": before.get("owner"), "group": before.get("group")}
        new = {"mode": _octal(finding.get("mode")), "owner": finding.get("owner"), "group": finding.get("group")}
        names = [name for name in old if old[name] != new[name]]
        if not names:
            return []
        texts = ["".join(f"{name}: {values[name]}\n" for name in names) for values in (old, new)]
        return [text_diff(f"{finding['wanted']['dest']} (attributes)", *texts)]
