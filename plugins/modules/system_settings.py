#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: system_settings
short_description: Set host name, hosts file, time zone and kernel parameters in one call
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings the settings of a host to what is wanted, for now and for the next boot. Everything is read and checked
    before anything is changed; files are replaced atomically.
  - An option that is not set leaves its setting as it is.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
options:
  hostname:
    description:
      - Name of the host, for the running kernel and in C(/etc/hostname). At most 64 characters, a name by RFC 1123.
      - Unless a line of C(/etc/hosts) has that name, one for 127.0.1.1 is added to the managed block, as Debian does.
    type: str
  hosts:
    description:
      - All lines of the managed block in C(/etc/hosts). Lines outside of the block are never touched.
      - A name that a line outside of the block gives another address is refused, because the first line found wins.
        Only the host's own name may be at a loopback address there.
      - An empty list removes the block.
    type: list
    elements: dict
    suboptions:
      address:
        description: IPv4 or IPv6 address.
        type: str
        required: true
      names:
        description: Names for the address, the canonical one first.
        type: list
        elements: str
        required: true
  timezone:
    description:
      - Time zone of the host, a name in the IANA database such as V(Europe/Berlin). Needs the package C(tzdata).
      - Programs that run already see it when they are restarted.
    type: str
  sysctl:
    description:
      - All kernel parameters that this collection sets, by key; set live, and in the file
        C(/etc/sysctl.d/90-scripts-toolkit.conf), which holds these and nothing else. An empty dictionary removes it.
      - A parameter that is dropped from here keeps its live value until the next boot.
      - A file that is read later at boot and sets another value is reported.
    type: dict
"""

EXAMPLES = r"""
- name: The host knows who and where it is
  scripts.toolkit.system_settings:
    hostname: web01.example.com
    timezone: Europe/Berlin
    hosts:
      - address: 192.0.2.20
        names: [db01.example.com, db01]

- name: The kernel is ready for many connections
  scripts.toolkit.system_settings:
    sysctl:
      net.core.somaxconn: 4096
      net.ipv4.tcp_syncookies: 1
"""

RETURN = r"""
outcomes:
  description: What was done for V(hostname), V(hosts), V(timezone), the file of kernel parameters and each of its keys.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: Name of the setting.
      type: str
    changed:
      description: Whether it was (in check mode, would be) changed.
      type: bool
    before:
      description: The value found.
      returned: for all but files
      type: str
    after:
      description: The value now.
      returned: for all but files
      type: str
    overridden_by:
      description: The file that sets the parameter to something else at each boot.
      returned: when there is one
      type: str
    error:
      description: Kind, message and hint of the failure.
      returned: when it failed
      type: dict
  sample:
    - item: hostname
      changed: true
      before: debian
      after: web01.example.com
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.module import run_module
from ..module_utils._system.settings import apply_settings


def work(module):
    return apply_settings(**module.params, check_mode=module.check_mode, warn=module.warn)


def main():
    host = {
        "address": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "hostname": {"type": "str"},
            "hosts": {"type": "list", "elements": "dict", "options": host},
            "timezone": {"type": "str"},
            "sysctl": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
