# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP or TLS conversation with a site at a given address: no name is looked up, nothing is trusted by default."""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import time
from dataclasses import dataclass

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError

__all__ = ["TLS_VERSIONS", "Reply", "can_speak", "client_context", "get", "handshake"]

TLS_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}

_MAX_BODY = 256 * 1024
_AGENT = "scripts.toolkit.site_check"


@dataclass(frozen=True)
class Reply:
    """What a server answered; header names are in lower case, the body has at most 256 KiB."""

    status: int
    headers: dict[str, str]
    body: bytes


def client_context(ca_pem: str | None = None, ca_path: str | None = None) -> ssl.SSLContext:
    """Return a TLS context that verifies name, dates and chain against these authorities, or, given none, nothing.

    A certificate that is itself among the authorities is accepted as its own root.

    :raises ValidationError: the authorities can't be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_pem is None and ca_path is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=ca_path, cadata=ca_pem)
    except (ssl.SSLError, ValueError) as error:
        option = "ca_pem" if ca_path is None else f"ca_path {ca_path}"
        raise ValidationError(f"{option} holds no certificate in PEM: {error}.") from None
    except OSError as error:
        raise ValidationError(f"ca_path {ca_path}: {error.strerror}.") from None
    return context


def handshake(context: ssl.SSLContext, address: str, port: int, domain: str, timeout: float) -> ssl.SSLSocket:
    """Return a TLS connection to ``address`` that names ``domain`` (SNI); the caller closes it.

    :raises OSError: no connection; ``ssl.SSLError`` where TLS failed.
    """
    connection = socket.create_connection((address, port), timeout)
    try:
        return context.wrap_socket(connection, server_hostname=domain)
    except BaseException:
        connection.close()
        raise


def get(connection: socket.socket, domain: str, path: str, timeout: float) -> Reply:
    """Send ``GET path`` for ``domain`` over a connection and return the answer; redirects are not followed.

    :raises OSError: the connection broke, or the answer took longer than three times ``timeout``.
    :raises http.client.HTTPException: the answer is no HTTP.
    """
    end = time.monotonic() + 3 * timeout
    client = http.client.HTTPConnection(domain, timeout=timeout)
    client.auto_open = 0
    client.sock = connection
    try:
        client.request("GET", path, headers={"User-Agent": _AGENT, "Accept": "*/*", "Connection": "close"})
        answer = client.getresponse()
        body = b""
        while len(body) < _MAX_BODY and (block := answer.read1(65536)):
            body += block
            if time.monotonic() > end:
                raise TimeoutError("the answer does not end")
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body[:_MAX_BODY])
    finally:
        client.close()


@functools.cache
def can_speak(version: str) -> bool:
    """Return whether the TLS library here can speak ``version`` at all, found by a handshake with itself.

    Without this, an old version that the library refuses would look like one that the server refuses.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        for context in (server, client):
            context.minimum_version = TLS_VERSIONS["1.0"]
            context.maximum_version = TLS_VERSIONS[version]
            context.set_ciphers("aNULL:@SECLEVEL=0")  # anonymous: needs no certificate
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(down, up, server_hostname="localhost"), server.wrap_bio(up, down, server_side=True)]
        for _turn in range(8):
            for end in list(ends):
                try:
                    end.do_handshake()
                    ends.remove(end)
                except ssl.SSLWantReadError:
                    pass
            if not ends:
                return True
    except (ssl.SSLError, ValueError):
        return False
    return False
