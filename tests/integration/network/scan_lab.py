# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two network namespaces with a cable between them: one that scans, and one with services and a firewall. For root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["RUNNER", "SERVICES", "Namespaces", "nmap_states"]

RUNNER = Path(__file__).with_name("in_namespace.py")
"""Runs the modules' rooms, see there."""
SERVICES = """
import socket, sys, threading
def answer(server):
    while True:
        data, peer = server.recvfrom(2048)
        server.sendto(data[::-1], peer)
def accept(server):
    while True:
        server.accept()[0].close()
kept = []
for spec in sys.argv[1:]:
    protocol, port = spec.split(":")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    server = socket.socket(socket.AF_INET6, kind)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", int(port)))
    kept.append(server)
    if protocol == "tcp":
        server.listen(1000)
    threading.Thread(target=accept if protocol == "tcp" else answer, args=(server,), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""
"""A program that listens on ``tcp:PORT`` and answers on ``udp:PORT``, by IPv4 and IPv6."""
_PATIENCE = 20
"""Seconds within which services must listen."""


class Namespaces:
    """``near`` scans; ``far`` is scanned. Their names and links begin with ``tks`` and the number of this process."""

    def __init__(self) -> None:
        self.near, self.far = (f"tks{os.getpid()}{end}" for end in "nf")
        self._processes: list[subprocess.Popen] = []
        for name in (self.near, self.far):
            _run("ip", "netns", "add", name)
            self.inside(name, "ip", "link", "set", "lo", "up")
        _run(
            "ip",
            "link",
            "add",
            self.near,
            "netns",
            self.near,
            "type",
            "veth",
            "peer",
            "name",
            self.far,
            "netns",
            self.far,
        )
        for name in (self.near, self.far):
            self.inside(name, "ip", "link", "set", name, "up")

    def close(self) -> None:
        """End what was started, and remove both."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for name in (self.near, self.far):
            _run("ip", "netns", "delete", name)

    def inside(self, name: str, *argv: str, text: str | None = None) -> str:
        """Run a program in a namespace and return what it prints. It must succeed."""
        return _run("ip", "netns", "exec", name, *argv, text=text)

    def address(self, name: str, *addresses: str) -> None:
        """Give addresses to a namespace's end of the cable; IPv6 ones at once, without looking for others first."""
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.inside(name, "ip", "address", "add", address, "dev", name, *extra)

    def serve(self, program: str, *arguments: str) -> None:
        """Run a Python program in ``far`` until the end; it prints a line when it is ready."""
        command = ["ip", "netns", "exec", self.far, sys.executable, "-c", program, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout.readline(), "It ended before it was ready."

    def firewall(self, rules: str) -> None:
        """Give ``far`` an nftables input chain with these rules."""
        chain = (
            f"table inet lab {{\nchain input {{\ntype filter hook input priority 0; policy accept;\n{rules}\n}}\n}}\n"
        )
        self.inside(self.far, "nft", "-f", "-", text=f"flush ruleset\n{chain}")

    def ask(self, module: str, uid: int | None = None, name: str | None = None, **options) -> dict:
        """Return the result of a module in ``near``, or the namespace named.

        :param uid: user without privileges to run it as.
        """
        who = [] if uid is None else ["--uid", str(uid)]
        told = self.inside(name or self.near, sys.executable, str(RUNNER), module, *who, text=json.dumps(options))
        return json.loads(told)

    def nmap(self, *arguments: str) -> ElementTree.Element:
        """Return the report of nmap, run in ``near``."""
        return ElementTree.fromstring(self.inside(self.near, "nmap", "-n", *arguments, "-oX", "-"))

    def wait_until(self, condition, what: str) -> None:
        """Wait until ``condition()`` is true."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < end, f"No {what} within {_PATIENCE} s."
            time.sleep(0.05)


def nmap_states(report: ElementTree.Element) -> dict[int, str]:
    """Return the state of each port in a report of one host, named as we do. nmap lists few ports only."""
    found = report.findall("./host/ports/port")
    return {int(port.get("portid")): port.find("state").get("state").replace("|", "_or_") for port in found}


def _run(*argv: str, text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout
