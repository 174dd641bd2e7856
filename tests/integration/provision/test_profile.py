# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an empty host to a web server: four runs, the budget of remote calls, the proof and the record."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.scripts.toolkit.tests.integration.provision.lab import CANARY, DOMAIN, Lab, boot

FIRST_RUN, UNCHANGED_RUN = 20, 12
"""Remote calls that the profile may take, facts included."""


@pytest.fixture(scope="module", params=os.environ.get("TOOLKIT_SUITES", "bookworm trixie").split())
def lab(request, hosts, tmp_path_factory):
    yield from boot(hosts, request.param, tmp_path_factory.mktemp(request.param))


def changed_phases(lab: Lab) -> set[str]:
    """Return the names of the tasks that the last run in the trail reports as changed."""
    entries = lab.entries()
    last = entries[-1]["run_id"]
    results = [entry for entry in entries if entry["run_id"] == last and entry["event_type"] == "TASK_RESULT"]
    return {entry["details"]["task"] for entry in results if entry["details"].get("changed")}


def test_from_an_empty_host_to_a_web_server(lab):
    predicted = lab.run("--check", "--diff")
    assert predicted.rc == 0, predicted.output
    assert lab.inside("ls /etc/nginx /etc/mysql /var/www 2>&1 | grep -c 'No such file'").strip() == "3"
    assert "+server {" in predicted.output
    would_change = changed_phases(lab)

    first = lab.run("--diff")
    assert first.rc == 0, first.output
    assert len(first.calls) <= FIRST_RUN, first.calls
    assert first.result["changed"] is True
    assert first.result["status"] == "success"
    assert first.result["ssl_certificate"] == "issued"
    assert first.result["firewall_configured"] is True
    assert first.result["services_installed"] == ["nginx", "php-fpm", "mariadb"]
    assert changed_phases(lab) == would_change

    status, body = lab.page()
    assert status == 200
    assert "PHP executes here." in body
    assert "<?php" not in body

    for arguments in (("--check", "--diff"), ("--diff",)):
        again = lab.run(*arguments)
        assert again.rc == 0, again.output
        assert again.statistics()["changed"] == 0, again.output
        assert again.result["changed"] is False
        assert len(again.calls) <= UNCHANGED_RUN, again.calls
        assert CANARY not in again.output

    assert CANARY not in predicted.output + first.output


def test_the_host_is_what_was_asked_for(lab):
    assert lab.inside("hostname").strip() == DOMAIN
    assert f"127.0.1.1 {DOMAIN} www" in " ".join(lab.inside("cat /etc/hosts").split())
    assert "operator1" in lab.inside("getent group adm")
    assert lab.inside("mariadb -N -e \"SELECT COUNT(*) FROM mysql.user WHERE User = ''\"").strip() == "0"
    assert lab.inside("mariadb -N -e \"SHOW DATABASES LIKE 'test'\"").strip() == ""
    assert lab.inside("sshd -T | grep -i '^passwordauthentication'").strip() == "passwordauthentication no"
    assert lab.inside("sysctl -n net.ipv4.conf.all.accept_redirects").strip() == "0"
    assert lab.inside("systemctl is-enabled apt-daily-upgrade.timer logrotate.timer").split() == ["enabled", "enabled"]
    key = lab.inside(f"stat -L -c '%a %U' /etc/ssl/scripts-toolkit/{DOMAIN}/current/privkey.pem").split()
    assert key == ["600", "root"]
    assert lab.inside("sh -c 'ls /var/lib/scripts-toolkit/owed | wc -l'").strip() == "0"


def answers(lab: Lab, port: int) -> bool:
    """Return whether a TCP port of the host can be reached from here."""
    try:
        socket.create_connection((lab.address, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_the_firewall_lets_only_the_allowed_ports_in_and_leaves_other_tables_alone(lab):
    lab.inside("nft add table inet foreign; nft add chain inet foreign kept")
    before = lab.inside("nft list table inet foreign")
    assert [answers(lab, port) for port in (22, 80, 443)] == [True, True, True]
    closed = lab.run(variables={"firewall_rules": "443,22"})
    assert closed.rc == 0, closed.output
    assert [answers(lab, port) for port in (22, 80, 443)] == [True, False, True]
    assert lab.inside("nft list table inet foreign") == before
    reopened = lab.run()
    assert reopened.rc == 0, reopened.output
    assert answers(lab, 80)


def test_a_rule_set_that_locks_ssh_out_rolls_back_by_itself(lab):
    before = lab.inside("nft list table inet scripts_toolkit")
    locked = lab.run(variables={"firewall_rules": "80,443", "firewall_confirm_timeout": 8})
    assert locked.rc != 0
    assert lab.inside("nft list table inet scripts_toolkit") == before
    assert locked.result["status"] == "failed"
    assert locked.result["failed_task"] == "Enforce the firewall"
    assert lab.page()[0] == 200


def test_no_secret_reaches_the_record(lab):
    files = [path for path in lab.record.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
    entries = lab.entries()
    assert {"EXECUTION_START", "TASK_RESULT", "EXECUTION_END"} <= {entry["event_type"] for entry in entries}
    assert "scripts_toolkit_" in (lab.record / "metrics.prom").read_text()
