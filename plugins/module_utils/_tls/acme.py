# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates from an ACME directory: asks certbot, and sees to it that its renewals get into service by themselves.

Three things are put on the host: a hook that certbot runs after each renewal, the code that it installs key and
certificates with (:mod:`pair`), and a page per certificate that says where to and for whom.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone

from .._core.commands import Commands
from .._core.errors import NotFoundError, UnavailableError, ValidationError
from .._core.files import file_state, group_id, read_bytes, remove_file, user_id, write_atomic
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .._core.paths import base_directory
from . import certbot, x509
from .acme_options import AcmeWanted
from .certbot import Lineage
from .inspect import look, text_of

__all__ = ["Acme"]

CODE = "/usr/local/lib/scripts-toolkit/tls_pair.py"
PAGES = "/etc/scripts-toolkit/acme"
DROP_IN = "/etc/systemd/system/certbot.service.d/scripts-toolkit.conf"
HOOK = "renewal-hooks/deploy/scripts-toolkit"
TIMER = "certbot.timer"

_HOOK = """\
#!/bin/sh
# Written by scripts.toolkit.acme_certificate: certbot runs it after each renewal.
# Installs the new key and certificate, then reloads what uses them. A unit that would not reload stays noted in {owed},
# and the next run of scripts.toolkit.services takes care of it.
set -eu
actions=$(python3 -I {code} {pages} "$RENEWED_LINEAGE")
status=0
while read -r action unit; do
    [ -n "$unit" ] || continue
    case $action in
    restart) verb=try-restart ;;
    *) verb=try-reload-or-restart ;;
    esac
    if systemctl "$verb" "$unit"; then
        rm -f "{owed}/$unit"
    else
        echo "$unit did not $action" >&2
        status=1
    fi
done <<ACTIONS
$actions
ACTIONS
exit $status
"""


