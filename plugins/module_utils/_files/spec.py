# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``file_tree``, for the action, which checks them, and the module, which states them."""

from __future__ import annotations

__all__ = ["file_tree_spec"]


def _common() -> dict:
    return {
        "vars": {"type": "dict", "default": {}},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        "force": {"type": "bool", "default": True},
        "validate": {"type": "list", "elements": "str", "default": []},
        "set": {"type": "str"},
        "sensitive": {"type": "bool", "default": False},
        "notify": {"type": "dict", "default": {}},
    }


def file_tree_spec() -> dict:
    """Return the argument spec of the public options, as documented in the module."""
    return {
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "dest": {"type": "str", "required": True},
                "content": {"type": "raw"},
                "src": {"type": "str"},
                "template": {"type": "bool"},
                "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
                "recursive": {"type": "bool", "default": False},
                **_common(),
            },
        },
        "trees": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "src": {"type": "str", "required": True},
                "dest": {"type": "str", "required": True},
                "exclude": {"type": "list", "elements": "str", "default": []},
                "directory_mode": {"type": "raw"},
                **_common(),
            },
        },
        "sets": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "validate": {"type": "list", "elements": "str", "default": []},
                "notify": {"type": "dict", "default": {}},
                "purge": {"type": "list", "elements": "str", "default": []},
            },
        },
        "make_parents": {"type": "bool", "default": True},
    }
