#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: path_permissions_info
short_description: Check owners, modes, access control lists and parents of files and trees against rules
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Holds files and whole trees against rules in one call and returns what is against them. With O(fail) it is a gate,
    to be passed before a script is run or a secret is put down.
  - Without any rule set, it finds what others than the owner may change or use. Files that group or all may write,
    directories that all may write and that lack the sticky bit, access control lists that let others write, set-user-ID
    and set-group-ID bits, capabilities, and parents through which others could put another file in the place of one.
  - A rule stands at the top for all paths, or at an entry of O(paths), where it goes before.
  - Everything is read through descriptors of the files themselves, so a file that is swapped meanwhile can't hide
    behind another. Memory does not grow with the number of files. Nothing is changed, access times neither where the
    user may keep them.
extends_documentation_fragment:
  - scripts.toolkit.attributes.info
  - scripts.toolkit.attributes.bulk
options:
  paths:
    description: What to check.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Absolute path. Symbolic links on the way are followed, and both ways are checked, that to the link and that
            to its target.
        type: path
        required: true
      recurse:
        description: Whether all that is below the directory is checked too.
        type: bool
        default: false
      sha256:
        description: SHA-256 that the file must have, in hexadecimal digits.
        type: str
      exclude:
        description: Patterns for this path, beside those of the top-level O(exclude).
        type: list
        elements: str
        default: []
      owners:
        description: As the top-level O(owners), for this path.
        type: list
        elements: str
      groups:
        description: As the top-level O(groups), for this path.
        type: list
        elements: str
      types:
        description: As the top-level O(types), for this path.
        type: list
        elements: str
        choices: [file, directory, block_device, character_device, fifo, socket]
      mode:
        description: As the top-level O(mode), for this path.
        type: raw
      directory_mode:
        description: As the top-level O(directory_mode), for this path.
        type: raw
      max_mode:
        description: As the top-level O(max_mode), for this path.
        type: raw
      max_directory_mode:
        description: As the top-level O(max_directory_mode), for this path.
        type: raw
      group_writable:
        description: As the top-level O(group_writable), for this path.
        type: bool
      world_writable:
        description: As the top-level O(world_writable), for this path.
        type: str
        choices: [never, sticky, always]
      setuid:
        description: As the top-level O(setuid), for this path.
        type: bool
      setgid:
        description: As the top-level O(setgid), for this path.
        type: bool
      acl:
        description: As the top-level O(acl), for this path.
        type: str
        choices: [none, owners, any]
      capabilities:
        description: As the top-level O(capabilities), for this path.
        type: list
        elements: str
      immutable:
        description: As the top-level O(immutable), for this path.
        type: bool
      append_only:
        description: As the top-level O(append_only), for this path.
        type: bool
      hard_links:
        description: As the top-level O(hard_links), for this path.
        type: bool
      symlinks:
        description: As the top-level O(symlinks), for this path.
        type: str
        choices: [none, inside, check, any]
      parents:
        description: As the top-level O(parents), for this path.
        type: bool
  owners:
    description:
      - Users, by name or number, who may own the entries. Not set, anybody may.
      - They and root may also own the parents, and may write by an access control list. Where anybody may own, the
        owner of the entry may.
    type: list
    elements: str
  groups:
    description: Groups, by name or number, that the entries may have. Not set, any.
    type: list
    elements: str
  types:
    description: What the entries may be. Not set, anything. Symbolic links are the matter of O(symlinks).
    type: list
    elements: str
    choices: [file, directory, block_device, character_device, fifo, socket]
  mode:
    description: The mode that all but directories must have, a quoted octal such as V("0644").
    type: raw
  directory_mode:
    description: The mode that directories must have.
    type: raw
  max_mode:
    description: The bits that the mode of all but directories may have at most, V("0640") for example.
    type: raw
  max_directory_mode:
    description: The bits that the mode of directories may have at most.
    type: raw
  group_writable:
    description:
      - Whether the group of an entry, and groups of its access control list, may have write permission. With O(groups),
        only those. It applies to parents too.
    type: bool
    default: false
  world_writable:
    description:
      - What may be writable by all. V(sticky) is only directories with the sticky bit, such as C(/tmp). Symbolic links
        have no mode of their own.
    type: str
    choices: [never, sticky, always]
    default: sticky
  setuid:
    description: Whether files may have the set-user-ID bit.
    type: bool
    default: false
  setgid:
    description: Whether files may have the set-group-ID bit. On directories it gives nobody a privilege.
    type: bool
    default: false
  acl:
    description:
      - Which access control lists there may be.
      - V(none), none at all, neither access lists nor default lists.
      - V(owners), lists that let only O(owners) write, and groups as O(group_writable) says. What a default list gives
        to new files counts too.
      - V(any), any.
    type: str
    choices: [none, owners, any]
    default: owners
  capabilities:
    description:
      - Capabilities that files may have, for example V(cap_net_bind_service). V(all) stands for all.
    type: list
    elements: str
    default: []
  immutable:
    description: Whether files and directories must have the attribute C(i) of C(chattr), or must not. Not set, both.
    type: bool
  append_only:
    description: Whether files and directories must have the attribute C(a) of C(chattr), or must not. Not set, both.
    type: bool
  hard_links:
    description: Whether files may have more than one name.
    type: bool
    default: true
  symlinks:
    description:
      - Which symbolic links there may be in a tree. They are never followed into a directory.
      - V(none), none, neither in the tree nor on the way to it.
      - V(inside), those that lead to something in the tree.
      - V(check), those that lead to something. What is outside of the tree, and the way to it, is held against the
        rules too; C(/dev/null) is fine. A directory outside is checked, what is in it is not, and RV(left_out) says so.
      - V(any), any; where they lead is not looked at.
    type: str
    choices: [none, inside, check, any]
    default: check
  parents:
    description:
      - Whether each directory and symbolic link on the way from C(/) must belong to root or O(owners), and none of the
        directories may be writable by others unless it has the sticky bit.
    type: bool
    default: true
  exclude:
    description:
      - Shell patterns of what is left out of trees, with all below. A pattern is held against the name and against the
        whole path; its C(*) stands for slashes too.
    type: list
    elements: str
    default: []
  one_file_system:
    description: Whether other file systems that are mounted in a tree are left out.
    type: bool
    default: false
  limit:
    description: How many violations, and how many entries that were left out, are returned. All are counted.
    type: int
    default: 100
  max_entries:
    description:
      - How many entries of all paths are looked at. Where there are more, the check stops, and that is a violation.
    type: int
    default: 1000000
  fail:
    description: Fail if there are violations. Otherwise only RV(ok) and RV(violations) say so.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Nobody but root could have changed what is run next
  scripts.toolkit.path_permissions_info:
    owners: [root]
    fail: true
    paths:
      - path: /usr/bin/apt-get
      - path: /etc/apt
        recurse: true