class Acme:
    """The ACME certificates of one host.

    :param agree_tos: the user has agreed to the directory's terms of service.
    :param ca_bundle: file with CAs that the directory's own certificate is believed by; ``None`` for the system's.
    :param timeout: seconds that certbot may take per certificate.
    :param now: the time to judge by, aware; the host's clock by default.
    """

    def __init__(
        self,
        commands: Commands,
        check_mode: bool = False,
        agree_tos: bool = False,
        ca_bundle: str | None = None,
        timeout: int = 300,
        now: datetime | None = None,
    ) -> None:
        self.commands = commands
        self.check_mode = check_mode
        self.agree_tos = agree_tos
        self.ca_bundle = ca_bundle or None
        self.timeout = timeout
        self.now = now or datetime.now(timezone.utc)
        self.outcomes = Outcomes()

    def apply(self, certificates: list[AcmeWanted], code: bytes) -> Outcomes:
        """Bring the host to what is wanted.

        :param code: source of :mod:`pair`, for the hook.
        :raises DependencyError: certbot or its library is missing; in check mode that is only predicted from.
        """
        if self.ca_bundle and not self.check_mode and not os.path.isfile(self.ca_bundle):
            raise NotFoundError(
                f"ca_bundle: {self.ca_bundle} does not exist on this host.", hint="Write it there first."
            )
        if not self.check_mode:
            self.commands.require("certbot")
            x509.require_cryptography()
        with self.outcomes.item("renewal") as outcome:
            self._renewals(outcome, code)
        for wanted in certificates:
            with self.outcomes.item(wanted.name) as outcome:
                if x509.HAS_CRYPTOGRAPHY:
                    self._one(wanted, outcome)
                else:
                    self._predict(wanted, outcome, "there is no certificate", None)
        return self.outcomes

    def _renewals(self, outcome: dict, code: bytes) -> None:
        """Put hook, code and environment of certbot's own renewals in place, and its timer to work."""
        owed = os.path.join(base_directory("state"), "owed")
        hook = _HOOK.format(code=CODE, pages=PAGES, owed=owed)
        drop_in = f"[Service]\nEnvironment=REQUESTS_CA_BUNDLE={self.ca_bundle}\n".encode() if self.ca_bundle else None
        changed = [
            self._file(CODE, code, 0o644),
            self._file(os.path.join(certbot.ETC, HOOK), hook.encode(), 0o755),
        ]
        reload_systemd = self._file(DROP_IN, drop_in, 0o644)
        if reload_systemd and not self.check_mode:
            self.commands.check(["systemctl", "daemon-reload"])
        timer = (
            self.commands.run(["systemctl", "is-enabled", TIMER]),
            self.commands.run(["systemctl", "is-active", TIMER]),
        )
        idle = not all(answer.ok for answer in timer)
        if idle and not self.check_mode:
            self.commands.check(
                ["systemctl", "enable", "--now", TIMER], hint="Debian's package certbot has this timer."
            )
        outcome["changed"] = any(changed) or reload_systemd or idle
        outcome["reason"] = "certbot would not renew by itself, or not into service" if outcome["changed"] else None

    def _file(self, path: str, data: bytes | None, mode: int) -> bool:
        """Write (``None``: remove) a file of ours; return whether that is a change."""
        before = read_bytes(path)
        if before == data and (data is None or file_state(path, checksum=False).mode == mode):
            return False
        told = [None if text is None else text.decode("utf-8", "replace") for text in (before, data)]
        self.outcomes.diffs.append(text_diff(path, *told))
        if not self.check_mode:
            if data is None:
                remove_file(path)
            else:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                write_atomic(path, data, mode)
        return True

    def _one(self, wanted: AcmeWanted, outcome: dict) -> None:
        lineage = Lineage.read(wanted.name)
        reason = certbot.reason_to_issue(wanted, lineage, self.now)
        if reason and not self.agree_tos:
            raise ValidationError(
                "agree_tos is not true, and a new certificate is needed.",
                hint=f"Read the terms of service of {wanted.directory_url}; set agree_tos: true if you agree.",
            )
        if reason and self.check_mode:
            self._predict(wanted, outcome, reason, lineage.certificate)
            return
        before = lineage.certificate
        # The page comes first: certbot's timer may renew at any moment from here on.
        page = self._page(wanted)
        if reason:
            certbot.issue(self.commands, wanted, self.ca_bundle, self.timeout)
            lineage = Lineage.read(wanted.name)
            if lineage.certificate is None:
                raise UnavailableError(f"certbot said nothing was wrong, but {lineage.directory} has no certificate.")
        told = x509.describe(lineage.certificate)
        status = "valid" if lineage.certificate == before else "issued" if before is None else "renewed"
        outcome.update(changed=bool(reason or page), status=status, **told)
        margin = certbot.set_margin(wanted, lineage, self.check_mode)
        stale = self._stale(wanted, lineage)
        outcome["changed"] = outcome["changed"] or margin or stale
        outcome["reason"] = reason or (
            ("what is in service is not what certbot has" if stale else None)
            or ("where the files go, or who may read them, differs" if page else None)
            or ("certbot would renew at another time" if margin else None)
        )
        if stale:
            self._deploy(wanted, lineage)

    def _predict(self, wanted: AcmeWanted, outcome: dict, reason: str, before) -> None:
        domains = sorted(map(str, wanted.domains))
        status = "issued" if before is None else "renewed"
        outcome.update(changed=True, status=status, reason=reason, domains=domains)
        after = f"domains: {', '.join(domains)}\nissuer: {wanted.directory_url}\n"
        self.outcomes.diffs.append(text_diff(f"certificate {wanted.name}", _told(before), after))

    def _page(self, wanted: AcmeWanted) -> bool:
        """Say where the hook installs the certificate; return whether that is (would be) a change."""
        path = os.path.join(PAGES, f"{wanted.name}.json")
        try:
            ids = {"uid": user_id(wanted.owner), "gid": group_id(wanted.group)}
        except NotFoundError:
            if not self.check_mode:
                raise
            return True
        page = {
            "store": wanted.store,
            "paths": dict(wanted.paths),
            "mode": wanted.mode,
            **ids,
            "units": dict(wanted.notify),
            "owed": os.path.join(base_directory("state"), "owed"),
        }
        return self._file(path, (json.dumps(page, indent=2, sort_keys=True) + "\n").encode(), 0o644)

    @staticmethod
    def _stale(wanted: AcmeWanted, lineage: Lineage) -> bool:
        """Return whether services find something else than what certbot has."""
        seen = look(wanted)
        return not (seen.complete and seen.attributes and seen.files == lineage.files)

    def _deploy(self, wanted: AcmeWanted, lineage: Lineage) -> None:
        """Install what certbot has by the same hook that its renewals run."""
        before = look(wanted).certificate
        if before != lineage.certificate:
            self.outcomes.diffs.append(
                text_diff(f"certificate {wanted.name}", _told(before), _told(lineage.certificate))
            )
        if self.check_mode:
            return
        hook = os.path.join(certbot.ETC, HOOK)
        done = self.commands.run([hook], env={"RENEWED_LINEAGE": lineage.directory}, timeout=self.timeout)
        if not done.ok:
            raise UnavailableError(
                f"The certificate is there, but it did not get into service: {done.complaint}",
                hint="systemctl status and journalctl say more of the unit.",
            )


def _told(certificate) -> str | None:
    if certificate is None:
        return None
    return text_of(certificate, x509.key_fingerprint(certificate.public_key()))
