# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is made of: the project's git commit, and digests of playbooks, roles, inventory and collections.

A digest is a SHA-256 in hex. That of a directory is over a line ``<sha256>  <relative path>`` for each file in it,
sorted by path, which is what ``sha256sum`` prints; ``.git`` directories and compiled Python are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable

from ansible_collections.scripts.toolkit.plugins.module_utils._core.files import read_bytes, sha256

__all__ = ["collections_in_use", "digest", "git_state", "inventory_sources"]

_LEFT_OUT = frozenset((".git", "__pycache__", ".svn", ".hg"))
_MOST_FILES = 2000
_MOST_BYTES = 32 << 20
_GIT_LIMIT = 2.0


def digest(path: str) -> dict:
    """Return ``{sha256}`` of a file, ``{sha256, files}`` of a directory, or ``{unknown: why}``.

    A directory with more than 2,000 files or 32 MiB is not read: a run must not wait for that.
    """
    try:
        if not os.path.isdir(path):
            return {"sha256": sha256(path)} if os.path.isfile(path) else {"unknown": "no file"}
        files = _files(path)
        if files is None:
            return {"unknown": "too large"}
        lines = (f"{sha256(os.path.join(path, name))}  {name}\n" for name in files)
        text = "".join(lines).encode("utf-8", "surrogateescape")
        return {"sha256": hashlib.sha256(text).hexdigest(), "files": len(files)}
    except OSError as error:
        return {"unknown": error.strerror or "unreadable"}


def _files(top: str) -> list[str] | None:
    found, size = [], 0
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in _LEFT_OUT]
        for name in files:
            path = os.path.join(directory, name)
            if name.endswith(".pyc") or not os.path.isfile(path):
                continue
            found.append(os.path.relpath(path, top))
            size += os.path.getsize(path)
            if len(found) > _MOST_FILES or size > _MOST_BYTES:
                return None
    return sorted(found)


def git_state(directory: str, limit: float = _GIT_LIMIT) -> dict | None:
    """Return ``{commit, branch, dirty}`` of the git work tree that holds ``directory``; ``None`` where there is none.

    ``dirty`` counts files that git does not know, too. Where git does not answer within ``limit`` seconds or refuses,
    the result is ``{unknown: why}``. git reads the project's own configuration, so the file system monitor that it may
    name is not started, and git writes nothing.
    """
    if not _in_work_tree(directory):
        return None
    argv = ["git", "-c", "core.fsmonitor=false", "-C", directory, "status", "--porcelain=v2", "--branch"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return {"unknown": f"git did not answer within {limit:g} s"}
    except OSError:
        return {"unknown": "git is not installed"}
    if done.returncode:
        refused = b"dubious ownership" in done.stderr
        return {"unknown": "git does not trust the owner of the directory" if refused else "git failed"}
    return _parse_status(done.stdout.decode("utf-8", "replace"))


def _in_work_tree(directory: str) -> bool:
    """Return whether there is a ``.git`` here or above, so that git is only started where it has something to say."""
    path = os.path.realpath(directory)
    while True:
        if os.path.exists(os.path.join(path, ".git")):
            return True
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent


def _parse_status(text: str) -> dict:
    """Read ``git status --porcelain=v2 --branch`` (https://git-scm.com/docs/git-status#_porcelain_format_version_2)."""
    state: dict = {"commit": None, "branch": None, "dirty": False}
    for line in text.splitlines():
        if line.startswith("# branch.oid "):
            commit = line[13:]
            state["commit"] = None if commit == "(initial)" else commit
        elif line.startswith("# branch.head "):
            state["branch"] = line[14:]
        elif line and not line.startswith("#"):
            state["dirty"] = True
    return state


def inventory_sources(sources: Iterable[str]) -> list[dict]:
    """Return ``{source, sha256}`` for each inventory source; a list of hosts is told by their number only."""
    told = []
    for source in sources:
        if "," in source and not os.path.exists(source):
            told.append({"hosts": len([name for name in source.split(",") if name.strip()])})
        else:
            told.append({"source": source, **digest(source)})
    return told


def collections_in_use(loaded: Iterable[str]) -> list[dict]:
    """Return ``{name, version, sha256}`` of the collections among loaded Python modules.

    The digest is that of ``MANIFEST.json``, which has those of all other files; a checkout has none.

    :param loaded: names of modules, such as ``sys.modules``.
    """
    import ansible_collections

    names = set()
    for module in loaded:
        parts = module.split(".")
        if len(parts) >= 3 and parts[0] == "ansible_collections" and parts[1:3] != ["ansible", "builtin"]:
            names.add((parts[1], parts[2]))
    found = []
    for namespace, name in sorted(names):
        for base in ansible_collections.__path__:
            place = os.path.join(base, namespace, name)
            if os.path.isdir(place):
                found.append({"name": f"{namespace}.{name}", **_collection(place)})
                break
    return found


def _collection(place: str) -> dict:
    manifest = os.path.join(place, "MANIFEST.json")
    data = read_bytes(manifest)
    if data is not None:
        try:
            version = json.loads(data)["collection_info"]["version"]
        except (ValueError, KeyError, TypeError):
            version = None
        return {"version": version, "sha256": hashlib.sha256(data).hexdigest()}
    for line in (read_bytes(os.path.join(place, "galaxy.yml")) or b"").decode("utf-8", "replace").splitlines():
        if line.startswith("version:"):
            return {"version": line[8:].strip().strip("\"'")}
    return {"version": None}
