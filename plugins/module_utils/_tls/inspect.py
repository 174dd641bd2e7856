# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on the host of a certificate, and why it would have to be issued again."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._core.errors import NotFoundError
from .._core.files import group_id, user_id
from . import x509
from .options import Wanted
from .pair import CERT, CHAIN, FULLCHAIN, KEY, shown

__all__ = ["Seen", "expected_files", "look", "reason_to_issue", "reason_to_repair", "right_files", "text_of"]


@dataclass(frozen=True)
class Seen:
    """What services find at a certificate's paths.

    ``key`` and ``certificate`` are loaded, ``None`` where they are missing or broken; ``complete``: something is at
    each path; ``attributes``: the key has the owner, group and mode that are wanted.
    """

    files: Mapping[str, bytes | None]
    complete: bool
    attributes: bool
    key: Any
    certificate: Any

    @property
    def usable(self) -> bool:
        """True when a service can be started with it: key and certificate belong together."""
        return (
            self.key is not None and self.certificate is not None and x509.same_public_key(self.key, self.certificate)
        )


def _attributes_right(wanted: Wanted) -> bool:
    """Return whether the key has its owner, group and mode; a user or group that does not exist has nothing."""
    try:
        found = os.stat(wanted.paths[KEY])
        right = (wanted.mode, user_id(wanted.owner), group_id(wanted.group))
    except (OSError, NotFoundError):
        return False
    return (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == right


def look(wanted: Wanted) -> Seen:
    """Return what is there; reads only."""
    files, _linked = shown(wanted.store, wanted.paths)
    return Seen(
        files=files,
        complete=all(os.path.exists(path) for path in wanted.paths.values()),
        attributes=_attributes_right(wanted),
        key=x509.load_key(files[KEY]),
        certificate=x509.load_certificate(files[CERT]),
    )


def expected_files(key: bytes, certificate: bytes, chain: bytes | None) -> dict[str, bytes]:
    """Return what the four files hold for a key, a certificate and its chain (PEM).

    A self-signed certificate is its own chain, so that no service finds an empty file; its fullchain has it once.
    """
    if chain is None or chain == certificate:
        return {KEY: key, CERT: certificate, CHAIN: certificate, FULLCHAIN: certificate}
    return {KEY: key, CERT: certificate, CHAIN: chain, FULLCHAIN: certificate + chain}


def reason_to_issue(wanted: Wanted, seen: Seen, authority, now: datetime) -> str | None:
    """Return why the certificate must be issued (again), in words for people; ``None`` if it need not.

    :param authority: certificate of the own CA, ``None`` where the controller has none yet.
    """
    if not seen.files[CERT]:
        return "there is no certificate"
    if seen.certificate is None:
        return "the certificate can't be read"
    if seen.key is None:
        return "the key can't be read" if seen.files[KEY] else "there is no key"
    if not seen.usable:
        return "the certificate does not belong to the key"
    if wanted.provider == "placeholder":
        return None
    return _reason_to_renew(wanted, seen, authority, now)


def _reason_to_renew(wanted: Wanted, seen: Seen, authority, now: datetime) -> str | None:
    certificate = seen.certificate
    if wanted.provider == "selfsigned":
        if not x509.signed_by(certificate, certificate):
            return "the certificate is not self-signed"
    elif authority is None or not x509.signed_by(certificate, authority):
        return "another CA issued the certificate"
    elif x509.load_certificate(seen.files[CHAIN]) not in (None, authority):
        return "the CA has a new certificate"
    if x509.names_of(certificate) != set(wanted.domains):
        return "the names differ"
    if x509.usages_of(certificate) != set(wanted.usages):
        return "the usages differ"
    found = x509.key_kind(seen.key)
    if found != wanted.kind:
        return f"the key is {found}, not {wanted.kind}"
    ends = x509.not_after(certificate)
    if now >= ends:
        return f"the certificate expired on {x509.iso(ends)}"
    if now < x509.not_before(certificate):
        return f"the certificate is not valid before {x509.iso(x509.not_before(certificate))}"
    if ends - now <= timedelta(days=wanted.renew_before):
        return f"the certificate expires on {x509.iso(ends)}, within {wanted.renew_before} days"
    return None


def right_files(wanted: Wanted, seen: Seen, authority) -> dict[str, bytes]:
    """Return what the four files must hold, given that :func:`reason_to_issue` found nothing.

    What stands beside a certificate that came from elsewhere stays as it is.
    """
    key, certificate, chain = seen.files[KEY], seen.files[CERT], seen.files[CHAIN]
    if wanted.provider == "selfsigned":
        return expected_files(key, certificate, None)
    if wanted.provider == "own_ca":
        return expected_files(key, certificate, x509.certificate_pem(authority))
    present = {name: seen.files[name] for name in (CHAIN, FULLCHAIN) if seen.files[name]}
    return {**expected_files(key, certificate, chain), **present}


def reason_to_repair(wanted: Wanted, seen: Seen, authority) -> str | None:
    """Return what is wrong with the files of a certificate that is right itself; ``None`` if nothing."""
    if not seen.complete:
        return "a file is missing at its path"
    if any(seen.files[name] != data for name, data in right_files(wanted, seen, authority).items()):
        return "the chain files differ"
    kept = wanted.provider == "placeholder" and not x509.signed_by(seen.certificate, seen.certificate)
    if not seen.attributes and not kept:
        return "the key's owner, group or mode differ"
    return None


def text_of(certificate, key: str) -> str:
    """Return a certificate as the lines of a diff; nothing secret.

    :param key: what to say of its key.
    """
    told = x509.describe(certificate)
    lines = [f"{name}: {told[name]}" for name in ("issuer", "not_before", "not_after", "serial", "fingerprint_sha256")]
    return "\n".join([f"domains: {', '.join(told['domains'])}", *lines, f"key: {key}", ""])
