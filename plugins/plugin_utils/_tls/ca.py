# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The own certificate authority: a directory on the controller that signs what the inventory says, nothing else.

A directory holds ``ca.key`` (0600, PKCS#8, encrypted if there is a passphrase), ``ca.crt``, ``issued.jsonl`` (one line
per certificate ever handed out) and ``.lock``. Forks and other plays on this controller take turns by flock(2).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ...module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    PermissionDenied,
    TimeoutExpired,
    ToolkitError,
    UnsafeError,
    ValidationError,
)
from ...module_utils._core.files import fsync_directory, read_bytes, write_atomic
from ...module_utils._core.paths import base_directory
from ...module_utils._tls import x509 as tls
from ...module_utils._tls.issue import BACKDATE
from ...module_utils._tls.options import Wanted

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
except ImportError:  # tls.require_cryptography() says so before anything is used
    pass

__all__ = ["Authority", "Issued"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}\Z")
_LOCK_SECONDS = 60


@dataclass(frozen=True)
class Issued:
    """A certificate that was recorded and may be handed out; both in PEM."""

    certificate: str
    chain: str


class Authority:
    """An own CA.

    :param options: the option ``ca`` of the task: name, directory, passphrase, lifetime (days), renew.
    :param now: the time to judge by, aware; the controller's clock by default.
    :raises ValidationError: the name, the directory or the lifetime can't be used.
    """

    def __init__(self, options: Mapping, now: datetime | None = None) -> None:
        self.name = options["name"]
        if not _NAME.match(self.name) or ".." in self.name:
            raise ValidationError(
                f"ca.name: {self.name!r} can't be the name of a CA.",
                hint="Use up to 64 letters, digits, blanks, dots, hyphens and underscores.",
            )
        if not 1 <= options["lifetime"] <= 36500:
            raise ValidationError(f"ca.lifetime={options['lifetime']} is not between 1 and 36500 days.")
        directory = options.get("directory") or os.path.join(base_directory("state"), "ca", self.name)
        if not os.path.isabs(directory):
            raise ValidationError(f"ca.directory: {directory!r} is not an absolute path.")
        self.directory = os.path.normpath(directory)
        self.lifetime = options["lifetime"]
        self.renew = options["renew"]
        self.now = now or datetime.now(timezone.utc).replace(microsecond=0)
        self._passphrase = options.get("passphrase")
        if self._passphrase == "":
            raise ValidationError("ca.passphrase is empty.", hint="Leave it out for a key that is not encrypted.")

    @property
    def certificate_path(self) -> str:
        """Path of the CA's certificate on the controller, for clients to trust."""
        return os.path.join(self.directory, "ca.crt")

    def certificate_pem(self) -> str | None:
        """Return the CA's certificate (PEM), ``None`` where it has not been made yet. Needs neither key nor lock."""
        data = read_bytes(self.certificate_path)
        return None if data is None else data.decode("utf-8", "replace")

    def describe(self) -> dict | None:
        """Return path, fingerprint and end of the CA's certificate; ``None`` where there is none."""
        pem = self.certificate_pem()
        certificate = tls.load_certificate(pem.encode()) if pem and tls.HAS_CRYPTOGRAPHY else None
        if certificate is None:
            return None
        return {
            "certificate": self.certificate_path,
            "fingerprint_sha256": tls.fingerprint(certificate),
            "not_after": tls.iso(tls.not_after(certificate)),
        }

    def check(self, certificates: list[Wanted]) -> dict[str, ToolkitError]:
        """Say which certificates could not be signed now and why, ``{name: error}``; changes and makes nothing.

        :raises ToolkitError: the CA itself is unusable (passphrase, broken files).
        """
        tls.require_cryptography("on the controller")
        loaded = self._load()
        problems = {}
        for wanted in certificates if loaded is not None else ():
            try:
                self._end_of(wanted, loaded[1], may_renew=True)
            except ToolkitError as error:
                problems[wanted.name] = error
        return problems

    def issue(self, requests: list[tuple[Wanted, str]], host: str) -> dict[str, Issued | ToolkitError]:
        """Sign and record; return ``{name: certificate or what kept it from being signed}``.

        Names, usages and lifetime come from the task. A request gives the public key and proves that its sender has the
        private one; whatever else it asks for is not even read.

        :param requests: what the task wants, with the request (PEM) of the host.
        :param host: inventory name, for the record.
        :raises ToolkitError: the CA itself is unusable.
        """
        tls.require_cryptography("on the controller")
        answers: dict[str, Issued | ToolkitError] = {}
        made = []
        with self._locked():
            key, certificate = self._open([wanted for wanted, _request in requests])
            chain = tls.certificate_pem(certificate).decode()
            for wanted, request in requests:
                try:
                    public_key = _public_key(wanted, request)
                    until = self._end_of(wanted, certificate)
                    start = max(self.now - BACKDATE, tls.not_before(certificate))
                    signed = tls.build_certificate(
                        public_key, wanted.domains, wanted.usages, start, until, key, certificate
                    )
                    answers[wanted.name] = Issued(tls.certificate_pem(signed).decode(), chain)
                    made.append(self._line(wanted, host, signed, certificate))
                except ToolkitError as error:
                    answers[wanted.name] = error
            self._record(made)
        return answers

    def _end_of(self, wanted: Wanted, certificate, may_renew: bool = False) -> datetime:
        """Return the end of a certificate: after its lifetime, or with the CA if that is earlier.

        :param may_renew: the CA would be renewed first where the task allows it.
        :raises ConflictError: the CA ends so early that the certificate would be due for renewal at once.
        """
        ends = tls.not_after(certificate)
        if (may_renew and self.renew) or not self._too_short(wanted, ends):
            return min(ends, self.now + timedelta(days=wanted.lifetime))
        state = f"expired on {tls.iso(ends)}" if ends <= self.now else f"ends on {tls.iso(ends)}"
        raise ConflictError(
            f"The CA in {self.directory} {state}; it can't sign for renew_before={wanted.renew_before} days.",
            hint="Set ca.renew: true for one run, which gives the CA a new certificate for the same key, "
            "and give clients the new ca.crt.",
            item=wanted.name,
        )

    def _too_short(self, wanted: Wanted, ends: datetime) -> bool:
        return ends - self.now <= timedelta(days=wanted.renew_before)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the CA alone; makes its directory."""
        if not os.path.isdir(self.directory):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            fsync_directory(os.path.dirname(self.directory))
        descriptor = os.open(os.path.join(self.directory, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutExpired(
                            f"Another process has held the CA in {self.directory} for {_LOCK_SECONDS} seconds.",
                            hint=f"See who: fuser -v {self.directory}/.lock",
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _open(self, certificates: list[Wanted]) -> tuple:
        """Return key and certificate of the CA, made or renewed if need be. Only under the lock."""
        loaded = self._load()
        if loaded is None:
            return self._create()
        key, certificate = loaded
        ends = tls.not_after(certificate)
        if self.renew and any(self._too_short(wanted, ends) for wanted in certificates):
            write_atomic(
                self._path(f"ca-{tls.fingerprint(certificate)[:16]}.crt"), tls.certificate_pem(certificate), 0o644
            )
            return key, self._certify(key, certificate.subject)
        return key, certificate

    def _load(self) -> tuple | None:
        """Return key and certificate, ``None`` for a CA that has neither.

        :raises ToolkitError: there is only half of it, it is broken, or the passphrase is wrong.
        """
        pem, key_data = read_bytes(self.certificate_path), read_bytes(self._path("ca.key"))
        if pem is None:
            return None
        if key_data is None:
            raise NotFoundError(
                f"The CA in {self.directory} has a certificate, but its key ca.key is missing.",
                hint="Restore it, or move the directory away to start a new CA.",
            )
        certificate = tls.load_certificate(pem)
        if certificate is None:
            raise IntegrityError(f"{self.certificate_path} can't be read as a certificate.", hint="Restore it.")
        key = self._load_key(key_data)
        if not tls.same_public_key(key, certificate):
            raise IntegrityError(f"ca.key and ca.crt in {self.directory} do not belong together.", hint="Restore them.")
        if not _may_sign(certificate):
            raise IntegrityError(f"{self.certificate_path} is not the certificate of a CA.")
        return key, certificate

    def _load_key(self, data: bytes):
        path = self._path("ca.key")
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            raise UnsafeError(
                f"{path} can be read by others; nothing is signed with such a key.",
                hint="Find out who read it; chmod 600 if nobody did.",
            )
        passphrase = self._passphrase.encode() if self._passphrase else None
        try:
            return serialization.load_pem_private_key(data, passphrase)
        except TypeError:
            if passphrase is None:
                raise PermissionDenied(
                    f"The key of the CA in {self.directory} is encrypted, and ca.passphrase is not given.",
                    hint="Set ca.passphrase, best from a vault.",
                ) from None
            raise ValidationError(
                f"ca.passphrase is given, but the key of the CA in {self.directory} is not encrypted.",
                hint=f"Encrypt it: openssl pkcs8 -topk8 -in {path} -out {path}.new, check it, and rename it.",
            ) from None
        except ValueError:
            if passphrase is not None:
                raise PermissionDenied(
                    f"ca.passphrase does not open the key of the CA in {self.directory}.",
                    hint="Give the passphrase that the CA was made with.",
                ) from None
            raise IntegrityError(f"{path} can't be read as a private key.", hint="Restore it.") from None

    def _create(self) -> tuple:
        """Make the CA. A key without certificate is what a crash in between leaves; it is used."""
        key_data = read_bytes(self._path("ca.key"))
        if key_data is not None:
            key = self._load_key(key_data)
        else:
            key = tls.generate_key(tls.KeyKind("ecdsa", 384))
            write_atomic(self._path("ca.key"), tls.key_pem(key, self._passphrase), 0o600)
        return key, self._certify(key, tls.common_name(self.name))

    def _certify(self, key, subject):
        """Sign the CA's own certificate, put it in place and return it."""
        public_key = key.public_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - BACKDATE)
            .not_valid_after(self.now + timedelta(days=self.lifetime))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(tls.key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(key, tls.signing_hash(key))
        )
        write_atomic(self.certificate_path, tls.certificate_pem(certificate), 0o644)
        return certificate

    def _line(self, wanted: Wanted, host: str, signed, certificate) -> dict:
        told = tls.describe(signed)
        return {
            "timestamp": tls.iso(self.now),
            "host": host,
            "name": wanted.name,
            "serial": told["serial"],
            "domains": told["domains"],
            "usages": list(wanted.usages),
            "not_before": told["not_before"],
            "not_after": told["not_after"],
            "fingerprint_sha256": told["fingerprint_sha256"],
            "public_key_sha256": tls.key_fingerprint(signed.public_key()),
            "ca_fingerprint_sha256": tls.fingerprint(certificate),
        }

    def _record(self, lines: list[dict]) -> None:
        """Append to issued.jsonl; durable on return, before any of the certificates leaves this process."""
        if not lines:
            return
        path = self._path("issued.jsonl")
        fresh = not os.path.exists(path)
        text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
        with open(
            os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "r+b", buffering=0
        ) as handle:
            size = handle.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(handle.fileno(), 1, size - 1) != b"\n"
            # A line that a crash cut off belongs to a certificate that nobody got; it must not spoil the next one.
            handle.write((b"\n" if torn else b"") + text.encode())
            os.fsync(handle.fileno())
        if fresh:
            fsync_directory(self.directory)


def _may_sign(certificate) -> bool:
    """Return whether a certificate is a CA's (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return False


def _public_key(wanted: Wanted, request: str):
    """Return the public key of a request whose sender has proved to have the private one.

    :raises IntegrityError: it can't be read, is not signed by its own key, or has another kind of key than wanted.
    """
    try:
        loaded = x509.load_pem_x509_csr(request.encode())
        proved = loaded.is_signature_valid
        public_key = loaded.public_key()
    except (ValueError, TypeError, AttributeError) as error:
        raise IntegrityError(f"The host sent a certificate request that can't be read: {error}.") from None
    if not proved:
        raise IntegrityError("The host sent a certificate request that is not signed by its own key.")
    kind = tls.key_kind(public_key)
    if kind != wanted.kind:
        raise IntegrityError(f"The host sent a certificate request for a key of {kind}, not {wanted.kind}.")
    return public_key
