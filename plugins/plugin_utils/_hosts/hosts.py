# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of one directory as a whole: up, list, cut, heal, down, and the removal of what a crash left."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ...module_utils._core.errors import ConflictError, NotFoundError, ToolkitError, UnavailableError, ValidationError
from ...module_utils._core.files import remove_file, write_atomic
from . import prerequisites
from .apt import DETECT, AptSettings, detect_script, name_servers, resolver
from .image import Images, mirrors, remove_tree
from .inventory import inventory, known_hosts, ssh_arguments
from .layout import SUITES, Layout, check_name, exclusive
from .machine import Machine, greets, traces
from .network import Network
from .packages import PackageCache
from .process import alive, commands, identity
from .state import State

__all__ = ["Hosts"]

_MACHINE_LOCK = "/run/lock/scripts-toolkit-hosts.lock"
"""Held while a subnet is chosen, so that two sets of hosts don't choose the same."""

_FRESH = 24 * 3600
"""Seconds for which the package lists of an image are trusted."""


def _silent(_message: str) -> None:
    """Tell nobody."""


class Hosts:
    """Disposable hosts.

    Every change is noted in the state file before it is made. Whoever holds the lock first removes what processes
    that are gone have left, so a crash at any point costs nothing but the host concerned.

    :param base: directory, see :class:`Layout`.
    :param progress: is told in a sentence what takes time.
    """

    def __init__(self, base: str | None = None, progress: Callable[[str], None] = _silent) -> None:
        self.layout = Layout(base)
        self.packages = PackageCache(self.layout)
        self._commands = commands()
        self._network = Network(self.layout, self._commands)
        self._progress = progress

    # Looking

    def list(self) -> dict[str, dict]:
        """Return ``{name: {suite, group, address, state, created}}``.

        ``state`` is ``running``, ``cut`` (its network), ``starting`` or ``dead`` (it ended by itself or was killed;
        the next ``up`` or ``down`` removes what is left).
        """
        found = {}
        for name, record in sorted(State.load(self.layout).hosts.items()):
            if record["phase"] == "starting":
                state = "starting" if alive(record["owner"]) else "dead"
            elif not alive(record["process"]):
                state = "dead"
            else:
                state = "cut" if record["cut"] else "running"
            found[name] = {
                "suite": record["suite"],
                "group": SUITES[record["suite"]],
                "address": record["address"],
                "state": state,
                "created": record["created"],
            }
        return found

    def record(self, name: str) -> dict:
        """Return the entry of :meth:`list` for a host that runs.

        :raises NotFoundError: there is none of that name.
        :raises UnavailableError: it does not run.
        """
        known = self.list()
        if name not in known:
            names = ", ".join(known) or "none"
            raise NotFoundError(f"There is no disposable host {name}.", hint=f"Hosts that are up: {names}.")
        if known[name]["state"] in ("dead", "starting"):
            raise UnavailableError(
                f"The disposable host {name} is {known[name]['state']}.", hint=f"Run `toolkit host up {name}`."
            )
        return known[name]

    def ssh(self, name: str, command: list[str]) -> list[str]:
        """Return the argument list that runs ``command`` on the host by ssh."""
        return ssh_arguments(self.layout, self.record(name)["address"], command)

    def inventory(self, names: Iterable[str] = ()) -> dict:
        """Return an Ansible inventory of the named hosts; of all that run if none is named."""
        names = list(names)
        known = self.list()
        names = names or [name for name, entry in known.items() if entry["state"] in ("running", "cut")]
        chosen = {name: self.record(name) for name in names}
        return inventory(self.layout, chosen)

    # Up

    def up(self, names: Iterable[str], suite: str = "bookworm", install_missing: bool = False) -> dict[str, dict]:
        """Boot the named hosts, at the same time, and return their entries of :meth:`list` with ``created_now``.

        A host that already runs is left as it is.

        :param suite: Debian suite.
        :param install_missing: install missing Debian packages on this machine.
        :raises ConflictError: a host of that name has another suite, or is being started by another process.
        :raises ToolkitError: a prerequisite is missing, or a host did not come up; none of the new ones is left then.
        """
        names = [check_name(name) for name in dict.fromkeys(names)]
        if suite not in SUITES:
            raise ValidationError(f"Suite {suite!r} is not known.", hint=f"Choose one of {', '.join(SUITES)}.")
        if install_missing and (installed := prerequisites.install(self._commands)):
            self._progress(f"Installed the Debian packages {', '.join(installed)}.")
        prerequisites.check()
        self.layout.create()
        settings = AptSettings.of_machine(self._commands, dict(os.environ))
        resolv = resolver()
        new = self._reserve(names, suite, settings, resolv)
        try:
            if new:
                self._boot(new, suite, settings, resolv)
        except BaseException:
            self.down(new)
            raise
        known = self.list()
        return {name: {**known[name], "created_now": name in new} for name in names}

    def _reserve(self, names: list[str], suite: str, settings: AptSettings, resolv: str) -> list[str]:
        """Note the hosts that are to be started, make the network, and return those that are new."""
        with State.locked(self.layout) as state:
            self._reap(state)
            for name in names:
                record = state.hosts.get(name)
                if record and record["phase"] == "starting":
                    raise ConflictError(f"The host {name} is being started by process {record['owner'][0]}.")
                if record and record["suite"] != suite:
                    raise ConflictError(
                        f"The host {name} is up with {record['suite']}, not {suite}.",
                        hint=f"Run `toolkit host down {name}` first, or choose another name.",
                    )
            new = [name for name in names if name not in state.hosts]
            self._ensure_network(state, settings, resolv)
            subnet = state.network["subnet"]
            for name in new:
                number = state.next_number(_capacity(subnet))
                state.hosts[name] = {
                    "suite": suite, "number": number, "address": _address(subnet, number), "phase": "starting",
                    "owner": identity(os.getpid()), "process": None, "image": None, "cut": None, "keys": [],
                    "created": int(time.time()),
                }  # fmt: skip
            return new

    def _ensure_network(self, state: State, settings: AptSettings, resolv: str) -> None:
        if state.network is None:
            with exclusive(_MACHINE_LOCK):
                override = os.environ.get("TOOLKIT_HOSTS_SUBNET")
                state.network = self._network.choose(override, name_servers(resolv))
                state.network["cache"] = None
                state.network["port"] = 0
                state.save(self.layout)
                self._network.ensure(state.network)
        else:
            self._network.ensure(state.network)
        if not state.network["port"]:
            state.network["port"] = self.packages.choose_port(state.network["gateway"])
            state.save(self.layout)
        try:
            state.network["cache"] = self.packages.ensure(state.network, mirrors(), settings.proxy)
        except UnavailableError as error:
            self._progress(f"{error.message} Hosts download from the mirrors themselves.")

    def _boot(self, names: list[str], suite: str, settings: AptSettings, resolv: str) -> None:
        network = State.load(self.layout).network
        if network is None:
            raise ConflictError(f"The hosts {', '.join(names)} were taken down while they started.")
        options = list(settings.options)
        if alive(network["cache"]):
            options.append(f'Acquire::http::Proxy "http://{network["gateway"]}:{network["port"]}";')
        elif settings.proxy:
            options.append(f'Acquire::http::Proxy "{settings.proxy}";')
        images = Images(self.layout, self._commands, options, self._progress)
        image = images.provide(suite)
        self._make_key()
        files = self._files(network, settings, resolv)
        with ThreadPoolExecutor(max_workers=min(len(names), 4)) as pool:
            results = [pool.submit(self._boot_one, name, image, network, files) for name in names]
            failures = [result.exception() for result in results if result.exception()]
        if failures:
            raise failures[0]
        used = {record["image"] for record in State.load(self.layout).hosts.values() if record["image"]}
        images.collect(used | {image})

    def _files(self, network: dict, settings: AptSettings, resolv: str) -> dict[str, tuple[int, str]]:
        with open(f"{self.layout.key}.pub", encoding="ascii") as handle:
            public = handle.read()
        script = detect_script(network["gateway"], network["port"], mirrors(), settings.proxy_for_hosts())
        apt = [f'Acquire::http::Proxy-Auto-Detect "{DETECT}";', *settings.options]
        return {
            "/root/.ssh/authorized_keys": (0o600, public),
            "/etc/resolv.conf": (0o644, resolv),
            "/etc/apt/apt.conf.d/90toolkit-host": (0o644, "\n".join(apt) + "\n"),
            # A disposable host need not survive a power failure, and waiting for the disk triples apt's time.
            "/etc/dpkg/dpkg.cfg.d/90toolkit-host": (0o644, "force-unsafe-io\n"),
            DETECT: (0o755, script),
        }

    def _make_key(self) -> None:
        with exclusive(self.layout.lock):
            if not os.path.exists(self.layout.key):
                # Under a name of its own first: a kill in between must not leave a private key without its public one.
                fresh = f"{self.layout.key}.new"
                for path in (fresh, f"{fresh}.pub"):
                    if os.path.exists(path):
                        os.unlink(path)
                comment = "scripts.toolkit disposable hosts"
                self._commands.check(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", fresh])
                os.rename(f"{fresh}.pub", f"{self.layout.key}.pub")
                os.rename(fresh, self.layout.key)

    def _boot_one(self, name: str, image: str, network: dict, files: dict[str, tuple[int, str]]) -> None:
        record = State.load(self.layout).hosts.get(name)
        if record is None:
            raise ConflictError(f"The host {name} was taken down while it started.")
        machine = Machine(self.layout, self._commands, name, record["number"])
        machine.prepare(image, network, record["address"], files)
        if time.time() - Images.built(image) > _FRESH:
            machine.hide_lists(image)
        with State.locked(self.layout) as state:
            if name not in state.hosts or state.hosts[name]["owner"] != identity(os.getpid()):
                remove_tree(machine.place, self._commands)
                raise ConflictError(f"The host {name} was taken down while it started.")
            state.hosts[name].update(image=image, keys=machine.host_keys())
            self._write_known_hosts(state)
            who = machine.start(image)
            state.hosts[name]["process"] = who
        self._network.attach(machine.port)
        machine.await_ssh(record["address"], who)
        # It also proves the login; a unit that failed is the host's affair, so the answer itself is not judged.
        call = ssh_arguments(self.layout, record["address"], ["systemctl", "is-system-running", "--wait"])
        done = self._commands.run(call, timeout=60)
        if done.rc == 255:
            raise UnavailableError(f"The host {name} refuses the login by ssh: {done.complaint}")
        with State.locked(self.layout) as state:
            if name not in state.hosts:
                raise ConflictError(f"The host {name} was taken down while it started.")
            state.hosts[name]["phase"] = "running"

    def _write_known_hosts(self, state: State) -> None:
        keys = {record["address"]: record["keys"] for record in state.hosts.values() if record["keys"]}
        write_atomic(self.layout.known_hosts, known_hosts(keys).encode(), mode=0o600, durable=False)

    # Cutting

    def cut(self, names: Iterable[str], how: str = "link") -> None:
        """Cut hosts off their network: ``link`` (no carrier) or ``drop`` (every frame vanishes)."""
        with State.locked(self.layout) as state:
            for name in names:
                self.record(name)
                state.hosts[name]["cut"] = how
                state.save(self.layout)
                self._network.cut(self.layout.port(state.hosts[name]["number"]), how)

    def heal(self, names: Iterable[str], patience: float = 30.0) -> None:
        """Undo :meth:`cut` and wait until the hosts answer again.

        :raises UnavailableError: one does not within ``patience`` seconds.
        """
        addresses = {}
        with State.locked(self.layout) as state:
            for name in names:
                self.record(name)
                self._network.heal(self.layout.port(state.hosts[name]["number"]))
                state.hosts[name]["cut"] = None
                addresses[name] = state.hosts[name]["address"]
        deadline = time.monotonic() + patience
        for name, address in addresses.items():
            while not greets(address):
                if time.monotonic() > deadline:
                    raise UnavailableError(f"The host {name} ({address}) is connected again but does not answer.")
                time.sleep(0.1)

    def restart(self, names: Iterable[str]) -> None:
        """Pull the plug of running hosts and boot them again from their disks; return when they answer by ssh.

        :raises NotFoundError: there is none of that name.
        :raises UnavailableError: it does not run, or does not come back.
        """
        for name in names:
            self.record(name)
            with State.locked(self.layout) as state:
                record = state.hosts[name]
                machine = Machine(self.layout, self._commands, name, record["number"])
                machine.halt()
                self._network.unplug(machine.port)  # the kernel may take its time to do so
                record.update(process=machine.start(record["image"]), cut=None)
            self._network.attach(machine.port)
            machine.await_ssh(record["address"], record["process"])

    # Down

    def down(self, names: Iterable[str] | None = None) -> list[str]:
        """Remove the named hosts, all if ``None``, and with the last one the network; return who was there."""
        names = None if names is None else list(names)
        if not os.path.isdir(self.layout.base):
            if not traces(self.layout):
                return []
            self.layout.create()  # Somebody deleted it under running hosts.
        try:
            with State.locked(self.layout) as state:
                return self._down(state, names)
        except ToolkitError as error:
            if names is not None or error.kind != "integrity":
                raise
        # A damaged state file: everything is found by its name.
        with exclusive(self.layout.lock):
            remove_file(self.layout.state)
        with State.locked(self.layout) as state:
            return self._down(state, names)

    def _down(self, state: State, names: list[str] | None) -> list[str]:
        gone = [name for name in state.hosts if names is None or name in names]
        for name in gone:
            self._destroy(state, name)
        gone += self._reap(state)
        if not state.hosts:
            self.packages.stop()
            self._network.remove((state.network or {}).get("forwarding"))
            state.network = None
            if os.path.isdir(self.layout.images):
                Images(self.layout, self._commands, [], self._progress).collect(set())
        return gone

    def _destroy(self, state: State, name: str) -> None:
        record = state.hosts[name]
        machine = Machine(self.layout, self._commands, name, record["number"])
        machine.destroy()
        self._network.unplug(machine.port)
        del state.hosts[name]
        self._write_known_hosts(state)
        state.save(self.layout)

    def _reap(self, state: State) -> list[str]:
        """Remove hosts whose processes are gone, and whatever carries this set's names but is not in the state.

        :returns: the names of those that were removed.
        """
        known = set(state.hosts)
        for name, record in list(state.hosts.items()):
            if not alive(record["owner"] if record["phase"] == "starting" else record["process"]):
                self._destroy(state, name)
        strays = traces(self.layout) - set(state.hosts)
        for name in sorted(strays):
            Machine(self.layout, self._commands, name, 0).destroy()
        ports = {self.layout.port(record["number"]) for record in state.hosts.values()}
        for link in self._network.links():
            if link != self.layout.bridge and link not in ports:
                self._network.unplug(link)
        return sorted((known | strays) - set(state.hosts))


def _capacity(subnet: str) -> int:
    """Return the highest host number of ``subnet``: its last address but the broadcast's, at most 254."""
    return min(254, 2 ** (32 - int(subnet.partition("/")[2])) - 2)


def _address(subnet: str, number: int) -> str:
    """Return the address of host ``number`` in ``subnet``."""
    return str(ipaddress.IPv4Network(subnet)[number])
