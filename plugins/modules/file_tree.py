#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_tree
short_description: Render, compare and replace many files in two remote calls, groups of them as a whole
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings files, templates, directories, links and whole trees of them to a host. Templates are rendered on the
    controller, all of them are compared in B(one) remote call, and only what differs is sent in B(one more). A run that
    changes nothing makes one remote call, also with hundreds of files.
  - A single file is written beside its destination, validated, made durable and renamed into place, so that it is the
    old or the new file at any moment. A B(set) of files is replaced as a whole, validated as a whole (C(nginx -t)), and
    put back as a whole when its validator refuses it, before anything can reload. A journal on the host makes that
    hold after C(kill -9) or a power cut too; the next call of this module restores the set first and says so in
    RV(recovered).
  - A service that must reload is noted in a debt on the host before its files are visible (O(files[].notify),
    O(sets[].notify)); M(scripts.toolkit.services) settles it. No reload is lost when a play stops in between.
  - A final symbolic link is never followed. Where a file is wanted and a link is found, the link itself is replaced and
    what it points to is left alone. Where a directory is wanted and a link is found, the item fails.
  - Access control lists and extended attributes of a file whose contents change are not carried over.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
attributes:
  bulk:
    details: An unchanged run takes one remote call, a changing run two.
options:
  files:
    description:
      - Files, directories and links. Two entries with the same O(files[].dest) must want the same.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path on the host.
        type: str
        required: true
      content:
        description:
          - The bytes of the file, as text; a mapping or list is written as JSON. Excludes O(files[].src).
        type: raw
      src:
        description:
          - For O(files[].state=file), a file on the controller, found like those of M(ansible.builtin.template) and
            M(ansible.builtin.copy), in C(templates/) and C(files/) of the role, else beside the play. Files encrypted
            with Ansible Vault are decrypted.
          - For O(files[].state=link), what the link points to.
        type: str
      template:
        description:
          - Whether O(files[].src) is rendered as a template, with the options of M(ansible.builtin.template).
          - By default that is so when its name ends in C(.j2).
        type: bool
      state:
        description:
          - V(file) needs O(files[].content) or O(files[].src), V(link) needs O(files[].src).
          - V(absent) removes a file, a link or an empty directory.
        type: str
        choices: [file, directory, link, absent]
        default: file
      recursive:
        description: Allow O(files[].state=absent) to remove a directory with all that it holds.
        type: bool
        default: false
      vars: &vars
        description: Variables for the templates beside those of the task; these win.
        type: dict
        default: {}
      owner: &owner
        description:
          - User name or number. Unset, an existing file keeps its owner and a new one belongs to the remote user.
        type: str
      group: &group
        description: Group name or number. Unset, an existing file keeps its group.
        type: str
      mode:
        description:
          - Permission bits as a quoted octal, such as V("0644").
          - Unset, what exists keeps its bits. New files get 0644, new sensitive files 0600, new directories 0755.
        type: raw
      force: &force
        description: With V(false) the file is written only where nothing is at its O(files[].dest).
        type: bool
        default: true
      validate: &validate
        description:
          - Program and arguments that check the new file before it is made visible, V(%s) standing for its path. Until
            then it lies in a directory of its own beside its destination, under its own name.
        type: list
        elements: str
        default: []
      set: &set
        description: Name of the entry of O(sets) that this belongs to.
        type: str
      sensitive: &sensitive
        description:
          - The contents are secret. They show in no diff, result or message, and no checksum is reported.
        type: bool
        default: false
      notify: &notify
        description:
          - What units need when this changes, by full unit name, V(reload) or V(restart).
        type: dict
        default: {}
  trees:
    description:
      - Directories of the controller of which everything is brought to the host. Files whose names end in C(.j2) are
        rendered and lose the suffix, others are copied byte for byte, directories are made, links are kept as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description: The directory, looked up like O(files[].src).
        type: str
        required: true
      dest:
        description: Absolute path of the directory on the host.
        type: str
        required: true
      exclude:
        description: Shell patterns of names, or of paths relative to O(trees[].src), that are left out.
        type: list
        elements: str
        default: []
      mode:
        description: Permission bits of the files, see O(files[].mode).
        type: raw
      directory_mode:
        description: Permission bits of the directories, see O(files[].mode).
        type: raw
      vars: *vars
      owner: *owner
      group: *group
      force: *force
      validate: *validate
      set: *set
      sensitive: *sensitive
      notify: *notify
  sets:
    description: Groups of files that change as a whole or not at all.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name by which O(files[].set) and O(trees[].set) refer to it.
        type: str
        required: true
      validate:
        description: Program and arguments that check the live files after they were replaced, such as C([nginx, -t]).
        type: list
        elements: str
        default: []
      notify: *notify
      purge:
        description:
          - Directories, or globs, below which files that this task does not name are removed. Directories that many
            packages use are refused, and so is a pattern where the set has nothing.
        type: list
        elements: str
        default: []
  make_parents:
    description:
      - Whether missing parent directories are made, with mode 0755 and the remote user as owner. They are reported.
      - With V(false) a missing parent directory is an error.
    type: bool
    default: true
  _request:
    description: Internal. What the action plugin asks the host.
    type: str
  _archive:
    description: Internal. Where the action plugin has put big contents on the host.
    type: path
