# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module's ``main()`` calls its room and ends: one place that turns exceptions and outcomes into results."""

from __future__ import annotations

from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule

from .errors import ToolkitError
from .outcomes import Outcomes, error_from_os

__all__ = ["run_module", "text_diff"]


def run_module(module: AnsibleModule, work: Callable[[AnsibleModule], dict | Outcomes]) -> None:
    """Call ``work(module)`` and end the module with what it returns.

    A dict goes to ``exit_json`` (to ``fail_json`` when its ``failed`` is true); :class:`Outcomes` likewise through its
    ``result()``. A :class:`ToolkitError` or ``OSError`` becomes a failing result with ``error``.
    """
    try:
        result = work(module)
    except ToolkitError as error:
        module.fail_json(**error.as_result())
    except OSError as error:
        module.fail_json(**error_from_os(error).as_result())
    if isinstance(result, Outcomes):
        result = result.result()
    if not module._diff:  # pylint: disable=protected-access
        result.pop("diff", None)
    if result.get("failed"):
        module.fail_json(**result)
    result["failed"] = False
    module.exit_json(**result)


def text_diff(name: str, before: str | None, after: str | None, sensitive: bool = False) -> dict:
    """Return one entry for ``diff``: before and after texts under the header ``name``; ``None`` means absent.

    A ``sensitive`` text never appears; the entry only says that it differs.
    """
    if sensitive:
        before, after = (None if text is None else "(sensitive, not shown)\n" for text in (before, after))
        if before == after:
            after = "(sensitive, changed, not shown)\n"
    return {
        "before_header": name if before is not None else f"{name} (absent)",
        "after_header": name if after is not None else f"{name} (absent)",
        "before": before or "",
        "after": after or "",
    }
