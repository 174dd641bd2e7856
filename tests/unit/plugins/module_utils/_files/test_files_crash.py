# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at every step: a set is old or new as a whole, a single file old or new, and no reload is lost."""

from __future__ import annotations

import os
import signal

import pytest
from files_host import Host, file_at

from ansible_collections.scripts.toolkit.plugins.module_utils._files.journal import no_hook
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import SetPlan, Wanted

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

NEW = {"site": "new site\n", "fresh": "fresh\n", "deep": "deep\n", "was_link": "now a file\n"}


def build(host: Host) -> None:
    tree = host.tree
    (tree / "conf.d").mkdir()
    (tree / "conf.d" / "site.conf").write_text("old site\n")
    (tree / "conf.d" / "site.conf").chmod(0o640)
    (tree / "conf.d" / "stray.conf").write_text("stray\n")
    (tree / "conf.d" / "strays").mkdir(mode=0o700)
    (tree / "conf.d" / "strays" / "one").write_text("1")
    (tree / "conf.d" / "stray-link").symlink_to("site.conf")
    (tree / "mode.conf").write_text("same\n")
    (tree / "closed").mkdir(mode=0o755)
    (tree / "link").symlink_to("old-target")
    (tree / "was-link").symlink_to("mode.conf")
    (tree / "was-file").write_text("file\n")
    (tree / "gone").write_text("to be removed\n")
    (tree / "gone-tree" / "inner").mkdir(parents=True)
    (tree / "gone-tree" / "inner" / "file").write_text("deep\n")


def wishes(host: Host, name: str | None) -> list[Wanted]:
    tree = host.tree
    more = {"set": name, "notify": {"nginx.service": "reload"}}
    return [
        file_at(tree / "conf.d" / "site.conf", NEW["site"], mode=0o600, **more),
        file_at(tree / "conf.d" / "fresh.conf", NEW["fresh"], **more),
        file_at(tree / "new" / "deeper" / "deep.conf", NEW["deep"], validate=["grep", "-q", "deep", "%s"], **more),
        file_at(tree / "mode.conf", "same\n", mode=0o600, **more),
        Wanted(str(tree / "closed"), "directory", mode=0o700, **more),
        Wanted(str(tree / "link"), "link", target="new-target", **more),
        file_at(tree / "was-link", NEW["was_link"], **more),
        Wanted(str(tree / "was-file"), "link", target="mode.conf", **more),
        Wanted(str(tree / "gone"), "absent", **more),
        Wanted(str(tree / "gone-tree"), "absent", recursive=True, **more),
    ]


def plans(host: Host, validate: list[str]) -> list[SetPlan]:
    return [SetPlan("web", validate, purge=[str(host.tree / "conf.d")])]


def removals(host: Host) -> list[dict]:
    answer = host.compare(wishes(host, "web"), plans(host, []))
    return [
        {
            "path": f["wanted"]["dest"],
            "set": "web",
            "kind": f["before"]["kind"],
            "checksum": f["before"].get("checksum"),
        }
        for f in answer["findings"]
        if f["origin"] == "purge"
    ]


def change(host: Host, name: str | None, validate: list[str], doomed: list[dict], hook=no_hook) -> dict:
    sets = plans(host, validate) if name else []
    return host.apply(wishes(host, name), sets, [*NEW.values(), "same\n"], doomed, hook=hook)


CALLS = ("rename", "unlink", "rmdir", "mkdir", "link", "symlink", "chmod", "fchmod", "chown", "fchown", "fsync", "open")


