# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit provision``: a web server on a disposable or a real host, and where to find it afterwards."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import ssl
import sys

from ..plugins.module_utils._audit.store.integrator import LOG_NAME
from ..plugins.module_utils._core.errors import ValidationError
from ..plugins.module_utils._core.files import read_bytes, remove_file, write_atomic
from ..plugins.module_utils._core.paths import base_directory
from ..plugins.plugin_utils._hosts import Hosts
from ..plugins.plugin_utils._hosts.inventory import inventory_yaml
from ..plugins.plugin_utils._hosts.layout import SUITES
from .ansible import Ansible, is_address, real_inventory
from .output import progress

__all__ = ["register", "summary"]

_PLAYBOOK = "scripts.toolkit.provision"

_DESCRIPTION = """\
Make a web server (nginx with https, php-fpm, MariaDB, firewall, hardened ssh) and record how.

  toolkit provision                                    on a disposable host, booted if it is not up (needs root)
  toolkit provision web01.example.com --ssh-user admin --ssh-key ~/.ssh/id_ed25519 --domain www.example.com
  toolkit provision --check                            only predict what would change
  toolkit provision -- -e @site.yml -v                 arguments after -- go to ansible-playbook

It ends with ansible-playbook's exit code: 0 done, 2 a task failed, 4 a host was unreachable."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "provision",
        help="make a web server on a disposable or a real host",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="toolkit provision [HOST] [options] [-- ANSIBLE-PLAYBOOK ARGUMENTS]",
    )
    parser.add_argument("host", nargs="?", default="", metavar="HOST", help="name or address; none: a disposable host")
    parser.add_argument("--ssh-user", default="", help="user on HOST (default: ssh's own choice)")
    parser.add_argument(
        "--ssh-key", default="", metavar="FILE", help="private key for HOST (default: ssh's own choice)"
    )
    parser.add_argument("--domain", default="", help="domain of the site (default: HOST, or NAME.example.test)")
    parser.add_argument("--check", action="store_true", help="change nothing, predict")
    parser.add_argument("--diff", action="store_true", help="show what changes in files")
    parser.add_argument("--name", default="web01", help="name of the disposable host (default: %(default)s)")
    parser.add_argument("--suite", choices=list(SUITES), default=None, help="its Debian suite (default: bookworm)")
    parser.add_argument("--install-missing", action="store_true", help="install missing Debian packages here (root)")
    parser.add_argument("--playbook", default=_PLAYBOOK, help="the playbook (default: %(default)s)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    ansible = Ansible(os.environ)
    address = None
    if options.host:
        inventory = real_inventory(options.host, options.ssh_user, options.ssh_key)
        name = next(iter(inventory["all"]["hosts"]))
        domain = options.domain or name
        if not options.domain and is_address(name):
            raise ValidationError(f"HOST={name} is an address, so the site has no name.", hint="Give it with --domain.")
    else:
        name = options.name
        domain = options.domain or f"{name}.example.test"
        address, inventory = _disposable(options)
    place = os.path.join(base_directory("state"), "provision", name.replace(":", "_"))
    os.makedirs(place, mode=0o700, exist_ok=True)
    inventory_path = os.path.join(place, "inventory.yml")
    result_path = os.path.join(place, f"{name}.json")
    write_atomic(inventory_path, inventory_yaml(inventory).encode(), durable=False)
    remove_file(result_path)
    variables = {"provision_result_directory": place}
    if options.domain or not options.host:
        variables["web_server_domain"] = domain
    arguments = [options.playbook, "--inventory", inventory_path, "--extra-vars", json.dumps(variables)]
    arguments += ["--check"] if options.check else []
    arguments += ["--diff"] if options.diff else []
    code = ansible.play([*arguments, *options.rest])
    sys.stdout.flush()
    raw = read_bytes(result_path)
    result = json.loads(raw) if raw else None
    certificate = None
    if code == 0 and address and not options.check:
        certificate = _save_certificate(address, domain, os.path.join(place, "certificate.pem"))
    print(summary(code, name, domain, result, address, certificate, options.check), end="")
    _tell_places(ansible, inventory_path, result_path if raw else None)
    return code


def _disposable(options: argparse.Namespace) -> tuple[str, dict]:
    """Boot the disposable host unless it is up, and return its address and an inventory."""
    hosts = Hosts(progress=progress)
    known = hosts.list().get(options.name)
    suite = options.suite or (known["suite"] if known and known["state"] != "dead" else "bookworm")
    found = hosts.up([options.name], suite, options.install_missing)[options.name]
    if found["created_now"]:
        progress(f"Booted the disposable host {options.name} ({suite}, {found['address']}).")
    else:
        progress(f"Using the disposable host {options.name} ({suite}, {found['address']}), which is up already.")
    return found["address"], hosts.inventory([options.name])


def _save_certificate(address: str, domain: str, path: str, port: int = 443) -> str | None:
    """Save the certificate with which the host answers for ``domain``, for people to trust it; return its path.

    The connection is not verified: it goes over this machine's own bridge to a host that it has just made.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=5) as connection,
            context.wrap_socket(connection, server_hostname=domain) as channel,
        ):
            data = channel.getpeercert(binary_form=True)
    except OSError as error:
        progress(f"https://{domain}/ at {address} gives no certificate: {error}")
        return None
    write_atomic(path, ssl.DER_cert_to_PEM_cert(data or b"").encode(), mode=0o644, durable=False)
    return path


def summary(
    code: int,
    name: str,
    domain: str,
    result: dict | None,
    address: str | None = None,
    certificate: str | None = None,
    check: bool = False,
) -> str:
    """Return what a person is told at the end.

    :param code: ansible-playbook's exit code.
    :param result: what the playbook wrote about the host, ``None`` when it wrote nothing.
    :param address: address of a disposable host.
    :param certificate: file to trust for ``domain``.
    """
    lines = [""]
    if code != 0 or (result or {}).get("status") not in ("success", None):
        lines += _failure(code, name, result)
    elif check:
        lines.append(f"Checked {name}: nothing was changed. Run it without --check to do what is shown above.")
    else:
        urls = (result or {}).get("urls") or [f"https://{domain}/"]
        if (result or {}).get("changed") is False:
            lines.append(f"Nothing changed on {name}: it was as wanted already.")
        lines += [f"The site answers at {url}" for url in urls]
        if address:
            lines.append(f"{domain} is not in the DNS; the host's address is {address}. Try:")
            trust = f"--cacert {shlex.quote(certificate)}" if certificate else "--insecure"
            lines.append(f"  curl --resolve {domain}:443:{address} {trust} {urls[0]}")
    if result:
        lines += ["Result:", json.dumps(result, indent=2)]
    return "\n".join(lines) + "\n"


def _failure(code: int, name: str, result: dict | None) -> list[str]:
    if result is None:
        return [f"FAILED: {name}: ansible-playbook ended with exit code {code} before it had a result; see above why."]
    error = result.get("error") or {}
    lines = [f"FAILED: {name}: {result.get('failed_task') or 'the play'}: {error.get('message') or 'see above'}"]
    if error.get("hint"):
        lines.append(f"  {error['hint']}")
    return lines


def _tell_places(ansible: Ansible, inventory_path: str, result_path: str | None) -> None:
    places = [("inventory", inventory_path), ("result", result_path)]
    record = ansible.record()
    if record:
        places += [("audit trail", os.path.join(record.log_directory, LOG_NAME)), ("metrics", record.metrics_path)]
    for label, path in places:
        if path:
            print(f"{label + ':':<13}{path}")
