# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules hold for real files: modes, owners, access control lists, types, hard links and checksums."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess

import pytest
from permissions_tree import GROUP, NOBODY, USER, broken, check, check_tree, grant

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError, ValidationError

ME, MY_GROUP = str(os.geteuid()), str(os.getegid())


# What find(1) has to be asked for the same.
FIND = {
    "world_writable": ["!", "-type", "l", "-perm", "-0002"],
    "group_writable": ["!", "-type", "l", "-perm", "-0020"],
    "setuid": ["!", "-type", "d", "-perm", "-4000"],
    "setgid": ["!", "-type", "d", "-perm", "-2000"],
    "hard_links": ["!", "-type", "d", "-links", "+1"],
    "mode": ["!", "-type", "d", "!", "-type", "l", "!", "-perm", "0644"],
    "directory_mode": ["-type", "d", "!", "-perm", "0755"],
    "max_mode": ["!", "-type", "d", "!", "-type", "l", "-perm", "/7133"],
    "max_directory_mode": ["-type", "d", "-perm", "/7022"],
}
STRICT = {"world_writable": "never", "hard_links": False, "mode": "0644", "directory_mode": "0755", "max_mode": "0644"}


def found_by_find(top, *expression: str) -> set[str]:
    argv = ["find", str(top), *expression, "-print0"]
    return set(subprocess.run(argv, capture_output=True, check=True).stdout.decode().split("\0")) - {""}


def found_by_us(result: dict, rule: str) -> set[str]:
    found = [violation["path"] for violation in result["violations"] if violation["rule"] == rule]
    assert len(found) == len(set(found)) == result["violation_counts"].get(rule, 0)
    return set(found)


def make_a_tree(top, chance: random.Random) -> None:
    """Make 300 things of all kinds with any mode."""
    directories, files = [top], []
    for number in range(300):
        path = chance.choice(directories) / f"{number} {chance.choice('aäb*')}"
        kind = chance.choice(["directory", "file", "file", "file", "fifo", "link", "hard link"])
        mode = chance.randrange(0o10000)
        if kind == "link":
            path.symlink_to(chance.choice(directories))
            continue
        if kind == "directory":
            path.mkdir()
            directories.append(path)
            mode |= 0o700
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "hard link" and files:
            os.link(chance.choice(files), path)
        else:
            path.touch()
            files.append(path)
        path.chmod(mode)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_files_are_found_as_by_find(tmp_path, seed):
    make_a_tree(tmp_path, random.Random(seed))
    result = check_tree(tmp_path, symlinks="any", limit=100_000, max_directory_mode="0755", **STRICT)
    for rule, expression in FIND.items():
        assert found_by_us(result, rule) == found_by_find(tmp_path, *expression) != set(), rule
    sticky = found_by_find(tmp_path, "-type", "d", "-perm", "-0002", "!", "-perm", "-1000")
    result = check_tree(tmp_path, symlinks="any", limit=100_000)
    assert found_by_us(result, "sticky") == sticky
    assert found_by_us(result, "world_writable") == found_by_find(tmp_path, *FIND["world_writable"], "!", "-type", "d")
    assert result["checked"] == len(found_by_find(tmp_path))
    counts = check_tree(tmp_path, symlinks="any", limit=0)
    assert (counts["violation_counts"], counts["violations"]) == (result["violation_counts"], [])


def test_nothing_is_found_in_a_tree_that_is_as_it_should_be(tmp_path):
    (tmp_path / "inner").mkdir(mode=0o755)
    (tmp_path / "inner" / "file").touch(0o644)
    (tmp_path / "link").symlink_to("inner/file")
    result = check_tree(tmp_path, owners=[ME, "root"], groups=[MY_GROUP], types=["file", "directory"], fail=True)
    assert (result["ok"], result["violation_count"], result["checked"]) == (True, 0, 4)
    assert "error" not in result


def test_a_gate_names_the_first_and_the_way_out(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}").touch()
        (tmp_path / f"{number}").chmod(0o666)
    result = check(tmp_path / "0", tmp_path / "1", tmp_path, fail=True)
    assert result["failed"]
    assert result["error"]["kind"] == "unsafe"
    assert result["violation_counts"] == {"group_writable": 2, "world_writable": 2}
    assert result["msg"].startswith(f"4 violations in 2 of 3 paths. {tmp_path}/0: group_writable, 0666, group ")
    assert "; and 1 more." in result["msg"]
    assert [outcome["ok"] for outcome in result["outcomes"]] == [False, False, True]


def test_modes_are_held_exactly_or_at_most_and_apart_for_directories(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner").chmod(0o750)
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o640)
    tree = {"path": str(tmp_path / "inner"), "recurse": True}
    assert check(tree, tmp_path / "file", mode="0640", directory_mode="0750")["ok"]
    assert check(tree, tmp_path / "file", max_mode="0640", max_directory_mode="0750")["ok"]
    assert broken(check(tree, tmp_path / "file", mode="0600", max_directory_mode="0700")) == {
        ("mode", "file"),
        ("max_directory_mode", "inner"),
    }
    (hint,) = [one["hint"] for one in check(tmp_path / "file", max_mode="0604")["violations"]]
    assert hint == f"chmod 0600 {tmp_path}/file"


def test_an_entry_goes_before_what_is_said_for_all(tmp_path):
    for name in ("shared", "own"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o660)
    shared = {"path": str(tmp_path / "shared"), "group_writable": True, "max_mode": "0660"}
    assert broken(check(shared, tmp_path / "own", max_mode="0640")) == {("group_writable", "own"), ("max_mode", "own")}
    assert check(shared, tmp_path / "own", group_writable=True, groups=[MY_GROUP])["ok"]


