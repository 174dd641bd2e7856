# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wishes, plans and predictions about users and groups, on files as a host has them."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.apply import Accounts
from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.files import (
    AccountFiles,
    Group,
    User,
    login_definition,
    process_of,
    read_accounts,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.plan import describe, plan_user
from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.sudo import SudoFile
from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.wishes import group_wishes, user_wishes
from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError, ValidationError

HASH = "$6$abcdefgh$" + "x" * 86
OTHER = "$y$j9T$abcdefgh$" + "y" * 43
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4Tjt8LvJcfGP8vCsA5VYp2pDy3I4bMZSUpZ3SL7MhV a@b"


def user(name="alice", **options):
    preset = {"state": "present", "system": False, "append": True, "exclusive_keys": False, "remove_home": False}
    return {"name": name, **preset, **options}


def group(name="staff", **options):
    return {"name": name, "gid": None, "system": False, "state": "present", **options}


def wish(**options):
    return user_wishes([user(**options)])[0]


def files(**changes):
    found = User("alice", 1000, 1000, "Alice", "/nonexistent", "/bin/bash", HASH)
    for option, value in changes.items():
        found = User(**{**vars(found), option: value})
    groups = {"alice": Group("alice", 1000), "staff": Group("staff", 50, ("alice",)), "sudo": Group("sudo", 27)}
    return AccountFiles({"alice": found}, groups)


@pytest.fixture
def etc(tmp_path):
    """The account files of a small host."""
    (tmp_path / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\n+::::::\nbroken\n"
        "alice:x:1000:1000:Alice:/nonexistent:/bin/bash\nhalf:x:1001:1001::/nonexistent:/bin/sh\n"
    )
    (tmp_path / "shadow").write_text(f"root:*:19000:0:99999:7:::\nalice:!{HASH}:19000:0:99999:7::1:\n")
    (tmp_path / "group").write_text("root:x:0:\nalice:x:1000:\nstaff:x:50:alice,root\n")
    (tmp_path / "sudoers.d").mkdir()
    (tmp_path / "proc").mkdir()
    return tmp_path


def nothing_runs(*arguments, **options):
    raise AssertionError(f"A preview ran {arguments}.")


def preview(etc, connected=()):
    return Accounts(Commands(nothing_runs), check=True, connected=set(connected), etc=str(etc), proc=str(etc / "proc"))


def test_files_are_read(etc):
    found = read_accounts(str(etc))
    assert set(found.users) == {"root", "alice", "half"}
    assert found.users["alice"].secret == "!" + HASH
    assert found.users["alice"].expires == 1
    assert found.users["half"].secret is None
    assert found.groups_of("alice") == ["staff"]
    assert found.group_name(50) == "staff"
    assert "$6$" not in repr(found)


def test_login_definitions(tmp_path):
    path = tmp_path / "login.defs"
    path.write_text("# HOME_MODE 0755\nUID_MIN\t\t\t 1000\nHOME_MODE 0750\n")
    assert login_definition("HOME_MODE", str(path)) == "0750"
    assert login_definition("UID_MIN", str(path)) == "1000"
    assert login_definition("UID_MAX", str(path)) is None
    assert login_definition("UID_MAX", str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "al ice"}, r"users\.name"),
        ({"name": "-r"}, r"users\.name"),
        ({"name": "../etc"}, r"users\.name"),
        ({"name": "a\nb"}, r"users\.name"),
        ({"name": "a" * 33}, r"users\.name"),
        ({"uid": -1}, r"users\.uid"),
        ({"uid": 2**32 - 1}, r"users\.uid"),
        ({"groups": ["-x"]}, r"users\.groups"),
        ({"home": "home/alice"}, r"users\.home"),
        ({"home": "/home/../etc"}, r"users\.home"),
        ({"shell": "/bin/ba:sh"}, r"users\.shell"),
        ({"comment": "a:b"}, r"users\.comment"),
        ({"comment": "a\nroot2:x:0:0::/:/bin/sh"}, r"users\.comment"),
        ({"password": "hunter2"}, "hash"),
        ({"password": "$1$abcdefgh$" + "x" * 22}, "hash"),
        ({"password": HASH + "\nroot:x"}, "hash"),
        ({"password": ""}, "hash"),
        ({"sudo": ["ALL=(ALL) ALL\nbob ALL=(ALL) ALL"]}, r"users\.sudo"),
        ({"sudo": ["ALL=(ALL) ALL\\"]}, r"users\.sudo"),
        ({"sudo": ["ALL"]}, r"users\.sudo"),
        ({"sudo": [""]}, r"users\.sudo"),
        ({"authorized_keys": ["nonsense"]}, "key 1"),
        ({"exclusive_keys": True}, "exclusive_keys"),
    ],
)
def test_users_that_can_not_be(options, said):
    with pytest.raises(ValidationError, match=said) as caught:
        user_wishes([user(**options)])
    assert "hunter2" not in str(caught.value.as_result())


