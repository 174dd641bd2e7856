# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-core knows of a run when it starts: its options, versions, who started it, and the vault's secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants
from ansible.parsing import vault
from ansible.parsing.splitter import parse_kv
from ansible.parsing.utils.yaml import from_yaml

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.canonical import plain
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.command_line import extra_var_names, rebuild
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.run import Start
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.vaulted import Vaulted, is_encrypted
from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit.project import (
    collections_in_use,
    digest,
    git_state,
    inventory_sources,
)

__all__ = ["Secrets", "play_details", "role_details", "start_of"]

_INVOKERS = ("SUDO_USER", "SUDO_UID", "AWX_JOB_ID", "JOB_ID", "TOWER_JOB_ID")
_JOB_VARIABLES = (
    *("awx_job_id", "awx_job_template_name", "awx_job_launch_type", "awx_user_name", "awx_project_revision"),
    *("tower_job_id", "tower_user_name", "tower_job_template_name"),
)
_NO_LOGIN = 2**32 - 1


def _extra_vars(text: str) -> Mapping:
    """Return the variables of one ``--extra-vars`` text (not ``@file``) as ansible-core reads them."""
    if text[:1] in "[{":
        return from_yaml(text)
    return {name: value for name, value in parse_kv(text).items() if name != "_raw_params"}


def _defaults() -> dict[str, Any]:
    return {
        "forks": constants.DEFAULT_FORKS,
        "connection": constants.DEFAULT_TRANSPORT,
        "timeout": constants.DEFAULT_TIMEOUT,
        "remote_user": constants.DEFAULT_REMOTE_USER,
        "private_key_file": constants.DEFAULT_PRIVATE_KEY_FILE,
        "become_method": constants.DEFAULT_BECOME_METHOD,
        "diff": constants.DIFF_ALWAYS,
        "tags": tuple(constants.TAGS_RUN) or ("all",),
        "module_name": constants.DEFAULT_MODULE_NAME,
        "poll_interval": constants.DEFAULT_POLL_INTERVAL,
        "task_timeout": constants.TASK_TIMEOUT,
        "seconds": 0,
    }


def start_of(source: Any, script: str, options: Mapping[str, Any]) -> Start:
    """Return what is known when a run starts.

    :param source: what the first event was about: a playbook; an embedding program may begin with a play or task.
    :param options: ansible-core's parsed command line (``context.CLIARGS``); empty in an embedding program.
    """
    playbooks = list(options.get("args") or ()) if "listtasks" in options else []
    line = rebuild(sys.argv[0], options, _extra_vars, _defaults())

    def details() -> dict:
        return _start_details(source, script, playbooks, options)

    return Start(script, line, len(playbooks), details)


def _start_details(source: Any, script: str, playbooks: list[str], options: Mapping[str, Any]) -> dict:
    loader = getattr(source, "_loader", None)
    files = playbooks or ([script] if os.path.isfile(script) else [])
    details: dict[str, Any] = {
        "check": bool(options.get("check")),
        "diff": bool(options.get("diff")),
        "limit": options.get("subset"),
        "tags": list(options.get("tags") or ()),
        "skip_tags": list(options.get("skip_tags") or ()),
        "forks": options.get("forks"),
        "playbooks": [{"path": str(plain(path)), **digest(_resolved(path, script))} for path in files],
        "inventory": inventory_sources(str(plain(entry)) for entry in options.get("inventory") or ()),
        "collections": collections_in_use(list(sys.modules)),
        "extra_vars": extra_var_names(options.get("extra_vars") or (), _extra_vars),
        "vault_ids": _vault_ids(loader),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "ansible_core": str(getattr(sys.modules.get("ansible.release"), "__version__", "")),
    }
    place = os.path.dirname(script) if os.path.isabs(script) else os.getcwd()
    git = git_state(place)
    if git is not None:
        details["git"] = git
    invoked = _invoked_by(source)
    if invoked:
        details["invoked_by"] = invoked
    return details


def _resolved(path: str, script: str) -> str:
    """Return where a playbook lies; one named like ``namespace.collection.playbook`` is the script itself."""
    return path if os.path.exists(path) else script


