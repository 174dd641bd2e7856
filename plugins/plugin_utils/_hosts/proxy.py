# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package cache: an http proxy for apt that fetches each package once for all hosts.

It is started by path with the interpreter alone, so it uses nothing but the standard library. Files whose address
says that they never change (packages, and lists by their hash) are kept; all else passes through. Hosts that want
the same file at the same time share one download. A file gets its name only when it is complete, so that kill -9
leaves no half package.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import http.server
import json
import os
import re
import sys
import tempfile
import threading
import time
from urllib.parse import unquote, urlsplit

__all__ = ["Cache", "cache_path", "main"]

_BLOCK = 1 << 16
_TIMEOUT = 30
_LOG_LIMIT = 8 << 20
_IMMUTABLE = re.compile(r"/by-hash/SHA256/[0-9a-f]{64}$|\.(deb|udeb|ddeb|dsc|orig\.tar\.\w+|debian\.tar\.\w+)$")
_BY_HASH = re.compile(r"/by-hash/SHA256/([0-9a-f]{64})$")
_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade"}  # fmt: skip
"""Headers that concern one connection only, RFC 9110 section 7.6.1."""


def cache_path(url: str) -> str | None:
    """Return where below the cache the file of ``url`` lies; ``None`` when it may change and is not kept."""
    parts = urlsplit(url)
    segments = parts.path.split("/")[1:]
    if parts.query or not parts.hostname or not _IMMUTABLE.search(parts.path):
        return None
    if any(unquote(segment) in ("", ".", "..") or "\0" in unquote(segment) for segment in segments):
        return None
    return os.path.join(parts.netloc.lower().replace(":", "_"), *segments)


