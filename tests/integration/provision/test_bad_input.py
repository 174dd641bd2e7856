# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mistakes and faults: an error that names the option and the host, the site keeps serving, nothing half-written."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._tls.ca import Authority
from ansible_collections.scripts.toolkit.tests.integration.provision.lab import CANARY, DOMAIN, boot

SITE = {"name": DOMAIN, "domains": [DOMAIN]}


@pytest.fixture(scope="module")
def lab(hosts, tmp_path_factory):
    suite = os.environ.get("TOOLKIT_SUITES", "bookworm trixie").split()[-1]
    for lab in boot(hosts, suite, tmp_path_factory.mktemp("faults")):
        first = lab.run()
        assert first.rc == 0, first.output
        yield lab


def fails(lab, *parts: str, arguments: tuple = (), **variables) -> None:
    """Run with ``variables`` and hold: it fails with an error that has all ``parts``, the site serves as before."""
    state = "cd /etc && find nginx php mysql logrotate.d ssl/scripts-toolkit -type f | sort | xargs sha256sum"
    before = lab.inside(state)
    run = lab.run(*arguments, variables=variables)
    assert run.rc == 2, run.output
    assert run.result["status"] == "failed"
    assert f"fatal: [{lab.name}]" in run.output
    for part in parts:
        assert part in run.output, run.output
    assert CANARY not in run.output
    assert lab.inside(state) == before
    status, body = lab.page()
    assert (status, "PHP executes here." in body) == (200, True)


def test_a_port_that_is_none(lab):
    fails(lab, "'99999' is not a port", firewall_rules="80,443,22,99999")


def test_a_domain_that_is_none(lab):
    fails(lab, "web_server_domain", "https://www.example.test", web_server_domain="https://www.example.test")


def test_two_sites_with_the_same_name(lab):
    fails(lab, "two sites with the same name", DOMAIN, web_server_sites=[SITE, SITE])


def test_a_configuration_that_nginx_refuses(lab):
    site = {**SITE, "nginx": {"extra": "no_such_directive on;"}}
    fails(lab, "nginx -t", 'unknown directive "no_such_directive"', "put back", web_server_sites=[site])


def test_an_option_that_mariadb_refuses(lab):
    fails(lab, "unknown variable 'no_such_option=1'", mariadb_settings={"no_such_option": 1})


def test_an_error_in_a_template(lab):
    fails(lab, "rule.j2", "paths", log_rotation_rules=[{"name": "broken"}])


def test_a_package_that_does_not_exist(lab):
    fails(lab, "no-such-package", php_fpm_packages=["php-fpm", "php-mysql", "no-such-package"])


def test_the_package_mirror_is_down(lab):
    lab.inside("cp -a /etc/apt/sources.list* /root/ && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/*")
    lab.inside("echo 'deb [trusted=yes] http://127.0.0.1:9/debian stable main' >/etc/apt/sources.list")
    try:
        fails(lab, "unavailable", "127.0.0.1:9", php_fpm_packages=["php-fpm", "php-mysql", "php-gd"])
    finally:
        lab.inside("rm -f /etc/apt/sources.list; cp -a /root/sources.list* /etc/apt/; apt-get update -q")


def test_no_space_for_a_file(lab):
    lab.inside("cp -a /etc/logrotate.d /root/ && mount -t tmpfs -o size=8k tmpfs /etc/logrotate.d")
    lab.inside("head -c 8192 /dev/zero >/etc/logrotate.d/full || true")
    try:
        run = lab.run()
        assert run.rc == 2
        assert "No space left on device" in run.output
        assert "/etc/logrotate.d/app" in run.output
        assert lab.inside("ls -A /etc/logrotate.d").split() == ["full"]
    finally:
        lab.inside("umount /etc/logrotate.d")
    assert lab.page()[0] == 200


def test_a_wrong_passphrase_of_the_own_ca(lab):
    own = {"web_server_tls_provider": "own_ca", "web_server_ca": {"directory": str(lab.directory / "ca")}}
    own["web_server_ca"]["passphrase"] = f"{CANARY}-right"
    issued = lab.run(variables=own)
    assert issued.rc == 0, issued.output
    assert CANARY not in issued.output
    own["web_server_ca"]["passphrase"] = f"{CANARY}-wrong"
    site = {**SITE, "domains": [DOMAIN, "alias.example.test"]}
    fails(lab, "passphrase", web_server_sites=[site], **own)


def test_a_ca_that_has_expired(lab):
    directory = str(lab.directory / "expired-ca")
    past = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=400)
    options = {"name": "Expired CA", "directory": directory, "passphrase": None, "lifetime": 365, "renew": False}
    Authority(options, past).issue([], "nobody")
    own = {"web_server_tls_provider": "own_ca", "web_server_ca": {"directory": directory}}
    fails(lab, "expired on", directory, "ca.renew", **own)
    assert lab.run(variables={**own, "web_server_ca": {"directory": directory, "renew": True}}).rc == 0


def test_an_unreachable_host(lab):
    lab.hosts.cut([lab.name])
    try:
        run = lab.run("--timeout", "3")
    finally:
        lab.hosts.heal([lab.name])
    assert run.rc == 4
    assert f"fatal: [{lab.name}]: UNREACHABLE!" in run.output
    assert lab.page()[0] == 200


def test_the_next_good_run_repairs_and_reports_success(lab):
    own = {"directory": str(lab.directory / "ca"), "passphrase": f"{CANARY}-right"}
    run = lab.run(variables={"web_server_tls_provider": "own_ca", "web_server_ca": own})
    assert run.rc == 0, run.output
    assert run.result["status"] == "success"
