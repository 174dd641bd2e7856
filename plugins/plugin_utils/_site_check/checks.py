# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is checked of a site and of a host's ports, one function a check."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError, ValidationError

from .conversation import TLS_VERSIONS, Reply, can_speak, client_context, get, handshake
from .ports import FILTERED, OPEN, REFUSED, probe_ports

__all__ = ["Check", "Failed", "Site", "check_all"]

_WORKERS = 16
_SILENCE = 1.0
"""Seconds for which a port that must be closed has to be silent where no open one tells how fast."""
_LEAST_SILENCE = 0.2
_PATIENCE = 20
"""Where open ports answer, closed ones get this many times as long."""
_PAUSE = 0.5


@dataclass(frozen=True)
class Site:
    """A site and what is expected of it; see the options of the module ``site_check``."""

    domain: str
    https: bool = True
    https_port: int = 443
    http_port: int = 80
    path: str = "/"
    status: int = 200
    fingerprint_sha256: str | None = None
    ca_pem: str | None = None
    ca_path: str | None = None
    http_redirect: bool = True
    hsts: int = 0
    http2: bool = True
    min_tls: str = "1.2"
    php_path: str | None = None


@dataclass
class Check:
    """One thing that was proved, refuted or, with ``tested`` false, could not be tested from here."""

    name: str
    target: str
    ok: bool = False
    tested: bool = True
    detail: str = ""
    hint: str = ""
    work: Callable[[], str] = field(default=lambda: "", repr=False)

    def as_dict(self) -> dict:
        """Return the check as a part of the result."""
        told = {"name": self.name, "target": self.target, "ok": self.ok, "tested": self.tested, "detail": self.detail}
        return {**told, "hint": self.hint} if self.hint else told

    def run(self) -> None:
        """Do it and note how it came out."""
        try:
            self.detail, self.ok, self.tested, self.hint = self.work(), True, True, ""
        except NotTested as reason:
            self.detail, self.ok, self.tested, self.hint = str(reason), True, False, ""
        except Failed as failure:
            self.detail, self.ok, self.hint = failure.message, False, failure.hint or ""
        except ssl.SSLError as error:
            self.detail, self.ok = f"TLS failed: {_reason(error)}", False
            self.hint = "See the web server's error log; it may lack the site's certificate."
        except http.client.HTTPException as error:
            self.detail, self.ok = f"the answer is no HTTP: {type(error).__name__} {error}".rstrip(), False
        except OSError as error:
            self.detail, self.ok = f"no connection: {error.strerror or error}", False
            self.hint = "Is the web server running, and does the firewall allow the port?"


class Failed(ToolkitError):
    """The outcome is not what it should be."""

    kind = "integrity"


class NotTested(Exception):
    """This can't be proved from here; the message says why."""


