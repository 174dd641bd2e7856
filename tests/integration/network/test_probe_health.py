# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network that is well: no false alarm, and the same answers as other tools give."""

from __future__ import annotations

import json
import re

import pytest
from probe_servers import PORTS, SSH_FINGERPRINT

pytestmark = pytest.mark.usefixtures("healed")
HOST = "10.77.2.2"
ROUNDS = 1000

_ROUNDS = """
import collections, json, sys
from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
wanted = json.load(sys.stdin)
found = collections.Counter()
for _round in range(wanted.pop("rounds")):
    result = probe(wanted)
    found["targets"] += result["counts"]["targets"]
    found["ok"] += result["counts"]["ok"]
    found["faults"] += sum(outcome["fault"] is not None for outcome in result["outcomes"])
    found["score"] += result["score"]
json.dump(found, sys.stdout)
"""


def one(lab, address, rule, port=None, **options):
    """Return the check of one rule on one target."""
    target = {"address": address, "type": "service", "port": port and PORTS[port]}
    trusted = {"ca_path": str(lab.directory / "ca.pem"), **rule}
    (outcome,) = lab.probe(targets=[target], rules=[trusted], **options)["outcomes"]
    return outcome["checks"][0]


def test_a_healthy_mesh_raises_no_alarm(lab):
    targets = [
        {"name": "server", "address": HOST},
        {"name": "server, IPv6", "address": "fd77:2::2"},
        {"name": "router", "address": "10.77.1.1"},
        {"name": "site", "address": "www.lab.test", "type": "service", "port": PORTS["https"]},
        {"name": "IDN", "address": "bücher.lab.test", "type": "service", "port": PORTS["well"]},
        {"name": "IPv6 only", "address": "six.lab.test", "type": "service", "port": PORTS["https"]},
    ]
    rules = [
        {"name": "ping", "type": "icmp"},
        {"name": "dns", "type": "dns", "applies_to": ["service"]},
        {"name": "port", "type": "tcp", "applies_to": ["service"]},
        {"name": "web", "type": "http", "targets": ["IDN"], "success_pattern": "all is well"},
        {"type": "https", "targets": ["site", "IPv6 only"], "ca_path": str(lab.directory / "ca.pem")},
        {"name": "ssh", "type": "ssh", "targets": ["server", "server, IPv6"], "fingerprint": SSH_FINGERPRINT},
    ]
    wanted = {"targets": targets, "rules": rules, "timeout": 5.0, "concurrency": 512, "rounds": ROUNDS}
    found = json.loads(lab.python(_ROUNDS, input=json.dumps(wanted)))
    assert found == {"targets": 6 * ROUNDS, "ok": 6 * ROUNDS, "faults": 0, "score": 100 * ROUNDS}


def test_a_host_that_has_only_ipv6_is_well(lab):
    lab.inside("client", "ip", "-4", "address", "flush", "dev", "eth0")
    lab.resolve_by("fd77:2::2")
    targets = [
        {"name": name, "address": f"{name}.lab.test", "type": "service", "port": PORTS["well"]}
        for name in ("www", "six")
    ]
    rules = [{"type": "icmp"}, {"type": "http"}]
    result = lab.probe(targets=[*targets, {"name": "old", "address": "old.lab.test", "port": 80}], rules=rules)
    www, six, old = result["outcomes"]
    assert (www["fault"], www["addresses"]) == (None, ["fd77:2::2", "10.77.2.2"])
    assert (six["fault"], six["addresses"]) == (None, ["fd77:2::2"])
    assert (old["fault"]["layer"], old["addresses"]) == ("route", ["10.77.2.2"])


def test_a_name_is_well_if_one_of_its_addresses_takes_connections(lab):
    lab.filter("server", "ip6 daddr fd77:2::2 tcp dport 80 reject")
    mark = lab.directory / "mark"
    rules = [
        {"type": "icmp"},
        {"type": "http", "success_pattern": "well"},
        {"type": "command", "argv": ["sh", "-c", f"echo once >> {mark}"]},
    ]
    result = lab.probe(targets=[{"address": "www.lab.test"}, {"address": "six.lab.test"}], rules=rules)
    www, six = result["outcomes"]
    assert (www["fault"], www["addresses"]) == (None, ["10.77.2.2", "fd77:2::2"])
    assert six["fault"]["layer"] == "tcp"
    assert mark.read_text(encoding="utf-8") == "once\nonce\n"


def test_many_names_are_looked_up_with_few_descriptors(lab):
    targets = [{"address": f"n{number}.lab.test", "port": 80} for number in range(300)]
    result = lab.probe("prlimit", "--nofile=256:256", targets=targets, rules=[{"type": "tcp"}], timeout=10.0)
    assert {outcome["fault"]["message"].partition(" ")[2] for outcome in result["outcomes"]} == {
        f"does not exist (NXDOMAIN from {HOST})."
    }


@pytest.mark.parametrize(
    ("address", "alive"), [(HOST, True), ("fd77:2::2", True), ("10.77.1.99", False), ("10.77.2.99", False)]
)
def test_ping_finds_the_same(lab, address, alive):
    theirs = lab.inside("client", "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", address, check=False)
    ours = one(lab, address, {"type": "icmp", "count": 3, "interval_ms": 200})
    loss = float(re.search(r"([0-9.]+)% packet loss", theirs.stdout)[1])
    assert (theirs.returncode == 0, ours["status"] == "ok") == (alive, alive)
    assert ours["facts"].get("loss_percent", 100.0) == loss
    if alive:
        assert ours["facts"]["min_ms"] <= float(re.search(r"= [0-9.]+/([0-9.]+)/", theirs.stdout)[1]) + 5