def test_entries_for_one_user_are_merged():
    entries = [
        user(groups=["b"], sudo=["ALL=(ALL) ALL"], uid=5),
        user(groups=["a", "b"], sudo=["ALL=(ALL) ALL"], shell="/bin/sh"),
    ]
    merged = user_wishes(entries)
    assert len(merged) == 1
    assert (merged[0].uid, merged[0].shell) == (5, "/bin/sh")
    assert sorted(merged[0].groups) == ["a", "b"]
    assert merged[0].sudo == ("ALL=(ALL) ALL",)
    with pytest.raises(ConflictError, match="uid"):
        user_wishes([user(uid=5), user(uid=6)])
    with pytest.raises(ConflictError, match="present"):
        user_wishes([user(), user(state="absent")])
    with pytest.raises(ConflictError, match="staff"):
        group_wishes([group(gid=5), group(gid=6)])


def test_contradictions():
    for options in ({"state": "absent", "sudo": ["ALL=(ALL) ALL"]}, {"remove_home": True}):
        with pytest.raises(ConflictError):
            user_wishes([user(**options)])


def test_nothing_set_changes_nothing():
    plan = plan_user(wish(), files())
    assert (plan.arguments, plan.secret, plan.changes) == ([], None, [])
    same = wish(
        uid=1000, group="alice", groups=["staff"], shell="/bin/bash", comment="Alice", password=HASH, locked=False
    )
    plan = plan_user(same, files())
    assert (plan.arguments, plan.secret, plan.changes) == ([], None, [])


def test_one_call_for_all_that_differs():
    plan = plan_user(
        wish(uid=2000, group="staff", groups=["sudo"], shell="/bin/sh", comment="A", home="/srv/a"), files()
    )
    assert plan.arguments == [
        "-u", "2000", "-s", "/bin/sh", "-c", "A", "-d", "/srv/a", "-g", "staff", "-a", "-G", "sudo",
    ]  # fmt: skip
    assert plan.changes == ["uid", "shell", "comment", "home", "group", "groups"]
    assert plan.groups_after == ["staff", "sudo"]
    plan = plan_user(wish(groups=["sudo"], append=False), files())
    assert plan.arguments == ["-G", "sudo"]
    assert plan.groups_after == ["sudo"]
    assert plan_user(wish(groups=[], append=False), files()).arguments == ["-G", ""]


def test_a_new_user():
    plan = plan_user(wish(name="bob", comment="Bob", groups=["staff"], password=HASH), files())
    assert plan.arguments == ["-M", "-d", "/home/bob", "-s", "/bin/bash", "-c", "Bob", "-U", "-G", "staff"]
    assert plan.secret == HASH
    system = plan_user(wish(name="svc", system=True), files())
    assert system.arguments == ["-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", "-r", "-U"]
    # A group of that name is there already, so useradd must not make one.
    assert plan_user(wish(name="staff"), files()).arguments[-3:] == ["-N", "-g", "staff"]


@pytest.mark.parametrize(
    ("current", "options", "secret"),
    [
        (HASH, {"password": HASH}, None),
        (HASH, {"password": OTHER}, OTHER),
        ("!" + HASH, {"password": HASH}, None),
        ("!" + HASH, {"password": OTHER}, "!" + OTHER),
        ("!" + HASH, {"password": OTHER, "locked": False}, OTHER),
        (HASH, {"locked": True}, "!" + HASH),
        ("!" + HASH, {"locked": False}, HASH),
        ("!", {"password": HASH}, HASH),
        ("!", {"password": "*"}, None),
        ("*", {"password": "*"}, None),
        ("*", {"locked": True}, "!*"),
        ("!*", {"locked": False}, "*"),
        ("!", {"locked": False}, "*"),
        ("!", {"locked": True}, None),
        ("", {}, None),
        ("", {"password": "*"}, "*"),
        ("", {"locked": True}, "!"),
        ("", {"locked": False}, "*"),
        ("x", {}, None),
        ("x", {"password": HASH}, HASH),
        (None, {"password": HASH}, HASH),
    ],
)
def test_the_password_field(current, options, secret):
    assert plan_user(wish(**options), files(secret=current)).secret == secret


@given(
    st.sampled_from(["", "!", "*", "!*", "x", HASH, "!" + HASH, OTHER, None]),
    st.sampled_from([None, HASH, OTHER, "*", "!"]),
    st.sampled_from([None, True, False]),
)
def test_a_password_field_settles_and_never_opens_to_all(current, password, locked):
    asked = wish(password=password, locked=locked)
    secret = plan_user(asked, files(secret=current)).secret
    assert secret != ""
    if secret is not None:
        expires = {True: 1, False: None, None: None}[locked]
        again = plan_user(asked, files(secret=secret, expires=expires))
        assert (again.secret, again.arguments) == (None, [])
        assert secret.startswith("!") if locked else True


