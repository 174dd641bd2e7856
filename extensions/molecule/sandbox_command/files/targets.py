# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put on the host what attacks.py is after, print it as JSON, and serve it until killed: targets.py ADDRESS"""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import sys
import threading

BASE = "/srv/tk-sandbox"
ADDRESS = sys.argv[1]


def put(path, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as handle:
        handle.write("a secret of the host\n")
    os.chmod(path, mode)
    return path


def directory(path, mode):
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    return path


def greet(listener):
    while True:
        connection, _peer = listener.accept()
        with connection:
            connection.sendall(b"the host greets\n")


def answer(server):
    while True:
        query, peer = server.recvfrom(512)
        server.sendto(query[:2] + b"\x81\x80" + query[4:], peer)


directory(BASE, 0o755)
write_path = directory(f"{BASE}/write", 0o777)
open_directory = directory(f"{BASE}/open", 0o777)
directory(f"{BASE}/secret", 0o755)
for backend in ("systemd", "bubblewrap"):
    put(f"{open_directory}/{backend}")
if not os.path.islink(f"{write_path}/planted"):
    os.symlink(open_directory, f"{write_path}/planted")
shutil.copy("/usr/bin/id", "/usr/local/bin/tk-id")
os.chmod("/usr/local/bin/tk-id", 0o4755)

tcp = socket.create_server(("", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 0))
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0tk-sandbox")
abstract.listen()
_master, slave = pty.openpty()
terminal = os.ttyname(slave)
os.chmod(terminal, 0o666)

targets = {
    "address": ADDRESS,
    "pid": os.getpid(),
    "write_path": write_path,
    "open_directory": open_directory,
    "root_file": put("/root/tk-secret"),
    "home_file": put("/home/tk-alice/secret"),
    "open_file": put(f"{BASE}/secret/open"),
    "run_file": put("/run/tk-secret"),
    "shm_file": put("/dev/shm/tk-secret"),
    "tmp_file": put("/tmp/tk-secret"),
    "tcp_port": tcp.getsockname()[1],
    "udp_port": udp.getsockname()[1],
    "abstract_socket": "tk-sandbox",
    "terminal": terminal,
    "setuid_program": "/usr/local/bin/tk-id",
}
for work, what in ((greet, tcp), (greet, abstract), (answer, udp)):
    threading.Thread(target=work, args=(what,), daemon=True).start()
with open(f"{BASE}/targets.json.new", "w", encoding="ascii") as file:
    json.dump(targets, file)
os.rename(f"{BASE}/targets.json.new", f"{BASE}/targets.json")
threading.Event().wait()
