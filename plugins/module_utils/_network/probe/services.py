# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the types smtp, imap, ntp, query and command."""

from __future__ import annotations

import asyncio
import os
import struct
import time

from ..targets.patterns import MOST_TEXT
from ..targets.rules import TARGET_PLACE
from .job import Job
from .ports import ask_udp
from .talk import Broken, Seen, Stream, connect

__all__ = ["command", "imap", "ntp", "query", "smtp"]

_LAYER = "application"
_NTP_EPOCH = 2208988800
"""Seconds from 1900, where NTP begins, to 1970."""


async def smtp(job: Job) -> Seen:
    """Read the greeting and what the server says to EHLO (RFC 5321)."""
    clock = job.clock()
    stream = await Stream.over(await connect(job.address, job.port, clock), clock)
    try:
        greeting = await _replies(stream, "SMTP greeting")
        job.need(greeting[0].startswith("220"), f"The server greets with {greeting[0][:80]!r}.")
        stream.write(b"EHLO scripts.toolkit.invalid\r\n")
        offered = await _replies(stream, "answer to EHLO")
        job.need(offered[0].startswith("250"), f"The server answers {offered[0][:80]!r} to EHLO.")
        stream.write(b"QUIT\r\n")
        await stream.some(_LAYER, "answer to QUIT")
    finally:
        stream.close()
    facts = {"banner": greeting[0], "extensions": [line[4:] for line in offered[1:]]}
    return Seen(greeting[0], "\n".join([*greeting, *offered]), clock.ms, facts)


async def imap(job: Job) -> Seen:
    """Read the greeting and the capabilities (RFC 3501)."""
    clock = job.clock()
    stream = await Stream.over(await connect(job.address, job.port, clock), clock)
    try:
        greeting = await stream.line(_LAYER, "IMAP greeting")
        job.need(greeting.startswith(("* OK", "* PREAUTH")), f"The server greets with {greeting[:80]!r}.")
        stream.write(b"a1 CAPABILITY\r\n")
        lines = [greeting]
        while not lines[-1].startswith("a1 ") and len(lines) < 100:
            lines.append(await stream.line(_LAYER, "answer to CAPABILITY"))
        job.need(lines[-1].startswith("a1 OK"), f"The server answers {lines[-1][:80]!r} to CAPABILITY.")
        stream.write(b"a2 LOGOUT\r\n")
    finally:
        stream.close()
    capabilities = [word for line in lines if line.startswith("* CAPABILITY") for word in line.split()[2:]]
    return Seen(greeting, "\n".join(lines), clock.ms, {"banner": greeting, "capabilities": capabilities})


async def ntp(job: Job) -> Seen:
    """Ask for the time (RFC 5905, client mode of version 4) and judge how far this host's is from it."""
    options = job.rule.options
    mark = os.urandom(8)  # in the place of our time, so that only an answer to this packet has it
    sent = time.time()
    data, latency = await ask_udp(job, job.port, b"\x23" + b"\0" * 39 + mark, "NTP answer")
    arrived = time.time()
    job.need(len(data) >= 48 and data[0] & 7 == 4 and data[24:32] == mark, "The answer is no NTP answer to us.")
    stratum, leap = data[1], data[0] >> 6
    received, answered = (_ntp_time(data, offset) for offset in (32, 40))
    offset_ms = round(((received - sent) + (answered - arrived)) / 2 * 1000, 3)
    facts = {"stratum": stratum, "leap": leap, "offset_ms": offset_ms}
    job.need(
        leap != 3 and 1 <= stratum <= 15, f"The server is not synchronised (stratum {stratum}).", "unavailable", **facts
    )
    message = f"This host's clock is {abs(offset_ms):g} ms {'behind' if offset_ms > 0 else 'ahead'}."
    job.need(abs(offset_ms) < options["fail_offset_ms"], message, **facts)
    return Seen(message, message, latency, facts, message if abs(offset_ms) >= options["warn_offset_ms"] else "")


async def query(job: Job) -> Seen:
    """Send what the rule says and read until its pattern is found, or the server ends or falls silent."""
    options = job.rule.options
    data = options["send"].encode()
    if options["transport"] == "udp":
        answer, latency = await ask_udp(job, job.port, data, "answer")
        return Seen(f"{len(answer)} bytes came.", answer.decode("utf-8", "replace"), latency)
    clock = job.clock()
    stream = await Stream.over(await connect(job.address, job.port, clock), clock)
    try:
        stream.write(data)
        answer = await stream.some(_LAYER, "answer")
        while (
            job.rule.success
            and len(answer) < MOST_TEXT
            and not job.rule.success.found_in(answer.decode("utf-8", "replace"))
        ):
            try:
                more = await stream.some(_LAYER, "answer")
            except Broken:
                break
            if not more:
                break
            answer += more
    finally:
        stream.close()
    job.need(bool(answer), "The server closed the connection without a word.", "unavailable")
    return Seen(f"{len(answer)} bytes came.", answer.decode("utf-8", "replace"), clock.ms)


async def command(job: Job) -> Seen:
    """Run a program; it has to end with the exit status 0."""
    clock = job.clock()
    endpoint = job.target.endpoint
    # The address passed the same check as every target's: it begins with no dash.
    place = job.target.address if endpoint.scheme else endpoint.host.text
    argv = [word.replace(TARGET_PLACE, place) for word in job.rule.options["argv"]]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"}
    try:
        process = await job.context.start(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Broken(_LAYER, "dependency", f"{argv[0]} can't be started: {error.strerror}.") from None
    try:
        text = await clock.wait(_output(process), _LAYER, f"end of {argv[0]}")
        status = await process.wait()
    except BaseException:
        _kill(process)
        await process.wait()
        raise
    output = text.decode("utf-8", "replace")
    facts = {"rc": status, "output": output[-1000:]}
    job.need(status == 0, f"{argv[0]} ended with the exit status {status}.", **facts)
    return Seen(f"{argv[0]} ended with 0.", output, clock.ms, facts)


async def _replies(stream: Stream, what: str) -> list[str]:
    """Return the lines of one reply: all but the last have a dash after their number."""
    lines: list[str] = []
    while len(lines) < 100:
        lines.append(await stream.line(_LAYER, what))
        if lines[-1][3:4] != "-":
            break
    return lines


def _ntp_time(data: bytes, offset: int) -> float:
    seconds, fraction = struct.unpack_from("!II", data, offset)
    return seconds - _NTP_EPOCH + fraction / 2**32


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """Return the first of what a program writes; the rest is read and dropped, so that it does not block."""
    kept = b""
    while True:
        data = await process.stdout.read(MOST_TEXT)
        if not data:
            return kept
        kept = (kept + data)[:MOST_TEXT]


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
