# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the type tls, and the handshake that https needs too. Chain and name are verified by OpenSSL."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from datetime import datetime, timezone

from ..._core.errors import NotFoundError, ValidationError
from ..targets.patterns import MOST_TEXT
from ..targets.rules import TARGET_PLACE, Rule
from .job import Job
from .talk import Broken, Clock, Seen, Stream, connect

__all__ = ["handshake", "tls", "tls_context", "validity"]

_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def tls_context(rule: Rule, cache: dict[tuple, ssl.SSLContext], verify: bool) -> ssl.SSLContext:
    """Return the settings of a rule's handshakes, made once for equal ones.

    :raises ValidationError: ``ca_path`` has no certificate.
    :raises NotFoundError: ``ca_path`` is not there.
    """
    path, oldest = rule.options["ca_path"], rule.options["min_protocol"]
    key = (path, oldest, verify)
    if key not in cache:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = verify
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        context.minimum_version = _VERSIONS[oldest] if verify else ssl.TLSVersion.MINIMUM_SUPPORTED
        if verify and path:
            try:
                context.load_verify_locations(path)
            except FileNotFoundError:
                raise NotFoundError(
                    f"{rule.name}: ca_path {path} is not there.", hint="Give a file with PEM."
                ) from None
            except ssl.SSLError as error:
                raise ValidationError(
                    f"{rule.name}: ca_path {path} has no certificate: {error.reason}.", hint="Give a file with PEM."
                ) from None
        elif verify:
            context.load_default_certs()
        cache[key] = context
    return cache[key]


async def tls(job: Job) -> Seen:
    """Shake hands and judge the certificate."""
    clock = job.clock()
    connection = await connect(job.address, job.port, clock)
    connected = clock.ms
    stream, facts, degraded = await handshake(job, connection, job.host.text, clock)
    stream.close()
    facts.update(connect_ms=connected, tls_ms=round(clock.ms - connected, 3))
    message = f"{facts['protocol']}, the certificate is valid for {facts['days_left']} days."
    return Seen(message, facts["subject"], clock.ms, facts, degraded)


async def handshake(job: Job, connection: socket.socket, host: str, clock: Clock) -> tuple[Stream, dict, str]:
    """Return a stream over TLS, facts of the certificate, and what is not well with it yet.

    :param host: that the certificate has to be for, unless the rule says otherwise.
    :raises Broken: the layer tls.
    """
    rule = job.rule
    name = rule.options["server_name"]
    name = host if name in (None, TARGET_PLACE) else name
    try:
        stream = await _shake(job, connection, name, clock, rule.options["verify"])
    except Broken as broken:
        if broken.facts.get("verify_code"):
            broken.facts.update(await _facts_of_refused(job, name))
        raise
    facts = _facts(stream.writer.get_extra_info("ssl_object"))
    try:
        return stream, facts, _judge(rule, facts)
    except Broken:
        stream.close()
        raise


async def _shake(job: Job, connection: socket.socket, name: str, clock: Clock, verify: bool) -> Stream:
    context = tls_context(job.rule, job.context.tls, verify)
    opening = asyncio.open_connection(sock=connection, limit=MOST_TEXT, ssl=context, server_hostname=name)
    try:
        reader, writer = await clock.wait(_explained(opening, name), "tls", "TLS handshake")
    except BaseException:
        connection.close()
        raise
    return Stream(reader, writer, clock)


async def _explained(opening, name: str):
    try:
        return await opening
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate for {name} is refused: {error.verify_message}."
        raise Broken("tls", "integrity", message, verify_code=error.verify_code) from None


async def _facts_of_refused(job: Job, name: str) -> dict:
    """Return what a certificate that was not accepted says of itself."""
    clock = job.clock()
    try:
        stream = await _shake(job, await connect(job.address, job.port, clock), name, clock, verify=False)
    except Broken:
        return {}
    stream.close()
    return _facts(stream.writer.get_extra_info("ssl_object"))


def _facts(ended: ssl.SSLObject) -> dict:
    der = ended.getpeercert(binary_form=True) or b""
    told = ended.getpeercert() or {}
    subject = [value for part in told.get("subject", ()) for name, value in part if name == "commonName"]
    try:
        begins, ends = validity(der)
    except (IndexError, ValueError):
        raise Broken("tls", "integrity", "The certificate can't be read.") from None
    left = ends - datetime.now(timezone.utc)
    return {
        "protocol": ended.version(),
        "cipher": (ended.cipher() or ("",))[0],
        "subject": subject[0] if subject else "",
        "names": [value for _kind, value in told.get("subjectAltName", ())],
        "not_before": begins.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": left.days,
        "fingerprint_sha256": hashlib.sha256(der).hexdigest(),
    }


def _judge(rule: Rule, facts: dict) -> str:
    wanted = (rule.options["fingerprint"] or "").replace(":", "").lower()
    if wanted and rule.type != "ssh" and wanted != facts["fingerprint_sha256"]:
        raise Broken("tls", "integrity", "The certificate has another fingerprint than expected.", **facts)
    days = facts["days_left"]
    if rule.options["verify"] and days < rule.options["fail_days"]:
        raise Broken("tls", "integrity", f"The certificate ends in {days} days.", **facts)
    return f"The certificate ends in {days} days." if days < rule.options["warn_days"] else ""


def validity(der: bytes) -> tuple[datetime, datetime]:
    """Return from when until when a certificate is valid (RFC 5280, 4.1).

    :raises ValueError: it is no certificate.
    :raises IndexError: it ends too early.
    """
    certificate = _content(der, 0)[0]
    fields = _content(certificate, 0)[0]
    position = 0
    # The version, which may be absent, has a tag of its own; then the serial number, signature and issuer.
    for _field in range(4 if fields[0] == 0xA0 else 3):
        position = _content(fields, position)[1]
    both = _content(fields, position)[0]
    second = _content(both, 0)[1]
    return _time(both, 0), _time(both, second)


def _content(der: bytes, position: int) -> tuple[bytes, int]:
    """Return the content of the element at a position, and where the next one begins."""
    length = der[position + 1]
    start = position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    return der[start : start + length], start + length


def _time(der: bytes, position: int) -> datetime:
    text = _content(der, position)[0].decode("ascii")
    if der[position] == 0x17:  # UTCTime, of 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
