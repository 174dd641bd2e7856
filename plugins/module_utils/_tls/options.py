# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``tls_certificate`` and ``acme_certificate``, and what they mean once validated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .._core.errors import ConflictError, ValidationError
from .._core.files import parse_mode
from .names import Name, normal_names
from .pair import CERT, CHAIN, FULLCHAIN, KEY
from .x509 import KeyKind

__all__ = [
    "STORE",
    "Wanted",
    "ca_spec",
    "certificate_spec",
    "file_spec",
    "parse_all",
    "parse_days",
    "parse_files",
    "parse_key",
    "refuse_duplicates",
    "tls_certificate_spec",
]

STORE = "/etc/ssl/scripts-toolkit"
"""Default home of all certificates, one directory each."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_SIZES = {"rsa": (2048, 3072, 4096, 8192), "ecdsa": (256, 384, 521), "ed25519": (0,)}
_DEFAULT_SIZE = {"rsa": 3072, "ecdsa": 256, "ed25519": 0}
_PATH_OPTIONS = {KEY: "key_path", CERT: "cert_path", CHAIN: "chain_path", FULLCHAIN: "fullchain_path"}


def file_spec() -> dict:
    """Return the argument spec of where a certificate's files go and who may read its key."""
    return {
        "key_path": {"type": "path"},
        "cert_path": {"type": "path"},
        "chain_path": {"type": "path"},
        "fullchain_path": {"type": "path"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": "0600"},
        "notify": {"type": "dict", "default": {}},
    }


def certificate_spec() -> dict:
    """Return the argument spec of one item of ``certificates`` of ``tls_certificate``."""
    return {
        "name": {"type": "str", "required": True},
        "domains": {"type": "list", "elements": "str"},
        "provider": {"type": "str", "choices": ["selfsigned", "own_ca", "placeholder"], "default": "selfsigned"},
        "key": {
            "type": "dict",
            "no_log": False,
            "options": {
                "type": {"type": "str", "choices": ["ecdsa", "rsa", "ed25519"], "default": "ecdsa"},
                "size": {"type": "int"},
            },
        },
        "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": ["server"]},
        "lifetime": {"type": "int", "default": 397},
        "renew_before": {"type": "int", "default": 30},
        "renew_key": {"type": "bool", "default": False},
        **file_spec(),
    }


def ca_spec() -> dict:
    """Return the argument spec of ``ca``, which only the controller reads."""
    return {
        "name": {"type": "str", "default": "scripts-toolkit"},
        "directory": {"type": "path"},
        "passphrase": {"type": "str", "no_log": True},
        "lifetime": {"type": "int", "default": 3650},
        "renew": {"type": "bool", "default": False},
    }


def tls_certificate_spec() -> dict:
    """Return the argument spec of ``tls_certificate``.

    What starts with ``_`` is between the action and the module: whether to install what the controller has signed, and
    the certificate of the own CA.
    """
    return {
        "certificates": {"type": "list", "elements": "dict", "required": True, "options": certificate_spec()},
        "ca": {"type": "dict", "options": ca_spec(), "apply_defaults": True},
        "_issued": {"type": "dict"},
        "_authority": {"type": "str"},
    }


@dataclass(frozen=True)
class Wanted:
    """One certificate as the task wants it, validated; times in days."""

    name: str
    domains: tuple[Name, ...]
    provider: str
    kind: KeyKind
    usages: tuple[str, ...]
    lifetime: int
    renew_before: int
    renew_key: bool
    store: str
    paths: Mapping[str, str]
    owner: str
    group: str
    mode: int
    notify: Mapping[str, str] = field(default_factory=dict)