def _vault_ids(loader: Any) -> list[str]:
    """Return the ids of the vault secrets that are loaded, never the secrets."""
    secrets = getattr(getattr(loader, "_vault", None), "secrets", None)
    return sorted({str(plain(entry[0])) for entry in secrets or ()})


def _invoked_by(source: Any) -> dict:
    """Return who is behind the user that runs this: through sudo, a login (which su does not change), AWX."""
    invoked: dict[str, Any] = {name.lower(): os.environ[name] for name in _INVOKERS if os.environ.get(name)}
    try:
        with open("/proc/self/loginuid", encoding="ascii") as handle:
            login = int(handle.read())
        if login != _NO_LOGIN:
            invoked["login_uid"] = login
    except (OSError, ValueError):
        pass
    plays = source.get_plays() if hasattr(source, "get_plays") else []
    manager = plays[0].get_variable_manager() if plays else None
    given = getattr(manager, "extra_vars", None) or {}
    for name in _JOB_VARIABLES:
        if isinstance(given.get(name), (str, int)):
            invoked[name] = plain(given[name])
    return invoked


def role_details(role: Any) -> dict:
    """Return what is told of a role: ``{path, sha256, files}``."""
    path = str(plain(getattr(role, "_role_path", "") or ""))
    return {"path": path, **digest(path)} if path else {}


def play_details(play: Any) -> dict:
    """Return ``{roles: {name: ...}}`` of a play that names roles; those included later are told at the end."""
    roles = {str(plain(role.get_name())): role_details(role) for role in play.get_roles()}
    return {"roles": roles} if roles else {}


class Secrets:
    """The plain texts of what ansible-core marks as encrypted, as far as they are known; see ``vaulted``. ``found`` is
    called with new ones."""

    def __init__(self) -> None:
        names = ("EncryptedString", "AnsibleVaultEncryptedUnicode")
        kinds = tuple(kind for kind in (getattr(vault, name, None) for name in names) if isinstance(kind, type))
        if not kinds:  # ansible-core 2.18
            from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode

            kinds = (AnsibleVaultEncryptedUnicode,)
        self.found: Callable[[list[str]], object] = list
        self._new: list[str] = []
        self._loader: Any = None
        self._vaulted = Vaulted(kinds, self._new.append)

    def look_at_playbook(self, playbook: Any) -> None:
        """Look at what was parsed before the run began."""
        self._loader = getattr(playbook, "_loader", None)
        self.look_again()

    def look_at_play(self, play: Any, sources: Any) -> None:
        """Look at the inventory and the variables of a play."""
        manager = play.get_variable_manager()
        self._loader = getattr(manager, "_loader", None) or self._loader
        if self._has_secrets():
            inventory = getattr(manager, "_inventory", None)
            self._vaulted.look_at_inventory(inventory, [str(source) for source in sources or ()])
            self._vaulted.look(getattr(manager, "extra_vars", None) or {})
        self.look_again()

    def look_again(self) -> None:
        """Look at what was parsed since the last time."""
        if self._has_secrets():
            self._vaulted.look_at_loader(self._loader)
        if self._new:
            new, self._new[:] = list(self._new), []
            self.found(new)

    def look_at_included(self, task: Any, data: Mapping) -> None:
        """Look at the files that ``include_vars`` has read in a worker, which keeps what it knows to itself.

        :param data: the result; it names no files where one of them is encrypted as a whole.
        """
        if not self._has_secrets():
            return
        paths = data.get("ansible_included_var_files")
        if not isinstance(paths, (list, tuple)):
            args = task.args
            name = args.get("file") or args.get("_raw_params") or args.get("dir")
            found = self._loader.path_dwim_relative_stack(task.get_search_path(), "vars", str(name)) if name else None
            paths = [found] if found else []
        for path in paths:
            self._look_at_file(str(path))
        self.look_again()

    def _look_at_file(self, path: str) -> None:
        if os.path.isdir(path):
            for name in sorted(os.listdir(path)):
                self._look_at_file(os.path.join(path, name))
        elif is_encrypted(path, inside=True):
            self._vaulted.look(self._loader.load_from_file(path, cache="none"), is_encrypted(path))

    def _has_secrets(self) -> bool:
        """Return whether a vault password is loaded: without one nothing could be decrypted."""
        return bool(getattr(getattr(self._loader, "_vault", None), "secrets", None))
