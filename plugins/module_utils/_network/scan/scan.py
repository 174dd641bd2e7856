# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scan addresses and ranges: what the module ``network_scan`` does."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..._core.commands import Commands
from ..._core.errors import ConflictError, NotFoundError, ToolkitError
from ..info.ip import IpTool
from .echo import EchoProbe, EchoSocket
from .host import Host, Tally
from .ports import PROTOCOLS
from .probes import Knock, TcpProbe, UdpProbe
from .ranges import parse_range
from .report import Report
from .request import KNOCK_PORTS, Request, Target, read_request
from .sweep import Probe, Sweep

__all__ = ["scan"]

_TOGETHER = 256
"""Hosts whose ports are asked in turn, one port of each after the other, so that none gets all at once."""
_NEW_NEIGHBOURS = 250
"""Addresses that discovery asks at once. Each silent one on the link stays in the kernel's table for 3 seconds, and
where 1024 are (net.ipv4.neigh.default.gc_thresh3), packets are dropped."""
_RESOLVERS = 16


def scan(params: Mapping[str, Any], commands: Commands) -> dict:
    """Return the result of the module.

    :param params: its options.
    :raises ToolkitError: an option can't be used, more would be scanned than is allowed, or a method of discovery that
        was asked for can't be used.
    """
    began = time.time()
    request = read_request(params)
    report = Report(request, began)
    works = [_Work(target) for target in _resolve(request.targets, report)]
    neighbours = _discover(request, works, report, commands)
    sweep = Sweep(request.concurrency, request.timeout, request.rate)
    try:
        sweep.run(_port_probes(request, works))
    finally:
        sweep.close()
    for work in works:
        report.add(work.target, work.found(), work.tally, neighbours)
    return report.result()


class _Work:
    """A target while it is scanned."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.tally = Tally()
        self._watched = target.policy.watched()
        self._single = list(self._all()) if target.single else []

    def _all(self) -> Iterator[Host]:
        for part in self.target.ranges:
            for address in part:
                yield Host(address, self.target.zone, self._watched, self.tally)

    def hosts(self) -> Iterable[Host]:
        """Return all addresses, those of a range made as they are asked for."""
        return self._single or self._all()

    def found(self) -> list[Host]:
        """Return the hosts that answered so far; one that was named alone anyway."""
        return self._single or list(self.tally.answering)

    def add_neighbours(self, addresses: Iterable[str]) -> None:
        """Note that these addresses are in use, those that are of this target."""
        hosts = {host.address: host for host in self.found()}
        for address in addresses:
            if address in hosts:
                hosts[address].answer("neighbour")
            elif any(address in part for part in self.target.ranges):
                Host(address, self.target.zone, self._watched, self.tally).answer("neighbour")


def _resolve(targets: Iterable[Target], report: Report) -> Iterator[Target]:
    """Yield the targets with the addresses of those that are names; tell the report of names that have none."""

    def look_up(target: Target) -> list[tuple] | OSError:
        try:
            return socket.getaddrinfo(target.name, None, type=socket.SOCK_STREAM)
        except OSError as error:
            return error

    targets = list(targets)
    named = [target for target in targets if target.name]
    with ThreadPoolExecutor(max_workers=_RESOLVERS) as pool:
        answers = dict(zip(map(id, named), pool.map(look_up, named)))
    for target in targets:
        answer = answers.get(id(target))
        if isinstance(answer, OSError):
            hint = "Correct the name, or give the address."
            report.fail(target, NotFoundError(f"{target.item} has no address: {answer.strerror}.", hint=hint))
            continue
        if answer:
            address, *rest = answer[0][4]
            target.ranges = [parse_range(address.partition("%")[0], target.where)]
            target.zone = rest[2] if len(rest) == 3 else 0
            if any(address in hole for hole in target.excluded):
                text = f"{target.item} has the address {address}, which is excluded."
                report.fail(target, ConflictError(text, hint="Take it off targets or off exclude."))
                continue
        yield target


def _discover(request: Request, works: list[_Work], report: Report, commands: Commands) -> dict[tuple[str, int], dict]:
    """Find out which hosts are there; return the kernel's neighbours by address and zone."""
    methods = list(request.discovery)

    def attempt(method: str, make: Callable[[], Any]) -> Any:
        """Return what a method stands on, ``None`` if it can't be used and nobody insisted."""
        try:
            return make()
        except ToolkitError as error:
            if request.strict:
                raise
            report.unavailable[method] = error.message
            return None

    echoes: dict[int, EchoSocket] = {}
    if "icmp" in methods:
        for family in sorted({part.family for work in works for part in work.target.ranges}):
            echo = attempt("icmp", lambda family=family: EchoSocket(family))
            if echo is not None:
                echoes[family] = echo
    ip_tool = attempt("neighbours", lambda: IpTool(commands)) if "neighbours" in methods else None
    if echoes or "tcp" in methods:
        a_host = bool(echoes) + len(KNOCK_PORTS) * ("tcp" in methods)
        sweep = Sweep(min(request.concurrency, _NEW_NEIGHBOURS * a_host), request.timeout, request.rate)
        try:
            for echo in echoes.values():
                echo.listen(sweep)
            sweep.run(_discovery_probes(request, works, echoes))
        finally:
            sweep.close()
            for echo in echoes.values():
                echo.close()
    if ip_tool is None:
        return {}
    neighbours = {(entry["address"], entry["zone"]): entry for entry in ip_tool.neighbours()}
    for work in works:
        # Of other states the kernel doesn't know either whether the host is still there.
        work.add_neighbours(
            address
            for (address, zone), entry in neighbours.items()
            if entry["state"] == "REACHABLE" and zone == work.target.zone
        )
    return neighbours


def _discovery_probes(request: Request, works: list[_Work], echoes: Mapping[int, EchoSocket]) -> Iterator[Probe]:
    for work in works:
        for host in work.hosts():
            if host.family in echoes:
                yield EchoProbe(host, echoes[host.family], request.tries)
            if "tcp" in request.discovery:
                for port in KNOCK_PORTS:
                    yield Knock(host, port)


def _port_probes(request: Request, works: list[_Work]) -> Iterator[Probe]:
    for work in works:
        hosts = iter(work.found() if request.discovery else work.hosts())
        ports = [(protocol, port) for protocol in PROTOCOLS for port in sorted(work.target.ports[protocol])]
        while True:
            together = list(itertools.islice(hosts, _TOGETHER))
            if not together:
                break
            for protocol, port in ports:
                for host in together:
                    if protocol == "tcp":
                        yield TcpProbe(host, port, request.banners)
                    else:
                        yield UdpProbe(host, port, request.tries)
