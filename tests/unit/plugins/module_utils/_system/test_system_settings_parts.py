# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host name, hosts file, time zone and kernel parameters, on files as a host has them."""

from __future__ import annotations

import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    DependencyError,
    IntegrityError,
    PermissionDenied,
    ToolkitError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._system.hostname import Hostname, check_host_name
from ansible_collections.scripts.toolkit.plugins.module_utils._system.hosts_file import HostsFile, read_entries
from ansible_collections.scripts.toolkit.plugins.module_utils._system.sysctl import Sysctl, key_path, normal_value
from ansible_collections.scripts.toolkit.plugins.module_utils._system.timezone import Timezone

# Host names


@pytest.mark.parametrize("name", ["web01", "web01.example.com", "3com.example", "a", "x" * 63])
def test_host_names(name):
    assert check_host_name(name, "hostname") == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a..b", "a.", "a_b", "a b", "x" * 64, "192.0.2.1", "ü", "a\n"])
def test_what_is_no_host_name(name):
    with pytest.raises(ValidationError, match="hostname"):
        check_host_name(name, "hostname")


def test_the_host_is_named_now_and_for_the_next_boot(tmp_path):
    path = tmp_path / "hostname"
    path.write_text("# a comment\nold\n")
    kernel = ["old"]
    wish = Hostname("new.example.com", str(path), kernel.pop, kernel.append)
    kernel.append("old")
    assert wish.changed
    wish.apply()
    assert (path.read_text(), kernel[-1]) == ("new.example.com\n", "new.example.com")
    assert not Hostname("new.example.com", str(path), lambda: kernel[-1], kernel.append).changed


def test_a_kernel_that_refuses_is_told(tmp_path):
    def refuse(_name):
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionDenied, match="hostname"):
        Hostname("new", str(tmp_path / "hostname"), lambda: "old", refuse).apply()


# The hosts file


def entries(*lines):
    return read_entries([{"address": line.split()[0], "names": line.split()[1:]} for line in lines])


foreign_lines = st.lists(
    st.one_of(
        st.just("127.0.0.1\tlocalhost"),
        st.just("# a comment"),
        st.just(""),
        st.just("::1 localhost ip6-localhost \t# here"),
        st.just("fe80::1%lo0 localhost"),
        st.just("nonsense"),
        st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20).filter(
            lambda line: "scripts" not in line
        ),
    ),
    max_size=6,
).map("\n".join)


@given(foreign_lines, st.sampled_from(["", "\n"]), st.booleans())
def test_lines_of_others_stay_and_twice_is_once(tmp_path_factory, text, ending, named):
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text(text + ending, encoding="utf-8", newline="")
    wanted = entries("192.0.2.20 db01.test db01", "2001:db8::20 db01.test")
    wish = HostsFile(wanted, "web.test" if named else None, str(path))
    assert wish.changed
    wish.apply()
    written = path.read_text(encoding="utf-8")
    assert written.startswith(text)
    assert "192.0.2.20\tdb01.test db01\n2001:db8::20\tdb01.test\n" in written
    assert ("127.0.1.1\tweb.test web\n" in written) is named
    assert not HostsFile(wanted, "web.test" if named else None, str(path)).changed
    HostsFile([], None, str(path)).apply()
    emptied = HostsFile([], None, str(path))
    assert not emptied.changed
    if not named:
        left = path.read_text(encoding="utf-8")
        assert left in (text + ending, text + "\n")


def test_a_missing_file_is_made_with_localhost(tmp_path):
    path = tmp_path / "hosts"
    assert not HostsFile([], None, str(path)).changed
    wish = HostsFile(None, "web01", str(path))
    wish.apply()
    assert "127.0.0.1\tlocalhost\n" in path.read_text()
    assert "127.0.1.1\tweb01\n" in path.read_text()


