# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What purging removes, and what it refuses to."""

from __future__ import annotations

import pytest
from files_host import Host, file_at

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import UnsafeError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._files import purge
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import SetPlan, Wanted


@pytest.mark.parametrize(
    "pattern",
    [
        "/",
        "/etc",
        "/etc/*",
        "/*/nginx/*",
        "/etc/ssh",
        "/etc/systemd/system",
        "/etc/cron.d",
        "/usr/lib",
        "/usr/*/x",
        "/var/lib",
        "/var/www/*"[:-2],
        "/home",
        "/boot",
    ],
)
def test_directories_of_others_are_refused(pattern):
    wishes = [file_at("/etc/ssh/x", "x", set="s"), file_at("/usr/lib/x", "x", set="s"), file_at("/etc/x", "x", set="s")]
    with pytest.raises(UnsafeError):
        purge.check_purge_pattern(pattern, SetPlan("s"), wishes)


@pytest.mark.parametrize("pattern", ["etc/nginx", "/etc/nginx/../..", "/etc//nginx", "/etc/nginx/", ""])
def test_what_is_no_plain_path_is_refused(pattern):
    with pytest.raises(ValidationError):
        purge.check_purge_pattern(pattern, SetPlan("s"), [file_at("/etc/nginx/x", "x", set="s")])


def test_a_directory_without_files_of_the_set_is_refused():
    with pytest.raises(UnsafeError, match="the set has no file"):
        purge.check_purge_pattern("/etc/nginx/conf.d", SetPlan("s"), [file_at("/etc/nginx/conf.d/x", "x", set="other")])


@pytest.mark.parametrize("pattern", ["/etc/nginx/conf.d", "/etc/nginx", "/etc/cron.d/mine-*", "/var/www/site"])
def test_directories_of_the_service_may_be_purged(pattern):
    wishes = [
        file_at(path, "x", set="s")
        for path in ("/etc/nginx/conf.d/x", "/etc/cron.d/mine-x", "/var/www/site/index.html")
    ]
    purge.check_purge_pattern(pattern, SetPlan("s"), wishes)


@pytest.fixture
def host(tmp_path) -> Host:
    host = Host(tmp_path)
    conf = host.tree / "conf"
    (conf / "kept" / "deep").mkdir(parents=True)
    (conf / "kept" / "deep" / "file").touch()
    (conf / "kept" / "stray").touch()
    (conf / "strays" / "deep").mkdir(parents=True)
    (conf / "strays" / "deep" / "file").touch()
    (conf / ".hidden").touch()
    (conf / ".scripts-toolkit.abc.dpkg-tmp").touch()
    (host.tree / "outside").mkdir()
    (host.tree / "outside" / "precious").touch()
    (conf / "link").symlink_to(host.tree / "outside")
    return host


def doomed(host: Host, *patterns: str, wishes=None) -> list[str]:
    conf = host.tree / "conf"
    wishes = wishes or [file_at(conf / "kept" / "deep" / "file", "x", set="s")]
    plan = SetPlan("s", purge=[str(host.tree / pattern) for pattern in patterns])
    prefix = str(host.tree) + "/"
    return sorted(item.wanted.dest[len(prefix) :] for item in purge.find_unmanaged(plan, wishes))


def test_everything_unmanaged_below_a_directory_goes_links_are_not_followed(host):
    assert doomed(host, "conf") == [
        "conf/.hidden",
        "conf/kept/stray",
        "conf/link",
        "conf/strays",
        "conf/strays/deep",
        "conf/strays/deep/file",
    ]


def test_a_glob_takes_only_what_it_matches(host):
    assert doomed(host, "conf/k*") == ["conf/kept/stray"]
    assert doomed(host, "conf/kept/*.conf") == []


def test_what_another_set_manages_stays(host):
    conf = host.tree / "conf"
    wishes = [file_at(conf / "kept" / "deep" / "file", "x", set="s"), file_at(conf / "strays" / "deep" / "file", "x")]
    assert doomed(host, "conf", wishes=wishes) == ["conf/.hidden", "conf/kept/stray", "conf/link"]


def test_a_link_as_the_top_is_refused(host):
    (host.tree / "also").symlink_to("conf")
    with pytest.raises(UnsafeError, match="symbolic link"):
        doomed(host, "also", wishes=[file_at(host.tree / "also" / "x", "x", set="s")])


def test_absurdly_much_is_refused(host, monkeypatch):
    monkeypatch.setattr(purge, "PURGE_LIMIT", 3)
    with pytest.raises(UnsafeError, match="more than 3"):
        doomed(host, "conf")


def test_a_purged_tree_is_gone_after_applying_and_a_refused_purge_touches_nothing(host):
    conf = host.tree / "conf"
    wishes = [file_at(conf / "kept" / "deep" / "file", "x", set="s")]
    plan = SetPlan("s", purge=[str(conf)])
    found = [item for item in host.compare(wishes, [plan])["findings"] if item["origin"] == "purge"]
    removals = [
        {
            "path": item["wanted"]["dest"],
            "set": "s",
            "kind": item["before"]["kind"],
            "checksum": item["before"].get("checksum"),
        }
        for item in found
    ]
    (conf / "kept" / "stray").write_text("changed since it was compared")
    host.apply(wishes, [plan], ["x"], removals)
    left = sorted(str(path.relative_to(conf)) for path in conf.rglob("*"))
    assert left == [".scripts-toolkit.abc.dpkg-tmp", "kept", "kept/deep", "kept/deep/file", "kept/stray"]
    assert (host.tree / "outside" / "precious").exists()


def test_a_wish_for_absence_is_no_file_of_the_set():
    with pytest.raises(UnsafeError):
        purge.check_purge_pattern("/etc/nginx/a", SetPlan("s"), [Wanted("/etc/nginx/a/x", "absent", set="s")])