def killed_at(number: int, work) -> bool:
    """Run ``work()`` in a child that gets SIGKILL before its system call ``number`` of those that change files; return
    False when it ended by itself before."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(function):
            def call(*args, **kwargs):
                nonlocal count
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                return function(*args, **kwargs)

            return call

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killed_at_label(label: str, work) -> None:
    """Run ``work(hook)`` in a child that gets SIGKILL when the hook is called with ``label``."""

    def hook(reached: str) -> None:
        if reached == label:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            work(hook)
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.fixture
def scene(tmp_path):
    """A maker of fresh hosts with the same tree, for one crash each."""
    number = 0

    def make() -> Host:
        nonlocal number
        number += 1
        base = tmp_path / str(number)
        base.mkdir()
        host = Host(base)
        build(host)
        return host

    return make


def final_picture(make, name: str | None) -> dict:
    host = make()
    answer = change(host, name, ["true"], removals(host) if name else [])
    assert not answer["set_errors"]
    assert not [finding for finding in answer["findings"] if finding.get("error")]
    assert host.leftovers() == []
    return host.picture()


def test_a_killed_set_is_restored_or_complete(scene):
    new = final_picture(scene, "web")
    seen = set()
    for number in range(1000):
        host = scene()
        old = host.picture()
        doomed = removals(host)
        if not killed_at(number, lambda host=host, doomed=doomed: change(host, "web", ["true"], doomed)):
            break
        visible = host.picture()
        if {path: what for path, what in visible.items() if ".scripts-toolkit" not in path} != old:
            assert host.owed() == "nginx.service reload\n"
        answer = host.compare(wishes(host, "web"), plans(host, []))
        now = host.picture()
        assert now in (old, new), number
        assert host.leftovers() == [], number
        seen.add(now == new)
        reported = [report["operation"] for report in answer["recovered"]]
        assert reported in ([], ["restored"])
        assert reported or now in (visible, new) or visible_differs_only_by_litter(visible, now)
        assert host.compare(wishes(host, "web"), plans(host, []))["recovered"] == []
    assert number > 150
    assert seen == {True, False}


def visible_differs_only_by_litter(visible: dict, now: dict) -> bool:
    return {path: what for path, what in visible.items() if ".scripts-toolkit" not in path} == now


def test_a_killed_recovery_is_continued(scene):
    for number in range(1000):
        host = scene()
        old = host.picture()
        doomed = removals(host)
        killed_at_label("validate", lambda hook, host=host, doomed=doomed: change(host, "web", ["true"], doomed, hook))
        assert host.picture() != old
        if not killed_at(number, host.compare):
            break
        host.compare(wishes(host, "web"))
        assert host.picture() == old, number
        assert host.leftovers() == [], number
    assert number > 10
    assert host.picture() == old


def test_a_killed_run_over_single_files_leaves_each_old_or_new(scene):
    new = final_picture(scene, None)
    for number in range(1000):
        host = scene()
        old = host.picture()
        if not killed_at(number, lambda host=host: change(host, None, [], [])):
            break
        host.compare()
        now = host.picture()
        assert host.leftovers() == [], number
        for path, what in now.items():
            assert what in (old.get(path), new.get(path)), (number, path)
        for path in set(old) & set(new):
            assert path in now, (number, path)
        if now != old:
            assert host.owed() == "nginx.service reload\n"
        change(host, None, [], [])
        assert host.picture() == new, number
    assert number > 60


def test_a_refused_set_is_restored_to_the_same_inodes(scene):
    host = scene()
    old = host.picture()
    inodes = {path: os.lstat(host.tree / path).st_ino for path, what in old.items() if what[3] is not None}
    answer = change(host, "web", ["sh", "-c", "echo refused >&2; exit 3"], removals(host))
    assert host.picture() == old
    assert {path: os.lstat(host.tree / path).st_ino for path in inodes} == inodes
    assert host.leftovers() == []
    error = answer["set_errors"]["web"]
    assert (error["kind"], error["item"]) == ("validation", "web")
    assert "refused" in error["message"]
    assert not [finding for finding in answer["findings"] if finding.get("operation")]


@pytest.mark.parametrize("validate", [["no-such-validator"], ["sleep", "0"]])
def test_a_missing_validator_changes_nothing(scene, validate):
    host = scene()
    old = host.picture()
    answer = change(host, "web", validate, removals(host))
    missing = validate[0] == "no-such-validator"
    assert (host.picture() == old) is missing
    assert ("web" in answer["set_errors"]) is missing
    if missing:
        assert answer["set_errors"]["web"]["kind"] == "dependency"
        assert host.owed() == ""


def test_what_somebody_changed_after_the_crash_is_kept(scene):
    host = scene()
    doomed = removals(host)
    killed_at_label("validate", lambda hook: change(host, "web", ["true"], doomed, hook))
    (host.tree / "conf.d" / "site.conf").write_text("mended by hand\n")
    (report,) = host.compare()["recovered"]
    assert (host.tree / "conf.d" / "site.conf").read_text() == "mended by hand\n"
    assert report["left"] == [str(host.tree / "conf.d" / "site.conf")]
    assert (host.tree / "gone").read_text() == "to be removed\n"


def test_check_mode_only_says_that_a_recovery_is_owed(scene):
    host = scene()
    doomed = removals(host)
    killed_at_label("published", lambda hook: change(host, "web", [], doomed, hook))
    before = host.picture()
    assert host.compare(check=True)["recovered"] == [{"item": "web", "operation": "restore"}]
    assert host.picture() == before


def test_a_file_that_does_not_fit_leaves_everything_as_it_was(tmp_path):
    """A write that fails half way, as on a full disk: here by the file size limit of the process."""
    host = Host(tmp_path)
    (host.tree / "a").write_text("old a")
    (host.tree / "b").write_text("old b")
    old = host.picture()
    big = "x" * 200_000
    wanted = [file_at(host.tree / "a", "new a", set="s"), file_at(host.tree / "b", big, set="s")]
    child = os.fork()
    if child == 0:
        import resource

        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            answer = host.apply(wanted, [SetPlan("s")], ["new a", big])
            code = 0 if answer["set_errors"]["s"]["kind"] == "unavailable" else 2
        finally:
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert host.picture() == old
    assert host.leftovers() == []
