#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sandbox_command
short_description: Run a command isolated from the host
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Runs a command, without a shell, in a sandbox that systemd or bubblewrap makes. By default it has no network, sees
    of the host only C(/usr) and the few files of C(/etc) that programs need, writes only to directories of its own that
    are gone afterwards, runs as a user that nobody else is, without capabilities and behind a filter of system calls.
  - What it needs beyond that is granted by options. A backend that can't enforce an option refuses it, and where no
    backend works, the command is not run at all.
  - The first program in the sandbox sees that the isolation is really there before the command starts.
  - The sandbox is described in C(docs/sandbox.md) of the collection.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  async:
    support: full
  check_mode:
    details:
      - It looks at all that a run looks at first, and predicts that the command would run, or that O(creates) or
        O(removes) keep it from that. The sandbox itself is not made.
      - What is missing on the host, such as a program or a path, is no failure then. An earlier task may bring it.
  diff_mode:
    support: N/A
    details: What a command changes is not known.
  idempotent:
    support: partial
    details: With O(creates) or O(removes). Otherwise it runs, and reports a change, each time.
options:
  argv:
    description:
      - The program and its arguments. With O(script), the arguments of the script.
      - A program without a slash is looked for in the system's directories. Variables are not replaced.
      - Arguments are seen by everybody on the host. Secrets belong into O(stdin) or O(environment).
    type: list
    elements: str
    default: []
  script:
    description: A script to run instead of a program. It is run from a private copy of what was checked.
    type: dict
    suboptions:
      path:
        description:
          - A script on the host. It has to belong to O(script.owner); neither it nor a directory above it may be
            writable by others than that user and root, nor be reached over a symbolic link.
        type: path
      src:
        description: A script on the controller, found like the files of M(ansible.builtin.copy).
        type: path
      content:
        description: The script itself.
        type: str
      sha256:
        description: SHA-256 of the script in hexadecimal digits. Required with O(script.path).
        type: str
      owner:
        description: Name or id of the user to whom O(script.path) has to belong.
        type: str
        default: root
  backend:
    description:
      - What makes the sandbox. V(auto) takes V(systemd) where it can do what is asked for, else V(bubblewrap).
      - V(systemd) needs root and a host that systemd runs.
      - V(bubblewrap) needs the Debian package C(bubblewrap). It also works for an ordinary user, where the kernel lets
        them make user namespaces; the command then keeps that user's id.
    type: str
    choices: [auto, systemd, bubblewrap]
    default: auto
  user:
    description:
      - Name or id of an existing user to run as. Never root.
      - By default, a user id that nobody else has.
    type: str
  read_paths:
    description:
      - Files and directories of the host that the sandbox has as well, read-only.
      - They keep their owners and modes, so the sandbox reads what its user may read.
    type: list
    elements: str
    default: []
  write_paths:
    description:
      - Files and directories of the host that the sandbox may write, as far as its user may. Not over a symbolic link.
      - Without O(user) they have to be writable by everybody, since the sandbox's user owns nothing.
    type: list
    elements: str
    default: []
  environment:
    description:
      - Variables beside C(PATH), C(HOME) and C(LANG), which are all that it has otherwise.
      - Their values are in no argument list and no log.
    type: dict
    default: {}
  stdin:
    description: Text for its standard input, as it is. It is in no argument list and no log.
    type: str
  chdir:
    description: Directory in the sandbox to start in. O(creates) and O(removes) are relative to it, on the host.
    type: str
    default: /tmp
  network:
    description:
      - V(none) allows no internet sockets. V(loopback) gives a loopback interface of its own, not the host's.
      - V(host) is the host's network, with all that listens on it, abstract unix sockets included.
    type: str
    choices: [none, loopback, host]
    default: none
  limits:
    description: What it may use. A run that hits one tells so in RV(limit).
    type: dict
    suboptions:
      memory:
        description: Memory of all its processes together, such as V(256M). Beyond that it is killed.
        type: bytes
      tasks:
        description: Number of its processes and threads. Beyond that it gets no more of them.
        type: int
      cpu:
        description: Processor time in percent of one processor. Beyond that it waits.
        type: int
      runtime:
        description: Seconds after which it and all that it has started are killed.
        type: float
        default: 300
      output:
        description: Bytes of standard output and error together, after which it is killed.
        type: bytes
        default: 1M
  max_exposure:
    description:
      - The highest exposure, from V(0.0) (safe) to V(10.0), that C(systemd-analyze security) may give to the sandbox.
        Above that, nothing is run. The defaults score at most V(1.5).
      - Only the backend V(systemd) can tell.
    type: float
  creates:
    description: A path or pattern. If it exists on the host, the command is not run.
    type: str
  removes:
    description: A path or pattern. If it does not exist on the host, the command is not run.
    type: str
  expected_rc:
    description: Exit statuses that are no failure.
    type: list
    elements: int
    default: [0]
  _sealed:
    description: What may be secret, from the controller's half of the module. Do not set it.
    type: str