- name: Secrets are readable by those who need them only
  scripts.toolkit.path_permissions_info:
    owners: [root]
    paths:
      - path: /etc/shadow
        groups: [shadow]
        max_mode: "0640"
      - path: /etc/ssl/private
        recurse: true
        max_mode: "0640"
        max_directory_mode: "0750"
        acl: none
  register: secrets

- name: An inventory of what gives privileges, on this file system
  scripts.toolkit.path_permissions_info:
    one_file_system: true
    symlinks: any
    paths:
      - path: /usr
        recurse: true
        exclude: [/usr/share/doc]
  register: privileged
"""

RETURN = r"""
ok:
  description: Whether nothing is against the rules.
  returned: success or failure
  type: bool
violations:
  description: What is against the rules, by path; at most O(limit).
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The entry of O(paths).
      type: str
    path:
      description: Where it is. Bytes that are no UTF-8 and control characters are shown as C(\xNN).
      type: str
    link:
      description: The symbolic link in the tree that leads there, else null.
      type: str
    rule:
      description:
        - The rule. Beside the options these are V(owner), V(group), V(type), V(sticky), V(default_acl), V(symlink), for
          parents V(parent_owner) and V(parent_writable), V(missing) for a path that is not there, V(unreadable) for
          what could not be looked at, and V(max_entries) where the check stopped.
      type: str
    found:
      description: What was found.
      type: str
    allowed:
      description: What is allowed.
      type: str
    hint:
      description: The way out, a command where there is one.
      type: str
  sample:
    - item: /opt/scripts
      path: /opt/scripts/run.sh
      link:
      rule: group_writable
      found: 0775, group staff
      allowed: writable by its owner
      hint: chmod g-w /opt/scripts/run.sh
violation_count:
  description: How many there are. A fault of a parent that several paths have in common counts once.
  returned: success or failure
  type: int
violation_counts:
  description: How many there are by rule.
  returned: success or failure
  type: dict
  sample: {group_writable: 1}
checked:
  description: How many entries were held against the rules; parents don't count.
  returned: success or failure
  type: int
left_out:
  description:
    - What was not looked at or not looked into, at most O(limit). The reason is V(excluded), V(other_file_system),
      V(link_to_directory) or V(vanished).
  returned: success or failure
  type: list
  elements: dict
  sample:
    - path: /opt/scripts/shared
      reason: link_to_directory
left_out_counts:
  description: How many there are by reason.
  returned: success or failure
  type: dict
  sample: {link_to_directory: 1}
outcomes:
  description: What was found for each path.
  returned: success or failure
  type: list
  elements: dict
  contains:
    item:
      description: The path.
      type: str
    changed:
      description: Always false.
      type: bool
    ok:
      description: Whether nothing is against the rules.
      type: bool
    resolved:
      description: Where the path leads; null if it leads nowhere.
      type: str
    links:
      description: The symbolic links on the way.
      type: list
      elements: str
    checked:
      description: How many entries were held against the rules.
      type: int
    violations:
      description: How many violations there are, those of parents included.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.module import run_module
from ..module_utils._permissions.check import check_paths
from ..module_utils._permissions.rules import rules_spec


def main():
    path = {
        "path": {"type": "path", "required": True},
        "recurse": {"type": "bool", "default": False},
        "sha256": {"type": "str"},
        "exclude": {"type": "list", "elements": "str", "default": []},
        **rules_spec(defaults=False),
    }
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "dict", "required": True, "options": path},
            **rules_spec(defaults=True),
            "exclude": {"type": "list", "elements": "str", "default": []},
            "one_file_system": {"type": "bool", "default": False},
            "limit": {"type": "int", "default": 100},
            "max_entries": {"type": "int", "default": 1000000},
            "fail": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: check_paths(module.params))


if __name__ == "__main__":
    main()
