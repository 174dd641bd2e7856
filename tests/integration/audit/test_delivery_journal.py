# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd journal as a witness, on disposable hosts with a systemd of their own. Needs root."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.layout import Layout

ROOT = Path(__file__).resolve().parents[3]
NAME = "journal"
_LAB = ROOT / "tests/unit/plugins/plugin_utils/_audit/delivery_lab.py"
_SPEC = importlib.util.spec_from_file_location("delivery_lab", _LAB)
delivery_lab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(delivery_lab)

ANNOUNCE = """\
import json, sys
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import deliver, witnesses
if "announce" in sys.argv:
    started = deliver.start("/var/tmp/log")
    print(json.dumps([started, json.load(open("/var/tmp/log/witness/journal.json"))]))
else:
    found = witnesses.read_back("/var/tmp/log")
    print(json.dumps([[note.decode() for note in entry.notes] for entry in found] + [str(e.error) for e in found]))
"""
FORGE = """\
import sys
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import Checkpoint
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import witness_journal
witness_journal.push("/run/systemd/journal/socket", Checkpoint(sys.argv[1], 999, bytes(32)), b"forged")
"""


class Machine:
    """A host with a copy of the collection's plugins, and the log of another machine's making."""

    def __init__(self, hosts):
        self.hosts = hosts

    def call(self, command, data=None):
        done = subprocess.run(self.hosts.ssh(NAME, [command]), input=data, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode()

    def put(self, source, place, names):
        """Copy files or directories of ``source`` to ``place``; others may read, nobody else may write them."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in names:
                if (source / name).exists():
                    archive.add(source / name, name)
        self.call(f"mkdir -p {place} && tar -xf - -C {place} && chmod -R a+rX,go-w {place}", packed.getvalue())

    def python(self, code, *arguments, user=None):
        self.call("cat >/var/tmp/code.py", code.encode())
        run = f"env PYTHONPATH=/var/tmp/lib python3 /var/tmp/code.py {' '.join(arguments)}"
        return self.call(f"runuser -u {user} -- {run}" if user else run)


@pytest.fixture(scope="module", params=os.environ.get("TOOLKIT_SUITES", "bookworm").split())
def machine(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_HOSTS_IMAGES", Layout().images)  # shared with the machine's own hosts
        hosts = Hosts(str(tmp_path_factory.mktemp("hosts")))
    try:
        hosts.up([NAME], request.param)
        made = Machine(hosts)
        plugins = [f"plugins/{part}" for part in ("module_utils/_core", "module_utils/_audit", "plugin_utils/_audit")]
        made.put(ROOT, "/var/tmp/lib/ansible_collections/scripts/toolkit", plugins)
        yield made
    finally:
        hosts.down()


def test_checkpoints_reach_the_journal_and_come_back(machine, tmp_path):
    log = delivery_lab.Log(tmp_path)
    notes = []
    for count in (3, 4):
        notes.append(log.grow(count).decode())
        machine.put(tmp_path, "/var/tmp/log", ["checkpoint"])
        started, state = json.loads(machine.python(ANNOUNCE, "announce"))
        assert started is False  # the journal needs no process
        assert (state["witnessed"]["size"], state["error"]) == (log.size, None)
    machine.python(ANNOUNCE, "announce")  # nothing new
    machine.python(FORGE, delivery_lab.ORIGIN, user="nobody")
    machine.python(FORGE, "another.example.com/log")
    machine.call("journalctl --sync")
    assert json.loads(machine.python(ANNOUNCE)) == [notes, "None"]
    shown = machine.call("journalctl --output=cat SYSLOG_IDENTIFIER=scripts-toolkit-audit").splitlines()
    assert shown[:2] == [f"Audit log {delivery_lab.ORIGIN}: {size} entries" for size in (3, 7)]
    assert len(shown) == 4  # what others sent is there, and is not taken for ours

    # A journal that is away and comes back is caught up with the newest checkpoint.
    machine.call("systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service")
    log.grow(5)
    machine.put(tmp_path, "/var/tmp/log", ["checkpoint"])
    _started, state = json.loads(machine.python(ANNOUNCE, "announce"))
    assert state["error"]["kind"] == "unavailable"
    assert state["pending"]["size"] == 12
    machine.call("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service")
    _started, state = json.loads(machine.python(ANNOUNCE, "announce"))
    assert (state["error"], state["pending"], state["witnessed"]["size"]) == (None, None, 12)
    machine.call("journalctl --sync")
    [found, _error] = json.loads(machine.python(ANNOUNCE))
    assert found[-1] == (tmp_path / "checkpoint").read_text()
