# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A log to be witnessed; a C2SP tlog-witness that shares no code with it; servers that misbehave on real sockets."""

from __future__ import annotations

import base64
import contextlib
import datetime
import fcntl
import hashlib
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import Checkpoint, sign
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import leaf_hash
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import TreeWriter
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer

ORIGIN = "control.example.com/scripts-toolkit/audit"


class Log:
    """The files of a log that witnesses concern: tiles, checkpoint, settings."""

    def __init__(self, directory, signer=None):
        self.directory = directory
        self.signer = signer or Signer.generate(ORIGIN)
        self.size = 0

    def settings(self, **settings):
        (self.directory / "settings.json").write_text(json.dumps(settings))

    def grow(self, count, word="entry"):
        writer = TreeWriter(str(self.directory), self.size)
        writer.append([leaf_hash(f"{word} {number}".encode()) for number in range(self.size, self.size + count)])
        writer.flush()
        self.size = writer.size
        note = sign(Checkpoint(ORIGIN, writer.size, writer.root()), [self.signer])
        (self.directory / "checkpoint").write_bytes(note)
        writer.clean()
        return note


def _node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def consistent(first, second, first_root, second_root, proof):
    """Return whether the proof holds, by RFC 9162, section 2.1.4.2."""
    if first == second:
        return first_root == second_root and not proof
    path = ([first_root] if first & (first - 1) == 0 else []) + proof
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for step in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = _node(step, fr), _node(step, sr)
            while not (fn & 1 or fn == 0):
                fn >>= 1
                sn >>= 1
        else:
            sr = _node(sr, step)
        fn >>= 1
        sn >>= 1
    return fr == first_root and sr == second_root and sn == 0


class Witness:
    """A C2SP tlog-witness with its state in a file, so that another one can go on with it.

    ``lie`` changes a cosignature line before it is sent, ``delay`` (seconds) precedes each answer, ``statuses`` are
    answered instead of an answer as long as there are any.
    """

    def __init__(self, path, log_vkey, name="witness.example.com/w1", key=None, port=0, context=None, log=True):
        self.path = path
        self.name = name
        self.key = key or Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(name.encode() + b"\n\x04" + self.public).digest()[:4]
        log_name, log_id, log_key = log_vkey.split("+", 2)
        self.origin = log_name if log else "somebody.example.com/else"
        self.log_id = bytes.fromhex(log_id)
        self.log_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(log_key)[1:])
        self.delay = 0
        self.statuses = []
        self.lie = None
        self.requests = []
        self.guard = threading.Lock()
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(witness.delay)
                with witness.guard:
                    status, kind, answer = witness.answer(self.path, body, self.headers)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer)

            def log_message(self, *_args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args):
                pass  # a client that hangs up, as it should

        self.server = Server(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if context:
            self.scheme = "https"
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def vkey(self):
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([4]) + self.public).decode()}"

    @property
    def target(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/w/#{self.vkey}"

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.server.shutdown()
        self.server.server_close()

    def held(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {"size": 0, "root": ""}

    def answer(self, path, body, headers):
        self.requests.append((path, body, headers))
        if self.statuses:
            return self.statuses.pop(0), "text/plain", b"not now"
        if path != "/w/add-checkpoint":
            return 404, "text/plain", b"no such path"
        head, _blank, note = body.partition(b"\n\n")
        old_line, *proof_lines = head.decode().split("\n")
        assert old_line.startswith("old ")
        old, proof = int(old_line[4:]), [base64.b64decode(line, validate=True) for line in proof_lines]
        text, _blank, signatures = note.rpartition(b"\n\n")
        text += b"\n"
        origin, size, root = text.decode().split("\n")[:3]
        size = int(size)
        if origin != self.origin:
            return 404, "text/plain", b"unknown origin"
        if not any(self._signed(text, line) for line in signatures.decode().splitlines()):
            return 403, "text/plain", b"no signature of a known key"
        if old > size:
            return 400, "text/plain", b"old is newer"
        held = self.held()
        if old != held["size"] or (old == size and held["root"] and held["root"] != root):
            return 409, "text/x.tlog.size", f"{held['size']}\n".encode()
        if len(proof) > 63 or (proof if old == 0 else False):
            return 422, "text/plain", b"no proof is due"
        if old and not consistent(old, size, base64.b64decode(held["root"]), base64.b64decode(root), proof):
            return 422, "text/plain", b"inconsistent"
        self.path.write_text(json.dumps({"size": size, "root": root}))
        moment = int(time.time())
        signed = self.key.sign(f"cosignature/v1\ntime {moment}\n".encode() + text)
        raw = self.key_id + moment.to_bytes(8, "big") + signed
        line = f"\u2014 {self.name} {base64.b64encode(raw).decode()}\n".encode()
        return 200, "text/plain", self.lie(line) if self.lie else line

    def _signed(self, text, line):
        _dash, name, data = line.split(" ")
        raw = base64.b64decode(data, validate=True)
        if name != self.origin or raw[:4] != self.log_id:
            return False
        try:
            self.log_key.verify(raw[4:], text)
        except InvalidSignature:
            return False
        return True


class Rough:
    """A TCP server: ``work(connection)`` does to each connection what no server should. ``connections`` counts them."""

    def __init__(self, work):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.received = []
        self._work = work
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            self._work(self, connection)
            connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.listener.shutdown(socket.SHUT_RDWR)  # or accept would keep it open
        self.listener.close()
        for connection in self._open:
            connection.close()


def request_of(connection):
    """Read one HTTP request: head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(65536)
        if not block:
            return data, b""
        data += block
    head, _blank, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    length = lengths[0] if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def answering(*answers):
    """Return work for :class:`Rough`: each connection gets the next of these answers (the last one again and again)."""
    left = list(answers)

    def work(server, connection):
        server.received.append(request_of(connection))
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return work


def http(status, body=b"", **headers):
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def certificate(directory, name="localhost"):
    """Make ``cert.pem`` and ``key.pem`` and return the TLS context of a server that has them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    (directory / "key.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context


def state(log, group):
    """Return the state of the only witness or sink."""
    [path] = (log.directory / group).glob("*.json")
    return json.loads(path.read_text())


def outcomes(done):
    """Return what became of each target."""
    return [entry.outcome for entry in done]


def until(condition):
    """Wait for something that another process does."""
    for _try in range(1500):
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def lift_backoff(log, group):
    """Let as much time pass as there is to wait."""
    for path in (log.directory / group).glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "next_attempt": 0}))


def is_delivering(log):
    """Return whether another process holds the lock."""
    with open(log.directory / "deliver.lock", "r+b") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def command(log, *argv):
    """Return the arguments of ``toolkit``."""
    return ["audit", *argv, "--log-directory", str(log.directory)]