def test_who_owns_a_file_is_held_against_names_and_numbers(tmp_path):
    (tmp_path / "file").touch()
    result = check(tmp_path / "file", owners=["nobody"], groups=[str(NOBODY)])
    assert {"owner", "group"} <= {rule for rule, name in broken(result) if name == "file"}
    assert check(tmp_path / "file", owners=["nobody", ME], groups=[MY_GROUP])["ok"]
    with pytest.raises(NotFoundError, match=r"^paths\[0\].owners: The user no-such-user does not exist"):
        check({"path": "/", "owners": ["no-such-user"]})
    with pytest.raises(NotFoundError, match=r"^groups: The group no-such-group does not exist"):
        check("/", groups=["no-such-group"])


def test_a_named_user_or_group_that_may_write_is_found_whatever_the_mode_shows(tmp_path):
    for name in ("user", "group", "reader", "masked"):
        (tmp_path / name).touch()
    grant(tmp_path / "user", USER, NOBODY, 6)
    grant(tmp_path / "group", GROUP, NOBODY, 6)
    grant(tmp_path / "reader", USER, NOBODY, 4)
    grant(tmp_path / "masked", USER, NOBODY, 6, mask=4)
    result = check_tree(tmp_path)
    # The mode shows the mask where it shows the group's bits: group_writable would be a false alarm.
    assert (tmp_path / "reader").stat().st_mode & 0o020
    assert broken(result) == {("acl", "user"), ("acl", "group")}
    assert {one["found"] for one in result["violations"]} == {"writable by user nobody", "writable by group nogroup"}
    assert check_tree(tmp_path, owners=[ME, "nobody"], group_writable=True)["ok"]
    assert broken(check_tree(tmp_path, group_writable=True, groups=[MY_GROUP])) == {("acl", "user"), ("acl", "group")}
    assert check_tree(tmp_path, acl="any")["ok"]
    assert broken(check_tree(tmp_path, acl="none")) == {("acl", name) for name in ("user", "group", "reader", "masked")}


def test_the_owning_group_writes_by_the_list_only_as_the_mask_lets_it(tmp_path):
    for name, group, mask in (("writes", 6, 6), ("masked", 6, 4), ("reads", 4, 6)):
        (tmp_path / name).touch()
        grant(tmp_path / name, USER, NOBODY, 4, mask=mask, group=group)
    assert broken(check_tree(tmp_path)) == {("group_writable", "writes")}


def test_what_a_default_list_gives_to_new_files_counts(tmp_path):
    for name, bits, group in (("user", 7, 5), ("owning", 5, 7), ("fine", 5, 5)):
        (tmp_path / name).mkdir()
        grant(tmp_path / name, USER, NOBODY, bits, group=group, default=True)
    assert broken(check_tree(tmp_path)) == {("default_acl", "user"), ("default_acl", "owning")}
    assert ("default_acl", "fine") in broken(check_tree(tmp_path, acl="none"))


def test_types_are_held(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("socket")
        (tmp_path / "socket").chmod(0o600)
        assert broken(check_tree(tmp_path, types=["file", "directory"])) == {("type", "fifo"), ("type", "socket")}
        assert check_tree(tmp_path, types=["file", "directory", "fifo", "socket"])["ok"]


def test_a_checksum_is_that_of_the_file(tmp_path):
    (tmp_path / "file").write_text("one\n")
    right = hashlib.sha256(b"one\n").hexdigest()
    assert check({"path": str(tmp_path / "file"), "sha256": right.upper()})["ok"]
    (tmp_path / "link").symlink_to("file")
    assert check({"path": str(tmp_path / "link"), "sha256": right})["ok"]
    (tmp_path / "file").write_text("two\n")
    (violation,) = check({"path": str(tmp_path / "file"), "sha256": right})["violations"]
    assert (violation["rule"], violation["allowed"]) == ("sha256", right)
    assert violation["found"] == hashlib.sha256(b"two\n").hexdigest()
    assert broken(check({"path": str(tmp_path), "sha256": right})) == {("sha256", tmp_path.name)}


def test_a_file_system_without_attributes_of_chattr_has_none_set():
    assert check("/proc/version", immutable=False, append_only=False)["ok"]
    (violation,) = check("/proc/version", immutable=True)["violations"]
    assert (violation["rule"], violation["found"]) == ("immutable", "the file system has no such flag")


def test_reading_changes_no_access_time(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    for place in (path, tmp_path):
        os.utime(place, (1, 1))
    check({"path": str(path), "sha256": "0" * 64}, {"path": str(tmp_path), "recurse": True}, immutable=False)
    assert (path.stat().st_atime, tmp_path.stat().st_atime) == (1, 1)


@pytest.mark.parametrize(
    ("wish", "options", "says"),
    [
        ({"path": "relative"}, {}, r"paths\[0\].path"),
        ({"path": "/a\0b"}, {}, r"paths\[0\].path"),
        ({"path": "/", "sha256": "12"}, {}, r"paths\[0\].sha256"),
        ({"path": "/", "sha256": "0" * 64, "recurse": True}, {}, "sha256 is for one file"),
        ({"path": "/", "mode": 644}, {}, r"paths\[0\].mode"),
        ({"path": "/"}, {"max_directory_mode": "rwx"}, "max_directory_mode"),
        ({"path": "/", "owners": []}, {"owners": ["root"]}, r"paths\[0\].owners is an empty list"),
        ({"path": "/"}, {"limit": -1}, "limit"),
        ({"path": "/"}, {"max_entries": 0}, "max_entries"),
    ],
)
def test_an_option_that_can_not_be_used_is_named(wish, options, says):
    with pytest.raises(ValidationError, match=says):
        check(wish, **options)
