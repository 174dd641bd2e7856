# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action ``site_check`` without ansible-core: options in, result out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError

from .checks import Check, Site, check_all
from .conversation import TLS_VERSIONS
from .ports import resolve

__all__ = ["ARGUMENT_SPEC", "default_address", "run"]

_TOLD = 5
"""So many failures stand in the message; all of them in the checks."""

_SITE_SPEC: dict[str, dict[str, Any]] = {
    "domain": {"type": "str", "required": True},
    "https": {"type": "bool", "default": True},
    "https_port": {"type": "int", "default": 443},
    "http_port": {"type": "int", "default": 80},
    "path": {"type": "str", "default": "/"},
    "status": {"type": "int", "default": 200},
    "fingerprint_sha256": {"type": "str"},
    "ca_pem": {"type": "str"},
    "ca_path": {"type": "path"},
    "http_redirect": {"type": "bool", "default": True},
    "hsts": {"type": "int", "default": 0},
    "http2": {"type": "bool", "default": True},
    "min_tls": {"type": "str", "choices": ["1.0", "1.1", "1.2", "1.3"], "default": "1.2"},
    "php_path": {"type": "str"},
}

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "address": {"type": "str"},
    "sites": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": _SITE_SPEC,
        "mutually_exclusive": [["ca_pem", "ca_path"]],
    },
    "open_ports": {"type": "list", "elements": "int", "default": []},
    "closed_ports": {"type": "list", "elements": "int", "default": []},
    "timeout": {"type": "float", "default": 5.0},
    "wait": {"type": "float", "default": 10.0},
}


def default_address(task_vars: Mapping[str, Any], delegate_to: str | None, connection: Any) -> str:
    """Return where the host of the task is reached from here: 127.0.0.1 for a local connection."""
    address = str(task_vars.get("ansible_host") or task_vars.get("inventory_hostname") or "")
    if delegate_to:
        local = str(task_vars.get("ansible_connection", "")).rsplit(".", 1)[-1] == "local"
    else:
        local = getattr(connection, "transport", "") == "local"
    return "127.0.0.1" if local or not address else address


def run(address: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Do all checks and return the result.

    :param options: as ``ARGUMENT_SPEC`` gives them.
    :raises ToolkitError: an option can't be used.
    """
    _validate(options)
    sites = [Site(**{**site, "domain": _domain(site["domain"])}) for site in options["sites"]]
    _family, target = resolve(address)
    checks = check_all(
        target, sites, options["open_ports"], options["closed_ports"], options["timeout"], options["wait"]
    )
    result: dict[str, Any] = {
        "failed": False,
        "address": target,
        "checks": [check.as_dict() for check in checks],
        "not_tested": [f"{check.name} of {check.target}" for check in checks if not check.tested],
    }
    failures = [check for check in checks if not check.ok]
    if failures:
        first = failures[0]
        told = "; ".join(_sentence(check) for check in failures[:_TOLD])
        if len(failures) > _TOLD:
            told += f"; and {len(failures) - _TOLD} more, see checks"
        message = f"{len(failures)} of {len(checks)} checks failed at {target}: {told}."
        result.update(
            failed=True,
            msg=f"{message} {first.hint}".rstrip(),
            error={
                "kind": "unavailable" if first.detail.startswith("no connection") else "integrity",
                "message": message,
                "hint": first.hint or None,
                "item": first.target,
            },
        )
    else:
        result["msg"] = f"All {len(checks)} checks hold at {target}."
    return result


def _sentence(check: Check) -> str:
    return f"{check.name} of {check.target}: {check.detail}"


def _domain(domain: str) -> str:
    try:
        return domain.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValidationError(f"sites: {domain!r} is not a domain name.", hint="Write it as www.example.com.") from None


def _validate(options: Mapping[str, Any]) -> None:
    if not (options["sites"] or options["open_ports"] or options["closed_ports"]):
        raise ValidationError("Nothing is to be checked.", hint="Give sites, open_ports or closed_ports.")
    for option in ("open_ports", "closed_ports"):
        for port in options[option]:
            _port(option, port)
    for site in options["sites"]:
        for option in ("https_port", "http_port"):
            _port(f"sites: {option}", site[option])
        for option in ("path", "php_path"):
            value = site[option]
            if value is not None and (not value.startswith("/") or any(char <= " " or char > "~" for char in value)):
                raise ValidationError(
                    f"sites: {option} {value!r} is no URL path.", hint="Begin with / and encode blanks."
                )
        wanted = (site["fingerprint_sha256"] or "").replace(":", "")
        if wanted and (len(wanted) != 64 or any(char not in "0123456789abcdefABCDEF" for char in wanted)):
            raise ValidationError(
                f"sites: fingerprint_sha256 of {site['domain']} is not 64 hexadecimal digits.",
                hint="Take it from: openssl x509 -noout -fingerprint -sha256.",
            )
        if site["min_tls"] not in TLS_VERSIONS:
            raise ValidationError(f"sites: min_tls {site['min_tls']!r} is not known.", hint="Use 1.2 or 1.3.")
    for option in ("timeout", "wait"):
        if options[option] < 0 or (option == "timeout" and options[option] == 0):
            raise ValidationError(f"{option}={options[option]:g} is out of range.", hint="Give seconds above 0.")


def _port(option: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise ValidationError(f"{option}: {port} is not a TCP port.", hint="Ports are 1 to 65535.")
