# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_options import CIRCUIT_SPEC, policy_of
from ansible_collections.scripts.toolkit.plugins.module_utils._guard.circuit_rules import Policy


def test_what_is_not_given_has_its_default():
    assert policy_of({"name": "api"}) == Policy()
    nothing = {name: option.get("default") for name, option in CIRCUIT_SPEC.items()}
    assert policy_of({**nothing, "name": "api"}) == Policy()


def test_what_is_given_is_taken():
    options = {"name": "api", "failure_ratio": 0.25, "minimum_calls": 4, "open_for": 0.5, "on_backend_error": "bypass"}
    policy = policy_of({**options, "backend": "redis://localhost"})
    assert policy == Policy(failure_ratio=0.25, minimum_calls=4, open_for=0.5, on_backend_error="bypass")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("threshold", 0),
        ("threshold", 1001),
        ("period", -1.0),
        ("period", float("nan")),
        ("open_for", float("inf")),
        ("open_for", 0.0),
        ("probe_timeout", 0.0),
        ("half_open_calls", 0),
        ("success_threshold", -1),
        ("failure_ratio", 0.0),
        ("failure_ratio", 1.1),
        ("minimum_calls", 3),
        ("on_backend_error", "ignore"),
        ("backend", "/var/lib/circuits"),
        ("backend", "http://localhost"),
    ],
)
def test_what_can_not_be_is_named_with_the_way_out(option, value):
    with pytest.raises(ValidationError) as caught:
        policy_of({"name": "api", option: value})
    assert str(caught.value).startswith(option)
    assert caught.value.hint


def test_two_ways_of_counting_exclude_each_other():
    with pytest.raises(ValidationError, match="threshold and failure_ratio"):
        policy_of({"name": "api", "threshold": 5, "failure_ratio": 0.5})


def test_a_password_in_a_url_that_can_not_be_read_is_not_repeated():
    with pytest.raises(ValidationError) as caught:
        policy_of({"name": "api", "backend": "redis://:canary/1@localhost"})
    assert "canary" not in str(caught.value.as_result())
