# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applying: single files one by one, validators, secrets, contents from an archive, the lock."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import zipfile

import pytest
from files_host import Host, file_at

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, TimeoutExpired
from ansible_collections.scripts.toolkit.plugins.module_utils._files.journal import Journals
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import SetPlan, Wanted


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


def by_path(answer: dict) -> dict:
    return {os.path.basename(finding["wanted"]["dest"]): finding for finding in answer["findings"]}


def test_a_refused_single_file_keeps_the_old_and_the_others_are_done(host):
    (host.tree / "a").write_text("old")
    wishes = [
        file_at(host.tree / "a", "bad", validate=["sh", "-c", 'echo "no: $0" >&2; exit 1', "%s"]),
        file_at(host.tree / "b", "good", validate=["grep", "-q", "good", "%s"], notify={"b.service": "restart"}),
    ]
    answer = host.apply(wishes, contents=["bad", "good"])
    found = by_path(answer)
    assert found["a"]["error"]["kind"] == "validation"
    assert f"no: {host.tree / 'a'}" in found["a"]["error"]["message"]
    assert (host.tree / "a").read_text() == "old"
    assert (host.tree / "b").read_text() == "good"
    assert answer["notified"] == {"b.service": "restart"}
    assert host.leftovers() == []


def test_the_complaint_is_not_lost_in_what_a_validator_prints_besides(host):
    script = "seq 100000; echo 'unknown variable' >&2; exit 7"
    wish = file_at(host.tree / "a", "bad", validate=["sh", "-c", script, "%s"])
    error = by_path(host.apply([wish], contents=["bad"]))["a"]["error"]
    assert error["message"].endswith("unknown variable")


def test_the_validator_sees_the_name_and_the_attributes_of_the_file(host):
    path = host.tree / "unit.service"
    seen = host.tree / "seen"
    script = f'echo "$(basename "$0") $(stat -c %a "$0")" >{seen}'
    host.apply([file_at(path, "x", mode=0o640, validate=["sh", "-c", script, "%s"])], contents=["x"])
    assert seen.read_text() == "unit.service 640\n"


def test_a_secret_is_private_from_its_first_byte_and_not_quoted_by_validators(host):
    secret = "password = hunter2-trustno1\n"
    wish = file_at(host.tree / "s", secret, sensitive=True, validate=["sh", "-c", 'cat "$0" >&2; exit 1', "%s"])
    message = by_path(host.apply([wish], contents=[secret]))["s"]["error"]["message"]
    assert "hunter2" not in message
    assert "trustno1" not in message
    assert "********" in message


def test_a_set_validator_does_not_quote_secrets_of_the_tree(host):
    (host.tree / "old-secret").write_text("hunter2")
    wish = file_at(host.tree / "conf", "conf", set="s")
    plan = SetPlan("s", ["sh", "-c", f"cat {host.tree}/old-secret; echo plain words; exit 1"])
    answer = host.apply([wish], [plan], ["conf"], sensitive=[host.tree / "old-secret"])
    message = answer["set_errors"]["s"]["message"]
    assert "hunter2" not in message
    assert "plain words" in message


def test_owner_group_and_mode_are_kept_where_not_asked_for(host):
    path = host.tree / "file"
    path.write_text("old")
    path.chmod(0o604)
    ids = (12345, 23456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *ids)
    host.apply([file_at(path, "new")], contents=["new"])
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o604, *ids)
    assert path.read_text() == "new"


def test_contents_come_from_an_archive_too(host, tmp_path):
    data = os.urandom(3_000_000)
    wish = file_at(host.tree / "big", data)
    archive = tmp_path / "contents.zip"
    with zipfile.ZipFile(archive, "w") as handle:
        handle.writestr(wish.checksum, data)
    host.apply([wish], archive=str(archive))
    assert (host.tree / "big").read_bytes() == data


def test_content_that_is_not_what_was_announced_is_refused(host, tmp_path):
    (host.tree / "a").write_text("old")
    wish = file_at(host.tree / "a", "wanted")
    archive = tmp_path / "contents.zip"
    with zipfile.ZipFile(archive, "w") as handle:
        handle.writestr(wish.checksum, "something else")
    answer = host.apply([wish], archive=str(archive))
    assert by_path(answer)["a"]["error"]["kind"] == "integrity"
    assert (host.tree / "a").read_text() == "old"
    assert host.leftovers() == []


def test_a_file_that_changed_after_the_comparison_is_a_conflict_if_its_content_was_not_sent(host):
    (host.tree / "a").write_text("changed meanwhile")
    answer = host.apply([file_at(host.tree / "a", "wanted", mode=0o600)])
    assert by_path(answer)["a"]["error"]["kind"] == "conflict"
    assert (host.tree / "a").read_text() == "changed meanwhile"