def test_each_part_of_the_block_stays_when_only_the_other_is_wished(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    HostsFile(entries("192.0.2.1 a"), "web.test", str(path)).apply()
    assert not HostsFile(None, "web.test", str(path)).changed
    assert not HostsFile(entries("192.0.2.1 a"), None, str(path)).changed
    HostsFile(None, "other.test", str(path)).apply()
    assert "127.0.1.1\tother.test other\n192.0.2.1\ta\n" in path.read_text()


def test_the_own_name_is_not_doubled(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.1.1 web.test web\n")
    assert not HostsFile(None, "web.test", str(path)).changed
    wish = HostsFile(entries("192.0.2.1 web.test web"), "web.test", str(path))
    assert wish.after.count("web.test") == 2


@pytest.mark.parametrize("wanted", ["192.0.2.9 db01", "192.0.2.9 other DB01"])
def test_a_name_that_another_line_answers_for_is_refused(tmp_path, wanted):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n192.0.2.1 db01 # mine\n")
    with pytest.raises(ConflictError, match=r"192\.0\.2\.1 in line 2"):
        HostsFile(entries(wanted), None, str(path))
    assert HostsFile(entries("192.0.2.1 db01"), None, str(path)).changed


def test_a_block_that_lost_its_end_is_told(tmp_path):
    path = tmp_path / "hosts"
    HostsFile(entries("192.0.2.1 a"), None, str(path)).apply()
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "END" not in line))
    with pytest.raises(IntegrityError, match="line"):
        HostsFile(entries("192.0.2.1 a"), None, str(path))


@pytest.mark.parametrize(
    ("hosts", "error", "place"),
    [
        ([{"address": "192.0.2.300", "names": ["a"]}], ValidationError, "hosts[0].address"),
        ([{"address": "192.0.2.3", "names": []}], ValidationError, "hosts[0].names"),
        ([{"address": "192.0.2.3", "names": ["a_b"]}], ValidationError, "hosts[0].names"),
        (
            [{"address": "192.0.2.3", "names": ["a"]}, {"address": "192.0.2.4", "names": ["A"]}],
            ConflictError,
            "hosts[1]",
        ),
    ],
)
def test_hosts_that_make_no_sense(hosts, error, place):
    with pytest.raises(error, match=re.escape(place)):
        read_entries(hosts)


def test_mode_and_link_of_the_file_stay(tmp_path):
    real = tmp_path / "real"
    real.write_text("127.0.0.1 localhost\n")
    real.chmod(0o640)
    (tmp_path / "hosts").symlink_to(real)
    HostsFile(entries("192.0.2.1 a"), None, str(tmp_path / "hosts")).apply()
    assert (tmp_path / "hosts").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "192.0.2.1\ta\n" in real.read_text()


# Time zones


@pytest.fixture
def zones(tmp_path):
    """The root of a host with three zones."""
    for name in ("Etc/UTC", "Europe/Berlin", "Europe/Paris"):
        path = tmp_path / "usr/share/zoneinfo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"TZif2...")
    (tmp_path / "usr/share/zoneinfo/Europe/notes.txt").write_text("no zone")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    return tmp_path


def test_the_zone_is_linked(zones):
    (zones / "etc/timezone").write_text("Etc/UTC\n")
    (zones / "etc/.localtime.new").symlink_to("/left/by/a/killed/run")
    wish = Timezone("Europe/Berlin", str(zones))
    assert (wish.changed, wish.diff()) == (True, ("Etc/UTC\n", "Europe/Berlin\n"))
    wish.apply()
    assert os.readlink(zones / "etc/localtime") == "/usr/share/zoneinfo/Europe/Berlin"
    assert (zones / "etc/timezone").read_text() == "Europe/Berlin\n"
    assert sorted(os.listdir(zones / "etc")) == ["localtime", "timezone"]
    assert not Timezone("Europe/Berlin", str(zones)).changed


def test_debian_13_has_no_second_file(zones):
    Timezone("Europe/Berlin", str(zones)).apply()
    assert sorted(os.listdir(zones / "etc")) == ["localtime"]


def test_a_relative_link_is_understood(zones):
    (zones / "etc/localtime").unlink()
    (zones / "etc/localtime").symlink_to("../usr/share/zoneinfo/Europe/Paris")
    assert not Timezone("Europe/Paris", str(zones)).changed


@pytest.mark.parametrize(
    "name", ["Europe/Berlim", "Europe", "Europe/notes.txt", "../../etc/passwd", "", "/Etc/UTC", "Europe/"]
)
def test_what_is_no_zone(zones, name):
    with pytest.raises(ValidationError, match="timezone"):
        Timezone(name, str(zones))


