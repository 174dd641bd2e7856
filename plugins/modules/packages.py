#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install, upgrade and remove many Debian packages in one call
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings a list of packages to the state that is wanted, in one transaction of C(apt-get). When all is as wanted, that
    is found by one C(dpkg-query) and apt is not called at all.
  - Each transaction is simulated first. It is refused when it would remove packages that nobody asked to remove, remove
    an essential package, install an older version or change a package on hold; O(allow) allows each of these.
  - Package lists are refreshed when they are older than O(cache_valid_time), and when a package is in none of them.
  - What an earlier, interrupted C(dpkg) left half-way is put right first, and reported as the outcome of the item
    C(dpkg).
  - Configuration files that were changed on the host are kept.
  - Packages that can't be had are reported; the others are installed all the same.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
attributes:
  check_mode:
    details: Lists that are too old are fetched into a temporary directory, so that the prediction is exact and the host
      stays as it is. Where they can't be fetched, an unknown package is predicted to be installed, its version unknown.
options:
  packages:
    description:
      - The packages. Each is a name (C(nginx), C(libc6:i386), C(nginx=1.22*)) or a dictionary with V(name), and
        optionally V(version) (a pattern such as V(1.22*) is taken) and V(state) (as O(state)).
      - Virtual packages such as C(awk) count as installed when a package that provides them is.
      - Entries for the same package are merged; entries that contradict each other are refused.
    type: list
    elements: raw
    default: []
  state:
    description:
      - The state of packages that name none. V(latest) also upgrades to the newest version in the lists.
      - Packages on hold are left as they are.
    type: str
    choices: [present, latest, absent]
    default: present
  cache_valid_time:
    description: For how many seconds fetched package lists are new enough.
    type: int
    default: 3600
  install_recommends:
    description: Whether packages that are recommended by those wanted are installed too.
    type: bool
    default: false
  purge:
    description: Whether the configuration of packages that are removed is removed too.
    type: bool
    default: false
  allow:
    description:
      - What is allowed to happen that is refused otherwise.
      - V(removals) allows to remove packages that are not listed, V(essential) to remove essential ones, V(downgrade)
        to install older versions, V(held) to change packages on hold.
    type: list
    elements: str
    choices: [downgrade, essential, held, removals]
    default: []
  start_services:
    description:
      - Whether packages may start their services when they are installed, as they do on Debian.
      - If not, a policy forbids it during the installation, which is void as soon as this module ends, however it ends.
    type: bool
    default: true
  lock_timeout:
    description: How many seconds to wait for another package manager to end.
    type: int
    default: 300
seealso:
  - name: apt-get(8)
    description: What does the work.
    link: https://manpages.debian.org/bookworm/apt/apt-get.8.en.html
"""

EXAMPLES = r"""
- name: The packages of a web server are installed
  scripts.toolkit.packages:
    packages:
      - nginx
      - php-fpm
      - name: mariadb-server
        state: latest

- name: A mail server that nobody wants is gone, with its configuration
  scripts.toolkit.packages:
    packages: [exim4-base, exim4-config, exim4-daemon-light]
    state: absent
    purge: true
"""

RETURN = r"""
outcomes:
  description: What was done for each package, and for the item C(dpkg) when an interruption was repaired.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: Name of the package.
      type: str
    changed:
      description: Whether something was (in check mode, would be) done.
      type: bool
    action:
      description: V(install), V(upgrade), V(downgrade), V(remove), V(purge), V(repair), V(mark manual) (so that it
        is not removed as unneeded) or null.
      type: str
    version_before:
      description: The version found; null if it was not installed.
      type: str
    version_after:
      description: The version now; null if it is not installed, or in check mode if it can't be known yet.
      type: str
    held:
      description: That the package is on hold and was left as it is.
      returned: when it is on hold
      type: bool
    provided_by:
      description: The package that provides it.
      returned: when it is virtual
      type: str
    repaired:
      description: The packages that were left half-way.
      returned: for the item C(dpkg)
      type: list
      elements: str
    error:
      description: Kind, message and hint of the failure.
      returned: when it failed
      type: dict
  sample:
    - item: nginx
      changed: true
      action: install
      version_before: null
      version_after: 1.22.1-9
output:
  description: The last lines that C(apt-get) wrote.
  returned: when it failed
  type: list
  elements: str
installed:
  description: Version by name of the packages wanted that are installed.
  returned: always
  type: dict
  sample:
    nginx: 1.22.1-9
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.commands import Commands
from ..module_utils._core.module import run_module
from ..module_utils._system.package_solver import ALLOWANCES
from ..module_utils._system.packages import Packages


def work(module):
    packages = Packages(Commands(module.run_command), warn=module.warn, **module.params)
    return packages.apply(check_mode=module.check_mode)


def main():
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "raw", "default": []},
            "state": {"type": "str", "choices": ["present", "latest", "absent"], "default": "present"},
            "cache_valid_time": {"type": "int", "default": 3600},
            "install_recommends": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            "allow": {"type": "list", "elements": "str", "choices": list(ALLOWANCES), "default": []},
            "start_services": {"type": "bool", "default": True},
            "lock_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
