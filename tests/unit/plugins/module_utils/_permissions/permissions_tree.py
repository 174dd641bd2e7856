# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check real trees as the module does, with the options that a test does not name as nobody set them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.check import check_paths
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.rules import rules_spec

OPTIONS = {"exclude": [], "one_file_system": False, "limit": 1000, "max_entries": 1_000_000, "fail": False}


def defaults() -> dict:
    """The values of all rules that nobody set."""
    return ArgumentSpecValidator(rules_spec(defaults=True)).validate({}).validated_parameters


def check(*paths: Path | dict, **options) -> dict:
    """Return the result for ``paths``: what to check, or dictionaries as in the option ``paths``."""
    unset = dict.fromkeys(rules_spec(defaults=False))
    wishes = [{"path": str(path)} if isinstance(path, (str, Path)) else path for path in paths]
    wishes = [{**unset, "recurse": False, "sha256": None, "exclude": [], **wish} for wish in wishes]
    return check_paths({**defaults(), **OPTIONS, **options, "paths": wishes})


def check_tree(top: Path, **options) -> dict:
    """Return the result for all that is below ``top``."""
    return check({"path": str(top), "recurse": True}, **options)


def broken(result: dict) -> set[tuple[str, str]]:
    """Return ``(rule, name)`` of each violation."""
    return {(violation["rule"], os.path.basename(violation["path"])) for violation in result["violations"]}


def acl_bytes(entries: list[tuple[int, int, int]]) -> bytes:
    """Return the extended attribute of an access control list: ``(tag, bits, id)`` each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 65534
NO_ID = 0xFFFFFFFF
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def grant(path: Path, tag: int, number: int, bits: int, mask: int = 7, group: int = 5, default: bool = False) -> None:
    """Give ``path`` a real access control list with one named entry."""
    entries = [(USER_OBJ, 7, NO_ID), (GROUP_OBJ, group, NO_ID), (MASK, mask, NO_ID), (OTHER, 0, NO_ID)]
    entries = sorted([*entries, (tag, bits, number)])
    os.setxattr(path, f"system.posix_acl_{'default' if default else 'access'}", acl_bytes(entries))
