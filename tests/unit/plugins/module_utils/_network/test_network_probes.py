# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each type of rule against a real server on this machine, well and not well."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import threading

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe import verdict
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
from ansible_collections.scripts.toolkit.tests.integration.network.probe_servers import SSH_FINGERPRINT

WELL = [
    ("well", {"type": "tcp"}),
    ("well", {"type": "http", "success_pattern": "^all is well$", "header_patterns": {"x-lab": "^y"}}),
    ("well", {"type": "http", "method": "HEAD"}),
    ("well", {"type": "http", "error_pattern": "broken", "status": [200]}),
    ("error", {"type": "http", "status": [500]}),
    ("loop", {"type": "http"}),
    ("chunked", {"type": "http", "success_pattern": "^all is well$"}),
    ("large", {"type": "http"}),
    ("https", {"type": "https", "server_name": "localhost"}),
    ("https", {"type": "tls", "server_name": "localhost", "min_protocol": "TLSv1.3"}),
    ("self_signed", {"type": "tls", "verify": False}),
    ("ssh", {"type": "ssh", "fingerprint": SSH_FINGERPRINT, "key_type": "ssh-ed25519"}),
    ("ssh", {"type": "ssh", "success_pattern": "Lab_1"}),
    ("smtp", {"type": "smtp", "success_pattern": "STARTTLS"}),
    ("imap", {"type": "imap", "success_pattern": "IDLE"}),
    ("ntp", {"type": "ntp"}),
    ("echo", {"type": "query", "send": "ping\n", "success_pattern": "ping"}),
    ("dns", {"type": "udp"}),
    (None, {"type": "icmp", "count": 3, "interval_ms": 1}),
]
NOT_WELL = [
    ("well", {"type": "http", "header_patterns": {"Server": "."}}, "application", "header server is missing"),
    ("well", {"type": "http", "header_patterns": {"X-Lab": "no"}}, "application", "has no 'no'"),
    ("well", {"type": "http", "error_pattern": "well"}, "application", "error pattern"),
    ("large", {"type": "http", "success_pattern": r"(.+)+!"}, "application", "given up"),
    ("https", {"type": "https"}, "tls", "IP address mismatch"),
    ("https", {"type": "tls", "server_name": "localhost", "fingerprint": "ab"}, "tls", "another fingerprint"),
    ("ssh", {"type": "ssh", "key_type": "ecdsa-sha2-nistp256"}, "application", "no host key"),
    ("ntp", {"type": "ntp", "warn_offset_ms": 0, "fail_offset_ms": 0}, "application", "clock"),
    ("closing", {"type": "query"}, "application", ""),
    ("mute", {"type": "query", "send": "x", "timeout": 0.2}, "application", "No answer"),
    (
        "echo",
        {"type": "query", "send": "ping\n", "success_pattern": "pong", "timeout": 0.3},
        "application",
        "not found",
    ),
    ("mute", {"type": "imap", "timeout": 0.2}, "application", "No IMAP greeting"),
    ("garbage", {"type": "smtp", "timeout": 0.2}, "application", "No SMTP greeting"),
    ("smtp", {"type": "imap"}, "application", "greets with"),
    ("dns", {"type": "udp", "send": "not a question", "timeout": 0.2}, "tcp", "No answer"),
    (None, {"type": "icmp", "fail_ms": 0.0001}, "route", "are the most"),
]


@pytest.mark.parametrize(("port", "rule"), WELL)
def test_what_is_well_is_ok(servers, port, rule):
    check = servers.check(port, rule)
    assert (check["status"], check["score"], check["kind"]) == ("ok", 100, None), check
    assert check["latency_ms"] is None or check["latency_ms"] >= 0


@pytest.mark.parametrize(("port", "rule", "layer", "says"), NOT_WELL)
def test_what_is_not_well_fails_with_its_layer(servers, port, rule, layer, says):
    check = servers.check(port, rule)
    assert (check["status"], check["layer"], check["score"]) == ("failed", layer, 0), check
    assert says in check["message"]


@pytest.mark.parametrize(
    ("port", "rule", "says"),
    [
        ("slow", {"type": "http", "warn_ms": 100}, "100 are well"),
        ("soon", {"type": "tls", "server_name": "localhost"}, "ends in 5 days"),
        ("https", {"type": "https", "server_name": "localhost", "warn_days": 200}, "ends in"),
        ("ntp", {"type": "ntp", "warn_offset_ms": 0}, "clock"),
    ],
)
def test_what_will_not_be_well_is_degraded(servers, port, rule, says):
    check = servers.check(port, rule)
    assert (check["status"], check["score"], check["kind"]) == ("degraded", 70, None)
    assert says in check["message"]


