# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package cache against a real mirror in this process."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import proxy

BODY = bytes(range(256)) * 2000


class Mirror(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests: list
    gate: threading.Event

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.requests.append((self.path, dict(self.headers)))
        body, length = BODY, len(BODY)
        if "missing" in self.path:
            self.send_error(404)
            return
        if "slow" in self.path:
            self.gate.wait(10)
        if "short" in self.path:
            body = BODY[:1000]
        if self.headers.get("If-Modified-Since"):
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        if "unsized" not in self.path:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
        if "short" in self.path:
            self.close_connection = True


def serve(handler) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def mirror():
    handler = type("TestMirror", (Mirror,), {"requests": [], "gate": threading.Event()})
    with serve(handler) as server:
        handler.address = f"127.0.0.1:{server.server_port}"
        yield handler
        server.shutdown()


@pytest.fixture
def port(mirror, tmp_path):
    names = {"cache": proxy.Cache(str(tmp_path / "kept")), "allowed": (mirror.address,)}
    with serve(type("Handler", (proxy._Handler,), names)) as server:
        yield server.server_port
        server.shutdown()


def get(port: int, url: str, method: str = "GET", headers: dict | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, url, headers=headers or {})
    response = connection.getresponse()
    try:
        return response.status, response.read()
    finally:
        connection.close()


def log(tmp_path: Path) -> list[dict]:
    path = tmp_path / "kept" / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "kept").rglob("*") if path.is_file() and path.name != "log.jsonl"]


def test_a_package_is_fetched_once(mirror, port, tmp_path):
    url = f"http://{mirror.address}/debian/pool/main/n/nginx_1%2b2_amd64.deb"
    assert [get(port, url) for _time in range(3)] == [(200, BODY)] * 3
    assert len(mirror.requests) == 1
    first, *rest = log(tmp_path)
    assert first["source"] == "mirror"
    # A client has the last byte a moment before the download counts as kept.
    assert {event["source"] for event in rest} <= {"cache", "shared"}
    assert [event["bytes"] for event in (first, *rest)] == [len(BODY)] * 3
    assert [path.read_bytes() for path in kept(tmp_path)] == [BODY]


def test_hosts_that_ask_at_once_share_the_download(mirror, port, tmp_path):
    url = f"http://{mirror.address}/pool/slow_1_all.deb"
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(port, url))) for _number in range(5)]
    for thread in threads:
        thread.start()
    mirror.gate.set()
    for thread in threads:
        thread.join()
    assert answers == [(200, BODY)] * 5
    assert len(mirror.requests) == 1
    assert len(log(tmp_path)) == 5


def test_an_unsized_answer_is_kept_when_complete(mirror, port):
    url = f"http://{mirror.address}/pool/unsized_1_all.deb"
    assert [get(port, url), get(port, url)] == [(200, BODY)] * 2
    assert len(mirror.requests) == 1


def test_a_short_body_is_never_kept(mirror, port, tmp_path):
    url = f"http://{mirror.address}/pool/short_1_all.deb"
    for _time in range(2):
        try:
            status, _body = get(port, url)
        except http.client.IncompleteRead:
            continue  # The answer had begun when the mirror fell silent.
        assert status == 502
    assert len(mirror.requests) == 2
    assert not [path for path in kept(tmp_path) if not path.name.startswith(".part-")]


def test_lists_by_hash_are_kept_only_if_they_match(mirror, port):
    good = f"http://{mirror.address}/dists/x/by-hash/SHA256/{hashlib.sha256(BODY).hexdigest()}"
    bad = f"http://{mirror.address}/dists/x/by-hash/SHA256/{hashlib.sha256(b'other').hexdigest()}"
    for url in (good, good):
        assert get(port, url) == (200, BODY)
    assert len(mirror.requests) == 1
    # The client checks it itself, but the cache must not serve it for ever: soon the mirror is asked again. (At once
    # the first download may still be under way.)
    deadline = time.monotonic() + 10
    while len(mirror.requests) < 3:
        assert time.monotonic() < deadline
        status, body = get(port, bad)
        # Who joins a download at the moment in which it proves wrong is told so.
        assert body == BODY if status == 200 else status == 502


def test_what_may_change_passes_through(mirror, port, tmp_path):
    url = f"http://{mirror.address}/debian/dists/bookworm/InRelease"
    assert get(port, url) == (200, BODY)
    assert get(port, url, headers={"If-Modified-Since": "Sat, 21 Nov 2026 00:00:00 GMT"}) == (304, b"")
    assert [event["source"] for event in log(tmp_path)] == ["passed", "passed"]
    assert kept(tmp_path) == []


def test_a_mirror_s_refusal_is_passed_on_and_forgotten(mirror, port):
    url = f"http://{mirror.address}/pool/missing_1_all.deb"
    assert [get(port, url)[0], get(port, url)[0]] == [404, 404]
    assert len(mirror.requests) == 2


def test_a_dead_mirror_is_a_gateway_error(mirror, port, tmp_path):
    handler = {"cache": proxy.Cache(str(tmp_path / "other")), "allowed": ("127.0.0.1:9",)}
    with serve(type("Handler", (proxy._Handler,), handler)) as server:
        assert get(server.server_port, "http://127.0.0.1:9/pool/a_1_all.deb")[0] == 504
        assert get(server.server_port, "http://127.0.0.1:9/InRelease")[0] == 504
        server.shutdown()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.deb", "ftp://mirror/x.deb", "/x.deb", "http:///x.deb"])
def test_only_the_mirrors_are_served(mirror, port, url):
    assert get(port, url)[0] == 403
    assert mirror.requests == []


def test_the_machine_s_proxy_is_used(mirror, tmp_path):
    cache = proxy.Cache(str(tmp_path / "via"), f"http://me:se%20cret@{mirror.address}")
    with serve(type("Handler", (proxy._Handler,), {"cache": cache, "allowed": ("deb.example.com",)})) as server:
        assert get(server.server_port, "http://deb.example.com/pool/a_1_all.deb") == (200, BODY)
        server.shutdown()
    ((path, headers),) = mirror.requests
    assert path == "http://deb.example.com/pool/a_1_all.deb"
    assert headers["Host"] == "deb.example.com"
    assert headers["Proxy-Authorization"] == "Basic bWU6c2UgY3JldA=="


def test_killed_downloads_are_removed_and_old_files_make_room(tmp_path):
    (tmp_path / ".part-x").write_bytes(b"half")
    cache = proxy.Cache(str(tmp_path))
    for age, name in enumerate(["new.deb", "middle.deb", "old.deb"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    cache.log("host", "url", "cache", 1)
    proxy._trim(str(tmp_path), 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "middle.deb", "new.deb"]


@given(st.text(st.sampled_from("./%2eabc0"), max_size=30))
def test_nothing_is_kept_outside_the_directory(path):
    found = proxy.cache_path(f"http://mirror/{path}.deb")
    if found is not None:
        parts = Path(found).parts
        assert parts[0] == "mirror"
        assert ".." not in parts
        assert not Path(found).is_absolute()
