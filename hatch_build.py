# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the wheel install what `ansible-galaxy collection install` installs: the same files in
site-packages/ansible_collections/scripts/toolkit, with MANIFEST.json and FILES.json.

`ansible_collections` and `ansible_collections/scripts` stay namespaces without `__init__.py`, so that other
collections may live beside this one. tests/unit/house/test_packages.py compares both packages.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import tempfile

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# ansible-core: lib/ansible/galaxy/collection/__init__.py, _build_files_manifest_walk
_ALWAYS_IGNORED = (
    "MANIFEST.json",
    "FILES.json",
    "galaxy.yml",
    "galaxy.yaml",
    ".git",
    "*.pyc",
    "*.retry",
    "tests/output",
)
_IGNORED_DIRECTORIES = {"CVS", ".bzr", ".hg", ".git", ".svn", "__pycache__", ".tox"}
_FORMAT = 1


def collection_files(root: str, ignore: list[str]) -> list[tuple[str, bool]]:
    """Return ``(relative path, is a directory)`` of what belongs to the collection, sorted, parents first."""
    patterns = [*_ALWAYS_IGNORED, *ignore]
    found = []
    for directory, subdirectories, names in os.walk(root):
        base = os.path.relpath(directory, root)
        kept = []
        for name in sorted(subdirectories):
            path = os.path.normpath(os.path.join(base, name))
            if name not in _IGNORED_DIRECTORIES and not any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
                kept.append(name)
                found.append((path, True))
        subdirectories[:] = kept
        for name in names:
            path = os.path.normpath(os.path.join(base, name))
            if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
                found.append((path, False))
    return sorted(found)


def _entry(root: str, path: str, is_directory: bool) -> dict:
    if is_directory:
        return {"name": path, "ftype": "dir", "chksum_type": None, "chksum_sha256": None, "format": _FORMAT}
    with open(os.path.join(root, path), "rb") as handle:
        digest = hashlib.sha256(handle.read()).hexdigest()
    return {"name": path, "ftype": "file", "chksum_type": "sha256", "chksum_sha256": digest, "format": _FORMAT}


def manifests(root: str, galaxy: dict, files: list[tuple[str, bool]]) -> dict[str, str]:
    """Return the texts of ``MANIFEST.json`` and ``FILES.json``."""
    entries = [_entry(root, ".", True), *(_entry(root, path, is_directory) for path, is_directory in files)]
    files_json = json.dumps({"files": entries, "format": _FORMAT}, indent=1)
    keys = ("namespace", "name", "version", "authors", "readme", "tags", "description", "license", "license_file")
    keys += ("dependencies", "repository", "documentation", "homepage", "issues")
    manifest = {
        "collection_info": {key: galaxy.get(key) for key in keys},
        "file_manifest_file": {
            "name": "FILES.json",
            "ftype": "file",
            "chksum_type": "sha256",
            "chksum_sha256": hashlib.sha256(files_json.encode()).hexdigest(),
            "format": _FORMAT,
        },
        "format": _FORMAT,
    }
    return {"MANIFEST.json": json.dumps(manifest, indent=1), "FILES.json": files_json}


class CustomBuildHook(BuildHookInterface):
    """Lists the collection's files for the wheel."""

    def initialize(self, version: str, build_data: dict) -> None:
        with open(os.path.join(self.root, "galaxy.yml"), encoding="utf-8") as handle:
            galaxy = yaml.safe_load(handle)
        target = f"ansible_collections/{galaxy['namespace']}/{galaxy['name']}"
        files = collection_files(self.root, galaxy.get("build_ignore") or [])
        include = build_data["force_include"]
        for path, is_directory in files:
            if not is_directory:
                include[os.path.join(self.root, path)] = f"{target}/{path}"
        self._made = tempfile.mkdtemp(prefix="scripts-toolkit-")
        for name, text in manifests(self.root, galaxy, files).items():
            made = os.path.join(self._made, name)
            with open(made, "w", encoding="utf-8") as handle:
                handle.write(text)
            include[made] = f"{target}/{name}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        for name in os.listdir(self._made):
            os.unlink(os.path.join(self._made, name))
        os.rmdir(self._made)
