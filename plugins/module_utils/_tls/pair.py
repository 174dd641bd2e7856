# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install a private key and its certificates as one thing, so that no reader ever finds a mismatching pair.

Layout of a store, one directory per certificate::

    STORE/20261121T101500Z-3f9a1c/{privkey,cert,chain,fullchain}.pem    complete, never changed after its making
    STORE/current -> 20261121T101500Z-3f9a1c                            the one thing that is switched, by rename(2)
    /etc/nginx/tls/site.key -> STORE/current/privkey.pem                the paths that services are told

A crash leaves ``current`` on the old or the new version. This file uses nothing but the standard library: the
modules import it, and ``acme_certificate`` copies it to the host, where certbot's deploy hook runs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping

__all__ = ["CERT", "CHAIN", "FILES", "FULLCHAIN", "KEY", "PENDING", "create_private", "install", "locked", "shown"]

KEY, CERT, CHAIN, FULLCHAIN = FILES = ("privkey.pem", "cert.pem", "chain.pem", "fullchain.pem")
PENDING = "pending.pem"
"""A key that was made, and whose certificate is not yet there."""

_CURRENT = "current"
_FOUND = "found-"
"""Prefix of versions that hold files which were at a path before us; they are never removed."""


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(path: str) -> None:
    """Make ``path`` and its missing parents, 0755 whatever the umask, durably."""
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)
    _sync(os.path.dirname(path))


