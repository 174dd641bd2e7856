# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: its files on the shared image, its start under systemd-nspawn, and its end without remains."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
import uuid

from ...module_utils._core.commands import Commands
from ...module_utils._core.errors import TimeoutExpired, UnavailableError
from ...module_utils._core.files import read_bytes
from .image import remove_tree
from .layout import Layout
from .process import alive, end, identity, processes

__all__ = ["Machine", "cgroup_mounts", "greets", "traces"]

_RUN = "/run/systemd/nspawn"

_LAUNCH = """\
set -e
for place in $CGROUPS; do mkdir -p "$place"; echo $$ >"$place/cgroup.procs"; done
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$PLACE/upper,workdir=$PLACE/work" "$PLACE/root"
stat -c %d:%i "$PLACE/root" >"$PLACE/inode"
exec systemd-nspawn "$@"
"""
"""Runs in a mount namespace of its own, so that the overlay goes with the last process of the host. Without
systemd on this machine all hosts would share one control group, so each first goes into its own."""


def cgroup_mounts(mountinfo: str) -> list[str]:
    """Return the mount points of the control group hierarchies that systemd manages (version 2, and name=systemd).

    :param mountinfo: text in the format of /proc/self/mountinfo, proc(5).
    """
    found = []
    for line in mountinfo.splitlines():
        # Optional fields vary in number; a hyphen ends them.
        before, after = (line.split(" - ", 1) + [""])[:2]
        fields = after.split()
        if fields[:1] == ["cgroup2"] or (fields[:1] == ["cgroup"] and "name=systemd" in fields[2].split(",")):
            found.append(before.split()[4])
    return found


def _own_hierarchies() -> list[str]:
    """Return where hosts get control groups from us: nowhere if systemd runs this machine and gives them scopes."""
    if os.path.isdir("/run/systemd/system"):
        return []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
        return cgroup_mounts(handle.read())


def traces(layout: Layout) -> set[str]:
    """Return the names of all hosts of ``layout`` that have a directory, a process or a control group."""
    names = set(os.listdir(layout.machines)) if os.path.isdir(layout.machines) else set()
    marker, directory = f"toolkit-host:{layout.machines}/", f"--directory={layout.machines}/"
    for _number, arguments in processes():
        for argument in arguments:
            if argument.startswith(marker):
                names.add(argument.removeprefix(marker))
            elif argument.startswith(directory):
                names.add(argument.removeprefix(directory).removesuffix("/root"))
    prefix = layout.machine_name("")
    for mount in _own_hierarchies():
        names |= {entry.removeprefix(prefix) for entry in os.listdir(mount) if entry.startswith(prefix)}
    return {name for name in names if name and "/" not in name and not name.startswith(".")}


