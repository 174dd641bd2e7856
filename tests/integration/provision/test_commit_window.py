# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change has locked everybody out and waits for its proof when the host restarts: it comes back as it was before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.machine import greets
from ansible_collections.scripts.toolkit.tests.integration.provision.lab import ROOT, boot


@pytest.fixture(scope="module")
def lab(hosts, tmp_path_factory):
    yield from boot(hosts, "bookworm", tmp_path_factory.mktemp("window"))


def ansible(lab, program: str, *arguments: str) -> str:
    """Run a program of Ansible's or one that starts it, and return its output.

    :raises subprocess.CalledProcessError: it failed.
    """
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(lab.record),
        "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": "none",
    }
    argv = [program, *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize(
    ("module", "good", "locking", "state"),
    [
        ("scripts.toolkit.nft_ruleset", {"rules": "22"}, {"rules": "80"}, "nft list table inet scripts_toolkit"),
        (
            "scripts.toolkit.sshd_config",
            {"settings": {"X11Forwarding": "no"}},
            {"settings": {"ListenAddress": "127.0.0.1"}},
            "sshd -T | grep -i -e listenaddress -e x11forwarding",
        ),
    ],
)
def test_a_restart_in_the_window_brings_the_old_state_back(lab, module, good, locking, state):
    ansible(lab, "ansible", lab.name, "-i", str(lab.inventory), "-m", module, "-a", json.dumps(good))
    before, files = lab.inside(state), lab.inside("find /etc/nftables* /etc/ssh -type f | sort | xargs sha256sum")
    script = str(ROOT / "tests" / "integration" / "die_in_window.py")
    options = json.dumps({**locking, "confirm_timeout": 120})
    ansible(lab, sys.executable, script, lab.name, module, options, str(lab.inventory))
    assert not greets(lab.address)
    lab.hosts.restart([lab.name])
    assert lab.inside(state) == before
    assert lab.inside("find /etc/nftables* /etc/ssh -type f | sort | xargs sha256sum") == files
    again = ansible(lab, "ansible", lab.name, "-i", str(lab.inventory), "-m", module, "-a", json.dumps(good))
    assert "SUCCESS" in again
    assert "CHANGED" not in again
