# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy that keeps services from starting while packages are installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError
from ansible_collections.scripts.toolkit.plugins.module_utils._system.service_policy import service_starts

HERE = "ansible_collections.scripts.toolkit.plugins.module_utils._system"


def policy_says(path):
    return subprocess.run(["sh", str(path), "nginx", "start"], check=False).returncode


def test_services_are_kept_from_starting_and_no_longer(tmp_path):
    path = tmp_path / "policy-rc.d"
    with service_starts(False, str(path)):
        assert policy_says(path) == 101
    assert not path.exists()


def test_the_policy_of_a_killed_process_allows_everything(tmp_path):
    path = tmp_path / "policy-rc.d"
    code = (
        f"from {HERE}.service_policy import service_starts\nimport time\n"
        f"with service_starts(False, {str(path)!r}):\n    print(1, flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        assert policy_says(path) == 101
        process.kill()
        process.wait()
    assert policy_says(path) == 0
    with service_starts(True, str(path)):
        assert not path.exists()


def test_the_policy_of_somebody_else_stays(tmp_path):
    path = tmp_path / "policy-rc.d"
    path.write_text("#!/bin/sh\nexit 101\n")
    with pytest.raises(ConflictError, match=r"policy-rc\.d"), service_starts(False, str(path)):
        pytest.fail("replaced it")
    with service_starts(True, str(path)):
        assert path.read_text() == "#!/bin/sh\nexit 101\n"
