# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole profile on a real host: what a run did, seen from its output, its record, the network and the host."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.inventory import inventory_yaml

ROOT = Path(__file__).resolve().parents[3]
COUNTER = ROOT / "tests" / "integration" / "bin" / "ssh-counter"
DOMAIN = "www.example.test"
CANARY = "canary-4f1d0c7e"
"""Part of every secret in these tests; no output and no record may contain it."""

VARIABLES = {
    "web_server_domain": DOMAIN,
    "firewall_rules": "80,443,22",
    "users_accounts": [
        {"name": "operator1", "shell": "/bin/bash", "groups": ["adm"], "sudo": ["ALL=(ALL) NOPASSWD: ALL"]},
    ],
    "mariadb_databases": [{"name": "app"}],
    "mariadb_users": [
        {
            "name": "app",
            "password": f"{CANARY}-database",
            "grants": [{"object": "app.*", "privileges": ["ALL"]}],
        }
    ],
    "log_rotation_rules": [{"name": "app", "paths": ["/var/log/app/*.log"], "keep": 7}],
}


class Run:
    """One run of the playbook: exit status, output, statistics and remote calls."""

    def __init__(self, done: subprocess.CompletedProcess, calls: list[str], result: dict | None) -> None:
        self.rc = done.returncode
        self.output = done.stdout + done.stderr
        self.calls = calls
        self.result = result or {}

    def statistics(self) -> dict[str, int]:
        """Return the numbers of the recap, ``{ok, changed, unreachable, failed, ...}``."""
        line = self.output.partition("PLAY RECAP")[2].strip().splitlines()[1]
        return {name: int(number) for name, number in (part.split("=") for part in line.split(":")[1].split())}


class Lab:
    """A disposable host and the playbook for it.

    :param record: directory of the audit trail and the metrics.
    """

    def __init__(self, hosts: Hosts, name: str, directory: Path) -> None:
        self.hosts, self.name, self.directory = hosts, name, directory
        self.record = directory / "record"
        self.address = hosts.record(name)["address"]
        self.inventory = directory / "inventory.yml"
        self.inventory.write_text(inventory_yaml(hosts.inventory([name])))

    def run(self, *arguments: str, variables: dict | None = None) -> Run:
        """Run ``scripts.toolkit.provision`` with :data:`VARIABLES`, some of them replaced by ``variables``."""
        counted, results, given = (self.directory / name for name in ("calls", "results", "variables.json"))
        counted.write_text("")
        results.mkdir(exist_ok=True)
        result = results / f"{self.name}.json"
        result.unlink(missing_ok=True)
        given.write_text(json.dumps({**VARIABLES, "provision_result_directory": str(results), **(variables or {})}))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_EXECUTABLE": str(COUNTER),
            "SSH_COUNTER_LOG": str(counted),
            "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(self.record),
            "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(self.record / "metrics.prom"),
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        argv = [program, "scripts.toolkit.provision", "-i", str(self.inventory), "-e", f"@{given}", *arguments]
        done = subprocess.run(
            argv, env=environment, cwd=self.directory, capture_output=True, text=True, timeout=900, check=False
        )
        return Run(done, counted.read_text().splitlines(), json.loads(result.read_text()) if result.exists() else None)

    def inside(self, command: str) -> str:
        """Run a shell command on the host and return what it prints.

        :raises subprocess.CalledProcessError: its exit status is not 0.
        """
        argv = self.hosts.ssh(self.name, [command])
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout

    def page(self) -> tuple[int, str]:
        """Return the status and the body of https://DOMAIN/ as a client sees them now, on a new connection."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self.address, 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=DOMAIN) as secure,
        ):
            secure.sendall(f"GET / HTTP/1.0\r\nHost: {DOMAIN}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: secure.recv(65536), b"")).decode()
        head, _separator, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body

    def entries(self) -> list[dict]:
        """Return the audit trail."""
        return [json.loads(line) for line in (self.record / "audit.jsonl").read_text().splitlines()]


def boot(hosts: Hosts, suite: str, directory: Path) -> Iterator[Lab]:
    """Boot a host, hand out its lab, and remove it."""
    name = f"provision-{suite}"
    hosts.down([name])
    hosts.up([name], suite)
    try:
        yield Lab(hosts, name, directory)
    finally:
        hosts.down([name])
