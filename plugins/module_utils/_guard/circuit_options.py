# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users say about circuits: argument specs and their validation, shared by all that has a circuit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .._core.errors import ValidationError
from .backend_url import check_backend
from .circuit_rules import Policy

__all__ = ["BACKEND_SPEC", "CIRCUIT_SPEC", "check_name", "policy_of"]

BACKEND_SPEC = {"type": "str"}

# No default where its absence means something: threshold and failure_ratio exclude each other.
CIRCUIT_SPEC: dict = {
    "name": {"type": "str", "required": True},
    "threshold": {"type": "int"},
    "period": {"type": "float", "default": 60.0},
    "open_for": {"type": "float", "default": 60.0},
    "half_open_calls": {"type": "int", "default": 1},
    "success_threshold": {"type": "int", "default": 1},
    "failure_ratio": {"type": "float"},
    "minimum_calls": {"type": "int"},
    "probe_timeout": {"type": "float", "default": 300.0},
    "backend": BACKEND_SPEC,
    "on_backend_error": {"type": "str", "choices": ["fail", "bypass"], "default": "fail"},
}

_LONGEST_NAME = 200
_MOST = 1000
_LONGEST = 366 * 86400


def check_name(name: str, option: str = "name") -> None:
    """Raise ``ValidationError`` unless this can be the name of a circuit."""
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ValidationError(
            f"{option}: the name of a circuit has 1 to {_LONGEST_NAME} characters, all of them printable.",
            hint="Name it after what it protects, such as api.example.com.",
        )


def policy_of(options: Mapping) -> Policy:
    """Return the policy that validated options of ``CIRCUIT_SPEC`` describe; absent ones have their defaults.

    :raises ValidationError: naming the option that can't be, with the way out.
    """
    given = {name: value for name, value in options.items() if value is not None}
    check_name(str(given.get("name", "")))
    check_backend(given.get("backend"))
    if "failure_ratio" in given:
        if "threshold" in given:
            raise ValidationError(
                "threshold and failure_ratio exclude each other.",
                hint="Give one: a number of failures, or their part of the calls.",
            )
        if not 0 < given["failure_ratio"] <= 1:
            raise ValidationError("failure_ratio: must be above 0 and at most 1.", hint="0.5 means half of the calls.")
    elif "minimum_calls" in given:
        raise ValidationError(
            "minimum_calls: has a meaning with failure_ratio only.", hint="Give failure_ratio, or leave it out."
        )
    for name in ("threshold", "half_open_calls", "success_threshold", "minimum_calls"):
        if not 1 <= given.get(name, 1) <= _MOST:
            raise ValidationError(f"{name}: must be from 1 to {_MOST}.", hint="Without it, a default holds.")
    for name in ("period", "open_for", "probe_timeout"):
        value = given.get(name, 1.0)
        if not (math.isfinite(value) and 0 < value <= _LONGEST):
            raise ValidationError(f"{name}: must be above 0 and at most {_LONGEST} seconds.", hint="Give seconds.")
    if given.get("on_backend_error", "fail") not in ("fail", "bypass"):
        raise ValidationError("on_backend_error: must be fail or bypass.", hint="fail is the default.")
    fields = {name: value for name, value in given.items() if name not in ("name", "backend")}
    return Policy(**{name: value for name, value in fields.items() if name in CIRCUIT_SPEC})
