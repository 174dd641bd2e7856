# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports as people write them: ``22``, ``8000-8010``, ``ssh``, ``domain/udp``, and sets such as ``common``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..._core.errors import ValidationError

__all__ = ["HTTP_PORTS", "NO_PORTS", "PROTOCOLS", "Ports", "Services", "count", "join", "parse_ports"]

PROTOCOLS = ("tcp", "udp")
HTTP_PORTS = frozenset((80, 3000, 8000, 8008, 8080, 8081, 8888, 9090))
"""Where a request may be sent to learn which server it is: a port that HTTP is customary on."""

_MOST = 65535
_SPEC = re.compile(r"(?P<what>[^/]+)(?:/(?P<protocol>tcp|udp))?")
_RANGE = re.compile(r"(\d+)-(\d+)")

# Services that administrators should know of where they are open. The names are those of IANA or of the software.
_KNOWN = {
    "tcp": {
        21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "domain", 80: "http", 88: "kerberos", 110: "pop3",
        111: "sunrpc", 135: "epmap", 139: "netbios-ssn", 143: "imap2", 389: "ldap", 443: "https", 445: "microsoft-ds",
        465: "submissions", 587: "submission", 631: "ipp", 636: "ldaps", 873: "rsync", 993: "imaps", 995: "pop3s",
        1433: "ms-sql-s", 1521: "oracle", 1883: "mqtt", 2049: "nfs", 2375: "docker", 2376: "docker-tls",
        2379: "etcd", 3000: "grafana", 3306: "mysql", 3389: "ms-wbt-server", 4222: "nats", 5432: "postgresql",
        5672: "amqp", 5900: "vnc", 5985: "winrm", 6379: "redis", 6443: "kubernetes", 8000: "http-alt",
        8080: "http-alt", 8443: "https-alt", 9090: "prometheus", 9092: "kafka", 9100: "node-exporter",
        9200: "elasticsearch", 10250: "kubelet", 11211: "memcache", 27017: "mongodb",
    },
    "udp": {
        53: "domain", 67: "bootps", 69: "tftp", 111: "sunrpc", 123: "ntp", 137: "netbios-ns", 161: "snmp",
        389: "ldap", 443: "https", 500: "isakmp", 514: "syslog", 1194: "openvpn", 1900: "ssdp", 2049: "nfs",
        3478: "stun", 5060: "sip", 5353: "mdns", 5683: "coap", 11211: "memcache", 51820: "wireguard",
    },
}  # fmt: skip
_SETS: dict[str, dict[str, Iterable[int]]] = {
    "common": dict(_KNOWN),
    "all": dict.fromkeys(PROTOCOLS, range(1, _MOST + 1)),
    "system": dict.fromkeys(PROTOCOLS, range(1, 1024)),
    "web": {"tcp": (80, 443, 8000, 8008, 8080, 8443, 8888), "udp": (443,)},
    "email": {"tcp": (25, 110, 143, 465, 587, 993, 995, 4190), "udp": ()},
    "database": {"tcp": (1433, 1521, 2379, 3306, 5432, 6379, 9042, 9200, 11211, 27017), "udp": (11211,)},
    "remote": {"tcp": (22, 23, 512, 513, 514, 3389, 5900, 5901, 5985, 5986), "udp": (3389,)},
}


class Ports(dict):
    """Port numbers: a frozenset for each of the :data:`PROTOCOLS`."""


NO_PORTS = Ports(dict.fromkeys(PROTOCOLS, frozenset()))


class Services:
    """Names of services, from a file such as /etc/services (services(5)); what it lacks, from our own few."""

    def __init__(self, path: str = "/etc/services") -> None:
        self._ports: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, int], str] = {}
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                for line in handle:
                    self._add(line.partition("#")[0].split())
        except OSError:
            pass  # Debian's package netbase is not everywhere.
        for protocol, known in _KNOWN.items():
            for port, name in known.items():
                self._note(protocol, port, [name])

    def _add(self, words: list[str]) -> None:
        port, slash, protocol = words[1].partition("/") if len(words) > 1 else ("", "", "")
        if slash and port.isdigit() and protocol in PROTOCOLS:
            self._note(protocol, int(port), [words[0], *words[2:]])

    def _note(self, protocol: str, port: int, names: list[str]) -> None:
        self._names.setdefault((protocol, port), names[0])
        for name in names:
            self._ports.setdefault((protocol, name), port)

    def port(self, protocol: str, name: str) -> int | None:
        """Return the port of a service, if it is known."""
        return self._ports.get((protocol, name))

    def name(self, protocol: str, port: int) -> str | None:
        """Return the name of the service that has this port by custom. What really listens may be another."""
        return self._names.get((protocol, port))


def parse_ports(specs: Iterable[str], where: str, services: Services) -> Ports:
    """Return the ports that ``specs`` stand for.

    :param where: name of the option, for errors.
    :raises ValidationError: one can't be understood.
    """
    found: dict[str, set[int]] = {protocol: set() for protocol in PROTOCOLS}
    for number, spec in enumerate(specs):
        protocol, ports = _parse(str(spec).strip().lower(), f"{where}[{number}]", services)
        found[protocol].update(ports)
    return Ports({protocol: frozenset(ports) for protocol, ports in found.items()})


def _parse(spec: str, where: str, services: Services) -> tuple[str, Iterable[int]]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ValidationError(f"{where}={spec!r} is no port.", hint="Write 22, 8000-8010, ssh, common, or 53/udp.")
    what, protocol = match["what"], match["protocol"] or "tcp"
    if what in _SETS:
        return protocol, _SETS[what][protocol]
    bounds = _RANGE.fullmatch(what)
    if bounds or what.isdigit():
        first, last = (int(bounds[1]), int(bounds[2])) if bounds else (int(what), int(what))
        if not (1 <= first <= _MOST and 1 <= last <= _MOST):
            raise ValidationError(f"{where}={spec!r}: a port is a number from 1 to {_MOST}.", hint="Correct it.")
        if last < first:
            raise ValidationError(f"{where}={spec!r} is reversed.", hint=f"Write {last}-{first}.")
        return protocol, range(first, last + 1)
    port = services.port(protocol, what)
    if port is None:
        other = "udp" if protocol == "tcp" else "tcp"
        hint = f"Give its number, a name of /etc/services, or one of the sets {', '.join(sorted(_SETS))}."
        if services.port(other, what):
            hint = f"Write {what}/{other}."
        raise ValidationError(f"{where}={spec!r} is no {protocol} service that is known here.", hint=hint)
    return protocol, (port,)


def join(*parts: Ports) -> Ports:
    """Return the ports that are in any of ``parts``."""
    return Ports({protocol: frozenset().union(*(part[protocol] for part in parts)) for protocol in PROTOCOLS})


def count(ports: Ports) -> int:
    """Return how many ports these are."""
    return sum(len(numbers) for numbers in ports.values())
