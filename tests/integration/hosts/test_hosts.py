# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disposable hosts for real: needs root and the programs that `toolkit host` needs; about two minutes.

The root file systems are shared with the machine's own hosts, all else has a directory of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.layout import Layout
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.process import processes

CLI = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli"]
FOREIGN_LINK = "tkforeign-br"
FOREIGN_TABLE = "scripts_toolkit_hosts_foreign"


def run(*argv: str, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def toolkit(*argv: str) -> subprocess.CompletedProcess:
    return run(*CLI, *argv, timeout=600)


def inside(name: str, *command: str) -> subprocess.CompletedProcess:
    return toolkit("host", "ssh", name, *command)


def remains(layout: Layout) -> dict[str, list[str]]:
    """Return everything on this machine that belongs to the hosts of ``layout``; all empty when nothing is left."""
    links = [link["ifname"] for link in json.loads(run("ip", "-json", "link").stdout)]
    tables = run("nft", "list", "tables").stdout.splitlines()
    groups = [str(path) for top in ("", "unified", "systemd") for path in Path("/sys/fs/cgroup", top).glob("tk*")]
    notes = [str(path) for kind in ("propagate", "unix-export") for path in Path("/run/systemd/nspawn", kind).glob("*")]
    builds = [str(path) for path in Path(layout.images).glob(".build-*")] if layout.base in layout.images else []
    machines = [str(path) for path in Path(layout.machines).glob("*")]
    return {
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if layout.base in line],
        "links": [name for name in links if name.startswith(layout.tag)],
        "tables": [line for line in tables if layout.tag in line],
        "processes": [" ".join(argv) for _pid, argv in processes() if any(layout.base in part for part in argv)],
        "groups": [path for path in groups if layout.tag in path],
        "notes": [path for path in notes if layout.tag in path],
        "directories": machines + builds,
    }


def nothing_left(layout: Layout) -> bool:
    found = {kind: things for kind, things in remains(layout).items() if things}
    if found:
        print(json.dumps(found, indent=1))
    return not found


def payload_processes(layout: Layout) -> list[int]:
    """Return the processes inside any host of ``layout``, found by the root directory that they have."""
    roots = {path.read_text().strip() for path in Path(layout.machines).glob("*/inode")}
    found = []
    for pid, _argv in processes():
        try:
            root = os.stat(f"/proc/{pid}/root/")
        except OSError:
            continue
        if f"{root.st_dev}:{root.st_ino}" in roots:
            found.append(pid)
    return found


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> Layout:
    images = Layout().images
    base = tmp_path_factory.mktemp("hosts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_HOSTS_DIR", str(base))
        patch.setenv("TOOLKIT_HOSTS_IMAGES", images)
        run("ip", "link", "add", FOREIGN_LINK, "type", "bridge")
        run("nft", "add", "table", "ip", FOREIGN_TABLE)
        try:
            # The root file system first, so that no test below meets a build by accident.
            assert toolkit("host", "up", "a").returncode == 0
            assert toolkit("host", "down", "a").returncode == 0
            yield Layout()
        finally:
            cleaned = toolkit("host", "down", "--all")
            link = run("ip", "link", "delete", FOREIGN_LINK)
            table = run("nft", "delete", "table", "ip", FOREIGN_TABLE)
    assert cleaned.returncode == 0, cleaned.stderr
    # Whatever the tests above did, things that only look like ours were left alone.
    assert (link.returncode, table.returncode) == (0, 0)


