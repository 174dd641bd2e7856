# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that everything with a circuit breaker shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Where circuits are kept: option of ``_guard.circuit_options.BACKEND_SPEC``."""

    DOCUMENTATION = r"""
options:
  backend:
    description:
      - A server that keeps circuits for several controllers. V(redis://) or, with TLS, V(rediss://), such as
        V(redis://:password@redis.example.com:6379/0), needs the Python library redis on the controller.
        V(postgresql://), such as V(postgresql://circuits@db.example.com/ansible), needs psycopg 3.
      - By default a file of the user who runs Ansible on this controller, C(circuits.sqlite) in
        C(/var/lib/scripts-toolkit) for root, and in C(scripts-toolkit) of the XDG state directory (C(~/.local/state))
        for others.
      - A password in it appears in no result and no message. For PostgreSQL leave it out; libpq takes it from the
        environment or a password file.
    type: str
"""
