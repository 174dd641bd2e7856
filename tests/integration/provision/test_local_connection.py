# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that manages itself with Debian 13's ansible-core: no new connection can prove that people still get in.

So what would lock them out is refused.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from ansible_collections.scripts.toolkit.tests.integration.provision.lab import ROOT, boot

PLACE = "/usr/share/ansible/collections/ansible_collections/scripts/toolkit"


@pytest.fixture(scope="module")
def lab(hosts, tmp_path_factory):
    for lab in boot(hosts, "trixie", tmp_path_factory.mktemp("local")):
        lab.inside("apt-get update -q && apt-get install -q -y --no-install-recommends ansible-core nftables")
        with subprocess.Popen(
            ["tar", "-C", str(ROOT), "-c", "plugins", "meta", "galaxy.yml"], stdout=subprocess.PIPE
        ) as tar:
            unpack = lab.hosts.ssh(lab.name, [f"mkdir -p {PLACE} && tar -C {PLACE} -x"])
            subprocess.run(unpack, stdin=tar.stdout, check=True, timeout=60)
        yield lab


def run(lab, module: str, **options) -> dict:
    """Run one of our modules on the host itself and return its result."""
    call = f"ansible localhost -m scripts.toolkit.{module} -a '{json.dumps(options)}'"
    return json.loads(lab.inside(f"{call} || true").partition(" => ")[2])


def test_rules_that_keep_ssh_open_are_taken(lab):
    assert run(lab, "nft_ruleset", rules="22,80")["changed"] is True
    assert run(lab, "nft_ruleset", rules="22,80")["changed"] is False
    assert "dport" in lab.inside("nft list table inet scripts_toolkit")


def test_rules_that_shut_ssh_are_refused(lab):
    before = lab.inside("nft list ruleset")
    refused = run(lab, "nft_ruleset", rules="80")
    assert refused["error"]["kind"] == "unsafe"
    assert "22" in refused["msg"]
    assert lab.inside("nft list ruleset") == before


def test_an_ssh_server_that_nobody_reaches_is_refused(lab):
    before = lab.inside("sshd -T; find /etc/ssh -type f | sort | xargs sha256sum")
    refused = run(lab, "sshd_config", settings={"ListenAddress": "127.0.0.1"})
    assert refused["error"]["kind"] == "unsafe"
    assert lab.inside("sshd -T; find /etc/ssh -type f | sort | xargs sha256sum") == before
    assert run(lab, "sshd_config", settings={"X11Forwarding": "no"})["changed"] is True