class _SiteChecks:
    def __init__(self, address: str, site: Site, timeout: float) -> None:
        self._address = address
        self._site = site
        self._timeout = timeout

    def checks(self) -> list[Check]:
        site = self._site
        wanted: list[tuple[str, Callable[[], str]]] = [("status", self._status)]
        if site.https:
            wanted.append(("certificate", self._certificate))
            wanted.append(("min_tls", self._min_tls))
            if site.http2:
                wanted.append(("http2", self._http2))
            if site.hsts:
                wanted.append(("hsts", self._hsts))
            if site.http_redirect:
                wanted.append(("http_redirect", self._redirect))
        if site.php_path:
            wanted.append(("php", self._php))
        return [Check(name, site.domain, work=work) for name, work in wanted]

    def _tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        return handshake(context, self._address, self._site.https_port, self._site.domain, self._timeout)

    def _get(self, path: str) -> Reply:
        site = self._site
        if site.https:
            connection: socket.socket = self._tls(client_context())
        else:
            connection = socket.create_connection((self._address, site.http_port), self._timeout)
        with contextlib.closing(connection):
            return get(connection, site.domain, path, self._timeout)

    def _status(self) -> str:
        reply = self._get(self._site.path)
        if reply.status != self._site.status:
            raise Failed(
                f"GET {self._site.path} answers {reply.status}, not {self._site.status}",
                hint="See the web server's error log on the host.",
            )
        return f"GET {self._site.path} answers {reply.status}"

    def _certificate(self) -> str:
        site = self._site
        with contextlib.closing(self._tls(client_context())) as connection:
            der = connection.getpeercert(binary_form=True) or b""
        seen = hashlib.sha256(der).hexdigest()
        if site.fingerprint_sha256:
            wanted = site.fingerprint_sha256.replace(":", "").lower()
            if seen != wanted:
                raise Failed(
                    f"the server presents the certificate {seen}, expected is {wanted}",
                    hint="Another virtual host answers for this domain, or the server was not reloaded.",
                )
        # Against itself, a certificate still has to fit the name and the dates.
        trusted = site.ca_pem or site.ca_path
        own = None if trusted else ssl.DER_cert_to_PEM_cert(der)
        try:
            self._tls(client_context(site.ca_pem or own, site.ca_path)).close()
        except ssl.SSLCertVerificationError as error:
            raise Failed(
                f"the certificate {seen} is not valid for {site.domain}: {error.verify_message}",
                hint="Renew the certificate with this domain among its names, and reload the web server.",
            ) from None
        issuer = "and chain" if trusted else "(the issuer was not asked for)"
        return f"name and dates {issuer} are right, SHA-256 {seen}"

    def _min_tls(self) -> str:
        least = self._site.min_tls
        context = client_context()
        context.minimum_version = TLS_VERSIONS[least]
        with contextlib.closing(self._tls(context)) as connection:
            spoken = connection.version()
        names = list(TLS_VERSIONS)
        below = names[names.index(least) - 1] if names.index(least) else None
        if below is None:
            return f"{spoken} is spoken"
        if not can_speak(below):
            raise NotTested(
                f"{spoken} is spoken; whether TLS {below} is refused can't be tested: it is not built in here"
            )
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = TLS_VERSIONS["1.0"]
        context.maximum_version = TLS_VERSIONS[below]
        try:
            with contextlib.closing(self._tls(context)) as connection:
                old = connection.version()
        except (ssl.SSLError, ConnectionResetError):
            return f"{spoken} is spoken, TLS {below} is refused"
        raise Failed(f"the server still speaks {old}", hint=f"Set ssl_protocols to TLSv{least} and newer.")

    def _http2(self) -> str:
        context = client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with contextlib.closing(self._tls(context)) as connection:
            chosen = connection.selected_alpn_protocol()
        if chosen != "h2":
            raise Failed(f"the server chooses {chosen or 'no protocol'} when offered h2", hint="Switch http2 on.")
        return "the server chooses h2"

    def _hsts(self) -> str:
        header = self._get(self._site.path).headers.get("strict-transport-security", "")
        found = re.search(r"max-age\s*=\s*\"?(\d+)", header, re.IGNORECASE)
        if not found or int(found.group(1)) < self._site.hsts:
            raise Failed(
                f"Strict-Transport-Security is {header!r}, max-age has to be {self._site.hsts} or more",
                hint="Set the header with the parameter always, so that error pages carry it too.",
            )
        return header

    def _redirect(self) -> str:
        site = self._site
        with contextlib.closing(socket.create_connection((self._address, site.http_port), self._timeout)) as connection:
            reply = get(connection, site.domain, site.path, self._timeout)
        target = reply.headers.get("location", "")
        port = "" if site.https_port == 443 else f":{site.https_port}"
        wanted = f"https://{site.domain}{port}{site.path}"
        if reply.status not in (301, 308):
            raise Failed(
                f"http answers {reply.status}, not 301 or 308 to {wanted}", hint="Redirect permanently to https."
            )
        if target.lower() != wanted.lower():
            raise Failed(f"http redirects to {target!r}, not to {wanted}", hint="Keep the host and the path.")
        return f"http answers {reply.status} to {target}"

    def _php(self) -> str:
        path = str(self._site.php_path)
        nonce = secrets.token_hex(16)
        reply = self._get(f"{path}{'&' if '?' in path else '?'}nonce={nonce}")
        body = reply.body.decode("utf-8", "replace")
        if body == hashlib.sha256(nonce.encode("ascii")).hexdigest() + "\n":
            return f"{path} computed the SHA-256 of a fresh nonce"
        if "<?php" in body or "<?=" in body:
            raise Failed(f"{path} is served as source text, PHP does not execute", hint="Hand *.php to php-fpm.")
        if reply.status != 200:
            raise Failed(f"{path} answers {reply.status}", hint="See the logs of the web server and of php-fpm.")
        raise Failed(
            f"{path} answers something else than the SHA-256 of the nonce",
            hint="It has to print hash('sha256', $_GET['nonce']) and a newline, and must not be cached.",
        )


