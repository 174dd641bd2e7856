# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One exchange with servers that no client should trust, over real sockets, and what the sinks send."""

from __future__ import annotations

import base64
import json
import re
import threading

import pytest
from delivery_lab import Rough, answering, certificate, http, request_of

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.figures import Family, Histogram, Sample
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.targets import Access, parse_sink
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    TimeoutExpired,
    UnavailableError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.exchange import MOST_BYTES, Refused, exchange
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.metrics_sinks import influx_lines, otlp_json, send

FAMILIES = [
    Family("runs_total", "counter", "Runs.", [Sample(3, {"playbook": "a b/s,i=te.yml\\", "status": "ok"})], since=100),
    Family("last_run_duration_seconds", "gauge", "Duration.", [Sample(2.5, {"playbook": "x"})], "s"),
    Family("log_size_bytes", "gauge", "Bytes.", [Sample(7)], "By"),
    Family("task_duration_seconds", "histogram", "Tasks.", [Sample(Histogram((0.5, 1.0), (4, 0, 2), 9.25))], "s", 100),
]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ask(server, timeout=5.0, **more):
    return exchange(
        Access(f"http://127.0.0.1:{server.port}", timeout=timeout, **more), "POST", "/x?y=1", b"hi", "text/x"
    )


def test_an_exchange():
    with Rough(answering(http(503, b"later", Retry_After="17", Content_Type="text/plain; charset=utf-8"))) as server:
        answer = ask(server)
    assert (answer.status, answer.body, answer.retry_after, answer.content_type) == (503, b"later", 17, "text/plain")
    head, body = server.received[0]
    assert head.startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert b"Content-Type: text/x" in head
    assert body == b"hi"


def drip(first=b"", block=b"x"):
    def work(server, connection):
        request_of(connection)
        connection.sendall(first)
        while True:
            connection.sendall(block)
            threading.Event().wait(0.02)

    return work


@pytest.mark.parametrize(
    "work",
    [
        drip(),
        drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        lambda _server, connection: threading.Event().wait(30),
    ],
    ids=["status", "headers", "body", "endless", "silent"],
)
def test_a_server_that_takes_its_time_is_left(work):
    with Rough(work) as server, pytest.raises((TimeoutExpired, UnavailableError)) as caught:
        ask(server, timeout=0.3)
    assert caught.value.kind == "timeout" or "headers" in str(caught.value)
    assert server.connections == 1


def test_a_handshake_that_never_ends_is_left():
    with Rough(lambda _server, connection: threading.Event().wait(30)) as server, pytest.raises(TimeoutExpired):
        exchange(Access(f"https://127.0.0.1:{server.port}", timeout=0.3), "POST", "/", b"", "text/plain")


def test_nobody_listens():
    with Rough(answering(b"")) as server:
        port = server.port
    with pytest.raises(UnavailableError, match="refused"):
        exchange(Access(f"http://127.0.0.1:{port}"), "POST", "/", b"", "text/plain")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\n" + b"A" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        http(200, b"x" * (MOST_BYTES + 1)),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20),
    ],
    ids=["nothing", "ssh", "cut", "long header", "no status", "bad chunk", "huge", "huge without length"],
)
def test_an_answer_that_is_none(data):
    with Rough(answering(data)) as server, pytest.raises(UnavailableError) as caught:
        ask(server)
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_a_redirect_is_not_followed_and_no_token_goes_there(tmp_path):
    token = tmp_path / "token"
    token.write_text("t0p-secret-token\n")
    with Rough(answering(http(200))) as other:
        move = http(307, b"", Location=f"http://127.0.0.1:{other.port}/")
        with Rough(answering(move)) as server, pytest.raises(Refused, match="redirect, which is not followed"):
            send(parse_sink(f"otlp+http://127.0.0.1:{server.port}?token_file={token}"), FAMILIES)
        assert b"Authorization: Bearer t0p-secret-token" in server.received[0][0]
        assert other.connections == 0


