# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces in a row, as routers and hosts, and the real modules run inside of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
COLLECTIONS = ROOT.parents[2]
_RUN = """
import runpy, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), "legacy"
runpy.run_module("ansible_collections.scripts.toolkit.plugins.modules." + sys.argv[1], run_name="__main__")
"""


class Chain:
    """The namespaces ``a``, ``r1``, ``r2``, ``b`` in a row: two hosts with two routers between them, IPv4 and IPv6.

    Link ``n`` has the networks 10.209.n.0/24 and fd09:n::/64; its left end has .1 and ::1, its right end .2 and ::2.
    """

    names = ("a", "r1", "r2", "b")
    far = {4: "10.209.3.2", 6: "fd09:3::2"}
    hops = {4: ["10.209.1.2", "10.209.2.2", "10.209.3.2"], 6: ["fd09:1::2", "fd09:2::2", "fd09:3::2"]}

    def __enter__(self) -> Chain:
        for name in self.names:
            ip("netns", "add", self.space(name))
            self.ip(name, "link", "set", "lo", "up")
        for number, (left, right) in enumerate(zip(self.names, self.names[1:]), 1):
            ends = ["link", "add", "right", "netns", self.space(left), "type", "veth", "peer", "name", "left"]
            ip(*ends, "netns", self.space(right))
            for host, name, device in ((1, left, "right"), (2, right, "left")):
                self.ip(name, "address", "add", f"10.209.{number}.{host}/24", "dev", device)
                self.ip(name, "address", "add", f"fd09:{number}::{host}/64", "dev", device, "nodad")
                self.ip(name, "link", "set", device, "up")
        for name, next_hop in (("a", "1"), ("r1", "2")):
            self.ip(name, "route", "add", "10.209.0.0/16", "via", f"10.209.{next_hop}.2")
            self.ip(name, "route", "add", "fd09::/16", "via", f"fd09:{next_hop}::2")
        for name, next_hop in (("b", "3"), ("r2", "2")):
            self.ip(name, "route", "add", "10.209.0.0/16", "via", f"10.209.{next_hop}.1")
            self.ip(name, "route", "add", "fd09::/16", "via", f"fd09:{next_hop}::1")
        for name in ("r1", "r2"):
            self.run(name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.limit_errors(0)
        for version in (4, 6):
            # Neighbours of both directions are known before anything is measured.
            self.run("a", "ping", f"-{version}", "-n", "-c", "3", "-i", "0.2", "-w", "20", self.far[version])
        return self

    def __exit__(self, *_exception) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", self.space(name)], check=False)

    @staticmethod
    def space(name: str) -> str:
        return f"tk{os.getpid()}-{name}"

    def ip(self, name: str, *arguments: str) -> str:
        return ip("-n", self.space(name), *arguments)

    def argv(self, name: str, argv: Iterable[str]) -> list[str]:
        return ["ip", "netns", "exec", self.space(name), *argv]

    def run(self, name: str, *argv: str, ok: bool = True) -> str:
        """Run a program in a namespace; return its output."""
        done = subprocess.run(self.argv(name, argv), capture_output=True, text=True, check=False)
        assert not ok or done.returncode == 0, done
        return done.stdout

    def nft(self, name: str, hook: str = "output", *rules: str) -> None:
        """Replace the firewall of a namespace by ``rules`` in one chain; without any, it lets all through."""
        lines = ["flush ruleset", "table inet lab {", f"chain lab {{ type filter hook {hook} priority 0;", *rules]
        text = "\n".join([*lines, "}", "}", ""])
        subprocess.run(self.argv(name, ["nft", "-f", "-"]), input=text, text=True, check=True)

    def limit_errors(self, milliseconds: int) -> None:
        """Set how long kernels wait with the next ICMP error to the same host; 0 is not at all, 1000 the default."""
        for name in self.names:
            for key in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
                self.run(name, "sysctl", "-qw", f"{key}={milliseconds}")

    def start(self, name: str, module: str, files: int = 1024, **options) -> subprocess.Popen:
        """Start a module in a namespace, with ``files`` as its limit of open files."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
        limited = ["prlimit", f"--nofile={files}:{files}", sys.executable, "-c", _RUN, module]
        command = self.argv(name, limited)
        started = subprocess.Popen(command, env=environment, **pipes)
        started.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        started.stdin.close()
        return started

    def module(self, name: str, module: str, **options) -> dict:
        """Run a module in a namespace; return its result."""
        return result_of(self.start(name, module, **options))


def result_of(started: subprocess.Popen) -> dict:
    """Wait for a module that was started; return its result."""
    with started:
        return json.loads(started.stdout.read())


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
