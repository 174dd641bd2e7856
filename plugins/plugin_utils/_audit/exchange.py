# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP exchange with a server that may be slow, dead or hostile.

It takes a limited time in all, from the connection to the answer's last byte, reads a limited answer, follows no
redirect (that would carry a token to somebody else) and verifies TLS. Proxies are those of the environment.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ...module_utils._audit.metrics.targets import Access
from ...module_utils._core.errors import TimeoutExpired, UnavailableError, ValidationError
from ...module_utils._core.files import read_bytes

__all__ = ["MOST_BYTES", "Answer", "Refused", "exchange", "refusal"]

MOST_BYTES = 64 << 10
"""Of an answer, no more is read; a longer one is an error."""

_CONTROL = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Answer:
    """The answer of a server: ``retry_after`` is in seconds, where it asked for that."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: int | None = None


class Refused(UnavailableError):
    """The server answered, but with no success; ``status`` is that of HTTP, ``retry_after`` in seconds or ``None``."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.status = answer.status
        self.retry_after = answer.retry_after


class _Https(http.client.HTTPSConnection):
    """Like its parent, but the socket is known before the handshake, so that a deadline can cut that short too."""

    def __init__(self, *args, context: ssl.SSLContext, **kwargs) -> None:
        super().__init__(*args, context=context, **kwargs)
        self._tls = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        name = self._tunnel_host or self.host
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=name, do_handshake_on_connect=False)
        self.sock.do_handshake()


def _secret(path: str) -> str:
    try:
        data = read_bytes(path)
    except OSError as error:
        raise ValidationError(f"{path} can't be read: {error.strerror}.") from error
    word = (data or b"").decode("utf-8", "replace").strip()
    if not word or not word.isprintable() or not word.isascii():
        raise ValidationError(f"{path} holds no secret of one line.", hint="Write the token or password into it.")
    return word


def _authorization(access: Access, scheme: str) -> str | None:
    if access.token_file:
        return f"{scheme} {_secret(access.token_file)}"
    if access.username is not None:
        pair = f"{access.username}:{_secret(access.password_file or '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    return None


def _tls(access: Access) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValidationError(f"ca_file={access.ca_file} can't be used: {error}.") from error


def _connection(access: Access, parts: SplitResult) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Return the connection, what precedes the path in the request line, and headers for a proxy."""
    headers: dict[str, str] = {}
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = None if proxy_bypass(host) else getproxies().get(parts.scheme)
    through = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    if through and through.username is not None:
        pair = f"{unquote(through.username)}:{unquote(through.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    if parts.scheme == "https":
        near = (through.hostname or "", through.port or 80) if through else (host, port)
        connection = _Https(*near, timeout=access.timeout, context=_tls(access))
        if through:
            connection.set_tunnel(host, port, headers)
        return connection, "", {}
    if through:
        near = (through.hostname or "", through.port or 80)
        return http.client.HTTPConnection(*near, timeout=access.timeout), f"http://{parts.netloc}", headers
    return http.client.HTTPConnection(host, port, timeout=access.timeout), "", headers


def exchange(
    access: Access, method: str, target: str, body: bytes, content_type: str, scheme: str = "Bearer"
) -> Answer:
    """Send ``body`` and return the answer, whatever its status.

    :param target: path and query.
    :param scheme: how the server calls its tokens.
    :raises TimeoutExpired: it took longer than ``access.timeout`` in all.
    :raises UnavailableError: no connection, no TLS that can be trusted, no answer in HTTP, or too long a one.
    :raises ValidationError: the token, password or CA file can't be used.
    """
    parts = urlsplit(access.url)
    authorization = _authorization(access, scheme)
    connection, before, headers = _connection(access, parts)
    headers.update({"Content-Type": content_type, "User-Agent": "scripts.toolkit", "Connection": "close"})
    if authorization:
        headers["Authorization"] = authorization
    late = threading.Event()
    channel: list[socket.socket] = []

    def cut() -> None:
        late.set()
        # The connection forgets its socket when it hands it to the answer.
        for held in [*channel, connection.sock]:
            with contextlib.suppress(OSError):
                if held is not None:
                    socket.socket.shutdown(held, socket.SHUT_RDWR)

    deadline = threading.Timer(access.timeout, cut)
    deadline.daemon = True
    deadline.start()
    where = f"{parts.scheme}://{parts.netloc}"
    try:
        connection.connect()
        channel.append(connection.sock)
        connection.request(method, before + target, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read(MOST_BYTES + 1)
        missing = response.length if len(data) <= MOST_BYTES else 0
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise TimeoutExpired(f"{where} did not answer within {access.timeout:g} s.") from None
        raise UnavailableError(f"{where}: {_told(error)}.") from None
    finally:
        deadline.cancel()
        connection.close()
    if late.is_set():
        raise TimeoutExpired(f"{where} did not end its answer within {access.timeout:g} s.")
    if missing:
        raise UnavailableError(f"{where} broke off its answer.")
    if len(data) > MOST_BYTES:
        raise UnavailableError(f"{where} answered with more than {MOST_BYTES} bytes.")
    again = response.headers.get("Retry-After", "")
    seconds = int(again) if re.fullmatch(r"[0-9]{1,6}", again) else None
    return Answer(response.status, data, response.headers.get_content_type(), seconds)


def _told(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _CONTROL.sub(" ", str(error) or type(error).__name__)[:200]


def refusal(access: Access, answer: Answer) -> Refused:
    """Return the error for an answer that is no success, with the beginning of what the server says."""
    parts = urlsplit(access.url)
    text = f"{parts.scheme}://{parts.netloc} answered with status {answer.status}"
    if 300 <= answer.status < 400:
        text += ", a redirect, which is not followed"
    said = _CONTROL.sub(" ", answer.body[:1000].decode("utf-8", "replace")).strip()[:200]
    for path in (access.token_file, access.password_file):
        secret = _secret(path) if path else ""
        said = "" if secret and secret[:8] in said else said  # it repeats what it was sent
    return Refused(f"{text}: {said}" if said else f"{text}.", answer)
