# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets put in every place that a run knows turn up in no file that it writes, in nothing it says, and in no argv."""

from __future__ import annotations

import base64
import itertools
import subprocess
import threading
import time
from pathlib import Path

import pytest
from audit_lab import PROGRAMS

PASSWORD = "vault-password-9d1c"
INLINE = "c4n4ry-inline-7f3a"
WHOLE = "c4n4ry-whole-5b2e"
GROUP = "c4n4ry-group-0c9d"
HIDDEN = "c4n4ry-hidden-8e4b"
SPELLED = "c4n4ry-spelled-1a6f"
LATER = "c4n4ry-later-3b8d"
WHOLE_LATER = "c4n4ry-wlater-6a1e"
EXTRA = "c4n4ry-extra-2d7c"
LINES = "-----BEGIN X-----\nc4n4ry-first-line-aa\nc4n4ry-second-line-bb\n-----END X-----\n"
CANARIES = (
    PASSWORD,
    INLINE,
    WHOLE,
    GROUP,
    HIDDEN,
    SPELLED,
    EXTRA,
    LATER,
    WHOLE_LATER,
    "c4n4ry-first-line",
    "c4n4ry-second-line",
)

SITE = """
- hosts: h1
  gather_facts: false
  vars:
    inline: INLINE_VAULT
    lines: LINES_VAULT
  vars_files: [whole.yml]
  tasks:
    - name: Inline values leave their mark when they become part of a text
      ansible.builtin.fail: {msg: "could not log in as {{ inline }} at {{ grouped }} with {{ whole.deep[0] }}"}
      ignore_errors: true
    - name: "Even the name of a task: {{ inline }}"
      ansible.builtin.command: "echo {{ inline }} {{ whole.deep[0] }} {{ inline | b64encode }}"
      changed_when: true
    - name: In an item
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: ["{{ inline }} as it is", {name: "x {{ grouped }}", password: SPELLED}]
    - name: One line of several
      ansible.builtin.fail: {msg: "{{ lines.splitlines()[1] }}"}
      ignore_errors: true
    - name: A path
      ansible.builtin.copy: {content: "{{ inline }}", dest: "DIR/made-{{ inline }}", mode: "0600"}
    - name: An event
      scripts.toolkit.audit_event: {event_type: DEPLOYMENT, details: {note: "with {{ grouped }}"}}
    - name: Hidden
      ansible.builtin.command: echo HIDDEN
      no_log: true
    - name: Spelled like one
      ansible.builtin.command: "echo password=SPELLED https://user:SPELLED@example.com/"
      changed_when: true
    - name: An error with all of it
      ansible.builtin.command: "/nonexistent/{{ inline }}/{{ whole.deep[0] }}"
      ignore_errors: true
    - name: Loaded later
      ansible.builtin.include_vars: "{{ item }}"
      loop: [later.yml, wholly.yml]
    - name: And told
      ansible.builtin.fail: {msg: "later it was {{ later }} and {{ wholly }}"}
      ignore_errors: true
"""


def encrypted(directory, text):
    """Return ``text`` as ansible-vault encrypts it."""
    command = [PROGRAMS / "ansible-vault", "encrypt", "--vault-id", f"prod@{directory / 'vault'}", "--output", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def inline(directory, text, indent):
    """Return ``text`` as an encrypted value in YAML."""
    blank = " " * indent
    return "!vault |\n" + "".join(f"{blank}{line}\n" for line in encrypted(directory, text).splitlines())


class Watched(threading.Thread):
    """Collects the command lines of all processes below another one."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.done = False
        self._root = pid

    def run(self):
        while not self.done:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if self._ours(int(path.parts[2])):
                        self.seen.add(path.read_bytes())
                except OSError:
                    continue  # it has just ended
            time.sleep(0.02)

    def _ours(self, pid):
        for _generation in range(8):
            if pid == self._root:
                return True
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            pid = int(fields[1])
        return False


@pytest.mark.parametrize("detail", ["summary", "full", "digest"])
def test_no_secret_reaches_any_output(controller, detail):
    directory = controller.directory
    (directory / "vault").write_text(PASSWORD, encoding="utf-8")
    controller.configure(f"vault_identity_list = prod@{directory / 'vault'}", detail=detail, diff="true")
    controller.file("whole.yml", encrypted(directory, f"whole: {{deep: [{WHOLE}]}}\n"))
    controller.file("later.yml", "later: " + inline(directory, LATER, 2))
    controller.file("wholly.yml", encrypted(directory, f"wholly: {WHOLE_LATER}\n"))
    controller.file("group_vars/all.yml", "grouped: " + inline(directory, GROUP, 2))
    text = SITE.replace("INLINE_VAULT", inline(directory, INLINE, 6)).replace(
        "LINES_VAULT", inline(directory, LINES, 6)
    )
    name = controller.playbook(text.replace("HIDDEN", HIDDEN).replace("SPELLED", SPELLED))
    process = controller.start(name, "--diff", "-e", f"extra={EXTRA}", "-e", f'{{"more": "{EXTRA}"}}')
    watch = Watched(process.pid)
    watch.start()
    out, err = process.communicate(timeout=60)
    watch.done = True
    watch.join()
    assert process.returncode == 0, out + err
    assert controller.details("EXECUTION_START")[0]["vault_ids"] == ["prod"]
    assert len(controller.results()) == 15
    assert "audit trail is incomplete" not in err.lower()
    secrets = [
        form.encode() for canary in CANARIES for form in (canary, base64.b64encode(canary.encode()).decode()[:16])
    ]
    written = controller.files()
    assert len(written) > 5
    for path, secret in itertools.product(written, secrets):
        assert secret not in path.read_bytes(), (path, secret)
        assert secret.decode() not in path.name
    ours = [line for line in err.splitlines() if "Audit trail" in line]
    assert ours
    assert not [line for line in ours for canary in CANARIES if canary in line]
    started = [line for line in watch.seen if line.startswith((b"git\0", b"toolkit")) or b"toolkit\0audit" in line]
    assert not [line for line in started for secret in secrets if secret in line]
