# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where paths and symbolic links lead, what is on the way, and that nothing hides: swaps, limits, depth, memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tracemalloc

import pytest
from permissions_tree import NOBODY, OPTIONS, USER, broken, check, check_tree, defaults, grant

from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.entry import Entry
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.resolve import resolve
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.walk import walk

ME = str(os.geteuid())


@pytest.fixture
def descriptors():
    """How many descriptors this process has may not grow."""
    before = os.listdir("/proc/self/fd")
    yield
    assert len(os.listdir("/proc/self/fd")) == len(before)


pytestmark = pytest.mark.usefixtures("descriptors")


def names(entries) -> list[str]:
    return [os.path.basename(entry.path) for entry in entries]


def test_a_parent_that_others_may_write_is_found_unless_it_is_sticky(tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    (tmp_path / "outer").chmod(0o777)
    result = check(inner / "file")
    assert broken(result) == {("parent_writable", "outer")}
    (violation,) = result["violations"]
    assert (violation["item"], violation["path"]) == (str(inner / "file"), str(tmp_path / "outer"))
    assert violation["found"] == "0777, writable by group " + (tmp_path / "outer").group() + ", everybody"
    (tmp_path / "outer").chmod(0o1777)
    assert check(inner / "file")["ok"]
    (tmp_path / "outer").chmod(0o775)
    assert broken(check(inner / "file")) == {("parent_writable", "outer")}
    assert check(inner / "file", group_writable=True)["ok"]
    assert check(inner / "file", parents=False)["ok"]
    (tmp_path / "outer").chmod(0o750)
    grant(tmp_path / "outer", USER, NOBODY, 7)
    (violation,) = check(inner / "file")["violations"]
    assert violation["found"].endswith("writable by user nobody")


def test_a_parent_that_many_paths_have_in_common_is_told_once(tmp_path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer").chmod(0o777)
    for number in range(50):
        (tmp_path / "outer" / f"{number}").touch()
    result = check(*(tmp_path / "outer" / f"{number}" for number in range(50)))
    assert (result["violation_count"], len(result["violations"])) == (1, 1)
    assert [(outcome["ok"], outcome["violations"]) for outcome in result["outcomes"]] == [(False, 1)] * 50


def test_both_ways_are_checked_where_a_link_is_on_the_way(tmp_path):
    """The link stands in one directory that all may write, and leads through another."""
    for name in ("links", "open", "open/real"):
        (tmp_path / name).mkdir()
    (tmp_path / "open" / "real" / "file").touch()
    (tmp_path / "links" / "link").symlink_to("../open/real")
    for name in ("links", "open"):
        (tmp_path / name).chmod(0o777)
    result = check(tmp_path / "links" / "link" / "file")
    assert broken(result) == {("parent_writable", "links"), ("parent_writable", "open")}
    (outcome,) = result["outcomes"]
    assert outcome["resolved"] == str(tmp_path / "open" / "real" / "file")
    assert outcome["links"] == [str(tmp_path / "links" / "link")]
    result = check(tmp_path / "links" / "link" / "file", symlinks="none")
    assert ("symlink", "link") in broken(result)


def test_a_path_is_resolved_as_the_kernel_does(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "c").symlink_to("a/b/../b/")
    (tmp_path / "d").symlink_to(tmp_path / "c")
    (tmp_path / "e").symlink_to("d")
    for path in (tmp_path / "e" / "file", f"{tmp_path}/./e/../b//file", f"{tmp_path}/e/."):
        found = resolve(str(path))
        with found.entry as entry:
            assert entry.path == os.path.realpath(path)
            assert os.path.samestat(entry.status, os.stat(path))
            assert names(found.links) == ["e", "d", "c"]
    with resolve("/").entry as entry:
        assert entry.path == "/"


@pytest.mark.parametrize("target", ["nowhere", "loop", "file/below", "file/."])
def test_a_path_that_leads_nowhere_is_missing(tmp_path, target):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    result = check(f"{tmp_path}/{target}")
    assert result["violation_counts"] == {"missing": 1}
    assert result["outcomes"][0]["resolved"] is None
    (tmp_path / "link").symlink_to(target)
    assert broken(check_tree(tmp_path)) == {("symlink", "link"), ("symlink", "loop")}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("any", set()),
        ("check", {("world_writable", "secret"), ("parent_writable", "open"), ("symlink", "dangling")}),
        ("inside", {("symlink", name) for name in ("out", "directory", "dangling", "null")}),
        ("none", {("symlink", name) for name in ("out", "directory", "dangling", "null", "in")}),
    ],
)
def test_links_in_a_tree_are_not_followed_unnoticed(tmp_path, rule, expected):
    tree, outside = tmp_path / "tree", tmp_path / "open" / "more"
    tree.mkdir()
    outside.mkdir(parents=True)
    for path in (tree / "file", outside / "secret", outside / "deep"):
        path.touch()
    (outside / "secret").chmod(0o646)
    (outside / "deep").chmod(0o666)
    (tmp_path / "open").chmod(0o757)
    (tree / "in").symlink_to("file")
    (tree / "out").symlink_to("../open/more/secret")
    (tree / "directory").symlink_to(outside)
    (tree / "dangling").symlink_to("gone")
    (tree / "null").symlink_to("/dev/null")
    result = check_tree(tree, symlinks=rule)
    assert broken(result) == expected
    if rule == "check":
        assert result["left_out"] == [{"path": str(tree / "directory"), "reason": "link_to_directory"}]
        assert {one["link"] for one in result["violations"]} >= {str(tree / "out")}
    else:
        assert result["left_out"] == []