def test_one_bad_member_leaves_the_whole_set(host):
    (host.tree / "dir").mkdir()
    wishes = [file_at(host.tree / "a", "a", set="s"), file_at(host.tree / "dir", "b", set="s")]
    answer = host.apply(wishes, [SetPlan("s")], ["a", "b"])
    assert "s" in answer["set_errors"]
    assert sorted(host.picture()) == ["dir"]


def test_sets_are_independent(host):
    wishes = [file_at(host.tree / name, name, set=name) for name in "ab"]
    answer = host.apply(wishes, [SetPlan("a", ["false"]), SetPlan("b", ["true"])], ["a", "b"])
    assert list(answer["set_errors"]) == ["a"]
    assert sorted(host.picture()) == ["b"]


def test_single_files_come_before_sets_whose_validators_may_read_them(host):
    wishes = [file_at(host.tree / "conf", "conf", set="s"), file_at(host.tree / "certificate", "certificate")]
    plan = SetPlan("s", ["test", "-f", str(host.tree / "certificate")])
    assert host.apply(wishes, [plan], ["conf", "certificate"])["set_errors"] == {}


def test_directories_are_made_before_and_removed_after_what_they_hold(host):
    wishes = [
        file_at(host.tree / "new" / "file", "x"),
        Wanted(str(host.tree / "new"), "directory", mode=0o711),
        Wanted(str(host.tree / "link"), "link", target="new/file"),
    ]
    host.apply(wishes, contents=["x"])
    assert stat.S_IMODE((host.tree / "new").stat().st_mode) == 0o711
    assert (host.tree / "link").read_text() == "x"
    gone = [Wanted(str(host.tree / name), "absent", recursive=True) for name in ("new", "link")]
    host.apply(gone)
    assert host.picture() == {}


def test_without_hard_links_old_files_are_copied_and_put_back(host, monkeypatch):
    path = host.tree / "file"
    path.write_text("old")
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    (host.tree / "link").symlink_to("file")

    def link(*_args, **_kwargs):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", link)
    wishes = [file_at(path, "new", set="s"), Wanted(str(host.tree / "link"), "link", target="other", set="s")]
    old = host.picture()
    host.apply(wishes, [SetPlan("s", ["false"])], ["new"])
    assert host.picture() == old
    assert path.stat().st_mtime_ns == 10**18
    assert host.leftovers() == []


def test_another_file_system_keeps_old_files_beside_the_new(host, monkeypatch):
    path = host.tree / "file"
    path.write_text("old")
    real = os.link
    places = []

    def link(source, target, **options):
        if os.path.dirname(target) != os.path.dirname(source):
            raise OSError(errno.EXDEV, "another file system")
        places.append(target)
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    inode = path.stat().st_ino
    host.apply([file_at(path, "new", set="s")], [SetPlan("s", ["false"])], ["new"])
    assert len(places) == 1
    assert (path.read_text(), path.stat().st_ino) == ("old", inode)
    assert host.leftovers() == []


def test_only_one_run_at_a_time_and_comparing_does_not_wait(host, monkeypatch):
    journals = Journals(str(host.state))
    journals.ensure()
    with open(host.state / "lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(TimeoutExpired), journals.lock(wait=0.2):
            pass
        assert host.compare([file_at(host.tree / "a", "a")])["findings"][0]["operation"] == "create"


def test_a_journal_that_cannot_be_read_stops_everything(host):
    host.state.mkdir()
    (host.state / "0123.json").write_text('{"version": 99}')
    with pytest.raises(IntegrityError, match=r"0123\.json"):
        host.compare([])
    assert (host.state / "0123.json").exists()


def test_the_state_is_private(host):
    host.apply([file_at(host.tree / "a", "a", set="s")], [SetPlan("s")], ["a"])
    assert stat.S_IMODE(host.state.stat().st_mode) == 0o700


def test_a_unit_is_owed_once_and_a_restart_includes_a_reload(host):
    wishes = [
        file_at(host.tree / name, name, notify={"x.service": action})
        for name, action in (("a", "reload"), ("b", "restart"), ("c", "reload"), ("d", "reload"))
    ]
    answer = host.apply(wishes, contents="abcd")
    assert answer["notified"] == {"x.service": "restart"}
    assert host.owed() == "x.service reload\nx.service restart\n"


def test_nothing_is_owed_for_a_file_that_could_not_be_written(host):
    wish = file_at(host.tree / "a", "a", validate=["false", "%s"], notify={"x.service": "reload"})
    assert host.apply([wish], contents=["a"])["notified"] == {}
    assert host.owed() == ""


def test_what_is_as_wanted_when_applying_is_left(host):
    (host.tree / "a").write_text("a")
    inode = (host.tree / "a").stat().st_ino
    answer = host.apply([file_at(host.tree / "a", "a", notify={"x.service": "reload"})], contents=["a"])
    assert "operation" not in by_path(answer)["a"]
    assert (host.tree / "a").stat().st_ino == inode
    assert hashlib.sha256(b"a").hexdigest() == by_path(answer)["a"]["before"]["checksum"]
    assert host.owed() == ""
