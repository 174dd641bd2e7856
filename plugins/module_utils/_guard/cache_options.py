# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a cached task, and what they mean."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from .._core.errors import ValidationError
from .._core.paths import base_directory
from .cache_encoding import cache_key

__all__ = ["CACHE_SPEC", "CachePolicy", "cache_directory", "cache_policy_of"]

CACHE_SPEC = {
    "ttl": {"type": "float", "required": True},
    "key": {"type": "str", "default": "auto", "no_log": False},
    "wait": {"type": "float", "default": 300.0},
    "scope": {"type": "str", "choices": ["host", "global"], "default": "host"},
    "allow_changed": {"type": "bool", "default": False},
    "directory": {"type": "path"},
    "on_error": {"type": "str", "choices": ["fail", "bypass"], "default": "fail"},
}


@dataclass(frozen=True)
class CachePolicy:
    """How the results of a task are kept; ``ttl`` and ``wait`` are seconds."""

    ttl: float
    key: str
    wait: float
    scope: str
    allow_changed: bool
    directory: str
    on_error: str

    def key_of(self, secret: bytes, module: str, arguments: Mapping, host: str, code_version: str, extra: dict) -> str:
        """Return the key of a task's result.

        A key of the user's own stands for the arguments; results of all hosts are one where the scope is ``global``.
        """
        own = self.key != "auto"
        return cache_key(
            secret,
            module,
            {} if own else dict(arguments),
            "" if self.scope == "global" else host,
            code_version,
            {**extra, "scope": self.scope, "own": self.key if own else None},
        )


def cache_policy_of(options: Mapping) -> CachePolicy:
    """Return the policy that ``options`` of the form of :data:`CACHE_SPEC` ask for.

    Options that are absent or ``None`` have their defaults.

    :raises ValidationError: an option has a value that can't be used, or is unknown.
    """
    unknown = sorted(set(options) - set(CACHE_SPEC))
    if unknown:
        raise ValidationError(f"cache.{unknown[0]} is no option.", hint=f"Options are {', '.join(CACHE_SPEC)}.")
    given = {name: value for name, value in options.items() if value is not None}
    if "ttl" not in given:
        raise ValidationError("cache.ttl is missing.", hint="Say for how many seconds a result may be used.")
    for name, spec in CACHE_SPEC.items():
        if "choices" in spec and given.get(name, spec["default"]) not in spec["choices"]:
            choices = ", ".join(spec["choices"])
            raise ValidationError(f"cache.{name}={given[name]!r} is unknown.", hint=f"Choose one of {choices}.")
    key = str(given.get("key", CACHE_SPEC["key"]["default"]))
    if not key.strip():
        raise ValidationError("cache.key is empty.", hint="Leave it out, or give a text that names the result.")
    return CachePolicy(
        ttl=_seconds(given, "ttl", above=0),
        key=key,
        wait=_seconds(given, "wait"),
        scope=str(given.get("scope", CACHE_SPEC["scope"]["default"])),
        allow_changed=bool(given.get("allow_changed", CACHE_SPEC["allow_changed"]["default"])),
        directory=cache_directory(given.get("directory"), "cache.directory"),
        on_error=str(given.get("on_error", CACHE_SPEC["on_error"]["default"])),
    )


def cache_directory(directory: str | None, option: str = "directory") -> str:
    """Return the directory of the cache, the user's own where none is given.

    :param option: the name of the option, for the error.
    :raises ValidationError: it is no absolute path.
    """
    if directory is None:
        return os.path.join(base_directory("state"), "cache")
    path = os.path.expanduser(str(directory))
    if not os.path.isabs(path):
        raise ValidationError(f"{option}={directory!r} is no absolute path.", hint="Begin it with / or ~.")
    return path


def _seconds(given: Mapping, name: str, above: float | None = None) -> float:
    value = given.get(name, CACHE_SPEC[name].get("default"))
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or (above is not None and seconds <= above):
        least = "more than 0" if above is not None else "0 or more"
        raise ValidationError(f"cache.{name}={value!r} is no time.", hint=f"Give seconds, {least}.")
    return seconds
