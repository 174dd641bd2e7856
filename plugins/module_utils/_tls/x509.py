# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, requests and certificates over python3-cryptography, from version 38 (Debian 12) on.

Importable without the library; :func:`require_cryptography` says how to get it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from .._core.errors import DependencyError
from .names import Name

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

__all__ = [
    "HAS_CRYPTOGRAPHY",
    "USAGES",
    "KeyKind",
    "build_certificate",
    "build_request",
    "certificate_pem",
    "common_name",
    "describe",
    "fingerprint",
    "generate_key",
    "iso",
    "key_fingerprint",
    "key_kind",
    "key_pem",
    "key_usage",
    "load_certificate",
    "load_key",
    "matching",
    "names_of",
    "not_after",
    "not_before",
    "require_cryptography",
    "same_public_key",
    "signed_by",
    "signing_hash",
    "usages_of",
]

USAGES = ("server", "client")


def require_cryptography(where: str = "on this host") -> None:
    """Raise :class:`DependencyError` where the library is missing."""
    if not HAS_CRYPTOGRAPHY:
        raise DependencyError(
            f"The Python library cryptography is not installed {where}.",
            hint="Install the Debian package python3-cryptography, or with pip: cryptography.",
        )


@dataclass(frozen=True)
class KeyKind:
    """A kind of private key: ``rsa`` (size in bits), ``ecdsa`` (size of the NIST curve) or ``ed25519`` (size 0)."""

    type: str = "ecdsa"
    size: int = 256

    def __str__(self) -> str:
        return {"rsa": f"RSA {self.size}", "ecdsa": f"ECDSA P-{self.size}"}.get(self.type, self.type)


def generate_key(kind: KeyKind):
    """Return a new private key of that kind."""
    if kind.type == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=kind.size)
    if kind.type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}[kind.size]())


def key_kind(key) -> KeyKind:
    """Return the kind of a private or public key; type ``other`` for what we never make."""
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return KeyKind("rsa", key.key_size)
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return KeyKind("ecdsa" if key.curve.name.startswith("secp") else "other", key.curve.key_size)
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return KeyKind("ed25519", 0)
    return KeyKind("other", 0)


def key_pem(key, passphrase: str | None = None) -> bytes:
    """Return the private key as PKCS#8 in PEM, encrypted under ``passphrase`` if there is one."""
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def load_key(data: bytes | None):
    """Return the unencrypted private key in ``data``, or ``None`` where there is no usable one."""
    try:
        return serialization.load_pem_private_key(data, None) if data else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def load_certificate(data: bytes | None):
    """Return the first certificate in ``data`` (PEM), or ``None`` where there is no usable one."""
    try:
        return x509.load_pem_x509_certificate(data) if data else None
    except ValueError:
        return None


def certificate_pem(certificate) -> bytes:
    """Return the certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _public_bytes(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def same_public_key(private_key, certificate) -> bool:
    """Return whether the certificate was issued for this private key."""
    try:
        return _public_bytes(private_key.public_key()) == _public_bytes(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def matching(key: bytes, certificate: bytes) -> bool:
    """Return whether both can be read and belong together (PEM)."""
    private_key, loaded = load_key(key), load_certificate(certificate)
    return private_key is not None and loaded is not None and same_public_key(private_key, loaded)


def key_fingerprint(public_key) -> str:
    """Return the SHA-256 of the public key (SubjectPublicKeyInfo in DER) in hex."""
    return hashlib.sha256(_public_bytes(public_key)).hexdigest()


def fingerprint(certificate) -> str:
    """Return the SHA-256 of the certificate in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _utc(certificate, attribute: str) -> datetime:
    # cryptography before 42 has only naive times, 42 and later warn about those.
    found = getattr(certificate, f"{attribute}_utc", None)
    return found if found is not None else getattr(certificate, attribute).replace(tzinfo=timezone.utc)


def not_before(certificate) -> datetime:
    """Return from when it is valid, UTC."""
    return _utc(certificate, "not_valid_before")


def not_after(certificate) -> datetime:
    """Return until when it is valid, UTC."""
    return _utc(certificate, "not_valid_after")


def iso(moment: datetime) -> str:
    """Return an aware time as ``2026-11-21T10:15:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _extension(certificate, kind):
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def names_of(certificate) -> frozenset[str]:
    """Return the DNS names and addresses in its subject alternative name."""
    found = _extension(certificate, x509.SubjectAlternativeName)
    if found is None:
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)])


def usages_of(certificate) -> frozenset[str]:
    """Return which of ``server`` and ``client`` its extended key usage allows."""
    found = _extension(certificate, x509.ExtendedKeyUsage) or ()
    return frozenset(usage for usage, oid in _usage_oids().items() if oid in found)


def _usage_oids() -> dict:
    return {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def signed_by(certificate, issuer) -> bool:
    """Return whether ``issuer``'s key made the certificate's signature, and the names agree.

    Dates are not looked at.
    """
    if certificate.issuer != issuer.subject:
        return False
    key, signature, body = issuer.public_key(), certificate.signature, certificate.tbs_certificate_bytes
    try:
        algorithm = certificate.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, body, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, body, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, body)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def signing_hash(key):
    """Return the hash that this key signs with; Ed25519 has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return hashes.SHA384() if key_kind(key).size in (384, 521) else hashes.SHA256()


def common_name(text: str):
    """Return a subject or issuer of just this common name, cut to the 64 characters allowed.

    People read it; programs go by subjectAltName.
    """
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def build_request(key, name: str) -> bytes:
    """Return a certificate request in PEM. It proves that its maker has the key; the name in it means nothing."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(common_name(name))
    return builder.sign(key, signing_hash(key)).public_bytes(serialization.Encoding.PEM)


def build_certificate(
    public_key,
    domains: Iterable[Name],
    usages: Iterable[str],
    valid_from: datetime,
    valid_until: datetime,
    signing_key,
    issuer=None,
):
    """Return a server or client certificate (RFC 5280 profile: no CA, the names in subjectAltName).

    :param usages: of :data:`USAGES`.
    :param issuer: the CA's certificate; ``None`` makes it self-signed.
    """
    domains = tuple(domains)
    subject = common_name(domains[0])
    issuer_key = issuer.public_key() if issuer is not None else public_key
    names = [
        x509.IPAddress(ipaddress.ip_address(str(name))) if name.is_address else x509.DNSName(str(name))
        for name in domains
    ]
    oids = _usage_oids()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(key_kind(public_key).type == "rsa"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([oids[usage] for usage in USAGES if usage in set(usages)]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
    return builder.sign(signing_key, signing_hash(signing_key))


def key_usage(encipherment: bool = False, authority: bool = False):
    """Return the key usage of a CA (``authority``) or of a server or client; RSA keys may also encipher keys."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=encipherment and not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def describe(certificate) -> dict:
    """Return what is told of a certificate: serial, dates, fingerprints, issuer and names; nothing secret."""
    return {
        "serial": f"{certificate.serial_number:x}",
        "not_before": iso(not_before(certificate)),
        "not_after": iso(not_after(certificate)),
        "fingerprint_sha256": fingerprint(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "domains": sorted(names_of(certificate)),
    }
