# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorder: turns an event into one canonical line with the common fields and hands it to the sink.

Events in, lines out. It knows neither Ansible nor files: ``events`` makes the details, a sink (``journal``) takes the
line. What is the same for every line of a run is encoded once.
"""

from __future__ import annotations

import os
import pwd
import socket
import time
from binascii import hexlify
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import urandom
from typing import Protocol

from .canonical import cut, encode, pieces, plain
from .redact import Redactor

__all__ = ["DEFAULT_LINE_LIMIT", "MAX_LINE", "MIN_LINE_LIMIT", "Identity", "Recorder", "Sink", "new_run_id"]

MAX_LINE = 65535
"""Bytes of the longest line without its newline: a tlog entry bundle counts them in 16 bits."""

DEFAULT_LINE_LIMIT = 16384
MIN_LINE_LIMIT = 8192
_PATH_LIMIT = 1024


class Sink(Protocol):
    """Takes finished lines."""

    def write(self, line: bytes) -> None:
        """Take one line with its newline; it is recorded on return."""

    def sync(self) -> None:
        """Make what was taken durable."""

    def close(self) -> None:
        """Make what was taken durable and take no more."""


def new_run_id() -> str:
    """Return a UUID version 7 (RFC 9562): sorts by time of creation, 74 random bits."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number & (1 << 128) - 1:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass(frozen=True)
class Identity:
    """Who runs what where: the fields that are the same in every line of a run."""

    run_id: str
    user: str
    uid: int
    hostname: str
    pid: int
    ppid: int
    working_directory: str
    command_line: str

    @classmethod
    def of_this_process(cls, command_line: str) -> Identity:
        """Return the identity of this process under a new run id."""
        uid = os.geteuid()
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        try:
            directory = os.getcwd()
        except OSError:
            directory = "(removed)"
        return cls(
            run_id=new_run_id(),
            user=user,
            uid=uid,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            ppid=os.getppid(),
            working_directory=directory,
            command_line=command_line,
        )


class Recorder:
    """Writes events of one run to its sink.

    :param script: the playbook; see :meth:`set_script`.
    :param line_limit: bytes of a line, 8,192 to 65,535; longer details are truncated and flagged.
    :param redactor: replaces learned secrets, wherever they stand.
    :param overflow: gets details that are too large and the bytes that there is room for; it returns smaller ones.
    """

    def __init__(
        self,
        identity: Identity,
        script: str,
        sink: Sink,
        line_limit: int = DEFAULT_LINE_LIMIT,
        redactor: Redactor | None = None,
        overflow: Callable[[dict, int], dict] | None = None,
    ) -> None:
        self.identity = identity
        self.recorded = 0
        self.lost = 0
        self._sink = sink
        self._limit = min(max(line_limit, MIN_LINE_LIMIT), MAX_LINE)
        self._redactor = redactor
        self._overflow = overflow
        self._second = -1
        self._stamp = b""
        self.set_script(script)

    def set_script(self, script: str) -> None:
        """Name the playbook that the following events belong to."""
        who = self.identity
        if self._redactor is not None:
            script = self._redactor.known(script)
            known = self._redactor.known
            who = replace(who, command_line=known(who.command_line), working_directory=known(who.working_directory))
        directory = cut(_text(who.working_directory), _PATH_LIMIT)
        before = {"command_line": _text(who.command_line)}
        between = {"hostname": _text(who.hostname), "pid": who.pid, "ppid": who.ppid, "run_id": who.run_id}
        after = {"script": cut(_text(script), _PATH_LIMIT)}
        end = {"uid": who.uid, "user": _text(who.user), "working_directory": directory}
        # The keys of a line in order: between these pieces stand details, event type, salt, second and millisecond.
        parts = (
            encode(before)[:-1] + b',"details":',
            b',"event_type":"',
            b'",' + encode(between)[1:-1] + b',"salt":"',
            b'",' + encode(after)[1:-1] + b',"timestamp":"',
            b".",
            b'Z",' + encode(end)[1:-1] + b"}\n",
        )
        literal = [part.replace(b"%", b"%%") for part in parts]
        self._form = b"%s".join(literal[:-1]) + b"%03d" + literal[-1]
        # With the salt, the seconds, the milliseconds; without the newline, which does not count.
        self._overhead = sum(len(part) for part in parts) + 32 + 19 + 3 - 1

    def record(self, event_type: str, details: dict, limit: int | None = None) -> None:
        """Record one event; it has reached the sink on return.

        :param event_type: an upper-case word.
        :param details: see ``canonical.encode``; too many bytes are cut from it and ``truncated: true`` is set.
        :param limit: bytes of this line, if not those of the run.
        :raises OSError: the sink could not take it; it counts as lost.
        """
        self.record_all(((event_type, details),), limit)

    def record_all(self, events: Sequence[tuple[str, dict]], limit: int | None = None) -> None:
        """Record several events in one write; see :meth:`record`."""
        # ansible-core forks for each task and host, and after a fork the first write to a page of memory copies it.
        # Counting a reference is such a write. So this costs what it touches, functions and objects alike, more than
        # what it does, and the same is true of all that is called for each result.
        now = time.time_ns() // 1_000_000
        second = now // 1000
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode("ascii")
        redactor, limit, lines = self._redactor, limit or self._limit, b""
        for event_type, details in events:
            try:
                encoded = "".join(pieces(details, 0)).encode()
            except (TypeError, ValueError, RecursionError):
                encoded = encode(details)
            if redactor is not None and redactor.learned and redactor.knows(encoded.decode()):
                # Wherever it came from: what the vault holds goes no further.
                encoded = encode(plain(details, redactor.known))
            if len(encoded) + self._overhead + len(event_type) > limit:
                encoded = self._smaller(event_type, details, limit)
            salt = hexlify(urandom(16))
            lines += self._form % (encoded, event_type.encode(), salt, self._stamp, now % 1000)
        try:
            self._sink.write(lines)
        except OSError:
            self.lost += len(events)
            raise
        self.recorded += len(events)

    def _smaller(self, event_type: str, details: dict, limit: int) -> bytes:
        room = limit - self._overhead - len(event_type)
        if self._overflow is not None:
            details = self._overflow(details, room)
        small = plain(details, self._redactor.known) if self._redactor is not None else details
        encoded = encode(small)
        return encoded if len(encoded) <= room else encode(shrink(small, room))

    def sync(self) -> None:
        """Make what is recorded durable."""
        self._sink.sync()

    def close(self) -> None:
        """Make what is recorded durable and release the sink."""
        self._sink.close()


def shrink(details: Mapping, room: int) -> dict:
    """Return a copy of ``details`` whose canonical JSON takes at most ``room`` bytes, with ``truncated: true``.

    The largest values go first: strings are cut, structures replaced by a note of their size.
    """
    small = {key: plain(value) for key, value in details.items()}
    small["truncated"] = True
    sizes = {key: len(encode({key: value})) for key, value in small.items()}
    for key in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        excess = len(encode(small)) - room
        if excess <= 0:
            break
        value = small[key]
        if isinstance(value, str):
            small[key] = cut(value, max(sizes[key] - len(key) - 7 - excess, 64))
        elif isinstance(value, (dict, list)):
            small[key] = f"({sizes[key] - len(key) - 5} bytes left out)"
    while len(encode(small)) > room and len(small) > 1:
        largest = max((key for key in small if key != "truncated"), key=lambda name: len(encode({name: small[name]})))
        del small[largest]
    return small


def _text(value: str) -> str:
    """Return ``value`` as text that UTF-8 can spell."""
    return str(plain(value)).encode("utf-8", "replace").decode("utf-8")