def test_a_server_that_repeats_the_token_is_not_quoted(tmp_path):
    token = tmp_path / "token"
    token.write_text("t0p-secret-token")
    with Rough(answering(http(401, b"no such token: t0p-secret-token"))) as server, pytest.raises(Refused) as caught:
        send(parse_sink(f"otlp+http://127.0.0.1:{server.port}?token_file={token}"), FAMILIES)
    assert "t0p" not in json.dumps(caught.value.as_dict())
    assert "401" in caught.value.message


def test_what_a_server_says_is_shown_without_control_characters():
    said = b"\x1b[31mred\x00\xff" + b"x" * 5000
    with Rough(answering(http(400, said))) as server, pytest.raises(Refused) as caught:
        send(parse_sink(f"otlp+http://127.0.0.1:{server.port}"), FAMILIES)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("content", [None, "", "two\nlines", "b\u00e4d"])
def test_a_token_file_that_holds_none(tmp_path, content):
    if content is not None:
        (tmp_path / "token").write_text(content)
    with Rough(answering(http(200))) as server, pytest.raises(ValidationError, match="holds no secret"):
        ask(server, token_file=str(tmp_path / "token"))
    assert server.connections == 0


def over_tls(context, work):
    def wrapped(server, connection):
        with context.wrap_socket(connection, server_side=True) as channel:
            work(server, channel)

    return wrapped


def test_a_certificate_is_verified_with_the_ca_that_is_named(tmp_path):
    context = certificate(tmp_path)
    with Rough(over_tls(context, answering(http(200, b"ok")))) as server:
        url = f"https://localhost:{server.port}"
        answer = exchange(Access(url, ca_file=str(tmp_path / "cert.pem")), "POST", "/", b"x", "text/plain")
        assert answer.body == b"ok"
        with pytest.raises(UnavailableError, match="certificate is not trusted"):
            exchange(Access(url), "POST", "/", b"secret", "text/plain")
        other = Access(f"https://127.0.0.1:{server.port}", ca_file=str(tmp_path / "cert.pem"))
        with pytest.raises(UnavailableError, match="certificate is not trusted"):
            exchange(other, "POST", "/", b"secret", "text/plain")
        with pytest.raises(ValidationError, match="ca_file"):
            exchange(Access(url, ca_file=str(tmp_path / "none.pem")), "POST", "/", b"", "text/plain")
        assert [body for _head, body in server.received] == [b"x"]


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with Rough(answering(http(200, b"via"))) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        answer = exchange(Access("http://metrics.invalid:9091"), "POST", "/x", b"", "text/plain")
        assert answer.body == b"via"
        head = proxy.received[0][0]
        assert head.startswith(b"POST http://metrics.invalid:9091/x HTTP/1.1")
        assert base64.b64encode(b"me:p@ss") in head
        assert proxy.connections == 1
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        with pytest.raises(UnavailableError):  # the answer to CONNECT was fine, what follows is no TLS
            exchange(Access("https://metrics.invalid"), "POST", "/x", b"secret", "text/plain")
        head, body = proxy.received[1]
        assert head.startswith(b"CONNECT metrics.invalid:443 HTTP/1.")
        assert base64.b64encode(b"me:p@ss") in head
        assert body == b""


def sent(url, answer=None):
    with Rough(answering(answer or http(200, b"{}"))) as server:
        send(parse_sink(url.replace("PORT", str(server.port))), FAMILIES, "1.2.3")
    [(head, body)] = server.received
    return head.decode().split("\r\n"), body


def test_the_pushgateway_gets_its_group_replaced():
    head, body = sent("pushgateway+http://127.0.0.1:PORT/prefix/")
    assert re.fullmatch(r"PUT /prefix/metrics/job/scripts_toolkit/instance/[^/ ]+ HTTP/1.1", head[0])
    assert b"# TYPE scripts_toolkit_runs_total counter\n" in body
    head, _body = sent("pushgateway+http://127.0.0.1:PORT/metrics/job/mine/site/a", http(202))
    assert head[0] == "PUT /metrics/job/mine/site/a HTTP/1.1"