def create_private(path: str, data: bytes, mode: int = 0o600, uid: int = -1, gid: int = -1) -> None:
    """Create a file that must not exist; it is 0600 from its first byte, and durable on return."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


@contextlib.contextmanager
def locked(store: str) -> Iterator[None]:
    """Hold the store alone, against a play and certbot's timer at the same moment; makes it if missing."""
    _make_directory(store)
    descriptor = os.open(os.path.join(store, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _link(path: str, target: str) -> None:
    """Make ``path`` a symbolic link to ``target`` in one step, durably."""
    directory, name = os.path.split(path)
    _make_directory(directory)
    temporary = os.path.join(directory, f".{name}.{secrets.token_hex(4)}.new")
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(directory)


def _make_version(store: str, files: Mapping[str, bytes], prefix: str, key: Mapping[str, int]) -> str:
    """Write the files into a new version, durable and complete, that nobody looks at yet; return its name."""
    version = f"{prefix}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    directory = os.path.join(store, version)
    os.mkdir(directory, 0o755)
    try:
        os.chmod(directory, 0o755)
        for name, data in files.items():
            attributes = key if name == KEY else {"mode": 0o644}
            create_private(os.path.join(directory, name), data, **attributes)
        _sync(directory)
        _sync(store)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return version


def _switch(store: str, version: str) -> None:
    _link(os.path.join(store, _CURRENT), version)


def _prune(store: str) -> None:
    """Remove the versions that nobody looks at; found files stay."""
    keep = os.readlink(os.path.join(store, _CURRENT))
    for name in os.listdir(store):
        path = os.path.join(store, name)
        if name == keep or name.startswith(_FOUND) or os.path.islink(path) or not os.path.isdir(path):
            continue
        shutil.rmtree(path, ignore_errors=True)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def shown(store: str, paths: Mapping[str, str]) -> tuple[dict[str, bytes | None], bool]:
    """Return what services find at the paths, ``{file name: bytes or None}``, and whether the links are right.

    Where the key or the certificate is at neither of its paths, the store's current version counts as what is there.
    """
    current = os.path.join(store, _CURRENT)
    linked = all(
        os.path.islink(path) and os.readlink(path) == os.path.join(current, name) for name, path in paths.items()
    )
    found = {name: _read(path) for name, path in paths.items()}
    if (found[KEY] is None or found[CERT] is None) and os.path.isdir(current):
        return {name: _read(os.path.join(current, name)) for name in FILES}, False
    return found, linked


def install(
    store: str,
    paths: Mapping[str, str],
    files: Mapping[str, bytes],
    key: Mapping[str, int],
    matches: Callable[[bytes, bytes], bool],
    before_switch: Callable[[], None] = lambda: None,
) -> None:
    """Make the paths show these files, all at once. Hold :func:`locked` around it.

    :param paths: ``{file name: absolute path}`` for all of :data:`FILES`.
    :param files: the bytes of all of :data:`FILES`.
    :param key: ``mode``, ``uid`` and ``gid`` of the private key.
    :param matches: says whether the private key (PEM) belongs to the certificate (PEM).
    :param before_switch: called when everything is ready, just before the new files become visible.
    """
    before, linked = shown(store, paths)
    version = _make_version(store, files, "", key)
    if not linked:
        _take_over(store, paths, before, key, matches)
    before_switch()
    _switch(store, version)
    for name, path in paths.items():
        target = os.path.join(store, _CURRENT, name)
        if not (os.path.islink(path) and os.readlink(path) == target):
            _link(path, target)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(store, PENDING))
    _prune(store)


def _take_over(
    store: str,
    paths: Mapping[str, str],
    before: Mapping[str, bytes | None],
    key: Mapping[str, int],
    matches: Callable[[bytes, bytes], bool],
) -> None:
    """Turn files that stand at the paths into links without changing what they show.

    They stay in a version of their own, so that a key which somebody else put there is not lost.
    """
    current = os.path.join(store, _CURRENT)
    standing = (
        os.path.exists(path) and not (os.path.islink(path) and os.readlink(path) == os.path.join(current, name))
        for name, path in paths.items()
    )
    if not any(standing):
        return
    found = {name: data for name, data in before.items() if data is not None}
    version = _make_version(store, found, _FOUND, key)
    if not (KEY in found and CERT in found and matches(found[KEY], found[CERT])):
        return
    _switch(store, version)
    for name, path in paths.items():
        if name in found:
            _link(path, os.path.join(current, name))


def _owe(directory: str, units: Mapping[str, str]) -> None:
    """Note the service actions that are owed, as the collection's services module reads them."""
    _make_directory(directory)
    for unit, action in units.items():
        path = os.path.join(directory, unit)
        if action == "reload" and _read(path) == b"restart":
            continue
        temporary = os.path.join(directory, f".{unit}.{secrets.token_hex(4)}.new")
        create_private(temporary, action.encode())
        os.rename(temporary, path)
    _sync(directory)


def deploy(configuration: str, lineage: str) -> dict[str, str]:
    """Install what certbot has put into ``lineage``; return the units and their actions.

    :param configuration: a directory with ``NAME.json`` per certificate: store, paths, mode, uid, gid, units, owed.
    :param lineage: certbot's directory of the certificate, as in RENEWED_LINEAGE; its last part is the name.
        One that no configuration names is none of ours: nothing is done.
    """
    text = _read(os.path.join(configuration, f"{os.path.basename(os.path.normpath(lineage))}.json"))
    if text is None:
        return {}
    wanted = json.loads(text)
    files = {name: _read(os.path.join(lineage, name)) for name in FILES}
    missing = [name for name, data in files.items() if not data]
    if missing:
        raise FileNotFoundError(f"{lineage} has no {', '.join(missing)}")
    key = {"mode": wanted["mode"] & ~stat.S_IRWXO, "uid": wanted["uid"], "gid": wanted["gid"]}
    with locked(wanted["store"]):
        install(
            wanted["store"],
            wanted["paths"],
            files,
            key,
            # What was there was in service; the links keep showing just that until the switch.
            matches=lambda _key, _certificate: True,
            before_switch=lambda: _owe(wanted["owed"], wanted["units"]),
        )
    return wanted["units"]


if __name__ == "__main__":
    for owed_unit, owed_action in deploy(sys.argv[1], sys.argv[2]).items():
        sys.stdout.write(f"{owed_action} {owed_unit}\n")
