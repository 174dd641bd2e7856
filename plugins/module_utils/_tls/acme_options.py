# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``acme_certificate``, validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from .._core.errors import ValidationError
from .names import Name, normal_names
from .options import STORE, file_spec, parse_days, parse_files, parse_key, refuse_duplicates
from .x509 import KeyKind

__all__ = ["LETS_ENCRYPT", "AcmeWanted", "acme_certificate_spec", "parse_acme"]

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def acme_certificate_spec() -> dict:
    """Return the argument spec of ``acme_certificate``."""
    certificate = {
        "name": {"type": "str", "required": True},
        "domains": {"type": "list", "elements": "str"},
        "directory_url": {"type": "str", "default": LETS_ENCRYPT},
        "email": {"type": "str"},
        "webroot": {"type": "path", "default": "/var/www/html"},
        "key": {
            "type": "dict",
            "no_log": False,
            "options": {
                "type": {"type": "str", "choices": ["ecdsa", "rsa"], "default": "ecdsa"},
                "size": {"type": "int"},
            },
        },
        "renew_before": {"type": "int", "default": 30},
        "renew_key": {"type": "bool", "default": True},
        **file_spec(),
    }
    return {
        "certificates": {"type": "list", "elements": "dict", "required": True, "options": certificate},
        "agree_tos": {"type": "bool", "default": False},
        "ca_bundle": {"type": "path"},
        "timeout": {"type": "int", "default": 300},
    }


@dataclass(frozen=True)
class AcmeWanted:
    """One ACME certificate as the task wants it, validated."""

    name: str
    domains: tuple[Name, ...]
    directory_url: str
    email: str | None
    webroot: str
    kind: KeyKind
    renew_before: int
    renew_key: bool
    store: str
    paths: Mapping[str, str]
    owner: str
    group: str
    mode: int
    notify: Mapping[str, str]


def _parse(item: Mapping, store: str) -> AcmeWanted:
    name, url = item["name"], item["directory_url"]
    files = parse_files(item, store)
    split = urlsplit(url)
    if split.scheme not in ("https", "http") or not split.hostname or any(character.isspace() for character in url):
        raise ValidationError(
            f"directory_url: {url!r} is not a URL.",
            hint=f"That of Let's Encrypt is {LETS_ENCRYPT}.",
            item=name,
        )
    if not os.path.isabs(item["webroot"]):
        raise ValidationError(f"webroot: {item['webroot']!r} is not an absolute path.", item=name)
    if item.get("email") and ("@" not in item["email"] or any(character.isspace() for character in item["email"])):
        raise ValidationError(f"email: {item['email']!r} is not a mail address.", item=name)
    try:
        domains = normal_names([name] if item.get("domains") is None else item["domains"])
    except ValidationError as error:
        error.item = name
        raise
    for domain in domains:
        if domain.is_address or domain.is_wildcard:
            what = "an IP address" if domain.is_address else "a wildcard"
            raise ValidationError(
                f"domains: {domain!s} is {what}, which can't be proved by a file on a web server (http-01).",
                hint="Give host names, or use the provider own_ca of tls_certificate.",
                item=name,
            )
    return AcmeWanted(
        name=name,
        domains=domains,
        directory_url=url,
        email=item.get("email") or None,
        webroot=os.path.normpath(item["webroot"]),
        kind=parse_key(item),
        renew_before=parse_days(item, "renew_before", 1, 365),
        renew_key=item["renew_key"],
        **files,
    )


def parse_acme(items: list[Mapping], store: str = STORE) -> list[AcmeWanted]:
    """Return all certificates of a call, validated before anything is done.

    :raises ValidationError: an option can't be used; the message names it and its value.
    :raises ConflictError: a name or a path is there twice.
    """
    wanted = [_parse(item, store) for item in items]
    refuse_duplicates(wanted)
    return wanted