seealso:
  - module: ansible.builtin.command
notes:
  - Standard output and error are returned as they are. Set C(no_log) for the task if they contain secrets.
"""

EXAMPLES = r"""
- name: Look into an upload with a program that may be attacked through it
  scripts.toolkit.sandbox_command:
    argv: [/usr/bin/file, --brief, /srv/uploads/picture.jpg]
    read_paths: [/srv/uploads]
    limits:
      runtime: 10

- name: A vendor's script, as it was reviewed, writes a report
  scripts.toolkit.sandbox_command:
    script:
      src: report.sh
      sha256: 6d1bb67c4cab7b4ef1d4d64e9a8a0f2a3b3c8a2f4ccf7b0a5d2b6c1b2c3d4e5f
    argv: [--out, /srv/reports/today.txt]
    user: reports
    write_paths: [/srv/reports]
    environment:
      API_TOKEN: "{{ vault_report_token }}"
    network: host
    max_exposure: 3
    creates: /srv/reports/today.txt

- name: Count words with bubblewrap
  scripts.toolkit.sandbox_command:
    backend: bubblewrap
    argv: [wc, -w]
    stdin: How many words are these
"""

RETURN = r"""
rc:
  description: Exit status, or 128 plus the signal that ended it; null if it did not run.
  returned: always
  type: int
  sample: 0
stdout:
  description: Standard output, at most O(limits.output).
  returned: always
  type: str
stderr:
  description: Standard error, likewise.
  returned: always
  type: str
limit:
  description:
    - The limit that was hit, one of V(memory), V(tasks), V(cpu), V(runtime) and V(output); null if none.
    - V(memory), V(runtime) and V(output) ended the command and fail the task. V(tasks) and V(cpu) denied it more.
  returned: always
  type: str
backend:
  description: What made the sandbox, V(systemd) or V(bubblewrap); null if it did not run.
  returned: always
  type: str
  sample: systemd
exposure:
  description: What C(systemd-analyze security) gives to the sandbox; null for V(bubblewrap).
  returned: always
  type: float
  sample: 0.3
cpu_seconds:
  description: Processor time of all its processes, the sandbox itself included; null if the backend can't know.
  returned: always
  type: float
memory_peak_bytes:
  description: The most memory that it had at a time; null if the kernel does not tell.
  returned: always
  type: int
wall_seconds:
  description: How long it took, the sandbox included.
  returned: always
  type: float
error:
  description: What is wrong, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: timeout
    message: It ran longer than limits.runtime allows and was killed.
    hint: Raise limits.runtime, or make it do less.
    item: null
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._sandbox.request import SANDBOX_SPEC, Request, unseal
from ..module_utils._sandbox.sandbox import Sandbox


def work(module):
    request = Request.from_params(unseal(module.params))
    return Sandbox(request, Commands(module.run_command)).apply(check_mode=module.check_mode)


def main():
    spec = {**SANDBOX_SPEC, "_sealed": {"type": "str", "no_log": True}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    run_module(module, work)


if __name__ == "__main__":
    main()
