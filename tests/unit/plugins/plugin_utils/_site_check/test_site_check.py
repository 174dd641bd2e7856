# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sites are checked against real TLS and HTTP servers on loopback; firewalls are tested on disposable hosts."""

from __future__ import annotations

import datetime
import hashlib
import http.server
import re
import socket
import ssl
import threading
import urllib.parse
import warnings
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError, ValidationError
from ansible_collections.scripts.toolkit.plugins.plugin_utils._site_check.action import default_address, run
from ansible_collections.scripts.toolkit.plugins.plugin_utils._site_check.conversation import can_speak
from ansible_collections.scripts.toolkit.plugins.plugin_utils._site_check.ports import (
    FILTERED,
    OPEN,
    REFUSED,
    probe_ports,
)

DOMAIN = "www.example.test"


def certificate(directory, name, domain=DOMAIN, days=(-1, 30), issuer=None):
    """Write NAME.pem (certificate and key) and return (path, certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer_name, signer_key = (issuer[1].subject, issuer[2]) if issuer else (subject, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer_key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path, made, key


@dataclass
class Web:
    """A web server on two ports of loopback; the attributes say how it behaves."""

    pem: str
    php: str = "works"
    redirect: int = 301
    location: str = ""
    hsts: str = "max-age=31536000; includeSubDomains"
    alpn: list = field(default_factory=lambda: ["h2", "http/1.1"])
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    status: int = 200

    def __enter__(self):
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                web.answer(self)

        self.plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.tls = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = self.oldest
        if self.oldest < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(self.alpn)
        self.tls.socket = context.wrap_socket(self.tls.socket, server_side=True, do_handshake_on_connect=False)
        self.tls.handle_error = lambda *args: None  # refused handshakes are what is tested
        for server in (self.plain, self.tls):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for server in (self.plain, self.tls):
            server.shutdown()
            server.server_close()

    def answer(self, request):
        secure = isinstance(request.connection, ssl.SSLSocket)
        url = urllib.parse.urlsplit(request.path)
        headers, body, status = {}, b"hello", self.status
        if not secure and self.redirect:
            status = self.redirect
            headers["Location"] = self.location or f"https://{DOMAIN}:{self.tls.server_port}{request.path}"
        elif url.path == "/health.php":
            nonce = urllib.parse.parse_qs(url.query)["nonce"][0]
            status = 200
            body = {
                "works": hashlib.sha256(nonce.encode()).hexdigest().encode() + b"\n",
                "source": b"<?php echo hash('sha256', $_GET['nonce']);",
                "cached": hashlib.sha256(b"old").hexdigest().encode() + b"\n",
                "broken": b"bad gateway",
            }[self.php]
            status = 502 if self.php == "broken" else 200
        if secure and self.hsts:
            headers["Strict-Transport-Security"] = self.hsts
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def site(self, **kwargs):
        site = {
            "domain": DOMAIN,
            "https": True,
            "https_port": self.tls.server_port,
            "http_port": self.plain.server_port,
            "path": "/",
            "status": 200,
            "fingerprint_sha256": None,
            "ca_pem": None,
            "ca_path": None,
            "http_redirect": True,
            "hsts": 0,
            "http2": True,
            "min_tls": "1.2",
            "php_path": None,
        }
        return {**site, **kwargs}


def check(sites=(), open_ports=(), closed_ports=(), timeout=5.0, wait=0.0, address="127.0.0.1"):
    options = {"sites": sites, "open_ports": open_ports, "closed_ports": closed_ports, "timeout": timeout, "wait": wait}
    return run(address, options)


def failures(result):
    return {entry["name"]: entry["detail"] for entry in result["checks"] if not entry["ok"]}


@pytest.fixture
def pem(tmp_path):
    return certificate(tmp_path, "own")


def test_all_that_is_right_holds(pem):
    fingerprint = pem[1].fingerprint(hashes.SHA256()).hex(":").upper()
    with Web(str(pem[0])) as web:
        result = check([web.site(fingerprint_sha256=fingerprint, hsts=31536000, php_path="/health.php")])
    assert result["failed"] is False
    assert sorted(entry["name"] for entry in result["checks"]) == sorted(
        ["status", "certificate", "min_tls", "http2", "hsts", "http_redirect", "php"]
    )
    assert all(entry["ok"] for entry in result["checks"])


@pytest.mark.parametrize(
    ("behaviour", "wanted", "name", "detail"),
    [
        ({"status": 503}, {}, "status", "answers 503, not 200"),
        ({}, {"fingerprint_sha256": "ab" * 32}, "certificate", "expected is abab"),
        ({}, {"domain": "elsewhere.test", "http_redirect": False}, "certificate", "not valid for elsewhere.test"),
        ({"redirect": 0}, {}, "http_redirect", "http answers 200, not 301 or 308"),
        ({"redirect": 302}, {}, "http_redirect", "http answers 302, not 301 or 308"),
        ({"location": "https://evil.test/"}, {}, "http_redirect", "redirects to 'https://evil.test/'"),
        ({"hsts": ""}, {"hsts": 1}, "hsts", "max-age has to be 1 or more"),
        ({"hsts": "max-age=100"}, {"hsts": 101}, "hsts", "max-age=100"),
        ({"alpn": ["http/1.1"]}, {}, "http2", "chooses http/1.1 when offered h2"),
        ({"php": "source"}, {"php_path": "/health.php"}, "php", "served as source text"),
        ({"php": "cached"}, {"php_path": "/health.php"}, "php", "something else than the SHA-256"),
        ({"php": "broken"}, {"php_path": "/health.php"}, "php", "answers 502"),
        ({"oldest": ssl.TLSVersion.TLSv1}, {}, "min_tls", "still speaks TLSv1.1"),
        ({}, {"min_tls": "1.3"}, "min_tls", "still speaks TLSv1.2"),
    ],
)
def test_what_is_wrong_is_named(pem, behaviour, wanted, name, detail):
    assert can_speak("1.1"), "the TLS library of the tests has to speak TLS 1.1, as Debian's does"
    with Web(str(pem[0]), **behaviour) as web:
        result = check([web.site(**wanted)])
    assert list(failures(result)) == [name]
    assert detail in failures(result)[name]
    assert result["failed"] is True
    assert f"{name} of " in result["msg"]
    assert result["error"]["kind"] == "integrity"


def test_expired_certificate(tmp_path):
    with Web(str(certificate(tmp_path, "old", days=(-30, -1))[0])) as web:
        result = check([web.site()])
    assert "certificate has expired" in failures(result)["certificate"]


def test_chain_to_the_own_authority(tmp_path):
    authority = certificate(tmp_path, "ca", domain="ca.test")
    stranger = certificate(tmp_path, "stranger", domain="ca.test")
    issued = certificate(tmp_path, "issued", issuer=authority)
    text = stranger[0].read_text(encoding="ascii")
    with Web(str(issued[0])) as web:
        assert check([web.site(ca_path=str(authority[0]))])["failed"] is False
        assert "unable to get local issuer" in failures(check([web.site(ca_pem=text)]))["certificate"]


def test_plain_http_site(pem):
    with Web(str(pem[0]), redirect=0) as web:
        result = check([web.site(https=False, php_path="/health.php")])
    assert [entry["name"] for entry in result["checks"]] == ["status", "php"]
    assert result["failed"] is False


def test_failing_checks_are_repeated_until_they_hold(pem):
    with Web(str(pem[0]), status=503) as web:
        threading.Timer(0.7, setattr, (web, "status", 200)).start()
        result = check([web.site()], wait=20.0)
    assert result["failed"] is False


def test_ports(pem):
    with Web(str(pem[0])) as web, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # not listening: refuses
        shut, listening = silent.getsockname()[1], web.plain.server_port
        assert probe_ports("127.0.0.1", [shut, listening], 2.0) == {shut: REFUSED, listening: OPEN}
        result = check(open_ports=[shut, listening])
        assert failures(result) == {"open": "the port is refused, it has to be open"}
        assert result["error"]["item"] == f"port {shut}"


def test_one_answer_of_two_connections_tells_that_a_port_is_open():
    """Where the queue of a socket is full, the kernel leaves connections without an answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)  # room for one
        port = server.getsockname()[1]
        assert probe_ports("127.0.0.1", [port], 0.2, connections=2) == {port: OPEN}
        assert probe_ports("127.0.0.1", [port], 0.2, connections=2) == {port: FILTERED}