seealso:
  - module: scripts.toolkit.services
  - module: ansible.builtin.template
"""

EXAMPLES = r"""
- name: Bring a message and a script
  scripts.toolkit.file_tree:
    files:
      - dest: /etc/motd
        content: "Managed by Ansible.\n"
      - dest: /usr/local/bin/hello
        content: "#!/bin/sh\necho hello\n"
        mode: "0755"
        validate: [sh, -n, "%s"]

- name: Bring a configuration as a whole, and reload the server only if it is sound
  scripts.toolkit.file_tree:
    files:
      - dest: /etc/nginx/conf.d/site.conf
        content: "server { listen 8080; }\n"
        set: nginx
    sets:
      - name: nginx
        validate: [nginx, -t]
        notify: {nginx.service: reload}
        purge: [/etc/nginx/conf.d]

- name: Render a tree of templates
  scripts.toolkit.file_tree:
    trees:
      - src: app
        dest: /etc/app
        owner: root
        mode: "0640"
        exclude: ["*.md"]
        vars:
          port: 8080
"""

RETURN = r"""
outcomes:
  description: What happened to each path, or in check mode would happen.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: The path; for a set that failed as a whole, its name.
      type: str
    changed:
      description: Whether it changed.
      type: bool
    operation:
      description: V(create), V(modify), V(delete), V(attributes), or null where nothing changed.
      type: str
    kind:
      description: V(file), V(directory), V(link) or V(absent).
      type: str
    set:
      description: The set it belongs to.
      type: str
    checksum_before:
      description: SHA-256 of the old contents; null for sensitive files and where there was none.
      type: str
    checksum_after:
      description: SHA-256 of the new contents; null for sensitive files and where there is none.
      type: str
    owner:
      description: Owner after the change.
      type: str
    group:
      description: Group after the change.
      type: str
    mode:
      description: Permission bits after the change, octal.
      type: str
    failed:
      description: Whether this item failed.
      type: bool
      returned: on failure
    error:
      description: Why, with C(kind), C(message), C(hint) and C(item).
      type: dict
      returned: on failure
notified:
  description: Units that this call found in need of an action because of what changed, and the action.
  returned: always
  type: dict
  sample: {nginx.service: reload}
recovered:
  description:
    - Sets that an earlier run had left half done and that were restored first, with the paths C(restored) and those
      C(left) since somebody had changed them. In check mode the sets that a run would restore.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module
from ansible_collections.scripts.toolkit.plugins.module_utils._files.room import FileTreeRoom
from ansible_collections.scripts.toolkit.plugins.module_utils._files.spec import file_tree_spec
from ansible_collections.scripts.toolkit.plugins.module_utils._files.wire import pack, unpack


def work(module: AnsibleModule) -> dict:
    """Answer one request of the action plugin."""
    if not module.params["_request"]:
        raise ValidationError(
            "file_tree was called without its action plugin.", hint="Call it as scripts.toolkit.file_tree."
        )
    request = unpack(module.params["_request"])
    request["archive"] = module.params["_archive"]
    room = FileTreeRoom(Commands(module.run_command), check=module.check_mode)
    return {"changed": False, "answer": pack(room.answer(request))}


def main() -> None:
    spec = file_tree_spec()
    # From the action plugin: what is wanted, and where the contents were put if they are big.
    spec["_request"] = {"type": "str", "no_log": True}
    spec["_archive"] = {"type": "path"}
    run_module(AnsibleModule(argument_spec=spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
