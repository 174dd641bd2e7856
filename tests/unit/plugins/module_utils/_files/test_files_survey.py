# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the comparison finds, predicts and refuses."""

from __future__ import annotations

import hashlib
import os

import pytest
from files_host import Host, file_at

from ansible_collections.scripts.toolkit.plugins.module_utils._files.survey import Survey, look
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import Wanted


def one(wish: Wanted, **options):
    (finding,) = [finding for finding in Survey(**options).run([wish]) if finding.origin == "wanted"]
    return finding


def test_a_file_is_compared_by_content_and_by_the_attributes_asked_for(tmp_path):
    path = tmp_path / "file"
    path.write_text("same\n")
    path.chmod(0o600)
    assert one(file_at(path, "same\n")).operation is None
    assert one(file_at(path, "same\n", mode=0o600)).operation is None
    assert one(file_at(path, "same\n", mode=0o644)).operation == "attributes"
    changed = one(file_at(path, "other\n"))
    assert (changed.operation, changed.content, changed.mode) == ("modify", True, 0o600)


def test_a_new_file_has_the_default_mode_and_a_new_secret_a_private_one(tmp_path):
    assert one(file_at(tmp_path / "new", "x")).mode == 0o644
    assert one(file_at(tmp_path / "new", "x", sensitive=True)).mode == 0o600
    assert one(Wanted(str(tmp_path / "new"), "directory")).mode == 0o755


def test_force_false_leaves_what_is_there(tmp_path):
    path = tmp_path / "file"
    assert one(file_at(path, "x", force=False)).operation == "create"
    path.write_text("mine")
    path.chmod(0o640)
    finding = one(file_at(path, "x", mode=0o600, force=False))
    assert (finding.operation, finding.mode) == (None, 0o640)


def test_a_link_is_replaced_and_never_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("secret of another\n")
    target.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    finding = one(file_at(link, "secret of another\n"), text_limit=1000)
    assert (finding.operation, finding.mode, finding.before.text) == ("modify", 0o644, None)
    assert one(Wanted(str(link), "link", target=str(target))).operation is None
    assert one(Wanted(str(link), "link", target="elsewhere")).operation == "modify"


@pytest.mark.parametrize(
    ("state", "found", "kind"),
    [
        ("file", "directory", "conflict"),
        ("link", "directory", "conflict"),
        ("directory", "file", "conflict"),
        ("directory", "link", "conflict"),
        ("file", "fifo", "conflict"),
        ("absent", "full directory", "unsafe"),
    ],
)
def test_what_is_in_the_way_is_refused(tmp_path, state, found, kind):
    path = tmp_path / "thing"
    makers = {
        "directory": path.mkdir,
        "file": path.touch,
        "link": lambda: path.symlink_to(tmp_path),
        "fifo": lambda: os.mkfifo(path),
        "full directory": lambda: (path / "inner").mkdir(parents=True),
    }
    makers[found]()
    finding = one(Wanted(str(path), state, checksum="0", target="x"))
    assert finding.error["kind"] == kind
    assert finding.error["item"] == str(path)
    assert finding.operation is None


def test_absent_takes_an_empty_directory_and_with_recursive_a_full_one(tmp_path):
    (tmp_path / "full" / "inner").mkdir(parents=True)
    assert one(Wanted(str(tmp_path / "full" / "inner"), "absent")).operation == "delete"
    assert one(Wanted(str(tmp_path / "full"), "absent", recursive=True)).operation == "delete"
    assert one(Wanted(str(tmp_path / "none" / "at" / "all"), "absent")).operation is None


def test_missing_parents_are_found_once_and_belong_to_the_set(tmp_path):
    wishes = [file_at(tmp_path / "a" / "b" / name, name, set="s", notify={"x.service": "reload"}) for name in "cd"]
    findings = Survey().run(wishes)
    assert [(item.wanted.dest, item.origin) for item in findings] == [
        (str(tmp_path / "a"), "parent"),
        (str(tmp_path / "a" / "b"), "parent"),
        (str(tmp_path / "a" / "b" / "c"), "wanted"),
        (str(tmp_path / "a" / "b" / "d"), "wanted"),
    ]
    assert {item.wanted.set for item in findings} == {"s"}


