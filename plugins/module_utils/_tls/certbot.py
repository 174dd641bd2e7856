# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's certbot: what it has, how it is asked, and what its complaints mean."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._core.commands import Commands
from .._core.errors import NotFoundError, ToolkitError, UnavailableError
from .._core.files import read_bytes, write_atomic
from . import x509
from .acme_options import AcmeWanted
from .pair import CERT, FILES, KEY

__all__ = ["ETC", "Lineage", "issue", "margin", "reason_to_issue", "set_margin"]

ETC = "/etc/letsencrypt"

_CHATTER = (
    "Account registered",
    "An unexpected error occurred",
    "Ask for help",
    "Plugins selected",
    "Registering without email",
    "Renewing an existing certificate",
    "Requesting a certificate",
    "Saving debug log",
)
_CURVES = {256: "secp256r1", 384: "secp384r1", 521: "secp521r1"}
_PROBLEM = re.compile(
    r"^ *(?:Domain|Identifier): *(?P<domain>\S+)\s*Type: *(?P<type>\S+)\s*Detail: *(?P<detail>.+)$", re.M
)
_PASSING = {"anti-replay nonce": 0, "Another instance of Certbot is already running": 10}
"""Complaints that pass by themselves (a used nonce, RFC 8555 section 6.5; certbot's timer), and seconds to wait."""
_ATTEMPTS = 4
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>:? ?")
"""How Python writes a thing that has no better name."""
_MARGIN = re.compile(r"^#? *renew_before_expiry *=.*$", re.M)


@dataclass(frozen=True)
class Lineage:
    """What certbot has under one name: its files, and the parameters that its renewals go by."""

    directory: str
    configuration: str
    files: Mapping[str, bytes | None]
    parameters: Mapping[str, str]
    webroots: Mapping[str, str]
    key: Any
    certificate: Any

    @classmethod
    def read(cls, name: str, etc: str = ETC) -> Lineage:
        """Return what is there; reads only."""
        directory = os.path.join(etc, "live", name)
        configuration = os.path.join(etc, "renewal", f"{name}.conf")
        files = {file: read_bytes(os.path.join(directory, file)) for file in FILES}
        parameters, webroots = _parse_configuration((read_bytes(configuration) or b"").decode("utf-8", "replace"))
        return cls(
            directory=directory,
            configuration=configuration,
            files=files,
            parameters=parameters,
            webroots=webroots,
            key=x509.load_key(files[KEY]),
            certificate=x509.load_certificate(files[CERT]),
        )