def test_the_diff_has_no_hash():
    for secret, said in ((HASH, "set"), ("!" + HASH, "set"), ("*", "none"), ("", "none needed")):
        text = describe(files(secret=secret).users["alice"], "alice", ["staff"])
        assert f"password: {said}\n" in text
        assert "$6$" not in text


def test_a_preview_on_an_empty_host_predicts(etc):
    accounts = preview(etc)
    for one in group_wishes([group("new"), group("staff")]):
        accounts.group(one)
    entries = [
        user("bob", groups=["new", "later"], password=HASH, authorized_keys=[KEY], sudo=["ALL=(ALL) ALL"]),
        user("alice", locked=True),
    ]
    # The rules are in place already, as visudo may be missing where this test runs.
    for one in user_wishes([{**entries[0], "sudo": []}, entries[1]]):
        accounts.user(one)
    outcomes = {entry["item"]: entry for entry in accounts.outcomes.entries}
    assert not accounts.outcomes.failed
    assert outcomes["group new"]["changed"]
    assert not outcomes["group staff"]["changed"]
    assert outcomes["user bob"]["changes"] == ["created", "authorized_keys"]
    assert not outcomes["user alice"]["changed"]
    assert HASH not in str(accounts.outcomes.result())
    # What was predicted is known further on.
    accounts.group(group_wishes([group("bob")])[0])
    accounts.group(group_wishes([group("bob", state="absent")])[0])
    assert not accounts.outcomes.entries[-2]["changed"]


def test_removal_is_predicted_with_the_group(etc):
    accounts = preview(etc)
    accounts.user(user_wishes([user("alice", state="absent")])[0])
    accounts.group(group_wishes([group("alice", state="absent")])[0])
    assert [(entry["item"], entry["changed"]) for entry in accounts.outcomes.entries] == [
        ("user alice", True),
        ("group alice", False),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"name": "root", "state": "absent"},
        {"name": "alice", "state": "absent"},
        {"name": "alice", "locked": True},
        {"name": "root", "locked": True},
        {"name": "alice", "authorized_keys": [], "exclusive_keys": True},
    ],
)
def test_nobody_shuts_himself_out(etc, options):
    accounts = preview(etc, connected=["alice"])
    accounts.user(user_wishes([user(**options)])[0])
    assert accounts.outcomes.entries[0]["error"]["kind"] == "unsafe"
    assert not accounts.outcomes.changed


def test_numbers_that_are_taken(etc):
    accounts = preview(etc)
    accounts.group(group_wishes([group("new", gid=50)])[0])
    accounts.group(group_wishes([group("staff", gid=1000)])[0])
    accounts.user(user_wishes([user("bob", uid=1000)])[0])
    accounts.user(user_wishes([user("half", uid=1000)])[0])
    assert [entry["error"]["kind"] for entry in accounts.outcomes.entries] == ["conflict"] * 4
    accounts.user(user_wishes([user("alice", uid=1000)])[0])
    assert not accounts.outcomes.entries[-1].get("failed")


def test_entries_that_a_killed_program_left_torn_are_mended(etc):
    (etc / "gshadow").write_text("root:*::\nalice:!::\nstaff:!::alice\ngone:!::\n")
    with (etc / "shadow").open("a") as handle:
        handle.write(f"gone:{HASH}:19000:0:99999:7:::\n")
    found = read_accounts(str(etc))
    assert found.torn_users == {"half", "gone"}
    assert found.torn_groups == {"staff", "gone"}
    calls = []

    def run(argv, **_options):
        calls.append(os.path.basename(argv[0]))
        return 0, "", ""

    accounts = Accounts(Commands(run), False, set(), str(etc))
    accounts.user(user_wishes([user("gone", state="absent")])[0])
    assert calls == ["pwconv", "grpconv"]
    for name in ("half", "gone"):
        accounts = preview(etc)
        options = {} if name == "half" else {"state": "absent"}
        accounts.user(user_wishes([user(name, create_home=False if name == "half" else None, **options)])[0])
        assert accounts.outcomes.entries[0]["changes"] == (["mended", "group"] if name == "half" else ["mended"])
        assert accounts.outcomes.diffs
    accounts = preview(etc)
    accounts.group(group_wishes([group("staff")])[0])
    accounts.group(group_wishes([group("gone", state="absent")])[0])
    assert [entry["changed"] for entry in accounts.outcomes.entries] == [True, False]
    accounts.user(user_wishes([user("alice", state="absent")])[0])
    assert accounts.outcomes.entries[-1]["changes"] == ["removed"]


