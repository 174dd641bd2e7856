# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contenders: how each is started for its host, and how its output says that nothing changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.inventory import inventory_yaml
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.peers import Peers

__all__ = ["DOMAIN", "Contender", "ansible_changes", "contenders", "floors", "pyinfra_changes"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DOMAIN = "bench.example.test"

LABELS = {
    "ours": "scripts.toolkit.provision",
    "geerlingguy": "geerlingguy roles",
    "pyinfra": "pyinfra",
}


@dataclass
class Contender:
    """One way to build the server.

    :param host: name of its disposable host.
    :param argv: the command.
    :param controls: directory of the sockets of kept connections; fresh for each run, so that each opens its own.
    :param page: part of the site's page that only appears when PHP was executed.
    """

    name: str
    label: str
    host: str
    argv: list[str]
    environment: dict[str, str]
    controls: Path
    page: str = "ready"
    record: Path | None = None
    runs: list = field(default_factory=list)

    def changes(self, output: str) -> int:
        """Return how many changes a run reports.

        :raises ValueError: it failed, or reports nothing.
        """
        return pyinfra_changes(output) if self.name == "pyinfra" else ansible_changes(output)


def ansible_changes(output: str) -> int:
    """Return the sum of ``changed`` in ansible-playbook's recap.

    :raises ValueError: a host failed or was not reached, or there is no recap.
    """
    recap = output.partition("PLAY RECAP")[2]
    lines = [dict(re.findall(r"(\w+)=(\d+)", line)) for line in recap.splitlines() if "changed=" in line]
    if not lines:
        raise ValueError("The output has no recap.")
    if any(int(line["failed"]) or int(line["unreachable"]) for line in lines):
        raise ValueError("A host failed or was not reached.")
    return sum(int(line["changed"]) for line in lines)


def pyinfra_changes(output: str) -> int:
    """Return how many operations pyinfra reports as changed, from the last line of its table of results.

    :raises ValueError: an operation failed, or there is no table.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    totals = re.findall(r"Grand total +(\S+) +(\S+) +(\S+) +(\S+)", plain)
    if not totals or "Error" not in plain:
        raise ValueError("The output has no table of results.")
    _operations, changed, errors, _unchanged = (0 if number == "-" else int(number) for number in totals[-1])
    if errors:
        raise ValueError(f"{errors} operations failed.")
    return changed


def _variables(key: str) -> dict:
    """Return the variables of our profile for the server that the peers build as well."""
    return {
        "web_server_domain": DOMAIN,
        "firewall_rules": "80,443,22",
        "system_timezone": "Etc/UTC",
        "users_accounts": [{"name": "operator1", "shell": "/bin/bash", "authorized_keys": [key]}],
        "mariadb_databases": [{"name": "app"}],
        "mariadb_users": [
            {"name": "app", "password": "bench-app", "grants": [{"object": "app.*", "privileges": ["ALL"]}]}
        ],
        "log_rotation_rules": [{"name": "site", "paths": ["/var/log/php-fpm/*.log"], "keep": 14}],
    }


def _ansible(directory: Path, configuration: Path, **more: str) -> dict[str, str]:
    """Return the environment of an ansible-playbook with this ``configuration``; ``directory``: its connections."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SSH_"))}
    return {
        **kept,
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory),
        **more,
    }


def _unrecorded(work: Path) -> Path:
    """Write this repository's settings without the audit callback, for those who keep no record; return the path."""
    settings = (ROOT / "ansible.cfg").read_text(encoding="utf-8")
    place = work / "ansible.cfg"
    place.write_text(re.sub(r"^callbacks_enabled.*\n", "", settings, flags=re.MULTILINE), encoding="utf-8")
    return place


def contenders(hosts: Hosts, peers: Peers, names: Mapping[str, str], work: Path, sockets: Path) -> list[Contender]:
    """Return the contenders of ``names`` (``{contender: host}``), ours first, with their inventories and variables.

    :param work: directory for these.
    :param sockets: directory for ssh's sockets. Its path has to be short: the kernel takes 107 bytes with the names.
    """
    with open(f"{hosts.layout.key}.pub", encoding="ascii") as handle:
        key = handle.read().strip()
    made = []
    unrecorded = _unrecorded(work)
    for name, host in names.items():
        inventory, given, controls = work / f"{name}.yml", work / f"{name}.json", sockets / name
        data = hosts.inventory([host])
        inventory.write_text(inventory_yaml(data), encoding="utf-8")
        argv = [peers.program("ansible-playbook"), "-i", str(inventory), "-e", f"@{given}"]
        contender = Contender(name, LABELS[name], host, argv, _ansible(controls, unrecorded), controls)
        if name == "ours":
            contender.record, contender.page = work / "record", "PHP executes here."
            given.write_text(json.dumps(_variables(key)), encoding="utf-8")
            argv.append("scripts.toolkit.provision")
            contender.environment = _ansible(
                controls,
                ROOT / "ansible.cfg",
                SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY=str(contender.record),
                SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH=str(contender.record / "metrics.prom"),
            )
        else:
            variables = {"bench_domain": DOMAIN, "bench_public_key": key}
            given.write_text(json.dumps(variables), encoding="utf-8")
            if name == "geerlingguy":
                argv.append(str(HERE / "geerlingguy.yml"))
                contender.environment["ANSIBLE_ROLES_PATH"] = str(peers.roles)
            else:
                place = work / "pyinfra_inventory.py"
                place.write_text(_pyinfra_inventory(hosts, host, variables), encoding="utf-8")
                contender.argv = [peers.program("pyinfra"), "-y", str(place), str(HERE / "pyinfra_deploy.py")]
        made.append(contender)
    return made


def _pyinfra_inventory(hosts: Hosts, host: str, variables: Mapping[str, str]) -> str:
    data = {
        "ssh_user": "root",
        "ssh_key": hosts.layout.key,
        "ssh_known_hosts_file": hosts.layout.known_hosts,
        "ssh_strict_host_key_checking": "yes",
        **variables,
    }
    return f"hosts = [({hosts.record(host)['address']!r}, {data!r})]\n"


def floors(ours: Contender, calls: int, work: Path) -> list[Contender]:
    """Return two playbooks of so many trivial module calls on our host: what Ansible itself takes for that number.

    ansible-core packs a module once per run, so calls of one module are cheaper than those of as many modules.
    """
    ask = "import ansible.modules.ping as module; print(module.__file__)"
    python = str(Path(ours.argv[0]).parent / "python")
    source = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    (work / "library").mkdir(exist_ok=True)
    names = [f"bench_ping_{number}" for number in range(1, calls + 1)]
    for name in names:
        shutil.copy(source, work / "library" / f"{name}.py")
    return [
        _floor(ours, "floor", f"floor: {calls} calls of ping", ["ansible.builtin.ping"] * calls, work),
        _floor(ours, "floor_distinct", f"floor: {calls} copies of ping", names, work),
    ]


def _floor(ours: Contender, name: str, label: str, modules: list[str], work: Path) -> Contender:
    playbook, controls = work / f"{name}.play.json", ours.controls.parent / name
    tasks = [{"name": f"Call {number}", module: {}} for number, module in enumerate(modules, 1)]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    argv = [ours.argv[0], "-i", str(work / "ours.yml"), str(playbook)]
    return Contender(name, label, ours.host, argv, _ansible(controls, work / "ansible.cfg"), controls, ours.page)