def parse_files(item: Mapping, store: str = STORE) -> dict:
    """Return ``store``, ``paths``, ``owner``, ``group``, ``mode`` and ``notify`` of an item, validated.

    :param store: the home of all certificates; the result's ``store`` is the item's own directory.
    """
    name = item["name"]
    if not _NAME.match(name) or ".." in name:
        raise ValidationError(
            f"name: {name!r} can't be the name of a certificate.",
            hint="Use letters, digits, dots, hyphens and underscores, as in www.example.com; wildcards go to domains.",
        )
    own = os.path.join(store, name)
    paths = {}
    for file, option in _PATH_OPTIONS.items():
        path = item.get(option) or os.path.join(own, file)
        if not os.path.isabs(path) or path.endswith("/"):
            raise ValidationError(f"{option}: {path!r} is not the absolute path of a file.", item=name)
        paths[file] = os.path.normpath(path)
    mode = parse_mode(item["mode"])
    if mode & ~0o660 or not mode & 0o400:
        raise ValidationError(
            f"mode: {item['mode']!r} is not allowed for a private key.",
            hint='Others may never read it, nobody executes it: use "0600", "0640" or the like.',
            item=name,
        )
    notify = {unit if "." in unit else f"{unit}.service": action for unit, action in (item.get("notify") or {}).items()}
    for unit, action in notify.items():
        if action not in ("reload", "restart") or "/" in unit or not unit or unit.startswith("."):
            raise ValidationError(
                f"notify: {unit!r}: {action!r} is not a unit and its action.",
                hint="Write it as {nginx.service: reload}; the actions are reload and restart.",
                item=name,
            )
    return {
        "store": own,
        "paths": paths,
        "owner": item["owner"],
        "group": item["group"],
        "mode": mode,
        "notify": notify,
    }


def parse_days(item: Mapping, option: str, least: int, most: int) -> int:
    """Return a number of days.

    :raises ValidationError: it is out of bounds.
    """
    days = item[option]
    if not least <= days <= most:
        raise ValidationError(f"{option}={days} is not between {least} and {most} days.", item=item["name"])
    return days


def parse_key(item: Mapping) -> KeyKind:
    """Return the kind of key of an item.

    :raises ValidationError: there is no key of that type and size.
    """
    key = item.get("key") or {"type": "ecdsa", "size": None}
    size = key["size"] if key.get("size") is not None else _DEFAULT_SIZE[key["type"]]
    if size not in _SIZES[key["type"]]:
        sizes = ", ".join(str(allowed) for allowed in _SIZES[key["type"]])
        raise ValidationError(
            f"key.size={size} does not exist for {key['type']} keys; one of {sizes}.", item=item["name"]
        )
    return KeyKind(key["type"], size)


def _parse(item: Mapping, store: str) -> Wanted:
    files = parse_files(item, store)
    lifetime = parse_days(item, "lifetime", 1, 36500)
    renew_before = parse_days(item, "renew_before", 0, 36500)
    if renew_before >= lifetime:
        raise ValidationError(
            f"renew_before={renew_before} is not less than lifetime={lifetime}, so each run would renew.",
            item=item["name"],
        )
    if not item["usages"]:
        raise ValidationError("usages is empty.", hint="Use server, client or both.", item=item["name"])
    try:
        domains = normal_names([item["name"]] if item.get("domains") is None else item["domains"])
    except ValidationError as error:
        error.item = item["name"]
        raise
    return Wanted(
        name=item["name"],
        domains=domains,
        provider=item["provider"],
        kind=parse_key(item),
        usages=tuple(sorted(set(item["usages"]))),
        lifetime=lifetime,
        renew_before=renew_before,
        renew_key=item["renew_key"],
        **files,
    )


def refuse_duplicates(wanted: Iterable) -> None:
    """Raise :class:`ConflictError` where two certificates have one name, or two files one path."""
    names: set[str] = set()
    paths: dict[str, str] = {}
    for one in wanted:
        if one.name in names:
            raise ConflictError(
                f"certificates: the name {one.name!r} is there twice.",
                hint="Names are unique per host; give one certificate all its domains.",
                item=one.name,
            )
        names.add(one.name)
        for path in one.paths.values():
            if path in paths:
                raise ConflictError(
                    f"certificates: {path} is a path of {paths[path]!r} and of {one.name!r}."
                    if paths[path] != one.name
                    else f"certificates: {path} is the path of two files of {one.name!r}.",
                    item=one.name,
                )
            paths[path] = one.name


def parse_all(items: list[Mapping], store: str = STORE) -> list[Wanted]:
    """Return all certificates of a call, validated before anything is done.

    :raises ValidationError: an option can't be used; the message names it and its value.
    :raises ConflictError: a name or a path is there twice.
    """
    wanted = [_parse(item, store) for item in items]
    refuse_duplicates(wanted)
    return wanted
