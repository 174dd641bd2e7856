# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run network_scan or network_info with options in JSON, as the module does, and print the result.

It is run in a network namespace: ``python in_namespace.py network_scan [--uid N] < OPTIONS``. It keeps to the rooms of
the modules, so that it starts fast; the modules themselves run in the scenarios.
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ToolkitError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.info import SUBSETS, network_info
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.request import SCAN_SPEC
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.scan import scan


def run_command(args, environ_update=None, **_kwargs) -> tuple[int, str, str]:
    """Run a command as a module does."""
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def main() -> int:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", choices=["network_scan", "network_info"])
    parser.add_argument("--uid", type=int, help="user to become before anything is done, without any privilege")
    parser.add_argument("--options", help="file with the options, instead of standard input")
    options = parser.parse_args()
    given = json.loads(Path(options.options).read_text(encoding="utf-8")) if options.options else json.load(sys.stdin)
    if options.uid:
        codecs.lookup("ascii")  # Later, this user may not read where this Python lies.
        os.setgroups([])
        os.setgid(options.uid)
        os.setuid(options.uid)
    commands = Commands(run_command)
    try:
        if options.module == "network_scan":
            checked = ArgumentSpecValidator(SCAN_SPEC).validate(given)
            if checked.error_messages:
                raise SystemExit("; ".join(checked.error_messages))
            result = scan(checked.validated_parameters, commands)
        else:
            result = network_info(given.get("subsets", SUBSETS), commands)
    except ToolkitError as error:
        result = error.as_result()
    result["most_memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
