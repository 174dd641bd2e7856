# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller in a directory: ansible.cfg, inventory, playbooks, and the trail of the runs made in it.

Its hosts have a local connection, so nothing else is needed. The programs are those of the Python that runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["ARGUMENTS", "COLLECTIONS", "Controller", "wait_for"]

COLLECTIONS = Path(__file__).resolve().parents[6]
PROGRAMS = Path(sys.executable).parent
ARGUMENTS = f"ansible_connection=local ansible_python_interpreter={sys.executable} ansible_remote_tmp={{tmp}}"


def wait_for(condition, seconds=60):
    """Return once ``condition()`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class Controller:
    """A directory in which runs are made, and what they record."""

    def __init__(self, directory, collections, hosts=("h1", "h2")):
        self.directory = directory
        self.log = directory / "log"
        self.state = directory / "state"
        self.metrics = directory / "metrics" / "scripts_toolkit.prom"
        self.inventory = directory / "inventory.ini"
        lines = [f"{host} {ARGUMENTS.format(tmp=directory / 'tmp')}\n" for host in hosts]
        self.inventory.write_text("".join(lines), encoding="utf-8")
        dropped = ("ANSIBLE_", "SCRIPTS_TOOLKIT_", "SUDO_", "GIT_", "AWX_", "JOB_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self.environment.update(ANSIBLE_COLLECTIONS_PATH=str(collections), ANSIBLE_NOCOLOR="1")
        self.environment["PATH"] = f"{PROGRAMS}:{self.environment['PATH']}"
        self.configure()

    def configure(self, defaults="", **options):
        """Write ansible.cfg: lines of its section defaults, and options of the callback."""
        options = {
            "log_directory": self.log, "state_directory": self.state, "metrics_path": self.metrics, **options
        }  # fmt: skip
        lines = [
            "[connection]",
            "pipelining = true",
            "[defaults]",
            "callbacks_enabled = scripts.toolkit.audit",
            f"inventory = {self.inventory}",
            defaults,
            "[callback_scripts_toolkit_audit]",
            *(f"{name} = {value}" for name, value in options.items()),
        ]
        (self.directory / "ansible.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def file(self, name, text):
        """Write a file, whose name it returns."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    def playbook(self, text, name="site.yml"):
        """Write a playbook, ``DIR`` in it standing for the controller's directory, and return its name."""
        return self.file(name, text.replace("DIR", str(self.directory)))

    def start(self, *arguments, program="ansible-playbook", **environment):
        """Start a program in a session of its own."""
        return subprocess.Popen(
            [str(PROGRAMS / program), *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, rc=0, limit=60, **kwargs):
        """Run a program, which has to end with ``rc`` within ``limit`` seconds, and return what it said."""
        process = self.start(*arguments, **kwargs)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
        assert process.returncode == rc, out + err
        return out, err

    def records(self):
        """Return the records of the log that runs made, each line held to the canonical form."""
        found = []
        for line in (self.log / "audit.jsonl").read_bytes().splitlines():
            record = json.loads(line)
            again = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
            assert again == line
            if record["run_id"]:  # else the log tells of itself
                found.append(record)
        return found

    def last_run(self):
        """Return the records of the run that wrote the last one."""
        records = self.records()
        return [entry for entry in records if entry["run_id"] == records[-1]["run_id"]]

    def details(self, event_type, **wanted):
        """Return the details of all events of a type that have these values."""
        found = [entry["details"] for entry in self.records() if entry["event_type"] == event_type]
        return [entry for entry in found if all(entry.get(name) == value for name, value in wanted.items())]

    def results(self):
        """Return the details of all task results."""
        return self.details("TASK_RESULT")

    def journals(self):
        """Return the journals that are not in the log yet."""
        return sorted((self.log / "journal").glob("*.jsonl"))

    def files(self):
        """Return every file that a run may have written."""
        tops = (self.log, self.state, self.metrics.parent)
        return [path for top in tops if top.exists() for path in top.rglob("*") if path.is_file()]
