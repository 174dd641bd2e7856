# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probe without Ansible: options of ``network_probe`` from a file or a command line, held to the module's own types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._core.errors import ValidationError
from ..probe.engine import probe
from ..targets.rule_sets import RULE_SETS, rules_of_sets
from ..targets.rules import make_rules, rules_for, rules_spec
from ..targets.targets import make_targets, targets_spec

__all__ = ["check_probe", "probe_once"]

_TYPES: dict[str, tuple] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "dict": (Mapping,),
    "list": (list, tuple),
}


def _spec() -> dict[str, Any]:
    return {
        "targets": targets_spec(),
        "rule_sets": {"type": "list", "elements": "str", "choices": list(RULE_SETS), "default": []},
        "rules": rules_spec(),
        "timeout": {"type": "float", "default": 3.0},
        "concurrency": {"type": "int", "default": 512},
    }


def check_probe(given: object) -> dict[str, Any]:
    """Return the options with their defaults, as ``probe`` takes them; nothing is probed.

    :raises ValidationError: one can't be used.
    """
    options = _conform(given, {"type": "dict", "options": _spec()}, "probe")
    wishes = [*rules_of_sets(options["rule_sets"]), *options["rules"]]
    rules_for(make_targets(options["targets"]), make_rules(wishes, options["timeout"]))
    return options


def probe_once(given: object) -> dict[str, Any]:
    """Probe and return the result of ``network_probe``. Raises as :func:`check_probe` and ``probe`` do."""
    return probe(check_probe(given))


def _conform(value: Any, spec: Mapping[str, Any], where: str) -> Any:
    """Return ``value`` as the specification says, like AnsibleModule, but without turning one type into another."""
    kind = spec["type"]
    right = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not right:
        raise ValidationError(f"{where}: {value!r} is no {kind}.", hint=f"Give it as {kind}, see network_probe.")
    choices = spec.get("choices")
    if kind == "list":
        inner = {**spec, "type": spec["elements"]}
        return [_conform(entry, inner, f"{where}[{place}]") for place, entry in enumerate(value)]
    if choices and value not in choices:
        raise ValidationError(f"{where}: {value!r} is not known.", hint=f"Use one of {', '.join(choices)}.")
    if kind != "dict" or "options" not in spec:
        return value
    options = spec["options"]
    unknown = sorted(str(name) for name in value if name not in options)
    if unknown:
        raise ValidationError(f"{where}.{unknown[0]} is not known.", hint=f"Options are {', '.join(sorted(options))}.")
    made = {}
    for name, option in options.items():
        if value.get(name) is not None:
            made[name] = _conform(value[name], option, f"{where}.{name}")
        elif option.get("required"):
            raise ValidationError(f"{where}.{name} is missing.", hint="Give it, see network_probe.")
        else:
            made[name] = option.get("default")
    return made