@pytest.fixture(scope="module")
def pair(layout: Layout) -> dict[str, dict]:
    """Two hosts, booted by one call."""
    done = toolkit("host", "up", "one", "two", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_both_boot_and_answer(pair, layout):
    assert [host["state"] for host in pair.values()] == ["running", "running"]
    for name in pair:
        done = inside(name, "hostname; systemctl is-system-running; cat /etc/machine-id")
        assert done.stdout.splitlines()[:2] == [name, "running"]
    assert inside("one", "cat /etc/machine-id").stdout != inside("two", "cat /etc/machine-id").stdout
    assert inside("one", "exit 7").returncode == 7


def test_a_host_that_is_up_is_left_as_it_is(pair):
    before = inside("one", "cat /proc/sys/kernel/random/boot_id /etc/machine-id").stdout
    assert json.loads(toolkit("host", "up", "one", "--json").stdout)["one"]["created_now"] is False
    assert inside("one", "cat /proc/sys/kernel/random/boot_id /etc/machine-id").stdout == before
    refused = toolkit("host", "up", "one", "--suite", "trixie")
    assert refused.returncode == 1
    assert "toolkit host down one" in refused.stderr


def test_hosts_have_control_groups_of_their_own(pair):
    # In a shared one, the services of one host would be counted among those of the other.
    for name in pair:
        for unit in ("ssh.service", "systemd-journald.service"):
            procs = inside(name, f"cat /sys/fs/cgroup/*/system.slice/{unit}/cgroup.procs /dev/null").stdout.split()
            assert procs
            assert "0" not in procs  # 0 stands for a process that this host can't see.


def test_host_keys_are_pinned(pair, layout, tmp_path):
    known = Path(layout.known_hosts).read_text()
    for name, host in pair.items():
        key = inside(name, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").stdout.strip()
        assert f"{host['address']} {key}\n" in known
    other = tmp_path / "known_hosts"
    lines = known.replace(pair["one"]["address"], "swap").replace(pair["two"]["address"], pair["one"]["address"])
    other.write_text(lines.replace("swap", pair["two"]["address"]))
    argv = [part.replace(layout.known_hosts, str(other)) for part in Hosts().ssh("one", ["true"])]
    assert run(*argv).returncode == 255
    assert os.stat(layout.key).st_mode & 0o777 == 0o600


def test_inventory_serves_ansible(pair, layout, tmp_path):
    path = tmp_path / "hosts.yml"
    assert toolkit("host", "inventory", "--output", str(path)).returncode == 0
    ansible = os.path.join(os.path.dirname(sys.executable), "ansible")
    done = run(ansible, "-i", str(path), "debian12", "-m", "ansible.builtin.command", "-a", "hostname", "-o")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split(" ")[0] for line in done.stdout.splitlines() if "CHANGED" in line} == {"one", "two"}


@pytest.mark.parametrize("how", ["link", "drop"])
def test_cut_and_heal(pair, how):
    probe = "import socket; socket.create_connection(('{}', 22), 1).close()"
    reach = f'python3 -c "{probe.format(pair["two"]["address"])}"'
    assert inside("one", reach).returncode == 0
    try:
        assert toolkit("host", "cut", "two", "--how", how).returncode == 0
        assert inside("one", reach).returncode == 1
        assert json.loads(toolkit("host", "list", "--json").stdout)["two"]["state"] == "cut"
    finally:
        healed = toolkit("host", "heal", "two")
    assert healed.returncode == 0, healed.stderr
    assert inside("one", reach).returncode == 0
    assert json.loads(toolkit("host", "list", "--json").stdout)["two"]["state"] == "running"


def test_restart_keeps_the_disk_and_nothing_else(pair):
    assert inside("two", "touch /root/kept /run/gone").returncode == 0
    assert toolkit("host", "cut", "two").returncode == 0
    done = toolkit("host", "restart", "two")
    assert done.returncode == 0, done.stderr
    assert inside("two", "ls /root/kept /run/gone 2>/dev/null").stdout.split() == ["/root/kept"]
    assert json.loads(toolkit("host", "list", "--json").stdout)["two"]["state"] == "running"


def test_the_second_host_downloads_nothing(pair):
    install = "apt-get update -q && apt-get install -q -y --no-install-recommends netcat-openbsd libmnl-dev"
    for name in pair:
        done = inside(name, install)
        assert done.returncode == 0, done.stdout + done.stderr
    events = [event for event in Hosts().packages.events() if event["url"].endswith(".deb")]
    addresses = [pair[name]["address"] for name in ("one", "two")]
    first, second = ([e for e in events if e["client"] == address] for address in addresses)
    assert {e["url"] for e in first} == {e["url"] for e in second}
    assert len(second) >= 2
    assert {e["source"] for e in second} == {"cache"}
    fetched = [e["url"] for e in events if e["source"] == "mirror"]
    assert len(fetched) == len(set(fetched))


def test_apt_at_the_same_time_shares_downloads(pair):
    argv = [Hosts().ssh(name, ["apt-get install -q -y --no-install-recommends vim-tiny jq"]) for name in pair]
    running = [subprocess.Popen(a, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for a in argv]
    assert [process.wait(120) for process in running] == [0, 0]
    fetched = [e["url"] for e in Hosts().packages.events() if e["source"] == "mirror"]
    assert len(fetched) == len(set(fetched))


def test_hosts_install_without_the_cache(pair, layout):
    Hosts().packages.stop()
    done = inside("one", "apt-get install -q -y --no-install-recommends ncal")
    assert done.returncode == 0, done.stdout + done.stderr
    assert toolkit("host", "up", "one").returncode == 0  # It starts the cache again, on the same port.
    done = inside("two", "apt-get install -q -y --no-install-recommends ncal")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("/ncal_" in event["url"] for event in Hosts().packages.events())


def test_killed_nspawn_is_noticed_and_replaced(pair, layout):
    pid = json.loads(Path(layout.state).read_text())["hosts"]["two"]["process"][0]
    os.kill(pid, signal.SIGKILL)
    assert json.loads(toolkit("host", "list", "--json").stdout)["two"]["state"] == "dead"
    assert toolkit("host", "ssh", "two", "true").returncode == 1
    assert payload_processes(layout)  # The host's own systemd goes on without its nspawn...
    done = toolkit("host", "up", "two", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["two"]["created_now"] is True
    addresses = {json.loads(toolkit("host", "list", "--json").stdout)[name]["address"] for name in ("one", "two")}
    links = [name for name in remains(layout)["links"] if name != layout.bridge]
    assert sorted(links) == sorted(layout.port(int(address.split(".")[-1])) for address in addresses)


def test_down_leaves_nothing(pair, layout):
    assert toolkit("host", "down", "one").returncode == 0
    assert list(json.loads(toolkit("host", "list", "--json").stdout)) == ["two"]
    assert remains(layout)["tables"]
    os.kill(json.loads(Path(layout.state).read_text())["hosts"]["two"]["process"][0], signal.SIGKILL)
    assert toolkit("host", "down", "--all").returncode == 0
    assert nothing_left(layout)
    assert toolkit("host", "down", "--all").returncode == 0


def _interrupted_up(layout: Layout, delay: float, number: signal.Signals = signal.SIGKILL) -> int:
    process = subprocess.Popen([*CLI, "host", "up", "a", "b"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not Path(layout.state).exists() or '"hosts": {}' in Path(layout.state).read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(number)
    return process.wait(60)


@pytest.mark.parametrize("delay", [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.9, 1.3])
def test_killed_up_can_be_cleaned(layout, delay):
    _interrupted_up(layout, delay)
    assert any(remains(layout).values())
    assert toolkit("host", "down", "--all").returncode == 0
    assert nothing_left(layout)


@pytest.mark.parametrize("delay", [0.1, 0.35])
def test_up_after_a_killed_up(layout, delay):
    _interrupted_up(layout, delay)
    try:
        done = toolkit("host", "up", "a", "--json")
        assert done.returncode == 0, done.stderr
        assert list(json.loads(toolkit("host", "list", "--json").stdout)) == ["a"]
        assert [Path(path).name for path in remains(layout)["directories"] if "#" not in path] == ["a"]
    finally:
        toolkit("host", "down", "--all")
    assert nothing_left(layout)


def test_terminated_up_cleans_behind_itself(layout):
    assert _interrupted_up(layout, 0.3, signal.SIGTERM) == 143
    assert nothing_left(layout)


def test_killed_down_can_be_finished(layout):
    assert toolkit("host", "up", "a", "b").returncode == 0
    for delay in (0.25, 0.35, 0.5):
        process = subprocess.Popen(
            [*CLI, "host", "down", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        process.kill()
        process.wait()
    assert toolkit("host", "down", "--all").returncode == 0
    assert nothing_left(layout)


def test_damaged_state_is_no_dead_end(layout):
    assert toolkit("host", "up", "a").returncode == 0
    Path(layout.state).write_text('{"format": 1, "hosts"')
    refused = toolkit("host", "list")
    assert refused.returncode == 1
    assert "down --all" in refused.stderr
    assert toolkit("host", "down", "--all").returncode == 0
    assert nothing_left(layout)


def test_a_deleted_directory_is_no_dead_end(layout):
    assert toolkit("host", "up", "a").returncode == 0
    shutil.rmtree(layout.base)
    assert payload_processes(layout) == []  # They can't be found by what the directory said.
    assert any(remains(layout).values())
    assert toolkit("host", "down", "--all").returncode == 0
    assert nothing_left(layout)


def test_killed_build_can_be_cleaned(layout, monkeypatch, tmp_path):
    images = tmp_path / "images"
    monkeypatch.setenv("TOOLKIT_HOSTS_IMAGES", str(images))
    process = subprocess.Popen([*CLI, "host", "up", "a"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(images.glob(".build-*/root/var/lib/dpkg")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(1)
    assert [argv for _pid, argv in processes() if str(images) in " ".join(argv)] == []
    assert toolkit("host", "down", "--all").returncode == 0
    assert list(images.glob(".build-*")) == []
    assert nothing_left(layout)


def test_forwarding_is_restored(tmp_path):
    """In a network namespace of its own, where the switch may be turned."""
    script = """
import sys
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.layout import Layout
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.network import Network
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.process import commands

def forwarding():
    return open("/proc/sys/net/ipv4/ip_forward").read().strip()

network = Network(Layout(sys.argv[1]), commands())
open("/proc/sys/net/ipv4/ip_forward", "w").write("0")
seen = [forwarding()]
chosen = network.choose(None, [])
network.ensure(chosen)
network.ensure(chosen)
seen.append(forwarding())
network.remove(chosen["forwarding"])
seen.append(forwarding())
network.ensure(chosen)
commands().check(["ip", "link", "add", "other", "type", "bridge"])
network.remove(chosen["forwarding"])
seen += [forwarding(), len(network.links())]
print(*seen)
"""
    done = run("unshare", "--net", sys.executable, "-c", script, str(tmp_path))
    assert done.stdout.split() == ["0", "1", "0", "1", "0"], done.stdout + done.stderr
