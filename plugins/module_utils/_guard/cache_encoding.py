# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes into the cache, and under which key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from .._audit.record.redact import Redactor
from .._core.errors import IntegrityError, ValidationError

__all__ = ["LARGEST", "cache_key", "decode", "encode", "label", "storable"]

LARGEST = 1 << 20
"""Bytes of the largest result that is kept."""

_KEPT = frozenset(("_ansible_facts_cacheable", "_ansible_verbose_always", "_ansible_verbose_override"))
"""Of ansible-core's own keys those on which it depends what becomes of a result, and how it is shown."""

_NEVER = {
    "failed": "it failed",
    "unreachable": "the host was unreachable",
    "skipped": "it was skipped",
    "_ansible_no_log": "it is marked no_log",
}
_known = Redactor().known


def cache_key(secret: bytes, module: str, arguments: Mapping, host: str, code_version: str, extra: Mapping) -> str:
    """Return the key of a result: HMAC-SHA256 in hex over canonical JSON of everything that the result depends on.

    Arguments may hold secrets. Who sees a key can't find them out by trying, since that takes the cache's ``secret``.

    :raises ValidationError: something in it is no plain data.
    """
    parts = [module, arguments, host, code_version, extra]
    return hmac.new(secret, _canonical(parts).encode("ascii"), hashlib.sha256).hexdigest()


def _canonical(value: object) -> str:
    """Return the one spelling of ``value``; other values, such as 1 and "1" as keys, are spelled otherwise."""
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_canonical(key)}:{_canonical(entry)}" for key, entry in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(entry) for entry in value) + "]"
    if getattr(value, "__ENCRYPTED__", False):  # by the vault of ansible-core 2.18
        value = str(value)
    return json.dumps(_scalar(value))


def _scalar(value: object) -> object:
    """Return ``value`` as what JSON knows, without ansible-core's tags."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise ValidationError(f"{type(value).__name__} is no plain data.", hint="Use strings, numbers, lists and mappings.")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValidationError("it has keys that are no strings.")
        return {str.__str__(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return _scalar(value)


def storable(result: Mapping, no_log: bool, allow_changed: bool, largest: int = LARGEST) -> str | None:
    """Return why a result must not be kept, ``None`` where it may be.

    :param no_log: the task has ``no_log``.
    :param allow_changed: it may be kept though the task changed something.
    """
    if no_log:
        return "the task has no_log"
    for key, reason in _NEVER.items():
        if result.get(key):
            return reason
    if "ansible_job_id" in result:
        return "it is of a job in the background"
    if result.get("changed") and not allow_changed:
        return "it changed something"
    try:
        encode(result, largest)
    except ValidationError as error:
        return error.message
    return None


def encode(result: Mapping, largest: int = LARGEST) -> str:
    """Return a result as it is kept: JSON, without the task's arguments and what is of one run only.

    :raises ValidationError: it is no plain data, larger than ``largest`` bytes, or holds a secret that is known.
    """
    kept = {
        key: value
        for key, value in result.items()
        if key != "invocation" and (not str(key).startswith("_ansible_") or key in _KEPT)
    }
    try:
        text = json.dumps(_plain(kept), separators=(",", ":"))
    except RecursionError:
        raise ValidationError("it is nested too deeply") from None
    if len(text) > largest:
        raise ValidationError(f"it has {len(text)} bytes, and the most are {largest}")
    if _known(text) != text:
        raise ValidationError("it holds a secret")
    return text


def decode(text: str) -> dict:
    """Return the result that :func:`encode` has spelled.

    :raises IntegrityError: it is something else.
    """
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        result = None
    if not isinstance(result, dict):
        raise IntegrityError("A result in the cache is damaged.")
    return result


def label(value: object) -> str:
    """Return what is told of a result, such as the name of its task, as text without known secrets."""
    return _known(str(value).encode("utf-8", "replace").decode("utf-8"))
