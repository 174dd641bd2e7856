# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell people: events leave the outbox through programs and webhooks, each at least once and in their order.

A notification that does not arrive stays, and those behind it wait, so that a recovery never overtakes its alert. Hooks
don't wait for each other. This runs in a process of its own, so that nothing here delays a probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from .settings import Hook
from .store import Store

__all__ = ["deliver"]

_MOST_STATUS_LINE = 1 << 16


class _NotArrived(Exception):
    """Says in a few words why; never repeats what was sent."""


async def deliver(store: Store, hooks: Sequence[Hook]) -> tuple[int, list[str]]:
    """Send all that waits. Return how many notifications arrived, and a sentence for each hook that failed."""
    counts = await asyncio.gather(*(_empty(store, hook) for hook in hooks))
    return sum(arrived for arrived, _trouble in counts), [trouble for _arrived, trouble in counts if trouble]


async def _empty(store: Store, hook: Hook) -> tuple[int, str | None]:
    arrived = 0
    while True:
        pending = store.next_for(hook.name)
        if pending is None:
            return arrived, None
        try:
            await asyncio.wait_for(_send(hook, pending.event.encode()), hook.timeout)
        except asyncio.TimeoutError:
            trouble = f"it took longer than {hook.timeout:g} s"
        except _NotArrived as error:
            trouble = str(error)
        except OSError as error:
            # What asyncio makes of a refused connection is for programmers.
            known = error.errno is not None and error.errno > 0
            trouble = os.strerror(error.errno) if known else error.strerror or str(error) or type(error).__name__
        else:
            store.delivered(pending.number)
            arrived += 1
            continue
        store.failed(pending.number, trouble)
        return arrived, f"The hook {hook.name} failed: {trouble}. It is tried again after the next round."


def _send(hook: Hook, event: bytes):
    return _run(hook, event) if hook.command else _post(hook, event)


async def _run(hook: Hook, event: bytes) -> None:
    """Run a program with the event on its standard input; what it prints goes where our output goes."""
    process = await asyncio.create_subprocess_exec(
        *hook.command,
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, **hook.environment},
        start_new_session=True,
    )
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(event)
            await process.stdin.drain()
        process.stdin.close()
        status = await process.wait()
    finally:
        # What it has started ends with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status:
        raise _NotArrived(f"exit status {status}" if status > 0 else f"killed by signal {-status}")


async def _post(hook: Hook, event: bytes) -> None:
    """Send the event by HTTP POST (RFC 9112). No redirect is followed: it would carry secrets to somebody else."""
    parts = urlsplit(hook.webhook)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc,
        "User-Agent": "scripts.toolkit",
        "Content-Type": "application/json",
        **hook.headers,
        "Content-Length": str(len(event)),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=_MOST_STATUS_LINE)
    try:
        writer.write(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + event)
        await writer.drain()
        line = await reader.readline()
    except ValueError:
        raise _NotArrived("it answers with no HTTP") from None
    finally:
        writer.close()
    words = line.decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise _NotArrived("it answers with no HTTP" if line else "it closed the connection without an answer")
    if not 200 <= int(words[1]) < 300:
        told = ", a redirect, which is not followed" if 300 <= int(words[1]) < 400 else ""
        raise _NotArrived(f"it answered with status {int(words[1])}{told}")
