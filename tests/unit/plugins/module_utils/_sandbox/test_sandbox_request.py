# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options are read once and refused where no backend could keep their promise; secrets travel sealed."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.request import (
    SANDBOX_SPEC,
    Request,
    seal,
    unseal,
)


def params(**options) -> dict:
    checked = ArgumentSpecValidator(SANDBOX_SPEC).validate({"argv": ["true"], **options})
    assert not checked.error_messages
    return checked.validated_parameters


def request_of(**options) -> Request:
    return Request.from_params(params(**options))


def test_defaults_grant_nothing() -> None:
    request = request_of()
    assert request.network == "none"
    assert (request.read_paths, request.write_paths, request.environment) == ((), (), {})
    assert request.limits.runtime > 0
    assert request.limits.output == 1 << 20
    assert not request.limits.of_control_groups


def test_sizes_and_limits_are_numbers() -> None:
    limits = request_of(limits={"memory": "64M", "tasks": 8, "cpu": 50}).limits
    assert (limits.memory, limits.tasks, limits.cpu) == (64 << 20, 8, 50)
    assert limits.of_control_groups == {"memory": "memory", "tasks": "pids", "cpu": "cpu"}


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"argv": []}, "validation", "argv"),
        ({"argv": ["a\0b"]}, "validation", "argv"),
        ({"user": "root"}, "permission", "user"),
        ({"user": "0"}, "permission", "user"),
        ({"user": "no-such-user"}, "not_found", "no-such-user"),
        ({"user": "1999999999"}, "not_found", "user"),
        ({"read_paths": ["relative"]}, "validation", "read_paths"),
        ({"read_paths": ["/a/../b"]}, "validation", "read_paths"),
        ({"read_paths": ["/"]}, "validation", "read_paths"),
        ({"read_paths": ["//etc"]}, "validation", "read_paths"),
        ({"read_paths": ["/proc/1"]}, "validation", "read_paths"),
        ({"read_paths": ["/usr\n/root"]}, "validation", "read_paths"),
        ({"read_paths": ["/usr:/root"]}, "validation", "read_paths"),
        ({"read_paths": ["/%n"]}, "validation", "read_paths"),
        ({"read_paths": ['/"x']}, "validation", "read_paths"),
        ({"read_paths": ["/srv"], "write_paths": ["/srv"]}, "validation", "/srv"),
        ({"write_paths": ["/dev/shm"]}, "validation", "write_paths"),
        ({"chdir": "here"}, "validation", "chdir"),
        ({"environment": {"A-B": "x"}}, "validation", "environment"),
        ({"environment": {"A": ["x"]}}, "validation", "environment.A"),
        ({"environment": {"A": True}}, "validation", "environment.A"),
        ({"read_paths": ["/it's"]}, "validation", "read_paths"),
        ({"limits": {"runtime": "inf"}}, "validation", "limits.runtime"),
        ({"limits": {"runtime": "nan"}}, "validation", "limits.runtime"),
        ({"limits": {"runtime": 0}}, "validation", "limits.runtime"),
        ({"limits": {"memory": "1"}}, "validation", "limits.memory"),
        ({"limits": {"tasks": 1}}, "validation", "limits.tasks"),
        ({"limits": {"cpu": 0}}, "validation", "limits.cpu"),
        ({"limits": {"output": 0}}, "validation", "limits.output"),
    ],
)
def test_bad_options_are_named(options: dict, kind: str, named: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        request_of(**options)
    assert caught.value.kind == kind
    assert named in caught.value.message


def test_a_write_path_may_not_lead_elsewhere(tmp_path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(ToolkitError, match="symbolic link"):
        request_of(write_paths=[f"{tmp_path}/link"])


def test_creates_and_removes_are_patterns_beside_chdir(tmp_path) -> None:
    (tmp_path / "report-1").touch()
    here = {"chdir": str(tmp_path)}
    assert request_of(creates="report-*", **here).is_done()
    assert request_of(creates="other-*", **here).is_done() is None
    assert request_of(removes="other-*", **here).is_done()
    assert request_of(removes=f"{tmp_path}/report-1").is_done() is None


def test_what_may_be_secret_travels_sealed() -> None:
    given = params(stdin="hush", environment={"TOKEN": "hush"}, script={"content": "hush"}, chdir="/usr")
    sent = seal(given)
    assert "hush" not in repr(sent)
    assert sent["chdir"] == "/usr"
    received = unseal({**dict.fromkeys(SANDBOX_SPEC), **sent})
    assert {name: received[name] for name in given} == given
    assert "hush" not in repr(Request.from_params(received))


def test_without_the_seal_nothing_is_run() -> None:
    with pytest.raises(ToolkitError, match="action plugin"):
        unseal({**params(stdin="hush"), "_sealed": None})
