# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one program, feed it, and keep only so much of what it says: memory does not grow with its output."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spoken", "run_bounded"]

_BLOCK = 1 << 16


@dataclass
class Spoken:
    """How a program ended: exit status (128 + signal for one that was killed), what it said as far as it was kept,
    whether it said too much or took too long, and how long it took in seconds."""

    rc: int
    out: bytes
    err: bytes
    too_much: bool
    too_long: bool
    seconds: float


class _Kept:
    """Counts the bytes of both streams and keeps the first ``most`` of them."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.exceeded = asyncio.Event()

    async def read(self, stream: asyncio.StreamReader) -> bytes:
        kept = bytearray()
        while True:
            block = await stream.read(_BLOCK)
            if not block:
                return bytes(kept)
            kept += block[: self.left]
            if len(block) > self.left:
                self.exceeded.set()
            self.left = max(0, self.left - len(block))


def run_bounded(
    argv: Sequence[str],
    stdin: bytes,
    most: int,
    seconds: float,
    kill: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Spoken:
    """Run ``argv`` to its end.

    :param most: bytes of standard output and error together, after which it is killed.
    :param seconds: after which it is killed.
    :param kill: a command that kills all that runs for it; without one, its process gets SIGKILL.
    """
    return asyncio.run(_run(list(argv), stdin, most, seconds, kill, environment))


async def _run(
    argv: list[str],
    stdin: bytes,
    most: int,
    seconds: float,
    kill: Sequence[str] | None,
    environment: Mapping[str, str] | None,
) -> Spoken:
    began = time.monotonic()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env=environment, start_new_session=True
    )
    kept = _Kept(most)
    reading = [asyncio.ensure_future(kept.read(stream)) for stream in (process.stdout, process.stderr)]
    feeding = asyncio.ensure_future(_feed(process.stdin, stdin))
    over = asyncio.ensure_future(kept.exceeded.wait())
    ended = asyncio.ensure_future(_end(process, reading))
    await asyncio.wait([over, ended], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    too_long = not ended.done() and not over.done()
    if not ended.done():
        await _kill(process, kill)
    await ended
    for task in (over, feeding):
        task.cancel()
    await asyncio.gather(over, feeding, return_exceptions=True)
    out, err = (task.result() for task in reading)
    rc = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return Spoken(rc, out, err, kept.exceeded.is_set(), too_long, time.monotonic() - began)


async def _end(process: asyncio.subprocess.Process, reading: list[asyncio.Future]) -> None:
    await asyncio.gather(*reading)
    await process.wait()


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    try:
        stream.write(data)
        await stream.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # It did not want to read all of it.
    stream.close()


async def _kill(process: asyncio.subprocess.Process, kill: Sequence[str] | None) -> None:
    if kill is not None:
        null = asyncio.subprocess.DEVNULL
        killer = await asyncio.create_subprocess_exec(*kill, stdin=null, stdout=null, stderr=null, cwd="/")
        if await killer.wait() == 0:
            return
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