class _Failure(Exception):
    """The mirror gave no file; carries its status and reason for the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Download:
    """A file on its way into the cache; readers follow it while it grows."""

    def __init__(self) -> None:
        self.change = threading.Condition()
        self.file = None
        self.length: int | None = None
        self.written = 0
        self.done = False
        self.failure: _Failure | None = None

    def tell(self, **news) -> None:
        with self.change:
            for name, value in news.items():
                setattr(self, name, value)
            self.change.notify_all()

    def await_more_than(self, size: int) -> bool:
        """Wait until there is more to read than ``size`` bytes, or the end; return False when nothing comes."""
        with self.change:
            return bool(
                self.change.wait_for(lambda: self.written > size or self.done or self.failure, timeout=2 * _TIMEOUT)
            )


class Cache:
    """Fetches and keeps.

    :param directory: where the files are kept.
    :param upstream: URL of an http proxy to go through, or ``None``.
    """

    def __init__(self, directory: str, upstream: str | None = None) -> None:
        self.directory = directory
        self._upstream = urlsplit(upstream) if upstream else None
        self._lock = threading.Lock()
        self._underway: dict[str, _Download] = {}
        self._log_path = os.path.join(directory, "log.jsonl")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for name in os.listdir(directory):
            if name.startswith(".part-"):
                os.unlink(os.path.join(directory, name))
        if os.path.exists(self._log_path) and os.path.getsize(self._log_path) > _LOG_LIMIT:
            os.unlink(self._log_path)

    def log(self, client: str, url: str, source: str, size: int) -> None:
        """Append to the log: ``source`` is cache, mirror, shared (another host's download) or passed."""
        entry = {"time": round(time.time(), 3), "client": client, "url": url, "source": source, "bytes": size}
        with self._lock, open(self._log_path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(entry) + "\n")

    def request(self, method: str, url: str, headers: dict[str, str]) -> tuple:
        """Send a request towards the mirror; return the connection and the response."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
        headers = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        headers["Host"] = parts.netloc
        if self._upstream:
            connection = http.client.HTTPConnection(
                self._upstream.hostname, self._upstream.port or 3128, timeout=_TIMEOUT
            )
            target = url
            if self._upstream.username:
                pair = f"{unquote(self._upstream.username)}:{unquote(self._upstream.password or '')}"
                headers["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT)
        connection.request(method, target, headers=headers)
        return connection, connection.getresponse()

    def join(self, url: str, path: str, headers: dict[str, str]) -> tuple[_Download | None, bool]:
        """Return the download of ``url``, begun here (True) or already under way (False); ``None`` when it is kept."""
        with self._lock:
            if os.path.exists(os.path.join(self.directory, path)):
                return None, False
            if path in self._underway:
                return self._underway[path], False
            download = self._underway[path] = _Download()
        threading.Thread(target=self._fetch, args=(download, url, path, headers), daemon=True).start()
        return download, True

    def _fetch(self, download: _Download, url: str, path: str, headers: dict[str, str]) -> None:
        wanted = {name: value for name, value in headers.items() if name.lower() in ("user-agent", "accept")}
        temporary = None
        try:
            connection, response = self.request("GET", url, wanted)
            if response.status != 200:
                raise _Failure(response.status, response.reason)
            length = response.getheader("Content-Length")
            descriptor, temporary = tempfile.mkstemp(prefix=".part-", dir=self.directory)
            digest = hashlib.sha256()
            written = 0
            with os.fdopen(descriptor, "wb") as handle:
                download.tell(file=temporary, length=int(length) if length else None)
                while block := response.read(_BLOCK):
                    handle.write(block)
                    handle.flush()
                    digest.update(block)
                    written += len(block)
                    download.tell(written=written)
            connection.close()
            named = _BY_HASH.search(url)
            if (length and written != int(length)) or (named and named[1] != digest.hexdigest()):
                raise _Failure(502, f"The mirror sent {written} bytes that are not the file")
            target = os.path.join(self.directory, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(temporary, target)
            # Under the lock, so that a request finds either the file or the download.
            with self._lock:
                del self._underway[path]
            download.tell(file=target, length=written, done=True)
        except (_Failure, OSError, http.client.HTTPException) as error:
            failure = error if isinstance(error, _Failure) else _Failure(504, f"{type(error).__name__}: {error}")
            with self._lock:
                self._underway.pop(path, None)
            download.tell(failure=failure)
            # Readers have the file open; its name can go.
            if temporary and os.path.exists(temporary):
                time.sleep(1)
                os.unlink(temporary)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    cache: Cache
    allowed: tuple[str, ...]

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """Say nothing: what was served is in the cache's log."""

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _refuse(self, status: int, reason: str) -> None:
        body = (reason + "\n").encode()
        self.send_response(status, "".join(c for c in reason if " " <= c <= "~")[:200])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self) -> None:
        url = self.path
        parts = urlsplit(url)
        if url == "/":
            self._refuse(200, "scripts.toolkit package cache")
        elif parts.scheme != "http" or parts.netloc.lower() not in self.allowed:
            self._refuse(403, "This proxy serves the hosts' Debian mirrors only")
        else:
            path = cache_path(url)
            try:
                if path and self.command == "GET":
                    self._keep(url, path)
                else:
                    self._pass(url)
            except (OSError, http.client.HTTPException) as error:
                self.close_connection = True
                if not getattr(self, "_begun", False):
                    self._refuse(504, f"{type(error).__name__}: {error}")
        self._begun = False

    def _head(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        self._begun = True
        self.send_response_only(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _keep(self, url: str, path: str) -> None:
        target = os.path.join(self.cache.directory, path)
        download, mine = self.cache.join(url, path, dict(self.headers))
        if download is None:
            with open(target, "rb") as handle:
                size = os.fstat(handle.fileno()).st_size
                os.utime(target)
                self.cache.log(self.client_address[0], url, "cache", size)
                self._head(200, "OK", [("Content-Length", str(size)), ("X-Cache", "hit")])
                while block := handle.read(_BLOCK):
                    self.wfile.write(block)
            return
        with download.change:
            download.change.wait_for(lambda: download.file or download.failure, timeout=2 * _TIMEOUT)
            failure, file = download.failure, download.file
        if failure or not file:
            self._refuse(failure.status if failure else 504, failure.reason if failure else "The mirror is silent")
            return
        try:
            handle = open(file, "rb")  # pylint: disable=consider-using-with
        except FileNotFoundError:
            handle = open(target, "rb")  # It was complete and got its name in between.
        with handle:
            self._follow(download, handle, url, "mirror" if mine else "shared")

    def _follow(self, download: _Download, handle, url: str, source: str) -> None:
        sent = 0
        logged = False
        if download.length is None:
            self.close_connection = True
            self._head(200, "OK", [("Connection", "close")])
        else:
            self._head(200, "OK", [("Content-Length", str(download.length)), ("X-Cache", "miss")])
        while True:
            if not download.await_more_than(sent):
                self.close_connection = True
                return
            finished, failed = download.done, download.failure
            while block := handle.read(_BLOCK):
                sent += len(block)
                if sent == download.length and not logged:
                    # Before the last byte leaves: whoever has the file finds it in the log.
                    self.cache.log(self.client_address[0], url, source, sent)
                    logged = True
                self.wfile.write(block)
            if failed:
                self.close_connection = True  # The client sees a short body.
                return
            if finished and sent >= (download.length or 0):
                if not logged:
                    self.cache.log(self.client_address[0], url, source, sent)
                return

    def _pass(self, url: str) -> None:
        connection, response = self.cache.request(self.command, url, dict(self.headers))
        with_body = self.command == "GET" and response.status not in (204, 304)
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in _HOP]
        if with_body and response.getheader("Content-Length") is None:
            self.close_connection = True
            headers.append(("Connection", "close"))
        self.cache.log(self.client_address[0], url, "passed", response.length or 0 if with_body else 0)
        self._head(response.status, response.reason, headers)
        while with_body and (block := response.read(_BLOCK)):
            self.wfile.write(block)
        if with_body and response.length:
            self.close_connection = True
        connection.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is no event."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _trim(directory: str, limit: int) -> None:
    """Remove the files that were used least recently until at most ``limit`` bytes are kept."""
    found = []
    for place, _below, names in os.walk(directory):
        for name in names:
            if name != "log.jsonl":
                status = os.stat(os.path.join(place, name))
                found.append((status.st_mtime, status.st_size, os.path.join(place, name)))
    total = sum(size for _used, size, _path in found)
    for _used, size, path in sorted(found):
        if total <= limit:
            return
        os.unlink(path)
        total -= size


def main(argv: list[str] | None = None) -> int:
    """Serve until killed, or until the file ``--while`` is gone."""
    parser = argparse.ArgumentParser(description="package cache of the disposable hosts")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--allow", action="append", default=[], help="host[:port] of a mirror")
    parser.add_argument("--limit", type=int, default=8 << 30, help="bytes to keep")
    parser.add_argument("--while", dest="guard", help="end when this file is gone")
    options = parser.parse_args(argv)
    cache = Cache(options.directory, os.environ.get("TOOLKIT_UPSTREAM_PROXY") or None)
    _trim(options.directory, options.limit)
    handler = type("Handler", (_Handler,), {"cache": cache, "allowed": tuple(m.lower() for m in options.allow)})
    with _Server((options.address, options.port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while not options.guard or os.path.exists(options.guard):
            time.sleep(5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