@pytest.mark.parametrize(
    ("query", "record"),
    [
        ("www.lab.test", "A"),
        ("www.lab.test", "AAAA"),
        ("lab.test", "MX"),
        ("lab.test", "TXT"),
        ("large.lab.test", "TXT"),
        ("_http._tcp.lab.test", "SRV"),
        ("10.77.2.2", "PTR"),
    ],
)
def test_dig_gets_the_same_answers(lab, query, record):
    asked = ["-x", query] if record == "PTR" else [query, record]
    theirs = lab.inside("client", "dig", "+short", f"@{HOST}", *asked).stdout.splitlines()
    ours = one(lab, HOST, {"type": "dns", "server": "{TARGET}", "query": query, "record": record})
    plain = [line.replace('" "', "").strip('"').rstrip(".") for line in theirs]
    assert sorted(ours["facts"]["answers"]) == sorted(plain)
    assert plain


@pytest.mark.parametrize("query", ["nobody.lab.test", "broken.lab.test"])
def test_dig_gets_the_same_refusals(lab, query):
    theirs = lab.inside("client", "dig", f"@{HOST}", query, "A").stdout
    ours = one(lab, HOST, {"type": "dns", "server": "{TARGET}", "query": query, "record": "A"})
    assert ours["facts"]["rcode"] == re.search(r"status: ([A-Z]+)", theirs)[1]


@pytest.mark.parametrize("port", ["https", "expired", "other_name", "self_signed", "soon"])
def test_openssl_sees_the_same_certificate(lab, port):
    theirs = lab.inside(
        "client", "openssl", "s_client", "-connect", f"{HOST}:{PORTS[port]}", "-servername", "www.lab.test",
        "-verify_hostname", "www.lab.test", "-CAfile", lab.directory / "ca.pem", input="",
        check=False,
    ).stdout  # fmt: skip
    shown = lab.inside("client", "openssl", "x509", "-noout", "-fingerprint", "-sha256", input=theirs).stdout
    code = int(re.search(r"Verify return code: ([0-9]+)", theirs)[1])
    ours = one(lab, "www.lab.test", {"type": "tls"}, port)
    assert (ours["status"] == "failed") == (code != 0)
    assert ours["facts"]["fingerprint_sha256"] == shown.strip().rpartition("=")[2].replace(":", "").lower()
    assert ours["facts"]["protocol"] == re.search(r"(TLSv1\.[23])", theirs)[1]
    assert ours["facts"].get("verify_code", 0) == code


@pytest.mark.parametrize("port", ["well", "error", "slow", "chunked", "loop", "closing", "garbage"])
def test_curl_gets_the_same_page(lab, port):
    url = f"http://{HOST}:{PORTS[port]}/"
    theirs = lab.inside("client", "curl", "-s", "-m", "5", "-w", "\n%{http_code}", url, check=False)
    body, _newline, status = theirs.stdout.rpartition("\n")
    ours = one(lab, url, {"type": "http"}, timeout=5.0)
    assert (ours["facts"].get("status") or 0) == int(status)
    if status == "200":
        assert ours["facts"]["bytes"] == len(body)


def test_nmap_finds_the_same_ports(lab):
    lab.filter("server", "tcp dport 85 drop")
    ports = [*range(20, 30), *range(80, 90), 9999]
    listed = ",".join(str(port) for port in ports)
    theirs = lab.inside("client", "nmap", "-n", "-Pn", "-sT", "-p", listed, "-oG", "-", HOST).stdout
    ours = one(lab, HOST, {"type": "tcp", "ports": ports, "require": "any"})
    assert ours["facts"]["open"] == [int(port) for port in re.findall(r"([0-9]+)/open/", theirs)]
    assert 85 in ours["facts"]["closed"]
    assert 80 in ours["facts"]["open"]


def test_ssh_keyscan_gets_the_same_key(lab):
    theirs = lab.inside("client", "ssh-keyscan", "-t", "ed25519", HOST).stdout
    assert SSH_FINGERPRINT in lab.inside("client", "ssh-keygen", "-l", "-f", "-", input=theirs).stdout
    assert one(lab, HOST, {"type": "ssh"})["facts"]["fingerprint"] == SSH_FINGERPRINT


def test_fping_finds_the_same_hosts_of_a_network(lab):
    theirs = lab.inside("client", "fping", "-a", "-q", "-r", "0", "-t", "500", "-g", "10.77.1.0/28", check=False).stdout
    result = lab.probe(targets=[{"address": "10.77.1.0/28", "type": "network"}], rule_sets=["network_discovery"])
    (check,) = result["outcomes"][0]["checks"]
    assert check["facts"] == {"asked": 14, "alive": theirs.split()}
    assert check["facts"]["alive"] == ["10.77.1.1", "10.77.1.2"]


def test_echo_requests_need_a_permission_or_a_kernel_that_allows_them(lab):
    unprivileged = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    lab.inside("client", "sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    wanted = {"targets": [{"address": HOST}, {"address": "fd77:2::2"}], "rules": [{"type": "icmp"}]}
    refused = lab.probe(*unprivileged, **wanted)
    assert refused["error"]["kind"] == "permission"
    assert "ping_group_range" in refused["error"]["hint"]
    assert "outcomes" not in refused
    lab.inside("client", "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    assert lab.probe(*unprivileged, **wanted)["counts"]["ok"] == 2
    gone = lab.probe(*unprivileged, targets=[{"address": "10.77.2.99"}], rules=[{"type": "icmp", "timeout": 5.0}])
    assert gone["outcomes"][0]["fault"]["layer"] == "route"
    assert "No route to host" in gone["outcomes"][0]["fault"]["message"]
