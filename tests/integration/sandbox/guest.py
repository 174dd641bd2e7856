# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In the emulated machine: attack from outside, run each case in its sandbox, answer on the second disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = "/srv/tk-sandbox/targets.json"
sys.path.insert(0, HERE)

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands  # noqa: E402
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError  # noqa: E402
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.request import Request  # noqa: E402
from ansible_collections.scripts.toolkit.plugins.module_utils._sandbox.sandbox import Sandbox  # noqa: E402


def run_command(args, data=None, environ_update=None, cwd=None, **_options):
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, input=data, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def outcome(case, targets):
    """Run one case in its sandbox; return the module's result."""
    case["argv"] = [targets if word == "TARGETS" else word for word in case["argv"]]
    try:
        result = Sandbox(Request.from_params(case), Commands(run_command)).apply()
    except ToolkitError as error:
        return error.as_result()
    return {"failed": False, **result}


def output_of(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    serving = subprocess.Popen([sys.executable, f"{HERE}/targets.py", "127.0.0.1"])
    while not os.path.exists(TARGETS):
        time.sleep(0.1)
    with open(TARGETS, encoding="ascii") as handle:
        targets = handle.read()
    with open(f"{HERE}/cases.json", encoding="utf-8") as handle:
        cases = json.load(handle)
    answer = {"outside": json.loads(output_of(sys.executable, f"{HERE}/attacks.py", targets)), "results": {}}
    for name, case in cases.items():
        print(f"{time.monotonic():.0f} s: {name}", flush=True)
        answer["results"][name] = outcome(case, targets)
    serving.kill()
    serving.wait()
    units = output_of("systemctl", "list-units", "--all", "--plain", "--no-legend", "toolkit-sandbox-*")
    answer["left"] = units + output_of("pgrep", "-fx", "sleep 4242|yes")
    with open("/dev/vdb", "r+b") as disk:
        disk.write(json.dumps(answer).encode())
        disk.flush()
        os.fsync(disk.fileno())


main()
