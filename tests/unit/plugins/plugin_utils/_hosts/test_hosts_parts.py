# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts that only compute: names, subnets, state, apt settings, prerequisites, inventories."""

from __future__ import annotations

import ipaddress
import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    DependencyError,
    IntegrityError,
    NotFoundError,
    PermissionDenied,
    UnavailableError,
    ValidationError,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts, prerequisites, process
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.apt import (
    AptSettings,
    detect_script,
    parse_dump,
    resolver,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.image import (
    image_key,
    mirrors,
    remove_tree,
    sources,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.inventory import (
    inventory,
    inventory_yaml,
    known_hosts,
    ssh_arguments,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.layout import (
    Layout,
    check_name,
    exclusive,
    exclusive_if_free,
)
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.network import candidates, free_subnet, occupied
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.state import State

ME = process.identity(os.getpid())


@pytest.fixture
def layout(tmp_path) -> Layout:
    found = Layout(str(tmp_path / "hosts"))
    found.create()
    return found


def record(number: int, **news) -> dict:
    return {"suite": "bookworm", "number": number, "address": f"10.208.0.{number}", "phase": "running", "owner": ME,
            "process": ME, "image": None, "cut": None, "keys": [], "created": 0, **news}  # fmt: skip


# Names


@pytest.mark.parametrize("name", ["web01", "a", "a-b", "x" * 40])
def test_host_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "..", "x" * 41, "a b", "ä"])
def test_names_that_are_refused(name):
    with pytest.raises(ValidationError, match=r"web01|disposable host"):
        check_name(name)


def test_two_sets_share_no_name(tmp_path):
    one, two = Layout(str(tmp_path / "one")), Layout(str(tmp_path / "two"))
    assert {one.bridge, one.table, one.port(2), one.machine_name("a")}.isdisjoint(
        {two.bridge, two.table, two.port(2), two.machine_name("a")}
    )
    assert max(len(one.bridge), len(one.port(254))) <= 15  # IFNAMSIZ - 1
    assert Layout(str(tmp_path / "one")).tag == one.tag


def test_paths_that_mount_options_cannot_carry_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="TOOLKIT_HOSTS_DIR"):
        Layout(str(tmp_path / "a,b"))