def greets(address: str, port: int = 22, timeout: float = 1.0) -> bool:
    """Return whether an ssh server at ``address`` sends its greeting within ``timeout`` seconds."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


class Machine:
    """The host ``name`` with the address number ``number``."""

    def __init__(self, layout: Layout, commands: Commands, name: str, number: int) -> None:
        self._layout = layout
        self._commands = commands
        self._name = name
        self.place = layout.machine(name)
        self.port = layout.port(number)

    # Making

    def prepare(self, image: str, network: dict, address: str, files: dict[str, tuple[int, str]]) -> None:
        """Write the host's own files into its layer above ``image``.

        :param files: ``{path: (mode, text)}``, besides those that every host gets here.
        """
        for part in ("upper", "work", "root"):
            os.makedirs(os.path.join(self.place, part))
        prefix = network["subnet"].partition("/")[2]
        own = {
            "/etc/hostname": (0o644, f"{self._name}\n"),
            "/etc/hosts": (0o644, f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{self._name}\n"),
            "/etc/machine-id": (0o444, f"{uuid.uuid4().hex}\n"),
            "/etc/systemd/network/10-host0.network": (
                0o644,
                f"[Match]\nName=host0\n\n[Network]\nAddress={address}/{prefix}\nGateway={network['gateway']}\n",
            ),
        }
        for path, (mode, text) in {**own, **files}.items():
            self._write(image, path, mode, text)
        for kind in ("ed25519", "ecdsa"):
            key = self._directory(image, "/etc/ssh") + f"/ssh_host_{kind}_key"
            self._commands.check(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{self._name}", "-f", key])

    def _directory(self, image: str, path: str) -> str:
        """Return the directory ``path`` in the host's own layer, made with the attributes it has in the image."""
        upper = os.path.join(self.place, "upper")
        below = os.path.join(image, "root")
        for part in path.strip("/").split("/"):
            upper, below = os.path.join(upper, part), os.path.join(below, part)
            if not os.path.isdir(upper):
                found = os.stat(below) if os.path.isdir(below) else None
                os.mkdir(upper)
                os.chmod(upper, stat.S_IMODE(found.st_mode) if found else 0o755)
                os.chown(upper, found.st_uid if found else 0, found.st_gid if found else 0)
        return upper

    def _write(self, image: str, path: str, mode: int, text: str) -> None:
        directory = self._directory(image, os.path.dirname(path))
        descriptor = os.open(os.path.join(directory, os.path.basename(path)), os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            os.fchmod(handle.fileno(), mode)
            handle.write(text)

    def hide_lists(self, image: str) -> None:
        """Let the host see no package lists: those of the image may be stale and name packages that are gone."""
        directory = self._directory(image, "/var/lib/apt/lists")
        os.setxattr(directory, "trusted.overlay.opaque", b"y")
        os.utime(directory, (0, 0))  # Whoever judges the lists' age by the directory must not take it for new.

    def host_keys(self) -> list[str]:
        """Return the public host keys, each as ``type base64``."""
        keys = []
        for kind in ("ed25519", "ecdsa"):
            raw = read_bytes(os.path.join(self.place, f"upper/etc/ssh/ssh_host_{kind}_key.pub")) or b""
            keys.append(" ".join(raw.decode().split()[:2]))
        return keys

    # Starting

    def _cgroups(self) -> list[str]:
        return [os.path.join(mount, self._layout.machine_name(self._name)) for mount in _own_hierarchies()]

    def start(self, image: str) -> list:
        """Start the host and return the identity of its systemd-nspawn. It does not yet answer then.

        :raises UnavailableError: it ended at once.
        """
        cgroups = self._cgroups()
        arguments = [
            f"--directory={self.place}/root", "--boot", "--quiet", "--settings=no", "--register=no",
            f"--machine={self._layout.machine_name(self._name)}", f"--hostname={self._name}",
            f"--network-veth-extra={self.port}:host0", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        ]  # fmt: skip
        if cgroups:
            arguments.append("--keep-unit")
        environment = {"CGROUPS": " ".join(cgroups), "IMAGE": os.path.join(image, "root"), "PLACE": self.place}
        with open(os.path.join(self.place, "console"), "wb") as console:
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["unshare", "--mount", "--propagation", "private", "--",
                 "sh", "-c", _LAUNCH, self._marker(), *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )  # fmt: skip
        who = identity(process.pid)
        if who is None:
            raise UnavailableError(f"The host {self._name} did not start: {self.console()}")
        return who

    def _marker(self) -> str:
        """Return an argument by which the host's process is known before it has become systemd-nspawn."""
        return f"toolkit-host:{self.place}"

    def await_ssh(self, address: str, who: list, patience: float = 60.0) -> None:
        """Return as soon as the host's ssh server greets.

        :raises UnavailableError: the host ended before.
        :raises TimeoutExpired: it did not greet within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        while not greets(address):
            if not alive(who):
                raise UnavailableError(f"The host {self._name} ended while it booted: {self.console()}")
            if time.monotonic() > deadline:
                raise TimeoutExpired(
                    f"The host {self._name} ({address}) did not answer by ssh within {patience:g} s.",
                    hint=f"Its console is in {self.place}/console.",
                )
            time.sleep(0.05)

    def console(self) -> str:
        """Return the last words on the host's console, one line."""
        text = (read_bytes(os.path.join(self.place, "console")) or b"").decode(errors="replace").strip()
        return " / ".join(text.splitlines()[-3:]) or "no word on its console"

    # Ending

    def process(self) -> list | None:
        """Return the identity of the host's systemd-nspawn (or of what is about to become it), if it lives."""
        for number, arguments in processes():
            if f"--directory={self.place}/root" in arguments and (
                os.path.basename(arguments[0]) == "systemd-nspawn" or self._marker() in arguments
            ):
                return identity(number)
        return None

    def _inside(self) -> list[list]:
        """Return the processes that live in the host's root directory or control groups, however they got there.

        When systemd-nspawn is killed, the host's systemd and all below go on without it.
        """
        found = {}
        inode = (read_bytes(os.path.join(self.place, "inode")) or b"").decode().strip()
        for number, _arguments in processes():
            try:
                root = os.stat(f"/proc/{number}/root/")
            except OSError:
                continue
            if f"{root.st_dev}:{root.st_ino}" == inode:
                found[number] = identity(number)
        for top in self._cgroups():
            for directory, _below, files in os.walk(top):
                if "cgroup.procs" in files:
                    for number in (read_bytes(os.path.join(directory, "cgroup.procs")) or b"").split():
                        found[int(number)] = identity(int(number))
        return [who for who in found.values() if who]

    def destroy(self) -> None:
        """End the host at once and remove all that it left: processes, control groups, notes of nspawn, directory.

        :raises UnavailableError: something can't be removed.
        """
        self.halt()
        remove_tree(self.place, self._commands)

    def halt(self) -> None:
        """End the host at once, as if its plug were pulled; its directory stays.

        :raises UnavailableError: some of its processes don't end.
        """
        deadline = time.monotonic() + 10
        end(self.process())
        while inside := self._inside():
            for who in inside:
                if who[0] != os.getpid() and alive(who):
                    os.kill(who[0], signal.SIGKILL)
            if time.monotonic() > deadline:
                raise UnavailableError(f"Processes of the host {self._name} don't end: {inside[0][0]}.")
            time.sleep(0.03)
        for top in self._cgroups():
            for directory, _below, _files in os.walk(top, topdown=False):
                self._remove_group(directory, deadline)
        inode = (read_bytes(os.path.join(self.place, "inode")) or b"").decode().strip()
        if inode and os.path.exists(f"{_RUN}/locks/inode-{inode}"):
            os.unlink(f"{_RUN}/locks/inode-{inode}")
        for kind in ("propagate", "unix-export"):
            directory = f"{_RUN}/{kind}/{self._layout.machine_name(self._name)}"
            if os.path.isdir(directory):
                os.rmdir(directory)

    @staticmethod
    def _remove_group(directory: str, deadline: float) -> None:
        while os.path.isdir(directory):
            try:
                os.rmdir(directory)
            except OSError:
                # Killed processes count until they are reaped.
                if time.monotonic() > deadline:
                    return
                time.sleep(0.03)