def test_what_is_excluded_is_told(tmp_path):
    for name in ("keep", "cache", "cache/inner", "keep/tmp"):
        (tmp_path / name).mkdir()
    for name in ("keep/a.pyc", "cache/inner/bad", "keep/bad", "keep/tmp/bad"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    tree = {"path": str(tmp_path), "recurse": True, "exclude": ["cache"]}
    result = check(tree, exclude=["*.pyc", f"{tmp_path}/keep/tmp"])
    assert {one["path"] for one in result["violations"]} == {str(tmp_path / "keep" / "bad")}
    assert sorted(one["path"] for one in result["left_out"]) == [
        str(tmp_path / name) for name in ("cache", "keep/a.pyc", "keep/tmp")
    ]
    assert result["left_out_counts"] == {"excluded": 3}


def test_another_file_system_is_left_out_when_asked(tmp_path):
    """/dev has others mounted in it on every Linux machine: its own device numbers say which."""
    others = {
        entry.path
        for entry in os.scandir("/dev")
        if entry.is_dir(follow_symlinks=False) and os.stat(entry.path).st_dev != os.stat("/dev").st_dev
    }
    result = check_tree("/dev", one_file_system=True, symlinks="any", limit=0)
    assert result["left_out_counts"].get("other_file_system") == len(others) > 0


def test_the_check_stops_where_it_was_told_to_and_says_so(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}").touch()
    result = check_tree(tmp_path, max_entries=11)
    assert (result["ok"], result["checked"]) == (True, 11)
    tree = {"path": str(tmp_path), "recurse": True}
    result = check(tree, tmp_path / "1", max_entries=10, fail=True)
    assert (result["failed"], result["checked"]) == (True, 10)
    assert result["violation_counts"] == {"max_entries": 2}
    assert "Raise max_entries" in result["violations"][0]["hint"]


def test_what_is_returned_is_limited_and_what_is_counted_is_not(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}").touch()
        (tmp_path / f"{number}").chmod(0o602)
    result = check_tree(tmp_path, limit=7)
    assert (len(result["violations"]), result["violation_count"]) == (7, 30)


def test_names_that_are_no_text_are_shown_safely(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"a\xff\n\x1b[31m")
    with open(name, "w"):
        os.chmod(name, 0o602)
    (violation,) = json.loads(json.dumps(check_tree(tmp_path)))["violations"]
    assert violation["path"] == f"{tmp_path}/a\\xff\\n\\x1b[31m"
    assert violation["hint"] == f"chmod o-w '{tmp_path}/a\\xff\\n\\x1b[31m'"


def test_a_directory_that_is_swapped_after_its_visit_can_not_hide_what_is_in_it(tmp_path):
    """The directory that was visited is listed, not the harmless one that has its name now."""
    tree, decoy = tmp_path / "tree", tmp_path / "decoy"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "bad").touch()
    decoy.mkdir()
    (decoy / "good").touch()
    visited = []

    def visit(entry, directory):
        visited.append(entry.path)
        if entry.path.endswith("inner"):
            (tree / "inner").rename(tmp_path / "hidden")
            (tree / "inner").symlink_to(decoy)
        return entry.is_directory

    with Entry(str(tree), str(tree)) as top:
        walk(top, lambda path, name: False, visit, lambda path, error: pytest.fail(str(error)))
    assert visited == [str(tree / "inner"), str(tree / "inner" / "bad")]


