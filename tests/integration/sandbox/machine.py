# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An emulated machine with Debian's kernel and the files of a disposable host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = "linux-image-cloud-amd64 bubblewrap initramfs-tools zstd"
PATIENCE = 1200
ANSWER = 1 << 20
"""Bytes of the disk on which the machine answers."""

UNIT = """\
[Unit]
After=basic.target dbus.socket
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /opt/guest/guest.py
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyS0
ExecStopPost=/bin/systemctl poweroff --force
[Install]
WantedBy=multi-user.target
"""


def run(*argv: object, **kwargs) -> None:
    subprocess.run([str(part) for part in argv], check=True, **kwargs)


class Machine:
    """Boots once, does what ``guest.py`` does, and is off.

    :param directory: where its disks are made.
    """

    def __init__(self, suite: str, directory: Path) -> None:
        self._directory = directory
        self._name = f"kernel-{suite}"
        self._root = directory / "root"
        hosts = Hosts()
        hosts.up([self._name], suite)
        try:
            command = f"DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {PACKAGES}"
            run(*hosts.ssh(self._name, [f"{command} >&2"]))
            self._root.mkdir()
            send = subprocess.Popen(hosts.ssh(self._name, ["tar -C / --one-file-system -c ."]), stdout=subprocess.PIPE)
            run("tar", "-C", self._root, "--exclude=./dev/*", "--exclude=./tmp/*", "-x", stdin=send.stdout)
            assert send.wait() == 0
        finally:
            hosts.down([self._name])
        for kind in ("vmlinuz", "initrd.img"):
            (found,) = (self._root / "boot").glob(f"{kind}-*")
            shutil.move(found, directory / kind)

    def run(self, cases: dict[str, dict], files: list[Path]) -> dict:
        """Run the cases in the machine and return what it answers."""
        self._furnish(cases, files)
        disk, answer = self._directory / "disk", self._directory / "answer"
        answer.write_bytes(bytes(ANSWER))
        run("truncate", "-s", "2G", disk)
        run("mke2fs", "-q", "-t", "ext4", "-d", self._root, disk)
        shutil.rmtree(self._root)
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-cpu", "max", "-smp", "2", "-m", "1024"]
        argv += ["-nographic", "-no-reboot", "-nic", "none", "-kernel", self._directory / "vmlinuz"]
        # Emulated, the machine has no timer that the kernel's check would find good.
        argv += [
            "-append",
            "root=/dev/vda rw console=ttyS0 no_timer_check quiet systemd.mask=serial-getty@ttyS0.service",
        ]
        argv += ["-initrd", self._directory / "initrd.img"]
        for path in (disk, answer):
            argv += ["-drive", f"file={path},format=raw,if=virtio,cache=unsafe"]
        with open(self._directory / "console", "wb") as console:
            run(*argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=PATIENCE)
        told = answer.read_bytes().rstrip(b"\0")
        assert told, (self._directory / "console").read_text(errors="replace")[-3000:]
        return json.loads(told)

    def _furnish(self, cases: dict[str, dict], files: list[Path]) -> None:
        """Put the collection's code, the cases and the program that runs them into the machine's files."""
        guest = self._root / "opt" / "guest"
        code = Path("ansible_collections", "scripts", "toolkit", "plugins", "module_utils")
        shutil.copytree(ROOT / "plugins" / "module_utils", guest / code, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (Path(__file__).with_name("guest.py"), *files):
            shutil.copy(path, guest)
        (guest / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
        units = self._root / "etc" / "systemd" / "system"
        (units / "guest.service").write_text(UNIT, encoding="utf-8")
        os.symlink("../guest.service", units / "multi-user.target.wants" / "guest.service")
        (self._root / "etc" / "fstab").write_text("", encoding="utf-8")
