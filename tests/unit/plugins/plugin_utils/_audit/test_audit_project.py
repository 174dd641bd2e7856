# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import subprocess

from ansible_collections.scripts.toolkit.plugins.plugin_utils._audit import project

GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com"]


def test_the_digest_of_a_tree_is_that_of_sha256sum(tmp_path):
    top = tmp_path / "role"
    for name in ("tasks/main.yml", "a.yml", ".git/config", "x/__pycache__/y.pyc"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name, encoding="utf-8")
    listing = subprocess.run(["sha256sum", "a.yml", "tasks/main.yml"], cwd=top, capture_output=True, check=True).stdout
    assert project.digest(str(top)) == {"sha256": hashlib.sha256(listing).hexdigest(), "files": 2}
    assert project.digest(str(top / "a.yml")) == {"sha256": hashlib.sha256(b"a.yml").hexdigest()}
    assert project.digest(str(tmp_path / "absent")) == {"unknown": "no file"}


def test_a_huge_tree_is_not_read(tmp_path):
    with open(tmp_path / "huge", "wb") as handle:
        os.truncate(handle.fileno(), 40 << 20)
    assert project.digest(str(tmp_path)) == {"unknown": "too large"}


def test_git(tmp_path):
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    assert project.git_state(str(top)) is None
    subprocess.run([*GIT, "-C", str(top), "init", "-q", "-b", "trunk"], check=True)
    assert project.git_state(str(top / "sub")) == {"commit": None, "branch": "trunk", "dirty": False}
    (top / "file").write_text("1", encoding="utf-8")
    assert project.git_state(str(top))["dirty"] is True
    subprocess.run([*GIT, "-C", str(top), "add", "."], check=True)
    subprocess.run([*GIT, "-C", str(top), "commit", "-q", "-m", "x"], check=True)
    state = project.git_state(str(top / "sub"))
    assert len(state.pop("commit")) == 40
    assert state == {"branch": "trunk", "dirty": False}
    (top / ".git" / "HEAD").write_text("broken", encoding="utf-8")
    assert project.git_state(str(top)) == {"unknown": "git failed"}


def test_inventory_sources(tmp_path):
    (tmp_path / "hosts").write_text("a\n", encoding="utf-8")
    assert project.inventory_sources([str(tmp_path / "hosts"), "a,b,"]) == [
        {"source": str(tmp_path / "hosts"), "sha256": hashlib.sha256(b"a\n").hexdigest()},
        {"hosts": 2},
    ]


def test_collections_in_use():
    found = project.collections_in_use(["ansible_collections.scripts.toolkit.plugins", "os", "ansible_collections.x"])
    assert [entry["name"] for entry in found] == ["scripts.toolkit"]
    assert found[0]["version"]