def test_the_environment_chooses_the_directories(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_HOSTS_DIR", str(tmp_path / "base"))
    assert Layout().images == str(tmp_path / "base" / "images")
    monkeypatch.setenv("TOOLKIT_HOSTS_IMAGES", str(tmp_path / "shared"))
    assert (Layout().base, Layout().images) == (str(tmp_path / "base"), str(tmp_path / "shared"))


def test_only_the_owner_may_enter(layout):
    assert {os.stat(path).st_mode & 0o777 for path in (layout.base, layout.images, layout.machines)} == {0o700}


def test_a_lock_is_free_again_after_use(tmp_path):
    path = str(tmp_path / "lock")
    with exclusive(path), exclusive_if_free(path) as held:
        assert held is False
    with exclusive_if_free(path) as held:
        assert held is True


# Subnets


@given(st.text(min_size=1, max_size=8), st.lists(st.integers(0, 2**16 - 1), max_size=40))
def test_the_subnet_overlaps_nothing(tag, thirds):
    taken = [ipaddress.IPv4Network(f"10.{third >> 8}.{third & 255}.0/24") for third in thirds]
    chosen = free_subnet(candidates(tag), taken)
    assert chosen.prefixlen == 24
    assert chosen.subnet_of(ipaddress.IPv4Network("10.192.0.0/10"))
    assert not any(chosen.overlaps(other) for other in taken)


def test_the_subnet_avoids_what_the_machine_reaches():
    routes = [
        {"dst": "default", "gateway": "192.0.2.1"},
        {"dst": "10.208.0.0/13"},
        {"dst": "10.216.0.7", "type": "local"},
        {"dst": "255.255.255.255", "type": "broadcast"},
    ]
    addresses = [{"addr_info": [{"local": "10.217.3.4", "prefixlen": 16}]}, {}]
    taken = occupied(routes, addresses, ["10.218.0.53", "fd00::1"])
    wanted = [ipaddress.IPv4Network(f"10.{second}.0.0/24") for second in (208, 215, 216, 217, 218, 219)]
    assert str(free_subnet(wanted, taken)) == "10.219.0.0/24"


def test_no_free_subnet_names_the_way_out():
    with pytest.raises(ConflictError) as caught:
        free_subnet(candidates("x"), [ipaddress.IPv4Network("10.0.0.0/8")])
    assert "TOOLKIT_HOSTS_SUBNET" in caught.value.hint


# State


def test_state_comes_back(layout):
    with State.locked(layout) as state:
        state.hosts["one"] = record(2)
        state.network = {"subnet": "10.208.0.0/24"}
        state.last_number = 2
    again = State.load(layout)
    assert (again.hosts, again.network, again.last_number) == ({"one": record(2)}, {"subnet": "10.208.0.0/24"}, 2)


def test_a_failure_saves_nothing_by_itself(layout):
    def fail() -> None:
        with State.locked(layout) as state:
            state.hosts["one"] = record(2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert State.load(layout).hosts == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"hosts": {}}'])
def test_a_damaged_state_names_the_way_out(layout, text):
    Path(layout.state).write_text(text)
    with pytest.raises(IntegrityError) as caught:
        State.load(layout)
    assert "down --all" in caught.value.hint


@given(st.integers(3, 254), st.lists(st.booleans(), max_size=60))
def test_numbers_are_unique_and_go_round(limit, steps):
    state = State()
    previous = None
    for number, add in enumerate(steps):
        if add and len(state.hosts) < limit - 1:
            found = state.next_number(limit)
            assert 2 <= found <= limit
            assert found not in {host["number"] for host in state.hosts.values()}
            if limit - 1 - len(state.hosts) > 1:
                assert found != previous  # Not the address that was given last.
            previous = found
            state.hosts[f"h{number}"] = {"number": found}
        elif state.hosts:
            state.hosts.popitem()


def test_full_network_is_refused():
    state = State({"hosts": {"a": {"number": 2}, "b": {"number": 3}}})
    with pytest.raises(IntegrityError, match="taken"):
        state.next_number(3)


# What the hosts are said to be


def test_states_of_hosts(layout):
    child = subprocess.Popen(["sleep", "60"])
    who = process.identity(child.pid)
    with State.locked(layout) as state:
        state.hosts = {
            "running": record(2),
            "cut": record(3, cut="drop"),
            "starting": record(4, phase="starting", process=None),
            "killed": record(5, process=who),
            "orphan": record(6, phase="starting", owner=who),
            "reused": record(7, process=[os.getpid(), "an earlier boot:1"]),
        }
    child.kill()
    child.wait()
    hosts = Hosts(layout.base)
    assert {name: host["state"] for name, host in hosts.list().items()} == {
        "running": "running",
        "cut": "cut",
        "starting": "starting",
        "killed": "dead",
        "orphan": "dead",
        "reused": "dead",
    }
    assert set(hosts.inventory()["all"]["children"]["debian12"]["hosts"]) == {"running", "cut"}
    with pytest.raises(UnavailableError, match="dead"):
        hosts.ssh("killed", ["true"])
    with pytest.raises(NotFoundError) as caught:
        hosts.record("nobody")
    assert "running" in caught.value.hint


def test_no_directory_is_no_host(tmp_path):
    hosts = Hosts(str(tmp_path / "none"))
    assert (hosts.list(), hosts.down()) == ({}, [])
    assert not (tmp_path / "none").exists()


# Inventory and ssh


@given(
    st.dictionaries(
        st.sampled_from(["no", "1", "true", "web-01", "ansible_host", "~", "a: b", ""]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just({}) | st.integers(0, 9),
        max_size=5,
    )
)
def test_inventory_yaml_is_yaml(variables):
    data = {"all": {"vars": variables, "children": {"debian12": {"hosts": {"a": {"ansible_host": "10.0.0.2"}}}}}}
    assert yaml.safe_load(inventory_yaml(data)) == data


def test_inventory_groups_by_release(layout):
    hosts = {"b": record(3, suite="trixie"), "a": record(2)}
    data = inventory(layout, hosts)["all"]
    assert data["children"] == {
        "debian12": {"hosts": {"a": {"ansible_host": "10.208.0.2"}}},
        "debian13": {"hosts": {"b": {"ansible_host": "10.208.0.3"}}},
    }
    assert data["vars"]["ansible_python_interpreter"] == "/usr/bin/python3"
    options = shlex.split(data["vars"]["ansible_ssh_common_args"])
    assert f"UserKnownHostsFile={layout.known_hosts}" in options
    assert "StrictHostKeyChecking=yes" in options
    argv = ssh_arguments(layout, "10.208.0.2", ["echo", "a b"])
    assert argv[-3:] == ["root@10.208.0.2", "echo", "a b"]
    assert options == [part for part in argv if part in options or part == "-o"][-len(options) :]


def test_known_hosts_lines():
    assert (
        known_hosts({"10.0.0.3": ["b y"], "10.0.0.2": ["a x", "c z"]}) == "10.0.0.2 a x\n10.0.0.2 c z\n10.0.0.3 b y\n"
    )


# Prerequisites


def test_missing_programs_are_named_by_package(tmp_path):
    keyring = tmp_path / "keyring"
    have = {"ip", "ssh", "ssh-keygen", "unshare", "setpriv", "mount"}
    missing = prerequisites.missing_packages(lambda program: program if program in have else None, str(keyring))
    assert missing == ["debian-archive-keyring", "mmdebstrap", "nftables", "systemd-container"]
    keyring.touch()
    assert prerequisites.missing_packages(lambda program: program, str(keyring)) == []


@pytest.mark.parametrize(
    ("system", "uid", "missing", "kind", "says"),
    [
        ("Darwin", 501, [], DependencyError, "macOS"),
        ("Linux", 0, ["mmdebstrap", "nftables"], DependencyError, "apt-get install --no-install-recommends mmdebstrap"),
        ("Linux", 1000, ["mmdebstrap"], DependencyError, "sudo apt-get install"),
        ("Linux", 1000, [], PermissionDenied, "sudo"),
    ],
)
def test_what_is_missing_and_how_to_go_on(system, uid, missing, kind, says):
    error = prerequisites.problem(system, uid, missing)
    assert error.__class__ is kind
    text = error.as_result()["msg"]
    assert says in text
    assert "make provision HOST=" in text


def test_nothing_missing():
    assert prerequisites.problem("Linux", 0, []) is None


# apt and name servers

DUMP = """\
APT "";
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example.com:3128";
Acquire::http::Proxy::deb.example.com "DIRECT";
Acquire::https::Proxy "http://127.0.0.1:8080";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages:: "en";
Dir::Cache "var/cache/apt";
"""


def test_settings_that_hosts_take_over():
    settings = AptSettings(parse_dump(DUMP))
    assert settings.proxy == "http://proxy.example.com:3128"
    assert settings.proxy_for_hosts() == "http://proxy.example.com:3128"
    assert settings.options == ['Acquire::Check-Valid-Until "false";', 'Acquire::https::CaInfo "/etc/ssl/own.pem";']


@pytest.mark.parametrize("proxy", ["http://localhost:3142", "http://127.0.0.1:3142/", "http://[::1]:3142"])
def test_a_proxy_on_the_loopback_is_for_this_machine_only(proxy):
    settings = AptSettings({"Acquire::http::Proxy": proxy})
    assert settings.proxy == proxy
    assert settings.proxy_for_hosts() == "DIRECT"


def test_detect_script_falls_back(tmp_path):
    script = tmp_path / "detect"
    script.write_text(detect_script("127.0.0.1", 9, ("http://deb.debian.org/debian",), "http://other:1"))

    def ask(url: str) -> str:
        return subprocess.run(["bash", script, url], capture_output=True, text=True, check=True).stdout.strip()

    assert ask("http://deb.debian.org/debian/x") == "http://other:1"  # Nothing listens on the discard port.
    assert ask("http://elsewhere/x") == "http://other:1"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script.write_text(detect_script("127.0.0.1", port, ("http://deb.debian.org/debian",), "DIRECT"))
        assert ask("http://deb.debian.org/debian/x") == f"http://127.0.0.1:{port}"
        assert ask("http://deb.debian.org.evil/x") == "DIRECT"
        assert ask("https://deb.debian.org/debian/x") == "DIRECT"


def test_loopback_name_servers_are_replaced(tmp_path):
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.53"):
        resolver((str(stub), str(real)))
    real.write_text("nameserver 192.0.2.53\n")
    assert resolver((str(stub), str(real))) == "nameserver 192.0.2.53\n"


# Images


def test_the_image_key_tells_what_is_inside(monkeypatch):
    archive = sources("bookworm", *mirrors())
    keys = {
        image_key("bookworm", archive, {}),
        image_key("trixie", sources("trixie", *mirrors()), {}),
        image_key("bookworm", archive, {"own.crt": b"x"}),
        image_key("bookworm", archive, {"own.crt": b"y"}),
        image_key("bookworm", sources("bookworm", "http://mirror/debian", mirrors()[1]), {}),
    }
    assert len(keys) == 5
    assert image_key("bookworm", archive, {}) in keys
    monkeypatch.setenv("TOOLKIT_DEBIAN_MIRROR", "http://mirror/debian/")
    assert mirrors()[0] == "http://mirror/debian"
    monkeypatch.setenv("TOOLKIT_DEBIAN_MIRROR", "mirror")
    with pytest.raises(ValidationError, match="TOOLKIT_DEBIAN_MIRROR"):
        mirrors()


def test_remove_tree(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    remove_tree(str(tmp_path / "a"), process.commands())
    remove_tree(str(tmp_path / "a"), process.commands())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
