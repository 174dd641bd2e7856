# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Try to get out: attacks.py TARGETS [NAME...]

Each attack is made in a process of its own and returns what it got hold of; what it raises is what stopped it. Prints
``{"escaped": {name: text}, "blocked": {name: text}}``. TARGETS is JSON: what ``targets.py`` has put on the host.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
PATIENCE = 10
TIOCSTI = 0x5412
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
ATTACKS = {}
TO = json.loads(sys.argv[1])


def attack(function):
    ATTACKS[function.__name__] = function
    return function


def checked(result):
    """Raise what the system call that returned ``result`` has failed with."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(number, *arguments):
    return checked(LIBC.syscall(number, *arguments))


def first(action, candidates):
    """Return what the first candidate yields; raise what stopped the last."""
    error = RuntimeError("no candidates")
    for candidate in candidates:
        try:
            return action(candidate)
        except OSError as found:
            error = found
    raise error


def text_of(path):
    with open(path, "rb") as handle:
        return f"{path}: {handle.read(64)!r}"


def written(path):
    with open(path, "xb") as handle:
        handle.write(b"here I was\n")
    os.unlink(path)
    return path


def own(name):
    """Return a new name in the directory that may be written."""
    return f"{TO['write_path']}/{name}-{os.getpid()}"


# Read


@attack
def read_shadow():
    return text_of("/etc/shadow")


@attack
def read_home_of_root():
    return text_of(TO["root_file"])


@attack
def read_home_of_user():
    return text_of(TO["home_file"])


@attack
def read_file_not_granted():
    """Everybody on the host may read it."""
    return text_of(TO["open_file"])


@attack
def read_file_by_dots():
    return text_of(f"{TO['write_path']}/../secret/open")


@attack
def read_run():
    return text_of(TO["run_file"])


@attack
def read_shared_memory():
    return text_of(TO["shm_file"])


@attack
def read_temporary_file():
    return text_of(TO["tmp_file"])


@attack
def read_through_process():
    return text_of(f"/proc/{TO['pid']}/root/etc/shadow")


@attack
def read_environment_of_process():
    return text_of(f"/proc/{TO['pid']}/environ")


# Write


@attack
def write_file_not_granted():
    """Everybody on the host may write to that directory."""
    return written(f"{TO['open_directory']}/escaped")


@attack
def write_programs():
    return written("/usr/local/bin/tk-escaped")


@attack
def write_configuration():
    return written("/etc/tk-escaped")


@attack
def write_through_own_link():
    link = own("link")
    os.symlink(TO["open_directory"], link)
    try:
        return written(f"{link}/escaped")
    finally:
        os.unlink(link)


@attack
def write_through_planted_link():
    return written(f"{TO['write_path']}/planted/escaped")


@attack
def write_through_hard_link():
    link = own("hard")
    os.link(TO["open_file"], link)
    os.unlink(link)
    return link


@attack
def write_kernel_setting():
    path = "/proc/sys/net/ipv4/ip_default_ttl"
    with open(path, "r+", encoding="ascii") as handle:
        value = handle.read()
        handle.seek(0)
        handle.write(value)
    return path


@attack
def write_control_group():
    def new_group(top):
        os.mkdir(f"{top}/tk-escaped")
        os.rmdir(f"{top}/tk-escaped")
        return top

    return first(new_group, ("/sys/fs/cgroup/unified/system.slice", "/sys/fs/cgroup/system.slice"))


# Network


@attack
def network_tcp():
    def greeted(address):
        with socket.create_connection((address, TO["tcp_port"]), timeout=2) as connection:
            return f"{address}: {connection.recv(64)!r}"

    return first(greeted, ("127.0.0.1", TO["address"]))


@attack
def network_dns():
    query = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x07example\x04test\x00\x00\x01\x00\x01"

    def answered(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.sendto(query, (address, TO["udp_port"]))
            return f"{address}: {client.recv(512)!r}"

    return first(answered, ("127.0.0.1", TO["address"]))


@attack
def network_packets():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300).close()
    return "packet socket"


@attack
def socket_abstract():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{TO['abstract_socket']}")
        return repr(client.recv(64))


@attack
def socket_dbus():
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect("/run/dbus/system_bus_socket")
        client.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        return repr(client.recv(64))


@attack
def socket_journal():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"MESSAGE=here I was\n", "/run/systemd/journal/socket")
        return "the journal took it"


# Processes


@attack
def trace_process():
    checked(LIBC.ptrace(PTRACE_ATTACH, TO["pid"], None, None))
    os.waitpid(TO["pid"], 0x40000000)
    LIBC.ptrace(PTRACE_DETACH, TO["pid"], None, None)
    return f"attached to {TO['pid']}"


@attack
def signal_process():
    os.kill(TO["pid"], 0)
    return f"may kill {TO['pid']}"


@attack
def terminal_input():
    """Type on somebody's terminal: one that everybody may open, and whatever can be found."""

    def typed(path):
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.ioctl(terminal, TIOCSTI, b"x")
        finally:
            os.close(terminal)
        return f"typed on {path}"

    listed = [f"/dev/pts/{name}" for name in os.listdir("/dev/pts")] if os.access("/dev/pts", os.R_OK) else []
    return first(typed, [TO["terminal"], *listed, "/dev/tty", "/dev/console", "/dev/stdin", "/dev/stdout"])