def test_influxdb_gets_lines(tmp_path):
    (tmp_path / "pw").write_text("geheim1\n")
    url = f"influxdb+http://127.0.0.1:PORT?db=ansible&username=me&password_file={tmp_path}/pw"
    head, body = sent(url, http(204))
    assert head[0] == "POST /write?db=ansible&precision=s HTTP/1.1"
    assert f"Authorization: Basic {base64.b64encode(b'me:geheim1').decode()}" in head
    assert body.count(b"\n") == 4
    head, _body = sent(f"influxdb+http://127.0.0.1:PORT?org=o&bucket=b%20c&token_file={tmp_path}/pw", http(204))
    assert head[0] == "POST /api/v2/write?org=o&bucket=b+c&precision=s HTTP/1.1"
    assert "Authorization: Token geheim1" in head


def test_line_protocol():
    lines = influx_lines(FAMILIES, "web 1", 42).splitlines()
    assert lines == [
        "scripts_toolkit_runs_total,host=web\\ 1,playbook=a\\ b/s\\,i\\=te.yml_,status=ok value=3i 42",
        "scripts_toolkit_last_run_duration_seconds,host=web\\ 1,playbook=x value=2.5 42",
        "scripts_toolkit_log_size_bytes,host=web\\ 1 value=7i 42",
        "scripts_toolkit_task_duration_seconds,host=web\\ 1 0.5=4i,1=4i,+Inf=6i,count=6i,sum=9.25 42",
    ]


def test_otlp_is_sent_as_json(tmp_path):
    head, body = sent("otlp+http://127.0.0.1:PORT")
    assert head[0] == "POST /v1/metrics HTTP/1.1"
    assert "Content-Type: application/json" in head
    assert json.loads(body)["resourceMetrics"][0]["scopeMetrics"][0]["scope"]["version"] == "1.2.3"
    assert sent("otlp+http://127.0.0.1:PORT/custom/path/")[0][0] == "POST /custom/path HTTP/1.1"


def test_otlp_says_what_prometheus_puts_into_names():
    made = otlp_json(FAMILIES, "web1", "1.2.3", 5_000_000_000)
    metrics = made["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert [(metric["name"], metric["unit"]) for metric in metrics] == [
        ("scripts_toolkit.runs", "1"),
        ("scripts_toolkit.last_run_duration", "s"),
        ("scripts_toolkit.log_size", "By"),
        ("scripts_toolkit.task_duration", "s"),
    ]
    [counter] = metrics[0]["sum"]["dataPoints"]
    assert (counter["asInt"], counter["timeUnixNano"]) == ("3", "5000000000")
    assert counter["startTimeUnixNano"] == "100000000000"
    assert metrics[0]["sum"]["isMonotonic"] is True
    [histogram] = metrics[3]["histogram"]["dataPoints"]
    assert (histogram["count"], histogram["bucketCounts"]) == ("6", ["4", "0", "2"])
    assert histogram["explicitBounds"] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        (b"", True),
        (b"{}", True),
        (b"[]", True),
        (b"\xff", True),
        (b'{"partialSuccess": {"errorMessage": "a warning"}}', True),
        (b'{"partialSuccess": {"rejectedDataPoints": "3", "errorMessage": "no\\u001b"}}', False),
        (b'{"partialSuccess": {"rejectedDataPoints": 3}}', False),
    ],
)
def test_data_points_that_were_rejected_are_told(body, fine):
    if fine:
        assert sent("otlp+http://127.0.0.1:PORT", http(200, body))
        return
    with pytest.raises(UnavailableError, match="rejected 3 data points") as caught:
        sent("otlp+http://127.0.0.1:PORT", http(200, body))
    assert caught.value.message.isprintable()
