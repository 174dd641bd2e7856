#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mariadb_schema
short_description: Databases, users and grants of a MariaDB server in one call
version_added: 1.0.0
author:
  - scripts.toolkit contributors (@scripts-toolkit)
description:
  - Brings the databases, accounts and privileges of the MariaDB server on the host to the state that is wanted. The
    state of all of them is read with a handful of queries, however many there are, and only what differs is changed.
  - Connects over the server's socket, by default as root, whom MariaDB knows by the socket. It does not connect over
    the network.
  - A password never reaches the server in a statement, and so no log, process list or binary log. Its hash for
    C(mysql_native_password) is computed on the host. Whether a password is the right one is seen by comparing hashes,
    and proved by a login with it in every run, see RV(logins).
  - Each statement takes effect as a whole. A run that is interrupted leaves some items done and others not; the next
    run does the rest.
requirements:
  - pymysql on the host (Debian package C(python3-pymysql))
  - MariaDB 10.4 or newer
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
attributes:
  check_mode:
    details: Where the library, the socket or the server is missing (not installed yet), all items are predicted as on a
      new server.
options:
  databases:
    description: The databases. Those not listed are left alone, except the one of O(secure).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      charset:
        description: Default character set.
        type: str
        default: utf8mb4
      collation:
        description: Default collation. Not set, a new database has the default of O(databases[].charset), others keep
          theirs.
        type: str
      state:
        description:
          - Whether there is such a database.
          - V(absent) is refused for a database that has tables, views, routines or events unless O(allow_drop=true).
        type: str
        choices: [present, absent]
        default: present
  users:
    description: The accounts. Those not listed are left alone, except those of O(secure).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      host:
        description: From where the user connects. C(%) and C(_) are wildcards.
        type: str
        default: localhost
      password:
        description:
          - Password, in clear text. Not set, an existing account keeps what it has.
          - An account that has another password plugin, such as C(ed25519), keeps it if this password opens it.
        type: str
      plugin:
        description:
          - Authentication plugin, for example V(unix_socket), which lets in the system user of the same name.
          - A new account needs this or O(users[].password).
        type: str
      grants:
        description:
          - What the user may do. Not set, privileges are left alone. An empty list with O(users[].exclusive_grants)
            takes all away.
        type: list
        elements: dict
        suboptions:
          object:
            description:
              - C(*.*), C(db.*), C(db.table), C(FUNCTION db.name) or C(PROCEDURE db.name). Names with dots, spaces or
                backquotes stand in backquotes.
              - Names are literal. MariaDB itself takes C(_) and C(%) in C(db.*) as wildcards, so they are escaped for
                it; writing C(app\_db.*) as MariaDB shows it means the same.
            type: str
            required: true
          privileges:
            description:
              - Names of privileges, V(ALL), or privileges on columns such as V(SELECT (name, mail\)).
            type: list
            elements: str
            required: true
          grant_option:
            description: Whether the user may pass them on to others.
            type: bool
            default: false
          wildcard:
            description: Whether C(_) and C(%) in the database of C(db.*) are wildcards.
            type: bool
            default: false
      exclusive_grants:
        description:
          - Whether all privileges that are not in O(users[].grants) are revoked, on all levels, once those wanted are
            granted.
          - This also takes privileges that somebody gave by hand. Preview with C(--check --diff), or set it to V(false)
            where others manage privileges of the same account.
          - Accounts that administer the server (root@localhost, the one connected) are refused instead of losing a
            privilege.
          - Roles and C(PROXY) grants are never touched; RV(outcomes[].unmanaged) names them.
        type: bool
        default: true
      tls_required:
        description: Whether only encrypted connections are accepted. Not set, that stays as it is.
        type: bool
      state:
        description: Whether there is such an account. Sessions that are open when it is dropped end by themselves only.
        type: str
        choices: [present, absent]
        default: present
  secure:
    description:
      - Removes anonymous users, root accounts that connect from elsewhere, the database C(test) and the grants to
        everybody on it.
      - Lets root@localhost log in by the socket, and never without a password otherwise.
      - The database C(test) stays if it is listed in O(databases). With tables in it, dropping it is refused unless
        O(allow_drop=true).
    type: bool
    default: true
  allow_drop:
    description: Whether databases that are not empty may be dropped.
    type: bool
    default: false
  login_socket:
    description: Socket of the server.
    type: path
    default: /run/mysqld/mysqld.sock
  login_user:
    description: The account that administers the server.
    type: str
    default: root
  login_password:
    description: Its password, where it has one.
    type: str
  timeout:
    description: How many seconds the server has to answer a statement, locks included.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: A database and its user
  scripts.toolkit.mariadb_schema:
    databases:
      - name: shop
    users:
      - name: shop
        password: "{{ shop_database_password }}"
        grants:
          - object: shop.*
            privileges: [ALL]