def test_phases_of_a_request_are_told(servers):
    facts = servers.check("https", {"type": "https", "server_name": "localhost"})["facts"]
    phases = ("connect_ms", "tls_ms", "first_byte_ms", "body_ms")
    assert all(facts[phase] >= 0 for phase in phases)
    assert sum(facts[phase] for phase in phases) <= facts["total_ms"]
    assert facts["dns_ms"] is None
    assert facts["certificate"]["days_left"] == 90


def test_redirects_are_followed_as_far_as_allowed(servers):
    check = servers.check("loop", {"type": "http", "max_redirects": 2})
    assert "More than 2 redirects" in check["message"]
    assert servers.check("loop", {"type": "http"})["facts"]["status"] == 302


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ({"query": "www.lab.test", "record": "A", "expect": ["10.77.2.2"]}, ["10.77.2.2"]),
        ({"query": "www.lab.test", "expect": ["fd77:2:0::2", "10.77.2.2"]}, ["10.77.2.2", "fd77:2::2"]),
        ({"query": "10.77.2.2", "record": "PTR", "expect": ["WWW.lab.test."]}, ["www.lab.test"]),
        ({"query": "bücher.lab.test", "record": "A"}, ["10.77.2.2"]),
        ({"query": "lab.test", "record": "MX", "expect": ["10 www.lab.test"]}, ["10 www.lab.test"]),
    ],
)
def test_name_servers_are_asked(servers, rule, answers):
    check = servers.check("dns", {"type": "dns", "server": "{TARGET}", **rule})
    assert check["status"] == "ok", check
    assert check["facts"]["answers"] == answers


@pytest.mark.parametrize(
    ("rule", "kind", "says"),
    [
        ({"query": "www.lab.test", "record": "A", "expect": ["10.77.2.3"]}, "integrity", "expected was 10.77.2.3"),
        ({"query": "www.lab.test", "record": "A", "dnssec": True}, "integrity", "DNSSEC"),
        ({"query": "www.lab.test", "record": "MX"}, "not_found", "no such record"),
        ({"query": "nobody.lab.test", "record": "A"}, "not_found", "NXDOMAIN"),
        ({"query": "broken.lab.test", "record": "A"}, "unavailable", "SERVFAIL"),
        ({"query": "silent.lab.test", "record": "A", "timeout": 0.3}, "timeout", "does not answer"),
    ],
)
def test_wrong_answers_of_name_servers_are_told(servers, rule, kind, says):
    check = servers.check("dns", {"type": "dns", "server": "{TARGET}", **rule})
    assert (check["status"], check["layer"], check["kind"]) == ("failed", "dns", kind)
    assert says in check["message"]


def test_ports_that_are_open_are_told(servers):
    closed = servers.check("well", {"type": "tcp", "ports": [servers.ports["well"], 1]})
    assert closed["facts"] == {"open": [servers.ports["well"]], "closed": [1]}
    assert closed["status"] == "failed"
    enough = servers.check("well", {"type": "tcp", "ports": [servers.ports["well"], 1], "require": "any"})
    assert enough["status"] == "ok"


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (["printf", "%s", "at {TARGET}!"], "ok", "ended with 0"),
        (["false"], "failed", "exit status 1"),
        (["/nothing/here", "{TARGET}"], "failed", "can't be started"),
        (["sleep", "60"], "failed", "No end of sleep within 0.3 s"),
        ([sys.executable, "-c", "print('x' * 10_000_000)"], "failed", "not found"),
    ],
)
def test_commands_are_judged(servers, argv, status, says):
    rule = {"type": "command", "argv": argv, "success_pattern": r"^at 127\.0\.0\.1!$", "timeout": 0.3}
    if "print" in argv[-1]:
        rule["timeout"] = 20
    check = servers.check(None, rule)
    assert (check["status"], check["layer"]) == (status, "application")
    assert says in check["message"]
    assert len(check["facts"].get("output", "")) <= 1000