def test_a_file_that_is_swapped_is_judged_as_the_one_that_was_opened(tmp_path):
    path = tmp_path / "file"
    path.write_text("opened")
    path.chmod(0o602)
    grant(path, USER, NOBODY, 6)
    with Entry(str(path), str(path)) as entry:
        path.unlink()
        path.write_text("swapped")
        assert entry.mode & 0o070 == 0o070
        assert list(entry.acl().writing_users()) == [NOBODY]
        with open(entry.open(), "rb") as handle:
            assert handle.read() == b"opened"


def test_an_entry_that_vanishes_is_told(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).touch()
    told = []

    def leave_out(path, name):
        os.unlink(path)
        return False

    with Entry(str(tmp_path), str(tmp_path)) as top:
        walk(top, leave_out, lambda entry, directory: False, lambda path, error: told.append((path, error.errno)))
    assert sorted(told) == [(str(tmp_path / "one"), 2), (str(tmp_path / "two"), 2)]


def deep_tree(top, levels: int) -> None:
    """Make a chain of directories that is too long for one path, with a bad file at its end."""
    descriptor = os.open(top, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("directory", 0o755, dir_fd=descriptor)
        inner = os.open("directory", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open("bad", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=descriptor))
    os.chmod("bad", 0o602, dir_fd=descriptor)
    os.close(descriptor)


def test_a_tree_of_any_depth_is_checked_to_its_end(tmp_path):
    deep_tree(tmp_path, 1500)
    result = check_tree(tmp_path)
    assert broken(result) == {("world_writable", "bad")}
    assert result["checked"] == 1502
    subprocess.run(["rm", "-rf", str(tmp_path / "directory")], check=True)


def test_where_descriptors_run_out_the_rest_is_reported(tmp_path, collection_root):
    deep_tree(tmp_path, 60)
    package = "ansible_collections.scripts.toolkit.plugins.module_utils._permissions.check"
    program = (
        f"import json, sys; from {package} import check_paths; print(json.dumps(check_paths(json.load(sys.stdin))))"
    )
    wish = {**dict.fromkeys(defaults()), "path": str(tmp_path), "recurse": True, "sha256": None, "exclude": []}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps({**defaults(), **OPTIONS, "paths": [wish]}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        env={**os.environ, "PYTHONPATH": str(collection_root.parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert result["violation_counts"] == {"unreadable": 1}
    assert result["violations"][0]["found"] == "Too many open files"


def test_memory_does_not_grow_with_the_tree(tmp_path):
    def most_kept(entries: int) -> int:
        top = tmp_path / str(entries)
        top.mkdir()
        for number in range(entries):
            (top / f"{number}").touch()
            (top / f"{number}").chmod(0o602)
        tracemalloc.start()
        result = check_tree(top, limit=10)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result["violation_count"] == entries
        return most

    most_kept(100)
    assert most_kept(5_000) < most_kept(500) + 50_000
