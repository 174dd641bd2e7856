# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module ``audit_verify_info`` asks of the verification."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..._core.errors import IntegrityError, NotFoundError
from ..search.index.ask import trail_directory
from .keys import read_vkeys
from .remembered import Memory, witnessed
from .verify import verify

__all__ = ["verification"]


class _Remembered(Memory):
    """Checkpoints that are known, to which nothing is added."""

    def remember(self, origin: str, verifiers: Iterable[Any], note: bytes) -> None:
        """Keep nothing: a module that informs changes nothing."""


def verification(params: Mapping[str, Any]) -> dict:
    """Return the result of the module.

    :param params: its options.
    :raises ToolkitError: the log can't be read, or a checkpoint, the memory or a key can't be used.
    """
    directory = trail_directory(params["log_directory"])
    if not os.path.isdir(directory):
        raise NotFoundError(f"There is no audit trail in {directory}.", hint="Name it with log_directory.")
    checkpoints = [kept for path in params["checkpoints"] for kept in witnessed(path)]
    found = verify(
        directory,
        memory=_Remembered(params["memory"]) if params["memory"] else None,
        witnesses=checkpoints if params["checkpoints"] else None,
        trusted=read_vkeys("\n".join(params["trusted_keys"])),
        parse=params["parse"],
    ).as_dict()
    result = {"changed": False, "verification": found}
    result.update({name: found[name] for name in ("ok", "size", "root", "proves", "findings")})
    if not found["ok"] and params["fail"]:
        first = found["findings"][0]
        more = f" There are {len(found['findings']) - 1} more findings." if len(found["findings"]) > 1 else ""
        error = IntegrityError(f"{first['where']}: {first['message']}{more}", item=directory)
        result.update(error.as_result())
    return result