def test_a_user_with_processes_is_predicted_to_stay(etc):
    process = etc / "proc" / "4711"
    process.mkdir()
    (process / "root").symlink_to("/")
    if os.geteuid() == 0:
        os.chown(process, 1000, 1000)
    uid = process.stat().st_uid
    with (etc / "passwd").open("a") as handle:
        handle.write(f"worker:*:{uid}:1000::/nonexistent:/bin/sh\n")
    accounts = preview(etc)
    accounts.user(user_wishes([user("worker", state="absent")])[0])
    assert accounts.outcomes.entries[0]["error"]["kind"] == "conflict"
    assert "process 4711" in accounts.outcomes.entries[0]["error"]["message"]
    # One that lives in a container is not a process of this user.
    (process / "root").unlink()
    (process / "root").symlink_to(etc)
    assert process_of(uid, str(etc / "proc")) is None


def test_groups_that_stay(etc):
    accounts = preview(etc)
    for name, kind in (("root", "unsafe"), ("alice", "conflict")):
        accounts.group(group_wishes([group(name, state="absent")])[0])
        assert accounts.outcomes.entries[-1]["error"]["kind"] == kind


def test_a_home_that_others_use_is_not_removed(etc, tmp_path):
    home = tmp_path / "home" / "bob"
    home.mkdir(parents=True)
    with (etc / "passwd").open("a") as handle:
        handle.write(f"bob:x:{os.geteuid()}:1000::{home}:/bin/sh\ncarol:x:1003:1000::{home}/carol:/bin/sh\n")
    accounts = preview(etc)
    if os.geteuid() != 0:  # root's own number is refused before
        accounts.user(user_wishes([user("bob", state="absent", remove_home=True)])[0])
        assert "carol" in accounts.outcomes.entries[0]["error"]["message"]
    accounts.user(user_wishes([user("carol", state="absent", remove_home=True)])[0])
    assert accounts.outcomes.entries[-1]["changed"]


@pytest.mark.parametrize(("status", "kind"), [(9, "conflict"), (6, "not_found"), (3, "validation"), (1, "unavailable")])
def test_programs_that_fail(etc, status, kind):
    accounts = Accounts(Commands(lambda *_a, **_k: (status, "", "groupadd: no\n")), False, set(), str(etc))
    accounts.group(group_wishes([group("new")])[0])
    error = accounts.outcomes.entries[0]["error"]
    assert (error["kind"], error["message"]) == (kind, "groupadd failed: groupadd: no.")
    assert not accounts.outcomes.changed


def test_a_lock_of_another_program_is_waited_for(etc, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    answers = [(10, "", "groupadd: cannot lock /etc/group; try again later.\n")] * 3 + [(0, "", "")]
    calls = []

    def run(argv, **_options):
        calls.append(argv)
        return answers[len(calls) - 1]

    accounts = Accounts(Commands(run), False, set(), str(etc))
    accounts.group(group_wishes([group("new")])[0])
    assert len(calls) == 4
    assert accounts.outcomes.entries[0]["changed"]


def test_a_hash_goes_by_standard_input(etc):
    calls = []

    def run(argv, data=None, **_options):
        calls.append((os.path.basename(argv[0]), argv[1:], data))
        return 0, "", ""

    accounts = Accounts(Commands(run), False, set(), str(etc))
    accounts.user(user_wishes([user("alice", password=OTHER, locked=False)])[0])
    assert calls == [
        ("usermod", ["-e", "", "alice"], None),
        ("chpasswd", ["-e"], f"alice:{OTHER}\n"),
    ]
    assert accounts.outcomes.entries[0]["changes"] == ["locked", "password"]


def test_sudo_files(tmp_path):
    file = SudoFile(Commands(nothing_runs), "web.admin", str(tmp_path))
    assert file.path == str(tmp_path / "web%2Eadmin")
    assert file.text(()) is None
    text = file.text(("ALL=(ALL) ALL", "ALL=(root) NOPASSWD: /usr/bin/id"))
    assert text.splitlines()[1:] == ['"web.admin" ALL=(ALL) ALL', '"web.admin" ALL=(root) NOPASSWD: /usr/bin/id']
    assert file.read() is None
    (tmp_path / ".web%2Eadmin.12345678.new").write_text("half")
    (tmp_path / ".web.12345678.new").write_text("of another user")
    file.write(text)
    assert file.read() == text
    assert {path.name for path in tmp_path.iterdir()} == {"web%2Eadmin", ".web.12345678.new"}
    assert file.is_private()
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o440
    os.chmod(file.path, 0o444)
    assert not file.is_private()
    file.write(None)
    assert file.read() is None
