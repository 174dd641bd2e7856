# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of a run, rebuilt from ansible-core's parsed options so that no secret can ride along.

Copying ``sys.argv`` and hiding what looks bad fails open: an abbreviated option or a new one would be copied with its
value. Here only what is listed below is ever written; a value of anything else is replaced.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping

from .canonical import cut, plain
from .redact import REPLACEMENT

__all__ = ["extra_var_names", "rebuild"]

_LIMIT = 2048

_FLAGS = {
    "check": "--check",
    "diff": "--diff",
    "syntax": "--syntax-check",
    "become": "--become",
    "ask_pass": "--ask-pass",
    "become_ask_pass": "--ask-become-pass",
    "ask_vault_pass": "--ask-vault-password",
    "flush_cache": "--flush-cache",
    "force_handlers": "--force-handlers",
    "step": "--step",
    "one_line": "--one-line",
}
_VALUES = {
    "subset": "--limit",
    "start_at_task": "--start-at-task",
    "forks": "--forks",
    "connection": "--connection",
    "remote_user": "--user",
    "become_user": "--become-user",
    "become_method": "--become-method",
    "timeout": "--timeout",
    "private_key_file": "--private-key",
    "module_name": "--module-name",
    "basedir": "--playbook-dir",
    "tree": "--tree",
    "seconds": "--background",
    "poll_interval": "--poll",
}
_LISTS = {
    "tags": "--tags",
    "skip_tags": "--skip-tags",
    "vault_ids": "--vault-id",
    "vault_password_files": "--vault-password-file",
}
_HIDDEN = {
    "module_args": "--args",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
    "sftp_extra_args": "--sftp-extra-args",
    "scp_extra_args": "--scp-extra-args",
}
_ELSEWHERE = {"args", "inventory", "extra_vars", "verbosity"}


def extra_var_names(extra_vars: Iterable[str], parse: Callable[[str], Mapping | None]) -> list[str]:
    """Return what may be told of ``--extra-vars``: sorted names of variables, and ``@file`` as it is.

    :param parse: gives the variables of one option's text, or None where it can't be read.
    """
    names = set()
    for text in extra_vars:
        names.update(_names(str(text), parse))
    return sorted(names)


def _names(text: str, parse: Callable[[str], Mapping | None]) -> list[str]:
    if text.startswith("@"):
        return [text]
    try:
        variables = parse(text)
    except Exception:  # pylint: disable=broad-exception-caught # whatever can't be read is not told
        variables = None
    if not isinstance(variables, Mapping) or not variables:
        return []
    return [str(plain(name)) for name in variables if str(name).isidentifier()]


def rebuild(
    program: str,
    options: Mapping[str, object],
    parse: Callable[[str], Mapping | None],
    defaults: Mapping[str, object] | None = None,
) -> str:
    """Return a shell command line of at most 2,048 bytes.

    :param program: ``sys.argv[0]``; only its last part is used.
    :param options: ansible-core's parsed options by destination (``context.CLIARGS``).
    :param parse: see :func:`extra_var_names`.
    :param defaults: values that mean "not given".
    """
    defaults = defaults or {}
    words = [program.rsplit("/", 1)[-1]]
    for source in _strings(options.get("inventory")):
        words += ["--inventory", f"{REPLACEMENT}," if "," in source else source]
    for name in sorted(options):
        value = options[name]
        if name in _ELSEWHERE or value in (None, False, "", (), []) or value == defaults.get(name):
            continue
        if name in _FLAGS:
            words.append(_FLAGS[name])
        elif name in _VALUES:
            words += [_VALUES[name], str(plain(value))]
        elif name in _LISTS:
            for entry in _strings(value):
                words += [_LISTS[name], entry]
        elif name in _HIDDEN:
            words += [_HIDDEN[name], REPLACEMENT]
        else:
            words.append(f"--{str(plain(name)).replace('_', '-')}={REPLACEMENT}")
    for text in _strings(options.get("extra_vars")):
        names = _names(text, parse)
        if text.startswith("@"):
            words += ["--extra-vars", text]
        else:
            words += ["--extra-vars", " ".join(f"{name}={REPLACEMENT}" for name in names) or REPLACEMENT]
    words += ["-" + "v" * int(options["verbosity"])] if options.get("verbosity") else []
    words += _strings(options.get("args"))
    return cut(
        " ".join(word if word == f"{REPLACEMENT}," or word == REPLACEMENT else shlex.quote(word) for word in words),
        _LIMIT,
    )


def _strings(value: object) -> list[str]:
    if value is None or value is False or value == "":
        return []
    if isinstance(value, (list, tuple, set, frozenset)):
        return [str(plain(entry)) for entry in value]
    return [str(plain(value))]
