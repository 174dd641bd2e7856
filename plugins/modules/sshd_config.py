#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sshd_config
short_description: Settings of the ssh server, with commit-confirm
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Keeps settings of the OpenSSH server in one drop-in file, C(/etc/ssh/sshd_config.d/00-scripts-toolkit.conf). All
    other files are left alone.
  - Before anything changes, sshd itself tries the settings out in their place among the other files (C(sshd -t)), and
    C(sshd -T) must show that they are effective. A setting that another file sets first is an error that names it.
  - B(Commit-confirm.) New settings go live without being written to C(/etc), with a rollback already armed as a systemd
    timer on the host. Then the controller opens a I(new) connection (never a reused control socket). Only when that
    succeeds within O(confirm_timeout), the file is written. Otherwise the previous settings return by themselves, also
    when the controller dies, and a restart in between brings them back too.
  - Where the connection is neither ssh nor paramiko, no such proof exists. Then settings that might shut out somebody
    who is logged in over ssh are refused instead.
  - Sessions that exist continue; the server is reloaded, not restarted.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
  - scripts.toolkit.commit_confirm
options:
  settings:
    description:
      - Keywords of C(sshd_config) and their values, for everybody (no C(Match) blocks).
      - V(true) and V(false) are written as V(yes) and V(no). A list gives a line for each element (V(Port),
        V(AllowUsers)), or one line joined as sshd wants it (V(Ciphers), V(MACs)). V(null) leaves the keyword out.
    type: dict
    default: {}
  state:
    description: V(absent) removes the drop-in file.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: scripts.toolkit.nft_ruleset
"""

EXAMPLES = r"""
- name: Keys only, no root by password
  scripts.toolkit.sshd_config:
    settings:
      PermitRootLogin: prohibit-password
      PasswordAuthentication: false
      KbdInteractiveAuthentication: false

- name: Another port, and only some people
  scripts.toolkit.sshd_config:
    settings:
      Port: 2222
      AllowUsers: [deploy, admin]
    confirm_timeout: 60

- name: Back to what Debian ships
  scripts.toolkit.sshd_config:
    state: absent
"""

RETURN = r"""
drop_in:
  description: The drop-in file.
  returned: success
  type: str
  sample: /etc/ssh/sshd_config.d/00-scripts-toolkit.conf
ports:
  description: The ports that the server listens on with these settings; empty in check mode where it is not installed.
  returned: success
  type: list
  elements: int
  sample: [22]
proof:
  description:
    - V(connection) - a new connection has confirmed the live settings.
    - V(none) - they were applied without proof.
    - V(not_needed) - nothing changed.
  returned: success
  type: str
rolled_back:
  description: Whether the host went back to its previous settings, because nobody confirmed in time.
  returned: always
  type: bool
error:
  description: What went wrong, with C(kind), C(message), C(hint) and C(item).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._confirm.session import CONFIRM_SPEC
from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._sshd.config import SshdConfig


def main():
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **CONFIRM_SPEC,
        },
        supports_check_mode=True,
    )
    run_module(
        module,
        lambda this: SshdConfig(this.params, Commands(this.run_command), this.check_mode, this.warn).work(),
    )


if __name__ == "__main__":
    main()