def _reason(error: ssl.SSLError) -> str:
    return str(error.reason or error.strerror or error).replace("_", " ").lower()


class _Ports:
    """Looks at all ports in one go, and again only when asked to."""

    def __init__(self, address: str, open_ports: Iterable[int], closed_ports: Iterable[int], timeout: float) -> None:
        self._address = address
        self._open = sorted(set(open_ports))
        self._closed = sorted(set(closed_ports))
        self._timeout = timeout
        self.state: dict[int, str] = {}
        self.alive = False
        both = set(self._open) & set(self._closed)
        if both:
            raise ValidationError(f"closed_ports: {sorted(both)} are in open_ports too.", hint="Name each port once.")

    def look(self) -> None:
        began = time.monotonic()
        self.state = probe_ports(self._address, self._open, self._timeout)
        slowest = time.monotonic() - began
        silence = _SILENCE
        if self.state and FILTERED not in self.state.values():
            silence = max(_LEAST_SILENCE, _PATIENCE * slowest)
        # Two connections, for one SYN or its answer may be lost.
        self.state.update(probe_ports(self._address, self._closed, min(self._timeout, silence), connections=2))

    def checks(self) -> list[Check]:
        return [
            *(Check("open", f"port {port}", work=self._must_be_open(port)) for port in self._open),
            *(Check("closed", f"port {port}", work=self._must_be_closed(port)) for port in self._closed),
        ]

    def _must_be_open(self, port: int) -> Callable[[], str]:
        def work() -> str:
            if self.state[port] != OPEN:
                raise Failed(
                    f"the port is {self.state[port]}, it has to be open",
                    hint="Does the service listen on this address, and does the firewall allow the port?",
                )
            return "open"

        return work

    def _must_be_closed(self, port: int) -> Callable[[], str]:
        def work() -> str:
            if ipaddress.ip_address(self._address.split("%")[0]).is_loopback:
                raise NotTested("not tested: from the host itself a firewall does not show")
            state = self.state[port]
            if state == OPEN:
                raise Failed(
                    "the port is open, it has to be closed", hint="Close it in the firewall or stop the service."
                )
            if not self.alive and not any(answer in (OPEN, REFUSED) for answer in self.state.values()):
                raise Failed(
                    f"nothing answers at {self._address}, so a silent port proves nothing", hint="Check address."
                )
            return "no answer (filtered)" if state == FILTERED else state

        return work


def check_all(
    address: str,
    sites: Iterable[Site],
    open_ports: Iterable[int],
    closed_ports: Iterable[int],
    timeout: float,
    wait: float,
) -> list[Check]:
    """Return all checks, done. Those that fail are done again until they hold or ``wait`` seconds are over.

    :param address: a numeric address.
    :param timeout: seconds for each connection.
    """
    end = time.monotonic() + wait
    ports = _Ports(address, open_ports, closed_ports, timeout)
    port_checks = ports.checks()
    site_checks = [check for site in sites for check in _SiteChecks(address, site, timeout).checks()]
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="site_check") as pool:
        while True:
            running = [pool.submit(check.run) for check in site_checks if not check.ok]
            again = [check for check in port_checks if not check.ok]
            if again:
                ports.look()
            for done in running:
                done.result()
            ports.alive = any(check.ok for check in site_checks)
            for check in again:
                check.run()
            if all(check.ok for check in (*site_checks, *port_checks)) or time.monotonic() + _PAUSE > end:
                return [*site_checks, *port_checks]
            time.sleep(_PAUSE)
