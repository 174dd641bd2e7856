# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guarded tasks in real runs: a controller with its own state, a host over ssh, and an http server of this machine."""

from __future__ import annotations

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ansible_collections.scripts.toolkit.tests.integration.audit.audit_lab import COLLECTIONS, Controller

__all__ = ["GuardLab", "Service"]

_PLAY = """\
- hosts: {hosts}
  gather_facts: false
  {keywords}
  tasks:
"""
_SHOWN = """\
    - name: Write what was registered
      ansible.builtin.copy:
        content: "{{ {'r': r | default({}), 'more': more | default({})} | to_json }}"
        dest: DIR/registered-{{ inventory_hostname }}.json
        mode: "0600"
      delegate_to: localhost
      connection: local
      become: false
      check_mode: false
"""


class GuardLab(Controller):
    """Runs tasks, and returns what they registered."""

    def __init__(self, directory, host=None):
        super().__init__(directory, COLLECTIONS, hosts=("h1",))
        self.environment["XDG_STATE_HOME"] = str(directory)
        if host is not None:
            options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ServerAliveInterval=0"
            self.host = (
                f"ansible_host={host.address} ansible_ssh_private_key_file={host.key}"
                f" ansible_python_interpreter=/usr/bin/python3 ansible_ssh_extra_args='{options}'"
            )
            # Not below pytest's directory: the path of a socket is short.
            self.sockets = tempfile.TemporaryDirectory(prefix="toolkit-cp-")
            self.environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = self.sockets.name
            with self.inventory.open("a", encoding="utf-8") as handle:
                handle.write(f"host {self.host} ansible_user=root\n")

    def tasks(self, text, *arguments, hosts="h1", keywords="", rc=0, show=True, **environment):
        """Run tasks that may register ``r`` and ``more``; return both of ``hosts``, and what was said."""
        head = _PLAY.format(hosts=hosts, keywords=keywords)
        for path in self.directory.glob("registered-*.json"):
            path.unlink()
        name = self.playbook(head + text + (_SHOWN if show else ""))
        out, err = self.run(name, *arguments, rc=rc, limit=120, **environment)
        found = self.registered(hosts)
        return found["r"], found["more"], out + err

    def registered(self, host):
        """Return what the last run registered for a host, ``{"r", "more"}``."""
        path = self.directory / f"registered-{host}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"r": None, "more": None}

    def decisions(self):
        """Return the decisions of guards that the trail holds, in order."""
        return [details["decision"] for details in self.details("GUARD_DECISION")]


class Service:
    """An http service that answers by a script: ``(status, headers)`` for each request, the last one for all others."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = 0
        service, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with lock:
                    status, headers = service.answers[min(service.requests, len(service.answers) - 1)]
                    service.requests += 1
                body = json.dumps({"request": service.requests}).encode("ascii")
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()
