# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profile with certificates by ACME, from pebble on the host itself, with real proofs over http."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.scripts.toolkit.tests.integration.provision.lab import DOMAIN, ROOT, boot

FILES = ROOT / "extensions" / "molecule" / "acme_certificate" / "files"
ACME = {
    "web_server_tls_provider": "acme",
    "web_server_acme_directory_url": "https://127.0.0.1:14000/dir",
    "web_server_acme_ca_bundle": "/etc/pebble/cert.pem",
    "web_server_acme_agree_tos": True,
}
PREPARE = r"""
set -e
mkdir -p /etc/pebble && cd /etc/pebble
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
apt-get update -q && apt-get install -q -y --no-install-recommends pebble curl
sed -i 's#/etc/ssl/scripts-toolkit/pebble/fullchain.pem#/etc/pebble/cert.pem#' /etc/pebble.json
sed -i 's#/etc/ssl/scripts-toolkit/pebble/privkey.pem#/etc/pebble/key.pem#' /etc/pebble.json
systemctl daemon-reload && systemctl start pebble-dns pebble
for attempt in $(seq 100); do curl -fsS --cacert cert.pem https://127.0.0.1:14000/dir && exit 0; sleep 0.1; done
exit 1
"""


@pytest.fixture(scope="module")
def lab(hosts, tmp_path_factory):
    suite = os.environ.get("TOOLKIT_SUITES", "bookworm trixie").split()[0]
    for lab in boot(hosts, suite, tmp_path_factory.mktemp("acme")):
        targets = {"pebble.json": "/etc", "pebble.service": "/etc/systemd/system"}
        targets["pebble-dns.service"] = "/etc/systemd/system"
        for name, directory in targets.items():
            argv = hosts.ssh(lab.name, [f"cat > {directory}/{name}"])
            subprocess.run(argv, input=(FILES / name).read_bytes(), timeout=60, check=True)
        lab.inside(PREPARE)
        yield lab


def issuer(lab) -> str:
    """Return who issued the certificate that the site serves now."""
    command = f"openssl s_client -connect 127.0.0.1:443 -servername {DOMAIN} </dev/null 2>/dev/null"
    return lab.inside(f"{command} | openssl x509 -noout -issuer")


def test_a_site_with_a_certificate_by_acme(lab):
    predicted = lab.run("--check", variables=ACME)
    assert predicted.rc == 0, predicted.output

    first = lab.run(variables=ACME)
    assert first.rc == 0, first.output
    assert len(first.calls) <= 20, first.calls
    assert first.result["ssl_certificate"] == "issued"
    assert "Pebble" in issuer(lab)
    assert lab.page()[0] == 200
    assert lab.inside("systemctl is-enabled certbot.timer").strip() == "enabled"

    for arguments in (("--check",), ()):
        again = lab.run(*arguments, variables=ACME)
        assert again.rc == 0, again.output
        assert again.statistics()["changed"] == 0, again.output
        assert len(again.calls) <= 12, again.calls
    assert "Pebble" in issuer(lab)


def test_a_directory_that_is_down_leaves_the_certificate_in_service(lab):
    lab.inside("systemctl stop pebble")
    site = {"name": DOMAIN, "domains": [DOMAIN, "alias.example.test"]}
    failed = lab.run(variables={**ACME, "web_server_sites": [site]})
    assert failed.rc == 2
    assert failed.result["failed_task"] == "Issue ACME certificates"
    assert failed.result["error"]["kind"] == "unavailable"
    assert "Pebble" in issuer(lab)
    assert lab.page()[0] == 200
