#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accounts
short_description: Groups, users, authorized keys and sudo rules in one call
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings the local groups and users of a host, the keys that open their accounts and their rules for sudo to the state
    that is wanted, all in one remote call. The state is read from the files under C(/etc), and the programs of Debian's
    package C(passwd) are called only for what differs.
  - Passwords are given as hashes and go to C(chpasswd) on its standard input, so that no process list shows them.
  - Keys are written with the rights of their user and without following links, so that nobody can make root write
    elsewhere by preparing a home. The file is replaced as a whole.
  - Rules for sudo are checked by C(visudo) before anything of that user is changed.
  - Root and the user who is connected are never removed, locked, or left without a key.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
attributes:
  check_mode:
    details: Groups and the program sudo that are missing are predicted to be there in time, because their packages may
      not be installed yet.
options:
  groups:
    description: The groups. Those not listed are left alone.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the group.
        type: str
        required: true
      gid:
        description: Its number. Not set, a new group gets the next free one. Files of a group whose number changes keep
          the old one.
        type: int
      system:
        description: Whether a new group gets its number from the range for system groups.
        type: bool
        default: false
      state:
        description: Whether there is such a group. The primary group of a user is not removed.
        type: str
        choices: [present, absent]
        default: present
  users:
    description:
      - The users. Those not listed are left alone, and so is what is not set of those listed.
      - Entries for the same user are merged (lists are joined); where they contradict each other, that is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      state:
        description:
          - Whether there is such a user. With V(absent) the sudo rules go first, then the user; the home stays unless
            O(users[].remove_home).
          - A user who has processes is not removed. The account is locked and loses its sudo rules, and the item fails,
            saying so.
        type: str
        choices: [present, absent]
        default: present
      uid:
        description: The user's number.
        type: int
      group:
        description: Name of the primary group. A new user without it gets a group of the same name.
        type: str
      groups:
        description: Names of other groups that the user is in.
        type: list
        elements: str
      append:
        description: Whether the user stays in groups that are not in O(users[].groups).
        type: bool
        default: true
      shell:
        description: The login shell. A new user has C(/bin/bash), a new system user C(/usr/sbin/nologin).
        type: str
      home:
        description:
          - The home directory. A new user has C(/home/NAME), a new system user C(/nonexistent).
          - Changing it moves the old one there, if the old one belongs to the user and nothing is at the new place.
        type: str
      create_home:
        description:
          - Whether a missing home is made, with the files of C(/etc/skel), and mode 0700 unless C(HOME_MODE) in
            C(/etc/login.defs) says otherwise.
          - Not set, it is made for all but system users.
        type: bool
      comment:
        description: The full name, or what the user is for.
        type: str
      system:
        description: Whether a new user gets a number from the range for system users.
        type: bool
        default: false
      password:
        description:
          - Hash of the password as crypt(5) has it (yescrypt, SHA-512, SHA-256, bcrypt). V(*) means none.
          - A password in clear text is refused.
        type: str
      locked:
        description:
          - Whether nobody can log in as this user, be it by password, key or otherwise (the password is locked and the
            account has expired), or whether that is taken back.
        type: bool
      authorized_keys:
        description:
          - Public keys that open the account, as in the file C(.pub), with options before them if wanted. A string may
            have several lines.
          - A key that is there already gets the options and the comment given here.
        type: list
        elements: str
      exclusive_keys:
        description: Whether all other keys are removed, so that taking one off the list revokes it.
        type: bool
        default: false
      sudo:
        description:
          - Rules for sudo, each what follows the user in sudoers(5). They make up the file C(/etc/sudoers.d/NAME). An
            empty list removes it.
        type: list
        elements: str
      remove_home:
        description: With O(users[].state=absent), whether the home and the mail are removed, too.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: People who run this host
  scripts.toolkit.accounts:
    groups:
      - name: operators
    users:
      - name: alice
        comment: Alice Example
        groups: [operators]
        authorized_keys:
          - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4Tjt8LvJcfGP8vCsA5VYp2pDy3I4bMZSUpZ3SL7MhV alice@example.com
        exclusive_keys: true
        sudo:
          - "ALL=(ALL:ALL) NOPASSWD: ALL"
      - name: bob
        state: absent

- name: A system user that a backup server logs in as, for one command only
  scripts.toolkit.accounts:
    users:
      - name: backup-pull
        system: true
        home: /var/lib/backup-pull
        create_home: true
        shell: /bin/sh
        authorized_keys:
          - >-
            restrict,command="/usr/local/bin/send-backup"
            ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4Tjt8LvJcfGP8vCsA5VYp2pDy3I4bMZSUpZ3SL7MhV backup

- name: A contractor is away
  scripts.toolkit.accounts:
    users:
      - name: carol
        locked: true
"""

RETURN = r"""
outcomes:
  description: What was done for each group and user, in the order in which it was done.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: For example C(group operators) or C(user alice).
      type: str
    changed:
      description: Whether something was (in check mode, would be) done.
      type: bool
    changes:
      description:
        - For a user, which of V(mended) (a torn entry of an interrupted run), V(created), V(removed), V(uid), V(group),
          V(groups), V(shell), V(home), V(comment), V(password), V(locked), V(authorized_keys), V(sudo) were changed.
      returned: for users
      type: list
      elements: str
    error:
      description: Kind, message and hint of the failure.
      returned: when the item failed
      type: dict
  sample:
    - item: user alice
      changed: true
      changes: [created, authorized_keys, sudo]
accounts:
  description: The users that are present now, by name, each with C(uid), C(gid), C(home) and C(shell).
  returned: always
  type: dict
  sample:
    alice:
      uid: 1000
      gid: 1000
      home: /home/alice
      shell: /bin/bash
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._accounts.apply import apply_accounts
from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module

_STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
_GROUP = {
    "name": {"type": "str", "required": True},
    "gid": {"type": "int"},
    "system": {"type": "bool", "default": False},
    "state": _STATE,
}
_USER = {
    "name": {"type": "str", "required": True},
    "state": _STATE,
    "uid": {"type": "int"},
    "group": {"type": "str"},
    "groups": {"type": "list", "elements": "str"},
    "append": {"type": "bool", "default": True},
    "shell": {"type": "str"},
    "home": {"type": "str"},
    "create_home": {"type": "bool"},
    "comment": {"type": "str"},
    "system": {"type": "bool", "default": False},
    "password": {"type": "str", "no_log": True},
    "locked": {"type": "bool"},
    "authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "exclusive_keys": {"type": "bool", "default": False, "no_log": False},
    "sudo": {"type": "list", "elements": "str"},
    "remove_home": {"type": "bool", "default": False},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "groups": {"type": "list", "elements": "dict", "default": [], "options": _GROUP},
            "users": {"type": "list", "elements": "dict", "default": [], "options": _USER},
        },
        supports_check_mode=True,
    )
    commands = Commands(module.run_command)
    run_module(module, lambda module: apply_accounts(module.params, module.check_mode, commands))


if __name__ == "__main__":
    main()