def _parse_configuration(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return parameters and webroots of a renewal configuration (ConfigObj with one nested section)."""
    parameters: dict[str, str] = {}
    webroots: dict[str, str] = {}
    section = parameters
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = webroots if stripped == "[[webroot_map]]" else parameters
        elif "=" in stripped and not stripped.startswith("#"):
            name, _equals, value = stripped.partition("=")
            section[name.strip()] = value.strip()
    return parameters, webroots


def margin(wanted: AcmeWanted, certificate) -> timedelta:
    """Return how long before its end the certificate is due.

    At most half its life, so that short-lived certificates are not due as soon as they are issued.
    """
    life = x509.not_after(certificate) - x509.not_before(certificate)
    return min(timedelta(days=wanted.renew_before), life / 2)


def reason_to_issue(wanted: AcmeWanted, lineage: Lineage, now: datetime) -> str | None:
    """Return why certbot must be asked for a certificate; ``None`` if it need not."""
    certificate = lineage.certificate
    if certificate is None:
        return "there is no certificate" if not lineage.files[CERT] else "the certificate can't be read"
    if lineage.key is None or not x509.same_public_key(lineage.key, certificate):
        return "the certificate does not belong to its key"
    if lineage.parameters.get("server") != wanted.directory_url:
        return f"the certificate is from {lineage.parameters.get('server', 'an unknown directory')}"
    if x509.names_of(certificate) != set(wanted.domains):
        return "the names differ"
    found = x509.key_kind(lineage.key)
    if found != wanted.kind:
        return f"the key is {found}, not {wanted.kind}"
    if any(lineage.webroots.get(domain) != wanted.webroot for domain in wanted.domains):
        return "certbot would renew with another webroot"
    if (lineage.parameters.get("reuse_key") == "True") == wanted.renew_key:
        return "certbot would treat the key differently at renewal"
    ends = x509.not_after(certificate)
    if now >= ends:
        return f"the certificate expired on {x509.iso(ends)}"
    if ends - now <= margin(wanted, certificate):
        return f"the certificate expires on {x509.iso(ends)}"
    return None


def arguments(wanted: AcmeWanted) -> list[str]:
    """Return the arguments of certbot that get or replace a certificate."""
    contact = ["--email", wanted.email, "--no-eff-email"] if wanted.email else ["--register-unsafely-without-email"]
    kind = (
        ["--key-type", "rsa", "--rsa-key-size", str(wanted.kind.size)]
        if wanted.kind.type == "rsa"
        else ["--key-type", "ecdsa", "--elliptic-curve", _CURVES[wanted.kind.size]]
    )
    domains = [part for domain in wanted.domains for part in ("-d", str(domain))]
    return [
        "certonly",
        "--non-interactive",
        "--agree-tos",
        *contact,
        "--server",
        wanted.directory_url,
        "--cert-name",
        wanted.name,
        "--webroot",
        "--webroot-path",
        wanted.webroot,
        *kind,
        "--no-reuse-key" if wanted.renew_key else "--reuse-key",
        "--force-renewal",
        "--renew-with-new-domains",
        *domains,
    ]


def issue(
    commands: Commands,
    wanted: AcmeWanted,
    ca_bundle: str | None,
    timeout: int,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Have certbot get the certificate; what passes by itself is tried again.

    :param ca_bundle: file with the CAs to believe the directory's own certificate by.
    :raises ToolkitError: it did not work; the message says which domain failed and why.
    """
    if not os.path.isdir(wanted.webroot):
        raise NotFoundError(
            f"webroot: {wanted.webroot} does not exist.",
            hint="It is the directory whose .well-known/acme-challenge the web server serves over http.",
        )
    program = commands.require("certbot")
    environment = {"REQUESTS_CA_BUNDLE": ca_bundle} if ca_bundle else {}
    for attempt in range(1, _ATTEMPTS + 1):
        done = commands.run([program, *arguments(wanted)], env=environment, timeout=timeout)
        if done.ok:
            return
        text = f"{done.out}\n{done.err}"
        pause = next((seconds for words, seconds in _PASSING.items() if words in text), None)
        if pause is None or attempt == _ATTEMPTS:
            raise _failure(wanted, text)
        sleep(pause)


def _failure(wanted: AcmeWanted, text: str) -> ToolkitError:
    """Return what certbot's output means."""
    problems = [f"{found['domain']}: {found['detail'].strip()}" for found in _PROBLEM.finditer(text)]
    if problems:
        return UnavailableError(
            f"{wanted.directory_url} could not prove {'; '.join(problems)}",
            hint="What was in service before still is. The domain must lead to this host's port 80 and "
            f"serve {wanted.webroot}/.well-known/acme-challenge.",
        )
    lines = [_OBJECT.sub("", line.strip()) for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_CHATTER)]
    return UnavailableError(
        f"certbot got no certificate for {', '.join(wanted.domains)} from {wanted.directory_url}: "
        f"{' '.join(telling[:3]) or 'it did not say why'}",
        hint="What was in service before still is. The log is /var/log/letsencrypt/letsencrypt.log.",
    )


def set_margin(wanted: AcmeWanted, lineage: Lineage, check_mode: bool = False) -> bool:
    """Have certbot's timer renew when the play would; return whether that is (in check mode, would be) a change."""
    days = margin(wanted, lineage.certificate).days
    line = f"renew_before_expiry = {days} days"
    if not days or lineage.parameters.get("renew_before_expiry") == f"{days} days":
        return False
    if not check_mode:
        text = (read_bytes(lineage.configuration) or b"").decode()
        text = _MARGIN.sub(line, text, count=1) if _MARGIN.search(text) else f"{line}\n{text}"
        write_atomic(lineage.configuration, text.encode(), mode=os.stat(lineage.configuration).st_mode & 0o777)
    return True
