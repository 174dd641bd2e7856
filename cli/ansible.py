# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ansible-playbook the way the commands need it: the same environment, this collection, the audit callback on."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from ..plugins.module_utils._audit.record.run import Settings
from ..plugins.module_utils._core.commands import Commands
from ..plugins.module_utils._core.errors import DependencyError, ValidationError

__all__ = ["Ansible", "is_address", "real_inventory"]

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CALLBACK = "scripts.toolkit.audit"


def real_inventory(host: str, user: str | None, key: str | None) -> dict:
    """Return an inventory with one host that is reached by ssh.

    :param host: name or address, optionally ``name:port`` or ``[address]:port``.
    :param user: ssh user, ``None`` for what ssh chooses itself.
    :param key: path of the private key, likewise.
    :raises ValidationError: ``host`` is neither, or the key file is not there.
    """
    found = re.fullmatch(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](:(?P<p6>\d+))?|(?P<name>[^\s\[\]:/@,]+)(:(?P<port>\d+))?", host)
    if not found and not is_address(host):
        raise ValidationError(
            f"HOST={host!r} is neither a host name nor an address.", hint="Such as web01.example.com."
        )
    name = (found and (found["v6"] or found["name"])) or host
    port = found and (found["p6"] or found["port"])
    variables: dict = {"ansible_host": name}
    if port:
        variables["ansible_port"] = int(port)
    if user:
        variables["ansible_user"] = user
    if key:
        path = os.path.abspath(os.path.expanduser(key))
        if not os.path.isfile(path):
            raise ValidationError(f"SSH_KEY={key!r}: there is no such file.", hint="Name the private key.")
        variables["ansible_ssh_private_key_file"] = path
    return {"all": {"hosts": {name: variables}}}


def is_address(text: str) -> bool:
    """Return whether ``text`` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Ansible:
    """ansible-core of the interpreter's own environment.

    :param environment: the environment variables to start from.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._directory = os.path.dirname(os.path.abspath(sys.executable))
        base = os.path.dirname(os.path.dirname(os.path.dirname(_ROOT)))
        if os.path.basename(os.path.dirname(os.path.dirname(_ROOT))) == "ansible_collections":
            paths = self._environment.get("ANSIBLE_COLLECTIONS_PATH", "")
            known = paths.split(":") if paths else ["~/.ansible/collections", "/usr/share/ansible/collections"]
            if base not in known:
                # The collection that this command belongs to, not another one that is installed as well.
                self._environment["ANSIBLE_COLLECTIONS_PATH"] = ":".join([base, *known])
        if not self._has_configuration() and os.path.exists(os.path.join(_ROOT, "ansible.cfg")):
            self._environment["ANSIBLE_CONFIG"] = os.path.join(_ROOT, "ansible.cfg")

    def _has_configuration(self) -> bool:
        """Return whether ansible-core would find a configuration file of the user's."""
        candidates = ["ansible.cfg", os.path.expanduser("~/.ansible.cfg"), "/etc/ansible/ansible.cfg"]
        return bool(self._environment.get("ANSIBLE_CONFIG")) or any(map(os.path.exists, candidates))

    def _program(self, name: str) -> str:
        beside = os.path.join(self._directory, name)
        path = beside if os.access(beside, os.X_OK) else Commands.find(name)
        if path is None:
            raise DependencyError(f"{name} is not installed in {self._directory}.", hint="pip install ansible-core")
        return path

    def _dump(self, *arguments: str) -> list:
        done = subprocess.run(
            [self._program("ansible-config"), "dump", "--format", "json", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return json.loads(done.stdout)
        except ValueError:
            return []

    def record(self) -> Settings | None:
        """Return where the audit callback writes under the user's configuration; ``None`` if that can't be read."""
        for entry in self._dump("--type", "callback", _CALLBACK):
            for settings in entry.values() if isinstance(entry, dict) else ():
                options = {setting["name"]: setting["value"] for setting in settings}
                return Settings.from_options(options.__getitem__)
        return None

    def _enable_audit(self) -> None:
        settings = {entry.get("name"): entry.get("value") for entry in self._dump("--type", "base")}
        enabled = settings.get("CALLBACKS_ENABLED") or []
        if _CALLBACK not in enabled:
            self._environment["ANSIBLE_CALLBACKS_ENABLED"] = ",".join([*enabled, _CALLBACK])

    def play(self, arguments: Sequence[str]) -> int:
        """Run ``ansible-playbook``, its output going straight to ours, and return its exit code.

        :raises DependencyError: ansible-core is not installed.
        """
        program = self._program("ansible-playbook")
        self._enable_audit()
        with subprocess.Popen([program, *arguments], env=self._environment) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal sent it to ansible-playbook as well, which ends in order.
                process.wait()
                raise
            except SystemExit:
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise
