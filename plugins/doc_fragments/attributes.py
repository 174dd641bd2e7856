# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that every module shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes: what a module promises. Modules override only what differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict the changes without making them.
    support: full
  diff_mode:
    description: Shows what is (in check mode, would be) changed, before and after.
    support: full
  idempotent:
    description: Run again with the same options, it changes nothing.
    support: full
  platform:
    description: Target systems that are tested.
    platforms: Debian 12 and 13
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode); it only reads.
    support: full
  diff_mode:
    description: Shows what is (in check mode, would be) changed, before and after.
    support: N/A
    details: It changes nothing.
  idempotent:
    description: Run again with the same options, it changes nothing.
    support: full
  platform:
    description: Target systems that are tested.
    platforms: Debian 12 and 13
    support: full
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Has an action plugin, so that some of it runs on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
"""

    BULK = r"""
options: {}
attributes:
  bulk:
    description: Takes lists and does all of them in one remote call, reporting per item in RV(ignore:outcomes).
    support: full
"""
