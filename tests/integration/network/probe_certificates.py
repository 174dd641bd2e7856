# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for tests: a right one and some that are not, from an authority of their own."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["make_certificates"]


def make_certificates(directory: Path, *names: str) -> None:
    """Put ``ca.pem`` and, with their keys, a certificate for each kind of fault into ``directory``."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Lab CA")
    _write(directory / "ca.pem", None, _signed(issuer, authority, issuer, authority, (), (-30, 300), ca=True))
    kinds = {
        "https": (names, (-1, 90)),
        "expired": (names, (-60, -30)),
        "other_name": (("other.lab.test",), (-1, 90)),
        "soon": (names, (-1, 5)),
    }
    for kind, (names_of_kind, days) in kinds.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(
            directory / f"{kind}.pem",
            key,
            _signed(_name(names_of_kind[0]), key, issuer, authority, names_of_kind, days),
        )
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name(names[0])
    _write(directory / "self_signed.pem", key, _signed(own, key, own, key, names, (-1, 90)))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(subject, key, issuer, signing, names, days, ca: bool = False) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1], hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    return builder.sign(signing, hashes.SHA256())


def _write(path: Path, key, certificate: x509.Certificate) -> None:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    if key is not None:
        pem += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    path.write_bytes(pem)