def test_a_command_that_is_late_is_ended(servers, tmp_path):
    mark = tmp_path / "mark"
    argv = ["sh", "-c", f"sleep 1; touch {mark}"]
    assert servers.check(None, {"type": "command", "argv": argv, "timeout": 0.2})["status"] == "failed"
    asyncio.run(asyncio.sleep(1.2))
    assert not mark.exists()


def test_the_score_can_be_computed_again_from_the_result(servers):
    options = {
        "targets": [
            {"name": "a", "address": "127.0.0.1", "port": servers.ports["well"], "type": "service", "info": {"x": 1}},
            {"name": "b", "address": "127.0.0.1", "port": servers.ports["error"], "type": "service"},
        ],
        "rules": [{"type": "tcp"}, {"type": "http", "weight": 3, "remediation": "Restart it."}],
        "timeout": 2.0,
        "concurrency": 10,
        "minimum_score": 50,
    }
    result = probe(options)
    assert [outcome["score"] for outcome in result["outcomes"]] == [100, 25]
    for outcome in result["outcomes"]:
        weights = [check["weight"] for check in outcome["checks"]]
        scores = [verdict.SCORES[check["status"]] for check in outcome["checks"]]
        assert outcome["score"] == sum(w * s for w, s in zip(weights, scores)) // sum(weights)
    assert (result["score"], result["grade"]) == (62, "FAIR")
    assert result["counts"] == {"targets": 2, "ok": 1, "degraded": 0, "failed": 1}
    assert result["failed"]
    assert result["error"]["item"] == "b"
    assert result["error"]["hint"] == "Restart it."
    assert result["outcomes"][0]["info"] == {"x": 1}
    assert result["changed"] is False


def test_a_thousand_targets_fit_into_few_descriptors(servers):
    """They listen on 127.0.0.1 only, so one is well and all others refuse."""
    targets = [
        {"address": f"127.0.{number // 250}.{number % 250 + 1}", "port": servers.ports["well"]}
        for number in range(1000)
    ]
    rules = [
        {"type": "tcp", "applies_to": ["host"], "default_ports": [servers.ports["well"]]},
        {"type": "command", "argv": ["true"], "targets": [target["address"] for target in targets[:100]]},
    ]
    wanted = {"targets": targets, "rules": rules, "timeout": 20.0, "concurrency": 512}
    program = (
        "import json, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe\n"
        "json.dump(probe(json.load(sys.stdin)), sys.stdout)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    outcomes = json.loads(done.stdout)["outcomes"]
    assert outcomes[0]["fault"] is None
    assert [outcome["fault"]["layer"] for outcome in outcomes[1:]] == ["tcp"] * 999
    assert "Too many open files" not in done.stdout


def test_nothing_is_probed_if_something_is_wrong(servers):
    """The bad rule comes last; no connection was made before it was found."""
    options = {
        "targets": [{"address": "127.0.0.1", "port": servers.ports["well"]}],
        "rules": [
            {"type": "command", "argv": ["touch", str(servers.directory / "ran")]},
            {"type": "http", "success_pattern": "(("},
        ],
        "timeout": 2.0,
        "concurrency": 10,
    }
    with pytest.raises(ToolkitError):
        probe(options)
    assert not (servers.directory / "ran").exists()


@pytest.mark.parametrize("kind", ["http", "ssh", "smtp", "imap", "tls", "query"])
def test_whatever_a_server_sends_is_a_result(kind):
    """Noise that begins as it should, cut anywhere; whatever it is, the call ends with a check that failed or not."""
    begins = {
        "http": [
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 \xc2\xb2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: \xc2\xb2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        ],
        "ssh": [
            b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x14",
            b"SSH-2.0-x\r\n\0\0\0\x02\xff\x14",
            b"SSH-2.0-x\r\n\xff\xff\xff\xff",
        ],
        "smtp": [b"220-\xff\r\n220 x\r\n250\r\n"],
        "imap": [b"* OK\r\na1\r\n"],
    }
    noise = random.Random(kind)
    answers = [start + noise.randbytes(noise.randrange(60)) for start in begins.get(kind, [b""]) for _time in range(15)]

    def serve(listener):
        for answer in answers:
            connection, _address = listener.accept()
            with connection:
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        rule = {"type": kind, "timeout": 0.3}
        for _answer in answers:
            target = {"address": "127.0.0.1", "port": port}
            result = probe({"targets": [target], "rules": [rule], "timeout": 1.0, "concurrency": 5})
            assert result["outcomes"][0]["checks"][0]["status"] in ("ok", "failed")
        thread.join()
