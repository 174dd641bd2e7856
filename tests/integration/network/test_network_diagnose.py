# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three real hosts look at each other, by the playbook as users run it: one remote call a host, the right cause for
each fault, and reports that other people's programs can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from junitparser import JUnitXml

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.inventory import inventory_yaml

ROOT = Path(__file__).resolve().parents[3]
COUNTER = ROOT / "tests" / "integration" / "bin" / "ssh-counter"
NAMES = ["diagnose1", "diagnose2", "diagnose3"]
SITE = "systemd-run --quiet --unit=site python3 -m http.server 8080"


class Diagnosis:
    """The hosts and the playbook for them."""

    def __init__(self, hosts: Hosts, directory: Path) -> None:
        self.hosts, self.directory, self.calls = hosts, directory, Counter()
        self.addresses = {name: hosts.record(name)["address"] for name in NAMES}
        self.inventory = directory / "inventory.yml"
        self.inventory.write_text(inventory_yaml(hosts.inventory(NAMES)))

    def run(self, *arguments: str, **variables) -> subprocess.CompletedProcess:
        """Run ``scripts.toolkit.network_diagnose`` and count the calls for each host."""
        counted, given = self.directory / "calls", self.directory / "variables.json"
        counted.write_text("")
        site = {"name": "site", "address": f"http://{self.addresses['diagnose2']}:8080/", "type": "service"}
        given.write_text(
            json.dumps(
                {
                    "network_diagnose_directory": str(self.directory / "reports"),
                    "network_diagnose_metrics_path": str(self.directory / "network.prom"),
                    "network_diagnose_history_path": str(self.directory / "history.sqlite"),
                    "network_diagnose_timeout": 1.0,
                    "network_diagnose_targets": [site],
                    "network_diagnose_rules": [{"name": "page", "type": "http", "targets": ["site"]}],
                    **variables,
                }
            )
        )
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_EXECUTABLE": str(COUNTER),
            # No connection outlives a run: one to a host that was cut off would hang.
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ConnectTimeout=5",
            "SSH_COUNTER_LOG": str(counted),
            "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(self.directory / "record"),
            "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": "none",
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        argv = [program, "scripts.toolkit.network_diagnose", "-i", str(self.inventory), "-e", f"@{given}", *arguments]
        done = subprocess.run(
            argv, env=environment, cwd=self.directory, capture_output=True, text=True, timeout=300, check=False
        )
        by_address = {address: name for name, address in self.addresses.items()}
        lines = counted.read_text().splitlines()
        self.calls = Counter(by_address[line.split("\t")[0].rpartition("@")[2]] for line in lines)
        return done

    def report(self) -> dict:
        return json.loads((self.directory / "reports" / "network.json").read_bytes())

    def causes(self) -> list[tuple[str, str, list[str]]]:
        return [(cause["kind"], cause["where"], cause["layers"]) for cause in self.report()["causes"]]

    def inside(self, name: str, command: str) -> None:
        subprocess.run(self.hosts.ssh(name, [command]), capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory) -> Iterator[Diagnosis]:
    hosts = Hosts()
    hosts.down(NAMES)
    hosts.up(NAMES, "bookworm")
    try:
        made = Diagnosis(hosts, tmp_path_factory.mktemp("diagnosis"))
        made.inside("diagnose2", SITE)
        yield made
    finally:
        hosts.down(NAMES)


@pytest.fixture(scope="module")
def promtool(tmp_path_factory) -> Path:
    """Prometheus' own reader of metrics, from Debian's package (unpacked, not installed)."""
    place = tmp_path_factory.mktemp("debian")
    place.chmod(0o755)
    fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus"]
    if subprocess.run(fetch, cwd=place, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=True)
        subprocess.run(fetch, cwd=place, check=True)
    (package,) = place.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, place / "root"], check=True)
    return place / "root/usr/bin/promtool"


def test_a_healthy_mesh_takes_one_remote_call_a_host_and_its_reports_can_be_read(diagnosis, promtool) -> None:
    done = diagnosis.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert diagnosis.calls == Counter(NAMES)
    report = diagnosis.report()
    assert (report["score"], report["grade"], report["causes"]) == (100, "EXCELLENT", [])
    assert report["counts"] == {"hosts": 3, "missing": 0, "pairs": 12, "ok": 12, "failed": 0}
    suites = list(JUnitXml.fromfile(str(diagnosis.directory / "reports" / "network.xml")))
    assert [suite.name for suite in suites] == NAMES
    assert sum(suite.tests for suite in suites) == sum(
        len(outcome["checks"]) for result in report["results"].values() for outcome in result["outcomes"]
    )
    metrics = (diagnosis.directory / "network.prom").read_text()
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert metrics.count("scripts_toolkit_network_up{") == 12


def test_a_dead_service_is_told_once(diagnosis) -> None:
    diagnosis.inside("diagnose2", "systemctl stop site")
    try:
        done = diagnosis.run(network_diagnose_minimum_score=90)
        assert done.returncode == 2
    finally:
        diagnosis.inside("diagnose2", SITE)
    assert diagnosis.causes() == [("target", "site", ["tcp"])]
    assert "site: tcp at fault, seen from 3 hosts" in done.stdout


def test_a_filter_between_two_hosts_is_told_as_such(diagnosis) -> None:
    rule = f"ip saddr {diagnosis.addresses['diagnose1']} icmp type echo-request drop"
    chain = "{ type filter hook input priority 0; }"
    diagnosis.inside("diagnose3", f"nft add table inet fault && nft 'add chain inet fault in {chain}'")
    diagnosis.inside("diagnose3", f"nft add rule inet fault in {rule}")
    try:
        done = diagnosis.run()
    finally:
        diagnosis.inside("diagnose3", "nft delete table inet fault")
    assert done.returncode == 0, done.stdout + done.stderr
    assert diagnosis.causes() == [("path", "diagnose1 -> diagnose3", ["route"])]


def test_a_host_off_its_network_is_missing_and_at_fault_for_the_others(diagnosis) -> None:
    diagnosis.hosts.cut(["diagnose3"])
    try:
        done = diagnosis.run()
    finally:
        diagnosis.hosts.heal(["diagnose3"])
    assert done.returncode == 4  # ansible-playbook's, for unreachable hosts
    report = diagnosis.report()
    assert list(report["missing"]) == ["diagnose3"]
    assert diagnosis.causes() == [("target", "diagnose3", ["route"])]
    assert "Hosts without a result" in done.stdout


def test_it_remembers(diagnosis) -> None:
    """After the runs above, whichever of them ran."""
    diagnosis.run()
    pairs = diagnosis.report()["pairs"]
    assert {pair["history"]["scores"][-1] for pair in pairs} == {100}
    rounds = {pair["history"]["rounds"] for pair in pairs}
    diagnosis.run()
    assert {pair["history"]["rounds"] for pair in diagnosis.report()["pairs"]} == {number + 1 for number in rounds}


def test_bad_input_fails_before_anything_is_probed_and_is_told_by_name(diagnosis) -> None:
    before = diagnosis.report()
    done = diagnosis.run(network_diagnose_rules=[{"name": "page", "type": "http", "targets": ["nowhere"]}])
    assert done.returncode == 2
    assert "names the target 'nowhere'" in done.stdout + done.stderr
    assert diagnosis.report() == before
