# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of the monitor: a JSON file and one for the hooks, whose secrets fewer people may read; checked as
a whole before they are used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..._core.errors import NotFoundError, ValidationError
from ..._core.files import read_bytes
from .hysteresis import Thresholds
from .silence import Silence, parse_silence

__all__ = ["Hook", "Settings", "parse_settings", "read_settings"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_KEYS = frozenset(
    ("probe", "failures", "window", "successes", "minimum_score", "hooks", "silences", "keep_days", "keep_rounds")
)
_HOOK_KEYS = frozenset(("name", "command", "environment", "webhook", "headers", "timeout"))
_LONGEST = 1000
"""So many rounds a threshold may count."""


@dataclass(frozen=True)
class Hook:
    """Whom to notify: a program, or an address that takes an HTTP POST; ``timeout`` is in seconds."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    webhook: str
    headers: Mapping[str, str]
    timeout: float


@dataclass(frozen=True)
class Settings:
    """What the monitor does.

    :param probe: the options of ``network_probe``.
    :param minimum_score: a target below it has failed, too; 0 for none.
    """

    probe: Mapping
    thresholds: Thresholds
    minimum_score: int
    hooks: tuple[Hook, ...]
    silences: tuple[Silence, ...]
    keep_days: int
    keep_rounds: int


def read_settings(path: str) -> Settings:
    """Return the settings in the file ``path``, with the hooks in the file that its ``hooks_path`` names.

    :raises NotFoundError, ValidationError: there is none, or it can't be used.
    """
    given = _read(path)
    if isinstance(given, dict) and "hooks_path" in given:
        given["hooks"] = _read(str(given.pop("hooks_path")))
    return parse_settings(given)


def _read(path: str) -> object:
    data = read_bytes(path)
    if data is None:
        raise NotFoundError(f"There is no configuration {path}.", hint="Apply the role network_monitor.")
    try:
        return json.loads(data)
    except ValueError:
        raise ValidationError(f"{path} is no JSON.", hint="Apply the role network_monitor.") from None


def parse_settings(given: object) -> Settings:
    """Return checked settings.

    :raises ValidationError: naming the option.
    """
    if not isinstance(given, Mapping):
        raise ValidationError("The configuration is no mapping.")
    unknown = sorted(set(given) - _KEYS)
    if unknown:
        raise ValidationError(f"{unknown[0]} is no option of the monitor.", hint=f"Options are {_told(_KEYS)}.")
    failures = _number(given, "failures", 3, 1, _LONGEST)
    window = _number(given, "window", failures, 1, _LONGEST)
    if window < failures:
        raise ValidationError(
            f"window={window} has room for fewer rounds than failures={failures}.",
            hint="Let window be at least failures, or leave it out for failures in a row.",
        )
    hooks = tuple(_hook(hook, f"hooks[{place}]") for place, hook in enumerate(given.get("hooks") or ()))
    names = [hook.name for hook in hooks]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValidationError(f"hooks: two are called {twice[0]}.", hint="Give each a name of its own.")
    silences = tuple(
        parse_silence(silence, f"silences[{place}]") for place, silence in enumerate(given.get("silences") or ())
    )
    probe = given.get("probe")
    if not isinstance(probe, Mapping):
        raise ValidationError("probe is no mapping.", hint="Give it the options of network_probe.")
    return Settings(
        probe=probe,
        thresholds=Thresholds(failures, window, _number(given, "successes", 2, 1, _LONGEST)),
        minimum_score=_number(given, "minimum_score", 0, 0, 100),
        hooks=hooks,
        silences=silences,
        keep_days=_number(given, "keep_days", 30, 1, 3650),
        keep_rounds=_number(given, "keep_rounds", 50000, 1, 10_000_000),
    )


def _number(given: Mapping, option: str, default: int, least: int, most: int) -> int:
    value = given.get(option)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValidationError(
            f"{option}={value!r} is out of range.", hint=f"Give a whole number from {least} to {most}."
        )
    return value


def _hook(given: object, where: str) -> Hook:
    if not isinstance(given, Mapping) or set(given) - _HOOK_KEYS:
        raise ValidationError(f"{where} is no hook.", hint=f"Options are {_told(_HOOK_KEYS)}.")
    name = str(given.get("name") or "")
    if not _NAME.fullmatch(name):
        raise ValidationError(f"{where}.name: {name!r} is no name.", hint="Use letters, digits, dots and dashes.")
    command, webhook = given.get("command") or (), str(given.get("webhook") or "")
    if bool(command) == bool(webhook):
        raise ValidationError(f"{where} ({name}) needs either a command or a webhook.", hint="Give it one of them.")
    if isinstance(command, str) or not all(isinstance(word, str) and "\0" not in word for word in command):
        raise ValidationError(f"{where}.command is no list of words.", hint="Write [/usr/local/bin/notify, --now].")
    if command and not command[0].startswith("/"):
        raise ValidationError(
            f"{where}.command: {command[0]!r} is no absolute path.", hint="Write the whole path of the program."
        )
    if webhook:
        _check_url(webhook, f"{where}.webhook")
    headers = {str(key): str(value) for key, value in (given.get("headers") or {}).items()}
    for header, value in headers.items():
        if not _HEADER.fullmatch(header) or not _VISIBLE.fullmatch(value):
            # The value may be a secret, so it is not repeated.
            raise ValidationError(f"{where}.headers: {header!r} is no header of HTTP.", hint="Use ASCII on one line.")
    environment = {str(key): str(value) for key, value in (given.get("environment") or {}).items()}
    timeout = given.get("timeout", 10)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 300:
        raise ValidationError(f"{where}.timeout={timeout!r} is out of range.", hint="Give seconds, at most 300.")
    return Hook(name, tuple(command), environment, webhook, headers, float(timeout))


def _check_url(url: str, where: str) -> None:
    """Refuse what is no address of HTTP. It may hold a secret, so it is not repeated."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or " " in url or not _VISIBLE.fullmatch(url) or parts.username is not None:
        raise ValidationError(f"{where} is no URL.", hint="Write https://HOST/PATH; credentials go into headers.")


def _told(options: frozenset) -> str:
    return ", ".join(sorted(options))
