# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wheel and the Galaxy tarball install the same collection."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path("ansible_collections", "scripts", "toolkit")
PROGRAMS = Path(sys.executable).parent
# This Python has the staged collection on its path already.
ISOLATED = {**os.environ, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}


def run(*argv: str | Path, **kwargs) -> str:
    """Return the standard output of a program that must succeed."""
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def make_wheel(source: Path, target: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "-q", "wheel", "--no-build-isolation", "--no-deps", "--no-index")
    run(*pip, "-w", target, source)
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(collection_root: Path, tmp_path_factory) -> Path:
    return make_wheel(collection_root, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory) -> Path:
    """A site-packages directory with the wheel installed."""
    target = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--no-index", "--no-compile", "-t", target, wheel)
    return target


@pytest.fixture(scope="module")
def galaxy(collection_root: Path, tmp_path_factory) -> Path:
    """A collections path with the tarball installed."""
    target = tmp_path_factory.mktemp("galaxy")
    run(PROGRAMS / "ansible-galaxy", "collection", "build", "--output-path", target, collection_root)
    (tarball,) = target.glob("*.tar.gz")
    install = (PROGRAMS / "ansible-galaxy", "collection", "install", "--offline", "-p", target, tarball)
    run(*install, env={**ISOLATED, "ANSIBLE_COLLECTIONS_PATH": str(target)}, cwd=target)
    return target


def listing(root: Path) -> dict[str, str]:
    """Return ``{relative path: SHA-256}`` of a tree; manifests are compared by their content elsewhere."""
    manifests = {"MANIFEST.json", "FILES.json"}
    files = (path for path in root.rglob("*") if path.is_file() and path.relative_to(root).as_posix() not in manifests)
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_both_packages_install_the_same_files(site: Path, galaxy: Path) -> None:
    ours = listing(site / INSIDE)
    assert ours == listing(galaxy / INSIDE)
    assert {"README.md", "LICENSE", "meta/runtime.yml", "plugins/module_utils/_core/errors.py"} <= set(ours)
    assert not [name for name in ours if name.startswith((".", "tests", "tools", "extensions"))]


def test_both_packages_carry_the_same_manifests(site: Path, galaxy: Path) -> None:
    def read(root: Path, name: str) -> dict:
        return json.loads((root / INSIDE / name).read_text(encoding="utf-8"))

    def by_name(manifest: dict) -> dict:
        return {entry["name"]: entry for entry in manifest["files"]}

    assert by_name(read(site, "FILES.json")) == by_name(read(galaxy, "FILES.json"))
    assert read(site, "MANIFEST.json")["collection_info"] == read(galaxy, "MANIFEST.json")["collection_info"]


def test_the_wheel_passes_ansibles_own_verification(site: Path) -> None:
    files = (site / INSIDE / "FILES.json").read_bytes()
    manifest = json.loads((site / INSIDE / "MANIFEST.json").read_text(encoding="utf-8"))
    assert manifest["file_manifest_file"]["chksum_sha256"] == hashlib.sha256(files).hexdigest()
    environment = {**ISOLATED, "ANSIBLE_COLLECTIONS_PATH": str(site)}
    output = run(
        PROGRAMS / "ansible-galaxy", "collection", "verify", "--offline", "scripts.toolkit", env=environment, cwd=site
    )
    assert "Successfully verified" in output


def test_namespaces_stay_open_for_other_collections(site: Path) -> None:
    assert not (site / "ansible_collections" / "__init__.py").exists()
    assert not (site / "ansible_collections" / "scripts" / "__init__.py").exists()


def test_the_wheel_is_reproducible(collection_root: Path, wheel: Path, tmp_path: Path) -> None:
    assert make_wheel(collection_root, tmp_path).read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("kind", ["site", "galaxy"])
def test_ansible_finds_the_installed_collection(kind: str, request, tmp_path: Path) -> None:
    root: Path = request.getfixturevalue(kind)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": ""}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(root) if kind == "galaxy" else str(tmp_path)
    if kind == "site":
        environment["PYTHONPATH"] = str(root)
    ask = (PROGRAMS / "ansible-doc", "-t", "module", "-j", "scripts.toolkit.services")
    shown = json.loads(run(*ask, env=environment, cwd=tmp_path))
    assert Path(shown["scripts.toolkit.services"]["doc"]["filename"]).is_relative_to(root)


@pytest.mark.parametrize("kind", ["site", "galaxy"])
def test_the_command_runs_from_the_installed_collection(kind: str, request, tmp_path: Path) -> None:
    root: Path = request.getfixturevalue(kind)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(root)}
    if kind == "site":
        command: tuple = (sys.executable, root / "bin" / "toolkit")
    else:
        command = (sys.executable, "-m", "ansible_collections.scripts.toolkit.cli")
    version = json.loads((root / INSIDE / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
    assert version in run(*command, "--version", env=environment, cwd=tmp_path)