- name: A reporting user who sees some columns, and the monitoring that logs in by the socket
  scripts.toolkit.mariadb_schema:
    users:
      - name: reports
        host: 192.0.2.%
        password: "{{ reports_password }}"
        tls_required: true
        grants:
          - object: shop.customers
            privileges: ["SELECT (id, country)"]
      - name: prometheus
        plugin: unix_socket
        grants:
          - object: "*.*"
            privileges: [PROCESS, REPLICATION CLIENT]

- name: An application has gone
  scripts.toolkit.mariadb_schema:
    databases:
      - name: forum
        state: absent
    users:
      - name: forum
        state: absent
    allow_drop: true
"""

RETURN = r"""
outcomes:
  description: What was done for each item, in the order in which it was done.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: For example C(database shop), C(user 'shop'@'localhost'), or a part of O(secure) such as C(anonymous
        users).
      type: str
    changed:
      description: Whether something was (in check mode, would be) done.
      type: bool
    changes:
      description: For a user, which of V(created), V(authentication), V(tls_required), V(grants) were changed.
      returned: for users
      type: list
      elements: str
    unmanaged:
      description: Roles and C(PROXY) grants that the account has although its grants are exclusive.
      returned: when there are any
      type: list
      elements: str
    error:
      description: Kind, message and hint of the failure.
      returned: when the item failed
      type: dict
  sample:
    - item: "user 'shop'@'localhost'"
      changed: true
      changes: [created, grants]
logins:
  description: The proof for each user with a password that it opens the account.
  returned: always
  type: list
  elements: dict
  contains:
    user:
      description: Name of the user.
      type: str
    host:
      description: Host of the account.
      type: str
    ok:
      description: Whether the login succeeded; null where it can't be tried from the server's own machine, or not yet.
      type: bool
    why:
      description: Why it is not true; null otherwise.
      type: str
  sample:
    - user: shop
      host: localhost
      ok: true
      why: null
queries:
  description: How many statements were sent, logins not included.
  returned: always
  type: int
  sample: 7
server_version:
  description: Version of the server; null where there is none.
  returned: always
  type: str
  sample: 11.8.6-MariaDB-0+deb13u1 from Debian
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module
from ansible_collections.scripts.toolkit.plugins.module_utils._mariadb.apply import apply_schema

_GRANT = {
    "object": {"type": "str", "required": True},
    "privileges": {"type": "list", "elements": "str", "required": True},
    "grant_option": {"type": "bool", "default": False},
    "wildcard": {"type": "bool", "default": False},
}
_STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
_DATABASE = {
    "name": {"type": "str", "required": True},
    "charset": {"type": "str", "default": "utf8mb4"},
    "collation": {"type": "str"},
    "state": _STATE,
}
_USER = {
    "name": {"type": "str", "required": True},
    "host": {"type": "str", "default": "localhost"},
    "password": {"type": "str", "no_log": True},
    "plugin": {"type": "str"},
    "grants": {"type": "list", "elements": "dict", "options": _GRANT},
    "exclusive_grants": {"type": "bool", "default": True},
    "tls_required": {"type": "bool"},
    "state": _STATE,
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "default": [], "options": _DATABASE},
            "users": {"type": "list", "elements": "dict", "default": [], "options": _USER},
            "secure": {"type": "bool", "default": True},
            "allow_drop": {"type": "bool", "default": False},
            "login_socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
            "login_user": {"type": "str", "default": "root"},
            "login_password": {"type": "str", "no_log": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda module: apply_schema(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
