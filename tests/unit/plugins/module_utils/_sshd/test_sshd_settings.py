# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drop-in file: what is written, what is refused, and who comes before us."""

from __future__ import annotations

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._sshd.server import Effective, Server
from ansible_collections.scripts.toolkit.plugins.module_utils._sshd.settings import (
    DROP_IN,
    MAIN,
    check_include,
    render,
    set_before,
)


def lines(settings: dict) -> list[str]:
    return render(settings).splitlines()[1:]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"PermitRootLogin": False}, ["PermitRootLogin no"]),
        ({"X11Forwarding": True}, ["X11Forwarding yes"]),
        ({"MaxAuthTries": 4}, ["MaxAuthTries 4"]),
        ({"Banner": None}, []),
        ({"Port": [22, 2222]}, ["Port 22", "Port 2222"]),
        ({"AllowUsers": ["deploy", "admin@10.0.0.0/8"]}, ["AllowUsers deploy", "AllowUsers admin@10.0.0.0/8"]),
        ({"Ciphers": ["a", "b"]}, ["Ciphers a,b"]),
        ({"macs": ["a", "b"]}, ["macs a,b"]),
        (
            {"AuthenticationMethods": ["publickey,password", "publickey"]},
            ["AuthenticationMethods publickey,password publickey"],
        ),
        ({"b": 1, "A": 2}, ["A 2", "b 1"]),
        ({"Subsystem": "sftp internal-sftp"}, ["Subsystem sftp internal-sftp"]),
    ],
)
def test_what_is_written(settings: dict, expected: list[str]) -> None:
    assert lines(settings) == expected


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"Match": "User root"}, "settings: Match can't be set here"),
        ({"include": "/tmp/x"}, "settings: include can't be set here"),
        ({"Port": 22, "port": 23}, "are the same keyword"),
        ({"Permit Root": "no"}, "settings: 'Permit Root' is not a keyword"),
        ({"PermitRootLogin": "no\nPermitEmptyPasswords yes"}, "settings.PermitRootLogin"),
        ({"Banner": ""}, "settings.Banner: '' is not a value"),
        ({"Banner": "x # y"}, "settings.Banner"),
        ({"Port": []}, "settings.Port is an empty list"),
        ({"Port": {"a": 1}}, "settings.Port"),
        ({"Port": [22, None]}, "settings.Port: None"),
    ],
)
def test_what_is_refused_names_the_keyword(settings: dict, named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        render(settings)
    assert named in caught.value.message


@pytest.mark.parametrize(
    "main",
    [
        "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n",
        "# comment\n\n  include sshd_config.d/*.conf\n",
        'Include "/etc/ssh/sshd_config.d/*.conf"\n',
        "Include /etc/ssh/other/*.conf /etc/ssh/sshd_config.d/*\nMatch User x\n",
        "Include=/etc/ssh/sshd_config.d/*.conf",
    ],
)
def test_a_main_file_that_reads_ours(main: str) -> None:
    check_include(main)


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("Port 22\n", "does not include"),
        (None, "does not include"),
        ("#Include /etc/ssh/sshd_config.d/*.conf\n", "does not include"),
        ("Match User x\n  Include /etc/ssh/sshd_config.d/*.conf\n", "begins a Match block in line 1"),
    ],
)
def test_a_main_file_that_does_not(main: str | None, said: str) -> None:
    with pytest.raises(ConflictError, match=said) as caught:
        check_include(main)
    assert "Include /etc/ssh/sshd_config.d/*.conf" in caught.value.hint


def test_who_sets_a_keyword_before_us() -> None:
    include = "Include /etc/ssh/sshd_config.d/*.conf\n"
    first, later = "/etc/ssh/sshd_config.d/00-first.conf", "/etc/ssh/sshd_config.d/50-cloud.conf"
    files = {MAIN: f"LogLevel VERBOSE\n{include}Port 22\n", first: "# x\nMaxSessions 3\n", later: "UseDNS no\n"}
    assert set_before("MaxSessions", {**files, DROP_IN: "MaxSessions 7\n"}) == f"{first}:2"
    assert set_before("loglevel", files) == f"{MAIN}:1"
    assert set_before("Port", files) is None
    assert set_before("UseDNS", files) is None


def effective(actual: dict, forced: dict | None = None) -> Effective:
    def freeze(given: dict) -> dict:
        return {key: frozenset(values) for key, values in given.items()}

    return Effective(freeze(actual), freeze(actual if forced is None else forced))


def test_a_setting_is_overridden_when_it_would_act_otherwise_in_front() -> None:
    found = effective({"maxsessions": ["3"], "port": ["22"]}, {"maxsessions": ["7"], "port": ["22"]})
    assert found.overridden(["MaxSessions", "Port", "Unknown"]) == ["MaxSessions"]
    assert found.ports == [22]


@pytest.mark.parametrize(
    ("complaint", "kind", "said"),
    [
        (
            f"{DROP_IN}: line 3: Bad configuration option: Prmit",
            ValidationError,
            "settings.Prmit: sshd refuses it: Bad",
        ),
        (f"{DROP_IN} line 2: integer value invalid.", ValidationError, "settings.Max: sshd refuses it: integer"),
        ("/etc/ssh/sshd_config line 9: x", ConflictError, "not because of settings"),
        ("sshd: no hostkeys available -- exiting.", ValidationError, "no hostkeys available"),
    ],
)
def test_what_sshd_refuses_names_the_keyword(complaint: str, kind: type[Exception], said: str) -> None:
    error = Server._refusal(complaint, "# head\nMax x\nPrmit yes\n")
    assert isinstance(error, kind)
    assert said in error.message
