# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in homes whose owners lay traps. Run by root these act as another user, else as oneself."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.home import (
    acting_as,
    make_home,
    read_key_file,
    write_key_file,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    NotFoundError,
    UnsafeError,
)

UID, GID = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
WHO = ("nobody", UID, GID)


@pytest.fixture
def home(tmp_path):
    """A home of the user, below directories that he may pass."""
    path = tmp_path / "home"
    path.mkdir(mode=0o755)
    os.chown(path, UID, GID)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and not stat.S_IMODE(parent.stat().st_mode) & 0o001:
            parent.chmod(0o755)
    return path


def make(path, text="", mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, UID, GID)


def make_ssh(home, mode=0o700):
    (home / ".ssh").mkdir()
    (home / ".ssh").chmod(mode)
    os.chown(home / ".ssh", UID, GID)
    return home / ".ssh"


def test_a_new_file_is_only_the_users(home):
    assert not read_key_file(*WHO, str(home)).exists
    write_key_file(*WHO, str(home), "key\n")
    for path, mode in ((home / ".ssh", 0o700), (home / ".ssh/authorized_keys", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.stat().st_uid == UID
    found = read_key_file(*WHO, str(home))
    assert (found.text, found.exists, found.private) == ("key\n", True, True)
    assert [path.name for path in (home / ".ssh").iterdir()] == ["authorized_keys"]


def test_rights_of_others_are_seen_and_taken(home):
    make(make_ssh(home, 0o755) / "authorized_keys", "key\n", 0o664)
    assert not read_key_file(*WHO, str(home)).private
    write_key_file(*WHO, str(home), "key\n")
    assert read_key_file(*WHO, str(home)).private


def test_bytes_that_are_no_utf8_survive(home):
    make(make_ssh(home) / "authorized_keys")
    (home / ".ssh/authorized_keys").write_bytes(b"# caf\xe9\n")
    write_key_file(*WHO, str(home), read_key_file(*WHO, str(home)).text + "key\n")
    assert (home / ".ssh/authorized_keys").read_bytes() == b"# caf\xe9\nkey\n"


def test_a_link_in_place_of_the_directory(home, tmp_path):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (home / ".ssh").symlink_to(target)
    for act in (lambda: read_key_file(*WHO, str(home)), lambda: write_key_file(*WHO, str(home), "key\n")):
        with pytest.raises(UnsafeError, match="link"):
            act()
    assert list(target.iterdir()) == []


def test_a_link_in_place_of_the_file_is_not_read_and_not_followed(home, tmp_path):
    secret = tmp_path / "shadow"
    secret.write_text("root:secret\n")
    secret.chmod(0o600)
    (make_ssh(home) / "authorized_keys").symlink_to(secret)
    with pytest.raises(UnsafeError, match="link"):
        read_key_file(*WHO, str(home))
    write_key_file(*WHO, str(home), "key\n")
    assert secret.read_text() == "root:secret\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert not (home / ".ssh/authorized_keys").is_symlink()


def test_a_fifo_does_not_make_us_wait(home):
    os.mkfifo(make_ssh(home) / "authorized_keys")
    with pytest.raises(UnsafeError, match="no file"):
        read_key_file(*WHO, str(home))


def test_a_huge_file_is_not_read(home):
    path = make_ssh(home) / "authorized_keys"
    make(path)
    os.truncate(path, 1 << 30)
    with pytest.raises(UnsafeError, match="larger"):
        read_key_file(*WHO, str(home))


def test_no_home(home):
    with pytest.raises(NotFoundError, match="home"):
        read_key_file(*WHO, str(home / "missing"))


def test_removing(home):
    write_key_file(*WHO, str(home), None)
    assert not (home / ".ssh").exists()
    write_key_file(*WHO, str(home), "key\n")
    write_key_file(*WHO, str(home), None)
    write_key_file(*WHO, str(home), None)
    assert not read_key_file(*WHO, str(home)).exists


def test_a_write_that_fails_leaves_the_old_file(home, monkeypatch):
    write_key_file(*WHO, str(home), "old\n")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_key_file(*WHO, str(home), "new\n")
    monkeypatch.undo()
    assert read_key_file(*WHO, str(home)).text == "old\n"
    assert [path.name for path in (home / ".ssh").iterdir()] == ["authorized_keys"]


def test_ids_come_back(tmp_path):
    before = (os.geteuid(), os.getegid(), sorted(os.getgroups()))

    def fail():
        with acting_as(*WHO):
            assert (os.geteuid(), os.getegid()) == (UID, GID)
            raise OSError("inside")

    with pytest.raises(OSError, match="inside"):
        fail()
    assert (os.geteuid(), os.getegid(), sorted(os.getgroups())) == before


def test_a_home_appears_whole(tmp_path):
    skeleton = tmp_path / "skel"
    (skeleton / ".config").mkdir(parents=True)
    (skeleton / ".profile").write_text("umask 027\n")
    (skeleton / ".link").symlink_to("/etc/passwd")
    path = tmp_path / "homes" / "alice"
    (tmp_path / "homes" / ".alice.scripts-toolkit.new" / "half").mkdir(parents=True)
    owner = os.stat("/etc/passwd").st_uid
    make_home(str(path), UID, GID, 0o750, str(skeleton))
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert {one.name for one in path.iterdir()} == {".config", ".profile", ".link"}
    for one in (path, *path.iterdir()):
        assert (one.lstat().st_uid, one.lstat().st_gid) == (UID, GID)
    assert os.stat("/etc/passwd").st_uid == owner
    assert [one.name for one in path.parent.iterdir()] == ["alice"]
    (path / ".profile").write_text("mine\n")
    make_home(str(path), UID, GID, 0o700, str(skeleton))
    assert (path / ".profile").read_text() == "mine\n"


def test_no_home_where_others_may_write(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(UnsafeError, match="others than root"):
        make_home(str(shared / "alice"), UID, GID, 0o700, str(tmp_path / "none"))
    assert list(shared.iterdir()) == []


def test_no_home_over_a_file(tmp_path):
    (tmp_path / "alice").write_text("")
    with pytest.raises(ConflictError, match="no directory"):
        make_home(str(tmp_path / "alice"), UID, GID, 0o700, str(tmp_path / "none"))
