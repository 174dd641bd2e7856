# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three network namespaces in a row, client, router and server, in which faults are made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from probe_certificates import make_certificates

__all__ = ["ProbeLab"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
_PROBE = """
import json, sys
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
try:
    result = probe(json.load(sys.stdin))
except ToolkitError as error:
    result = error.as_result()
json.dump(result, sys.stdout)
"""
NAMES = ("www.lab.test", "old.lab.test", "six.lab.test")


def _run(*argv: object, **kwargs) -> subprocess.CompletedProcess:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


class ProbeLab:
    """client 10.77.1.2 - 10.77.1.1 router 10.77.2.1 - 10.77.2.2 server, and the same in fd77:1::/64 and fd77:2::/64."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spaces = {name: f"tk{os.getpid()}{name}" for name in ("client", "router", "server")}
        make_certificates(directory, *NAMES)
        self._made: list[str] = []
        self._serving: subprocess.Popen | None = None

    def __enter__(self) -> ProbeLab:
        for name, space in self.spaces.items():
            _run("ip", "netns", "add", space)
            self._made.append(space)
            self.inside(name, "ip", "link", "set", "lo", "up")
        for number, end in ((1, "client"), (2, "server")):
            router, space = self.spaces["router"], self.spaces[end]
            _run("ip", "-n", router, "link", "add", f"to-{end}", "type", "veth", "peer", "name", "eth0", "netns", space)
            for where, device, last in (("router", f"to-{end}", 1), (end, "eth0", 2)):
                self.inside(where, "ip", "address", "add", f"10.77.{number}.{last}/24", "dev", device)
                self.inside(where, "ip", "address", "add", f"fd77:{number}::{last}/64", "dev", device, "nodad")
                self.inside(where, "ip", "link", "set", device, "up")
            self.routes(end, number)
        self.inside(
            "router",
            "sysctl",
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.conf.all.forwarding=1",
        )
        self.resolve_by("10.77.2.2")
        self._serving = subprocess.Popen(
            ["ip", "netns", "exec", self.spaces["server"], sys.executable, str(HERE / "probe_servers.py"),
             str(self.directory), "10.77.2.2", "fd77:2::2"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._serving.stdout.readline() == "serving\n"
        self.settle()
        return self

    def __exit__(self, *_error) -> None:
        if self._serving:
            self._serving.kill()
            self._serving.wait()
            self._serving.stdout.close()
        for space in self._made:
            _run("ip", "netns", "delete", space)
            shutil.rmtree(f"/etc/netns/{space}", ignore_errors=True)

    def routes(self, end: str, number: int) -> None:
        for version, gateway in ((4, f"10.77.{number}.1"), (6, f"fd77:{number}::1")):
            self.inside(end, "ip", f"-{version}", "route", "replace", "default", "via", gateway)

    def inside(self, name: str, *argv: object, check: bool = True, **kwargs) -> subprocess.CompletedProcess:
        command = ["ip", "netns", "exec", self.spaces[name], *(str(part) for part in argv)]
        if check:
            return _run(*command, **kwargs)
        return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)

    def resolve_by(self, *servers: str) -> None:
        """Make these the name servers of the client."""
        directory = Path("/etc/netns", self.spaces["client"])
        directory.mkdir(parents=True, exist_ok=True)
        text = "".join(f"nameserver {server}\n" for server in servers)
        (directory / "resolv.conf").write_text(text, encoding="utf-8")
        (directory / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")

    def filter(self, name: str, *rules: str, hook: str = "input") -> None:
        """Load a firewall of these nft rules on one hook."""
        body = "\n".join(rules)
        text = f"table inet lab {{ chain lab {{ type filter hook {hook} priority 0\n{body}\n}}\n}}\n"
        self.inside(name, "nft", "-f", "-", input=text)

    def heal(self) -> None:
        """Undo every fault."""
        for name in self.spaces:
            self.inside(name, "nft", "flush", "ruleset")
        for name, device in (("client", "eth0"), ("router", "to-client"), ("router", "to-server"), ("server", "eth0")):
            self.inside(name, "ip", "link", "set", device, "up")
        self.inside("client", "ip", "route", "flush", "type", "prohibit")
        for end, number in (("client", 1), ("server", 2)):
            self.inside(end, "ip", "address", "replace", f"10.77.{number}.2/24", "dev", "eth0")
            self.inside(end, "ip", "address", "replace", f"fd77:{number}::2/64", "dev", "eth0", "nodad")
            self.routes(end, number)
        self.inside("router", "ip", "address", "replace", "fd77:1::1/64", "dev", "to-client", "nodad")
        for name in self.spaces:
            self.inside(name, "ip", "neighbour", "flush", "all")
        self.resolve_by("10.77.2.2")
        self.settle()

    def settle(self) -> None:
        """Wait until both protocols pass: neighbour discovery begins some time after a link is up."""
        for address in ("10.77.2.2", "fd77:2::2"):
            self.inside("client", "ping", "-q", "-c", "1", "-i", "0.2", "-W", "1", "-w", "20", address)

    def probe(self, *become: str, **options) -> dict:
        """Return the result of a probe from the client, run by way of the command ``become``.

        A failure is its result, as the module would end.
        """
        wanted = {"timeout": 1.0, "concurrency": 512, **options}
        return json.loads(self.python(_PROBE, *become, input=json.dumps(wanted)))

    def python(self, program: str, *become: str, **kwargs) -> str:
        """Return what a program prints in the client."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT.parents[2])}
        return self.inside("client", *become, sys.executable, "-c", program, env=environment, **kwargs).stdout