def test_a_near_name_is_proposed(zones):
    with pytest.raises(ValidationError) as caught:
        Timezone("Europe/Berlim", str(zones))
    assert "Europe/Berlin" in caught.value.hint


def test_without_zones_it_is_predicted_and_can_not_be_done(tmp_path):
    (tmp_path / "etc").mkdir()
    wish = Timezone("Europe/Berlin", str(tmp_path))
    assert wish.changed
    with pytest.raises(DependencyError, match="time zone data"):
        wish.apply()


# Kernel parameters


@pytest.fixture
def host(tmp_path):
    """The root of a host, and its live values in proc."""
    for name, value in {
        "net/ipv4/ip_forward": "0\n",
        "net/core/rmem": "4096\t131072\t6291456\n",
        "vm/swap": "60\n",
    }.items():
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    return tmp_path


def sysctl(host, values):
    return Sysctl(values, str(host), str(host / "proc"))


def test_values_are_set_now_and_for_the_next_boot(host):
    values = {"vm.swap": 10, "net.ipv4.ip_forward": True, "net.core.rmem": "4096 131072  6291456"}
    wish = sysctl(host, values)
    wish.apply()
    assert [value.error for value in wish.values] == [None] * 3
    assert (host / "proc/vm/swap").read_text() == "10\n"
    assert (host / "proc/net/core/rmem").read_text() == "4096\t131072\t6291456\n"
    lines = (host / "etc/sysctl.d/90-scripts-toolkit.conf").read_text().splitlines()
    assert lines[1:] == ["net.core.rmem = 4096 131072 6291456", "net.ipv4.ip_forward = 1", "vm.swap = 10"]
    again = sysctl(host, values)
    assert again.before == again.after
    assert all(value.live == value.wanted for value in again.values)
    sysctl(host, {}).apply()
    assert os.listdir(host / "etc/sysctl.d") == []


def test_an_unknown_key_is_named_and_left_out(host):
    wish = sysctl(host, {"vm.swap": 10, "vm.swapp": 1})
    wish.apply()
    assert [(value.key, value.error.kind) for value in wish.values if value.error] == [("vm.swapp", "not_found")]
    assert "swapp" not in (host / "etc/sysctl.d/90-scripts-toolkit.conf").read_text()


def test_a_value_that_the_kernel_changes_is_told(host, monkeypatch):
    # /dev/null takes everything and gives nothing back.
    (host / "proc/vm/swap").unlink()
    (host / "proc/vm/swap").symlink_to("/dev/null")
    wish = sysctl(host, {"vm.swap": 10})
    wish.apply()
    assert wish.values[0].error.kind == "validation"
    assert not (host / "etc/sysctl.d/90-scripts-toolkit.conf").exists()


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_keys(key, path):
    assert key_path(key) == path


@pytest.mark.parametrize(
    "key", ["", "swap", "vm..swap", "../../etc/passwd", "vm/../swap", ".vm.swap", "vm.swap\n", "vm.a b"]
)
def test_what_is_no_key(key):
    with pytest.raises(ValidationError, match="sysctl"):
        key_path(key)


@pytest.mark.parametrize("value", [None, "", "  ", [1], {"a": 1}, 1.5])
def test_what_is_no_value(value):
    with pytest.raises(ValidationError, match=r"vm\.swap"):
        normal_value("vm.swap", value)


def test_the_same_parameter_twice_is_refused(host):
    with pytest.raises(ToolkitError, match="same parameter"):
        sysctl(host, {"vm.swap": 1, "vm/swap": 2})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("99-local.conf", "vm.swap = 60", True),
        ("99-local.conf", "-vm.*=60", True),
        ("99-local.conf", "vm/swap=60", True),
        ("99-local.conf", "vm.swap = 10", False),
        ("99-local.conf", "#vm.swap = 60", False),
        ("10-early.conf", "vm.swap = 60", False),
        ("99-local.txt", "vm.swap = 60", False),
    ],
)
def test_a_later_file_that_wins_is_told(host, name, text, told):
    (host / "etc/sysctl.d" / name).write_text(f"; comment\n{text}\n")
    found = sysctl(host, {"vm.swap": 10}).values[0].overridden_by
    assert found == (str(host / "etc/sysctl.d" / name) if told else None)
