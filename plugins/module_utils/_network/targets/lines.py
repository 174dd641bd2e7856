# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets and rules as lines of text, one a line, as shell scripts keep them.

    TARGET:name|address|type|info
    RULE:name|type|target types|success pattern|error pattern|threshold|remediation

Fields at the end may be left out. ``\\|`` is a bar in a field. Empty lines and those that begin with # are passed over;
any other line is an error. ``info`` is ``key=value`` pairs with commas, or a text that becomes ``{"text": ...}``. The
threshold is ``fail`` or ``warn/fail``: milliseconds, of tls and https days, of ntp milliseconds of offset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..._core.errors import ValidationError
from .rules import make_rules
from .targets import make_targets

__all__ = ["from_lines", "to_lines"]

_TARGET = ("name", "address", "type", "info")
_RULE = ("name", "type", "applies_to", "success_pattern", "error_pattern", "threshold", "remediation")
_THRESHOLDS = {"tls": ("warn_days", "fail_days"), "https": ("warn_days", "fail_days")}
_OFFSETS = ("warn_offset_ms", "fail_offset_ms")
_TIMES = ("warn_ms", "fail_ms")
_HINT = "Write TARGET:name|address|type|info or RULE:name|type|target types|success|error|threshold|remediation."


def from_lines(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return ``targets`` and ``rules`` as ``network_probe`` takes them.

    :raises ValidationError: a line can't be used; the message has its number.
    """
    found: dict[str, list[dict[str, Any]]] = {"targets": [], "rules": []}
    for number, line in enumerate(text.splitlines(), 1):
        kind, colon, rest = line.strip().partition(":")
        if not kind or kind.startswith("#"):
            continue
        try:
            if colon and kind == "TARGET":
                found["targets"].append(_target(_fields(rest, _TARGET)))
                make_targets(found["targets"])
            elif colon and kind == "RULE":
                found["rules"].append(_rule(_fields(rest, _RULE)))
                make_rules(found["rules"], timeout=3.0)
            else:
                raise ValidationError(f"{line.strip()[:60]!r} is neither TARGET: nor RULE:.", hint=_HINT)
        except ValidationError as error:
            raise ValidationError(f"Line {number}: {error.message}", hint=error.hint) from None
    return found


def to_lines(targets: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]]) -> str:
    """Return the text from which :func:`from_lines` makes these targets and rules.

    :raises ValidationError: one has something that a line can't express.
    """
    make_targets(targets)
    make_rules(rules, timeout=3.0)
    lines = ["TARGET:" + _joined(_target_fields(target), target) for target in targets]
    lines += ["RULE:" + _joined(_rule_fields(rule), rule) for rule in rules]
    return "".join(f"{line}\n" for line in lines)


def _fields(text: str, names: Sequence[str]) -> dict[str, str]:
    parts = [part.replace("\\|", "|").strip() for part in re.split(r"(?<!\\)\|", text)]
    if len(parts) > len(names):
        raise ValidationError(f"There are {len(parts)} fields, {len(names)} are the most.", hint="Write a bar as \\|.")
    return {name: part for name, part in zip(names, parts) if part}


def _target(fields: Mapping[str, str]) -> dict[str, Any]:
    if "address" not in fields:
        raise ValidationError("The address is missing.", hint=_HINT)
    target: dict[str, Any] = dict(fields)
    if "info" in fields:
        target["info"] = _info(fields["info"])
    if target.get("type", "host") not in ("host", "service", "network"):
        raise ValidationError(f"The type {target['type']!r} is not known.", hint="Use host, service or network.")
    return target


def _info(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if all(separator and key.strip() for key, separator, _value in pairs):
        return {key.strip(): value.strip() for key, _separator, value in pairs}
    return {"text": text}


def _rule(fields: Mapping[str, str]) -> dict[str, Any]:
    rule: dict[str, Any] = {name: value for name, value in fields.items() if name != "threshold"}
    if "applies_to" in fields:
        types = [word.strip() for word in fields["applies_to"].split(",")]
        unknown = [word for word in types if word not in ("host", "service", "network", "all")]
        if unknown:
            raise ValidationError(
                f"The target type {unknown[0]!r} is not known.", hint="Use host, service, network or all."
            )
        rule["applies_to"] = types
        if "all" in types:
            del rule["applies_to"]
    if "threshold" in fields:
        rule.update(_threshold(fields["threshold"], fields.get("type", "")))
    return rule


def _names(kind: str) -> tuple[str, str]:
    return _OFFSETS if kind == "ntp" else _THRESHOLDS.get(kind, _TIMES)


def _threshold(text: str, kind: str) -> dict[str, float]:
    numbers = [part.strip() for part in text.split("/")]
    if len(numbers) > 2 or not all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", number) for number in numbers):
        raise ValidationError(f"The threshold {text!r} is no number.", hint="Write 500, or 100/500 for warn/fail.")
    names = _names(kind)
    convert = int if names == _THRESHOLDS["tls"] else float
    try:
        return {name: convert(number) for name, number in zip(reversed(names), reversed(numbers))}
    except ValueError:
        raise ValidationError(f"The threshold {text!r} has to be whole days.", hint="Write 21/7.") from None


def _target_fields(target: Mapping[str, Any]) -> list[str]:
    _only(target, _TARGET)
    info = target.get("info") or {}
    text = str(info["text"]) if list(info) == ["text"] else ",".join(f"{key}={value}" for key, value in info.items())
    if _info(text) != {str(key): str(value) for key, value in info.items()} and info:
        raise ValidationError(f"info of {target.get('name')!r} does not fit into a line.", hint="Export it as YAML.")
    name = target.get("name") or target["address"]
    return [str(name), str(target["address"]), str(target.get("type") or "host"), text]


def _rule_fields(rule: Mapping[str, Any]) -> list[str]:
    names = _names(str(rule["type"]))
    _only(rule, (*_RULE, *names))
    warn, fail = (rule.get(name) for name in names)
    if warn is not None and fail is None:
        raise ValidationError(f"{names[0]} alone does not fit into a line.", hint="Export the rule as YAML.")
    threshold = "/".join(f"{value:g}" for value in (warn, fail) if value is not None)
    return [
        str(rule.get("name") or rule["type"]),
        str(rule["type"]),
        ",".join(rule.get("applies_to") or ["all"]),
        str(rule.get("success_pattern") or ""),
        str(rule.get("error_pattern") or ""),
        threshold,
        str(rule.get("remediation") or ""),
    ]


def _only(wish: Mapping[str, Any], names: Sequence[str]) -> None:
    for name, value in wish.items():
        if name not in names and value not in (None, "", [], {}):
            raise ValidationError(f"{name} does not fit into a line.", hint="Export it as YAML: to_nice_yaml.")


def _joined(fields: list[str], wish: Mapping[str, Any]) -> str:
    for field in fields:
        if field.endswith("\\") or field != field.strip() or len(field.splitlines()) > 1:
            raise ValidationError(
                f"{field!r} of {wish.get('name')!r} does not fit into a line.", hint="Export it as YAML: to_nice_yaml."
            )
    while not fields[-1]:
        fields.pop()
    return "|".join(field.replace("|", "\\|") for field in fields)