def test_a_wanted_parent_is_not_made_twice(tmp_path):
    wishes = [file_at(tmp_path / "a" / "file", "x"), Wanted(str(tmp_path / "a"), "directory", mode=0o700)]
    findings = Survey(make_parents=False).run(wishes)
    assert [(item.wanted.dest, item.operation) for item in findings] == [
        (str(tmp_path / "a" / "file"), "create"),
        (str(tmp_path / "a"), "create"),
    ]


def test_without_make_parents_a_missing_parent_is_an_error_except_in_check_mode(tmp_path):
    wish = file_at(tmp_path / "a" / "file", "x")
    assert one(wish, make_parents=False).error["kind"] == "not_found"
    assert one(wish, make_parents=False, check=True).operation == "create"


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert one(file_at(tmp_path / "file" / "below", "x")).error["kind"] == "conflict"


def test_a_missing_user_or_group_is_predicted_in_check_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("same")
    for name in ("owner", "group"):
        wish = file_at(path, "same", **{name: "no-such-name"})
        assert one(wish).error["kind"] == "not_found"
        predicted = one(wish, check=True)
        assert (predicted.operation, getattr(predicted, name)) == ("attributes", "no-such-name")


def test_a_new_file_inherits_the_group_of_a_set_group_id_directory(tmp_path):
    os.chown(tmp_path, -1, 12345 if os.geteuid() == 0 else os.getegid())
    tmp_path.chmod(0o2755)
    assert one(file_at(tmp_path / "new", "x")).gid == tmp_path.stat().st_gid


def test_texts_are_kept_for_the_diff_only_of_small_text_files_that_will_change(tmp_path):
    for name, data in {"text": b"old \xc3\xa4\n", "nul": b"a\0b", "latin": b"\xe4", "big": b"x" * 200}.items():
        (tmp_path / name).write_bytes(data)
    texts = {
        name: one(file_at(tmp_path / name, "new"), text_limit=100).before.text
        for name in ("text", "nul", "latin", "big")
    }
    assert texts == {"text": "old ä\n", "nul": None, "latin": None, "big": None}
    assert one(file_at(tmp_path / "text", "new", sensitive=True), text_limit=100).before.text is None
    assert one(file_at(tmp_path / "text", "old ä\n"), text_limit=100).before.text is None
    assert one(file_at(tmp_path / "text", "new")).before.text is None


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    names = [str(tmp_path / name) for name in "abc"]
    for name in names:
        with open(name, "w") as handle:
            handle.write(name)
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: opened.append(path) or real(path, *rest))
    Survey(text_limit=1000).run([file_at(name, "new") for name in names])
    assert opened == names


def test_an_unreadable_state_is_an_error_of_that_item_only(tmp_path):
    host = Host(tmp_path)
    (host.tree / "loop").symlink_to("loop")
    answer = host.compare([file_at(host.tree / "loop" / "x", "x"), file_at(host.tree / "fine", "x")])
    by_path = {finding["wanted"]["dest"]: finding for finding in answer["findings"]}
    assert by_path[str(host.tree / "loop" / "x")]["error"]["kind"] in ("conflict", "unavailable")
    assert by_path[str(host.tree / "fine")]["operation"] == "create"


def test_comparing_writes_nothing(tmp_path):
    host = Host(tmp_path)
    host.compare([file_at(host.tree / "a", "x")], check=False)
    assert not host.state.exists()


def test_looking_reads_a_big_file_in_blocks(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as handle:
        handle.truncate(5_000_000)
    found = look(str(path))
    assert (found.size, found.text) == (5_000_000, None)
    assert found.checksum == hashlib.sha256(bytes(5_000_000)).hexdigest()
