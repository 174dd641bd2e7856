# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what modules with commit-confirm share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of ``_confirm.session.CONFIRM_SPEC``."""

    DOCUMENTATION = r"""
options:
  confirm_timeout:
    description: Seconds, V(5) to V(3600), within which a new connection must succeed.
    type: int
    default: 30
  confirm_port:
    description:
      - Port for the new connection, as seen from the controller.
      - By default the port of this connection; if the change closes that one, the first that it opens.
    type: int
  allow_lockout:
    description:
      - Apply without proof, and without refusing what might lock people out.
      - For hosts that you reach in another way than ssh.
    type: bool
    default: false
  _confirm:
    description: What the action plugin tells its remote half. It is refused in a task.
    type: dict
"""
