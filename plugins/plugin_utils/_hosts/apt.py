# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host takes over from this machine to reach package registries: apt settings, proxies, name servers."""

from __future__ import annotations

import ipaddress
import shlex
from urllib.parse import urlsplit

from ...module_utils._core.commands import Commands
from ...module_utils._core.errors import UnavailableError
from ...module_utils._core.files import read_bytes

__all__ = ["DETECT", "AptSettings", "detect_script", "name_servers", "parse_dump", "resolver"]

DETECT = "/usr/local/lib/toolkit-apt-proxy"
"""Where a host has the script that apt asks for a proxy."""

_TAKEN = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Max-", "Acquire::Min-", "Acquire::Retries",
          "Acquire::ForceIPv4", "Acquire::ForceIPv6", "Acquire::IndexTargets::deb::DEP-11")  # fmt: skip
"""Settings of this machine that hold for its hosts too: how to reach mirrors and how far to trust their dates."""


def parse_dump(text: str) -> dict[str, str]:
    """Return ``{setting: value}`` from the output of ``apt-config dump``, single values only."""
    settings = {}
    for line in text.splitlines():
        name, *rest = line.split(" ", 1)
        value = "".join(rest).strip().removesuffix(";")
        if name and not name.endswith("::") and value.startswith('"') and value.endswith('"') and len(value) > 2:
            settings[name] = value[1:-1]
    return settings


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


class AptSettings:
    """The machine's settings of apt that concern downloads.

    :ivar proxy: its http proxy as a URL, or ``None``.
    :ivar options: lines of apt.conf for hosts and image builds, without the http proxy.
    """

    def __init__(self, settings: dict[str, str]) -> None:
        proxy = settings.get("Acquire::http::Proxy", "")
        self.proxy = None if proxy in ("", "DIRECT", "false") else proxy
        self.options = []
        for name, value in sorted(settings.items()):
            if not name.startswith(_TAKEN) or name.lower().startswith(("acquire::http::proxy", "acquire::http::auto")):
                continue
            if name.lower() == "acquire::https::proxy" and _is_loopback(urlsplit(value).hostname):
                continue  # A proxy on this machine's loopback is out of the hosts' reach.
            self.options.append(f'{name} "{value}";')

    @classmethod
    def of_machine(cls, commands: Commands, environment: dict[str, str]) -> AptSettings:
        """Return the settings of this machine: apt's own, else the environment's ``http_proxy``, ``https_proxy``."""
        program = commands.find("apt-config")
        settings = parse_dump(commands.check([program, "dump"]).out) if program else {}
        for scheme in ("http", "https"):
            if environment.get(f"{scheme}_proxy"):
                settings.setdefault(f"Acquire::{scheme}::Proxy", environment[f"{scheme}_proxy"])
        return cls(settings)

    def proxy_for_hosts(self) -> str:
        """Return what apt on a host shall use when the package cache is away: a proxy's URL or ``DIRECT``."""
        if self.proxy is None or _is_loopback(urlsplit(self.proxy).hostname):
            return "DIRECT"
        return self.proxy


def detect_script(address: str, port: int, mirrors: tuple[str, ...], otherwise: str) -> str:
    """Return the script for Acquire::http::Proxy-Auto-Detect (apt.conf(5)): apt calls it with a URL.

    It answers with the package cache for the ``mirrors`` (base URLs) if that accepts a connection, with ``otherwise``
    if not, so that a host goes on installing when the cache is gone.
    """
    patterns = "|".join(shlex.quote(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}") + "/*" for url in mirrors)
    return f"""#!/bin/bash
# Names the proxy for a URL that apt is about to fetch; made by `toolkit host up`.
case "$1" in
{patterns})
  if timeout 1 bash -c ': </dev/tcp/{address}/{port}' 2>/dev/null; then
    echo http://{address}:{port}
    exit 0
  fi ;;
esac
echo {shlex.quote(otherwise)}
"""


def name_servers(text: str) -> list[str]:
    """Return the addresses of the name servers in the text of a resolv.conf."""
    return [words[1] for words in map(str.split, text.splitlines()) if len(words) > 1 and words[0] == "nameserver"]


def resolver(
    paths: tuple[str, ...] = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"),
) -> str:
    """Return the text of a resolv.conf that works on the hosts.

    :raises UnavailableError: this machine's name servers listen on its loopback only.
    """
    texts = [(read_bytes(path) or b"").decode(errors="replace") for path in paths]
    for text in texts:
        servers = name_servers(text)
        if servers and not any(_is_loopback(server.partition("%")[0]) for server in servers):
            return text
    raise UnavailableError(
        f"{paths[0]} names no server that a disposable host can reach: {', '.join(name_servers(texts[0])) or 'none'}.",
        hint="Add a name server that is not on the loopback interface.",
    )
