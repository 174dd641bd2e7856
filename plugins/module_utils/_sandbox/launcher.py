# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first program in every sandbox: refuses to go on where it is none, makes the environment, becomes the command.

The same on each backend. What the host's systemd or bubblewrap was told is one thing; whether the kernel did it is
another, and systemd goes on without some of it where it may not (network namespaces in containers, for instance).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Mapping

from .._core.errors import DependencyError
from .._core.files import read_bytes
from .view import PATH

__all__ = ["LAUNCHER", "SCRIPT", "launcher", "started", "word"]

LAUNCHER = "/sandbox/launcher"
SCRIPT = "/sandbox/script"

_TEXT = """\
#!/bin/sh
# Made for one run by scripts.toolkit.sandbox_command.
refuse() {{
    printf '%s %s\\n' {token} "$1" >&2
    exit 126
}}
facts=0
while read -r name value _; do
    case $name in
    CapInh: | CapPrm: | CapEff: | CapBnd: | CapAmb:)
        case $value in *[!0]*) refuse "capabilities ($name $value)" ;; esac ;;
    NoNewPrivs:) [ "$value" = 1 ] || refuse 'new privileges' ;;
    Seccomp_filters:) [ "$value" -gt {filters} ] || refuse 'all system calls' ;;
    Uid:) [ "$value" != 0 ] || refuse 'the user root' ;;
    *) continue ;;
    esac
    facts=$((facts + 1))
done </proc/self/status
[ "$facts" = 8 ] || refuse 'a kernel that does not tell'
case $(readlink /proc/self/ns/mnt) in {mnt}) refuse 'the file systems of the host' ;; esac
{network}cd {chdir} || exit 126
for name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do
    unset "$name"
done
umask 077
printf '%s\\n' {token} >&2
{exports}
exec "$@"
"""
_NETWORK = "case $(readlink /proc/self/ns/net) in {net}) refuse 'the network of the host' ;; esac\n"
_HOME = {"PATH": PATH, "HOME": "/tmp", "LANG": "C.UTF-8"}


def launcher(token: str, chdir: str, environment: Mapping[str, str], network: str) -> bytes:
    """Return the launcher's text.

    :param token: the word by which :func:`started` knows its messages.
    :param chdir: the directory of the command, as the sandbox sees it.
    :param environment: variables of the command beside PATH, HOME and LANG; their values are in no argument list.
    :param network: the option; with ``host`` the network namespace is the host's.
    """
    variables = {**_HOME, **environment}
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    text = _TEXT.format(
        token=token,
        filters=_filters(),
        mnt=_namespaces("mnt"),
        network="" if network == "host" else _NETWORK.format(net=_namespaces("net")),
        chdir=shlex.quote(chdir),
        exports=exports,
    )
    return text.encode("utf-8", "surrogateescape")


def _namespaces(kind: str) -> str:
    """Return a shell pattern of the namespaces that are none of a sandbox: that of this process and of the host."""
    found = set()
    for process in ("self", "1"):
        with contextlib.suppress(OSError):
            found.add(shlex.quote(os.readlink(f"/proc/{process}/ns/{kind}")))
    return " | ".join(sorted(found))


def _filters() -> int:
    """Return how many system-call filters every process of this host has anyway: in a container there are some."""
    status = read_bytes("/proc/1/status") or b""
    found = re.search(rb"^Seccomp_filters:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0


def word(token: str) -> bytes:
    """Return what the launcher says on standard error when all is as it must be, right before the command starts."""
    return f"{token}\n".encode()


def started(token: str, err: bytes, rc: int, limit: str | None = None) -> bytes:
    """Return what the command itself wrote to its standard error.

    :param err: what came from the sandbox, the launcher's word first.
    :param rc: the exit status.
    :param limit: the limit that was hit, maybe before the command itself had begun.
    :raises DependencyError: the sandbox was not made, or not as it must be, so the command has not run.
    """
    ready, own = err.partition(word(token))[1:]
    if ready:
        return own
    before, refused, after = err.partition(token.encode())
    if refused:
        leaves = after.decode(errors="replace").strip()
        raise DependencyError(
            f"The sandbox leaves the command {leaves}, so it was not run.",
            hint="This host's kernel or container does not allow the isolation; try the other backend.",
        )
    if limit:
        return err
    complaint = before.decode(errors="replace").strip().splitlines() or [f"exit status {rc}"]
    raise DependencyError(
        f"The sandbox could not be made, so the command was not run: {complaint[-1]}",
        hint="See docs/sandbox.md for what each backend needs, and for exit statuses of systemd such as 226.",
    )
