# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sandboxes on Debian's own kernels, in an emulated machine that boots from a disposable host's files.

Disposable hosts share this machine's kernel, which may keep keyrings, modules and BPF from everybody in a container and
offer it no control groups. Here the kernel is Debian's, with nothing in between, so that each attack succeeds outside a
sandbox, and memory, tasks and processor are really limited.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from machine import Machine

from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.request import SANDBOX_SPEC

ATTACKS = Path(__file__).resolve().parents[3] / "extensions/molecule/sandbox_command/files"
ATTACK = "#!/usr/bin/python3\n" + (ATTACKS / "attacks.py").read_text(encoding="utf-8")
BACKENDS = ("systemd", "bubblewrap")
WRITE = "/srv/tk-sandbox/write"

MEMORY_BOMB = "blocks = [b'x' * (1 << 20) for _ in range(96)]"
FORK_BOMB = """
import os, signal
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            signal.pause()
        made += 1
finally:
    print(made)
"""
LEAVES_CHILD = ["sh", "-c", "setsid sleep 4242 >/dev/null 2>&1 & sleep 4242"]


def options(**given) -> dict:
    """Return the module's options with all defaults."""
    checked = ArgumentSpecValidator(SANDBOX_SPEC).validate(given)
    assert not checked.error_messages
    return checked.validated_parameters


def cases(backend: str) -> dict[str, dict]:
    asked = {
        "attacks": {"script": {"content": ATTACK}, "argv": ["TARGETS"], "write_paths": [WRITE]},
        "exposure": {"argv": ["true"]},
        "runtime": {"argv": LEAVES_CHILD, "limits": {"runtime": 15}},
        "output": {"argv": ["yes"], "limits": {"output": "64K"}},
    }
    bombs = {
        "memory": (MEMORY_BOMB, {"memory": "64M"}),
        "tasks": (FORK_BOMB, {"tasks": 20}),
        "cpu": ("sum(range(1000000))", {"cpu": 50}),
    }
    for name, (program, limits) in bombs.items():
        asked[name] = {"argv": ["python3", "-c", program], "limits": limits, "expected_rc": [0, 1]}
        asked[f"{name} without limit"] = {"argv": ["python3", "-c", program]}
    return {f"{backend} {name}": options(backend=backend, **each) for name, each in asked.items()}


# An emulated machine takes minutes, so in the suite it is the newest Debian only: TOOLKIT_SUITES=bookworm for another.
@pytest.fixture(scope="module", params=os.environ.get("TOOLKIT_SUITES", "trixie").split()[-1:])
def told(request, tmp_path_factory) -> dict:
    """What came of all cases: ``{"outside": ..., "results": {case: result}, "left": processes}``."""
    asked = {name: each for backend in BACKENDS for name, each in cases(backend).items()}
    machine = Machine(request.param, tmp_path_factory.mktemp(request.param))
    return machine.run(asked, [ATTACKS / "attacks.py", ATTACKS / "targets.py"])


def test_outside_each_attack_succeeds(told: dict) -> None:
    assert told["outside"]["blocked"] == {}
    assert {"keyring", "kernel_module", "bpf_program"} <= set(told["outside"]["escaped"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_inside_none_does(told: dict, backend: str) -> None:
    attacks = json.loads(told["results"][f"{backend} attacks"]["stdout"])
    assert attacks["escaped"] == {}
    assert set(attacks["blocked"]) == set(told["outside"]["escaped"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", ["memory", "tasks", "cpu", "runtime", "output"])
def test_each_limit_is_enforced_and_told(told: dict, backend: str, limit: str) -> None:
    result = told["results"][f"{backend} {limit}"]
    assert result["limit"] == limit
    assert result["failed"] == (limit in ("memory", "runtime", "output"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", ["memory", "tasks", "cpu"])
def test_without_the_limit_it_is_let_be(told: dict, backend: str, limit: str) -> None:
    result = told["results"][f"{backend} {limit} without limit"]
    assert (result["rc"], result["limit"]) == (0, None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_fork_bomb_makes_no_more_than_it_may(told: dict, backend: str) -> None:
    assert 0 < int(told["results"][f"{backend} tasks"]["stdout"]) < 20
    assert int(told["results"][f"{backend} tasks without limit"]["stdout"]) == 200


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_kernel_tells_what_was_used(told: dict, backend: str) -> None:
    assert 32 << 20 < told["results"][f"{backend} memory"]["memory_peak_bytes"] <= 64 << 20
    assert told["results"][f"{backend} cpu"]["cpu_seconds"] > 0


def test_nothing_is_left(told: dict) -> None:
    assert told["left"] == ""


def test_the_exposure_is_within_its_promise(told: dict) -> None:
    assert told["results"]["systemd exposure"]["exposure"] <= 1.5