def test_closed_ports_are_not_proved_from_the_host_itself(pem):
    with Web(str(pem[0])) as web:
        result = check(closed_ports=[web.plain.server_port])
    assert result["failed"] is False
    assert result["not_tested"] == [f"closed of port {web.plain.server_port}"]


def test_nobody_listens():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        result = check([Web.site(_Nobody(silent.getsockname()[1]))])
    assert result["error"]["kind"] == "unavailable"
    assert all(detail.startswith("no connection") for detail in failures(result).values())


class _Nobody:
    def __init__(self, port):
        self.plain = self.tls = self
        self.server_port = port


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Nothing is to be checked"),
        ({"open_ports": [0]}, "open_ports: 0 is not a TCP port"),
        ({"open_ports": [80], "closed_ports": [80]}, "closed_ports: [80] are in open_ports too"),
        ({"sites": [{"path": "x y"}]}, "path 'x y' is no URL path"),
        ({"sites": [{"fingerprint_sha256": "12"}]}, "not 64 hexadecimal digits"),
        ({"sites": [{"domain": "a..b"}]}, "'a..b' is not a domain name"),
        ({"open_ports": [80], "timeout": 0.0}, "timeout=0 is out of range"),
    ],
)
def test_bad_options(options, message):
    if "sites" in options:
        options = {**options, "sites": [Web.site(_Nobody(1), **options["sites"][0])]}
    with pytest.raises(ValidationError, match=re.escape(message)):
        check(**options)


def test_address_that_has_no_address():
    with pytest.raises(NotFoundError, match="no-such-host"):
        check(open_ports=[1], address="no-such-host.invalid")


class _Connection:
    def __init__(self, transport):
        self.transport = transport


@pytest.mark.parametrize(
    ("variables", "delegate_to", "transport", "address"),
    [
        ({"inventory_hostname": "web01", "ansible_host": "192.0.2.1"}, None, "ssh", "192.0.2.1"),
        ({"inventory_hostname": "web01"}, None, "ssh", "web01"),
        ({"inventory_hostname": "web01"}, None, "local", "127.0.0.1"),
        ({"inventory_hostname": "web01", "ansible_host": "192.0.2.1"}, "localhost", "local", "192.0.2.1"),
        ({"inventory_hostname": "here", "ansible_connection": "ansible.builtin.local"}, "other", "ssh", "127.0.0.1"),
    ],
)
def test_default_address(variables, delegate_to, transport, address):
    assert default_address(variables, delegate_to, _Connection(transport)) == address
