# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python3 -m ansible_collections.scripts.toolkit.plugins.module_utils._network.monitor.command``."""

from __future__ import annotations

from .program import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
