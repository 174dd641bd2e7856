# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the types http and https: one request, its redirects, and how long each phase took."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from ..._core.errors import ValidationError
from ..targets.addresses import Address, Endpoint, parse_endpoint
from ..targets.patterns import MOST_TEXT
from .job import Job
from .talk import Broken, Clock, Seen, Stream, connect
from .tls import handshake

__all__ = ["http", "speaks_tls"]

_REDIRECTS = (301, 302, 303, 307, 308)
_USUAL = {"http": 80, "https": 443}


@dataclass
class _Response:
    status: int
    headers: dict[str, str]
    body: str


def speaks_tls(job: Job) -> bool:
    """Return whether the rule asks its target by https: by its type, or as the target's URL says."""
    return job.rule.type == "https" or (job.target.endpoint.scheme == "https" and not job.rule.options["ports"])


async def http(job: Job) -> Seen:
    """Ask for a page and judge the answer."""
    options = job.rule.options
    clock = job.clock()
    secure = speaks_tls(job)
    endpoint = Endpoint(
        job.host, job.port, "https" if secure else "http", options["path"] or job.target.endpoint.path or "/"
    )
    facts: dict = {"dns_ms": job.dns_ms}
    address: Address = job.address
    redirects: list[str] = []
    while True:
        response, degraded = await _ask(job, endpoint, address, clock, facts)
        facts["status"] = response.status
        if response.status not in _REDIRECTS or "location" not in response.headers or not options["max_redirects"]:
            break
        job.need(len(redirects) < options["max_redirects"], f"More than {options['max_redirects']} redirects.", **facts)
        endpoint = _next(job, endpoint, response.headers["location"])
        redirects.append(_url(endpoint))
        host = endpoint.host
        address = host if isinstance(host, Address) else (await job.context.resolver.lookup(host))[0]
    facts.update(url=_url(endpoint), redirects=redirects, total_ms=clock.ms, bytes=len(response.body))
    _judge(job, endpoint, response, facts)
    message = f"{options['method']} {_url(endpoint)} answers {response.status} in {clock.ms:g} ms."
    return Seen(message, response.body, clock.ms, facts, degraded)


def _judge(job: Job, endpoint: Endpoint, response: _Response, facts: dict) -> None:
    wanted = job.rule.options["status"]
    right = response.status in wanted if wanted else 200 <= response.status < 400
    job.need(right, f"{job.rule.options['method']} {_url(endpoint)} answers {response.status}.", **facts)
    for name, pattern in job.rule.headers.items():
        job.need(name in response.headers, f"The header {name} is missing.", **facts)
        job.need(pattern.found_in(response.headers[name]), f"The header {name} has no {pattern.text!r}.", **facts)


async def _ask(job: Job, endpoint: Endpoint, address: Address, clock: Clock, facts: dict) -> tuple[_Response, str]:
    began = clock.ms
    connection = await connect(address, endpoint.port, clock)
    connected = clock.ms
    facts["connect_ms"] = round(connected - began, 3)
    degraded = ""
    if endpoint.scheme == "https":
        stream, facts["certificate"], degraded = await handshake(job, connection, endpoint.host.text, clock)
        facts["tls_ms"] = round(clock.ms - connected, 3)
    else:
        stream = await Stream.over(connection, clock)
    try:
        asked = clock.ms
        stream.write(_request(job.rule.options["method"], endpoint))
        status = await _status(stream)
        facts["first_byte_ms"] = round(clock.ms - asked, 3)
        headers = await _headers(stream)
        body = b"" if job.rule.options["method"] == "HEAD" or status in (204, 304) else await _body(stream, headers)
        facts["body_ms"] = round(clock.ms - asked - facts["first_byte_ms"], 3)
    finally:
        stream.close()
    return _Response(status, headers, body.decode("utf-8", "replace")), degraded


def _request(method: str, endpoint: Endpoint) -> bytes:
    host = f"[{endpoint.host.text}]" if ":" in endpoint.host.text else endpoint.host.text
    port = "" if endpoint.port == _USUAL[endpoint.scheme] else f":{endpoint.port}"
    lines = (
        f"{method} {endpoint.path} HTTP/1.1",
        f"Host: {host}{port}",
        "User-Agent: scripts.toolkit",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _status(stream: Stream) -> int:
    line = await stream.line("application", "HTTP answer")
    parts = line.split(" ", 2)
    if not line.startswith("HTTP/1.") or len(parts) < 2 or not re.fullmatch(r"[0-9]{3}", parts[1]):
        raise Broken("application", "integrity", f"The answer is no HTTP: {line[:80]!r}.")
    return int(parts[1])


async def _headers(stream: Stream) -> dict[str, str]:
    headers: dict[str, str] = {}
    size = 0
    while True:
        line = await stream.line("application", "HTTP header")
        if not line:
            return headers
        size += len(line)
        if size > MOST_TEXT:
            raise Broken("application", "integrity", f"The HTTP header is longer than {MOST_TEXT} bytes.")
        name, _colon, value = line.partition(":")
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()


async def _body(stream: Stream, headers: dict[str, str]) -> bytes:
    """Return the first bytes of the body, as many as patterns are searched in."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(stream)
    length = headers.get("content-length", "")
    known = bool(re.fullmatch(r"[0-9]{1,18}", length))
    wanted = min(int(length), MOST_TEXT) if known else MOST_TEXT
    body = b""
    while len(body) < wanted:
        more = await stream.some("application", "HTTP body")
        if not more:
            if known:
                raise Broken("application", "integrity", f"The body ends after {len(body)} of {length} bytes.")
            break
        body += more
    return body[:wanted]


async def _chunks(stream: Stream) -> bytes:
    body = b""
    while len(body) < MOST_TEXT:
        line = (await stream.line("application", "HTTP chunk")).partition(";")[0].strip()
        if not re.fullmatch(r"[0-9A-Fa-f]{1,16}", line):
            raise Broken("application", "integrity", f"A chunk has no right size: {line[:20]!r}.")
        size = int(line, 16)
        if size == 0:
            break
        body += await stream.exactly(min(size, MOST_TEXT), "application", "HTTP body")
        if size > MOST_TEXT:
            break
        await stream.line("application", "HTTP chunk")
    return body[:MOST_TEXT]


def _next(job: Job, endpoint: Endpoint, location: str) -> Endpoint:
    try:
        return parse_endpoint(urljoin(_url(endpoint), location), "Location")
    except ValidationError as error:
        raise Broken(job.rule.layer, "integrity", f"The redirect can't be followed. {error.message}") from None


def _url(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host.text}]" if ":" in endpoint.host.text else endpoint.host.text
    port = "" if endpoint.port == _USUAL[endpoint.scheme] else f":{endpoint.port}"
    return f"{endpoint.scheme}://{host}{port}{endpoint.path}"