# Privileges


@attack
def setuid_program():
    """As an ordinary user: a program that belongs to root and has the bit."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    uid = subprocess.run([TO["setuid_program"], "-u"], capture_output=True, text=True, check=True).stdout.strip()
    if uid != "0":
        raise PermissionError(1, f"it runs as {uid}")
    return "root"


@attack
def setuid_file():
    path = own("mine")
    with open(path, "xb"):
        try:
            os.chmod(path, 0o4755)
            return f"{path} has {stat.S_IMODE(os.stat(path).st_mode):o}"
        finally:
            os.unlink(path)


@attack
def capability():
    os.chroot("/")
    return "chroot"


@attack
def device():
    path = own("device")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.unlink(path)
    return path


# Kernel


@attack
def mount():
    target = TO["write_path"].encode()
    checked(LIBC.mount(b"none", target, b"tmpfs", 0, b""))
    checked(LIBC.umount2(target, 0))
    return f"mounted on {TO['write_path']}"


@attack
def namespace_unshare():
    checked(LIBC.unshare(0x10000000))
    return "user namespace"


@attack
def namespace_clone():
    child = call(56, 0x10000000 | signal.SIGCHLD, None, None, None, None)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "user namespace"


@attack
def namespace_clone3():
    arguments = struct.pack("<11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call(435, ctypes.c_char_p(arguments), len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "user namespace"


@attack
def namespace_enter():
    handle = os.open(f"/proc/{TO['pid']}/ns/uts", os.O_RDONLY)
    checked(LIBC.setns(handle, 0))
    return "uts namespace"


@attack
def keyring():
    """Of the kernel itself: containers forbid it to everybody."""
    key = call(248, b"user", b"tk-escaped", b"secret", 6, -4)
    return f"key {key}: {call(250, 6, key, None, 0)}"


@attack
def kernel_module():
    """A file that is no module: who may load one is told so, who may not is told that."""
    handle = os.memfd_create("module")
    os.write(handle, b"no module")
    try:
        call(313, handle, b"", 0)
    except OSError as error:
        if error.errno in (8, 22):
            return f"the kernel looked at it: {error}"
        raise
    return "loaded"


@attack
def bpf_program():
    return f"map {call(321, 0, ctypes.c_char_p(struct.pack('<4I', 2, 4, 4, 1) + bytes(64)), 80)}"


@attack
def io_ring():
    """What is asked for through a ring passes no filter of system calls."""
    ring = call(425, 1, ctypes.c_char_p(bytes(120)))
    return f"ring {ring}"


def outcome(function):
    """Run the attack in a process of its own; return whether it escaped, and what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(PATIENCE)
        try:
            told = [True, str(function())]
        except Exception as error:
            told = [False, f"{type(error).__name__}: {error}"]
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as handle:
        data = handle.read()
    os.waitpid(child, 0)
    return json.loads(data) if data else [False, "killed"]


def main():
    names = sys.argv[2:] or list(ATTACKS)
    told = {"escaped": {}, "blocked": {}}
    for name in names:
        escaped, text = outcome(ATTACKS[name])
        told["escaped" if escaped else "blocked"][name] = text
    json.dump(told, sys.stdout)


main()
