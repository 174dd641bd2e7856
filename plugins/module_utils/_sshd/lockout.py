# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether somebody who is logged in over ssh now could do so again: asked before a change nobody could take back."""

from __future__ import annotations

import os
import pwd
import re

from .._core.errors import UnsafeError
from .._core.files import read_bytes
from .server import Effective

__all__ = ["logged_in", "reasons_against", "refuse_lockout"]

_TITLE = re.compile(r"sshd(?:-session)?: ([A-Za-z_][A-Za-z0-9_.-]*\$?)(?:@\S+| \[priv\])")
_LISTS = ("allowusers", "denyusers", "allowgroups", "denygroups", "authenticationmethods")


def logged_in(proc: str = "/proc") -> list[str]:
    """Return the names of the users who have an ssh session, from the titles of sshd's processes."""
    users = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        title = read_bytes(os.path.join(proc, pid, "cmdline")) or b""
        found = _TITLE.match(title.replace(b"\0", b" ").decode("utf-8", "replace"))
        if found:
            users.add(found.group(1))
    return sorted(users)


def _is(config: dict[str, frozenset[str]], keyword: str, value: str) -> bool:
    return value in config.get(keyword, ())


def _has_key(home: str, config: dict[str, frozenset[str]], name: str) -> bool:
    files = " ".join(config.get("authorizedkeysfile", ())).split() or [".ssh/authorized_keys"]
    for pattern in files:
        path = pattern.replace("%h", home).replace("%u", name)
        data = read_bytes(os.path.join(home, path)) or b""
        if any(line.strip() and not line.strip().startswith(b"#") for line in data.splitlines()):
            return True
    return False


def _has_password(name: str, shadow: str) -> bool:
    for line in (read_bytes(shadow) or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return len(fields) > 1 and fields[1] not in ("", "*") and not fields[1].startswith("!")
    return False


def reasons_against(name: str, home: str, now: Effective, after: Effective, shadow: str = "/etc/shadow") -> list[str]:
    """Return why the user could not log in any more, or why that can't be told; empty: there is a way in."""
    old, new = now.actual, after.actual
    reasons = [f"{word} changes" for word in _LISTS if old.get(word, ()) != new.get(word, ())]
    by_password = _is(new, "passwordauthentication", "yes") or _is(new, "kbdinteractiveauthentication", "yes")
    if name == "root":
        if _is(new, "permitrootlogin", "no"):
            reasons.append("PermitRootLogin is no")
        by_password = by_password and _is(new, "permitrootlogin", "yes")
    by_key = _is(new, "pubkeyauthentication", "yes") and _has_key(home, new, name)
    if not by_key and not (by_password and _has_password(name, shadow)):
        reasons.append("neither a key nor a password would let them in")
    return reasons


def _addresses(config: Effective) -> set[str]:
    """Return where the server listens, without ports: ``0.0.0.0`` and ``[::]`` for everywhere."""
    return {value.rpartition(":")[0] for value in config.actual.get("listenaddress", ())}


def refuse_lockout(now: Effective, after: Effective) -> None:
    """Refuse settings that would keep out somebody who is logged in over ssh.

    :raises UnsafeError: naming the user and the reason.
    """
    hint = "Run it over ssh (then a new connection proves it), or set allow_lockout: true."
    users = logged_in()
    if users and not set(now.ports) & set(after.ports):
        raise UnsafeError(
            f"settings.Port closes every port that the ssh server has now ({', '.join(map(str, now.ports))}) while "
            f"{', '.join(users)} is logged in, and over this connection nothing can prove that you still get in.",
            hint=hint,
        )
    if users and not _addresses(now) <= _addresses(after):
        raise UnsafeError(
            f"settings.ListenAddress takes away addresses at which the ssh server listens, while {', '.join(users)} is "
            "logged in, and over this connection nothing can prove that you still get in.",
            hint=hint,
        )
    for name in users:
        try:
            home = pwd.getpwnam(name).pw_dir
        except KeyError:
            continue
        reasons = reasons_against(name, home, now, after)
        if reasons:
            raise UnsafeError(
                f"settings might shut out {name}, who is logged in over ssh ({'; '.join(reasons)}), and over this "
                "connection nothing can prove the contrary.",
                hint=hint,
            )
