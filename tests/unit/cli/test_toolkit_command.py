# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: what it answers, refuses, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.scripts.toolkit import cli
from ansible_collections.scripts.toolkit.cli.ansible import Ansible, real_inventory
from ansible_collections.scripts.toolkit.cli.output import table
from ansible_collections.scripts.toolkit.cli.provision import summary
from ansible_collections.scripts.toolkit.cli.version import collection_version
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError

COMMAND = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli"]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_HOSTS_DIR", str(tmp_path / "hosts"))


def test_version(collection_root, tmp_path):
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"scripts.toolkit {collection_version(str(collection_root))}\n"
    (tmp_path / "galaxy.yml").write_text("namespace: a\nversion: 1.2.3  # next\n")
    assert collection_version(str(tmp_path)) == "1.2.3"
    (tmp_path / "MANIFEST.json").write_text('{"collection_info": {"version": "4.5.6"}}')
    assert collection_version(str(tmp_path)) == "4.5.6"


@pytest.mark.parametrize(("argv", "words"), [([], ["provision", "host"]), (["host"], ["up", "heal", "inventory"])])
def test_without_arguments_it_lists_what_it_can_do(capsys, argv, words):
    assert cli.main(argv) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in words)


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["host", "up"],
        ["host", "down"],
        ["host", "down", "a", "--all"],
        ["host", "cut", "a", "--how", "x"],
    ],
)
def test_wrong_command_lines_end_with_2(capsys, argv):
    assert cli.main(argv) == 2
    assert "usage" in capsys.readouterr().err


def test_empty_list(capsys):
    assert cli.main(["host", "list"]) == 0
    assert "toolkit host up" in capsys.readouterr().err
    assert cli.main(["host", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_failures_name_the_thing_and_the_way_out(capsys):
    assert cli.main(["host", "ssh", "web01", "true"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("toolkit: There is no disposable host web01.")
    assert cli.main(["host", "up", "Web_01", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["kind"] == "validation"
    assert "'Web_01'" in captured.err


def test_inventory_goes_to_a_file(tmp_path, capsys):
    path = tmp_path / "hosts.yml"
    assert cli.main(["host", "inventory", "--output", str(path)]) == 0
    assert path.read_text().startswith("all:\n")
    assert capsys.readouterr().out == ""
    assert cli.main(["host", "inventory", "--output", str(tmp_path / "none" / "x")]) == 1


def test_table():
    assert table(("A", "LONG"), [("xxx", "y"), ("z", "")]) == "A    LONG\nxxx  y\nz"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("web01.example.com", {"web01.example.com": {"ansible_host": "web01.example.com"}}),
        ("web01:2222", {"web01": {"ansible_host": "web01", "ansible_port": 2222}}),
        ("192.0.2.7", {"192.0.2.7": {"ansible_host": "192.0.2.7"}}),
        ("2001:db8::1", {"2001:db8::1": {"ansible_host": "2001:db8::1"}}),
        ("[2001:db8::1]:2222", {"2001:db8::1": {"ansible_host": "2001:db8::1", "ansible_port": 2222}}),
    ],
)
def test_real_hosts(host, expected):
    assert real_inventory(host, None, None)["all"]["hosts"] == expected


@pytest.mark.parametrize("host", ["a b", "user@host", "a,b", "host:port", "https://x", "[x]"])
def test_hosts_that_are_refused(host):
    with pytest.raises(ValidationError, match="HOST="):
        real_inventory(host, None, None)


def test_ssh_user_and_key(tmp_path):
    key = tmp_path / "key"
    with pytest.raises(ValidationError, match="SSH_KEY="):
        real_inventory("web01", "admin", str(key))
    key.touch()
    assert real_inventory("web01", "admin", str(key))["all"]["hosts"]["web01"] == {
        "ansible_host": "web01",
        "ansible_user": "admin",
        "ansible_ssh_private_key_file": str(key),
    }


def test_an_address_needs_a_domain(capsys):
    assert cli.main(["provision", "192.0.2.7"]) == 1
    assert "--domain" in capsys.readouterr().err


def test_summary_of_a_success():
    result = {"status": "success", "changed": True, "urls": ["https://a.example/"]}
    text = summary(0, "web01", "a.example", result, "10.0.0.2", "/tmp/c.pem")
    assert "The site answers at https://a.example/" in text
    assert "curl --resolve a.example:443:10.0.0.2 --cacert /tmp/c.pem https://a.example/" in text
    assert "Nothing changed" not in text
    assert '"status": "success"' in text
    assert "Nothing changed" in summary(0, "web01", "a.example", {**result, "changed": False})
    assert "curl" not in summary(0, "web01", "a.example", result)


def test_summary_of_a_check():
    text = summary(0, "web01", "a.example", {"status": "success", "changed": True}, "10.0.0.2", check=True)
    assert "nothing was changed" in text
    assert "answers" not in text


def test_summary_of_a_failure():
    error = {"message": "nginx -t refuses it.", "hint": "Mend the template."}
    text = summary(2, "web01", "a.example", {"status": "failed", "failed_task": "Manage files", "error": error})
    assert "FAILED: web01: Manage files: nginx -t refuses it.\n  Mend the template." in text
    assert "answers" not in text
    assert "exit code 4" in summary(4, "web01", "a.example", None)


PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "domain {{ web_server_domain }}, extra {{ extra }}"
      failed_when: extra == 'bad'
"""


@pytest.mark.parametrize(("extra", "code"), [("good", 0), ("bad", 2)])
def test_the_playbook_s_output_exit_code_and_record(tmp_path, capfd, extra, code):
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY)
    environment = {
        **os.environ,
        "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(tmp_path / "audit"),
        "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(tmp_path / "metrics.prom"),
    }
    environment.pop("ANSIBLE_CALLBACKS_ENABLED", None)
    ansible = Ansible(environment)
    variables = json.dumps({"web_server_domain": "a.example", "extra": extra})
    assert ansible.play([str(playbook), "-i", "localhost,", "-c", "local", "-e", variables]) == code
    assert f"domain a.example, extra {extra}" in capfd.readouterr().out
    record = ansible.record()
    assert record.log_directory == str(tmp_path / "audit")
    assert (tmp_path / "audit" / "audit.jsonl").exists()
    assert record.metrics_path == str(tmp_path / "metrics.prom")
