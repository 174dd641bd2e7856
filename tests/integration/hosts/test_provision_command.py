# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`toolkit provision` on a disposable host, with a playbook that makes a small https site. Needs root."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.paths import base_directory
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.layout import Layout

NAME = "provision-test"
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Make the site
      ansible.builtin.raw: |
        test ! -e /root/site || exit 0
        mkdir /root/site && cd /root/site && echo hello >index.html
        openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 30 -subj /CN={{ web_server_domain }} \
          -addext subjectAltName=DNS:{{ web_server_domain }} 2>/dev/null; cat key >>cert
        systemd-run -q --working-directory=/root/site openssl s_server -accept 443 -cert cert -WWW && echo CHANGED
      register: made
      changed_when: "'CHANGED' in made.stdout"
    - name: Write the result
      ansible.builtin.copy:
        content: "{{ result | to_json }}"
        dest: "{{ provision_result_directory }}/{{ inventory_hostname }}.json"
        mode: "0600"
      vars:
        result:
          status: "{{ 'failed' if fail | default(false) else 'success' }}"
          changed: "{{ made is changed }}"
          failed_task: Make the site
          error: {message: It was told to fail., hint: Leave out fail.}
      delegate_to: localhost
      connection: local
    - name: End as told
      ansible.builtin.fail:
      when: fail | default(false)
"""


@pytest.fixture(scope="module")
def provision(tmp_path_factory):
    images, base = Layout().images, tmp_path_factory.mktemp("hosts")
    playbook = base / "play.yml"
    playbook.write_text(PLAYBOOK)
    environment = {
        **os.environ,
        "TOOLKIT_HOSTS_DIR": str(base),
        "TOOLKIT_HOSTS_IMAGES": images,
        "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(base / "audit"),
        "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(base / "metrics.prom"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess:
        argv = [
            sys.executable,
            "-m",
            "ansible_collections.scripts.toolkit.cli",
            "provision",
            "--playbook",
            str(playbook),
        ]
        argv += ["--name", NAME, *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)

    run.base = base
    try:
        yield run
    finally:
        Hosts(str(base)).down()
        shutil.rmtree(os.path.join(base_directory("state"), "provision", NAME), ignore_errors=True)


def test_from_nothing_to_a_site_and_again(provision):
    done = provision()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Booted the disposable host {NAME}" in done.stderr
    assert "TASK [Make the site]" in done.stdout
    assert f"The site answers at https://{NAME}.example.test/" in done.stdout
    assert '"status": "success"' in done.stdout
    assert "Nothing changed" not in done.stdout
    # What it tells people to type works, with the certificate verified.
    curl = re.search(r"^ +(curl .*)$", done.stdout, re.MULTILINE)[1] + "index.html"
    assert subprocess.run(curl.split(), capture_output=True, text=True, check=True).stdout == "hello\n"
    assert (
        Path(re.search(r"^audit trail: +(.*)$", done.stdout, re.MULTILINE)[1]) == provision.base / "audit/audit.jsonl"
    )
    assert (provision.base / "audit/audit.jsonl").read_text()
    result = Path(re.search(r"^result: +(.*)$", done.stdout, re.MULTILINE)[1])
    assert json.loads(result.read_text())["changed"] is True

    again = provision()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "which is up already" in again.stderr
    assert f"Nothing changed on {NAME}" in again.stdout


def test_arguments_after_the_dashes_and_the_error(provision):
    done = provision("--", "--extra-vars", "fail=true")
    assert done.returncode == 2
    assert f"FAILED: {NAME}: Make the site: It was told to fail.\n  Leave out fail.\n" in done.stdout
    assert "The site answers" not in done.stdout
