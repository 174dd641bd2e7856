# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run tells of itself when it starts, what it finds changed, and how it stops without a trail."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest
from audit_lab import PROGRAMS

NOTHING = "- hosts: h1\n  gather_facts: false\n  tasks: [{ansible.builtin.set_fact: {x: 1}}]\n"
GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com"]


def git(controller, *arguments):
    done = subprocess.run(
        [*GIT, "-C", str(controller.directory), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_a_run_is_made_of(controller):
    directory = controller.directory
    controller.file("roles/web/tasks/main.yml", "- ansible.builtin.debug:\n")
    controller.file("roles/later/tasks/main.yml", "- ansible.builtin.debug:\n")
    text = (
        "- hosts: h1\n  gather_facts: false\n  roles: [web]\n  tasks: [{ansible.builtin.include_role: {name: later}}]\n"
    )
    name = controller.playbook(text)
    controller.file(".gitignore", "log\nstate\nmetrics\ntmp\n")
    git(controller, "init", "-q", "-b", "main")
    git(controller, "add", ".")
    git(controller, "commit", "-q", "-m", "First")
    arguments = ["--limit", "h1", "--tags", "all", "--skip-tags", "none"]
    controller.run(name, *arguments, "-e", "release=1", SUDO_USER="alice", SUDO_UID="1000", AWX_JOB_ID="12")
    start = controller.details("EXECUTION_START")[0]
    assert start["playbooks"] == [{"path": name, "sha256": sha256(directory / name)}]
    assert start["inventory"] == [{"source": str(controller.inventory), "sha256": sha256(controller.inventory)}]
    assert start["git"] == {"commit": git(controller, "rev-parse", "HEAD"), "branch": "main", "dirty": False}
    assert start["invoked_by"].items() >= {"sudo_user": "alice", "sudo_uid": "1000", "awx_job_id": "12"}.items()
    assert (start["limit"], start["tags"], start["skip_tags"]) == ("h1", ["all"], ["none"])
    assert (start["extra_vars"], start["check"], start["vault_ids"]) == (["release"], False, [])
    assert "scripts.toolkit" in [entry["name"] for entry in start["collections"]]
    listing = f"{sha256(directory / 'roles/web/tasks/main.yml')}  tasks/main.yml\n"
    role = {
        "path": str(directory / "roles/web"), "files": 1, "sha256": hashlib.sha256(listing.encode()).hexdigest()
    }  # fmt: skip
    assert controller.details("PLAY_START")[0]["roles"] == {"web": role}
    end = controller.details("EXECUTION_END")[0]
    assert end["roles"]["web"] == role
    assert end["roles"]["later"]["files"] == 1
    controller.file("roles/web/tasks/main.yml", "- ansible.builtin.debug: {msg: changed}\n")
    controller.run(name)
    start, play = controller.details("EXECUTION_START")[1], controller.details("PLAY_START")[1]
    assert start["git"]["dirty"] is True
    assert play["roles"]["web"]["sha256"] != role["sha256"]


def test_a_slow_or_hostile_git_holds_nothing_up(controller):
    controller.file("bin/git", "#!/bin/sh\nexec sleep 60\n")
    (controller.directory / "bin" / "git").chmod(0o755)
    (controller.directory / ".git").mkdir()
    path = f"{controller.directory / 'bin'}:{controller.environment['PATH']}"
    controller.run(controller.playbook(NOTHING), PATH=path)
    assert controller.details("EXECUTION_START")[0]["git"] == {"unknown": "git did not answer within 2 s"}


def test_no_program_that_the_project_names_is_started(controller):
    git(controller, "init", "-q", "-b", "main")
    controller.file("monitor", f"#!/bin/sh\ntouch {controller.directory / 'started'}\n")
    (controller.directory / "monitor").chmod(0o755)
    git(controller, "config", "core.fsmonitor", str(controller.directory / "monitor"))
    controller.run(controller.playbook(NOTHING))
    assert controller.details("EXECUTION_START")[0]["git"]["dirty"] is True
    assert not (controller.directory / "started").exists()


def test_changed_settings_and_gaps_are_told(controller):
    name = controller.playbook(NOTHING)
    controller.run(name)
    assert controller.details("CONFIG_CHANGE") == []
    assert json.loads((controller.log / "settings.json").read_text(encoding="utf-8"))["detail"] == "summary"
    controller.configure(detail="none", redact_patterns="s3cr3t-word")
    controller.run(name)
    (change,) = controller.details("CONFIG_CHANGE")
    assert change["reason"] == "settings"
    assert change["changes"]["detail"] == {"before": "summary", "after": "none"}
    assert change["changes"]["redact_patterns"]["after"]["number"] == 1
    assert not [path for path in controller.files() if b"s3cr3t-word" in path.read_bytes()]

    other = controller.directory / "other"
    controller.configure(detail="none", redact_patterns="s3cr3t-word", log_directory=other)
    controller.run(name)
    controller.run(name)
    controller.file("blocked", "")
    controller.configure(detail="none", redact_patterns="s3cr3t-word")
    controller.run(name)
    gap = controller.details("CONFIG_CHANGE")[1]
    assert gap.pop("since")
    assert gap == {"reason": "gap", "runs_elsewhere": 2, "directories": [str(other)]}
    controller.run(name)
    assert len(controller.details("CONFIG_CHANGE")) == 2


def test_a_run_whose_trail_could_not_be_opened_is_told_by_the_next_one(controller):
    name = controller.playbook(NOTHING)
    controller.run(name)
    journal = controller.log / "journal"
    journal.rmdir()
    journal.touch()
    _out, err = controller.run(name)
    assert "This run is not recorded" in err
    journal.unlink()
    controller.run(name)
    (gap,) = controller.details("CONFIG_CHANGE")
    assert (gap["reason"], gap["unrecorded_runs"]) == ("gap", 1)


MANY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Before
      ansible.builtin.set_fact: {x: 1}
    - name: Fills the disk
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: "{{ range(400) | list }}"
    - name: After
      ansible.builtin.debug: {msg: it went on}
"""


@pytest.mark.parametrize("on_error", ["warn", "fail"])
def test_a_disk_that_is_full_in_the_middle(controller, on_error):
    """The trail can't grow beyond 128 KiB: the loop's items are met in the results thread, the run stops at the next
    task, in the main thread, and does not hang."""
    controller.configure(on_error=on_error)
    name = controller.playbook(MANY)
    command = f"ulimit -f 256; exec {PROGRAMS / 'ansible-playbook'} {name}"
    done = subprocess.run(
        ["/bin/dash", "-c", command],
        cwd=controller.directory,
        env=controller.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert "The audit trail is incomplete" in said
    if on_error == "warn":
        assert done.returncode == 0, said
        assert "it went on" in said
        assert "events of this run are lost" in said
    else:
        assert done.returncode == 1, said
        assert "it went on" not in said
        assert "The run stops because on_error is fail" in said
