# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What entries must be like: the rules, from the options of the module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.errors import NotFoundError, ValidationError
from .._core.files import group_id, parse_mode, user_id
from .capabilities import capability_set
from .entry import TYPES

__all__ = ["Rules", "make_rules", "rules_spec"]

_MODES = ("mode", "directory_mode", "max_mode", "max_directory_mode")


@dataclass(frozen=True)
class Rules:
    """The rules for one path. ``None`` means that a property is not looked at; users and groups are numeric ids."""

    owners: frozenset[int] | None
    groups: frozenset[int] | None
    types: frozenset[str] | None
    mode: int | None
    directory_mode: int | None
    max_mode: int | None
    max_directory_mode: int | None
    group_writable: bool
    world_writable: str
    setuid: bool
    setgid: bool
    acl: str
    capabilities: int
    immutable: bool | None
    append_only: bool | None
    hard_links: bool
    symlinks: str
    parents: bool

    def group_may_write(self, gid: int) -> bool:
        """Return whether members of this group may be allowed to write."""
        return self.group_writable and (self.groups is None or gid in self.groups)


def rules_spec(defaults: bool) -> dict:
    """Return the argument spec of the rules.

    :param defaults: whether with the values of rules that nobody sets, or for one path, without any.
    """
    spec: dict = {
        "owners": {"type": "list", "elements": "str"},
        "groups": {"type": "list", "elements": "str"},
        "types": {"type": "list", "elements": "str", "choices": [name for name in TYPES if name != "link"]},
        **{name: {"type": "raw"} for name in _MODES},
        "group_writable": {"type": "bool", "default": False},
        "world_writable": {"type": "str", "choices": ["never", "sticky", "always"], "default": "sticky"},
        "setuid": {"type": "bool", "default": False},
        "setgid": {"type": "bool", "default": False},
        "acl": {"type": "str", "choices": ["none", "owners", "any"], "default": "owners"},
        "capabilities": {"type": "list", "elements": "str", "default": []},
        "immutable": {"type": "bool"},
        "append_only": {"type": "bool"},
        "hard_links": {"type": "bool", "default": True},
        "symlinks": {"type": "str", "choices": ["none", "inside", "check", "any"], "default": "check"},
        "parents": {"type": "bool", "default": True},
    }
    if not defaults:
        for option in spec.values():
            option.pop("default", None)
    return spec


def make_rules(params: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> Rules:
    """Return the rules for one path.

    :param params: the options of the module, for all paths.
    :param entry: those of the path, which go before.
    :param where: name of its option, for errors.
    :raises ToolkitError: a value can't be used.
    """
    chosen = {}
    for name in rules_spec(defaults=False):
        own = entry.get(name) is not None
        option = f"{where}.{name}" if own else name
        chosen[name] = _converted(name, entry[name] if own else params[name], option)
    return Rules(**chosen)


def _converted(name: str, value: Any, option: str) -> Any:
    if name == "capabilities":
        return capability_set(value, option)
    if value is None:
        return None
    if name in _MODES:
        return parse_mode(value, option)
    if name in ("owners", "groups"):
        return _ids(value, user_id if name == "owners" else group_id, option)
    return frozenset(value) if name == "types" else value


def _ids(names: list[str], find: Callable[[str], int | None], option: str) -> frozenset[int]:
    if not names:
        raise ValidationError(f"{option} is an empty list.", hint="Leave it out to allow any, or name who is allowed.")
    found = set()
    for name in names:
        try:
            found.add(find(name))
        except NotFoundError as error:
            raise NotFoundError(f"{option}: {error.message}", hint="Create it first, or give a number.") from None
    return frozenset(number for number in found if number is not None)
