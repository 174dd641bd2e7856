# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring the certificates of a host to what is wanted: the remote half of ``tls_certificate``.

Self-signed certificates and placeholders are made here at once. For those of the own CA, :meth:`Certificates.prepare`
makes the key and gives back a request, the controller signs, and :meth:`Certificates.install` puts the answer in place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from .._core.errors import IntegrityError
from .._core.files import group_id, read_bytes, user_id
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .._system.owed import owe
from . import pair, x509
from .inspect import Seen, expected_files, look, reason_to_issue, reason_to_repair, right_files, text_of
from .options import Wanted
from .pair import CERT, KEY

__all__ = ["BACKDATE", "Certificates"]

BACKDATE = timedelta(hours=1)
"""Certificates are valid from a little in the past, for clients whose clock is behind."""


class Certificates:
    """The certificates of one host.

    :param check_mode: say what would be done, and do nothing.
    :param authority: certificate of the own CA (PEM), ``None`` where the controller has none yet.
    :param now: the time to judge by, aware; the host's clock by default.
    """

    def __init__(self, check_mode: bool = False, authority: str | None = None, now: datetime | None = None) -> None:
        self.check_mode = check_mode
        self.now = now or datetime.now(timezone.utc).replace(microsecond=0)
        self.outcomes = Outcomes()
        self.requests: list[dict] = []
        self._authority_pem = authority
        self._authority = None

    def prepare(self, certificates: list[Wanted]) -> Outcomes:
        """Do all that this host can do alone; :attr:`requests` then has what the controller must sign.

        :raises DependencyError: python3-cryptography is missing; in check mode that is only predicted from.
        """
        if self.check_mode and not x509.HAS_CRYPTOGRAPHY:
            return self._predict_blindly(certificates)
        x509.require_cryptography()
        if self._authority_pem:
            self._authority = x509.load_certificate(self._authority_pem.encode())
        for wanted in certificates:
            with self.outcomes.item(wanted.name) as outcome:
                self._prepare(wanted, outcome)
        return self.outcomes

    def install(self, certificates: list[Wanted], issued: Mapping[str, dict]) -> Outcomes:
        """Put certificates that the controller has signed in place.

        :param issued: ``{name: {certificate, chain, reason}}``, the first two in PEM.
        """
        x509.require_cryptography()
        for wanted in certificates:
            if wanted.name in issued:
                with self.outcomes.item(wanted.name) as outcome, pair.locked(wanted.store):
                    answer = issued[wanted.name]
                    certificate, chain = answer["certificate"].encode(), answer["chain"].encode()
                    key = self._key_for(wanted, certificate)
                    self._put(wanted, look(wanted), key, certificate, chain, answer["reason"], outcome)
        return self.outcomes

    def _predict_blindly(self, certificates: list[Wanted]) -> Outcomes:
        """Predict without the library, on a host that has no packages yet: all but a kept placeholder is made."""
        for wanted in certificates:
            with self.outcomes.item(wanted.name) as outcome:
                kept = wanted.provider == "placeholder" and _something_there(wanted)
                outcome["changed"] = not kept
                outcome["status"] = "valid" if kept else _new_status(wanted, None)
                outcome["reason"] = None if kept else "there is no certificate"
                outcome["domains"] = sorted(map(str, wanted.domains))
                if not kept:
                    self.outcomes.diffs.append(text_diff(f"certificate {wanted.name}", None, _predicted(wanted)))
        return self.outcomes

    def _prepare(self, wanted: Wanted, outcome: dict) -> None:
        seen = look(wanted)
        reason = reason_to_issue(wanted, seen, self._authority, self.now)
        repair = None if reason else reason_to_repair(wanted, seen, self._authority)
        if not (reason or repair):
            self._tell(wanted, outcome, seen.certificate, "valid", None)
        elif self.check_mode:
            self._predict(wanted, seen, reason, repair, outcome)
        else:
            _owner(wanted)  # before anything is made: an owner that does not exist fails here
            with pair.locked(wanted.store):
                # Certbot's timer may have been faster; what counts is what is there now.
                seen = look(wanted)
                reason = reason_to_issue(wanted, seen, self._authority, self.now)
                self._act(wanted, seen, reason, outcome)

    def _predict(self, wanted: Wanted, seen: Seen, reason: str | None, repair: str | None, outcome: dict) -> None:
        outcome["changed"] = True
        if reason is None:
            self._tell(wanted, outcome, seen.certificate, "valid", repair)
            self._diff_files(wanted, repair)
            return
        if wanted.provider == "own_ca":
            self.requests.append({"name": wanted.name, "reason": reason, "request": None})
        status = _new_status(wanted, seen.certificate)
        outcome.update(status=status, reason=reason, domains=sorted(map(str, wanted.domains)))
        self.outcomes.diffs.append(text_diff(f"certificate {wanted.name}", _told(seen), _predicted(wanted)))

    def _act(self, wanted: Wanted, seen: Seen, reason: str | None, outcome: dict) -> None:
        if reason is None:
            repair = reason_to_repair(wanted, seen, self._authority)
            if repair:
                files = right_files(wanted, seen, self._authority)
                pair.install(wanted.store, wanted.paths, files, _owner(wanted), x509.matching)
                outcome["changed"] = True
                self._diff_files(wanted, repair)
            self._tell(wanted, outcome, seen.certificate, "valid", repair)
            return
        key = self._key(wanted, seen)
        if wanted.provider == "own_ca":
            request = x509.build_request(x509.load_key(key), wanted.name).decode()
            self.requests.append({"name": wanted.name, "reason": reason, "request": request})
            outcome.update(changed=True, reason=reason)
            return
        loaded = x509.load_key(key)
        until = self.now + timedelta(days=wanted.lifetime)
        made = x509.build_certificate(
            loaded.public_key(), wanted.domains, wanted.usages, self.now - BACKDATE, until, loaded
        )
        self._put(wanted, seen, key, x509.certificate_pem(made), None, reason, outcome)

    def _key(self, wanted: Wanted, seen: Seen) -> bytes:
        """Return the key to certify (PEM): the one in service, or a new one, which only this host ever has."""
        keep = seen.key is not None and x509.key_kind(seen.key) == wanted.kind
        if keep and not wanted.renew_key:
            return seen.files[KEY]
        path = os.path.join(wanted.store, pair.PENDING)
        pending = read_bytes(path)
        loaded = x509.load_key(pending)
        if loaded is not None and x509.key_kind(loaded) == wanted.kind:
            return pending
        if pending is not None:
            os.unlink(path)
        made = x509.key_pem(x509.generate_key(wanted.kind))
        pair.create_private(path, made)
        return made

    @staticmethod
    def _key_for(wanted: Wanted, certificate: bytes) -> bytes:
        """Return the key (PEM) that the certificate was signed for."""
        for data in (read_bytes(os.path.join(wanted.store, pair.PENDING)), look(wanted).files[KEY]):
            if data and x509.matching(data, certificate):
                return data
        raise IntegrityError(
            "The certificate that came back was signed for another key than this host has.",
            hint="Another run may have made a new key meanwhile; run again.",
        )

    def _put(
        self,
        wanted: Wanted,
        seen: Seen,
        key: bytes,
        certificate: bytes,
        chain: bytes | None,
        reason: str,
        outcome: dict,
    ) -> None:
        """Install a new certificate and tell of it."""

        def note_debts() -> None:
            for unit, action in wanted.notify.items():
                owe(unit, action)

        made = x509.load_certificate(certificate)
        files = expected_files(key, certificate, chain)
        pair.install(wanted.store, wanted.paths, files, _owner(wanted), x509.matching, note_debts)
        outcome["changed"] = True
        self._tell(wanted, outcome, made, _new_status(wanted, seen.certificate), reason)
        after = text_of(made, x509.key_fingerprint(made.public_key()))
        self.outcomes.diffs.append(text_diff(f"certificate {wanted.name}", _told(seen), after))

    def _diff_files(self, wanted: Wanted, repair: str) -> None:
        self.outcomes.diffs.append(text_diff(f"files of certificate {wanted.name}", f"{repair}\n", "right\n"))

    @staticmethod
    def _tell(wanted: Wanted, outcome: dict, certificate, status: str, reason: str | None) -> None:
        if wanted.provider == "placeholder" and x509.signed_by(certificate, certificate):
            status = "placeholder"
        outcome.update(status=status, reason=reason, **x509.describe(certificate))


def _something_there(wanted: Wanted) -> bool:
    """Return whether there are a key and a certificate, whatever is in them."""
    files, _linked = pair.shown(wanted.store, wanted.paths)
    return bool(files[KEY] and files[CERT])


def _owner(wanted: Wanted) -> dict[str, int]:
    """Return mode and ids for the key; raises NotFoundError for a user or group that does not exist."""
    return {"mode": wanted.mode, "uid": user_id(wanted.owner), "gid": group_id(wanted.group)}


def _new_status(wanted: Wanted, before) -> str:
    if wanted.provider == "placeholder":
        return "placeholder"
    return "issued" if before is None else "renewed"


def _told(seen: Seen) -> str | None:
    if seen.certificate is None:
        return None
    return text_of(seen.certificate, x509.key_fingerprint(seen.certificate.public_key()))


def _predicted(wanted: Wanted) -> str:
    """Return the lines of a diff for a certificate that would be made."""
    return "\n".join(
        [
            f"domains: {', '.join(sorted(wanted.domains))}",
            f"issuer: {'the own CA' if wanted.provider == 'own_ca' else 'itself'}",
            f"not_after: {wanted.lifetime} days after it is issued",
            "",
        ]
    )
